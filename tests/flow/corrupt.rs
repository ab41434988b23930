//! Messages of our own streams that are not what was written: nothing is skipped in silence.

use std::time::Duration;

use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use recoup::drive::{Stopped, Waiting, turn};
use recoup::group::Group;
use recoup::log::{Log, LogError, Message};
use recoup::rows::{self, Packing};
use recoup::wake;
use recoup_sql::stages;

use super::world::{WIDE, copied};
use super::{SHARDS, idle, messages, remembering, worked};

/// What a shard says that stops at a message.
fn stops_at(group: &mut Group, message: &Message) {
    let Err(Stopped::Log(LogError::Lost(what))) = group.step(std::slice::from_ref(message)) else {
        panic!("{} at {} is not told", message.subject, message.seq);
    };
    let stream = format!("stream {:?}", group.stage.shape.reads);
    assert!(what.contains(&stream), "{what}");
    assert!(what.contains(&format!("message {} ", message.seq)), "{what}");
}

#[test]
fn a_message_of_ours_that_was_cut_stops_the_shard() {
    let batch = worked();
    for shape in remembering() {
        let mut group = idle(shape);
        let log = messages(&batch, &group);
        let main = format!(".{}", shape.main);
        let whole = log.iter().find(|message| message.subject.ends_with(&main)).unwrap();
        let length = whole.payload.len();
        for at in [0, 1, 7, length / 4, length / 2, length - 9, length - 8, length - 1] {
            let payload = whole.payload.slice(..at);
            stops_at(&mut group, &Message { payload, ..whole.clone() });
        }
        let longer = [whole.payload.as_ref(), whole.payload.as_ref()].concat();
        stops_at(&mut group, &Message { payload: longer.into(), ..whole.clone() });
        // Nothing was taken in: the message itself still is news.
        let step = group.step(std::slice::from_ref(whole)).unwrap();
        assert!(step.rows > 0, "{} reads what was not cut", shape.name);
    }
}

#[test]
fn a_flipped_byte_is_noticed() {
    let batch = worked();
    let group = idle(stages::shape("book").unwrap());
    let log = messages(&batch, &group);
    let whole = log.iter().find(|message| message.subject.ends_with(".letters")).unwrap();
    assert!(rows::of(whole).is_ok());
    for at in 0..whole.payload.len() {
        let mut flipped = whole.payload.to_vec();
        flipped[at] ^= 0x41;
        let flipped = Message { payload: flipped.into(), ..whole.clone() };
        assert!(rows::of(&flipped).is_err(), "byte {at}");
        // Without what its writer said of it, a flip may go unnoticed, but is no panic.
        let bare = Message { headers: vec![], ..flipped };
        drop(rows::of(&bare));
    }
}

#[test]
fn a_reference_table_that_does_not_read_stops_the_shard() {
    let batch = worked();
    let mut group = idle(stages::shape("book").unwrap());
    let log = messages(&batch, &group);
    let curve = log.iter().find(|message| message.subject.ends_with(".curve")).unwrap();
    stops_at(&mut group, &Message { payload: Bytes::from_static(b"x"), ..curve.clone() });
}

#[test]
fn a_column_of_another_type_stops_the_shard_unless_every_value_fits() {
    let batch = worked();
    let shape = stages::shape("book").unwrap();
    let mut group = idle(shape);
    let log = messages(&batch, &group);
    let letters = log.iter().filter(|message| message.subject.ends_with(".letters"));
    let paid = letters.into_iter().find(|message| {
        rows::of(message).unwrap()[0]["amount"].null_count()
            < rows::of(message).unwrap()[0].num_rows()
    });
    let paid = paid.unwrap();
    let rows = rows::of(paid).unwrap().remove(0);
    let texts = cast(&rows["amount"], &DataType::Utf8).unwrap();
    let as_text = with(&rows, "amount", texts);
    let message = |rows: &RecordBatch| Message {
        payload: rows::encode(rows, Packing::Plain, usize::MAX).remove(0),
        headers: vec![],
        ..paid.clone()
    };
    let spoilt: ArrayRef = std::sync::Arc::new(StringArray::from(vec!["much"; rows.num_rows()]));
    stops_at(&mut group, &message(&with(&rows, "amount", spoilt)));
    group.step(&[message(&as_text)]).expect("the same amounts, written as texts");
}

fn with(rows: &RecordBatch, name: &str, column: ArrayRef) -> RecordBatch {
    let schema = rows.schema();
    let at = schema.index_of(name).unwrap();
    let mut fields: Vec<_> = schema.fields().iter().map(|field| field.as_ref().clone()).collect();
    fields[at] = Field::new(name, column.data_type().clone(), true);
    let mut columns = rows.columns().to_vec();
    columns[at] = column;
    RecordBatch::try_new(std::sync::Arc::new(Schema::new(fields)), columns).unwrap()
}

/// The whole loop, on a log in which one message of `loans` was spoilt: as news, and in replay.
#[tokio::test(flavor = "multi_thread")]
async fn the_loop_stops_before_a_spoilt_message_and_recovery_does_not_step_over_it() {
    // Steps never run inside a task.
    let batch = std::thread::spawn(worked).join().unwrap();
    let shape = stages::shape("book").unwrap();
    let spoilt = {
        let group = idle(shape);
        let log = messages(&batch, &group);
        let letters = log.iter().filter(|message| message.subject.ends_with(".letters"));
        letters.map(|message| message.seq).nth(3).unwrap()
    };
    for replayed in [false, true] {
        let log = copied(batch.log(), |stream, copy, seq| {
            if stream == "loans" && seq == spoilt {
                copy.payload = copy.payload.slice(..copy.payload.len() / 2);
            }
        })
        .await;
        let ended = tokio::task::spawn_blocking(move || {
            let mut group = idle(shape);
            if !replayed {
                // As if nothing had been said of it yet.
                log.remove("book");
                Waiting::Here.wait(log.create("book")).unwrap();
                Waiting::Here.wait(wake::init(&log, shape, SHARDS)).unwrap();
            }
            // Where the cursors of the day's work stand at the end, all of it is replayed.
            let shards: Vec<u32> = (0..SHARDS).collect();
            Waiting::Here.wait(wake::wake(&log, None, &mut group, &shards)).unwrap();
            let (filters, after) = group.reads();
            let mut reader = Waiting::Here.wait(log.read("loans", &filters, after)).unwrap();
            let before = Waiting::Here.wait(log.state("book")).unwrap().last;
            let ended = loop {
                let now = Duration::ZERO;
                match turn(&log, &Waiting::Here, reader.as_mut(), &mut group, WIDE, now) {
                    Ok(turned) if turned.messages == 0 => break Ok(()),
                    Ok(_) => {}
                    Err(error) => break Err(error),
                }
            };
            assert!(!replayed || Waiting::Here.wait(log.state("book")).unwrap().last == before);
            ended
        });
        let error = ended.await.unwrap().expect_err("it stops").to_string();
        assert!(error.contains(&format!("message {spoilt} of stream \"loans\"")), "{error}");
    }
}
