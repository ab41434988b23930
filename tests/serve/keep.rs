//! A room that was kept reads on where it was; one that does not fit is left alone.

use std::sync::Arc;

use recoup::log::memory::MemoryLog;
use recoup::log::{Log, Outgoing};
use recoup::rows::{Packing, encode};
use recoup::serve::{Room, follow, restore, save};
use recoup::snapshot::Snapshots;
use recoup_operators::facts;

use super::rows;

const STREAMS: [&str; 4] = ["book", "statements", "reports", "loans"];

async fn log() -> MemoryLog {
    let log = MemoryLog::new();
    for stream in STREAMS {
        log.create(stream).await.unwrap();
    }
    log
}

/// A commit: the price of a loan, a line of its ledger, and the cursor behind them.
async fn commit(log: &MemoryLog, number: u64, loan: &str, price: &str) {
    let price = format!("loan_id,lender_id,price\n{loan},L1,{price}");
    let entry = format!("entry_id,loan_id,amount\nE{number},{loan},1.00");
    let said = |subject: &str, rows| Outgoing {
        subject: subject.into(),
        payload: encode(&rows, Packing::Plain, usize::MAX).remove(0),
        ..Outgoing::default()
    };
    let text = format!(r#"{{"stage":"book","owner":"w","seq":{number},"number":{number}}}"#);
    let cursor = Outgoing {
        subject: "book.cursor.book.0".into(),
        payload: text.into(),
        ..Outgoing::default()
    };
    let batch = [
        said("book.0.prices", rows(facts::priced(), &price)),
        said("book.0.ledger", rows(facts::ledger(), &entry)),
        cursor,
    ];
    log.commit("book", &batch).await.unwrap();
}

/// The relations of a room as texts, and its shards.
fn shown(room: &Room) -> String {
    let moment = room.moment();
    let mut batches = vec![format!("{:?}", moment.shards())];
    for name in room.names() {
        let rows: Vec<_> = moment.relation(&name).unwrap().batches().collect();
        let table = datafusion::arrow::util::pretty::pretty_format_batches(&rows).unwrap();
        batches.push(format!("{name}\n{table}"));
    }
    batches.join("\n")
}

/// Follows until the room has read so much of `book`.
async fn followed(log: &MemoryLog, room: Arc<Room>, ledger: usize) -> Arc<Room> {
    let (log, seen) = (log.clone(), room.clone());
    let following = tokio::spawn(async move { follow(&log, &seen).await });
    for _ in 0..1_000 {
        if room.moment().relation("ledger").is_some_and(|rows| rows.rows() >= ledger) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    following.abort();
    room
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_room_reads_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::open(folder.path().to_str().unwrap()).unwrap();
    let log = log().await;
    let empty = restore(&log, Some(&snapshots)).await;
    commit(&log, 1, "A", "1.00").await;
    commit(&log, 2, "B", "2.00").await;
    let room = followed(&log, Arc::new(empty), 2).await;
    save(&room, &snapshots).await;
    let kept = Arc::new(restore(&log, Some(&snapshots)).await);
    assert_eq!(shown(&kept), shown(&room));
    // What comes later is read once: no line of the ledger twice, the newest price counts.
    commit(&log, 3, "A", "3.00").await;
    let kept = followed(&log, kept, 3).await;
    let anew = followed(&log, Arc::new(Room::new()), 3).await;
    assert_eq!(shown(&kept), shown(&anew));
    assert_eq!(kept.moment().relation("ledger").unwrap().rows(), 3);
    assert_eq!(kept.moment().relation("prices").unwrap().rows(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_room_is_left_for_the_one_before_it_and_another_log_for_none() {
    let folder = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::open(folder.path().to_str().unwrap()).unwrap();
    let one = log().await;
    commit(&one, 1, "A", "1.00").await;
    let room = followed(&one, Arc::new(Room::new()), 1).await;
    save(&room, &snapshots).await;
    let before = shown(&room);
    commit(&one, 2, "B", "2.00").await;
    let room = followed(&one, room, 2).await;
    save(&room, &snapshots).await;
    assert_eq!(shown(&restore(&one, Some(&snapshots)).await), shown(&room));
    let mut files: Vec<_> = std::fs::read_dir(folder.path().join("room"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert_eq!(files.len(), 2);
    let whole = std::fs::read(&files[1]).unwrap();
    for at in [0, 9, 40, 60, whole.len() / 2, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        std::fs::write(&files[1], &flipped).unwrap();
        let found = shown(&restore(&one, Some(&snapshots)).await);
        assert_eq!(found, before, "byte {at}");
        std::fs::write(&files[1], &whole[..at]).unwrap();
        assert_eq!(shown(&restore(&one, Some(&snapshots)).await), before, "cut at {at}");
    }
    // The same streams made anew, and shorter, are others.
    let other = log().await;
    assert_eq!(shown(&restore(&other, Some(&snapshots)).await), shown(&Room::new()));
}
