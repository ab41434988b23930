//! The reading room: what left the program, as tables that can be asked.
//!
//! A process of its own, because a hostile query can exhaust a query engine and must never do so
//! beside the ledger. It follows the streams with its own read-only cursor into columnar memory
//! ([`follow`]) and answers over the Postgres wire ([`listen`]): to users who prove who they are,
//! on this machine only, statements that read, each within its time, rows and memory.
//!
//! `batch` uses [`relations`] alone.

mod answers;
mod bounds;
mod desk;
mod door;
mod follow;
mod guard;
mod keep;
mod lines;
pub mod relations;
mod room;
mod scram;
mod tables;
#[cfg(test)]
mod tests;
mod watch;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_postgres::datafusion_pg_catalog::setup_pg_catalog;
use datafusion_postgres::pgwire::api::RandomPidSecretKeyGenerator;
use datafusion_postgres::pgwire::tokio::process_socket;
use recoup_sql::answers::{View, views};
use recoup_sql::shipped;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::Semaphore;
use tracing::{info, warn};

pub use follow::follow;
pub use keep::{keep, kept_upto, restore, save};
pub use room::{Moment, News, Room, Standing};
pub use scram::{
    Exchange, ITERATIONS, Users, UsersError, add_user, fresh_password, scram_verifier,
};

use crate::health::Readiness;
use crate::log::{Log, LogError};
use crate::metrics::Metrics;
use crate::snapshot::Snapshots;
use answers::Views;

/// The catalog, as `\l` and `dbname` say it.
const DATABASE: &str = "recoup";

/// What the reading room is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// An address of this machine's own.
    pub listen: SocketAddr,
    pub users_file: PathBuf,
    /// The longest that a statement may take.
    pub statement_timeout: Duration,
    /// The most rows that an answer may have.
    pub rows_max: usize,
    /// The most bytes that all statements together may hold.
    pub memory_bytes_max: usize,
    pub connections_max: usize,
    /// What queries are counted in.
    pub metrics: Metrics,
    /// Is done when every stream has been read to its end once.
    pub readiness: Readiness,
    /// Where what was read is kept, so that a restart reads on; `None`: it reads all anew.
    pub snapshots: Option<Snapshots>,
    pub keep_every: Duration,
    /// The program's views over what left it.
    pub views: Vec<View>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 5433)),
            users_file: PathBuf::from(".recoup/users"),
            statement_timeout: Duration::from_secs(60),
            rows_max: 5_000_000,
            memory_bytes_max: 2 << 30,
            connections_max: 64,
            metrics: Metrics::default(),
            readiness: Readiness::default(),
            snapshots: None,
            keep_every: Duration::from_secs(600),
            views: views(&shipped()).unwrap_or_default(),
        }
    }
}

/// Why the reading room closed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(
        "the reading room answers on this machine only, not on {0}; \
         to read from afar put a tunnel before it"
    )]
    Open(SocketAddr),
    #[error("{0}: {1}")]
    Taken(SocketAddr, io::Error),
    #[error(transparent)]
    Users(#[from] UsersError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("the query engine did not start: {0}")]
    Engine(String),
}

/// Follows the log and answers, until told to stop or the log has lost its history.
///
/// Connections, and the queries behind them, run on threads of their own: following never waits
/// for them.
pub async fn serve(
    log: Arc<dyn Log>,
    options: Options,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let listener = bind(&options)?;
    let (snapshots, every) = (options.snapshots.clone(), options.keep_every);
    let mut room = restore(log.as_ref(), snapshots.as_ref()).await;
    room.awaits(options.readiness.clone(), follow::STREAMS.iter().map(|(stream, _)| *stream));
    let room = Arc::new(room);
    let keeping = async {
        match &snapshots {
            Some(snapshots) => keep(&room, snapshots, every).await,
            None => std::future::pending().await,
        }
    };
    let doors = Engine::start()?;
    let listening = doors.handle().spawn(listen(listener, room.clone(), options));
    tokio::select! {
        ended = follow(log.as_ref(), &room) => Ok(ended?),
        () = keeping => Ok(()),
        () = stop => {
            if let Some(snapshots) = &snapshots {
                save(&room, snapshots).await;
            }
            Ok(())
        }
        ended = listening => match ended {
            Ok(ended) => ended,
            Err(error) => Err(ServeError::Engine(error.to_string())),
        },
    }
}

