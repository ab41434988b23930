//! What must hold at the end, when nothing fails any more and nothing is left to read.
//!
//! Three oracles: each stage over its own input once more, in one go and without a fault, must say
//! the very rows that are stored, each once; the naive model must agree about money and refusals;
//! a world without faults must end with the same loans.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::executor::block_on;
use recoup::cursor::{self, Cursor};
use recoup::decoder::Decoder;
use recoup::group::{Group, Owner, Shard};
use recoup::log::{Log, Message, ReadLimit};
use recoup::rows::{self, Packing};
use recoup::wake;
use recoup_operators::memory::digest::digest;
use recoup_sql::stages::{STAGES, Shape};

use super::pool::count;
use super::watch::{Watch, text};
use super::world::World;

const ALL: ReadLimit = ReadLimit { messages: usize::MAX, bytes: usize::MAX };

/// Rows by subject, in no order: several shards speak on one subject.
type Rows = BTreeMap<String, Vec<u64>>;

pub fn judge(world: &mut World) -> Result<(), String> {
    nothing_waits(world)?;
    said_once(world)?;
    model_agrees(world)
}

fn messages(log: &dyn Log, stream: &str, filters: &[String]) -> Vec<Message> {
    let mut reader = block_on(log.read(stream, filters, 0)).expect("it reads");
    block_on(reader.next(ALL, Duration::ZERO)).expect("it answers")
}

fn nothing_waits(world: &World) -> Result<(), String> {
    let log = &world.log.inner;
    for shape in STAGES {
        for number in 0..count(shape) {
            let cursor = place(world, shape, number);
            let waits = block_on(wake::waits(log, shape, number, cursor.seq)).expect("it answers");
            if waits || cursor.sent > 0 {
                return Err(format!("{} shard {number} is not done: {cursor:?}", shape.name));
            }
        }
    }
    Ok(())
}

pub fn place(world: &World, shape: &Shape, number: u32) -> Cursor {
    let subject = cursor::subject(shape.writes, shape.name, number);
    let read = cursor::read(&world.log.inner, shape.writes, &subject);
    block_on(read).expect("cursors never vanish").1
}

/// Each stage once more over what it read, without faults: the same rows, each once.
fn said_once(world: &mut World) -> Result<(), String> {
    let mut wanted = Rows::new();
    for shape in STAGES {
        let stage = world.pool.lend(shape, world.program);
        let owner = Owner { name: "again".into(), nonce: 0 };
        let mut group = Group::new(stage, Decoder::default(), owner, Packing::Plain);
        group.payload_max = world.log.payload_max();
        for number in 0..count(shape) {
            group.memories.open(&group.stage, number);
            let cursor = Cursor::default();
            let said = BTreeMap::new();
            group.take(number, Shard { cursor, cursor_seq: 0, read: 0, said });
        }
        let input = messages(&world.log.inner, shape.reads, &group.reads().0);
        for part in group.cut(&input) {
            let step = group.step(part).map_err(|error| error.to_string())?;
            for message in step.commits.into_iter().flat_map(|commit| commit.said) {
                note(&mut wanted, &message.subject, &message.payload);
            }
        }
        for (number, shard) in &group.shards {
            let total = shard.said.values().fold(0_u64, |all, one| all.rotate_left(9) ^ one);
            let cursor = place(world, shape, *number);
            if shape.remembers && (cursor.said, cursor.seq) != (total, shard.read) {
                return Err(format!(
                    "{} shard {number} says {total:016x} to {}, its cursor is {cursor:?}",
                    shape.name, shard.read
                ));
            }
        }
        world.pool.back(group.stage, world.program);
    }
    let stored = stored(world);
    for (subject, rows) in &mut wanted {
        rows.sort_unstable();
        let found = stored.get(subject).cloned().unwrap_or_default();
        if found != *rows {
            let (found, rows) = (found.len(), rows.len());
            return Err(format!("{subject} has {found} rows, said once there are {rows}"));
        }
    }
    match stored.keys().find(|subject| !wanted.contains_key(*subject)) {
        Some(subject) => Err(format!("nobody says what is on {subject}")),
        None => Ok(()),
    }
}

