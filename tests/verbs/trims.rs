//! What was read for good is removed, and everything goes on.

use recoup::log::Log;
use serde_json::{Value, json};

use super::super::log::all;
use super::lender::{AGENCIES, CURVE, LOANS, MARKET, PAID, write};
use super::{Place, ended, lines};

const CURSORS: [(&str, &str); 4] = [
    ("reports", "reports.cursor.>"),
    ("loans", "loans.cursor.>"),
    ("book", "book.cursor.>"),
    ("statements", "statements.cursor.>"),
];
/// What leaves the program, and what must never go.
const KEPT: [(&str, &str); 8] = [
    ("reports", "reports.*.refused"),
    ("loans", "loans.all.curve"),
    ("book", "book.*.loans"),
    ("book", "book.*.prices"),
    ("book", "book.*.placements"),
    ("book", "book.*.ledger"),
    ("statements", "statements.*.statements"),
    ("intake", "intake.progress.*"),
];

/// How many messages there are on each of these subjects.
fn counts(place: &Place) -> Vec<usize> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let log = place.world.log().await;
        let mut counts = vec![];
        for (stream, filter) in CURSORS.iter().chain(&KEPT) {
            counts.push(all(&log, stream, &[*filter]).await.len());
        }
        counts
    })
}

fn gone(place: &Place, words: &[&str]) -> Vec<(String, u64)> {
    let cuts = lines(&place.says(words));
    let one = |cut: &Value| {
        (cut["subjects"].as_str().unwrap().to_string(), cut["messages"].as_u64().unwrap())
    };
    cuts.iter().map(one).collect()
}

fn of(gone: &[(String, u64)], subjects: &str) -> u64 {
    gone.iter().filter(|(name, _)| name == subjects).map(|(_, messages)| messages).sum()
}

#[test]
fn trim_removes_what_was_read_for_good_and_all_goes_on() {
    let place = Place::open(&[]);
    for (name, table) in [("curve", CURVE), ("market", MARKET), ("agencies", AGENCIES)] {
        let file = place.file(&format!("{name}.csv"), table);
        place.says(&["post", name, &file]);
    }
    let dry = ["trim", "--dry-run", "--json"];
    assert!(gone(&place, &dry).iter().all(|(_, messages)| *messages == 0), "nothing was read yet");
    let reading = place.start(&["serve"]);
    let working = place.start(&["run"]);
    write(place.folder.path());
    place.says(&["load", "month.jsonl", "--lender", "L1"]);
    place.asks("SELECT count(*) FROM placements WHERE status = 'placed'", &json!(LOANS));
    // A second message, so that there is something behind the newest that was read.
    let late = r#"{"payment_id":"q1","loan_id":"LN1","kind":"payment","amount":"5.00","#
        .to_string()
        + r#""paid_at":"2026-03-03T08:30:00Z"}"#;
    for part in 0..8 {
        let line = late.replace("q1", &format!("q{part}"));
        let file = place.file(&format!("late{part}.jsonl"), line + "\n");
        place.says(&["load", &file, "--lender", "L1"]);
    }
    place.asks("SELECT sum(count) FROM statements", &json!(PAID + 8));
    place.drained();
    // Stopping saves every shard's memory.
    working.stop();
    let before = counts(&place);
    let would = gone(&place, &dry);
    assert_eq!(would, gone(&place, &dry), "a dry run removes nothing");
    assert_eq!(counts(&place), before);
    let intake: u64 = (0..4).map(|n| of(&would, &format!("intake.*.*.{n}"))).sum();
    assert!(intake > 0, "{would:?}");
    let facts: u64 = (0..2).map(|n| of(&would, &format!("reports.{n}.facts"))).sum();
    let letters: u64 = (0..2).map(|n| of(&would, &format!("loans.{n}.letters"))).sum();
    assert!(facts > 0 && letters > 0, "{would:?}");
    assert!(of(&would, "book.*.lines") > 0, "{would:?}");
    assert_eq!(gone(&place, &["trim", "--json"]), would, "what was told is what goes");
    assert_eq!(counts(&place), before, "cursors, tables and relations stay");
    assert!(gone(&place, &["trim", "--json"]).iter().all(|(_, messages)| *messages == 0));
    // A payment of an old loan meets its memory, and a new reader finds the whole record.
    reading.stop();
    let room = place.folder.path().join(".recoup/snapshots/room");
    assert!(room.is_dir(), "stopping keeps what was read");
    std::fs::remove_dir_all(room).unwrap();
    let working = place.start(&["run"]);
    let _reading = place.start(&["serve"]);
    let file = place.file("later.jsonl", late.replace("q1", "r1") + "\n");
    place.says(&["load", &file, "--lender", "L1"]);
    place.asks("SELECT sum(count) FROM statements", &json!(PAID + 9));
    place.asks("SELECT balance FROM loans WHERE loan_id = 'LN1'", &json!("96.57"));
    place.asks("SELECT count(*) FROM loans", &json!(LOANS));
    place.drained();
    working.stop();
    without_its_snapshots_a_shard_says_what_was_trimmed(&place);
}

fn without_its_snapshots_a_shard_says_what_was_trimmed(place: &Place) {
    let words = ["replay", "register", "--shard", "0", "--seq"];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let newest = runtime.block_on(async {
        let log = place.world.log().await;
        log.last("reports", "reports.0.facts").await.unwrap().unwrap().seq.to_string()
    });
    std::fs::remove_dir_all(place.folder.path().join(".recoup/snapshots")).unwrap();
    let (code, _, errors) = ended(&place.run(&[&words[..], &[newest.as_str()]].concat()));
    assert_eq!((code, errors.contains("was trimmed before")), (1, true), "{errors}");
    let (code, _, errors) = ended(&place.run(&["run"]));
    assert_eq!(code, 1, "{errors}");
}
