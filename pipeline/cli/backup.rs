//! `recoup backup` and `recoup restore`: streams and snapshots into an object store, and back.

use std::path::Path;

use clap::Args;

use super::{Failure, block_on, engine, show};
use crate::backup::{self, BackupError, Manifest};
use crate::settings::Settings;
use crate::snapshot::store_at;

/// Copy streams and snapshots into an object store, as of one moment; may run while all works
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  recoup backup s3://bucket/recoup/2026-11-22")]
pub struct BackupArgs {
    /// A folder, or file://, s3://, az:// or gs://; each backup in a place of its own
    #[arg(value_name = "PLACE")]
    pub place: String,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// Put a backup into an empty cluster, snapshots into snapshots.url; then start the workers
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  recoup restore s3://bucket/recoup/2026-11-22")]
pub struct RestoreArgs {
    /// Where the backup is
    #[arg(value_name = "PLACE")]
    pub place: String,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

pub fn back_up(args: &BackupArgs, settings: &Settings) -> Result<(), Failure> {
    let (store, folder) = store_at(&args.place).map_err(Failure::failed)?;
    block_on(async {
        let log = engine::connect(settings).await?;
        let (snapshots, shards) = (engine::snapshots(settings)?, settings.shards.count);
        let (log, snapshots) = (log.as_ref(), snapshots.as_ref());
        let manifest = backup::backup(log, snapshots, shards, &store, &folder).await;
        told(&manifest.map_err(failed)?, args.json)
    })
}

pub fn restore(args: &RestoreArgs, settings: &Settings) -> Result<(), Failure> {
    // A place that is not there is a mistake, and is not made.
    if !args.place.contains("://") && !Path::new(&args.place).is_dir() {
        return Err(Failure::Failed(format!("{}: there is no such folder", args.place)));
    }
    let (store, folder) = store_at(&args.place).map_err(Failure::failed)?;
    let manifest = block_on(engine::restore(settings, &store, &folder))?;
    told(&manifest, args.json)
}

pub(super) fn failed(error: BackupError) -> Failure {
    match error {
        BackupError::Log(error) => error.into(),
        error => Failure::failed(error),
    }
}

fn told(manifest: &Manifest, json: bool) -> Result<(), Failure> {
    if json {
        let line = serde_json::to_string(manifest).map_err(Failure::failed)?;
        return show::text(&format!("{line}\n"));
    }
    let streams = manifest.streams.iter();
    let lines = streams
        .map(|(name, kept)| format!("{name}: {} messages, {} bytes\n", kept.messages, kept.bytes));
    let snapshots = format!("{} snapshots\n", manifest.snapshots.len());
    show::text(&(lines.collect::<String>() + &snapshots))
}
