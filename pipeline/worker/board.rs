//! What the threads of a worker hold and how far behind they are: for gauges, for readiness, and
//! so that nobody takes over a shard from another thread of its own process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::try_join_all;
use tracing::{info, warn};

use super::Worker;
use crate::drive::Turn;
use crate::group::Group;
use crate::metrics::{Metrics, Standing};

/// The stage through which everything comes in.
const DOOR: &str = "normalize";

/// How often the log is asked how much waits, where something does.
const LOOK: Duration = Duration::from_secs(1);

/// Clones share it.
#[derive(Clone, Default)]
pub struct Board(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    opened: u64,
    threads: BTreeMap<u64, Entry>,
}

struct Entry {
    stage: &'static str,
    shards: BTreeSet<u32>,
    standing: Standing,
    /// When its last turn ended.
    turned: Instant,
}

impl Board {
    /// Whether a thread of this process holds a shard.
    pub fn holds(&self, stage: &str, shard: u32) -> bool {
        let board = self.lock();
        let mut all = board.threads.values();
        all.any(|entry| entry.stage == stage && entry.shards.contains(&shard))
    }

    /// Shows for how long the slowest thread of a stage has been in its turn: that takes long where
    /// the broker does not answer or has no room.
    pub fn stalled(&self, metrics: &Metrics, stage: &str) {
        let board = self.lock();
        let all = board.threads.values().filter(|entry| entry.stage == stage);
        let longest = all.map(|entry| entry.turned.elapsed().as_secs()).max().unwrap_or_default();
        metrics.stalled_seconds.with_label_values(&[stage]).set(longest as i64);
    }

    /// A stage as all of its threads together stand.
    fn standing(&self, stage: &str) -> Standing {
        let board = self.lock();
        let mut all = Standing::default();
        for entry in board.threads.values().filter(|entry| entry.stage == stage) {
            all.shards += entry.shards.len();
            all.memory += entry.standing.memory;
            all.lag_messages += entry.standing.lag_messages;
            all.lag_seconds = all.lag_seconds.max(entry.standing.lag_seconds);
        }
        all
    }

    /// Bytes that all threads hold together.
    fn memory(&self) -> usize {
        self.lock().threads.values().map(|entry| entry.standing.memory).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What keeps a process from being ready: this shard has not replayed.
pub fn replaying(stage: &str, shard: u32) -> String {
    format!("{stage} shard {shard}")
}

/// One thread's place on the board; leaving it takes everything off.
pub(super) struct Thread<'a> {
    worker: &'a Worker,
    stage: &'static str,
    id: u64,
    began: Instant,
    recovering: BTreeSet<u32>,
    looked: Option<Instant>,
    /// Until when nothing waited, microseconds UTC.
    empty_at: i64,
    /// When the newest message that was read had been stored.
    read_at: i64,
    full: bool,
}

impl<'a> Thread<'a> {
    pub(super) fn open(worker: &'a Worker, stage: &'static str, shards: &[u32]) -> Self {
        let shards: BTreeSet<u32> = shards.iter().copied().collect();
        for shard in &shards {
            worker.readiness.wait_for(&replaying(stage, *shard));
        }
        let mut board = worker.board.lock();
        board.opened += 1;
        let id = board.opened;
        let (recovering, standing) = (shards.clone(), Standing::default());
        board.threads.insert(id, Entry { stage, shards, standing, turned: Instant::now() });
        drop(board);
        let (began, looked) = (Instant::now(), None);
        let (empty_at, read_at, full) = (0, 0, false);
        Thread { worker, stage, id, began, recovering, looked, empty_at, read_at, full }
    }

    /// Whether no new record may be read, because the shards of this process hold as much as they
    /// may. What is on its way is still answered: money is delayed at the door, never half-way.
    pub(super) fn is_held_back(&mut self) -> bool {
        let (memory, limit) = (self.worker.board.memory(), self.worker.tempo.memory_max);
        let full = self.stage == DOOR && limit > 0 && memory > limit;
        if full && !self.full {
            warn!(memory, limit, "memory is full: no new record of the intake is read here");
        } else if self.full && !full {
            info!(memory, limit, "memory has room again");
        }
        self.full = full;
        full
    }

    /// Notes what the group holds now, and which of its shards have replayed.
    pub(super) fn stands(&mut self, group: &Group) {
        let (worker, stage) = (self.worker, self.stage);
        self.recovering.retain(|number| {
            let Some(shard) = group.shards.get(number) else {
                worker.readiness.done(&replaying(stage, *number));
                return false;
            };
            let replayed = shard.read >= shard.cursor.seq && shard.cursor.sent == 0;
            if replayed {
                info!(stage, shard = number, cursor = shard.cursor.seq, "shard recovered");
                worker.metrics.recovered(stage, self.began.elapsed());
                worker.readiness.done(&replaying(stage, *number));
            }
            !replayed
        });
        self.note(|entry| {
            entry.shards.retain(|shard| group.shards.contains_key(shard));
            entry.standing.memory = group.memories.size();
            entry.turned = Instant::now();
        });
    }

    /// Notes how much waits. What waits was stored after the newest message that was read, and
    /// after the last time that nothing waited: so its age is at most that.
    pub(super) async fn lag(&mut self, group: &Group, turned: &Turn) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        self.read_at = turned.read_at.max(self.read_at);
        let mut behind = 0;
        if turned.messages > 0 {
            if self.looked.is_some_and(|at| at.elapsed() < LOOK) {
                return;
            }
            self.looked = Some(Instant::now());
            match self.behind(group).await {
                Some(found) => behind = found,
                None => return,
            }
        }
        if behind == 0 {
            self.empty_at = now;
        }
        let age = (now - self.read_at.max(self.empty_at)).max(0) / 1_000_000;
        self.note(|entry| {
            (entry.standing.lag_messages, entry.standing.lag_seconds) = (behind, age)
        });
    }

    /// At most so many messages wait: some of them are for others.
    async fn behind(&self, group: &Group) -> Option<u64> {
        let (filters, after) = group.reads();
        let (log, stream) = (self.worker.log.as_ref(), group.stage.shape.reads);
        let newest = try_join_all(filters.iter().map(|filter| log.last(stream, filter))).await;
        let newest = newest.ok()?.into_iter().flatten().map(|message| message.seq).max();
        Some(newest.unwrap_or_default().saturating_sub(after))
    }

    fn note(&self, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.worker.board.lock().threads.get_mut(&self.id) {
            change(entry);
        }
        self.worker.metrics.stands(self.stage, &self.worker.board.standing(self.stage));
    }
}

impl Drop for Thread<'_> {
    fn drop(&mut self) {
        for shard in &self.recovering {
            self.worker.readiness.done(&replaying(self.stage, *shard));
        }
        self.worker.board.lock().threads.remove(&self.id);
        self.worker.metrics.stands(self.stage, &self.worker.board.standing(self.stage));
    }
}
