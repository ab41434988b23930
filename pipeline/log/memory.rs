//! A log in this process: what `batch`, tests and simulation run on.
//!
//! It keeps the same promises as the broker, and it is deterministic: sequences count from one,
//! streams are "created" at one, two, three, and nothing asks for the time unless a clock is given.
//! Payloads are shared, never copied; a read costs what is new since the last one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use super::{Log, LogError, Message, Outgoing, ReadLimit, Reader, StreamState};
use super::{check, matches, missing};

/// What one message may have here, the broker's own default.
const PAYLOAD_MAX: usize = 1 << 20;

type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Streams in memory. Clones share them.
#[derive(Clone)]
pub struct MemoryLog {
    streams: Arc<Mutex<BTreeMap<String, Arc<Stream>>>>,
    clock: Clock,
    payload_max: usize,
}

struct Stream {
    name: String,
    created: i64,
    kept: Mutex<Kept>,
    grown: Notify,
}

/// Message *i* has sequence *i* + 1 + `gone`. `cuts` counts how often history was taken away.
#[derive(Default)]
struct Kept {
    messages: Vec<Message>,
    /// How many messages were forgotten.
    gone: u64,
    newest: BTreeMap<String, u64>,
    bytes: u64,
    cuts: u64,
}

impl Default for MemoryLog {
    fn default() -> Self {
        MemoryLog::new()
    }
}

impl MemoryLog {
    /// A log without streams, in which every message is stored at the epoch.
    pub fn new() -> Self {
        MemoryLog::with_clock(|| 0)
    }

    /// A log whose messages are stored at the instant, in microseconds, that `clock` tells.
    pub fn with_clock(clock: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        MemoryLog { streams: Arc::default(), clock: Arc::new(clock), payload_max: PAYLOAD_MAX }
    }

    /// The same log, taking messages up to this size.
    pub fn with_payload_max(mut self, bytes: usize) -> Self {
        self.payload_max = bytes;
        self
    }

    /// Loses everything behind `last`, as a broker does that acknowledged before it synced.
    /// For tests of what must be noticed (A14).
    pub fn cut(&self, stream: &str, last: u64) -> Result<(), LogError> {
        let stream = self.stream(stream)?;
        let mut kept = held(&stream.kept);
        let left = last.saturating_sub(kept.gone);
        kept.messages.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        kept.newest = BTreeMap::new();
        kept.bytes = 0;
        kept.cuts += 1;
        let Kept { messages, newest, bytes, .. } = &mut *kept;
        for message in messages.iter() {
            newest.insert(message.subject.clone(), message.seq);
            *bytes += message.payload.len() as u64;
        }
        Ok(())
    }

    /// Forgets the messages that there are, which everybody has read; fences hold as before.
    pub fn forget(&self, stream: &str) -> Result<(), LogError> {
        let stream = self.stream(stream)?;
        let mut kept = held(&stream.kept);
        kept.gone = kept.last();
        kept.messages.clear();
        kept.bytes = 0;
        Ok(())
    }

    /// Forgets a stream; created again, it is another one. For tests of what must be noticed.
    pub fn remove(&self, stream: &str) {
        held(&self.streams).remove(stream);
    }

    fn stream(&self, name: &str) -> Result<Arc<Stream>, LogError> {
        held(&self.streams).get(name).cloned().ok_or_else(|| missing(name))
    }
}

#[async_trait]
impl Log for MemoryLog {
    async fn create(&self, stream: &str) -> Result<(), LogError> {
        let mut streams = held(&self.streams);
        let created = 1 + streams.values().map(|stream| stream.created).max().unwrap_or(0);
        streams.entry(stream.to_owned()).or_insert_with(|| {
            Arc::new(Stream {
                name: stream.to_owned(),
                created,
                kept: Mutex::default(),
                grown: Notify::new(),
            })
        });
        Ok(())
    }

    async fn state(&self, stream: &str) -> Result<StreamState, LogError> {
        let stream = self.stream(stream)?;
        let kept = held(&stream.kept);
        Ok(StreamState {
            created: stream.created,
            first: kept.gone + 1,
            last: kept.last(),
            bytes: kept.bytes,
            messages: kept.messages.len() as u64,
        })
    }

    async fn read(
        &self,
        stream: &str,
        filters: &[String],
        after: u64,
    ) -> Result<Box<dyn Reader>, LogError> {
        let stream = self.stream(stream)?;
        let cuts = held(&stream.kept).cuts;
        let log = self.clone();
        Ok(Box::new(MemoryReader {
            log,
            stream,
            filters: filters.to_vec(),
            after,
            cuts,
            seen: None,
        }))
    }

    async fn last(&self, stream: &str, subject: &str) -> Result<Option<Message>, LogError> {
        let stream = self.stream(stream)?;
        let kept = held(&stream.kept);
        let seq = if subject.contains(['*', '>']) {
            let found = kept.newest.iter().filter(|(one, _)| matches(subject, one));
            found.map(|(_, seq)| *seq).max()
        } else {
            kept.newest.get(subject).copied()
        };
        Ok(seq.and_then(|seq| kept.at(seq)).cloned())
    }

