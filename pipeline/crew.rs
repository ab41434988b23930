//! A process of workers: which shards it holds, and when it takes over those of others.
//!
//! Worker `i` of `n` prefers the shards with `s mod n = i` and takes them when it starts. All other
//! shards it only watches: one that nobody holds is taken at once, one whose input waits past a
//! cursor that has not moved for so long is taken over. Both are hints: two owners are slow, never
//! wrong, for the commit is the lock (A10). A worker that was fenced claims a shard back only under
//! the same rule.

mod looks;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use recoup_sql::stages::Shape;
use tracing::{error, info, warn};

use crate::cursor;
use crate::log::LogError;
use crate::wake;
use crate::worker::{Seen, Worker, WorkerError, replaying};
use looks::Looks;

/// What keeps a process from being ready before it knows what it holds.
pub const STARTING: &str = "its threads";

/// How often threads are looked after.
const TICK: Duration = Duration::from_millis(50);

/// What one process does.
#[derive(Clone)]
pub struct Duty {
    pub stages: Vec<&'static Shape>,
    /// Of the deployment.
    pub shards: u32,
    /// Which of the workers this is, counted from 0, and how many there are.
    pub index: u32,
    pub of: u32,
}

impl Duty {
    fn shards_of(&self, shape: &Shape) -> u32 {
        wake::shards_of(shape, self.shards, wake::INTAKE_SUBJECTS)
    }
}

