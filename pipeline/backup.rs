//! Streams into an object store, and back into an empty cluster.
//!
//! A backup is one moment: of each stream a beginning that ends with a whole commit, chosen so that
//! no cursor in it has read what is not in it. `statements` and `book` are taken as they stand;
//! `loans`, which reads the book as the book reads it, up to where its cursors go beyond that
//! book; what only feeds them as it stands afterwards.
//!
//! Objects hold messages one after the other, with a SHA-256 at their end; the manifest is written
//! last and names them all. Restored messages have their old sequences. Only cursors are changed:
//! they name when their input was created, and that is now (A14). Memory is replayed.

pub mod pack;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use recoup_sql::stages::STAGES;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cursor::Cursor;
use crate::log::{Log, LogError, Message, Outgoing, ReadLimit, size};
use pack::{pack, unpack};

/// Whoever is read comes after whoever reads: a cursor never names what is not there yet.
const ORDER: [&str; 5] = ["statements", "book", "loans", "reports", "intake"];
const LIMIT: ReadLimit = ReadLimit { messages: 4_096, bytes: 16 << 20 };
const PATIENCE: Duration = Duration::from_secs(10);
const MANIFEST: &str = "manifest.json";
/// What one restoring batch holds at most.
const BATCH_BYTES: usize = 8 << 20;

/// What a backup has of each stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub streams: BTreeMap<String, Kept>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub messages: u64,
    pub bytes: u64,
    /// Names of its objects, in order.
    pub objects: Vec<String>,
}

impl Manifest {
    /// JSON, and a last line with its SHA-256.
    fn sealed(&self) -> Vec<u8> {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        let seal = seal_of(&text);
        text += "\n";
        text += &seal;
        text.into_bytes()
    }

    /// What [`Manifest::sealed`] wrote.
    fn opened(bytes: &[u8]) -> Result<Manifest, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let (json, seal) = text.rsplit_once('\n').ok_or("it has no seal")?;
        if seal_of(json) != seal {
            return Err("its bytes are not those that were written".into());
        }
        serde_json::from_str(json).map_err(|error| error.to_string())
    }
}

fn seal_of(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why there is no backup, or nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("object store: {0}")]
    Store(#[from] object_store::Error),
    #[error("backup object {path}: {what}")]
    Torn { path: String, what: String },
    #[error("stream {0:?} is not empty: restore into streams that nobody has written")]
    NotEmpty(String),
    #[error("stream {0:?} begins at {1}: what `trim` removed cannot be restored in its place")]
    Trimmed(String, u64),
}

/// Copies every stream. What moves meanwhile is in the next backup.
pub async fn backup(
    log: &dyn Log,
    store: &Arc<dyn ObjectStore>,
    folder: &Path,
) -> Result<Manifest, BackupError> {
    let mut manifest = Manifest::default();
    let mut read_of_loans = 0;
    let mut last_of_book = 0;
    for stream in ORDER {
        let state = log.state(stream).await?;
        if state.first > 1 {
            return Err(BackupError::Trimmed(stream.into(), state.first));
        }
        let last = match stream {
            "loans" => moment(log, read_of_loans, last_of_book, state.last).await?,
            _ => state.last,
        };
        let mut kept = Kept::default();
        let mut reader = log.read(stream, &[], 0).await?;
        let mut seq = 0;
        while seq < last {
            let mut messages = reader.next(LIMIT, PATIENCE).await?;
            messages.retain(|message| message.seq <= last);
            let Some(newest) = messages.last() else {
                return Err(LogError::Unavailable(format!("{stream} ends at {seq}")).into());
            };
            gapless(stream, seq, &messages)?;
            seq = newest.seq;
            if stream == "book" {
                read_of_loans =
                    messages.iter().filter_map(reads_loans).fold(read_of_loans, u64::max);
            }
            let name = format!("{stream}/{:020}.messages", kept.messages + 1);
            kept.messages += messages.len() as u64;
            kept.bytes += messages.iter().map(|one| one.payload.len() as u64).sum::<u64>();
            store.put(&folder.clone().join(name.as_str()), pack(&messages).into()).await?;
            kept.objects.push(name);
        }
        if stream == "book" {
            last_of_book = last;
        }
        manifest.streams.insert(stream.into(), kept);
    }
    store.put(&folder.clone().join(MANIFEST), manifest.sealed().into()).await?;
    Ok(manifest)
}

fn gapless(stream: &str, before: u64, messages: &[Message]) -> Result<(), BackupError> {
    let mut wanted = before + 1..;
    match messages.iter().find(|message| Some(message.seq) != wanted.next()) {
        None => Ok(()),
        Some(message) => Err(BackupError::Trimmed(stream.into(), message.seq)),
    }
}