    async fn get(&self, stream: &str, seq: u64) -> Result<Option<Message>, LogError> {
        let stream = self.stream(stream)?;
        Ok(held(&stream.kept).at(seq).cloned())
    }

    async fn commit(&self, stream: &str, batch: &[Outgoing]) -> Result<u64, LogError> {
        let stream = self.stream(stream)?;
        check(&stream.name, batch, self.payload_max)?;
        let at = (self.clock)();
        let last = held(&stream.kept).store(batch, at)?;
        stream.grown.notify_waiters();
        Ok(last)
    }

    fn payload_max(&self) -> usize {
        self.payload_max
    }
}

impl Kept {
    fn at(&self, seq: u64) -> Option<&Message> {
        let place = seq.checked_sub(self.gone)?.checked_sub(1)?;
        self.messages.get(usize::try_from(place).ok()?)
    }

    fn last(&self) -> u64 {
        self.gone + self.messages.len() as u64
    }

    /// Every fence is compared with what was there before the batch; then all is stored.
    fn store(&mut self, batch: &[Outgoing], at: i64) -> Result<u64, LogError> {
        for message in batch {
            let Some(expects) = message.expects else { continue };
            if self.newest.get(&message.subject).copied().unwrap_or(0) != expects {
                return Err(LogError::Fenced { subject: message.subject.clone() });
            }
        }
        self.messages.reserve(batch.len());
        for Outgoing { subject, headers, payload, rows, .. } in batch {
            let seq = self.last() + 1;
            // A subject is new once and seen again a thousand times.
            match self.newest.get_mut(subject.as_str()) {
                Some(newest) => *newest = seq,
                None => {
                    self.newest.insert(subject.clone(), seq);
                }
            }
            self.bytes += payload.len() as u64;
            let mut headers = headers.clone();
            headers.sort();
            let (subject, payload, rows) = (subject.clone(), payload.clone(), rows.clone());
            self.messages.push(Message { seq, subject, headers, payload, rows, at });
        }
        Ok(self.last())
    }
}

struct MemoryReader {
    log: MemoryLog,
    stream: Arc<Stream>,
    filters: Vec<String>,
    after: u64,
    cuts: u64,
    seen: Option<Message>,
}

#[async_trait]
impl Reader for MemoryReader {
    async fn next(&mut self, limit: ReadLimit, wait: Duration) -> Result<Vec<Message>, LogError> {
        let found = self.take(limit)?;
        if !found.is_empty() || wait.is_zero() {
            return Ok(found);
        }
        let deadline = tokio::time::Instant::now().checked_add(wait);
        let stream = self.stream.clone();
        loop {
            // Enlisted before looking, so that what is stored in between is not slept through.
            let mut grown = std::pin::pin!(stream.grown.notified());
            grown.as_mut().enable();
            let found = self.take(limit)?;
            if !found.is_empty() {
                return Ok(found);
            }
            match deadline {
                None => grown.await,
                Some(at) if tokio::time::timeout_at(at, grown).await.is_err() => {
                    return self.take(limit);
                }
                Some(_) => {}
            }
        }
    }
}

impl MemoryReader {
    fn take(&mut self, limit: ReadLimit) -> Result<Vec<Message>, LogError> {
        let now = self.log.stream(&self.stream.name)?;
        if !Arc::ptr_eq(&now, &self.stream) {
            return Err(LogError::Lost(format!("stream {:?} is another one now", now.name)));
        }
        let kept = held(&self.stream.kept);
        if kept.cuts != self.cuts {
            unchanged(&self.stream.name, self.after, self.seen.as_ref(), &kept)?;
            self.cuts = kept.cuts;
        }
        let (mut found, mut bytes) = (Vec::new(), 0);
        let Some(start) = self.after.checked_sub(kept.gone) else {
            let (name, after, gone) = (&self.stream.name, self.after, kept.gone);
            let what = format!("stream {name:?} begins behind {gone}, read was {after}");
            return Err(LogError::Lost(what));
        };
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        for message in kept.messages.get(start..).unwrap_or_default() {
            if wanted(&self.filters, &message.subject) {
                bytes += message.payload.len();
                let full = found.len() == limit.messages || bytes > limit.bytes;
                if full && !found.is_empty() {
                    break;
                }
                found.push(message.clone());
            }
            self.after = message.seq;
        }
        if let Some(message) = found.last() {
            self.seen = Some(message.clone());
        }
        Ok(found)
    }
}

/// After a cut, what was read last must still be there.
fn unchanged(name: &str, after: u64, seen: Option<&Message>, kept: &Kept) -> Result<(), LogError> {
    let last = kept.last();
    if last < after {
        return Err(LogError::Lost(format!("stream {name:?} ends at {last}, read was {after}")));
    }
    match seen {
        Some(seen) if kept.at(seen.seq) != Some(seen) => {
            let seq = seen.seq;
            Err(LogError::Lost(format!("stream {name:?} has another message at {seq} now")))
        }
        _ => Ok(()),
    }
}

fn wanted(filters: &[String], subject: &str) -> bool {
    filters.is_empty() || filters.iter().any(|filter| matches(filter, subject))
}

/// No writer leaves a stream half written, so a poisoned lock holds whole data.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
