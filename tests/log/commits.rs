//! What commits keep over any log: each message once, each shard by one owner.

use std::sync::Arc;

use bytes::Bytes;
use recoup::commit::{Outcome, ShardCommit, commit_group};
use recoup::cursor::{self, Cursor};
use recoup::log::memory::MemoryLog;
use recoup::log::{Log, LogError, Outgoing};

use super::faulty::{Fault, FaultyLog, Turn};
use super::{Promise, all, payloads, promises, text};

pub const PROMISES: &[Promise] = promises![
    first_cursors_are_written_once,
    a_group_is_stored_with_its_cursors,
    one_shard_fenced_the_others_commit,
    an_absent_cursor_is_lost_history,
    a_lost_answer_is_asked,
    a_stale_read_is_asked_again,
    a_group_beyond_one_batch_is_split_by_shard,
    a_step_beyond_one_batch_is_stored_in_parts,
    a_step_stored_in_part_is_finished_by_another,
    a_message_no_batch_can_hold_is_told,
    owners_in_turmoil_store_everything_once,
];

const SHARDS: u32 = 3;

/// The stream, and every shard's first cursor.
async fn begin(log: &dyn Log, stream: &str) -> Vec<(u64, Cursor)> {
    log.create(stream).await.unwrap();
    let first = Cursor { stage: "account".into(), ..Cursor::default() };
    cursor::begin(log, stream, &first, SHARDS).await.unwrap();
    let mut firsts = Vec::new();
    for shard in 0..SHARDS {
        firsts.push(place(log, stream, shard).await);
    }
    firsts
}

async fn first_cursors_are_written_once(log: Arc<dyn Log>, stream: String) {
    let (log, stream) = (log.as_ref(), stream.as_str());
    let firsts = begin(log, stream).await;
    let wanted = (0..SHARDS).map(|shard| (u64::from(shard) + 1, shard)).collect::<Vec<_>>();
    assert_eq!(firsts.iter().map(|(seq, first)| (*seq, first.shard)).collect::<Vec<_>>(), wanted);
    assert_eq!(begin(log, stream).await, firsts);
    // One more than there are: what is absent was there once.
    let more = cursor::begin(log, stream, &firsts[0].1, SHARDS + 1).await;
    assert!(matches!(more, Err(LogError::Lost(what)) if what.contains(".account.3")));
}

/// A step of `count` messages over the input messages behind the cursor.
fn step(stream: &str, built_on: &(u64, Cursor), owner: &str, count: u64) -> ShardCommit {
    let (expects, from) = built_on.clone();
    let shard = from.shard;
    let after = Cursor {
        owner: owner.to_owned(),
        nonce: owner.bytes().map(u64::from).sum(),
        number: from.number + 1,
        seq: from.seq + count,
        sent: 0,
        until: 0,
        input_digest: from.seq + count,
        said: from.said + count,
        ..from.clone()
    };
    let rows = from.seq + 1..=from.seq + count;
    let said = rows.map(|row| text(&format!("{stream}.rows.{shard}"), &row.to_string()));
    ShardCommit {
        shard,
        cursor_subject: cursor::subject(stream, "account", shard),
        expects,
        from,
        cursor: after,
        said: said.collect(),
    }
}

async fn stored_rows(log: &dyn Log, stream: &str, shard: u32) -> Vec<u64> {
    let found = all(log, stream, &[&format!("{stream}.rows.{shard}")]).await;
    payloads(&found).iter().map(|row| row.parse().unwrap()).collect()
}

async fn place(log: &dyn Log, stream: &str, shard: u32) -> (u64, Cursor) {
    cursor::read(log, stream, &cursor::subject(stream, "account", shard)).await.unwrap()
}

async fn commit(
    log: &dyn Log,
    stream: &str,
    group: Vec<ShardCommit>,
) -> Result<Vec<(u32, Outcome)>, LogError> {
    commit_group(log, stream, group, &Turn).await
}

fn upto(last: u64) -> Vec<u64> {
    (1..=last).collect()
}

