//! The log: the only memory there is.
//!
//! Streams of messages in one order, read from a place, written in atomic batches with a fence
//! on any member. [`memory`] keeps them in this process; [`jetstream`] in a NATS server. Both pass
//! the same contract tests, `tests/log/`.

pub mod broker;
pub mod copies;
mod follow;
pub mod jetstream;
mod link;
pub mod memory;
mod terms;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::arrow::record_batch::RecordBatch;

/// A stored message. `at` is the instant it was stored, microseconds UTC.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub seq: u64,
    pub subject: String,
    pub headers: Vec<(String, String)>,
    pub payload: Bytes,
    /// What was said, where it never left this process; the payload is then empty.
    pub rows: Option<RecordBatch>,
    pub at: i64,
}

/// A message to be stored. With `expects`, its batch is refused unless the last message of this
/// subject has that sequence (0: there is none).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outgoing {
    pub subject: String,
    pub headers: Vec<(String, String)>,
    pub payload: Bytes,
    /// Rows that only a log in this process takes, in place of a payload.
    pub rows: Option<RecordBatch>,
    pub expects: Option<u64>,
}

/// What is known of a stream. `created` is its creation time in nanoseconds: another creation is
/// another stream (A14). `first` and `last` are sequences; an empty stream has `first = last + 1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamState {
    pub created: i64,
    pub first: u64,
    pub last: u64,
    pub bytes: u64,
    pub messages: u64,
}

/// How much one read may bring.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimit {
    pub messages: usize,
    pub bytes: usize,
}

/// Why the log did not do what was asked, by what to do next.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A fence of this batch did not hold: nothing was stored. Read the cursors again.
    #[error("a newer cursor stands on {subject}")]
    Fenced { subject: String },
    /// No answer, or a doubtful one. Ask the log what happened, then continue.
    #[error("the log did not answer: {0}")]
    Unavailable(String),
    /// More than one atomic batch can hold. Cut it smaller.
    #[error("{what} exceeds what one batch can hold ({limit})")]
    TooLarge { what: String, limit: usize },
    /// The log is not as the program needs it. A person must act; the text says how.
    #[error("{what}; {hint}")]
    Unfit { what: String, hint: String },
    /// The log ends before our place, begins after it, or is not the one we read (A14).
    #[error("lost history: {0}")]
    Lost(String),
}

/// A stream being read, in order, over some of its subjects.
#[async_trait]
pub trait Reader: Send {
    /// The next messages. Waits up to `wait` for the first; an empty answer means nothing came.
    async fn next(&mut self, limit: ReadLimit, wait: Duration) -> Result<Vec<Message>, LogError>;
}

/// Streams of messages in one order each.
#[async_trait]
pub trait Log: Send + Sync {
    /// Creates a stream over `<stream>.>` if it is missing; one that is there must be fit.
    async fn create(&self, stream: &str) -> Result<(), LogError>;
    /// What is known of a stream; checks that it is fit.
    async fn state(&self, stream: &str) -> Result<StreamState, LogError>;
    /// Reads what lies behind `after` and matches any of `filters` (all, where empty).
    /// Wildcards as in NATS: `*` for a token, `>` for the rest.
    async fn read(
        &self,
        stream: &str,
        filters: &[String],
        after: u64,
    ) -> Result<Box<dyn Reader>, LogError>;
    /// The newest message of a subject, or of all that a wildcard matches, asked of the stream's
    /// leader.
    async fn last(&self, stream: &str, subject: &str) -> Result<Option<Message>, LogError>;
    /// The message at a sequence, asked of the stream's leader.
    async fn get(&self, stream: &str, seq: u64) -> Result<Option<Message>, LogError>;
    /// Stores all of the messages or none; answers with the sequence of the last.
    async fn commit(&self, stream: &str, batch: &[Outgoing]) -> Result<u64, LogError>;
    /// The most bytes one message may have, headers included.
    fn payload_max(&self) -> usize;
    /// The most messages one commit may have.
    fn batch_messages_max(&self) -> usize {
        BATCH_MESSAGES_MAX
    }
}

/// The most messages one atomic batch may have, a limit of the broker.
pub const BATCH_MESSAGES_MAX: usize = 1_000;

/// The most bytes one atomic batch may have. The broker names no limit, but it keeps an open batch
/// in memory and drops a client that has 64 MiB on the way: half of that is safe on any road.
pub const BATCH_BYTES_MAX: usize = 32 << 20;

/// How many bytes a message takes on the wire, headers included.
pub fn size(message: &Outgoing) -> usize {
    let headers = message.headers.iter().map(|(name, value)| name.len() + value.len() + 4);
    message.payload.len() + headers.sum::<usize>() + message.subject.len()
}

/// Whether a subject matches a filter: `*` stands for one token, `>` for one or more at the end.
pub fn matches(filter: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for wanted in filter.split('.') {
        match (wanted, tokens.next()) {
            (">", Some(_)) => return true,
            (_, None) => return false,
            ("*", Some(_)) => {}
            (wanted, Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

/// What any log asks of a batch before it takes it.
fn check(stream: &str, batch: &[Outgoing], payload_max: usize) -> Result<(), LogError> {
    assert!(!batch.is_empty(), "a commit stores something");
    if batch.len() > BATCH_MESSAGES_MAX {
        let what = format!("a batch of {} messages", batch.len());
        return Err(LogError::TooLarge { what, limit: BATCH_MESSAGES_MAX });
    }
    if let Some(message) = batch.iter().find(|message| size(message) > payload_max) {
        let what = format!("a message of {} bytes on {}", size(message), message.subject);
        return Err(LogError::TooLarge { what, limit: payload_max });
    }
    let bytes = batch.iter().map(size).sum::<usize>();
    if batch.len() > 1 && bytes > BATCH_BYTES_MAX {
        let what = format!("a batch of {bytes} bytes");
        return Err(LogError::TooLarge { what, limit: BATCH_BYTES_MAX });
    }
    match batch.iter().find(|message| !proper(stream, message)) {
        None => Ok(()),
        Some(message) => Err(LogError::Unfit {
            what: format!("{:?} is not a message for stream {stream:?}", message.subject),
            hint: format!("subjects start with \"{stream}.\", headers hold one line each"),
        }),
    }
}

fn proper(stream: &str, message: &Outgoing) -> bool {
    let within = message.subject.strip_prefix(stream).is_some_and(|rest| rest.starts_with('.'));
    let plain = message.subject.split('.').all(|token| {
        !token.is_empty() && !token.contains(|c: char| c.is_whitespace() || c == '*' || c == '>')
    });
    let lines = message.headers.iter().all(|(name, value)| {
        let word = |c: char| c.is_ascii_graphic() && c != ':';
        !name.is_empty() && name.chars().all(word) && !value.contains(['\r', '\n'])
    });
    within && plain && lines
}

fn missing(stream: &str) -> LogError {
    LogError::Unfit {
        what: format!("stream {stream:?} is missing"),
        hint: "create the streams with `recoup init`".to_owned(),
    }
}
