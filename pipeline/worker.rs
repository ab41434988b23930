//! A worker: threads that each hold some shards of a stage and turn the loop.
//!
//! A thread wakes its shards, writes its name into their cursors and turns until it is told to
//! stop or until no shard is left: who is fenced lets go of the shard and leaves the rest as it is
//! (A10). Told to stop, it stores a snapshot of every shard and takes its name out of the cursors,
//! so that the next owner starts where this one ended. Which shards a process holds, and when it
//! takes over those of others, is `crate::crew`.

mod board;
mod replay;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use recoup_operators::Rules;
use recoup_sql::stages::Shape;
use recoup_sql::{Mistake, Source, compile};
use tokio::runtime::Handle;
use tracing::{info, warn};

use crate::commit::Backoff;
use crate::decoder::Decoder;
use crate::drive::{Stopped, Turn, Waiting, turn};
use crate::group::{Group, Owner};
use crate::health::Readiness;
use crate::limits;
use crate::log::{Log, LogError, ReadLimit, Reader};
use crate::metrics::{Metrics, REPLAY};
use crate::rows::Packing;
use crate::snapshot::{self, Snapshots};
use crate::wake;
use board::Thread;
pub use board::{Board, replaying};

/// How often and how much.
#[derive(Clone, Copy, Debug)]
pub struct Tempo {
    /// How long a cursor must have stood still, with input waiting, before its shard is taken.
    pub silent: Duration,
    /// How often the cursors of others are looked at.
    pub watch: Duration,
    /// How often streams are looked at, whether they still are as the program needs them.
    pub streams: Duration,
    /// How often each shard's memory is saved.
    pub snapshots: Duration,
    /// What one turn reads at most.
    pub limit: ReadLimit,
    /// How long a turn waits for something to read.
    pub patience: Duration,
    /// The bytes that the shards of this process may hold; zero: no limit.
    pub memory_max: usize,
}

impl Default for Tempo {
    fn default() -> Self {
        Tempo {
            silent: Duration::from_secs(limits::SILENT_SECONDS),
            watch: Duration::from_millis(500),
            streams: Duration::from_secs(5),
            snapshots: Duration::from_secs(60),
            limit: ReadLimit { messages: 4_096, bytes: 16 << 20 },
            patience: Duration::from_millis(500),
            memory_max: 0,
        }
    }
}

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
    pub tempo: Tempo,
    /// Whether memory that another program handed over may be taken.
    pub migrate: bool,
    pub metrics: Arc<Metrics>,
    pub readiness: Readiness,
    /// What the threads hold.
    pub board: Board,
    pub stop: Arc<AtomicBool>,
}

/// A shard that is to be taken: where its cursor stood, and why it is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub cursor_seq: u64,
    pub why: String,
}