type Running = Vec<(&'static str, JoinHandle<Result<(), WorkerError>>)>;

/// Works until the worker is told to stop, or until a stage cannot go on.
pub async fn work(worker: &Worker, duty: &Duty) -> Result<(), WorkerError> {
    let mut threads = vec![];
    let ended = match begin(worker, duty, &mut threads) {
        Ok(()) => mind(worker, duty, &mut threads).await,
        Err(error) => Err(error),
    };
    worker.stop.store(true, Ordering::Relaxed);
    let join = || threads.into_iter().map(|(stage, thread)| joined(stage, thread)).collect();
    let joined: Result<Vec<_>, _> = tokio::task::spawn_blocking(join)
        .await
        .unwrap_or_else(|error| Err(WorkerError::Thread("any", error.to_string())));
    ended.and(joined.map(drop))
}

/// Starts a thread for each stage of which some shards are ours.
fn begin(worker: &Worker, duty: &Duty, threads: &mut Running) -> Result<(), WorkerError> {
    for shape in duty.stages.iter().copied() {
        let count = duty.shards_of(shape);
        let mine: Vec<u32> = (0..count).filter(|s| s % duty.of == duty.index).collect();
        if !mine.is_empty() {
            info!(stage = shape.name, shards = ?mine, "holding");
            for shard in &mine {
                worker.readiness.wait_for(&replaying(shape.name, *shard));
            }
            start(worker, shape, threads, move |worker| worker.hold(shape, &mine))?;
        }
    }
    worker.readiness.done(STARTING);
    Ok(())
}

fn start(
    worker: &Worker,
    shape: &'static Shape,
    threads: &mut Running,
    hold: impl FnOnce(&Worker) -> Result<(), WorkerError> + Send + 'static,
) -> Result<(), WorkerError> {
    let (worker, stage) = (worker.clone(), shape.name);
    let named = std::thread::Builder::new().name(stage.into());
    let thread = named.spawn(move || hold(&worker));
    threads.push((stage, thread.map_err(|cause| WorkerError::Thread(stage, cause.to_string()))?));
    Ok(())
}

fn joined(
    stage: &'static str,
    thread: JoinHandle<Result<(), WorkerError>>,
) -> Result<(), WorkerError> {
    let ended = thread.join();
    let ended = ended.unwrap_or_else(|_| Err(WorkerError::Thread(stage, "it panicked".into())));
    ended.inspect_err(|stopped| error!(stage, %stopped, "stopped"))
}

/// Looks after the threads and the shards of others.
async fn mind(worker: &Worker, duty: &Duty, threads: &mut Running) -> Result<(), WorkerError> {
    let mut watched: BTreeMap<&str, Watched> = BTreeMap::new();
    let (mut looked, mut looks) = (Instant::now(), Looks::new());
    while !worker.stop.load(Ordering::Relaxed) {
        tokio::time::sleep(TICK).await;
        // A thread whose shards all have other owners has ended well.
        while let Some(at) = threads.iter().position(|(_, thread)| thread.is_finished()) {
            let (stage, thread) = threads.swap_remove(at);
            joined(stage, thread)?;
        }
        if looked.elapsed() < worker.tempo.watch {
            continue;
        }
        looked = Instant::now();
        looks.look(worker, duty).await?;
        for shape in duty.stages.iter().copied() {
            worker.board.stalled(&worker.metrics, shape.name);
            let others: Vec<u32> = (0..duty.shards_of(shape))
                .filter(|shard| !worker.board.holds(shape.name, *shard))
                .collect();
            let watched = watched.entry(shape.name).or_default();
            match silent(worker, shape, &others, watched).await {
                Ok(silent) if silent.is_empty() => {}
                Ok(silent) => {
                    let shards: Vec<_> = silent.keys().collect();
                    warn!(stage = shape.name, ?shards, "taking over");
                    start(worker, shape, threads, move |worker| worker.take_over(shape, &silent))?;
                }
                Err(LogError::Unavailable(cause)) => {
                    warn!(stage = shape.name, cause, "cursors not read");
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// Which of these shards are to be taken over, as they were seen, and why.
async fn silent(
    worker: &Worker,
    shape: &Shape,
    shards: &[u32],
    watched: &mut Watched,
) -> Result<BTreeMap<u32, Seen>, LogError> {
    let mut silent = BTreeMap::new();
    watched.only(shards);
    if shards.is_empty() {
        return Ok(silent);
    }
    // The same for all shards, and a stage hears a dozen relations: asked once a look.
    let heard = wake::heard(worker.log.as_ref(), shape).await?;
    for shard in shards.iter().copied() {
        let log = worker.log.as_ref();
        let subject = cursor::subject(shape.writes, shape.name, shard);
        let (cursor_seq, cursor) = cursor::read(log, shape.writes, &subject).await?;
        let free = cursor.owner.is_empty();
        // A cursor that moves needs no further question.
        let still = watched.stood(shard, cursor_seq);
        let waits = !free
            && still
            && (heard > cursor.seq || wake::addressed(log, shape, shard).await? > cursor.seq);
        if watched.look(shard, cursor_seq, waits, Instant::now(), worker.tempo.silent) || free {
            let limit = worker.tempo.silent.as_secs();
            let why = match cursor.owner.as_str() {
                "" if cursor.why.is_empty() => "nobody had it".to_string(),
                "" => cursor.why,
                silent => format!("{silent} was silent for {limit} s while input waited"),
            };
            silent.insert(shard, Seen { cursor_seq, why });
        }
    }
    Ok(silent)
}

/// What was seen of the shards of others: their cursors, and since when input waits for them.
#[derive(Default)]
pub struct Watched {
    shards: BTreeMap<u32, (u64, Option<Instant>)>,
}

impl Watched {
    fn only(&mut self, shards: &[u32]) {
        self.shards.retain(|shard, _| shards.contains(shard));
    }

    /// Whether a cursor was there when it was looked at last.
    fn stood(&self, shard: u32, cursor_seq: u64) -> bool {
        self.shards.get(&shard).is_some_and(|(seen, _)| *seen == cursor_seq)
    }

    /// Notes what a look at a shard shows; whether it has been silent for too long.
    pub fn look(
        &mut self,
        shard: u32,
        cursor_seq: u64,
        waits: bool,
        now: Instant,
        limit: Duration,
    ) -> bool {
        let seen = self.shards.entry(shard).or_insert((cursor_seq, None));
        if seen.0 != cursor_seq || !waits {
            *seen = (cursor_seq, None);
            return false;
        }
        let since = *seen.1.get_or_insert(now);
        now.saturating_duration_since(since) >= limit
    }
}
