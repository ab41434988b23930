//! `run`: the roles of one process, each on plain threads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use recoup_sql::stages::{STAGES, Shape};
use tracing::{error, info, warn};

use super::program::failure;
use crate::cli::Failure;
use crate::cli::run::{Role, RunArgs};
use crate::group::Owner;
use crate::health::{self, Readiness};
use crate::log::Log;
use crate::metrics::Metrics;
use crate::program;
use crate::settings::Settings;
use crate::snapshot::Snapshots;
use crate::ticker;
use crate::wake;
use crate::worker::{Worker, WorkerError};

/// How often the cursors of other workers are looked at.
const WATCH: Duration = Duration::from_secs(3);

/// The shards that threads of this process hold, by stage.
type Held = Arc<Mutex<BTreeSet<(&'static str, u32)>>>;

pub async fn run(args: RunArgs, settings: &Settings) -> Result<(), Failure> {
    let log: Arc<dyn Log> = Arc::new(super::broker::connect(settings).await?);
    wake::check_shards(log.as_ref(), settings.shards.count).await?;
    let worker = worker(&args, settings, log.clone())?;
    let metrics = worker.metrics.as_ref().clone();
    let readiness = Readiness::default();
    if !settings.metrics.listen.is_empty() {
        let listen = &settings.metrics.listen;
        let address = health::serve(listen, metrics, readiness.clone())
            .await
            .map_err(|error| Failure::Failed(format!("metrics.listen {listen}: {error}")))?;
        info!(%address, "metrics");
    }
    let held: Held = Held::default();
    let mut threads = vec![];
    for shape in STAGES {
        if !args.roles.iter().any(|role| role.to_string() == shape.name) {
            continue;
        }
        let count = wake::shards_of(shape, settings.shards.count, wake::INTAKE_SUBJECTS);
        let mine: Vec<u32> = (0..count).filter(|s| s % args.of == args.worker - 1).collect();
        threads.extend(hold(&worker, shape, mine, &held));
    }
    if args.roles.contains(&Role::Ticker) {
        tokio::spawn(ticker::tick(log, worker.stop.clone()));
    }
    let failed = tokio::select! {
        () = stopped() => Ok(()),
        ended = watch(&worker, &args, settings.shards.count, &held) => ended,
        ended = died(&mut threads) => ended,
    };
    worker.stop.store(true, Ordering::Relaxed);
    let joined = tokio::task::spawn_blocking(move || {
        for thread in threads {
            let _ = thread.join();
        }
    });
    let _ = joined.await;
    failed
}

fn worker(args: &RunArgs, settings: &Settings, log: Arc<dyn Log>) -> Result<Worker, Failure> {
    let sources = program::sources(&settings.program).map_err(|one| failure(&[one]))?;
    let dialects = program::dialects(&settings.program).map_err(|one| failure(&[one]))?;
    let found = recoup_sql::compile::check(&sources, &settings.rules());
    if !found.is_empty() {
        return Err(failure(&found));
    }
    let snapshots = match settings.snapshots.url.as_str() {
        "" => None,
        url => Some(Snapshots::open(url).map_err(Failure::Settings)?),
    };
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let nonce = started.as_nanos() as u64 ^ u64::from(std::process::id()).rotate_left(40);
    let name = args.name.clone().unwrap_or_else(|| format!("worker-{}", std::process::id()));
    Ok(Worker {
        log,
        runtime: tokio::runtime::Handle::current(),
        rules: settings.rules_with_keys()?,
        sources: Arc::new(sources),
        dialects: Arc::new(dialects),
        owner: Owner { name, nonce },
        snapshots,
        snapshot_every: Duration::from_secs(settings.snapshots.every_seconds),
        metrics: Arc::new(Metrics::default()),
        stop: Arc::new(AtomicBool::new(false)),
    })
}

/// Starts a thread that holds shards of a stage; none for no shards.
fn hold(
    worker: &Worker,
    shape: &'static Shape,
    shards: Vec<u32>,
    held: &Held,
) -> Option<JoinHandle<Result<(), WorkerError>>> {
    if shards.is_empty() {
        return None;
    }
    let (worker, held) = (worker.clone(), held.clone());
    lock(&held).extend(shards.iter().map(|shard| (shape.name, *shard)));
    let named = std::thread::Builder::new().name(shape.name.into());
    let thread = named.spawn(move || {
        info!(stage = shape.name, ?shards, "holding");
        let ended = worker.hold(shape, &shards);
        lock(&held).retain(|(stage, shard)| *stage != shape.name || !shards.contains(shard));
        ended
    });
    thread.inspect_err(|cause| error!(%cause, "no thread")).ok()
}

fn lock(held: &Held) -> std::sync::MutexGuard<'_, BTreeSet<(&'static str, u32)>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes over shards of these roles that nobody moves.
async fn watch(worker: &Worker, args: &RunArgs, shards: u32, held: &Held) -> Result<(), Failure> {
    let mut watched: BTreeMap<&str, BTreeMap<_, _>> = BTreeMap::new();
    loop {
        tokio::time::sleep(WATCH).await;
        for shape in STAGES {
            if !args.roles.iter().any(|role| role.to_string() == shape.name) {
                continue;
            }
            let count = wake::shards_of(shape, shards, wake::INTAKE_SUBJECTS);
            let others: Vec<u32> =
                (0..count).filter(|shard| !lock(held).contains(&(shape.name, *shard))).collect();
            let seen = watched.entry(shape.name).or_default();
            match worker.silent(shape, &others, seen).await {
                Ok(silent) if silent.is_empty() => {}
                Ok(silent) => {
                    warn!(stage = shape.name, ?silent, "taking over");
                    hold(worker, shape, silent, held);
                }
                Err(error) => warn!(stage = shape.name, %error, "cursors not read"),
            }
        }
    }
}

/// Ends when a thread has ended for a reason that a person must look at.
async fn died(threads: &mut [JoinHandle<Result<(), WorkerError>>]) -> Result<(), Failure> {
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        if let Some(at) = threads.iter().position(JoinHandle::is_finished) {
            // Its own last words are in the log; here it only ends the process.
            let name = threads[at].thread().name().unwrap_or_default().to_string();
            return Err(Failure::Failed(format!("stage {name} stopped")));
        }
    }
}

/// Ends when somebody asks for it.
pub async fn stopped() {
    let mut terminated =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
    let terminated = async {
        match &mut terminated {
            Some(signal) => {
                signal.recv().await;
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