async fn a_group_is_stored_with_its_cursors(log: Arc<dyn Log>, stream: String) {
    let (log, stream) = (log.as_ref(), stream.as_str());
    let firsts = begin(log, stream).await;
    let group = firsts.iter().map(|first| step(stream, first, "ours", 2)).collect::<Vec<_>>();
    let cursors = group.iter().map(|commit| commit.cursor.clone()).collect::<Vec<_>>();
    let outcomes = commit(log, stream, group).await.unwrap();
    for (shard, outcome) in outcomes {
        let (seq, cursor) = place(log, stream, shard).await;
        assert_eq!(outcome, Outcome::Stored { cursor_seq: seq });
        assert_eq!(cursor, cursors[shard as usize]);
        assert_eq!(stored_rows(log, stream, shard).await, upto(2));
    }
    // Members come first, then the cursors, in one run of sequences.
    assert_eq!(place(log, stream, 2).await.0, 3 + 6 + 3);
    // A step that says nothing still moves the cursor.
    let quiet =
        ShardCommit { said: Vec::new(), ..step(stream, &place(log, stream, 1).await, "o", 5) };
    let outcomes = commit(log, stream, vec![quiet]).await.unwrap();
    assert_eq!(outcomes, [(1, Outcome::Stored { cursor_seq: 13 })]);
    assert_eq!(place(log, stream, 1).await.1.seq, 7);
}

async fn one_shard_fenced_the_others_commit(log: Arc<dyn Log>, stream: String) {
    let (log, stream) = (log.as_ref(), stream.as_str());
    let firsts = begin(log, stream).await;
    let theirs = vec![step(stream, &firsts[1], "theirs", 1)];
    commit(log, stream, theirs).await.unwrap();
    let group = firsts.iter().map(|first| step(stream, first, "ours", 3)).collect();
    let outcomes = commit(log, stream, group).await.unwrap();
    let fenced = outcomes.iter().map(|(_, outcome)| *outcome == Outcome::Fenced);
    assert_eq!(fenced.collect::<Vec<_>>(), [false, true, false]);
    for (shard, rows) in [(0, 3), (1, 1), (2, 3)] {
        assert_eq!(stored_rows(log, stream, shard).await, upto(rows));
    }
    // All of them fenced: nothing is stored.
    let before = log.state(stream).await.unwrap().last;
    let group = firsts.iter().map(|first| step(stream, first, "late", 3)).collect();
    let outcomes = commit(log, stream, group).await.unwrap();
    assert!(outcomes.iter().all(|(_, outcome)| *outcome == Outcome::Fenced));
    assert_eq!(log.state(stream).await.unwrap().last, before);
}

async fn an_absent_cursor_is_lost_history(log: Arc<dyn Log>, stream: String) {
    let (log, stream) = (log.as_ref(), stream.as_str());
    let mut firsts = begin(log, stream).await;
    firsts[0].1.shard = 77;
    let group = firsts.iter().map(|first| step(stream, first, "ours", 1)).collect();
    let outcomes = commit(log, stream, group).await.unwrap();
    assert!(matches!(&outcomes[0], (77, Outcome::Lost(what)) if what.contains(".account.77")));
    assert!(matches!(outcomes[1], (1, Outcome::Stored { .. })));
    assert!(matches!(outcomes[2], (2, Outcome::Stored { .. })));
    let absent = cursor::read(log, stream, &cursor::subject(stream, "account", 77)).await;
    assert!(matches!(absent, Err(LogError::Lost(what)) if what.contains("no cursor")));
    assert_eq!(stored_rows(log, stream, 77).await, upto(0));
}

async fn a_lost_answer_is_asked(log: Arc<dyn Log>, stream: String) {
    use Fault::{LostAfter, LostBefore};
    let plans: [&[Fault]; 5] = [
        &[LostBefore],
        &[LostAfter],
        &[LostBefore, LostBefore, LostAfter],
        &[LostBefore, LostAfter],
        &[LostAfter, LostAfter],
    ];
    let stream = stream.as_str();
    begin(log.as_ref(), stream).await;
    for (round, plan) in (1..).zip(plans) {
        let faulty = FaultyLog::new(log.clone(), plan);
        let mut group = Vec::new();
        for shard in 0..SHARDS {
            group.push(step(stream, &place(log.as_ref(), stream, shard).await, "ours", 2));
        }
        let outcomes = commit(&faulty, stream, group).await.unwrap();
        for (shard, outcome) in outcomes {
            let (cursor_seq, _) = place(log.as_ref(), stream, shard).await;
            assert_eq!(outcome, Outcome::Stored { cursor_seq }, "{plan:?}");
            assert_eq!(stored_rows(log.as_ref(), stream, shard).await, upto(2 * round));
        }
    }
}

