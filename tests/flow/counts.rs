//! What workers tell of themselves: every metric is fed, and what watches them knows their names.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::Int64Type;
use recoup::health;
use recoup::log::Log;
use recoup::log::memory::MemoryLog;
use recoup::post::{parse_reference, post};
use recoup::rows;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::fated::{Fate, Fated};
use super::world::{Crew, all, begin, drained, out, publish, records, tick, until, worker};

/// Every name that `pipeline/metrics.rs` declares.
fn declared() -> BTreeSet<String> {
    named(include_str!("../../pipeline/metrics.rs"))
}

/// The metrics that a text names, without what the format puts behind histograms.
fn named(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for part in text.split("recoup_").skip(1) {
        let name: String =
            part.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
        let stem = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let name = stem.unwrap_or(&name);
        if name.contains('_') {
            names.insert(format!("recoup_{name}"));
        }
    }
    names
}

/// A value of the page; `None` where it has no such line.
fn value(page: &str, line: &str) -> Option<f64> {
    let found = page.lines().find_map(|one| one.strip_prefix(line))?;
    found.trim().parse().ok()
}

/// Cases for one place only, so that the others wait.
const SCARCE: &str = "agency_id,provinces,products,bucket_min,bucket_max,unit_cost,capacity,\
    commission_by_bucket,perf_by_bucket\n\
    A1,,cash,1-30,361+,5.00,3,0.20|0.20|0.20|0.20|0.20|0.20|0.20,1|1|1|1|1|1|1\n";

/// The sum of a metric over all stages.
fn total(page: &str, name: &str) -> f64 {
    let lines = page.lines().filter(|line| line.starts_with(&format!("{name}{{")));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

fn clock() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_micros() as i64
}

