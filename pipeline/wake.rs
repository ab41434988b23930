//! How shards come into the world, and back to it.
//!
//! `init` writes every shard's first cursor, because an absent one is lost history (A16).
//! A shard wakes from its newest snapshot that verifies, and replays the steps after it; what they
//! say is compared with what its cursor says was said, and not said again.
//!
//! Memory belongs to the program that made it. A snapshot of another program is not used: the shard
//! replays from the beginning, where the stream still has it, and goes on if this program says of
//! it what was said. If it says something else, the shard stops ([`crate::group::Diverged`]). Told
//! to migrate, a shard takes the memory that the other program handed over when it was stopped, if
//! that stands at the cursor, and goes on from there; the same way leads back.
//!
//! Who takes a shard says so in its cursor ([`claim`]): whoever held it until then is fenced at its
//! next commit. Who stops lets go ([`leave`]), so that the next one need not wait.

use std::collections::BTreeMap;

use datafusion::arrow::record_batch::RecordBatch;
use recoup_sql::stages::{STAGES, Shape};
use tracing::{info, warn};

use crate::commit::{Member, Outcome, Pause, store};
use crate::cursor::{self, Cursor};
use crate::group::{Group, Owner, Shard, total};
use crate::log::{Log, LogError, Outgoing};
use crate::snapshot::{Fit, Header, Snapshots};
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
        replayable(log, group, *number).await?;
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
    let cursor = shard.cursor.clone();
    let (program, migrate) = (group.stage.program, group.migrate);
    let fits = |header: &Header| fits(header, &cursor, until, program, migrate);
    let found = snapshots.newest(shape.name, number, &fits).await;
    let (found, passed_over) = found.map_err(|error| LogError::Unavailable(error.to_string()))?;
    for why in passed_over {
        warn!(stage = shape.name, shard = number, why, "snapshot not used");
    }
    let Some(snapshot) = found else { return Ok(vec![]) };
    if snapshot.header.program != program {
        let was = format!("{:016x}", snapshot.header.program);
        info!(stage = shape.name, shard = number, was, "memory of another program taken over");
    }
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

/// Whether a shard whose cursor stands there may wake from a snapshot.
fn fits(header: &Header, cursor: &Cursor, until: u64, program: u64, migrate: bool) -> Fit {
    if header.input_created != cursor.input_created {
        return Fit::Because("it is of another stream".into());
    }
    if header.seq > cursor.seq.min(until) {
        return Fit::No;
    }
    let there = header.seq == cursor.seq;
    let said = total(&header.said);
    if there && said != cursor.said {
        let wanted = cursor.said;
        return Fit::Because(format!(
            "it stands where the cursor stands, but has said {said:016x}, not {wanted:016x}"
        ));
    }
    if header.program == program || (migrate && there) {
        return Fit::Yes;
    }
    let was = header.program;
    let mend = if migrate { "it was not handed over at the cursor" } else { "see --migrate" };
    Fit::Because(format!("program {was:016x} wrote it, this is {program:016x}; {mend}"))
}

/// Whether the stream still has what a shard must replay.
async fn replayable(log: &dyn Log, group: &Group, number: u32) -> Result<(), LogError> {
    let shape = group.stage.shape;
    let Some(shard) = group.shards.get(&number).filter(|_| shape.remembers) else {
        return Ok(());
    };
    let (read, seq) = (shard.read, shard.cursor.seq);
    if read == seq {
        return Ok(());
    }
    let (stage, stream) = (shape.name, shape.reads);
    let first = log.state(stream).await?.first;
    if first > read + 1 {
        return Err(LogError::Lost(format!(
            "stream {stream:?} begins at {first}, {stage} shard {number} must replay from {}: \
             there is no snapshot that this program can wake from; restore one, or run the \
             program that wrote those that are there",
            read + 1
        )));
    }
    let was = shard.cursor.program;
    let other = was != group.stage.program;
    info!(stage, shard = number, from = read, to = seq, other_program = other, "replaying");
    Ok(())
}

/// How often a shard may move under us while we take it.
const CLAIMS_MAX: usize = 100;