async fn a_stale_read_is_asked_again(log: Arc<dyn Log>, stream: String) {
    let stream = stream.as_str();
    let firsts = begin(log.as_ref(), stream).await;
    for plan in [[Fault::Stale, Fault::None], [Fault::LostBefore, Fault::Stale]] {
        let faulty = FaultyLog::new(log.clone(), &plan);
        let built_on = place(log.as_ref(), stream, 0).await;
        let ours = vec![step(stream, &built_on, "ours", 2)];
        let outcomes = commit(&faulty, stream, ours).await.unwrap();
        assert!(matches!(outcomes[0].1, Outcome::Stored { .. }), "{plan:?}");
    }
    assert_eq!(stored_rows(log.as_ref(), stream, 0).await, upto(4));
    let late = vec![step(stream, &firsts[0], "late", 1)];
    let faulty = FaultyLog::new(log.clone(), &[Fault::LostBefore]);
    assert_eq!(commit(&faulty, stream, late).await.unwrap(), [(0, Outcome::Fenced)]);
}

async fn a_group_beyond_one_batch_is_split_by_shard(log: Arc<dyn Log>, stream: String) {
    let stream = stream.as_str();
    let firsts = begin(log.as_ref(), stream).await;
    let group = firsts.iter().map(|first| step(stream, first, "ours", 600)).collect();
    let faulty = FaultyLog::new(log.clone(), &[Fault::LostAfter, Fault::LostBefore]);
    let outcomes = commit(&faulty, stream, group).await.unwrap();
    assert!(outcomes.iter().all(|(_, outcome)| matches!(outcome, Outcome::Stored { .. })));
    for shard in 0..SHARDS {
        assert_eq!(stored_rows(log.as_ref(), stream, shard).await, upto(600));
    }
    assert_eq!(log.state(stream).await.unwrap().last, 3 + 3 * 601);
}

async fn a_step_beyond_one_batch_is_stored_in_parts(log: Arc<dyn Log>, stream: String) {
    let (log, stream) = (log.as_ref(), stream.as_str());
    let firsts = begin(log, stream).await;
    let counts = [2, 2_500, 4];
    let group = firsts.iter().zip(counts).map(|(first, count)| step(stream, first, "ours", count));
    let outcomes = commit(log, stream, group.collect()).await.unwrap();
    for ((shard, outcome), count) in outcomes.into_iter().zip(counts) {
        let (cursor_seq, cursor) = place(log, stream, shard).await;
        assert_eq!(outcome, Outcome::Stored { cursor_seq });
        assert_eq!((cursor.seq, cursor.sent, cursor.until), (count, 0, 0));
        assert_eq!(stored_rows(log, stream, shard).await, upto(count));
    }
    // By bytes as well.
    let built_on = place(log, stream, 0).await;
    let mut large = step(stream, &built_on, "ours", 90);
    for message in &mut large.said {
        message.payload = Bytes::from(vec![b'7'; 900_000]);
    }
    let outcomes = commit(log, stream, vec![large]).await.unwrap();
    assert!(matches!(outcomes[0].1, Outcome::Stored { .. }));
    assert_eq!(all(log, stream, &[&format!("{stream}.rows.0")]).await.len(), 92);
    // Three batches: their cursors are the only other messages.
    assert_eq!(log.state(stream).await.unwrap().last, 3 + (2_506 + 2 + 3) + (90 + 3));
}

async fn a_step_stored_in_part_is_finished_by_another(log: Arc<dyn Log>, stream: String) {
    let stream = stream.as_str();
    let firsts = begin(log.as_ref(), stream).await;
    // Stopped before the first, the second and the third part, each time by another owner.
    let mut built_on = firsts[0].clone();
    for (owner, plan, sent) in [
        ("first", vec![Fault::Stop], 0),
        ("second", vec![Fault::None, Fault::Stop], 999),
        ("third", vec![Fault::LostAfter, Fault::Stop], 1_998),
    ] {
        let faulty = FaultyLog::new(log.clone(), &plan);
        let whole = ShardCommit { said: rows(stream, 2_500), ..again(stream, &built_on, owner) };
        let stopped = commit(&faulty, stream, vec![whole]).await;
        assert!(matches!(stopped, Err(LogError::Unfit { .. })));
        built_on = place(log.as_ref(), stream, 0).await;
        let Cursor { seq, until, .. } = built_on.1;
        let until_wanted = if sent == 0 { 0 } else { 2_500 };
        assert_eq!((seq, built_on.1.sent, until), (0, sent, until_wanted));
    }
    // A step that ends elsewhere is not the one that was begun.
    let other = step(stream, &built_on, "other", 2_400);
    let outcomes = commit(log.as_ref(), stream, vec![other]).await.unwrap();
    assert!(matches!(&outcomes[0].1, Outcome::Lost(what) if what.contains("1998 messages")));
    // The first owner wakes and is fenced, whatever it sends.
    let zombie = ShardCommit { said: rows(stream, 2_500), ..again(stream, &firsts[0], "first") };
    let outcomes = commit(log.as_ref(), stream, vec![zombie]).await.unwrap();
    assert_eq!(outcomes[0].1, Outcome::Fenced);
    let whole = ShardCommit { said: rows(stream, 2_500), ..again(stream, &built_on, "last") };
    let outcomes = commit(log.as_ref(), stream, vec![whole]).await.unwrap();
    assert!(matches!(outcomes[0].1, Outcome::Stored { .. }));
    assert_eq!(stored_rows(log.as_ref(), stream, 0).await, upto(2_500));
    let (_, cursor) = place(log.as_ref(), stream, 0).await;
    assert_eq!((cursor.seq, cursor.sent, cursor.until, cursor.said), (2_500, 0, 0, 2_500));
}

