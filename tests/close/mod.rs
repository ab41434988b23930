//! Statements, months, balances and suspense through the whole program, from lines of JSON.

mod exits;
mod invariants;
mod lendingclub;
mod reconcile;
mod story;
mod wire;

use story::Story;

/// One agency takes everything at 20 %.
const AGENCIES: &str = "agency_id,unit_cost,commission_by_bucket,perf_by_bucket\n\
    A1,0,0.2|0.2|0.2|0.2|0.2|0.2|0.2,1|1|1|1|1|1|1\n";

fn report(loan: &str, at: &str, principal: &str) -> String {
    format!(
        r#"{{"event_id":"e-{loan}-{at}","event_time":"{at}","lender_id":"L1","loan_id":"{loan}","#
    ) + &format!(r#""borrower_id":"B-{loan}","product":"cash","province":"44","currency":"CNY","#)
        + &format!(r#""principal":"{principal}","interest":"0.00","penalty":"0.00","#)
        + r#""fee":"0.00","days_past_due":40}"#
}

fn payment(loan: &str, id: &str, at: &str, amount: &str) -> String {
    format!(r#"{{"payment_id":"{id}","loan_id":"{loan}","kind":"payment","amount":"{amount}","#)
        + &format!(r#""paid_at":"{at}","channel":"agency"}}"#)
}

fn reversal(loan: &str, id: &str, at: &str, amount: &str, of: &str) -> String {
    format!(r#"{{"payment_id":"{id}","loan_id":"{loan}","kind":"reversal","amount":"-{amount}","#)
        + &format!(r#""paid_at":"{at}","reverses":"{of}"}}"#)
}

#[test]
fn a_closed_day_stays_and_a_late_correction_falls_on_the_first_open_one() {
    let mut story = Story::new(&[("agencies", AGENCIES)]);
    story.tell(&[
        report("N1", "2026-01-30T08:00:00Z", "1000.00"),
        payment("N1", "p1", "2026-01-31T08:00:00Z", "100.00"),
    ]);
    let shown = "day,count,collected,commission,remittance,due,closed,corrections";
    let open = "2026-01-31,1,100.00,20.00,80.00,80.00,false,0\n";
    assert_eq!(story.show("statements", shown), open);
    // Three days later the day is closed, and its month with it.
    story.until("2026-02-03");
    assert_eq!(story.show("statements", shown), "2026-01-31,1,100.00,20.00,80.00,80.00,true,0\n");
    story.tell(&[
        reversal("N1", "r1", "2026-01-31T09:00:00Z", "100.00", "p1"),
        payment("N1", "p2", "2026-02-02T08:00:00Z", "50.00"),
    ]);
    assert_eq!(
        story.show("statements", shown),
        "2026-01-31,1,100.00,20.00,80.00,80.00,true,0\n\
         2026-02-01,1,-100.00,-20.00,-80.00,-80.00,false,0\n\
         2026-02-02,1,50.00,10.00,40.00,40.00,false,0\n"
    );
    story.until("2026-02-04");
    story.answer();
    assert_eq!(
        story.show("days", "day,closed_through").lines().last(),
        Some("2026-02-04,2026-02-01")
    );
    assert_eq!(
        story.sorted("statements_monthly", "month,count,collected,commission,due,closed"),
        "2026-01-01,1,100.00,20.00,80.00,true\n2026-02-01,2,-50.00,-10.00,-40.00,false\n"
    );
}

#[test]
fn a_loan_grows_older_as_days_pass() {
    let mut story = Story::new(&[("agencies", AGENCIES)]);
    story.tell(&[report("N1", "2026-01-30T08:00:00Z", "1000.00")]);
    story.until("2026-03-01");
    assert_eq!(story.show("loans", "loan_id,days_past_due,bucket"), "N1,70,61-90\n");
}

const CLEARING: &str = "agency_id,clearing,payable,owed_by_agency,days_0_7,days_8_30,days_31_60,\
    days_61,prepaid,owed_by_lender";

const REMITTANCES: &str =
    "remittance_id,lender_id,agency_id,currency,received_on,amount,withheld\n";

fn paid_over_three_months(remittances: &str) -> Story {
    let mut references = vec![("agencies", AGENCIES)];
    if !remittances.is_empty() {
        references.push(("remittances", remittances));
    }
    let mut story = Story::new(&references);
    story.tell(&[
        report("N1", "2026-01-01T08:00:00Z", "1000.00"),
        payment("N1", "p1", "2026-01-10T08:00:00Z", "100.00"),
        payment("N1", "p2", "2026-02-20T08:00:00Z", "200.00"),
        payment("N1", "p3", "2026-03-20T08:00:00Z", "50.00"),
        payment("N1", "p4", "2026-03-30T08:00:00Z", "30.00"),
        payment("?", "p5", "2026-03-01T08:00:00Z", "7.00"),
        payment("??", "p6", "2026-03-31T08:00:00Z", "5.00"),
    ]);
    story.until("2026-03-31");
    story.answer();
    story
}

#[test]
fn what_an_agency_owes_is_shown_by_age() {
    let story = paid_over_three_months("");
    assert_eq!(
        story.show("clearing", CLEARING),
        "A1,380.00,76.00,304.00,24.00,40.00,160.00,80.00,0.00,0.00\n"
    );
    assert_eq!(
        story.sorted("suspense", "loan_id,amount,since,age"),
        "?,7.00,2026-03-01,30\n??,5.00,2026-03-31,0\n"
    );
    assert_eq!(story.sorted("suspense_by_age", "days,loans,amount"), "0-7,1,5.00\n8-30,1,7.00\n");
}

#[test]
fn a_remittance_pays_the_oldest_first() {
    let story =
        paid_over_three_months(&format!("{REMITTANCES}R1,L1,A1,CNY,2026-03-05,120.00,30.00\n"));
    assert_eq!(
        story.show("clearing", CLEARING),
        "A1,230.00,46.00,184.00,24.00,40.00,120.00,0.00,0.00,0.00\n"
    );
    assert_eq!(story.show("remitted", "remittance_id,booked_on"), "R1,2026-03-05\n");
    let clearing = story.sum("ledger", "amount", &[("account", "agency_clearing")]);
    assert_eq!(clearing, 23_000);
    // More than was due is prepaid.
    let story =
        paid_over_three_months(&format!("{REMITTANCES}R1,L1,A1,CNY,2026-03-05,314.00,76.00\n"));
    assert_eq!(
        story.show("clearing", CLEARING),
        "A1,-10.00,0.00,-10.00,0.00,0.00,0.00,0.00,10.00,0.00\n"
    );
}
