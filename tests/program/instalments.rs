//! Instalments through the whole program: how late each is, day by day, with grace and pauses.
//!
//! The numbers are those of Apache Fineract's `LoanDelinquency` (F-DPD), and who holds the loan is
//! paid by the age that instalments say it has.

use super::money::{open, publish, table};

/// 1,000 in four parts of 250 from 1 October 2023, every 15 days.
fn october(loan: &str, product: &str) -> String {
    format!(r#"{{"event_id":"e-{loan}","event_time":"2023-09-30T00:00:00Z","lender_id":"L1","#)
        + &format!(r#""loan_id":"{loan}","borrower_id":"B-{loan}","product":"{product}","#)
        + r#""province":"44","principal":"1000.00","interest":"0.00","penalty":"0.00","#
        + r#""fee":"0.00","currency":"EUR","days_past_due":0,"#
        + r#""instalments":"2023-10-01:250.00|2023-10-16:250.00|2023-10-31:250.00|"#
        + r#"2023-11-15:250.00"}"#
}

const SHOWN: [&str; 7] = [
    "loan_id",
    "past_due",
    "delinquent_on",
    "delinquent_days",
    "past_due_days",
    "class",
    "by_range",
];

/// 1970-01-01 to 2023-10-01.
const OCTOBER: i64 = 19_631;

#[test]
fn instalments_grow_late_with_grace_and_pauses() {
    let calendars = "lender_id,product,grace_days\nL1,cash,3\n";
    let pauses = "lender_id,loan_id,paused_on,resumed_on\n\
        L1,FULL,2023-10-06,2023-10-30\nL1,CUT,2023-10-15,2023-10-25\n";
    let mut batch = open(&[("calendars", calendars), ("pauses", pauses)]);
    let reports = [october("FULL", "cash"), october("CUT", "cash"), october("BARE", "bare")];
    publish(&mut batch, "one.jsonl", &reports.join("\n"));
    // Day of October, or later, and what is said of a loan then.
    let cases = [
        (2, "FULL,250.00,2023-10-04,0,1,none,1-3:250.00"),
        (4, "FULL,250.00,2023-10-04,0,3,none,1-3:250.00"),
        (5, "FULL,250.00,2023-10-04,1,4,1-3,4-30:250.00"),
        (6, "FULL,250.00,2023-10-04,2,5,1-3,4-30:250.00"),
        (15, "CUT,250.00,2023-10-04,11,14,4-30,4-30:250.00"),
        (26, "CUT,500.00,2023-10-04,12,25,4-30,1-3:250.00|4-30:250.00"),
        (30, "FULL,500.00,2023-10-04,2,29,1-3,4-30:250.00"),
        (31, "FULL,500.00,2023-10-04,3,30,1-3,1-3:250.00|4-30:250.00"),
        (47, "BARE,1000.00,2023-10-01,46,46,31-60,1-3:250.00|4-30:250.00|31-60:500.00"),
        (77, "BARE,1000.00,2023-10-01,76,76,61-90,31-60:500.00|61-90:500.00"),
    ];
    for (day, expected) in cases {
        batch.until(OCTOBER + day - 1).expect("days pass");
        let loan = expected.split(',').next().expect("a loan");
        let said = table(&batch, "instalments", &SHOWN);
        let said: Vec<&String> = said.iter().filter(|line| line.starts_with(loan)).collect();
        assert_eq!(said, [expected], "day {day}");
    }
    let ages = table(&batch, "loans", &["loan_id", "days_past_due", "delinquent_days"]);
    assert_eq!(ages, ["BARE,76,76", "CUT,76,63", "FULL,76,49"]);
}

#[test]
fn a_payment_of_the_oldest_instalment_makes_a_loan_younger() {
    let mut batch = open(&[]);
    publish(&mut batch, "one.jsonl", &october("N1", "cash"));
    batch.until(OCTOBER + 30).expect("days pass");
    let ages = ["loan_id", "days_past_due", "bucket", "balance"];
    assert_eq!(table(&batch, "loans", &ages), ["N1,30,1-30,1000.00"]);
    let pays = r#"{"payment_id":"p1","loan_id":"N1","kind":"payment","amount":"300.00","#
        .to_owned()
        + r#""paid_at":"2023-10-31T10:00:00Z"}"#;
    publish(&mut batch, "two.jsonl", &pays);
    assert_eq!(table(&batch, "loans", &ages), ["N1,15,1-30,700.00"]);
    let open = table(&batch, "instalments", &["past_due", "past_due_on", "open"]);
    assert_eq!(open, ["200.00,2023-10-16,2023-10-16:200.00|2023-10-31:250.00|2023-11-15:250.00"]);
    // A report without a schedule ends it: from then on days count from what it says.
    let plain = october("N1", "cash").replace("instalments", "unread");
    let plain = plain.replace("e-N1", "e2").replace("2023-09-30", "2023-11-01");
    publish(&mut batch, "three.jsonl", &plain.replace(r#"due":0"#, r#"due":31"#));
    assert_eq!(table(&batch, "loans", &ages), ["N1,31,31-60,1000.00"]);
}
