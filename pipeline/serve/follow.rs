//! Follows the streams that leave the program into the room, with a cursor of its own that nobody
//! else sees: reading changes nothing.
//!
//! A commit's rows come with the cursors of the shards that said them. Rows are shown when their
//! cursor has been read, so that a price, the placement it justified and the money it brought are
//! seen together or not at all.
//!
//! A message of ours that does not read ends the room: what it held would be missing in silence.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use datafusion::arrow::record_batch::RecordBatch;
use futures::future::try_join_all;
use serde::Deserialize;
use tracing::warn;

use super::relations::is_kept;
use super::room::{News, Room, Standing};
use crate::log::{Log, LogError, Message, ReadLimit};
use crate::rows;
use crate::trim;

/// The streams that are followed, and what of them.
pub(super) const STREAMS: [(&str, &[&str]); 4] = [
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
    trim::record::check(log, stream, held.seen).await?;
    let mut reader = log.read(stream, filters, held.seen).await?;
    let (goal, mut checked) = (last, Instant::now());
    loop {
        let messages = reader.next(LIMIT, WAIT).await?;
        let idle = messages.is_empty();
        for message in messages {
            held.take(message)?;
        }
        // Nothing came: whatever lies before the stream's end is not for us.
        let news = if idle { Some(held.all(last)) } else { held.committed() };
        if let Some(news) = news {
            room.take(stream, news);
        }
        if idle || held.seen >= goal {
            room.caught_up(stream);
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
    /// What does not read is not passed over: an answer about money without it would be wrong.
    fn take(&mut self, message: Message) -> Result<(), LogError> {
        let parts: Vec<&str> = message.subject.split('.').collect();
        match parts.as_slice() {
            [stream, "cursor", stage, shard] => {
                let place = serde_json::from_slice::<Place>(&message.payload);
                let (Ok(shard), Ok(place)) = (shard.parse(), place) else {
                    return Err(rows::unreadable(&message, "it is no cursor"));
                };
                let standing = Standing {
                    stream: (*stream).to_owned(),
                    as_of: message.seq,
                    read: place.seq,
                    owner: place.owner,
                    committed_at: message.at,
                };
                self.shards.insert(((*stage).to_owned(), shard), standing);
                self.cut = Some((self.rows.len(), message.seq));
            }
            [_, _, relation] if is_kept(relation) => {
                // In memory of their own: the network's buffers are not held.
                let payload = Bytes::copy_from_slice(&message.payload);
                let batches = rows::of(&Message { payload, ..message.clone() })?;
                let named = batches.into_iter().map(|rows| ((*relation).to_owned(), rows));
                self.rows.extend(named);
            }
            _ => {}
        }
        self.seen = message.seq;
        Ok(())
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
