//! What of the log nobody needs any more, and its removal: the only thing that removes (A16).
//!
//! Removed is what one stage said to the next, once the reader has it for good: records of the
//! intake that are normalized, and facts that lie behind the oldest kept snapshot that verifies, of
//! every shard that reads them. So a torn newest snapshot still finds what the older one needs.
//! Never removed: cursors, reference tables, the progress of loads and refused rows. The relations
//! that leave the program are the record and what the reading room starts from: they go only where
//! a setting says after how many days, and only where the room has kept what they say.
//!
//! What is removed cannot be replayed. A message says how far each subject was trimmed, stored
//! before anything goes, so that whoever would have to read from before that place stops (A14)
//! instead of waking with half a memory.

pub mod record;

use recoup_sql::stages::{STAGES, Shape};
use serde::Serialize;

use crate::cursor::{self, Cursor};
use crate::log::{Log, LogError, Outgoing};
use crate::settings::Retention;
use crate::snapshot::{Fit, Header, Snapshots};
use crate::wake;

/// The first message of the intake. A stream that begins with it begins where it always did,
/// whatever was removed behind it; else a shard that never read anything would find its beginning
/// gone (A14).
pub const BEGIN: &str = "intake.begin";

/// What may go, of some subjects of one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cut {
    pub stream: &'static str,
    /// Subjects, with wildcards as in NATS.
    pub subjects: String,
    /// Everything before this sequence; zero: nothing.
    pub before: u64,
    /// Whose place that is.
    pub needed_by: String,
}

/// The header that says before which sequence a subject was trimmed.
const BEFORE: &str = "Recoup-Before";

/// The subject that says how far others were trimmed.
fn marker(stream: &str, rest: &str) -> String {
    format!("{stream}.trimmed.{}", rest.replace('*', "any"))
}

/// Writes down what will be removed.
pub async fn announce(log: &dyn Log, cut: &Cut) -> Result<(), LogError> {
    let rest = cut.subjects.split_once('.').map_or("", |(_, rest)| rest);
    let subject = marker(cut.stream, rest);
    let headers = vec![(BEFORE.to_string(), cut.before.to_string())];
    let note = Outgoing { subject, headers, ..Outgoing::default() };
    log.commit(cut.stream, &[note]).await.map(drop)
}

/// Whether everything behind `read` that a shard of a stage needs is still there.
pub async fn check(log: &dyn Log, shape: &Shape, shard: u32, read: u64) -> Result<(), LogError> {
    let of = if shape.funnel { "any".to_string() } else { shard.to_string() };
    let subject = marker(shape.reads, &format!("{of}.{}", shape.main));
    let Some(note) = log.last(shape.reads, &subject).await? else { return Ok(()) };
    let before = note.headers.iter().find(|(name, _)| name == BEFORE);
    let before = before.and_then(|(_, before)| before.parse().ok()).unwrap_or(u64::MAX);
    if read.saturating_add(1) >= before {
        return Ok(());
    }
    Err(LogError::Lost(format!(
        "{} shard {shard} would have to read stream {:?} from {}, which was trimmed before \
         {before}; a snapshot of a later place is needed",
        shape.name,
        shape.reads,
        read + 1
    )))
}

