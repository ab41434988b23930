//! What the room knows, kept where shards keep their snapshots, so that a restart reads on.
//!
//! One object: a magic, SHA-256 of the rest, a header in JSON (how far each stream was read, the
//! standing of every shard), then each relation as an Arrow IPC stream. It is a convenience:
//! torn, or of streams that are not these, it is left alone and the streams are read anew.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::CompressionType;
use datafusion::arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use recoup_operators::memory::table::Snapshot;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use super::relations::Relations;
use super::room::{Progress, Room, Standing};
use crate::log::{Log, LogError};
use crate::rows;
use crate::snapshot::Snapshots;

const MAGIC: &[u8; 8] = b"recoup-r";
/// Where the room's snapshots are, beside those of the stages.
const FOLDER: &str = "room";

const DIGEST: usize = 32;
/// Where begins what the digest is of.
const REST: usize = MAGIC.len() + DIGEST;

/// What stands before the relations.
#[derive(Serialize, Deserialize)]
struct Header {
    streams: BTreeMap<String, Progress>,
    shards: Vec<(String, u32, Standing)>,
    /// Names, and bytes of each.
    relations: Vec<(String, usize)>,
}

/// Everything the room knows at one moment.
pub(super) struct Kept {
    pub streams: BTreeMap<String, Progress>,
    pub shards: Vec<(String, u32, Standing)>,
    pub relations: Vec<(String, Arc<Snapshot>)>,
}

impl Kept {
    /// Grows with everything that is read.
    fn read(&self) -> u64 {
        self.streams.values().map(|progress| progress.read).sum()
    }
}

/// A room as it was kept, if there is one that fits this log; else an empty one.
pub async fn restore(log: &dyn Log, snapshots: Option<&Snapshots>) -> Room {
    let Some(snapshots) = snapshots else { return Room::new() };
    let paths = match snapshots.paths_of(FOLDER).await {
        Ok(paths) => paths,
        Err(error) => {
            warn!(%error, "reading every stream anew");
            return Room::new();
        }
    };
    for path in paths.into_iter().rev() {
        let read = snapshots.read(&path).await.map_err(|error| error.to_string());
        let decoded = match read {
            Ok(bytes) => decode(&bytes),
            Err(error) => Err(error),
        };
        match decoded {
            Ok((header, relations)) if fits(log, &header.streams).await => {
                let read: u64 = header.streams.values().map(|progress| progress.read).sum();
                info!(read, "room as it was kept");
                return Room::of(header.streams, header.shards, relations);
            }
            Ok(_) => warn!(path = path.as_ref(), "of other streams, left alone"),
            Err(error) => warn!(path = path.as_ref(), error, "an older snapshot is taken"),
        }
    }
    Room::new()
}

/// How far the older of the kept copies that verify has read a stream; `None`: there is none.
pub async fn kept_upto(snapshots: &Snapshots, stream: &str) -> Option<u64> {
    let mut least = None;
    for path in snapshots.paths_of(FOLDER).await.ok()? {
        let Ok(bytes) = snapshots.read(&path).await else { continue };
        let Ok((header, _)) = decode(&bytes) else { continue };
        let read = header.streams.get(stream).map_or(0, |progress| progress.read);
        least = Some(least.map_or(read, |least: u64| least.min(read)));
    }
    least
}

/// Whether these are the streams that were read, and still that long (A14).
async fn fits(log: &dyn Log, streams: &BTreeMap<String, Progress>) -> bool {
    for (name, progress) in streams {
        let state: Result<_, LogError> = log.state(name).await;
        let same = |created: i64, last: u64| created == progress.created && last >= progress.read;
        if !state.is_ok_and(|state| same(state.created, state.last)) {
            return false;
        }
    }
    true
}

/// Keeps the room again and again, whenever it has read on.
pub async fn keep(room: &Arc<Room>, snapshots: &Snapshots, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        save(room, snapshots).await;
    }
}

/// Keeps the room as it is now. Failing costs a longer restart, nothing else.
pub async fn save(room: &Arc<Room>, snapshots: &Snapshots) {
    let kept = room.kept();
    let read = kept.read();
    if read == 0 {
        return;
    }
    let encoded = tokio::task::spawn_blocking(move || encode(&kept)).await;
    let bytes = match encoded.map_err(|error| error.to_string()) {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => return warn!(%error, "room not kept"),
        Err(error) => return warn!(error, "room not kept"),
    };
    let size = bytes.len();
    match snapshots.put_of(FOLDER, read, bytes).await {
        Ok(()) => info!(read, size, "room kept"),
        Err(error) => warn!(%error, "room not kept"),
    }
}

fn encode(kept: &Kept) -> Result<Bytes, ArrowError> {
    let options =
        IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))?;
    let (mut body, mut relations) = (vec![], vec![]);
    for (name, rows) in &kept.relations {
        let before = body.len();
        let mut writer =
            StreamWriter::try_new_with_options(&mut body, rows.schema(), options.clone())?;
        for rows in rows.batches() {
            writer.write(&rows)?;
        }
        writer.finish()?;
        relations.push((name.clone(), body.len() - before));
    }
    let (streams, shards) = (kept.streams.clone(), kept.shards.clone());
    let header = Header { streams, shards, relations };
    let json =
        serde_json::to_vec(&header).map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
    let mut bytes = Vec::with_capacity(REST + 4 + json.len() + body.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[0; DIGEST]);
    bytes.extend_from_slice(&(json.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&json);
    bytes.extend_from_slice(&body);
    let digest = Sha256::digest(&bytes[REST..]);
    bytes[MAGIC.len()..REST].copy_from_slice(&digest);
    Ok(bytes.into())
}

fn decode(bytes: &Bytes) -> Result<(Header, Relations), String> {
    let cut = || "it is cut".to_string();
    let start = bytes.get(..MAGIC.len()).filter(|start| start == MAGIC);
    start.ok_or("it does not begin as a kept room does")?;
    let rest = bytes.get(REST..).ok_or_else(cut)?;
    if Sha256::digest(rest)[..] != bytes[MAGIC.len()..REST] {
        return Err("its bytes are not those that were written".into());
    }
    let (length, rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (header, body) = rest.split_at_checked(length).ok_or_else(cut)?;
    let body = bytes.slice_ref(body);
    let header: Header = serde_json::from_slice(header).map_err(|error| error.to_string())?;
    let mut relations = Relations::new();
    let mut at = 0;
    for (name, size) in &header.relations {
        let end = size.checked_add(at).filter(|end| *end <= body.len()).ok_or_else(cut)?;
        for rows in rows::decode(&body.slice(at..end)).map_err(|error| error.to_string())? {
            relations.apply(name, &rows);
        }
        at = end;
    }
    Ok((header, relations))
}
