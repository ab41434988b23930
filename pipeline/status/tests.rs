//! Standings read from a log that holds cursors and refusals.

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};

use super::{Standing, read};
use crate::cursor::{self, Cursor};
use crate::log::memory::MemoryLog;
use crate::log::{Log, Outgoing};
use crate::rows::{Packing, encode};

const STREAMS: [&str; 5] = ["intake", "reports", "loans", "book", "statements"];

async fn put(log: &MemoryLog, stream: &str, subject: &str, payload: bytes::Bytes) {
    let message = Outgoing { subject: subject.into(), payload, ..Outgoing::default() };
    log.commit(stream, &[message]).await.expect("stored");
}

async fn put_cursor(log: &MemoryLog, out: &str, stage: &str, shard: u32, seq: u64) {
    let cursor = Cursor {
        stage: stage.into(),
        shard,
        owner: "anna".into(),
        why: "it prefers it".into(),
        number: 4,
        seq,
        ..Cursor::default()
    };
    put(log, out, &cursor::subject(out, stage, shard), cursor.encode()).await;
}

/// Two shards; the book of shard 1 has no cursor. Of three messages in the intake the last two are
/// for shard 1, which has read the first of them.
async fn log() -> MemoryLog {
    let log = MemoryLog::with_clock(|| 5_000_000);
    for stream in STREAMS {
        log.create(stream).await.expect("created");
    }
    for shard in [0, 1, 1] {
        put(&log, "intake", &format!("intake.L1.json.{shard}"), "{}".into()).await;
    }
    for (shard, seq) in [(0, 1), (1, 2), (2, 0), (3, 0)] {
        put_cursor(&log, "reports", "normalize", shard, seq).await;
    }
    for shard in 0..2 {
        put_cursor(&log, "loans", "register", shard, 9).await;
    }
    put_cursor(&log, "book", "book", 0, 0).await;
    put_cursor(&log, "loans", "clear", 0, 0).await;
    put_cursor(&log, "statements", "close", 0, 0).await;
    let reasons: ArrayRef = Arc::new(StringArray::from(vec!["bad_json", "bad_json", "conflict"]));
    let rows = RecordBatch::try_from_iter([("reason", reasons)]).expect("rows");
    for payload in encode(&rows, Packing::Plain, 1 << 20) {
        put(&log, "reports", "reports.1.refused", payload).await;
    }
    log
}

fn find<'a>(all: &'a [Standing], stage: &str, shard: u32) -> &'a Standing {
    all.iter().find(|one| one.stage == stage && one.shard == shard).expect("a standing")
}

#[tokio::test]
async fn standings_tell_owner_lag_and_trouble() {
    let status = read(&log().await, 2, 9_000_000, Duration::from_secs(60)).await.expect("status");
    // One stage of the intake's four subjects, two of two shards, two of one.
    assert_eq!(status.shards.len(), 10);
    let normalizes: Vec<_> = status.shards.iter().filter(|one| one.stage == "normalize").collect();
    assert!(normalizes.iter().all(|one| one.trouble.is_empty()), "{normalizes:?}");
    let normalize = find(&status.shards, "normalize", 0);
    assert_eq!((normalize.owner.as_str(), normalize.commits), ("anna", 4));
    assert_eq!(normalize.why, "it prefers it");
    assert_eq!((normalize.read, normalize.waiting, normalize.idle_seconds), (1, 0, 4));
    assert_eq!(normalize.trouble, "");
    assert_eq!(find(&status.shards, "normalize", 1).waiting, 1);
    assert_eq!(find(&status.shards, "register", 0).trouble, "stream reports ends at 5");
    assert!(find(&status.shards, "book", 1).trouble.contains("no cursor"));
    assert!(status.refused.whole);
    let refused: Vec<_> = status.refused.by_reason.into_iter().collect();
    assert_eq!(refused, [("bad_json".to_string(), 2), ("conflict".to_string(), 1)]);
}

#[tokio::test]
async fn counting_stops_with_its_budget() {
    let status = read(&log().await, 2, 0, Duration::ZERO).await.expect("status");
    assert!(!status.refused.whole);
}
