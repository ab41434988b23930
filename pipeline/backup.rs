//! Streams into an object store, and back into an empty cluster.
//!
//! A backup is one moment: of each stream a beginning that ends with a whole commit, chosen so that
//! no cursor in it has read what is not in it. `statements` and `book` are taken as they stand;
//! `loans`, which reads the book as the book reads it, up to where its cursors go beyond that
//! book; what only feeds them as it stands afterwards.
//!
//! Objects hold messages one after the other, with a SHA-256 at their end; the manifest is written
//! last and names them all. Restored messages have their old sequences: where `trim` has removed
//! some, fillers take their places, which whoever restores removes again. Only cursors and
//! snapshots are changed: they name when their input was created, and that is now (A14).
//!
//! Snapshots are taken first, so that none is beyond a cursor of the moment. Restored, shards wake
//! from them; what of a stream was not trimmed could be replayed as well.

mod memory;
pub mod pack;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use recoup_sql::stages::STAGES;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cursor::Cursor;
use crate::log::{Log, LogError, Message, Outgoing, ReadLimit, size};
use crate::snapshot::{SnapshotError, Snapshots};
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
    /// Names of the objects that are snapshots.
    #[serde(default)]
    pub snapshots: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub messages: u64,
    pub bytes: u64,
    /// The last sequence: more than there are messages, where some were trimmed.
    #[serde(default)]
    pub last: u64,
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
    #[error("stream {0:?} has no message {1}, and was never trimmed: compare its copies")]
    Gap(String, u64),
    #[error("{0}; no snapshot that was backed up is of a later place: wait for one, back up again")]
    Trimmed(LogError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

/// Copies every stream, and every shard's snapshots. What moves meanwhile is in the next backup.
pub async fn backup(
    log: &dyn Log,
    snapshots: Option<&Snapshots>,
    shards: u32,
    store: &Arc<dyn ObjectStore>,
    folder: &Path,
) -> Result<Manifest, BackupError> {
    let place = Place { store, folder };
    let (names, reached) = memory::keep(&place, snapshots, shards).await?;
    let mut manifest = Manifest { snapshots: names, ..Manifest::default() };
    let mut read_of_loans = 0;
    let mut last_of_book = 0;
    for stream in ORDER {
        let state = log.state(stream).await?;
        let last = match stream {
            "loans" => moment(log, read_of_loans, last_of_book, state.last).await?,
            _ => state.last,
        };
        let (kept, read) = keep(log, stream, last, &place).await?;
        if stream == "book" {
            (read_of_loans, last_of_book) = (read, last);
        }
        manifest.streams.insert(stream.into(), kept);
    }
    memory::check(log, &reached, shards).await?;
    place.put(MANIFEST, manifest.sealed().into()).await?;
    Ok(manifest)
}

/// Where a backup is.
struct Place<'a> {
    store: &'a Arc<dyn ObjectStore>,
    folder: &'a Path,
}

impl Place<'_> {
    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), BackupError> {
        let path = self.folder.clone().join(name);
        self.store.put(&path, bytes.into()).await?;
        Ok(())
    }

    /// The path of an object, for telling, and its bytes.
    async fn get(&self, name: &str) -> Result<(String, Bytes), BackupError> {
        let path = self.folder.clone().join(name);
        let bytes = self.store.get(&path).await?.bytes().await?;
        Ok((path.to_string(), bytes))
    }
}