fn rows(stream: &str, count: u64) -> Vec<Outgoing> {
    (1..=count).map(|row| text(&format!("{stream}.rows.0"), &row.to_string())).collect()
}

/// The step over the first 2,500 input messages, whoever takes it.
fn again(stream: &str, built_on: &(u64, Cursor), owner: &str) -> ShardCommit {
    step(stream, built_on, owner, 2_500)
}

async fn a_message_no_batch_can_hold_is_told(log: Arc<dyn Log>, stream: String) {
    let (log, stream) = (log.as_ref(), stream.as_str());
    let firsts = begin(log, stream).await;
    let mut group = firsts.iter().map(|first| step(stream, first, "ours", 2)).collect::<Vec<_>>();
    group[1].said[1].payload = Bytes::from(vec![b'x'; log.payload_max() + 1]);
    let outcomes = commit(log, stream, group).await.unwrap();
    assert!(matches!(outcomes[0].1, Outcome::Stored { .. }));
    assert_eq!(outcomes[1].1, Outcome::TooLarge);
    assert!(matches!(outcomes[2].1, Outcome::Stored { .. }));
    assert_eq!(stored_rows(log, stream, 1).await, upto(0));
}

/// Three owners claim every shard at once, over logs that lose answers and read stale.
async fn owners_in_turmoil_store_everything_once(log: Arc<dyn Log>, stream: String) {
    use Fault::{LostAfter, LostBefore, None, Stale};
    begin(log.as_ref(), &stream).await;
    let plans = [
        [None, LostAfter, Stale, LostBefore, None, None, Stale, LostAfter],
        [LostBefore, None, LostAfter, LostAfter, Stale, None, None, Stale],
        [Stale, Stale, None, LostBefore, LostBefore, LostAfter, None, None],
    ];
    let owners = plans.iter().zip(["red", "green", "blue"]).map(|(plan, owner)| {
        let faulty = FaultyLog::new(log.clone(), &plan.repeat(20));
        let stream = stream.clone();
        async move {
            for round in 1..=12 {
                let mut group = Vec::new();
                for shard in 0..SHARDS {
                    let built_on = place(&faulty, &stream, shard).await;
                    group.push(step(&stream, &built_on, owner, 1 + round % 3));
                }
                commit(&faulty, &stream, group).await.unwrap();
            }
        }
    });
    futures::future::join_all(owners).await;
    for shard in 0..SHARDS {
        let (_, cursor) = place(log.as_ref(), &stream, shard).await;
        assert!(cursor.number >= 12, "each round somebody wins");
        assert_eq!(stored_rows(log.as_ref(), &stream, shard).await, upto(cursor.seq));
    }
}

#[tokio::test]
async fn a_cursor_that_went_back_is_lost_history() {
    let log = MemoryLog::new();
    begin(&log, "loans").await;
    let before = log.state("loans").await.unwrap().last;
    commit(&log, "loans", vec![step("loans", &place(&log, "loans", 0).await, "ours", 4)])
        .await
        .unwrap();
    let built_on = place(&log, "loans", 0).await;
    log.cut("loans", before).unwrap();
    let ours = vec![step("loans", &built_on, "ours", 1)];
    let outcomes = commit(&log, "loans", ours).await.unwrap();
    assert!(matches!(&outcomes[0].1, Outcome::Lost(what) if what.contains("went back")));
}
