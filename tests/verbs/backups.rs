//! The drill: a deployment that was trimmed is backed up, its broker is lost, and all goes on.

use recoup::log::Log;
use serde_json::json;

use super::lender::{AGENCIES, CURVE, LOANS, MARKET, PAID, write};
use super::{Place, ended, until};
use crate::log::World;

const LEDGER: &str = "SELECT sum(amount), count(*) FROM ledger WHERE amount > 0";

fn payment(id: &str, loan: usize) -> String {
    format!(
        "{{\"payment_id\":\"{id}\",\"loan_id\":\"LN{loan}\",\"kind\":\"payment\",\
         \"amount\":\"5.00\",\"paid_at\":\"2026-03-03T08:30:00Z\"}}\n"
    )
}

#[test]
fn a_trimmed_deployment_is_restored_into_an_empty_cluster_and_goes_on() {
    let mut place = Place::open(&[]);
    for (name, table) in [("curve", CURVE), ("market", MARKET), ("agencies", AGENCIES)] {
        let file = place.file(&format!("{name}.csv"), table);
        place.says(&["post", name, &file]);
    }
    let reading = place.start(&["serve"]);
    let working = place.start(&["run"]);
    write(place.folder.path());
    place.says(&["load", "month.jsonl", "--lender", "L1"]);
    let late = place.file("late.jsonl", payment("q1", 1));
    place.says(&["load", &late, "--lender", "L1"]);
    place.asks("SELECT sum(count) FROM statements", &json!(PAID + 1));
    place.asks("SELECT count(*) FROM placements WHERE status = 'placed'", &json!(LOANS));
    place.drained();
    working.stop();
    assert!(place.says(&["trim"]).contains("loans.0.letters"));
    let books = place.ask(LEDGER).unwrap();
    let owed = place.ask("SELECT sum(balance) FROM loans").unwrap();
    // As a worker does its work: a backup may be taken at any time.
    let working = place.start(&["run"]);
    until("the worker to have every shard", || {
        let status = place.status();
        let shards = status["shards"].as_array()?;
        shards.iter().all(|shard| shard["owner"] != "").then_some(())
    });
    let told = place.says(&["backup", "kept"]);
    assert!(told.contains("book: ") && !told.contains("\n0 snapshots"), "{told}");
    reading.stop();
    working.stop();
    lose_the_broker(&mut place);
    let told = place.says(&["restore", "kept"]);
    assert!(told.contains("intake: "), "{told}");
    let (code, _, errors) = ended(&place.run(&["restore", "kept"]));
    assert_eq!((code, errors.contains("is not empty")), (1, true), "{errors}");
    let _working = place.start(&["run"]);
    let _reading = place.start(&["serve"]);
    place.asks(
        "SELECT sum(balance) FROM loans",
        owed[0].as_object().unwrap().values().next().unwrap(),
    );
    place.drained();
    assert_eq!(place.ask(LEDGER).unwrap(), books, "the books are what they were");
    // Memory woke with it: a payment meets its loan, and one that was booked counts once.
    let again = place.file("again.jsonl", payment("q1", 1) + &payment("q2", 2));
    place.says(&["load", &again, "--lender", "L1"]);
    place.asks("SELECT sum(count) FROM statements", &json!(PAID + 2));
    place.asks("SELECT count(*) FROM suspense", &json!(0));
}

/// Another server without streams, and no snapshots: what is left is settings, key and backup.
fn lose_the_broker(place: &mut Place) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let before = std::mem::replace(&mut place.world, runtime.block_on(World::start()));
    drop(before);
    std::fs::remove_dir_all(place.folder.path().join(".recoup/snapshots")).unwrap();
    for (name, value) in &mut place.settings {
        if *name == "BROKER_URL" {
            *value = format!("nats://127.0.0.1:{}", place.world.port);
        }
    }
    let state = runtime.block_on(async { place.world.log().await.state("book").await });
    assert!(state.is_err(), "it has no streams");
}
