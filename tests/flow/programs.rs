//! The program changes under a deployment: what was said stays said, and memory is never guessed.

use std::path::Path;
use std::sync::Arc;

use recoup::group::{Group, Owner};
use recoup::log::Log;
use recoup::log::memory::MemoryLog;
use recoup::rows::Packing;
use recoup::snapshot::{self, Snapshots};
use recoup::{snapshot::Fit, wake};
use recoup_sql::{Source, compile, shipped, stages};

use super::fated::{Fate, Fated};
use super::world::{Crew, SHARDS, begin, drained, out, program, publish, records, rules, worker};

const PRICING: &str = "40_reprice.sql";

/// A day of work by the shipped program, stopped: every shard has handed over.
async fn history(folder: &Path) -> MemoryLog {
    let log = MemoryLog::new();
    begin(&log).await;
    let crew = Crew::start(worker(Arc::new(log.clone()), "old", Some(folder)), 0, 1);
    publish(&log, &records(0, 24)).await;
    drained(&log).await;
    crew.stop().await.unwrap();
    log
}

/// The same pricing with other words around it.
fn reworded() -> Vec<Source> {
    let mut sources = shipped();
    let source = sources.iter_mut().find(|one| one.name == PRICING).unwrap();
    source.text = format!("-- Worded otherwise.\n{}", source.text);
    sources
}

/// Handling, ten a loan, is added instead of taken off.
fn repriced() -> Vec<Source> {
    program(PRICING, "- c.handling_cost", "+ c.handling_cost")
}

fn with(log: Arc<dyn Log>, folder: &Path, sources: Vec<Source>, migrate: bool) -> Crew {
    let mut worker = worker(log, "new", Some(folder));
    (worker.sources, worker.migrate) = (Arc::new(sources), migrate);
    Crew::start(worker, 0, 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_says_the_same_of_history_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let log = history(folder.path()).await;
    let crew = with(Arc::new(log.clone()), folder.path(), reworded(), false);
    crew.ready().await;
    publish(&log, &records(24, 30)).await;
    drained(&log).await;
    let replayed = crew.worker.metrics.read_messages.with_label_values(&["book"]).get();
    assert!(replayed > 24, "it did not wake from the other program's memory: {replayed}");
    crew.stop().await.unwrap();
    assert_eq!(out(&log).await["loans"].len(), 31);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_says_something_else_of_history_stops_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let log = history(folder.path()).await;
    let before = super::world::all(&log, "book").await;
    let crew = with(Arc::new(log.clone()), folder.path(), repriced(), false);
    let error = crew.ended().await.unwrap_err().to_string();
    assert!(error.contains("book shard"), "{error}");
    assert!(error.contains("--migrate"), "{error}");
    let said = |all: Vec<recoup::log::Message>| {
        let told = all.into_iter().filter(|one| !one.subject.starts_with("book.cursor."));
        told.map(|one| (one.subject, one.payload)).collect::<Vec<_>>()
    };
    assert_eq!(said(super::world::all(&log, "book").await), said(before), "it has said nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_migrate_it_takes_over_what_was_handed_over_and_the_way_back_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let log = history(folder.path()).await;
    let before = out(&log).await;
    let crew = with(Arc::new(log.clone()), folder.path(), repriced(), true);
    crew.ready().await;
    assert_eq!(out(&log).await, before, "what was said stays said");
    publish(&log, &records(24, 30)).await;
    drained(&log).await;
    crew.stop().await.unwrap();
    let with_new = out(&log).await;
    let old = with(Arc::new(log.clone()), folder.path(), shipped(), true);
    publish(&log, &records(30, 36)).await;
    drained(&log).await;
    old.stop().await.unwrap();
    let cents = |prices: &[String], loan: &str| {
        let line = prices.iter().find(|line| line.starts_with(&format!("{loan},"))).unwrap();
        line.split(',').nth(6).unwrap().replace('.', "").parse::<i64>().unwrap()
    };
    // A loan's principal is one more than that of the loan before it; handling is ten.
    let (new, last) = (&with_new["prices"], &out(&log).await["prices"]);
    assert!(cents(new, "LN29") - cents(new, "LN23") > 1_500, "priced by the new program");
    assert!(cents(last, "LN31") < cents(last, "LN29"), "the old program prices again");
    assert!(before["prices"].iter().all(|line| last.contains(line)), "history is as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_programs_snapshot_and_a_trimmed_stream_are_lost_history() {
    let folder = tempfile::tempdir().unwrap();
    let log = history(folder.path()).await;
    let fate = Fate { trimmed: Some(("loans".into(), 20)), ..Fate::default() };
    let trimmed = Fated::new(Arc::new(log.clone()), fate);
    let crew = with(Arc::new(trimmed.clone()), folder.path(), reworded(), false);
    let error = crew.ended().await.unwrap_err().to_string();
    assert!(error.contains("begins at 20") && error.contains("snapshot"), "{error}");
    // The program that wrote the snapshots wakes from them all the same.
    let crew = with(Arc::new(trimmed), folder.path(), shipped(), false);
    crew.ready().await;
    crew.stop().await.unwrap();
}

/// A snapshot that stands at the cursor and has said something else is not believed.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_contradicts_its_cursor_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let log = history(folder.path()).await;
    let snapshots = Snapshots::open(folder.path().to_str().unwrap()).unwrap();
    let shape = stages::shape("book").unwrap();
    let numbers: Vec<u32> = (0..SHARDS).collect();
    let woken = async || {
        let stage = compile(shape, &shipped(), &rules()).unwrap();
        let owner = Owner { name: "next".into(), nonce: 2 };
        let mut group = Group::new(stage, Default::default(), owner, Packing::Lz4);
        wake::wake(&log, Some(&snapshots), &mut group, &numbers).await.unwrap();
        group
    };
    let mut group = woken().await;
    assert!(group.shards.values().all(|shard| shard.read == shard.cursor.seq));
    for shard in group.shards.values_mut() {
        let digest = shard.said.values_mut().next().unwrap();
        *digest ^= 1;
    }
    for number in &numbers {
        let (header, bytes) = snapshot::encode(&group, *number).unwrap();
        snapshots.put(&header, bytes).await.unwrap();
    }
    let group = woken().await;
    assert!(group.shards.values().all(|shard| shard.read < shard.cursor.seq), "they replay");
    let all = |_: &snapshot::Header| Fit::Because("we look only".into());
    let (none, passed_over) = snapshots.newest("book", 0, &all).await.unwrap();
    assert!(none.is_none() && !passed_over.is_empty());
}
