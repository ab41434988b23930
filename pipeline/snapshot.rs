//! Snapshots of a shard's memory, kept where `object_store` can reach: a folder by default.
//!
//! One object per shard and place: a magic, a header in JSON, then the tables as Arrow IPC streams
//! one after the other, then the SHA-256 of all of it. The header names the place in the log and
//! the running digests there. A cut or flipped byte is noticed, and an older snapshot is taken.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::record_batch::RecordBatch;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::group::Group;
use crate::rows::{self, Packing};

const MAGIC: &[u8; 8] = b"recoup-2";
/// Bytes of the SHA-256 at the end.
const SEAL: usize = 32;
/// How many snapshots of a shard are kept.
const KEPT: usize = 2;

/// What stands before the tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub stage: String,
    pub shard: u32,
    /// The memory has read up to here.
    pub seq: u64,
    /// When the input stream was created; another creation is another stream.
    pub input_created: i64,
    /// Running digests of what was said, by relation and shard addressed.
    pub said: BTreeMap<String, u64>,
    pub program: u64,
    /// Bytes of each table, by operator; the last group is the reference tables.
    tables: Vec<Vec<usize>>,
    /// Names of the reference tables.
    references: Vec<String>,
}

/// A snapshot in memory.
pub struct Snapshot {
    pub header: Header,
    pub tables: Vec<Vec<RecordBatch>>,
    pub references: Vec<(String, RecordBatch)>,
}

/// Why bytes are not a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("snapshot {path}: {what}")]
    Torn { path: String, what: String },
    #[error("snapshots: {0}")]
    Store(#[from] object_store::Error),
}

/// The bytes of a shard's snapshot, as its memory stands.
pub fn encode(group: &Group, number: u32) -> Option<(Header, Bytes)> {
    let shard = group.shards.get(&number)?;
    let references = group.stage.references();
    let mut body = vec![];
    let mut tables = vec![];
    let mut groups = group.memories.save(number);
    groups.push(references.iter().map(|(_, rows)| rows.clone()).collect());
    for operator in groups {
        let mut lengths = vec![];
        for table in operator {
            let before = body.len();
            for payload in rows::encode(&table, Packing::Lz4, usize::MAX) {
                body.extend_from_slice(&payload);
            }
            lengths.push(body.len() - before);
        }
        tables.push(lengths);
    }
    let header = Header {
        stage: group.stage.shape.name.into(),
        shard: number,
        seq: shard.read,
        input_created: shard.cursor.input_created,
        said: shard.said.clone(),
        program: group.stage.program,
        tables,
        references: references.into_iter().map(|(name, _)| name).collect(),
    };
    let bytes = seal(&header, &body)?;
    Some((header, bytes))
}

fn seal(header: &Header, body: &[u8]) -> Option<Bytes> {
    let json = serde_json::to_vec(header).ok()?;
    let mut bytes = Vec::with_capacity(12 + json.len() + body.len() + SEAL);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&(json.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&json);
    bytes.extend_from_slice(body);
    let seal = Sha256::digest(&bytes);
    bytes.extend_from_slice(&seal);
    Some(bytes.into())
}

/// The same memory for an input that was created anew, at another instant.
pub fn moved(path: &str, bytes: &Bytes, created: i64) -> Result<(Header, Bytes), SnapshotError> {
    let (header, body) = open(path, bytes)?;
    let header = Header { input_created: created, ..header };
    let torn = || SnapshotError::Torn { path: path.into(), what: "it has no header".into() };
    let bytes = seal(&header, &body).ok_or_else(torn)?;
    Ok((header, bytes))
}

/// Header and tables of a snapshot; every byte is checked.
pub fn open(path: &str, bytes: &Bytes) -> Result<(Header, Bytes), SnapshotError> {
    let torn = |what: &str| SnapshotError::Torn { path: path.into(), what: what.into() };
    if bytes.len() < 12 + SEAL || &bytes[..8] != MAGIC {
        return Err(torn("it does not begin as a snapshot does"));
    }
    let sealed = bytes.len() - SEAL;
    if Sha256::digest(&bytes[..sealed])[..] != bytes[sealed..] {
        return Err(torn("its bytes are not those that were written"));
    }
    let bytes = bytes.slice(..sealed);
    let length = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize;
    let Some(json) = bytes.get(12..12 + length) else { return Err(torn("its header is cut")) };
    let header: Header =
        serde_json::from_slice(json).map_err(|error| torn(&format!("its header: {error}")))?;
    Ok((header, bytes.slice(12 + length..)))
}

/// Reads a snapshot back.
pub fn decode(path: &str, bytes: &Bytes) -> Result<Snapshot, SnapshotError> {
    let torn = |what: &str| SnapshotError::Torn { path: path.into(), what: what.into() };
    let (header, body) = open(path, bytes)?;
    let mut groups = vec![];
    let mut at = 0;
    for lengths in &header.tables {
        let mut tables = vec![];
        for length in lengths {
            let end = length.checked_add(at).filter(|end| *end <= body.len());
            let end = end.ok_or_else(|| torn("a table is cut"))?;
            let batches =
                rows::decode(&body.slice(at..end)).map_err(|error| torn(&error.to_string()))?;
            tables.push(batches.into_iter().next().ok_or_else(|| torn("a table is empty"))?);
            at = end;
        }
        groups.push(tables);
    }
    let references = groups.pop().ok_or_else(|| torn("it has no reference tables"))?;
    let references = header.references.iter().cloned().zip(references).collect();
    Ok(Snapshot { header, tables: groups, references })
}

