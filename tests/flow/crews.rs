//! Workers come, go, die and wake again; what comes out is what one undisturbed worker gives.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use recoup::crew::Watched;
use recoup::group::{Group, Owner};
use recoup::log::Log;
use recoup::log::memory::MemoryLog;
use recoup::rows::Packing;
use recoup::snapshot::Snapshots;
use recoup::wake;
use recoup_sql::stages::STAGES;
use recoup_sql::{compile, shipped};
use tokio::sync::watch;

use super::fated::{Fate, Fated};
use super::world::{
    Crew, Out, assert_same, batched, begin, cursors, days, drained, out, publish, records, rules,
    until, worker,
};
use crate::log::World;

const LOANS: usize = 120;

/// A log of each kind; the server lives as long as the world.
async fn logs() -> Vec<(Option<World>, Arc<dyn Log>)> {
    let world = World::start().await;
    let stream = Arc::new(world.log().await);
    vec![(None, Arc::new(MemoryLog::new())), (Some(world), stream)]
}

fn wanted() -> Out {
    // Steps never run inside a task.
    let batched = std::thread::spawn(|| batched(&records(0, LOANS)));
    let wanted = batched.join().unwrap();
    assert!(wanted["loans"].len() > LOANS, "a header and each loan");
    assert!(wanted["statements"].len() > 3 && wanted["ledger"].len() > 3 * LOANS);
    wanted
}

