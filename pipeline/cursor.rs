//! Where a shard stands: the only record of progress (A7).
//!
//! A cursor is stored in the same atomic batch as everything its step said, and only on top of the
//! cursor that its owner wrote last. It says how far the input is read, which input that was, and
//! what has been said, so that a log which was cut or written anew behind us is noticed (A14).

use serde::{Deserialize, Serialize};

use recoup_operators::memory::hash_bytes;

use crate::log::{BATCH_MESSAGES_MAX, Log, LogError, Message, Outgoing};

/// The last message of a shard's cursor subject.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    pub stage: String,
    pub shard: u32,
    /// The name of the worker that wrote it.
    pub owner: String,
    /// Of that worker's process, so that two of one name are told apart.
    pub nonce: u64,
    /// How the shard came to its owner, or to be nobody's, in words.
    #[serde(default)]
    pub why: String,
    /// Counts the commits of a shard; a commit that is sent again keeps its number.
    pub number: u64,
    /// The input sequence read to: everything up to it is answered.
    pub seq: u64,
    /// How many messages of the step over (`seq`, `until`] are stored already. Zero but while
    /// a step that says more than one batch can hold is being stored; `crate::commit` tells how.
    pub sent: u64,
    /// The last input sequence of that step; zero where `sent` is.
    pub until: u64,
    /// When the input stream was created, in nanoseconds.
    pub input_created: i64,
    /// [`digest`] of the input message at `seq`; zero where nothing was read yet.
    pub input_digest: u64,
    /// Running digest of all rows said.
    pub said: u64,
    /// Digest of the program that said them.
    pub program: u64,
}

impl Cursor {
    /// As stored.
    pub fn encode(&self) -> bytes::Bytes {
        // A struct of numbers and texts always has a JSON form.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// As read; `None` if these are not the bytes of a cursor.
    pub fn decode(bytes: &[u8]) -> Option<Cursor> {
        serde_json::from_slice(bytes).ok()
    }
}

/// The subject of a shard's cursor.
pub fn subject(out: &str, stage: &str, shard: u32) -> String {
    format!("{out}.cursor.{stage}.{shard}")
}

/// What a message was, in eight bytes: its subject and its payload.
pub fn digest(message: &Message) -> u64 {
    let subject = hash_bytes(message.subject.as_bytes());
    let payload = hash_bytes(&message.payload);
    hash_bytes(&[subject.to_le_bytes(), payload.to_le_bytes()].concat())
}

/// A shard's cursor and its sequence, asked of the leader. Cursors never vanish (A16).
pub async fn read(log: &dyn Log, out: &str, subject: &str) -> Result<(u64, Cursor), LogError> {
    let Some(message) = log.last(out, subject).await? else {
        return Err(absent(out, subject));
    };
    let Some(cursor) = Cursor::decode(&message.payload) else {
        let seq = message.seq;
        return Err(LogError::Lost(format!("message {seq} on {subject} is not a cursor")));
    };
    Ok((message.seq, cursor))
}

/// Writes the first cursor of every shard of a stage, all of them at once. Where they are, they
/// stay; where only some are, history is lost (A16).
pub async fn begin(log: &dyn Log, out: &str, first: &Cursor, shards: u32) -> Result<(), LogError> {
    let subjects = (0..shards).map(|shard| subject(out, &first.stage, shard)).collect::<Vec<_>>();
    let missing = absent_of(log, out, &subjects).await?;
    if missing.is_empty() {
        return Ok(());
    }
    if missing.len() < subjects.len() {
        // Unless another process has written them all in between.
        return match absent_of(log, out, &subjects).await?.first() {
            None => Ok(()),
            Some(shard) => Err(absent(out, &subjects[*shard])),
        };
    }
    let first_ones = subjects.into_iter().zip(0..).map(|(subject, shard)| {
        let payload = Cursor { shard, ..first.clone() }.encode();
        Outgoing { subject, headers: Vec::new(), payload, rows: None, expects: Some(0) }
    });
    let first_ones = first_ones.collect::<Vec<_>>();
    if first_ones.len() > BATCH_MESSAGES_MAX {
        let what = format!("a stage of {shards} shards");
        return Err(LogError::TooLarge { what, limit: BATCH_MESSAGES_MAX });
    }
    match log.commit(out, &first_ones).await {
        // Another process was faster: then they are there.
        Ok(_) | Err(LogError::Fenced { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn absent_of(log: &dyn Log, out: &str, subjects: &[String]) -> Result<Vec<usize>, LogError> {
    let mut found = Vec::new();
    for (shard, subject) in subjects.iter().enumerate() {
        if log.last(out, subject).await?.is_none() {
            found.push(shard);
        }
    }
    Ok(found)
}

pub(crate) fn absent(out: &str, subject: &str) -> LogError {
    LogError::Lost(format!(
        "stream {out:?} has no cursor on {subject}: it was removed, or this is another stream; \
         restore it, or begin with new streams"
    ))
}

/// Whether the input stream is still the one this cursor read (A14).
pub async fn check_place(log: &dyn Log, input: &str, cursor: &Cursor) -> Result<(), LogError> {
    let state = log.state(input).await?;
    let lost = |what: String| {
        let Cursor { stage, shard, .. } = cursor;
        Err(LogError::Lost(format!("stream {input:?} {what} ({stage} shard {shard})")))
    };
    if state.created != cursor.input_created {
        return lost(format!(
            "was created at {}, the one read at {}",
            state.created, cursor.input_created
        ));
    }
    let read = cursor.seq.max(cursor.until);
    if state.last < read {
        return lost(format!("ends at {}, already read is {read}", state.last));
    }
    if state.first > cursor.seq + 1 {
        return lost(format!("begins at {}, next to read is {}", state.first, cursor.seq + 1));
    }
    if cursor.seq == 0 {
        return Ok(());
    }
    match log.get(input, cursor.seq).await? {
        Some(message) if digest(&message) == cursor.input_digest => Ok(()),
        Some(_) => lost(format!("holds another message at {} than was read", cursor.seq)),
        None => lost(format!("no longer holds message {}, the last one read", cursor.seq)),
    }
}