/// Why a thread ended.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error("the program has mistakes")]
    Program(Vec<Mistake>),
    #[error(transparent)]
    Stopped(#[from] Stopped),
    #[error("a thread for stage {0}: {1}")]
    Thread(&'static str, String),
}

impl From<LogError> for WorkerError {
    fn from(error: LogError) -> Self {
        WorkerError::Stopped(Stopped::Log(error))
    }
}

impl Worker {
    /// Holds these shards of a stage until told to stop or until no shard is left.
    pub fn hold(&self, shape: &'static Shape, shards: &[u32]) -> Result<(), WorkerError> {
        self.hold_if(shape, shards, &BTreeMap::new())
    }

    /// The same for shards whose cursors are still those seen; others have found an owner in the
    /// meantime.
    pub fn take_over(
        &self,
        shape: &'static Shape,
        seen: &BTreeMap<u32, Seen>,
    ) -> Result<(), WorkerError> {
        let shards: Vec<u32> = seen.keys().copied().collect();
        self.hold_if(shape, &shards, seen)
    }

    fn hold_if(
        &self,
        shape: &'static Shape,
        shards: &[u32],
        seen: &BTreeMap<u32, Seen>,
    ) -> Result<(), WorkerError> {
        let waiting = Waiting::On(self.runtime.clone());
        let mut thread = Thread::open(self, shape.name, shards);
        let mut group = self.group(shape)?;
        while let Err(error) = waiting.wait(self.wake(&mut group, shards)) {
            self.bear(&waiting, shape, error)?;
        }
        let mut reader = self.reader(&waiting, &group)?;
        let caught_up = self.catch_up(&waiting, reader.as_mut(), &mut group, &mut thread);
        caught_up.inspect_err(|stopped| self.diverged(stopped))?;
        while let Err(error) = waiting.wait(self.claim(&mut group, seen)) {
            self.bear(&waiting, shape, error)?;
        }
        let mut saved = Instant::now();
        while !self.stop.load(Ordering::Relaxed) && !group.shards.is_empty() {
            thread.stands(&group);
            if thread.is_held_back() {
                self.metrics.held_back.with_label_values(&[shape.name]).inc();
                waiting.wait(async { tokio::time::sleep(self.tempo.patience).await });
                continue;
            }
            if let Some(turned) = self.turn(&waiting, &mut reader, &mut group)? {
                self.metrics.turned(shape.name, &turned);
                waiting.wait(thread.lag(&group, &turned));
            }
            if shape.remembers && saved.elapsed() >= self.tempo.snapshots {
                saved = Instant::now();
                self.save(&waiting, &group);
            }
        }
        thread.stands(&group);
        if shape.remembers {
            self.save(&waiting, &group);
        }
        // If nobody hears it, the shards are taken when they have been silent for long enough.
        if let Err(error) = waiting.wait(wake::leave(self.log.as_ref(), &group, &Backoff)) {
            warn!(stage = shape.name, %error, "left without saying so");
        }
        Ok(())
    }

    /// One turn; nothing where the log does not answer, which is waited out.
    fn turn(
        &self,
        waiting: &Waiting,
        reader: &mut Box<dyn Reader>,
        group: &mut Group,
    ) -> Result<Option<Turn>, WorkerError> {
        let (log, Tempo { limit, patience, .. }) = (self.log.as_ref(), self.tempo);
        let stage = group.stage.shape.name;
        match turn(log, waiting, reader.as_mut(), group, limit, patience) {
            Ok(turned) => {
                if turned.fenced > 0 {
                    warn!(stage, shards = turned.fenced, "fenced: they have another owner now");
                }
                Ok(Some(turned))
            }
            Err(Stopped::Log(LogError::Unavailable(cause))) => {
                warn!(stage, cause, "log unavailable, going on");
                waiting.wait(async { tokio::time::sleep(patience).await });
                *reader = self.reader(waiting, group)?;
                Ok(None)
            }
            Err(stopped) => {
                self.diverged(&stopped);
                Err(stopped.into())
            }
        }
    }

    fn diverged(&self, stopped: &Stopped) {
        if matches!(stopped, Stopped::Diverged(_)) {
            self.metrics.broken_invariants.with_label_values(&[REPLAY]).inc();
        }
    }

    fn group(&self, shape: &'static Shape) -> Result<Group, WorkerError> {
        let stage = compile(shape, &self.sources, &self.rules).map_err(WorkerError::Program)?;
        let decoder = Decoder::compile(&self.dialects).map_err(WorkerError::Program)?;
        let mut group = Group::new(stage, decoder, self.owner.clone(), Packing::Lz4);
        group.payload_max = self.log.payload_max();
        group.step_bytes_max = self.tempo.limit.bytes;
        group.migrate = self.migrate;
        Ok(group)
    }

    async fn wake(&self, group: &mut Group, shards: &[u32]) -> Result<(), LogError> {
        wake::wake(self.log.as_ref(), self.snapshots.as_ref(), group, shards).await
    }

    /// Makes shards ours, but for those that have found an owner since they were seen.
    async fn claim(&self, group: &mut Group, seen: &BTreeMap<u32, Seen>) -> Result<(), LogError> {
        for (number, seen) in seen {
            if group.shards.get(number).is_some_and(|shard| shard.cursor_seq != seen.cursor_seq) {
                group.release(*number);
            }
        }
        let why = seen.iter().map(|(number, seen)| (*number, seen.why.clone())).collect();
        wake::claim(self.log.as_ref(), group, &why, &Backoff).await
    }

    fn reader(&self, waiting: &Waiting, group: &Group) -> Result<Box<dyn Reader>, WorkerError> {
        let (filters, after) = group.reads();
        let shape = group.stage.shape;
        loop {
            match waiting.wait(self.log.read(shape.reads, &filters, after)) {
                Ok(reader) => return Ok(reader),
                Err(error) => self.bear(waiting, shape, error)?,
            }
        }
    }

    /// Waits a moment where the log did not answer, so that it is asked again; not for ever once
    /// somebody says to stop.
    fn bear(&self, waiting: &Waiting, shape: &Shape, error: LogError) -> Result<(), WorkerError> {
        match error {
            LogError::Unavailable(cause) if !self.stop.load(Ordering::Relaxed) => {
                warn!(stage = shape.name, cause, "log unavailable, trying again");
                waiting.wait(async { tokio::time::sleep(self.tempo.patience).await });
                Ok(())
            }
            error => Err(error.into()),
        }
    }

    /// Stores a snapshot of every shard that has replayed all it committed. A snapshot that
    /// cannot be stored costs a longer replay, nothing else.
    fn save(&self, waiting: &Waiting, group: &Group) {
        let Some(snapshots) = &self.snapshots else { return };
        let stage = group.stage.shape.name;
        for (number, shard) in &group.shards {
            if shard.read != shard.cursor.seq || shard.cursor.sent > 0 {
                continue;
            }
            let began = Instant::now();
            let Some((header, bytes)) = snapshot::encode(group, *number) else { continue };
            let size = bytes.len();
            let stored = waiting.wait(snapshots.put(&header, bytes));
            self.metrics.saved(stage, stored.is_ok(), began.elapsed());
            match stored {
                Ok(()) => info!(stage, shard = number, seq = header.seq, size, "snapshot stored"),
                Err(error) => warn!(stage, shard = number, %error, "snapshot not stored"),
            }
        }
    }
}
