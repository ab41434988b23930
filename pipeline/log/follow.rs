//! Reading a stream of a broker without end.
//!
//! A consumer may break at any time: the broker restarts, fails over, forgets it, or the client
//! drops a message it had no room for. Each delivery is counted by the broker, so a gap shows; then
//! another consumer is made behind the last message taken. Before that, the stream must still be
//! the one we read and hold what we read last (A14).

use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use tokio::time::{Instant, timeout_at};

use super::jetstream::{Feed, JetStreamLog};
use super::{Log, LogError, Message, ReadLimit, Reader};

/// How long more is waited for while the broker says that more is there.
const GATHER: Duration = Duration::from_millis(50);

/// The most one pull asks for. Beyond 64 MiB on the way the server drops the client, which comes
/// back and asks for the same again, for ever.
pub(super) const PULL_BYTES_MAX: usize = 24 << 20;
pub(super) const PULL_MESSAGES_MAX: usize = 16_384;
/// When the server forgets a consumer that nobody asks any more.
pub(super) const FORGET: Duration = Duration::from_secs(60);
pub(super) const HEARTBEAT: Duration = Duration::from_secs(5);

const PATIENCE_MAX: Duration = Duration::from_secs(86_400);
/// How many consumers one read may make before it says that something is wrong.
const OPENS_MAX: u32 = 3;

/// A message, its count among those this consumer delivered, and how many are behind it.
pub(super) struct Delivered {
    pub message: Message,
    pub count: u64,
    pub pending: u64,
}

/// The reader of a [`JetStreamLog`].
pub(super) struct Follower {
    log: JetStreamLog,
    stream: String,
    filters: Vec<String>,
    created: i64,
    /// Everything up to here was taken or is not for us.
    after: u64,
    /// How many messages this consumer delivered.
    count: u64,
    seen: Option<Message>,
    /// Taken, but more than the last read wanted.
    held: Option<Message>,
    feed: Option<Feed>,
}

impl Follower {
    pub(super) fn new(
        log: JetStreamLog,
        stream: &str,
        filters: &[String],
        created: i64,
        after: u64,
    ) -> Self {
        let (stream, filters) = (stream.to_owned(), filters.to_vec());
        let (seen, held, feed) = (None, None, None);
        Follower { log, stream, filters, created, after, count: 0, seen, held, feed }
    }

    /// The next message and how many are behind it; `None` when patience ends.
    async fn one(
        &mut self,
        limit: ReadLimit,
        patience: Instant,
        first: bool,
    ) -> Result<Option<(Message, u64)>, LogError> {
        if let Some(message) = self.held.take() {
            return Ok(Some((message, 1)));
        }
        let (mut broken, mut opened) = (None, 0);
        loop {
            let Some(feed) = self.feed.as_mut() else {
                if let Some(cause) = broken.take_if(|_| opened == OPENS_MAX) {
                    return Err(LogError::Unavailable(cause));
                }
                // What is found already is handed out before a broken consumer is replaced.
                if !first {
                    return Ok(None);
                }
                self.unchanged().await?;
                let (stream, filters) = (&self.stream, &self.filters);
                let made = self.log.consumer_at_leader(stream, filters, self.after).await?;
                (self.feed, self.count) = (Some(made.feed(limit).await?), 0);
                opened += 1;
                continue;
            };
            let came = match feed.next().now_or_never() {
                Some(came) => came,
                None => match timeout_at(patience, feed.next()).await {
                    Ok(came) => came,
                    Err(_) => return Ok(None),
                },
            };
            let cause = match came {
                Ok(delivered) if self.follows(&delivered) => {
                    self.count += 1;
                    self.after = delivered.message.seq;
                    return Ok(Some((delivered.message, delivered.pending)));
                }
                Ok(delivered) => format!("gap before {}", delivered.message.seq),
                Err(cause) => cause,
            };
            tracing::debug!(stream = self.stream, after = self.after, cause, "read again");
            (self.feed, broken) = (None, Some(cause));
        }
    }

    fn follows(&self, delivered: &Delivered) -> bool {
        delivered.count == self.count + 1 && delivered.message.seq > self.after
    }

    async fn unchanged(&self) -> Result<(), LogError> {
        let state = self.log.state(&self.stream).await?;
        let name = &self.stream;
        if state.created != self.created {
            return Err(LogError::Lost(format!("stream {name:?} is another one now")));
        }
        let Some(seen) = &self.seen else { return Ok(()) };
        let (seq, first, last) = (seen.seq, state.first, state.last);
        if first > self.after + 1 {
            let next = self.after + 1;
            return Err(LogError::Lost(format!("stream {name:?} begins at {first}, not {next}")));
        }
        if last < seq {
            return Err(LogError::Lost(format!("stream {name:?} ends at {last}, read was {seq}")));
        }
        match self.log.get(name, seq).await? {
            Some(held) if held != *seen => {
                Err(LogError::Lost(format!("stream {name:?} has another message at {seq} now")))
            }
            // None: `recoup trim` removed what nobody needs any more.
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Reader for Follower {
    async fn next(&mut self, limit: ReadLimit, wait: Duration) -> Result<Vec<Message>, LogError> {
        let (mut found, mut bytes) = (Vec::new(), 0);
        let now = Instant::now();
        let mut patience = now.checked_add(wait).unwrap_or(now + PATIENCE_MAX);
        while let Some((message, pending)) = self.one(limit, patience, found.is_empty()).await? {
            bytes += message.payload.len();
            let full = found.len() == limit.messages || bytes > limit.bytes;
            if full && !found.is_empty() {
                self.held = Some(message);
                break;
            }
            found.push(message);
            patience = Instant::now() + if pending > 0 { GATHER } else { Duration::ZERO };
        }
        if let Some(message) = found.last() {
            self.seen = Some(message.clone());
        }
        Ok(found)
    }
}
