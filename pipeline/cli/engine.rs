//! What the verbs start. One function each, so that the command line stays free of engines.

mod again;
mod broker;
mod demo;
mod family;
mod files;
mod loading;
mod program;
mod roles;
mod trimming;
mod words;

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;

use super::Failure;
use super::batch::BatchArgs;
use super::check::CheckArgs;
use super::demo::DemoArgs;
use super::explain::ExplainArgs;
use super::load::LoadArgs;
use super::replay::ReplayArgs;
use super::run::RunArgs;
use super::serve::ServeArgs;
use super::up::UpArgs;
use crate::backup::{self, Manifest};
use crate::doctor::STREAMS;
use crate::log::Log;
use crate::log::broker::Facts;
use crate::log::copies::Copies;
use crate::settings::Settings;
use crate::snapshot::Snapshots;
use crate::trim::Cut;

/// The log of the settings' broker.
pub async fn connect(settings: &Settings) -> Result<Arc<dyn Log>, Failure> {
    Ok(Arc::new(broker::connect(settings).await?))
}

/// What the settings' broker says of itself, for `doctor`, and its clock less ours where it tells,
/// in milliseconds. A missing stream is no failure: it is just not among the facts.
pub async fn broker_facts(settings: &Settings) -> Result<(Facts, Option<i64>), Failure> {
    let log = broker::connect(settings).await?;
    let facts = log.facts(&STREAMS).await?;
    let offset = match facts.streams.first() {
        Some(stream) => log.clock_offset_ms(&stream.name).await,
        None => None,
    };
    Ok((facts, offset))
}

/// Every copy of every stream. Where they differ they are read once more: what was on its way when
/// they were read first is no difference.
pub async fn copies(settings: &Settings) -> Result<Vec<Copies>, Failure> {
    let log = broker::connect(settings).await?;
    let mut found = vec![];
    for stream in STREAMS {
        let copies = log.copies(stream).await?;
        found.push(if copies.odd().is_empty() { copies } else { log.copies(stream).await? });
    }
    Ok(found)
}

/// Where snapshots are kept; nothing, where they are not.
pub fn snapshots(settings: &Settings) -> Result<Option<Snapshots>, Failure> {
    match settings.snapshots.url.as_str() {
        "" => Ok(None),
        url => Snapshots::open(url).map(Some).map_err(Failure::Settings),
    }
}

/// Puts a backup back, and removes what stood in for what had been trimmed.
pub async fn restore(
    settings: &Settings,
    store: &Arc<dyn ObjectStore>,
    folder: &Path,
) -> Result<Manifest, Failure> {
    let log = broker::connect(settings).await?;
    let snapshots = snapshots(settings)?;
    let manifest = backup::restore(&log, snapshots.as_ref(), store, folder).await;
    let manifest = manifest.map_err(super::backup::failed)?;
    for (stream, kept) in &manifest.streams {
        log.remove(stream, &backup::gone(stream), kept.last + 1).await?;
    }
    Ok(manifest)
}

/// Streams, and every shard's first cursor (A16).
pub async fn init(log: &dyn Log, settings: &Settings) -> Result<(), Failure> {
    broker::init(log, settings).await
}

pub async fn run(args: RunArgs, settings: &Settings) -> Result<(), Failure> {
    roles::run(args, settings).await
}

pub async fn load(args: LoadArgs, settings: &Settings) -> Result<(), Failure> {
    loading::load(args, settings).await
}

pub async fn replay(args: &ReplayArgs, settings: &Settings) -> Result<(), Failure> {
    again::replay(args, settings).await
}

/// What went from the log, or would go, with the count of its messages.
pub async fn trim(settings: &Settings, dry_run: bool) -> Result<Vec<(Cut, u64)>, Failure> {
    trimming::trim(settings, dry_run).await
}

pub async fn serve(args: ServeArgs, settings: &Settings) -> Result<(), Failure> {
    broker::serve(&args, settings).await
}

pub fn batch(args: BatchArgs, settings: &Settings) -> Result<(), Failure> {
    files::batch(&args, settings)
}

pub fn check(args: &CheckArgs, settings: &Settings) -> Result<(), Failure> {
    program::check(args, settings)
}

pub fn explain(args: &ExplainArgs, settings: &Settings) -> Result<(), Failure> {
    program::explain(args, settings)
}

pub fn demo(args: DemoArgs, settings: &Settings) -> Result<(), Failure> {
    super::block_on(demo::demo(args, settings))
}

pub fn up(args: UpArgs, settings: &Settings) -> Result<(), Failure> {
    super::block_on(family::up(args, settings))
}
