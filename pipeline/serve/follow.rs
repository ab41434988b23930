//! Follows the streams that leave the program into the room, with a cursor of its own that nobody
//! else sees: reading changes nothing.
//!
//! A commit's rows come with the cursors of the shards that said them. Rows are shown when their
//! cursor has been read, so that a price, the placement it justified and the money it brought are
//! seen together or not at all.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::reader::StreamDecoder;
use datafusion::arrow::record_batch::RecordBatch;
use futures::future::try_join_all;
use serde::Deserialize;
use tracing::warn;

use super::relations::is_kept;
use super::room::{News, Room, Standing};
use crate::log::{Log, LogError, Message, ReadLimit};

/// The streams that are followed, and what of them.
const STREAMS: [(&str, &[&str]); 4] = [
    ("book", &["book.>"]),
    ("statements", &["statements.>"]),
    ("reports", &["reports.*.refused", "reports.cursor.>"]),
    ("loans", &["loans.*.refused", "loans.*.rounds", "loans.cursor.>"]),
];

const LIMIT: ReadLimit = ReadLimit { messages: 1_000, bytes: 8 << 20 };
/// How long a read waits; rows whose cursor has not come by then are shown without it.
const WAIT: Duration = Duration::from_millis(500);
const STATE_EVERY: Duration = Duration::from_secs(1);
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What of a cursor is shown.
#[derive(Deserialize)]
struct Place {
    owner: String,
    seq: u64,
}

/// Follows until the log has lost its history or must be mended; an absent answer is waited out.
pub async fn follow(log: &dyn Log, room: &Room) -> Result<(), LogError> {
    let streams = STREAMS.iter().map(|(stream, filters)| follow_stream(log, room, stream, filters));
    try_join_all(streams).await.map(drop)
}

async fn follow_stream(
    log: &dyn Log,
    room: &Room,
    stream: &str,
    filters: &[&str],
) -> Result<(), LogError> {
    let filters: Vec<String> = filters.iter().map(|filter| (*filter).to_owned()).collect();
    let (seen, mut created) = room.place(stream);
    let mut held = Held { seen, ..Held::default() };
    loop {
        match follow_once(log, room, stream, &filters, &mut held, &mut created).await {
            Err(LogError::Unavailable(cause)) => {
                warn!(stream, cause, "log did not answer; reading on later");
                tokio::time::sleep(RETRY_AFTER).await;
            }
            ended => return ended,
        }
    }
}

/// Follows until the log does not answer.
async fn follow_once(
    log: &dyn Log,
    room: &Room,
    stream: &str,
    filters: &[String],
    held: &mut Held,
    created: &mut Option<i64>,
) -> Result<(), LogError> {
    let mut last = check(log, room, stream, held, created).await?;
    let mut reader = log.read(stream, filters, held.seen).await?;
    let mut checked = Instant::now();
    loop {
        let messages = reader.next(LIMIT, WAIT).await?;
        let idle = messages.is_empty();
        for message in messages {
            held.take(stream, message);
        }
        // Nothing came: whatever lies before the stream's end is not for us.
        let news = if idle { Some(held.all(last)) } else { held.committed() };
        if let Some(news) = news {
            room.take(stream, news);
        }
        if checked.elapsed() >= STATE_EVERY {
            last = check(log, room, stream, held, created).await?;
            checked = Instant::now();
        }
    }
}

/// Notes how long the stream is, and answers it. A stream that is another one, or has lost its end,
/// is lost (A14).
async fn check(
    log: &dyn Log,
    room: &Room,
    stream: &str,
    held: &Held,
    created: &mut Option<i64>,
) -> Result<u64, LogError> {
    let state = log.state(stream).await?;
    if *created.get_or_insert(state.created) != state.created {
        return Err(LogError::Lost(format!("stream {stream:?} was made anew")));
    }
    if state.last < held.seen {
        let (last, seen) = (state.last, held.seen);
        return Err(LogError::Lost(format!(
            "stream {stream:?} ends at {last}, we have read {seen}"
        )));
    }
    room.is(stream, state.last, Some(state.created));
    Ok(state.last)
}

/// What was read and not shown yet.
#[derive(Default)]
struct Held {
    seen: u64,
    rows: Vec<(String, RecordBatch)>,
    shards: BTreeMap<(String, u32), Standing>,
    /// How many rows' batches lie before the newest cursor, and its sequence.
    cut: Option<(usize, u64)>,
}

impl Held {
    fn take(&mut self, stream: &str, message: Message) {
        self.seen = message.seq;
        let parts: Vec<&str> = message.subject.split('.').collect();
        match parts.as_slice() {
            [_, "cursor", stage, shard] => {
                let place = serde_json::from_slice::<Place>(&message.payload);
                let (Ok(shard), Ok(place)) = (shard.parse(), place) else {
                    return warn!(stream, seq = message.seq, "a cursor that does not read as one");
                };
                let standing = Standing {
                    stream: stream.to_owned(),
                    as_of: message.seq,
                    read: place.seq,
                    owner: place.owner,
                    committed_at: message.at,
                };
                self.shards.insert(((*stage).to_owned(), shard), standing);
                self.cut = Some((self.rows.len(), message.seq));
            }
            [_, _, relation] if is_kept(relation) => match decode(&message.payload) {
                Ok(batches) => {
                    let named = batches.into_iter().map(|rows| ((*relation).to_owned(), rows));
                    self.rows.extend(named);
                }
                Err(error) => {
                    let error = error.to_string();
                    warn!(stream, seq = message.seq, error, "rows that do not read as such");
                }
            },
            _ => {}
        }
    }

    /// Everything up to the newest cursor.
    fn committed(&mut self) -> Option<News> {
        let (rows, read) = self.cut.take()?;
        Some(self.news(rows, read))
    }

    /// Everything, as of the end of a stream that has nothing more for us.
    fn all(&mut self, last: u64) -> News {
        self.cut = None;
        self.news(self.rows.len(), last.max(self.seen))
    }

    fn news(&mut self, rows: usize, read: u64) -> News {
        let shards = std::mem::take(&mut self.shards).into_iter();
        News {
            rows: self.rows.drain(..rows).collect(),
            shards: shards.map(|((stage, shard), standing)| (stage, shard, standing)).collect(),
            read,
        }
    }
}

/// The rows of a message, in memory of their own: the network's buffers are not held.
fn decode(payload: &Bytes) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut bytes = Buffer::from_slice_ref(payload);
    let mut decoder = StreamDecoder::new();
    let mut batches = Vec::new();
    while !bytes.is_empty() {
        batches.extend(decoder.decode(&mut bytes)?);
    }
    decoder.finish()?;
    Ok(batches)
}
