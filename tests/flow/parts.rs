//! A step that says more than one batch can hold, through the whole loop: interrupted between any
//! two parts and finished by another, it comes out as if nothing had happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use recoup::batch::Batch;
use recoup::cursor::Cursor;
use recoup::decoder::Decoder;
use recoup::drive::{Stopped, Waiting, turn};
use recoup::group::Group;
use recoup::log::memory::MemoryLog;
use recoup::log::{Log, Message, Outgoing, ReadLimit};
use recoup::{rows, wake};
use recoup_operators::Rules;
use recoup_sql::{shipped, stages};

use super::fated::{Fate, Fated};
use super::world::{all, copied, records};
use super::{SHARDS, idle, worked};

/// So few messages fit one commit that a step of one letter needs several.
const NARROW: usize = 2;
const ALL: [u32; SHARDS as usize] = [0, 1, 2];

/// How many interruptions are tried, spread evenly over all there could be.
const TRIES: u64 = 12;

/// The day's letters, and a book in which nothing is written yet.
fn letters(of: &MemoryLog) -> MemoryLog {
    let log = futures::executor::block_on(copied(of, |_, _, _| {}));
    log.remove("book");
    let shape = stages::shape("book").unwrap();
    Waiting::Here.wait(log.create("book")).unwrap();
    Waiting::Here.wait(wake::init(&log, shape, SHARDS)).unwrap();
    log
}

/// Books until nothing is left or the log dies; reads so many messages at once.
fn book(log: &Fated, shards: &[u32], at_once: usize) -> Result<Group, Stopped> {
    let mut group = idle(stages::shape("book").unwrap());
    for number in group.shards.keys().copied().collect::<Vec<_>>() {
        group.release(number);
    }
    Waiting::Here.wait(wake::wake(log, None, &mut group, shards))?;
    let (filters, after) = group.reads();
    let mut reader = Waiting::Here.wait(log.read("loans", &filters, after))?;
    let limit = ReadLimit { messages: at_once, bytes: usize::MAX };
    loop {
        let turned = turn(log, &Waiting::Here, reader.as_mut(), &mut group, limit, Duration::ZERO)?;
        if turned.messages == 0 {
            return Ok(group);
        }
    }
}

/// The book as it comes out undisturbed, and after which commits to interrupt.
fn undisturbed(of: &MemoryLog, at_once: usize) -> (MemoryLog, Vec<u64>) {
    let whole = letters(of);
    let log = narrow(&whole, Some(u64::MAX));
    book(&log, &ALL, at_once).unwrap();
    let left = log.fate.commits_left.as_ref().unwrap().load(Ordering::SeqCst);
    let commits = u64::MAX - left;
    assert!(commits > TRIES, "{commits} commits");
    (whole, (0..TRIES).map(|n| n * commits / TRIES).collect())
}

fn narrow(log: &MemoryLog, commits_left: Option<u64>) -> Fated {
    let fate = Fate {
        batch_messages_max: Some(NARROW),
        commits_left: commits_left.map(AtomicU64::new),
        ..Fate::default()
    };
    Fated::new(Arc::new(log.clone()), fate)
}

fn said(log: &MemoryLog) -> Vec<Message> {
    let mut said = futures::executor::block_on(all(log, "book"));
    said.retain(|message| !message.subject.starts_with("book.cursor."));
    said
}

