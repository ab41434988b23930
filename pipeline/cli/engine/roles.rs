//! `run`: the roles of one process, each on plain threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use recoup_sql::stages::STAGES;
use tokio::io::AsyncReadExt;
use tracing::info;

use super::program::failure;
use crate::cli::Failure;
use crate::cli::run::{Role, RunArgs};
use crate::crew::{self, Duty};
use crate::drive::Stopped;
use crate::group::Owner;
use crate::health::{self, Readiness};
use crate::log::{Log, ReadLimit};
use crate::metrics::Metrics;
use crate::program;
use crate::settings::Settings;
use crate::ticker;
use crate::wake;
use crate::worker::{Board, Tempo, Worker, WorkerError};

pub async fn run(args: RunArgs, settings: &Settings) -> Result<(), Failure> {
    let log: Arc<dyn Log> = Arc::new(super::broker::connect(settings).await?);
    wake::check_shards(log.as_ref(), settings.shards.count).await?;
    let worker = worker(&args, settings, log.clone())?;
    worker.readiness.wait_for(crew::STARTING);
    answer(&settings.metrics.listen, worker.metrics.as_ref(), &worker.readiness).await?;
    let stages =
        STAGES.iter().filter(|shape| args.roles.iter().any(|role| role.to_string() == shape.name));
    let duty = Duty {
        stages: stages.collect(),
        shards: settings.shards.count,
        index: args.worker - 1,
        of: args.of,
    };
    if args.roles.contains(&Role::Ticker) {
        tokio::spawn(ticker::tick(log, worker.stop.clone()));
    }
    let mut working = std::pin::pin!(crew::work(&worker, &duty));
    let ended = tokio::select! {
        ended = &mut working => ended,
        () = stopped() => stop(&worker, working).await,
        () = orphaned(), if args.minded => stop(&worker, working).await,
    };
    ended.map_err(|error| match error {
        WorkerError::Program(mistakes) => failure(&mistakes),
        WorkerError::Stopped(Stopped::Log(error)) => error.into(),
        error => Failure::failed(error),
    })
}

async fn stop(
    worker: &Worker,
    working: impl Future<Output = Result<(), WorkerError>>,
) -> Result<(), WorkerError> {
    info!("stopping");
    worker.stop.store(true, Ordering::Relaxed);
    working.await
}

/// Pages for whoever supervises this process, where the settings want them.
pub async fn answer(listen: &str, metrics: &Metrics, readiness: &Readiness) -> Result<(), Failure> {
    if listen.is_empty() {
        return Ok(());
    }
    let address = health::serve(listen, metrics.clone(), readiness.clone())
        .await
        .map_err(|error| Failure::Failed(format!("metrics.listen {listen}: {error}; {TAKEN}")))?;
    info!(%address, "metrics");
    Ok(())
}

/// What to do where an address cannot be had.
const TAKEN: &str =
    "several workers of a machine need one each, `--set metrics.listen=127.0.0.1:0` takes any";

/// The address one port on, which is that of the reading room; where any port is wanted, that.
pub fn next_port(listen: &str) -> String {
    let Some((host, port)) = listen.rsplit_once(':') else { return listen.into() };
    match port.parse::<u16>() {
        Ok(port) if port > 0 => format!("{host}:{}", port.saturating_add(1)),
        _ => listen.into(),
    }
}

fn worker(args: &RunArgs, settings: &Settings, log: Arc<dyn Log>) -> Result<Worker, Failure> {
    let sources = program::sources(&settings.program).map_err(|one| failure(&[one]))?;
    let dialects = program::dialects(&settings.program).map_err(|one| failure(&[one]))?;
    let found = recoup_sql::compile::check(&sources, &settings.rules());
    if !found.is_empty() {
        return Err(failure(&found));
    }
    let snapshots = super::snapshots(settings)?;
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
        tempo: Tempo {
            snapshots: Duration::from_secs(settings.snapshots.every_seconds),
            limit: ReadLimit {
                messages: settings.step.messages_max,
                bytes: settings.step.bytes_max,
            },
            memory_max: usize::try_from(settings.limits.memory_bytes).unwrap_or(usize::MAX),
            ..Tempo::default()
        },
        migrate: args.migrate,
        metrics: Arc::new(Metrics::default()),
        readiness: Readiness::default(),
        board: Board::default(),
        stop: Arc::new(AtomicBool::new(false)),
    })
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

/// Ends when standard input does: whoever started this process held its other end.
pub async fn orphaned() {
    let mut input = tokio::io::stdin();
    let mut scrap = [0; 64];
    while !matches!(input.read(&mut scrap).await, Ok(0) | Err(_)) {}
}
