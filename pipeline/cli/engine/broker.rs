//! The broker of the settings: connecting, preparing, and the room that reads it.

use std::path::PathBuf;
use std::sync::Arc;

use recoup_sql::answers::views;
use recoup_sql::stages::STAGES;
use tracing::warn;

use super::program::failure;
use super::roles;
use crate::cli::Failure;
use crate::cli::serve::ServeArgs;
use crate::doctor::STREAMS;
use crate::log::broker::{Access, Login};
use crate::log::jetstream::JetStreamLog;
use crate::log::{Log, LogError};
use crate::program;
use crate::serve::{self, ServeError};
use crate::settings::Settings;
use crate::snapshot::Snapshots;
use crate::trim;
use crate::wake;

/// What to do where no broker answers.
const NOBODY_THERE: &str =
    "broker.url, or RECOUP_BROKER_URL, says where it is; `recoup up` starts one of its own";

pub async fn connect(settings: &Settings) -> Result<JetStreamLog, Failure> {
    let broker = &settings.broker;
    let mut access = Access::to(&broker.url);
    access.urls = broker.url.split(',').map(|url| url.trim().to_string()).collect();
    access.replicas = broker.replicas;
    access.tls.required = broker.tls;
    access.login = match (broker.credentials.as_str(), broker.user.as_str()) {
        ("", "") => Login::Nobody,
        ("", user) => {
            let file = &broker.password_file;
            let password = std::fs::read_to_string(file).map_err(|error| {
                Failure::Settings(format!("broker.password_file {file}: {error}"))
            })?;
            Login::User { name: user.into(), password: password.trim_end().into() }
        }
        (file, _) => Login::File(PathBuf::from(file)),
    };
    JetStreamLog::connect(access).await.map_err(|error| match error {
        LogError::Unavailable(_) => Failure::Broker(format!("{error}; {NOBODY_THERE}")),
        error => error.into(),
    })
}

/// Creates streams that are missing and the first cursor of every shard that has none.
pub async fn init(log: &dyn Log, settings: &Settings) -> Result<(), Failure> {
    for stream in STREAMS {
        log.create(stream).await?;
    }
    trim::begin(log).await?;
    wake::check_shards(log, settings.shards.count).await?;
    for shape in STAGES {
        let shards = wake::shards_of(shape, settings.shards.count, wake::INTAKE_SUBJECTS);
        wake::init(log, shape, shards).await?;
    }
    Ok(())
}

/// The reading room, until it is told to stop or its log is lost.
pub async fn serve(args: &ServeArgs, settings: &Settings) -> Result<(), Failure> {
    let listen = settings.serve.listen.parse().map_err(|_| {
        Failure::Settings(format!("serve.listen {} is no address", settings.serve.listen))
    })?;
    // Without a place to keep what was read, a restart takes longer; nothing else.
    let snapshots = Snapshots::open(&settings.snapshots.url);
    let snapshots = snapshots.inspect_err(|why| warn!(why, "the room will not be kept"));
    let sources = program::sources(&settings.program).map_err(|one| failure(&[one]))?;
    let options = serve::Options {
        listen,
        views: views(&sources).map_err(|one| failure(&[one]))?,
        users_file: PathBuf::from(&settings.serve.users_file),
        snapshots: snapshots.ok(),
        ..serve::Options::default()
    };
    let log: Arc<dyn Log> = Arc::new(connect(settings).await?);
    let pages = roles::next_port(&settings.metrics.listen);
    roles::answer(&pages, &options.metrics, &options.readiness).await?;
    let minded = args.minded;
    let stop = async {
        tokio::select! {
            () = roles::stopped() => {}
            () = roles::orphaned(), if minded => {}
        }
    };
    serve::serve(log, options, stop).await.map_err(|error| match error {
        ServeError::Log(error) => error.into(),
        error => Failure::failed(error),
    })
}