/// Marks where an empty intake begins.
pub async fn begin(log: &dyn Log) -> Result<(), LogError> {
    if log.state("intake").await?.last > 0 {
        return Ok(());
    }
    let first = Outgoing { subject: BEGIN.into(), expects: Some(0), ..Outgoing::default() };
    match log.commit("intake", &[first]).await {
        Ok(_) | Err(LogError::Fenced { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What may go at an instant, in the order in which facts travel.
pub async fn plan(
    log: &dyn Log,
    snapshots: &Snapshots,
    shards: u32,
    keep: &Retention,
    now: i64,
) -> Result<Vec<Cut>, LogError> {
    let mut cuts = unneeded(log, snapshots, shards).await?;
    keep.spare(log, &mut cuts, now).await?;
    cuts.extend(keep.record(log, snapshots, now).await?);
    Ok(cuts)
}

/// What nobody will read again.
async fn unneeded(log: &dyn Log, snapshots: &Snapshots, shards: u32) -> Result<Vec<Cut>, LogError> {
    let mut cuts = intake(log).await?;
    for shape in STAGES.iter().filter(|shape| shape.remembers && !shape.funnel) {
        let mut heard = u64::MAX;
        for shard in 0..shards {
            let before = needed(log, snapshots, shape, shard).await?;
            heard = heard.min(before);
            let subjects = format!("{}.{shard}.{}", shape.reads, shape.main);
            let needed_by = format!("{} shard {shard}", shape.name);
            cuts.push(Cut { stream: shape.reads, subjects, before, needed_by });
        }
        // Of what all shards hear, only what comes anew all the time; tables of reference stay.
        for name in ["ticks", "quotas"].iter().filter(|name| shape.hears.contains(name)) {
            let subjects = format!("{}.all.{name}", shape.reads);
            // The newest stays: the next one is fenced on it.
            let newest = log.last(shape.reads, &subjects).await?.map_or(0, |message| message.seq);
            let needed_by = format!("{}, every shard", shape.name);
            cuts.push(Cut { stream: shape.reads, subjects, before: heard.min(newest), needed_by });
        }
    }
    cuts.extend(funnels(log, snapshots).await?);
    Ok(cuts)
}

/// Records that are normalized. Normalize has no memory: its cursor is what it needs.
async fn intake(log: &dyn Log) -> Result<Vec<Cut>, LogError> {
    let Some(shape) = STAGES.iter().find(|shape| shape.name == "normalize") else {
        return Ok(vec![]);
    };
    let mut places = vec![];
    for shard in 0..wake::INTAKE_SUBJECTS {
        places.push(place(log, shape, shard).await?.seq);
    }
    let first = log.state(shape.reads).await?.first;
    let marked = log.get(shape.reads, first).await?;
    let marked = marked.is_some_and(|message| message.subject == BEGIN);
    let least = places.iter().copied().min().unwrap_or_default();
    let cut = |(shard, place): (usize, u64)| {
        let name = shape.name;
        let (before, needed_by) = match marked {
            true => (place, format!("{name} shard {shard}")),
            false => (place.min(least), format!("{name}, every shard: {BEGIN} is missing")),
        };
        let subjects = format!("{}.*.*.{shard}", shape.reads);
        Cut { stream: shape.reads, subjects, before, needed_by }
    };
    Ok(places.into_iter().enumerate().map(cut).collect())
}

/// What the funnels read of `book`, and nobody else.
async fn funnels(log: &dyn Log, snapshots: &Snapshots) -> Result<Vec<Cut>, LogError> {
    let mut cuts = vec![];
    let (mut ticked, mut names) = (u64::MAX, vec![]);
    for shape in STAGES.iter().filter(|shape| shape.funnel) {
        let before = needed(log, snapshots, shape, 0).await?;
        let subjects = format!("{}.*.{}", shape.reads, shape.main);
        let needed_by = shape.name.to_string();
        cuts.push(Cut { stream: shape.reads, subjects, before, needed_by });
        ticked = ticked.min(before);
        names.push(shape.name);
    }
    let subjects = "book.*.ticked".to_string();
    cuts.push(Cut { stream: "book", subjects, before: ticked, needed_by: names.join(" and ") });
    Ok(cuts)
}

async fn place(log: &dyn Log, shape: &Shape, shard: u32) -> Result<Cursor, LogError> {
    let subject = cursor::subject(shape.writes, shape.name, shard);
    Ok(cursor::read(log, shape.writes, &subject).await?.1)
}

/// From where a shard must be able to read: behind its oldest kept snapshot that verifies and is
/// of the program that runs; from the beginning, where there is none.
async fn needed(
    log: &dyn Log,
    snapshots: &Snapshots,
    shape: &Shape,
    shard: u32,
) -> Result<u64, LogError> {
    let cursor = place(log, shape, shard).await?;
    let (mut upto, mut needed) = (cursor.seq, 0);
    loop {
        let fits = |header: &Header| match header.input_created == cursor.input_created {
            true if header.seq <= upto => Fit::Yes,
            _ => Fit::No,
        };
        let found = snapshots.newest(shape.name, shard, &fits).await;
        let (found, _) = found.map_err(|error| LogError::Unavailable(error.to_string()))?;
        let Some(header) = found.map(|snapshot| snapshot.header) else { return Ok(needed) };
        if header.program == cursor.program {
            needed = header.seq;
        }
        let Some(older) = header.seq.checked_sub(1) else { return Ok(needed) };
        upto = older;
    }
}
