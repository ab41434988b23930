//! What is too much is held back, cut or refused, never lost: memory, steps, floods, old records.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use recoup::decoder::FORMAT;
use recoup::limits::STEP_ROWS_MAX;
use recoup::load::pace::waiting;
use recoup::load::{LoadPlan, Pace, load};
use recoup::log::memory::MemoryLog;
use recoup::log::{Log, Message, Outgoing};
use recoup_operators::decode;
use recoup_sql::stages;

use super::idle;
use super::world::{
    Crew, SHARDS, assert_same, batched, begin, cursors, days, drained, out, publish, records,
    until, worker,
};

const LOANS: usize = 40;

/// Records wait in the intake while a process holds as much as it may; none is lost.
#[tokio::test(flavor = "multi_thread")]
async fn memory_that_is_full_delays_new_records_and_loses_none() {
    let wanted = std::thread::spawn(|| batched(&records(0, LOANS))).join().unwrap();
    let log = Arc::new(MemoryLog::new());
    begin(log.as_ref()).await;
    let first = Crew::start(worker(log.clone(), "first", None), 0, 1);
    publish(log.as_ref(), &records(0, LOANS / 2)).await;
    drained(log.as_ref()).await;
    first.stop().await.unwrap();
    let mut full = worker(log.clone(), "full", None);
    full.tempo.memory_max = 1;
    let full = Crew::start(full, 0, 1);
    full.ready().await;
    let metrics = full.worker.metrics.clone();
    let held = || metrics.held_back.with_label_values(&["normalize"]).get();
    // Every thread of the door has looked, more than once.
    until("all to be held back", || held() >= 20).await;
    let places = |all: Vec<recoup::cursor::Cursor>| all.iter().map(|one| one.seq).sum::<u64>();
    let before = places(cursors(log.as_ref(), "normalize").await);
    publish(log.as_ref(), &records(LOANS / 2, LOANS)).await;
    let so_far = held();
    until("to be held back again", || held() >= so_far + 20).await;
    assert_eq!(places(cursors(log.as_ref(), "normalize").await), before, "nothing was read");
    full.stop().await.unwrap();
    let roomy = Crew::start(worker(log.clone(), "roomy", None), 0, 1);
    drained(log.as_ref()).await;
    days(log.as_ref()).await;
    roomy.stop().await.unwrap();
    assert_same(&out(log.as_ref()).await, &wanted);
}

fn message(seq: u64, format: &str, payload: Vec<u8>) -> Message {
    Message {
        seq,
        subject: "intake.L1.file.0".into(),
        headers: vec![(FORMAT.into(), format.into())],
        payload: payload.into(),
        rows: None,
        at: 0,
    }
}

/// Few bytes may be many rows: a step ends when it has enough of either.
#[test]
fn a_step_takes_no_more_rows_than_the_limit_and_one_message() {
    let group = idle(stages::shape("normalize").unwrap());
    let lines = |count: usize| "{}\n".repeat(count).into_bytes();
    let half = STEP_ROWS_MAX / 2;
    let array = format!("[{}]", vec!["{}"; half].join(",")).into_bytes();
    let log: Vec<Message> = [
        ("json", lines(10)),
        ("json", lines(half)),
        ("csv", lines(half)),
        ("json", array.clone()),
        ("json", array),
        ("json", lines(3 * STEP_ROWS_MAX)),
        ("json", lines(1)),
    ]
    .into_iter()
    .zip(1..)
    .map(|((format, payload), seq)| message(seq, format, payload))
    .collect();
    let sizes: Vec<usize> = group.cut(&log).iter().map(|step| step.len()).collect();
    assert_eq!(sizes, [3, 2, 1, 1]);
}

/// A file of so many parts, of lines that are long, so that there are not many.
fn flood(folder: &tempfile::TempDir, parts: usize) -> std::path::PathBuf {
    let (mut text, filling) = (String::new(), "x".repeat(20_000));
    let mut n = 0;
    while text.len() < parts * recoup::load::PART_BYTES {
        let (_, line) = &records(n, n + 1)[0];
        text += &line.replace("LN", "FL").replacen('{', &format!("{{\"x\":\"{filling}\","), 1);
        text.push('\n');
        n += 1;
    }
    let path = folder.path().join("flood.jsonl");
    std::fs::write(&path, text).unwrap();
    path
}

fn plan(path: std::path::PathBuf, pace: Pace) -> LoadPlan {
    let (lender, kind) = ("L1".to_string(), "file".to_string());
    LoadPlan { files: vec![path], lender, kind, subjects: 4, format: None, pace }
}