/// How far a cursor in the book has read the loans.
fn reads_loans(message: &Message) -> Option<u64> {
    let ours = message.subject.starts_with("book.cursor.");
    let cursor = Cursor::decode(&message.payload).filter(|_| ours)?;
    Some(cursor.seq.max(cursor.until))
}

/// Where to end `loans`: behind what the book has read of it, at the end of a commit, and before
/// anybody there has read more of the book than is kept.
async fn moment(log: &dyn Log, read: u64, book: u64, last: u64) -> Result<u64, LogError> {
    let mut reader = log.read("loans", &[], 0).await?;
    let (mut seq, mut end) = (0, 0);
    let mut in_cursors = false;
    while seq < last {
        let messages = reader.next(LIMIT, PATIENCE).await?;
        if messages.is_empty() {
            return Err(LogError::Unavailable(format!("loans ends at {seq}")));
        }
        for message in messages.iter().take_while(|message| message.seq <= last) {
            let cursor = Cursor::decode(&message.payload)
                .filter(|_| message.subject.starts_with("loans.cursor."));
            // A commit ends with its cursors: what comes behind them is another one.
            if in_cursors && cursor.is_none() {
                end = seq;
            }
            let beyond =
                |cursor: &Cursor| cursor.stage == "clear" && cursor.seq.max(cursor.until) > book;
            if cursor.as_ref().is_some_and(beyond) {
                return Ok(end.max(read));
            }
            in_cursors = cursor.is_some();
            seq = message.seq;
        }
        seq = seq.max(messages.last().map_or(seq, |message| message.seq));
    }
    Ok(last)
}

/// Puts a backup into a cluster whose streams are there and empty.
pub async fn restore(
    log: &dyn Log,
    store: &Arc<dyn ObjectStore>,
    folder: &Path,
) -> Result<Manifest, BackupError> {
    let path = folder.clone().join(MANIFEST);
    let bytes = store.get(&path).await?.bytes().await?;
    let manifest = Manifest::opened(&bytes)
        .map_err(|what| BackupError::Torn { path: path.to_string(), what })?;
    let mut created = BTreeMap::new();
    for stream in ORDER {
        log.create(stream).await?;
        let state = log.state(stream).await?;
        if state.last > 0 {
            return Err(BackupError::NotEmpty(stream.into()));
        }
        created.insert(stream, state.created);
    }
    for (stream, kept) in &manifest.streams {
        let mut stored = 0;
        for name in &kept.objects {
            let path = folder.clone().join(name.as_str());
            let bytes = store.get(&path).await?.bytes().await?;
            let messages = unpack(path.as_ref(), &bytes)?;
            let outgoing = messages.into_iter().map(|message| anew(message, &created));
            stored = put(log, stream, outgoing.collect()).await?;
        }
        if stored != kept.messages {
            let (path, what) = (stream.clone(), format!("{stored} of {} messages", kept.messages));
            return Err(BackupError::Torn { path, what });
        }
    }
    Ok(manifest)
}

/// A message as it is stored again: a cursor names the new creation of what it reads.
fn anew(message: Message, created: &BTreeMap<&str, i64>) -> Outgoing {
    let Message { subject, headers, payload, .. } = message;
    let is_cursor = subject.split('.').nth(1) == Some("cursor");
    let cursor = Cursor::decode(&payload).filter(|_| is_cursor);
    let read = cursor.as_ref().and_then(|cursor| {
        let shape = STAGES.iter().find(|shape| shape.name == cursor.stage)?;
        created.get(shape.reads)
    });
    let payload = match (cursor, read) {
        (Some(cursor), Some(created)) => Cursor { input_created: *created, ..cursor }.encode(),
        _ => payload,
    };
    Outgoing { subject, headers, payload, expects: None }
}

/// Stores messages in batches; answers with the last sequence.
async fn put(log: &dyn Log, stream: &str, messages: Vec<Outgoing>) -> Result<u64, LogError> {
    let (mut batch, mut bytes, mut last) = (vec![], 0, 0);
    for message in messages {
        bytes += size(&message);
        if !batch.is_empty() && (batch.len() == log.batch_messages_max() || bytes > BATCH_BYTES) {
            last = log.commit(stream, &batch).await?;
            (batch, bytes) = (vec![], size(&message));
        }
        batch.push(message);
    }
    if batch.is_empty() { Ok(last) } else { log.commit(stream, &batch).await }
}