/// Takes the address; it must be one that only this machine reaches.
pub fn bind(options: &Options) -> Result<TcpListener, ServeError> {
    if !options.listen.ip().is_loopback() {
        return Err(ServeError::Open(options.listen));
    }
    let taken = |error| ServeError::Taken(options.listen, error);
    let listener = TcpListener::bind(options.listen).map_err(taken)?;
    listener.set_nonblocking(true).map_err(taken)?;
    Ok(listener)
}

/// Answers statements about what `room` holds.
pub async fn listen(
    listener: TcpListener,
    room: Arc<Room>,
    options: Options,
) -> Result<(), ServeError> {
    let users = Arc::new(Users::load(&options.users_file, fresh_secret())?);
    let queries = Engine::start()?;
    let unfit = |error: DataFusionError| ServeError::Engine(error.strip_backtrace());
    let answers = Arc::new(Views::default());
    let context = context(&room, &answers, &options, queries.handle()).map_err(unfit)?;
    answers.define(&context, &options.views).await.map_err(unfit)?;
    let taken = |error| ServeError::Taken(options.listen, error);
    let listener = tokio::net::TcpListener::from_std(listener).map_err(taken)?;
    let handlers = Arc::new(desk::Handlers {
        desk: Arc::new(desk::Desk::new(Arc::new(context), &options)),
        users,
        connections: Arc::default(),
        pids: Arc::new(RandomPidSecretKeyGenerator::default()),
    });
    let places = Arc::new(Semaphore::new(options.connections_max));
    info!(address = %options.listen, "reading room open");
    loop {
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                // Out of descriptors, most likely: those inside will leave.
                warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            warn!(connections_max = options.connections_max, "reading room full");
            continue;
        };
        let handlers = handlers.clone();
        tokio::spawn(async move {
            // A connection that breaks is the client's own affair.
            drop(process_socket(socket, None, handlers).await);
            drop(place);
        });
    }
}

/// The engine over the room's relations: no files, no writing, bounded memory, exact decimals.
fn context(
    room: &Arc<Room>,
    answers: &Arc<Views>,
    options: &Options,
    queries: Handle,
) -> Result<SessionContext, DataFusionError> {
    let config = SessionConfig::new()
        .with_default_catalog_and_schema(DATABASE, "public")
        .with_information_schema(true)
        .with_target_partitions(threads())
        .set_bool("datafusion.sql_parser.parse_float_as_decimal", true);
    let no_disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_limit(options.memory_bytes_max, 1.0)
        .with_disk_manager_builder(no_disk)
        .build_arc()?;
    let (rows_max, timeout) = (options.rows_max, options.statement_timeout);
    let planner = bounds::Planner { rows_max, timeout, queries };
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_file_formats(Vec::new())
        .with_table_factories(Default::default())
        .with_query_planner(Arc::new(planner))
        .with_optimizer_rule(Arc::new(watch::WatchJoins))
        .build();
    let context = SessionContext::new_with_state(state);
    let Some(catalog) = context.catalog(DATABASE) else {
        return Err(DataFusionError::Internal("the default catalog is missing".into()));
    };
    catalog.register_schema("public", Arc::new(tables::Public(room.clone(), answers.clone())))?;
    catalog.register_schema("recoup", Arc::new(tables::Own(room.clone())))?;
    setup_pg_catalog(&context, DATABASE, EmptyContextProvider).map_err(|error| *error)?;
    Ok(context)
}

fn threads() -> usize {
    available_parallelism().map_or(4, NonZeroUsize::get).max(4)
}

/// Fresh for each process: verifiers made up for unknown names must not repeat.
fn fresh_secret() -> [u8; 32] {
    use sha2::{Digest, Sha256};
    let random = datafusion_postgres::pgwire::api::auth::sasl::scram::random_nonce;
    Sha256::digest(format!("{}{}", random(), random())).into()
}

/// Threads for connections, or for queries.
struct Engine(Option<Runtime>);

impl Engine {
    fn start() -> Result<Engine, ServeError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads())
            .thread_name("reading-room")
            .enable_all()
            .build();
        runtime
            .map(|runtime| Engine(Some(runtime)))
            .map_err(|error| ServeError::Engine(error.to_string()))
    }

    fn handle(&self) -> Handle {
        let Some(runtime) = &self.0 else { panic!("an engine runs until it is dropped") };
        runtime.handle().clone()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Not waited for: a query in mid-flight must not hold up the end of the process.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