const AHEAD: u64 = 6;
/// What one commit of a load has at most, with its progress, and the record of the other lender.
const COMMIT: u64 = 15;

/// While one lender floods, a record of another is never further behind than the limit and one
/// commit; without the limit it is behind the whole flood.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_never_further_ahead_of_another_lender_than_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = flood(&folder, 40);
    for limit in [AHEAD, 0] {
        let log = Arc::new(MemoryLog::new());
        begin(log.as_ref()).await;
        // Who does not read yet is not waited for.
        let crew = (limit > 0).then(|| Crew::start(worker(log.clone(), "one", None), 0, 1));
        let behind = Arc::new(Mutex::new(vec![]));
        let (seen, asked) = (behind.clone(), log.clone());
        let silent = Duration::from_secs(60);
        let pace = Pace { ahead_messages: limit, shards: SHARDS, silent, ..Pace::default() };
        let mut number = 0;
        load(log.as_ref(), plan(path.clone(), pace), &mut move |progress| {
            number += 1;
            let line = format!(
                "{{\"payment_id\":\"b{number}\",\"loan_id\":\"LN1\",\"kind\":\"payment\",\
                 \"amount\":\"1.00\",\"paid_at\":\"2026-03-02T00:00:00Z\"}}"
            );
            let record = Outgoing {
                subject: format!("intake.L2.file.{}", number % 4),
                payload: Bytes::from(line),
                ..Outgoing::default()
            };
            futures::executor::block_on(async {
                let door = stages::shape("normalize").unwrap();
                let (waiting, _) = waiting(asked.as_ref(), door, SHARDS).await.unwrap();
                asked.commit("intake", &[record]).await.unwrap();
                if progress.parts > 0 {
                    seen.lock().unwrap().push(waiting);
                }
            });
        })
        .await
        .unwrap();
        let most = behind.lock().unwrap().iter().copied().max().unwrap();
        match crew {
            Some(crew) => {
                assert!(most <= AHEAD + COMMIT, "{most} messages were ahead");
                drained(log.as_ref()).await;
                crew.stop().await.unwrap();
            }
            None => assert!(most >= 40, "without a limit all of it is ahead, not {most}"),
        }
    }
}

/// Nobody reads: the log takes what it is given.
#[tokio::test]
async fn a_load_waits_for_nobody_who_does_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let log = MemoryLog::new();
    begin(&log).await;
    let silent = Duration::ZERO;
    let pace = Pace { ahead_messages: 1, shards: SHARDS, silent, ..Pace::default() };
    let report = load(&log, plan(flood(&folder, 30), pace), &mut |_| {}).await.unwrap();
    assert!(report.files[0].parts >= 30);
}

/// A load at so many lines a second is due when these would have taken as long, and not before.
#[test]
fn a_load_goes_at_no_more_than_its_lines_a_second() {
    let pace = Pace { lines_per_second: 1_000, ..Pace::default() };
    for (lines, millis) in [(0, 0), (1, 1), (4_500, 4_500), (u64::MAX, u64::MAX / 1_000)] {
        assert_eq!(pace.due(lines), Some(Duration::from_millis(millis)), "{lines} lines");
    }
    assert_eq!(Pace::default().due(1_000_000), None, "who sets no limit waits for nothing");
}

/// A bomb is one refused row, whatever it says it becomes.
#[test]
fn what_unfolds_to_too_much_is_refused_unread() {
    let payload = recoup::rows::encode(
        &datafusion::arrow::record_batch::RecordBatch::try_from_iter([(
            "loan_id",
            Arc::new(datafusion::arrow::array::StringArray::from(vec!["A"; decode::ROWS_MAX + 1]))
                as datafusion::arrow::array::ArrayRef,
        )])
        .unwrap(),
        recoup::rows::Packing::Lz4,
        usize::MAX,
    )
    .remove(0);
    assert!(payload.len() < 1 << 20, "it fits a message");
    let mut group = idle(stages::shape("normalize").unwrap());
    let cursor = recoup::cursor::Cursor::default();
    let said = std::collections::BTreeMap::new();
    group.take(0, recoup::group::Shard { cursor, cursor_seq: 0, read: 0, said });
    let step = group.step(&[message(1, "arrow", payload.to_vec())]).unwrap();
    assert_eq!(step.rows, 1);
    assert_eq!(step.told[&0].refused, 1);
}