/// The bytes on each subject, in order.
fn bytes(log: &MemoryLog) -> Vec<(String, bytes::Bytes)> {
    let mut all: Vec<_> = said(log).into_iter().map(|one| (one.subject, one.payload)).collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

/// The rows on each subject, however they were cut.
fn lines(log: &MemoryLog) -> Vec<(String, String)> {
    let mut all = vec![];
    for message in said(log) {
        for batch in rows::of(&message).unwrap() {
            for row in 0..batch.num_rows() {
                all.push((message.subject.clone(), format!("{:?}", batch.slice(row, 1).columns())));
            }
        }
    }
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

fn cursors(log: &MemoryLog) -> Vec<Cursor> {
    let shape = stages::shape("book").unwrap();
    let shards = 0..SHARDS;
    shards.map(|n| futures::executor::block_on(super::world::place(log, shape, n)).1).collect()
}

/// How many shards an interruption left with a step begun.
fn begun(log: &MemoryLog) -> usize {
    cursors(log).iter().filter(|cursor| cursor.sent > 0).count()
}

#[test]
fn interrupted_between_parts_the_same_bytes_come_out() {
    let worked = worked();
    let (whole, commits) = undisturbed(worked.log(), 1);
    let (wanted, digests) = (bytes(&whole), cursors(&whole));
    let mut seen = 0;
    for commits in commits {
        let log = letters(worked.log());
        assert!(book(&narrow(&log, Some(commits)), &ALL, 1).is_err(), "it is interrupted");
        seen += begun(&log);
        book(&narrow(&log, None), &ALL, 1).unwrap();
        assert!(bytes(&log) == wanted, "after {commits} commits");
        let same = cursors(&log).iter().zip(&digests).all(|(one, other)| one.said == other.said);
        assert!(same, "digests after {commits} commits");
    }
    assert!(seen > 1, "some were interrupted between parts: {seen}");
}

/// Steps over many letters of all shards at once, found again by owners that read otherwise.
#[test]
fn a_begun_step_is_finished_by_whoever_reads_otherwise() {
    let worked = worked();
    let (whole, commits) = undisturbed(worked.log(), 64);
    let wanted = lines(&whole);
    let mut seen = 0;
    for commits in commits {
        let log = letters(worked.log());
        assert!(book(&narrow(&log, Some(commits)), &ALL, 64).is_err(), "it is interrupted");
        seen += begun(&log);
        // Two owners now, one of which is interrupted once more.
        let _ = book(&narrow(&log, Some(2)), &ALL[..1], 2);
        book(&narrow(&log, None), &ALL[1..], 3).unwrap();
        book(&narrow(&log, None), &ALL[..1], 64).unwrap();
        assert!(lines(&log) == wanted, "after {commits} commits");
    }
    assert!(seen > 1, "some were interrupted between parts: {seen}");
}

/// Letters of many borrowers one after the other, so that one step concerns all shards.
fn mixed() -> Batch {
    let rules = Rules { shards: SHARDS, ..Rules::default() };
    let mut batch = Batch::open(&rules, &shipped(), Decoder::default()).unwrap();
    for (_, line) in records(0, 14) {
        let payload = line.into_bytes().into();
        let message =
            Outgoing { subject: "intake.-.file.0".into(), payload, ..Outgoing::default() };
        batch.publish(message, "mixed", 1).unwrap();
    }
    batch.settle().unwrap();
    batch
}

/// How many shards have begun a step within whose messages another one stands.
fn around_another(log: &MemoryLog) -> usize {
    let all = cursors(log);
    let within = |one: &Cursor| all.iter().any(|it| it.seq > one.seq && it.seq < one.until);
    all.iter().filter(|one| one.sent > 0 && within(one)).count()
}

/// All shards found by one owner: one of them has begun what another stands within.
#[test]
fn a_begun_step_of_one_shard_is_finished_beside_the_others() {
    let mixed = mixed();
    let (whole, commits) = undisturbed(mixed.log(), 64);
    let wanted = lines(&whole);
    let mut seen = 0;
    for (more, commits) in (1..).zip(commits) {
        let log = letters(mixed.log());
        assert!(book(&narrow(&log, Some(commits)), &ALL, 64).is_err(), "it is interrupted");
        // The others go on a little under an owner that reads one message after the other.
        let standing = cursors(&log);
        let others = ALL.into_iter().filter(|n| standing[*n as usize].sent == 0);
        let _ = book(&narrow(&log, Some(more)), &others.collect::<Vec<_>>(), 1);
        seen += around_another(&log);
        book(&narrow(&log, None), &ALL, 5).unwrap();
        assert!(lines(&log) == wanted, "after {commits} commits and {more} more");
    }
    assert!(seen > 1, "some stood within a step that another had begun: {seen}");
}