#[tokio::test(flavor = "multi_thread")]
async fn one_to_four_to_two_workers_while_data_flows() {
    let wanted = wanted();
    for (_world, log) in logs().await {
        begin(log.as_ref()).await;
        let folder = tempfile::tempdir().unwrap();
        let start = |name: &str, index, of| {
            Crew::start(worker(log.clone(), name, Some(folder.path())), index, of)
        };
        let one = start("one", 0, 1);
        publish(log.as_ref(), &records(0, 30)).await;
        let four: Vec<_> = (0..4).map(|i| start(&format!("of-four-{i}"), i, 4)).collect();
        publish(log.as_ref(), &records(30, 60)).await;
        one.stop().await.unwrap();
        publish(log.as_ref(), &records(60, 90)).await;
        let two: Vec<_> = (0..2).map(|i| start(&format!("of-two-{i}"), i, 2)).collect();
        for crew in four {
            crew.stop().await.unwrap();
        }
        publish(log.as_ref(), &records(90, LOANS)).await;
        drained(log.as_ref()).await;
        days(log.as_ref()).await;
        let owners: Vec<String> =
            cursors(log.as_ref(), "book").await.into_iter().map(|one| one.owner).collect();
        assert!(owners.iter().all(|owner| owner.starts_with("of-two-")), "{owners:?}");
        for cursor in cursors(log.as_ref(), "book").await {
            let known = ["it prefers it", "stopped and handed it over"];
            assert!(known.iter().any(|why| cursor.why.ends_with(why)), "{cursor:?}");
        }
        for crew in two {
            crew.stop().await.unwrap();
        }
        assert_same(&out(log.as_ref()).await, &wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shards_of_a_killed_worker_are_taken_over() {
    let wanted = wanted();
    for (_world, log) in logs().await {
        begin(log.as_ref()).await;
        let folder = tempfile::tempdir().unwrap();
        let mortal = Fated::new(log.clone(), Fate::default());
        let killed = worker(Arc::new(mortal.clone()), "killed", Some(folder.path()));
        let killed = Crew::start(killed, 0, 2);
        let heir = Crew::start(worker(log.clone(), "heir", Some(folder.path())), 1, 2);
        publish(log.as_ref(), &records(0, 50)).await;
        // In mid-flight, and then not a word more.
        mortal.kill();
        assert!(killed.ended().await.unwrap_err().to_string().contains("killed"));
        publish(log.as_ref(), &records(50, LOANS)).await;
        drained(log.as_ref()).await;
        days(log.as_ref()).await;
        for shape in STAGES {
            let owners = cursors(log.as_ref(), shape.name).await;
            assert!(owners.iter().all(|cursor| cursor.owner == "heir"), "{}", shape.name);
        }
        // Silent for two seconds, or never there, where the machine was slow to start it.
        let whys =
            ["killed was silent for 2 s while input waited", "nobody had it", "it prefers it"];
        for cursor in cursors(log.as_ref(), "book").await {
            assert!(whys.contains(&cursor.why.as_str()), "{cursor:?}");
        }
        heir.stop().await.unwrap();
        assert_same(&out(log.as_ref()).await, &wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_hands_over_and_the_next_begins_where_it_ended() {
    let wanted = wanted();
    for (_world, log) in logs().await {
        begin(log.as_ref()).await;
        let folder = tempfile::tempdir().unwrap();
        let first = Crew::start(worker(log.clone(), "first", Some(folder.path())), 0, 1);
        publish(log.as_ref(), &records(0, 50)).await;
        drained(log.as_ref()).await;
        first.stop().await.unwrap();
        let snapshots = Snapshots::open(folder.path().to_str().unwrap()).unwrap();
        for shape in STAGES.iter().filter(|shape| shape.remembers) {
            let stage = compile(shape, &shipped(), &rules()).unwrap();
            let owner = Owner { name: "next".into(), nonce: 2 };
            let mut group = Group::new(stage, Default::default(), owner, Packing::Lz4);
            let count = wake::shards_of(shape, super::world::SHARDS, 1);
            let numbers: Vec<u32> = (0..count).collect();
            let woken = wake::wake(log.as_ref(), Some(&snapshots), &mut group, &numbers);
            woken.await.unwrap();
            for (number, shard) in &group.shards {
                let what = format!("{} shard {number} has nothing to replay", shape.name);
                assert_eq!(shard.read, shard.cursor.seq, "{what}");
                assert_eq!(shard.cursor.owner, "", "it is nobody's");
            }
        }
        let next = Crew::start(worker(log.clone(), "next", Some(folder.path())), 0, 1);
        publish(log.as_ref(), &records(50, LOANS)).await;
        drained(log.as_ref()).await;
        days(log.as_ref()).await;
        next.stop().await.unwrap();
        assert_same(&out(log.as_ref()).await, &wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_wakes_after_its_shards_were_taken_is_refused_and_leaves() {
    let wanted = wanted();
    for (_world, log) in logs().await {
        begin(log.as_ref()).await;
        let folder = tempfile::tempdir().unwrap();
        let (gate, _) = watch::channel(true);
        let fate = Fate { paused: Some(("book".into(), gate.clone())), ..Fate::default() };
        let paused = Fated::new(log.clone(), fate);
        let mut sleeper = worker(Arc::new(paused.clone()), "sleeper", None);
        // It never takes anything back.
        sleeper.tempo.silent = Duration::from_secs(3_600);
        let sleeper = Crew::start(sleeper, 0, 1);
        publish(log.as_ref(), &records(0, 40)).await;
        drained(log.as_ref()).await;
        let came = paused.fate.waiting.load(Ordering::SeqCst);
        gate.send_replace(false);
        publish(log.as_ref(), &records(40, 60)).await;
        until("a commit to pause", || paused.fate.waiting.load(Ordering::SeqCst) > came).await;
        let heir = Crew::start(worker(log.clone(), "heir", Some(folder.path())), 1, 2);
        publish(log.as_ref(), &records(60, LOANS)).await;
        drained(log.as_ref()).await;
        days(log.as_ref()).await;
        let before = log.state("book").await.unwrap().last;
        gate.send_replace(true);
        let board = sleeper.worker.board.clone();
        let shards = 0..super::world::SHARDS;
        until("it to leave", || !shards.clone().any(|shard| board.holds("book", shard))).await;
        assert_eq!(log.state("book").await.unwrap().last, before, "nothing of it was stored");
        let fenced = sleeper.worker.metrics.fenced_commits.with_label_values(&["book"]).get();
        assert!(fenced >= 1, "it was refused");
        heir.stop().await.unwrap();
        sleeper.stop().await.unwrap();
        assert_same(&out(log.as_ref()).await, &wanted);
    }
}

#[test]
fn silent_is_a_cursor_that_stands_still_while_input_waits() {
    let began = Instant::now();
    let limit = Duration::from_secs(15);
    let mut watched = Watched::default();
    let mut look = |cursor, waits, second| {
        watched.look(7, cursor, waits, began + Duration::from_secs(second), limit)
    };
    // Seen first, nothing is known of it; idle, it may stand for ever.
    assert!(!look(10, true, 0));
    assert!(!look(10, false, 100));
    // Input comes: the time begins with the first look that sees it.
    assert!(!look(10, true, 101));
    assert!(!look(10, true, 115));
    assert!(look(10, true, 116));
    // It moves just in time.
    assert!(!look(11, true, 117));
    assert!(!look(11, true, 118));
    assert!(!look(11, true, 132));
    assert!(!look(12, true, 133));
}