/// Whether a snapshot is one to wake from.
pub enum Fit {
    Yes,
    /// It is of another place than the one wanted.
    No,
    /// It should have been, and is not.
    Because(String),
}

/// The store and the place in it of `file:///folder`, a plain folder, `s3://bucket/prefix`,
/// `gs://…` or `az://…`.
pub fn store_at(url: &str) -> Result<(Arc<dyn ObjectStore>, Path), String> {
    let parsed = if url.contains("://") {
        url::Url::parse(url).map_err(|error| format!("{url}: {error}"))?
    } else {
        let folder = std::path::absolute(url).map_err(|error| format!("{url}: {error}"))?;
        std::fs::create_dir_all(&folder).map_err(|error| format!("{url}: {error}"))?;
        url::Url::from_file_path(&folder).map_err(|()| format!("{url} is no folder"))?
    };
    let options = std::env::vars().map(|(name, value)| (name.to_lowercase(), value));
    let (store, prefix) = object_store::parse_url_opts(&parsed, options)
        .map_err(|error| format!("{url}: {error}"))?;
    Ok((store.into(), prefix))
}

/// Where snapshots are kept.
#[derive(Clone, Debug)]
pub struct Snapshots {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl Snapshots {
    /// As [`store_at`] takes it.
    pub fn open(url: &str) -> Result<Self, String> {
        let (store, prefix) = store_at(url)?;
        Ok(Snapshots { store, prefix })
    }

    /// Over a store that somebody else has opened.
    pub fn over(store: Arc<dyn ObjectStore>) -> Self {
        Snapshots { store, prefix: Path::default() }
    }

    fn folder(&self, stage: &str, shard: u32) -> Path {
        self.prefix.clone().join(stage).join(shard.to_string())
    }

    /// Stores a snapshot and removes those that nobody needs any more.
    pub async fn put(&self, header: &Header, bytes: Bytes) -> Result<(), SnapshotError> {
        self.put_into(self.folder(&header.stage, header.shard), header.seq, bytes).await
    }

    /// Stores what is no shard's under a name of its own, as [`Snapshots::put`] does.
    pub async fn put_of(&self, what: &str, seq: u64, bytes: Bytes) -> Result<(), SnapshotError> {
        self.put_into(self.prefix.clone().join(what), seq, bytes).await
    }

    /// What is stored under such a name, oldest first.
    pub async fn paths_of(&self, what: &str) -> Result<Vec<Path>, SnapshotError> {
        self.list(&self.prefix.clone().join(what)).await
    }

    pub async fn read(&self, path: &Path) -> Result<Bytes, SnapshotError> {
        Ok(self.store.get(path).await?.bytes().await?)
    }

    async fn put_into(&self, folder: Path, seq: u64, bytes: Bytes) -> Result<(), SnapshotError> {
        let path = folder.clone().join(format!("{seq:020}.snapshot"));
        self.store.put(&path, bytes.into()).await?;
        let mut kept = self.list(&folder).await?;
        while kept.len() > KEPT {
            self.store.delete(&kept.remove(0)).await?;
        }
        Ok(())
    }

    /// The newest snapshot that verifies and fits; the second answer tells of those that should
    /// have been taken and were not.
    pub async fn newest(
        &self,
        stage: &str,
        shard: u32,
        fits: &(dyn Fn(&Header) -> Fit + Sync),
    ) -> Result<(Option<Snapshot>, Vec<String>), SnapshotError> {
        let mut passed_over = vec![];
        for path in self.list(&self.folder(stage, shard)).await?.into_iter().rev() {
            let bytes = match self.store.get(&path).await {
                // Whoever owned the shard a moment ago has tidied up.
                Err(object_store::Error::NotFound { .. }) => continue,
                found => found?.bytes().await?,
            };
            match decode(path.as_ref(), &bytes) {
                Err(error) => passed_over.push(error.to_string()),
                Ok(found) if found.header.stage != stage || found.header.shard != shard => {
                    passed_over.push(format!("snapshot {path}: it is of another shard"));
                }
                Ok(found) => match fits(&found.header) {
                    Fit::Yes => return Ok((Some(found), passed_over)),
                    Fit::No => {}
                    Fit::Because(why) => passed_over.push(format!("snapshot {path}: {why}")),
                },
            }
        }
        Ok((None, passed_over))
    }

    /// The bytes of those of a shard that verify.
    pub async fn whole(
        &self,
        stage: &str,
        shard: u32,
    ) -> Result<Vec<(Header, Bytes)>, SnapshotError> {
        let mut whole = vec![];
        for path in self.list(&self.folder(stage, shard)).await? {
            let bytes = match self.store.get(&path).await {
                Err(object_store::Error::NotFound { .. }) => continue,
                found => found?.bytes().await?,
            };
            whole.extend(open(path.as_ref(), &bytes).ok().map(|(header, _)| (header, bytes)));
        }
        Ok(whole)
    }

    async fn list(&self, folder: &Path) -> Result<Vec<Path>, SnapshotError> {
        let found: Vec<_> = self.store.list(Some(folder)).try_collect().await?;
        let mut paths: Vec<Path> = found.into_iter().map(|meta| meta.location).collect();
        paths.retain(|path| path.as_ref().ends_with(".snapshot"));
        paths.sort();
        Ok(paths)
    }
}
