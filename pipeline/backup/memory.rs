//! Snapshots in a backup: without them a shard whose input was trimmed could not wake.

use std::collections::BTreeMap;

use recoup_sql::stages::{STAGES, Shape};

use super::{BackupError, Place};
use crate::log::Log;
use crate::snapshot::{self, Snapshots};
use crate::trim;
use crate::wake;

/// By stage and shard: how far the newest snapshot that is kept has read.
pub type Reached = BTreeMap<(&'static str, u32), u64>;

fn remembering(shards: u32) -> impl Iterator<Item = (&'static Shape, u32)> {
    STAGES.iter().filter(|shape| shape.remembers).flat_map(move |shape| {
        let count = wake::shards_of(shape, shards, wake::INTAKE_SUBJECTS);
        (0..count).map(move |shard| (shape, shard))
    })
}

/// Copies every snapshot that verifies; answers their names, and how far the newest ones reach.
pub async fn keep(
    place: &Place<'_>,
    snapshots: Option<&Snapshots>,
    shards: u32,
) -> Result<(Vec<String>, Reached), BackupError> {
    let (mut names, mut reached) = (vec![], Reached::new());
    let Some(snapshots) = snapshots else { return Ok((names, reached)) };
    for (shape, shard) in remembering(shards) {
        for (header, bytes) in snapshots.whole(shape.name, shard).await? {
            let name = format!("snapshots/{}/{shard}/{:020}", shape.name, header.seq);
            place.put(&name, bytes).await?;
            names.push(name);
            reached.insert((shape.name, shard), header.seq);
        }
    }
    Ok((names, reached))
}

/// Whether every shard can wake from what is kept: what was trimmed lies behind its snapshot.
pub async fn check(log: &dyn Log, reached: &Reached, shards: u32) -> Result<(), BackupError> {
    for (shape, shard) in remembering(shards) {
        let read = reached.get(&(shape.name, shard)).copied().unwrap_or_default();
        trim::check(log, shape, shard, read).await.map_err(BackupError::Trimmed)?;
    }
    Ok(())
}

/// Puts snapshots back, as memory of the inputs that were just created.
pub async fn put_back(
    place: &Place<'_>,
    snapshots: Option<&Snapshots>,
    names: &[String],
    created: &BTreeMap<&str, i64>,
) -> Result<(), BackupError> {
    let Some(snapshots) = snapshots else { return Ok(()) };
    for name in names {
        let (path, bytes) = place.get(name).await?;
        let (header, _) = snapshot::open(&path, &bytes)?;
        let shape = STAGES.iter().find(|shape| shape.name == header.stage);
        let created = shape.and_then(|shape| created.get(shape.reads)).copied();
        let (header, bytes) = snapshot::moved(&path, &bytes, created.unwrap_or_default())?;
        snapshots.put(&header, bytes).await?;
    }
    Ok(())
}