/// How many rows `book` has, how many of them place a loan, and how many cases waited in the
/// newest round that shards told of.
async fn told(log: &dyn Log) -> (usize, usize, Option<i64>) {
    let (mut said, mut placed) = (0, 0);
    for message in all(log, "book").await {
        if !message.subject.starts_with("book.cursor.") {
            for one in rows::of(&message).unwrap() {
                said += one.num_rows();
                if message.subject.ends_with(".placements") {
                    let statuses = one["status"].as_string::<i32>();
                    placed += statuses.iter().filter(|status| *status == Some("placed")).count();
                }
            }
        }
    }
    let mut waiting = None;
    for message in all(log, "loans").await {
        if message.subject == "loans.all.rounds" {
            for round in rows::of(&message).unwrap() {
                let waits = round["waiting"].as_primitive::<Int64Type>();
                let told = |row: &usize| round["gap"].is_valid(*row) || waits.value(*row) > 0;
                waiting = (0..round.num_rows()).rfind(told).map(|row| waits.value(row)).or(waiting);
            }
        }
    }
    (said, placed, waiting)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_fed_by_a_running_pipeline() {
    let log = Arc::new(MemoryLog::with_clock(clock));
    begin(log.as_ref()).await;
    let scarce = parse_reference("agencies", "agencies.csv", SCARCE.as_bytes()).unwrap();
    post(log.as_ref(), &scarce).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let fated = Arc::new(Fated::new(log.clone(), Fate::default()));
    let crew = Crew::start(worker(fated.clone(), "one", Some(folder.path())), 0, 1);
    crew.ready().await;
    fated.fate.lose.store(3, Ordering::SeqCst);
    let lines = records(0, 44);
    publish(log.as_ref(), &lines).await;
    drained(log.as_ref()).await;
    for round in 1..4 {
        tick(log.as_ref(), "round", clock(), round).await;
        drained(log.as_ref()).await;
    }
    let metrics = crew.worker.metrics.clone();
    let page = || metrics.render();
    until("nothing to wait", || value(&page(), "recoup_lag_messages{stage=\"book\"}") == Some(0.0))
        .await;
    let refused = out(log.as_ref()).await["refused"].len() - 1;
    let (said, placed, waiting) = told(log.as_ref()).await;
    assert!(waiting.is_some_and(|waiting| waiting > 0) && placed > 0, "{waiting:?} {placed}");
    let running = page();
    for (line, wanted) in [
        ("recoup_owned_shards{stage=\"book\"}", 4),
        ("recoup_owned_shards{stage=\"normalize\"}", 4),
        ("recoup_read_rows_total{stage=\"normalize\"}", lines.len()),
        ("recoup_said_rows_total{stage=\"book\"}", said),
        ("recoup_recovery_seconds_count{stage=\"book\"}", 4),
        ("recoup_lag_seconds{stage=\"book\"}", 0),
        ("recoup_waiting_cases{stage=\"clear\"}", waiting.unwrap() as usize),
        ("recoup_placed_loans_total{stage=\"book\"}", placed),
    ] {
        assert_eq!(value(&running, line), Some(wanted as f64), "{line}");
    }
    for line in ["recoup_memory_bytes{stage=\"book\"}", "recoup_said_bytes_total{stage=\"book\"}"] {
        assert!(value(&running, line).is_some_and(|value| value > 0.0), "{line}\n{running}");
    }
    assert_eq!(total(&running, "recoup_doubtful_commits_total"), 3.0, "each lost answer");
    assert_eq!(total(&running, "recoup_refused_rows_total"), refused as f64);
    assert!(total(&running, "recoup_unknown_fields_total") > 0.0);
    disturbed(&log, crew, folder.path()).await;
}

/// What is counted only where something goes wrong; then every metric has been fed.
async fn disturbed(log: &Arc<MemoryLog>, crew: Crew, folder: &Path) {
    let metrics = crew.worker.metrics.clone();
    let page = || metrics.render();
    until("a snapshot", || total(&page(), "recoup_snapshots_total") > 0.0).await;
    // Where snapshots were kept there is nothing to write to any more.
    // A snapshot may be on its way: what it makes anew goes as well.
    while std::fs::write(folder, "in the way").is_err() {
        let _ = std::fs::remove_dir_all(folder);
    }
    // Another takes every shard.
    let other = Crew::start(worker(log.clone(), "two", None), 0, 1);
    other.ready().await;
    publish(log.as_ref(), &records(44, 60)).await;
    drained(log.as_ref()).await;
    until("a fence", || total(&page(), "recoup_fenced_commits_total") > 0.0).await;
    other.stop().await.unwrap();
    // It may be asking for a snapshot that it cannot reach: then it says so and ends as well.
    let _ = crew.stop().await;
    let ended = page();
    assert!(total(&ended, "recoup_failed_snapshots_total") > 0.0);
    assert!(total(&ended, "recoup_snapshots_total") > 0.0);
    assert_eq!(value(&ended, "recoup_owned_shards{stage=\"book\"}"), Some(0.0));
    let fed = named(&ended);
    let mut missing: Vec<_> = declared().difference(&fed).cloned().collect();
    // Those of the reading room are fed there: `tests/serve`; what a full memory tells in `limits`.
    let elsewhere = ["recoup_query_seconds", "recoup_held_back_turns_total"];
    missing.retain(|name| !elsewhere.contains(&name.as_str()));
    assert!(missing.is_empty(), "never fed: {missing:?}");
    std::fs::remove_file(folder).unwrap();
}

#[test]
fn dashboard_and_alerts_know_the_metrics_by_their_names() {
    let dashboard = named(include_str!("../../deploy/dashboard.json"));
    let alerts = named(include_str!("../../deploy/alerts.yaml"));
    let declared = declared();
    for (what, names) in [("dashboard", &dashboard), ("alerts", &alerts)] {
        let strange: Vec<_> = names.difference(&declared).collect();
        assert!(strange.is_empty(), "{what} asks for what nobody tells: {strange:?}");
        assert!(!names.is_empty(), "{what} asks for something");
    }
    let seen: BTreeSet<_> = dashboard.union(&alerts).cloned().collect();
    let unseen: Vec<_> = declared.difference(&seen).collect();
    assert!(unseen.is_empty(), "nobody looks at {unseen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_is_ready_when_every_shard_has_replayed() {
    let log = Arc::new(MemoryLog::new());
    begin(log.as_ref()).await;
    let first = Crew::start(worker(log.clone(), "first", None), 0, 1);
    publish(log.as_ref(), &records(0, 12)).await;
    drained(log.as_ref()).await;
    first.stop().await.unwrap();
    // No snapshot: book must read `loans` again, and that cannot be read for now.
    let (gate, _) = watch::channel(false);
    let fate = Fate { shut: Some(("loans".into(), gate.clone())), ..Fate::default() };
    let fated: Arc<dyn Log> = Arc::new(Fated::new(log, fate));
    let second = worker(fated, "second", None);
    let pages =
        health::serve("127.0.0.1:0", second.metrics.as_ref().clone(), second.readiness.clone());
    let address = pages.await.unwrap();
    let second = Crew::start(second, 0, 1);
    let readiness = second.worker.readiness.clone();
    until("the other stages", || {
        readiness.waits_for().iter().all(|what| what.starts_with("book shard"))
    })
    .await;
    let answer = asked(address).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("book shard 0") && answer.contains("book shard 3"), "{answer}");
    gate.send_replace(true);
    second.ready().await;
    let answer = asked(address).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    second.stop().await.unwrap();
}

async fn asked(address: std::net::SocketAddr) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let asking = b"GET /ready HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
    socket.write_all(asking).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}
