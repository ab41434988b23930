//! The follower against a log that says what it is told to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::arrow::record_batch::RecordBatch;
use recoup::log::{Log, LogError, Message, Outgoing, ReadLimit, Reader, StreamState};
use recoup::serve::{Room, follow};
use recoup_operators::facts;

use super::rows;

/// What the log says of `book` next; every other stream is empty.
#[derive(Default)]
struct Script {
    reads: VecDeque<Result<Vec<Message>, LogError>>,
    last: u64,
    created: i64,
    /// Where reading began, each time.
    began: Vec<u64>,
}

#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Script>>);

struct Lines(Scripted, bool);

#[async_trait]
impl Reader for Lines {
    async fn next(&mut self, _: ReadLimit, _: Duration) -> Result<Vec<Message>, LogError> {
        let next = if self.1 { self.0.0.lock().unwrap().reads.pop_front() } else { None };
        match next {
            Some(read) => read,
            None => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok(Vec::new())
            }
        }
    }
}

#[async_trait]
impl Log for Scripted {
    async fn create(&self, _: &str) -> Result<(), LogError> {
        Ok(())
    }

    async fn state(&self, stream: &str) -> Result<StreamState, LogError> {
        let script = self.0.lock().unwrap();
        let last = if stream == "book" { script.last } else { 0 };
        Ok(StreamState { created: script.created, first: 1, last, bytes: 0, messages: last })
    }

    async fn read(
        &self,
        stream: &str,
        _: &[String],
        after: u64,
    ) -> Result<Box<dyn Reader>, LogError> {
        if stream == "book" {
            self.0.lock().unwrap().began.push(after);
        }
        Ok(Box::new(Lines(self.clone(), stream == "book")))
    }

    async fn last(&self, _: &str, _: &str) -> Result<Option<Message>, LogError> {
        Ok(None)
    }

    async fn get(&self, _: &str, _: u64) -> Result<Option<Message>, LogError> {
        Ok(None)
    }

    async fn commit(&self, _: &str, _: &[Outgoing]) -> Result<u64, LogError> {
        panic!("the reading room only reads")
    }

    fn payload_max(&self) -> usize {
        1 << 20
    }
}

fn message(seq: u64, subject: &str, payload: Bytes) -> Message {
    Message {
        seq,
        subject: subject.into(),
        headers: Vec::new(),
        payload,
        rows: None,
        at: 1_000_000,
    }
}

fn said(seq: u64, subject: &str, rows: &RecordBatch) -> Message {
    let mut stream = StreamWriter::try_new(Vec::new(), &rows.schema()).unwrap();
    stream.write(rows).unwrap();
    message(seq, subject, stream.into_inner().unwrap().into())
}

fn cursor(seq: u64, shard: u32, read: u64) -> Message {
    let text = format!(r#"{{"stage":"book","owner":"w{shard}","seq":{read},"number":1}}"#);
    message(seq, &format!("book.cursor.book.{shard}"), text.into())
}

fn price(loan: &str, price: &str) -> RecordBatch {
    rows(facts::priced(), &format!("loan_id,lender_id,price\n{loan},L1,{price}"))
}

/// Rows of a relation once the condition holds; fails if it does not within seconds.
async fn until(room: &Room, what: &str, holds: impl Fn(&Room) -> bool) {
    for _ in 0..500 {
        if holds(room) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not come");
}

fn count(room: &Room, relation: &str) -> usize {
    room.moment().relation(relation).map_or(0, |rows| rows.rows())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_shown_with_their_cursor_and_shards_say_as_of() {
    let log = Scripted::default();
    let room = Arc::new(Room::new());
    {
        let mut script = log.0.lock().unwrap();
        script.last = 9;
        // A read that ends in the middle of the second commit.
        let first = vec![
            said(1, "book.0.prices", &price("A", "1.00")),
            message(2, "book.0.demand", Bytes::from_static(b"not for us")),
            cursor(4, 0, 11),
            said(5, "book.1.prices", &price("B", "2.00")),
        ];
        script.reads.push_back(Ok(first));
    }
    let (followed, seen) = (log.clone(), room.clone());
    let following = tokio::spawn(async move { follow(&followed, &seen).await });
    until(&room, "the first commit", |room| count(room, "prices") > 0).await;
    let shards = room.moment().shards().clone();
    assert_eq!(shards.num_rows(), 1);
    log.0.lock().unwrap().reads.push_back(Err(LogError::Unavailable("a broker restarts".into())));
    let second = vec![said(6, "book.1.rounds", &price("R", "")), cursor(9, 1, 12)];
    log.0.lock().unwrap().reads.push_back(Ok(second));
    until(&room, "the second commit", |room| count(room, "rounds") == 1).await;
    assert_eq!(count(&room, "prices"), 2);
    assert_eq!(room.moment().shards().num_rows(), 2);
    assert_eq!(log.0.lock().unwrap().began, [0, 5], "reading goes on where it was");
    following.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_cut_or_made_anew_is_lost() {
    for anew in [false, true] {
        let log = Scripted::default();
        {
            let mut script = log.0.lock().unwrap();
            script.last = 4;
            script.reads.push_back(Ok(vec![cursor(4, 0, 11)]));
        }
        let room = Arc::new(Room::new());
        let (followed, seen) = (log.clone(), room.clone());
        let following = tokio::spawn(async move { follow(&followed, &seen).await });
        until(&room, "the cursor", |room| room.moment().shards().num_rows() == 1).await;
        {
            let mut script = log.0.lock().unwrap();
            (script.last, script.created) = if anew { (9, 1) } else { (3, 0) };
        }
        let ended = tokio::time::timeout(Duration::from_secs(5), following).await;
        let error = ended.unwrap().unwrap().unwrap_err();
        assert!(matches!(error, LogError::Lost(_)), "{error}");
    }
}

/// An answer about money that leaves out a message is wrong; no answer is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_does_not_read_ends_the_room_and_is_named() {
    let spoilt = said(7, "book.0.prices", &price("A", "1.00"));
    let cut = spoilt.payload.slice(..spoilt.payload.len() - 20);
    let no_cursor = message(7, "book.cursor.book.0", Bytes::from_static(b"{}"));
    for spoilt in [
        message(7, "book.0.prices", Bytes::from_static(b"not Arrow")),
        message(7, "book.0.prices", cut),
        no_cursor,
    ] {
        let log = Scripted::default();
        log.0.lock().unwrap().last = 9;
        log.0.lock().unwrap().reads.push_back(Ok(vec![spoilt, cursor(9, 0, 11)]));
        let room = Room::new();
        let ended = tokio::time::timeout(Duration::from_secs(5), follow(&log, &room));
        let error = ended.await.unwrap().unwrap_err().to_string();
        assert!(error.contains("message 7 of stream \"book\""), "{error}");
    }
}