/// Writes our name, and why, into the cursors of a group, which changes nothing else in them.
pub async fn claim(
    log: &dyn Log,
    group: &mut Group,
    why: &BTreeMap<u32, String>,
    pause: &dyn Pause,
) -> Result<(), LogError> {
    let (owner, shape) = (group.owner.clone(), group.stage.shape);
    for _ in 0..CLAIMS_MAX {
        let ours = |cursor: &Cursor| cursor.owner == owner.name && cursor.nonce == owner.nonce;
        let theirs = group.shards.iter().filter(|(_, shard)| !ours(&shard.cursor));
        let named: Vec<Named> = theirs
            .map(|(number, shard)| {
                let why = why.get(number).map_or("it prefers it", String::as_str);
                (*number, shard.cursor_seq, signed(shard, &owner, why))
            })
            .collect();
        if named.is_empty() {
            return Ok(());
        }
        for ((number, _, cursor), outcome) in sign(log, group, named, pause).await? {
            let (cursor_seq, cursor) = match outcome {
                Outcome::Stored { cursor_seq } => (cursor_seq, cursor),
                // It has moved once more: what we woke from is older, and that is all.
                Outcome::Fenced => {
                    let subject = cursor::subject(shape.writes, shape.name, number);
                    let (cursor_seq, cursor) = cursor::read(log, shape.writes, &subject).await?;
                    if why.contains_key(&number) && !cursor.owner.is_empty() {
                        // Nobody had it when it was seen; somebody was faster.
                        group.release(number);
                        continue;
                    }
                    (cursor_seq, cursor)
                }
                Outcome::Lost(what) => return Err(LogError::Lost(what)),
                Outcome::TooLarge => {
                    let what = format!("the cursor of {} shard {number}", shape.name);
                    return Err(LogError::TooLarge { what, limit: log.payload_max() });
                }
            };
            if let Some(shard) = group.shards.get_mut(&number).filter(|_| !shape.remembers) {
                shard.read = cursor.seq;
            }
            group.committed(number, cursor, cursor_seq);
        }
    }
    Err(LogError::Unavailable(format!("shards of {} move too fast to be taken", shape.name)))
}

/// Takes our name out of the cursors of a group. Where somebody else was faster, it is theirs.
pub async fn leave(log: &dyn Log, group: &Group, pause: &dyn Pause) -> Result<(), LogError> {
    let (all, nobody) = (group.shards.iter(), Owner { name: String::new(), nonce: 0 });
    let why = format!("{} stopped and handed it over", group.owner.name);
    let named =
        all.map(|(number, shard)| (*number, shard.cursor_seq, signed(shard, &nobody, &why)));
    sign(log, group, named.collect(), pause).await.map(drop)
}

fn signed(shard: &Shard, owner: &Owner, why: &str) -> Cursor {
    let (cursor, Owner { name, nonce }) = (shard.cursor.clone(), owner.clone());
    Cursor { owner: name, nonce, why: why.into(), number: cursor.number + 1, ..cursor }
}

type Named = (u32, u64, Cursor);

/// Stores cursors that differ from the ones they stand on by name and number only.
async fn sign(
    log: &dyn Log,
    group: &Group,
    named: Vec<Named>,
    pause: &dyn Pause,
) -> Result<Vec<(Named, Outcome)>, LogError> {
    let shape = group.stage.shape;
    if named.is_empty() {
        return Ok(vec![]);
    }
    let member = |(number, expects, cursor): &Named| Member {
        said: vec![],
        fence: Outgoing {
            subject: cursor::subject(shape.writes, shape.name, *number),
            payload: cursor.encode(),
            expects: Some(*expects),
            ..Outgoing::default()
        },
    };
    let members = named.iter().map(member).collect();
    let outcomes = store(log, shape.writes, members, pause).await?;
    Ok(named.into_iter().zip(outcomes).collect())
}

/// Whether a shard has input behind a sequence.
pub async fn waits(log: &dyn Log, shape: &Shape, shard: u32, seq: u64) -> Result<bool, LogError> {
    Ok(addressed(log, shape, shard).await? > seq || heard(log, shape).await? > seq)
}

/// The newest message that is for one shard; zero where there is none.
pub async fn addressed(log: &dyn Log, shape: &Shape, shard: u32) -> Result<u64, LogError> {
    let (stream, main) = (shape.reads, shape.main);
    let subject = match shape {
        _ if shape.funnel => format!("{stream}.*.{main}"),
        _ if shape.name == "normalize" => format!("{stream}.*.*.{shard}"),
        _ => format!("{stream}.{shard}.{main}"),
    };
    Ok(log.last(stream, &subject).await?.map_or(0, |message| message.seq))
}

/// The newest message that all shards of a stage hear; zero where there is none.
pub async fn heard(log: &dyn Log, shape: &Shape) -> Result<u64, LogError> {
    let of = if shape.funnel { "*" } else { "all" };
    let mut newest = 0;
    for name in shape.hears {
        let subject = format!("{}.{of}.{name}", shape.reads);
        let last = log.last(shape.reads, &subject).await?;
        newest = newest.max(last.map_or(0, |message| message.seq));
    }
    Ok(newest)
}
