//! What is kept for how long: days of the intake, of what stages said, and of the record.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use recoup::log::memory::MemoryLog;
use recoup::log::{Log, LogError};
use recoup::serve::{Room, follow, restore, save};
use recoup::settings::Retention;
use recoup::snapshot::Snapshots;
use recoup::trim::{Cut, announce, plan};

use super::world::{Crew, SHARDS, begin, drained, publish, records, worker};

const DAY: i64 = 86_400_000_000;

async fn followed(log: &MemoryLog, room: &Arc<Room>) {
    let goal = log.state("book").await.unwrap().last;
    let (log, seen) = (log.clone(), room.clone());
    let following = tokio::spawn(async move { follow(&log, &seen).await });
    for _ in 0..1_000 {
        if room.place("book").0 >= goal {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    following.abort();
}

/// Where a cut ends; zero where there is none of that name.
fn before(cuts: &[Cut], subjects: &str) -> u64 {
    cuts.iter().find(|cut| cut.subjects == subjects).map_or(0, |cut| cut.before)
}

#[tokio::test(flavor = "multi_thread")]
async fn days_say_what_of_the_log_is_spared_and_what_of_the_record_goes() {
    let now = Arc::new(AtomicI64::new(100 * DAY));
    let clock = now.clone();
    let log = Arc::new(MemoryLog::with_clock(move || clock.load(Ordering::SeqCst)));
    begin(log.as_ref()).await;
    let folder = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::open(folder.path().to_str().unwrap()).unwrap();
    let room = Arc::new(Room::new());
    let mut ends = vec![];
    for (day, loans) in [(100, 0..20), (110, 20..40)] {
        now.store(day * DAY, Ordering::SeqCst);
        let crew = Crew::start(worker(log.clone(), "one", Some(folder.path())), 0, 1);
        publish(log.as_ref(), &records(loans.start, loans.end)).await;
        drained(log.as_ref()).await;
        crew.stop().await.unwrap();
        let state = |stream| log.state(stream);
        ends.push((state("intake").await.unwrap().last, state("book").await.unwrap().last));
        followed(&log, &room).await;
    }
    let planned = async |keep: Retention| {
        plan(log.as_ref(), &snapshots, SHARDS, &keep, 112 * DAY).await.unwrap()
    };
    let (intake, ledger) = ("intake.*.*.0", "book.*.ledger");
    let at_once = planned(Retention::default()).await;
    assert!(before(&at_once, intake) > ends[0].0 + 1, "{at_once:?}");
    assert_eq!(before(&at_once, ledger), 0, "the record stays for ever");
    // Ten days ago it was day 102: what came on day 100 is older, all else stays.
    let spared = Retention { intake_days: 10, between_days: 60, ..Retention::default() };
    let spared = planned(spared).await;
    assert_eq!(before(&spared, intake), ends[0].0 + 1);
    assert!(before(&spared, "loans.0.letters") <= 1, "{spared:?}");
    let short = Retention { book_days: 10, ..Retention::default() };
    assert_eq!(before(&planned(short.clone()).await, ledger), 0, "no room has kept it");
    save(&room, &snapshots).await;
    let cuts = planned(short).await;
    assert_eq!(before(&cuts, ledger), ends[0].1 + 1);
    assert_eq!(before(&cuts, "book.*.refused"), 0, "refused rows stay");
    let cut = cuts.iter().find(|cut| cut.subjects == ledger).unwrap();
    announce(log.as_ref(), cut).await.unwrap();
    // A room that has its copy reads on; one that has none would show half.
    let kept = Arc::new(restore(log.as_ref(), Some(&snapshots)).await);
    followed(&log, &kept).await;
    assert_eq!(kept.place("book").0, log.state("book").await.unwrap().last);
    let anew = follow(log.as_ref(), &Room::new()).await;
    let Err(LogError::Lost(what)) = anew else { panic!("it would show half") };
    assert!(what.contains("ledger") && what.contains("was trimmed before"), "{what}");
}
