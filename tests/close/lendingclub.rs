//! Real money through the whole program: Lending Club's loans of 2007 to 2011 as lines of JSON,
//! each loan's facts out of order. What statements and ledger say must be the file's own sums.
//!
//! Every tenth loan, so that the test is quick; `LOANS=1` takes all 42,535. (The operators alone
//! are shown all of them, with commission, in `tests/settle/lendingclub.rs`.)

use std::fs::File;
use std::path::Path;

use datafusion::arrow::array::{Array, BooleanArray, Int32Array, RecordBatch, UInt8Array};
use datafusion::arrow::ipc::reader::FileReader;
use datafusion::arrow::temporal_conversions::date32_to_datetime;

use super::AGENCIES;
use super::story::Story;

fn file() -> RecordBatch {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/lendingclub/loans.arrow");
    let mut reader = FileReader::try_new(File::open(path).expect("the data"), None).expect("Arrow");
    reader.next().expect("a batch").expect("rows")
}

fn column<'a, A: Array + 'static>(rows: &'a RecordBatch, name: &str) -> &'a A {
    let column = rows.column_by_name(name).expect("a column");
    column.as_any().downcast_ref().expect("its type")
}

/// A day, near enough: order is what matters.
fn day(month: i32, day: i32) -> String {
    let instant = date32_to_datetime(10_957 + month * 30 + day).expect("a day");
    instant.date().to_string()
}

fn money(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn report(loan: &str, id: &str, at: &str, [penalty, interest, principal]: [i64; 3]) -> String {
    let (penalty, interest, principal) = (money(penalty), money(interest), money(principal));
    format!(r#"{{"event_id":"{id}","event_time":"{at}","lender_id":"LC","loan_id":"{loan}","#)
        + &format!(r#""borrower_id":"B-{loan}","product":"cash","province":"44","#)
        + &format!(r#""currency":"USD","principal":"{principal}","interest":"{interest}","#)
        + &format!(r#""penalty":"{penalty}","fee":"0.00","days_past_due":40}}"#)
}

fn payment(loan: &str, id: &str, at: &str, cents: i64, channel: &str) -> String {
    format!(r#"{{"payment_id":"{id}","loan_id":"{loan}","kind":"payment","paid_at":"{at}","#)
        + &format!(r#""amount":"{}","channel":"{channel}"}}"#, money(cents))
}

/// What the file says was received of the loans chosen: late fees, interest, principal that was
/// owed, principal beyond that, recoveries; in cents.
#[derive(Default)]
struct Received {
    late_fees: i64,
    interest: i64,
    principal: i64,
    over: i64,
    recoveries: i64,
}

/// The facts of one loan, the newest first.
fn facts(rows: &RecordBatch, row: usize, received: &mut Received) -> Vec<String> {
    let of = |name: &str| i64::from(column::<Int32Array>(rows, name).value(row));
    let month = |name: &str| i32::from(column::<UInt8Array>(rows, name).value(row));
    let loan = format!("LC{row:06}");
    let issued = month("issued");
    let last_paid = month("last_paid").max(issued + 1);
    let (funded, unpaid) = (of("funded") * 100, of("unpaid_principal"));
    let (interest, late_fee, recoveries) = (of("interest"), of("late_fee"), of("recoveries"));
    received.late_fees += late_fee;
    received.interest += interest;
    received.over += (-unpaid).max(0);
    received.principal += funded - unpaid - (-unpaid).max(0);
    let owed = [late_fee, interest, funded];
    let mut facts = vec![report(&loan, &format!("e{row}"), &day(issued, 0), owed)];
    let regular = funded - unpaid + interest + late_fee;
    for part in 0..3 {
        let amount = regular * (part + 1) / 3 - regular * part / 3;
        if amount > 0 {
            let (id, at) = (format!("p{row}-{part}"), day(last_paid, 5 + part as i32));
            facts.push(payment(&loan, &id, &at, amount, "bank"));
        }
    }
    if column::<BooleanArray>(rows, "charged_off").value(row) {
        let owed = [0, (recoveries - unpaid).max(0), unpaid.max(0)];
        facts.push(report(&loan, &format!("c{row}"), &day(last_paid, 20), owed));
        if recoveries > 0 {
            received.recoveries += recoveries;
            let at = day(last_paid, 25);
            facts.push(payment(&loan, &format!("r{row}"), &at, recoveries, "agency"));
        }
    }
    facts.reverse();
    facts
}

#[test]
fn real_loans_come_to_the_sums_of_their_file() {
    let rows = file();
    assert_eq!(rows.num_rows(), 42_535);
    let every = std::env::var("LOANS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let mut received = Received::default();
    let mut lines: Vec<String> = Vec::new();
    for row in (0..rows.num_rows()).step_by(every) {
        lines.extend(facts(&rows, row, &mut received));
    }
    let mut story = Story::new(&[("agencies", AGENCIES)]);
    for part in lines.chunks(5_000) {
        story.tell(part);
    }
    story.answer();
    assert_eq!(story.show("refused", "reason"), "");
    let sum = |relation: &str, name: &str| story.sum(relation, name, &[("lender_id", "LC")]);
    let total = |cents: i64| i128::from(cents);
    for relation in ["statements", "statements_monthly"] {
        let all: i128 = ["collected", "over"].map(|name| sum(relation, name)).iter().sum();
        let regular = received.late_fees + received.interest + received.principal + received.over;
        assert_eq!(all, total(regular + received.recoveries), "{relation}");
        assert_eq!(sum(relation, "penalty"), total(received.late_fees), "{relation}");
    }
    // Money in is in the books, by the way it came, and nothing waits.
    let account = |name: &str| story.sum("ledger", "amount", &[("account", name)]);
    assert_eq!(
        account("bank") + account("agency_clearing"),
        sum("statements", "collected") + sum("statements", "over")
    );
    assert_eq!(account("suspense"), 0);
    assert_eq!(story.0.broken, Default::default());
}