/// Copies a stream up to a sequence; answers also how far cursors in it have read the loans.
async fn keep(
    log: &dyn Log,
    stream: &str,
    last: u64,
    place: &Place<'_>,
) -> Result<(Kept, u64), BackupError> {
    let trimmed = log.last(stream, &format!("{stream}.trimmed.>")).await?.is_some();
    let (mut kept, mut read) = (Kept { last, ..Kept::default() }, 0);
    let mut reader = log.read(stream, &[], log.state(stream).await?.first - 1).await?;
    let mut seq = 0;
    // The last message of a stream may be one that was trimmed.
    let end = log.last(stream, &format!("{stream}.>")).await?.map_or(0, |newest| newest.seq);
    while seq < last.min(end) {
        let mut messages = reader.next(LIMIT, PATIENCE).await?;
        let Some(newest) = messages.last().map(|newest| newest.seq) else {
            return Err(LogError::Unavailable(format!("{stream} ends at {seq}")).into());
        };
        messages.retain(|message| message.seq <= last);
        let gap = (seq + 1..).zip(&messages).find(|(wanted, message)| message.seq != *wanted);
        if let Some((wanted, _)) = gap.filter(|_| !trimmed) {
            return Err(BackupError::Gap(stream.into(), wanted));
        }
        seq = newest;
        if messages.is_empty() {
            break;
        }
        read = messages.iter().filter_map(reads_loans).fold(read, u64::max);
        let name = format!("{stream}/{:020}.messages", kept.messages + 1);
        kept.messages += messages.len() as u64;
        kept.bytes += messages.iter().map(|one| one.payload.len() as u64).sum::<u64>();
        place.put(&name, pack(&messages).into()).await?;
        kept.objects.push(name);
    }
    Ok((kept, read))
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

/// Puts a backup into a cluster whose streams are there and empty, or not there. Fillers are left
/// on [`gone`] of each stream.
pub async fn restore(
    log: &dyn Log,
    snapshots: Option<&Snapshots>,
    store: &Arc<dyn ObjectStore>,
    folder: &Path,
) -> Result<Manifest, BackupError> {
    let place = Place { store, folder };
    let (path, bytes) = place.get(MANIFEST).await?;
    let manifest = Manifest::opened(&bytes).map_err(|what| BackupError::Torn { path, what })?;
    let mut created = BTreeMap::new();
    for stream in ORDER {
        log.create(stream).await?;
        let state = log.state(stream).await?;
        if state.last > 0 {
            return Err(BackupError::NotEmpty(stream.into()));
        }
        created.insert(stream, state.created);
    }
    memory::put_back(&place, snapshots, &manifest.snapshots, &created).await?;
    for (stream, kept) in &manifest.streams {
        let mut stored = 0;
        for name in &kept.objects {
            let (path, bytes) = place.get(name).await?;
            let messages = unpack(&path, &bytes)?;
            stored = put(log, stream, stored, messages, &created).await?;
        }
        stored = put_fillers(log, stream, stored, kept.last).await?;
        let wanted = kept.messages.max(kept.last);
        if stored != wanted {
            let (path, what) = (stream.clone(), format!("{stored} of {wanted} messages"));
            return Err(BackupError::Torn { path, what });
        }
    }
    Ok(manifest)
}

/// Where fillers stand for what was trimmed, until they are removed.
pub fn gone(stream: &str) -> String {
    format!("{stream}.gone")
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
    Outgoing { subject, headers, payload, rows: None, expects: None }
}

/// Stores messages in batches, each at its old sequence; answers with the last one.
async fn put(
    log: &dyn Log,
    stream: &str,
    mut last: u64,
    messages: Vec<Message>,
    created: &BTreeMap<&str, i64>,
) -> Result<u64, LogError> {
    let (mut batch, mut bytes) = (vec![], 0);
    for message in messages {
        let seq = message.seq;
        let outgoing = anew(message, created);
        let next = last + batch.len() as u64 + 1;
        bytes += size(&outgoing);
        let full = batch.len() == log.batch_messages_max() || bytes > BATCH_BYTES;
        if !batch.is_empty() && (full || seq > next) {
            last = log.commit(stream, &batch).await?;
            (batch, bytes) = (vec![], size(&outgoing));
        }
        if batch.is_empty() {
            last = put_fillers(log, stream, last, seq - 1).await?;
        }
        batch.push(outgoing);
    }
    if batch.is_empty() { Ok(last) } else { log.commit(stream, &batch).await }
}

/// Fills what was trimmed between two sequences.
async fn put_fillers(
    log: &dyn Log,
    stream: &str,
    mut last: u64,
    upto: u64,
) -> Result<u64, LogError> {
    let filler = Outgoing { subject: gone(stream), ..Outgoing::default() };
    while last < upto {
        let count = log.batch_messages_max().min((upto - last) as usize);
        last = log.commit(stream, &vec![filler.clone(); count]).await?;
    }
    Ok(last)
}
