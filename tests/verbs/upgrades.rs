//! Another program over a running deployment, as real processes: refused, told to migrate, and
//! taken back.

use serde_json::json;

use super::lender::{AGENCIES, CURVE, LOANS, MARKET, write};
use super::{Place, ended};

const FILE: &str = "40_reprice.sql";
/// Of the second loan.
const PRICE: &str = "SELECT price FROM prices WHERE loan_id = 'LN1'";

fn report(id: &str, principal: &str) -> String {
    format!(
        "{{\"event_id\":\"{id}\",\"event_time\":\"2026-03-04T00:00:00Z\",\"loan_id\":\"LN1\",\
         \"borrower_id\":\"B0\",\"product\":\"cash\",\"province\":\"44\",\"currency\":\"CNY\",\
         \"principal\":\"{principal}\",\"interest\":\"0.00\",\"penalty\":\"0.00\",\"fee\":\"0.00\",\
         \"days_past_due\":14}}\n"
    )
}

fn reports(place: &Place, id: &str, principal: &str) {
    let file = place.file(&format!("{id}.jsonl"), report(id, principal));
    place.says(&["load", &file, "--lender", "L1"]);
}

#[test]
fn another_program_is_refused_unless_told_to_migrate_and_the_way_back_is_the_same() {
    let mut place = Place::open(&[]);
    for (name, table) in [("curve", CURVE), ("market", MARKET), ("agencies", AGENCIES)] {
        let file = place.file(&format!("{name}.csv"), table);
        place.says(&["post", name, &file]);
    }
    let shipped = format!("{}/sql/{FILE}", env!("CARGO_MANIFEST_DIR"));
    let shipped = std::fs::read_to_string(shipped).unwrap();
    let changed = shipped.replace("- c.handling_cost", "+ c.handling_cost");
    assert_ne!(changed, shipped);
    place.file(&format!("my-sql/{FILE}"), changed);
    let _reading = place.start(&["serve"]);
    let old = place.start(&["run"]);
    write(place.folder.path());
    place.says(&["load", "month.jsonl", "--lender", "L1"]);
    place.asks("SELECT count(*) FROM loans", &json!(LOANS));
    reports(&place, "first", "100.00");
    // 100 at a recovery of 0.6 and an index of 1, by a score that is not told, less 2 of handling.
    place.asks(PRICE, &json!("58.00"));
    place.drained();
    old.stop();
    place.settings.push(("PROGRAM_FOLDER", "my-sql".into()));
    let (code, _, errors) = ended(&place.run(&["run"]));
    assert_eq!((code, errors.contains("--migrate")), (1, true), "{errors}");
    let new = place.start(&["run", "--migrate"]);
    reports(&place, "second", "200.00");
    place.asks(PRICE, &json!("122.00"));
    place.drained();
    new.stop();
    place.settings.pop();
    let (code, _, errors) = ended(&place.run(&["run"]));
    assert_eq!((code, errors.contains("--migrate")), (1, true), "{errors}");
    let back = place.start(&["run", "--migrate"]);
    reports(&place, "third", "300.00");
    place.asks(PRICE, &json!("178.00"));
    back.stop();
}
