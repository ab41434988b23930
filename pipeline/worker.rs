//! A worker: threads that each hold some shards of a stage and turn the loop.
//!
//! Worker `i` of `n` prefers the shards with `s mod n = i`. That is a hint: a shard whose input
//! waits past a cursor that has not moved for [`SILENT`] is taken over by whoever sees it, by
//! simply committing on top; the fence does the rest (A10). A worker that was fenced claims a
//! shard back only under the same rule.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use recoup_operators::Rules;
use recoup_sql::stages::Shape;
use recoup_sql::{Mistake, Source, compile};
use tokio::runtime::Handle;
use tracing::{error, info, warn};

use crate::cursor;
use crate::decoder::Decoder;
use crate::drive::{Stopped, Waiting, turn};
use crate::group::{Group, Owner};
use crate::log::{Log, LogError, ReadLimit, Reader};
use crate::metrics::{Metrics, REPLAY};
use crate::rows::Packing;
use crate::snapshot::{self, Snapshots};
use crate::wake;

/// How long a cursor must have stood still, with input waiting, before its shard is taken over.
pub const SILENT: Duration = Duration::from_secs(15);
const LIMIT: ReadLimit = ReadLimit { messages: 256, bytes: 16 << 20 };
const PATIENCE: Duration = Duration::from_millis(500);

/// What every thread of a worker shares: components, not settings.
#[derive(Clone)]
pub struct Worker {
    pub log: Arc<dyn Log>,
    pub runtime: Handle,
    pub rules: Rules,
    pub sources: Arc<Vec<Source>>,
    /// Dialects by name, compiled by each thread that reads the intake.
    pub dialects: Arc<Vec<Source>>,
    pub owner: Owner,
    pub snapshots: Option<Snapshots>,
    pub snapshot_every: Duration,
    pub metrics: Arc<Metrics>,
    pub stop: Arc<AtomicBool>,
}

/// Why a thread ended.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error("the program has mistakes")]
    Program(Vec<Mistake>),
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl From<LogError> for WorkerError {
    fn from(error: LogError) -> Self {
        WorkerError::Stopped(Stopped::Log(error))
    }
}

impl Worker {
    /// Holds these shards of a stage until told to stop or until no shard is left.
    pub fn hold(&self, shape: &'static Shape, shards: &[u32]) -> Result<(), WorkerError> {
        let waiting = Waiting::On(self.runtime.clone());
        let mut group = self.group(shape)?;
        let snapshots = self.snapshots.as_ref();
        waiting.wait(wake::wake(self.log.as_ref(), snapshots, &mut group, shards))?;
        let mut reader = self.reader(&waiting, &group)?;
        let mut saved = Instant::now();
        while !self.stop.load(Ordering::Relaxed) && !group.shards.is_empty() {
            let turned =
                turn(self.log.as_ref(), &waiting, reader.as_mut(), &mut group, LIMIT, PATIENCE);
            match turned {
                Ok(turned) => {
                    self.metrics.turned(shape.name, &turned, group.memories.size());
                    if turned.fenced > 0 {
                        warn!(stage = shape.name, shards = turned.fenced, "fenced");
                    }
                }
                Err(Stopped::Log(LogError::Unavailable(cause))) => {
                    warn!(stage = shape.name, cause, "log unavailable, going on");
                    waiting.wait(tokio::time::sleep(PATIENCE));
                    reader = self.reader(&waiting, &group)?;
                }
                Err(stopped) => {
                    if matches!(stopped, Stopped::Diverged(_)) {
                        self.metrics.broken_invariants.with_label_values(&[REPLAY]).inc();
                    }
                    error!(stage = shape.name, %stopped, "stopped");
                    return Err(stopped.into());
                }
            }
            if shape.remembers && saved.elapsed() >= self.snapshot_every {
                saved = Instant::now();
                self.save(&waiting, &group);
            }
        }
        if shape.remembers {
            self.save(&waiting, &group);
        }
        Ok(())
    }

    fn group(&self, shape: &'static Shape) -> Result<Group, WorkerError> {
        let stage = compile(shape, &self.sources, &self.rules).map_err(WorkerError::Program)?;
        let decoder = Decoder::compile(&self.dialects).map_err(WorkerError::Program)?;
        let mut group = Group::new(stage, decoder, self.owner.clone(), Packing::Lz4);
        group.payload_max = self.log.payload_max();
        Ok(group)
    }

    fn reader(&self, waiting: &Waiting, group: &Group) -> Result<Box<dyn Reader>, WorkerError> {
        let (filters, after) = group.reads();
        loop {
            match waiting.wait(self.log.read(group.stage.shape.reads, &filters, after)) {
                Err(LogError::Unavailable(cause)) if !self.stop.load(Ordering::Relaxed) => {
                    warn!(stage = group.stage.shape.name, cause, "log unavailable, trying again");
                    waiting.wait(tokio::time::sleep(PATIENCE));
                }
                answer => return Ok(answer?),
            }
        }
    }

    /// Stores a snapshot of every shard that has replayed all it committed. A snapshot that
    /// cannot be stored costs a longer replay, nothing else.
    fn save(&self, waiting: &Waiting, group: &Group) {
        let Some(snapshots) = &self.snapshots else { return };
        for (number, shard) in &group.shards {
            if shard.read != shard.cursor.seq || shard.cursor.sent > 0 {
                continue;
            }
            let Some((header, bytes)) = snapshot::encode(group, *number) else { continue };
            let size = bytes.len();
            let stage = group.stage.shape.name;
            match waiting.wait(snapshots.put(&header, bytes)) {
                Ok(()) => info!(stage, shard = number, seq = header.seq, size, "snapshot stored"),
                Err(error) => warn!(stage, shard = number, %error, "snapshot not stored"),
            }
        }
    }

    /// Watches the cursors of a stage and names shards that nobody moves though input waits.
    pub async fn silent(
        &self,
        shape: &Shape,
        shards: &[u32],
        watched: &mut BTreeMap<u32, (u64, Instant)>,
    ) -> Result<Vec<u32>, LogError> {
        let mut silent = vec![];
        watched.retain(|shard, _| shards.contains(shard));
        for shard in shards.iter().copied() {
            let subject = cursor::subject(shape.writes, shape.name, shard);
            let (seq, cursor) = cursor::read(self.log.as_ref(), shape.writes, &subject).await?;
            let seen = watched.entry(shard).or_insert((seq, Instant::now()));
            if seen.0 != seq {
                *seen = (seq, Instant::now());
            }
            let waits = wake::waits(self.log.as_ref(), shape, shard, cursor.seq).await?;
            if !waits {
                seen.1 = Instant::now();
            } else if seen.1.elapsed() >= SILENT {
                silent.push(shard);
                seen.1 = Instant::now();
            }
        }
        Ok(silent)
    }
}