fn stored(world: &World) -> Rows {
    let mut stored = Rows::new();
    for stream in ["reports", "loans", "book", "statements"] {
        for message in messages(&world.log.inner, stream, &[]) {
            let posted = ["ticks", "curve", "market", "agencies"]
                .iter()
                .any(|name| message.subject == format!("loans.all.{name}"));
            if !posted && !message.subject.contains(".cursor.") {
                note(&mut stored, &message.subject, &message.payload);
            }
        }
    }
    stored.values_mut().for_each(|rows| rows.sort_unstable());
    stored
}

fn note(all: &mut Rows, subject: &str, payload: &bytes::Bytes) {
    let kept = all.entry(subject.into()).or_default();
    for rows in rows::decode(payload).expect("it is Arrow") {
        kept.extend((0..rows.num_rows()).map(|row| digest(&rows.slice(row, 1), 0)));
    }
}

/// Money that came in is booked, and exactly the poison is refused.
fn model_agrees(world: &mut World) -> Result<(), String> {
    let mut booked = world.watch.paid.clone();
    booked.retain(|_, sum| *sum != 0);
    let mut paid: BTreeMap<String, i128> = BTreeMap::new();
    for (loan, sum) in world.plan.paid.iter().filter(|(_, sum)| **sum != 0) {
        paid.insert(loan.clone(), i128::from(*sum));
    }
    if booked != paid {
        return Err(format!("booked is {booked:?}, paid was {paid:?}"));
    }
    let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for message in messages(&world.log.inner, "reports", &["reports.*.refused".into()]) {
        for rows in rows::decode(&message.payload).expect("it is Arrow") {
            for row in 0..rows.num_rows() {
                let source = text(&rows, "source", row);
                let place = source.rsplit_once(':').map_or("", |(place, _)| place);
                refused.entry(place.into()).or_default().push(text(&rows, "reason", row));
            }
        }
    }
    refused.values_mut().for_each(|reasons| reasons.sort());
    let poison = world.plan.poison.iter().zip(1..).filter(|(reasons, _)| !reasons.is_empty());
    let poison: BTreeMap<String, Vec<String>> =
        poison.map(|(reasons, seq)| (format!("intake:{seq}"), reasons.clone())).collect();
    if refused != poison {
        return Err(format!("refused is {refused:?}, poison was {poison:?}"));
    }
    Ok(())
}

/// Two worlds of one plan end with the same loans and the same accounts.
pub fn same_end(wild: &World, clean: &Watch) -> Result<(), String> {
    let pairs =
        [("loans", &wild.watch.loans, &clean.loans), ("prices", &wild.watch.prices, &clean.prices)];
    for (name, ours, theirs) in pairs {
        if let Some((loan, row)) = ours.iter().find(|(loan, row)| theirs.get(*loan) != Some(*row)) {
            let other = theirs.get(loan);
            return Err(format!("{name} {loan}: {row:?}, without faults {other:?}"));
        }
        if ours.len() != theirs.len() {
            let (ours, theirs) = (ours.len(), theirs.len());
            return Err(format!("{name}: {ours} rows, without faults {theirs}"));
        }
    }
    // What came to nothing on the way is as good as nothing.
    let something = |sums: &BTreeMap<String, i128>| {
        let all = sums.iter().filter(|(_, sum)| **sum != 0);
        all.map(|(account, sum)| (account.clone(), *sum)).collect::<BTreeMap<_, _>>()
    };
    let (ours, theirs) = (something(&wild.watch.accounts), something(&clean.accounts));
    if ours == theirs { Ok(()) } else { Err(format!("{ours:?}, without faults {theirs:?}")) }
}

/// Every byte of every stream, in sixteen digits.
pub fn bytes_of(world: &World) -> u64 {
    let mut state = 0;
    for stream in ["intake", "reports", "loans", "book", "statements"] {
        for message in messages(&world.log.inner, stream, &[]) {
            state = (state ^ cursor::digest(&message)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    state
}
