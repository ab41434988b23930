//! How shards come into the world, and back to it.
//!
//! `init` writes every shard's first cursor, because an absent one is lost history (A16).
//! A shard wakes from its newest snapshot that verifies, and replays the steps after it; what they
//! say is compared with what its cursor says was said, and not said again.

use std::collections::BTreeMap;

use datafusion::arrow::record_batch::RecordBatch;
use recoup_sql::stages::{STAGES, Shape};
use tracing::warn;

use crate::cursor::{self, Cursor};
use crate::group::{Group, Shard};
use crate::log::{Log, LogError};
use crate::snapshot::Snapshots;
use crate::trim;

/// Over how many subjects the intake of a lender is dealt: as many workers can normalize at once.
pub const INTAKE_SUBJECTS: u32 = 4;

/// How many shards a stage has: the deployment's, the workers of the intake, or one.
pub fn shards_of(shape: &Shape, shards: u32, intake_workers: u32) -> u32 {
    match shape {
        _ if shape.funnel => 1,
        _ if shape.name == "normalize" => intake_workers,
        _ => shards,
    }
}

/// Writes the first cursor of every shard of a stage, if it has none yet.
pub async fn init(log: &dyn Log, shape: &Shape, shards: u32) -> Result<(), LogError> {
    let input_created = log.state(shape.reads).await?.created;
    let first = Cursor { stage: shape.name.into(), input_created, ..Cursor::default() };
    cursor::begin(log, shape.writes, &first, shards).await
}

/// Whether a deployment, where there is one, has so many shards: another number would send
/// borrowers to other shards than those that remember them.
pub async fn check_shards(log: &dyn Log, shards: u32) -> Result<(), LogError> {
    let Some(shape) = STAGES.iter().find(|shape| shape.name == "book") else { return Ok(()) };
    let mut there = vec![];
    for shard in [0, shards.saturating_sub(1), shards] {
        let subject = cursor::subject(shape.writes, shape.name, shard);
        there.push(log.last(shape.writes, &subject).await?.is_some());
    }
    let than = match there.as_slice() {
        [_, _, true] => "more",
        [true, false, _] => "fewer",
        _ => return Ok(()),
    };
    Err(LogError::Unfit {
        what: format!("this deployment has {than} shards than {shards}"),
        hint: "set shards.count as it was at `recoup init`: it is fixed for its life".into(),
    })
}

/// Takes a shard with an empty memory: it replays from the beginning of its input, or, where the
/// stage has no memory, goes on where its cursor stands.
pub async fn fresh(log: &dyn Log, group: &mut Group, number: u32) -> Result<(), LogError> {
    let shape = group.stage.shape;
    let subject = cursor::subject(shape.writes, shape.name, number);
    let (cursor_seq, cursor) = cursor::read(log, shape.writes, &subject).await?;
    cursor::check_place(log, shape.reads, &cursor).await?;
    let read = if shape.remembers { 0 } else { cursor.seq };
    group.memories.open(&group.stage, number);
    group.take(number, Shard { cursor, cursor_seq, read, said: BTreeMap::new() });
    Ok(())
}

/// Takes shards with the newest snapshots that verify; those without replay from the beginning.
pub async fn wake(
    log: &dyn Log,
    snapshots: Option<&Snapshots>,
    group: &mut Group,
    numbers: &[u32],
) -> Result<(), LogError> {
    // The group reads on from its oldest place, so the reference tables are those of that place.
    let mut oldest: Option<(u64, Vec<(String, RecordBatch)>)> = None;
    for number in numbers {
        fresh(log, group, *number).await?;
        let references = match snapshots {
            Some(snapshots) => restore(snapshots, group, *number, u64::MAX).await?,
            None => vec![],
        };
        let read = group.shards.get(number).map_or(0, |shard| shard.read);
        trim::check(log, group.stage.shape, *number, read).await?;
        if oldest.as_ref().is_none_or(|(seq, _)| read < *seq) {
            oldest = Some((read, references));
        }
    }
    for (name, rows) in oldest.into_iter().flat_map(|(_, references)| references) {
        group.stage.refer(&name, &rows);
    }
    Ok(())
}

/// Loads a fresh shard from its newest snapshot that is no newer than its cursor and `until`, if
/// there is one that fits; answers with the reference tables of that place.
pub async fn restore(
    snapshots: &Snapshots,
    group: &mut Group,
    number: u32,
    until: u64,
) -> Result<Vec<(String, RecordBatch)>, LogError> {
    let shape = group.stage.shape;
    let Some(shard) = group.shards.get(&number).filter(|_| shape.remembers) else {
        return Ok(vec![]);
    };
    let Cursor { seq, input_created, .. } = shard.cursor;
    let found = snapshots.newest(shape.name, number, seq.min(until), input_created).await;
    let (found, torn) = found.map_err(|error| LogError::Unavailable(error.to_string()))?;
    for error in torn {
        warn!(stage = shape.name, shard = number, %error, "an older snapshot is taken");
    }
    let Some(snapshot) = found.filter(|one| one.header.program == group.stage.program) else {
        return Ok(vec![]);
    };
    if let Err(error) = group.memories.load(&group.stage, number, snapshot.tables) {
        warn!(stage = shape.name, shard = number, %error, "replaying from the beginning");
        group.memories.open(&group.stage, number);
        return Ok(vec![]);
    }
    if let Some(shard) = group.shards.get_mut(&number) {
        shard.read = snapshot.header.seq;
        shard.said = snapshot.header.said;
    }
    Ok(snapshot.references)
}

/// Whether a shard has input behind a sequence.
pub async fn waits(log: &dyn Log, shape: &Shape, shard: u32, seq: u64) -> Result<bool, LogError> {
    let (stream, main) = (shape.reads, shape.main);
    let mut subjects = vec![match shape {
        _ if shape.funnel => format!("{stream}.*.{main}"),
        _ if shape.name == "normalize" => format!("{stream}.*.*.{shard}"),
        _ => format!("{stream}.{shard}.{main}"),
    }];
    let of = if shape.funnel { "*" } else { "all" };
    subjects.extend(shape.hears.iter().map(|name| format!("{stream}.{of}.{name}")));
    for subject in subjects {
        if log.last(stream, &subject).await?.is_some_and(|newest| newest.seq > seq) {
            return Ok(true);
        }
    }
    Ok(false)
}
