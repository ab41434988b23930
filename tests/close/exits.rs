//! A case leaves collection by its lender's notice, keeps its trail, and comes back.

use super::story::Story;
use super::{AGENCIES, payment, report, reversal};

pub fn notice(loan: &str, kind: &str, at: &str) -> String {
    format!(
        r#"{{"event_id":"x-{kind}-{at}","event_time":"{at}","loan_id":"{loan}","kind":"{kind}"}}"#
    )
}

const SHOWN: &str = "loan_id,agency_id,status,placement";

#[test]
fn every_exit_closes_the_case_and_keeps_whose_it_was() {
    for kind in ["settled", "refinanced", "withdrawn", "sold", "written_off"] {
        let mut story = Story::new(&[("agencies", AGENCIES)]);
        story.tell(&[report("N1", "2026-01-30T08:00:00Z", "1000.00")]);
        assert_eq!(story.show("placements", SHOWN), "N1,A1,placed,1\n");
        story.tell(&[notice("N1", kind, "2026-02-01T08:00:00Z")]);
        assert_eq!(story.show("placements", SHOWN), format!("N1,A1,{kind},1\n"));
        assert_eq!(story.show("placements", "loan_id,exited_at"), "N1,2026-02-01T08:00:00Z\n");
        // A newer report does not bring it back. Money waits, but for what is written off: there it
        // counts for who had the loan last.
        story.tell(&[
            report("N1", "2026-02-02T08:00:00Z", "900.00"),
            payment("N1", "p1", "2026-02-03T08:00:00Z", "100.00"),
        ]);
        assert_eq!(story.show("placements", SHOWN), format!("N1,A1,{kind},1\n"));
        let collected = |story: &Story| story.show("statements", "agency_id,collected");
        let suspense = |story: &Story| story.sum("ledger", "amount", &[("account", "suspense")]);
        let recovered = kind == "written_off";
        assert_eq!(collected(&story), if recovered { "A1,100.00\n" } else { "" });
        assert_eq!(suspense(&story), if recovered { 0 } else { -10_000 });
        story.tell(&[notice("N1", "reopened", "2026-02-04T08:00:00Z")]);
        assert_eq!(story.show("placements", SHOWN), "N1,A1,placed,2\n");
        assert_eq!(story.show("placements", "loan_id,exited_at"), "N1,\n");
        assert_eq!(suspense(&story), 0);
        assert_eq!(collected(&story), "A1,100.00\n");
        assert_eq!(story.show("loans", "balance"), "800.00\n");
        assert_eq!(story.show("refused", "reason"), "");
    }
}

#[test]
fn money_paid_before_an_exit_still_counts_and_so_does_what_goes_back() {
    let mut story = Story::new(&[("agencies", AGENCIES)]);
    story.tell(&[
        report("N1", "2026-01-30T08:00:00Z", "1000.00"),
        payment("N1", "p1", "2026-01-31T08:00:00Z", "100.00"),
        notice("N1", "sold", "2026-02-10T08:00:00Z"),
        // Paid before, read after.
        payment("N1", "p2", "2026-02-09T08:00:00Z", "50.00"),
        payment("N1", "p1", "2026-01-31T08:00:00Z", "100.00"),
        reversal("N1", "r1", "2026-02-12T08:00:00Z", "100.00", "p1"),
        payment("N1", "p3", "2026-02-11T08:00:00Z", "7.00"),
        payment("N1", "p3", "2026-02-11T08:00:00Z", "7.00"),
    ]);
    assert_eq!(story.sum("statements", "collected", &[("agency_id", "A1")]), 5_000);
    assert_eq!(story.sum("ledger", "amount", &[("account", "suspense")]), -700);
    assert_eq!(story.show("refused", "reason"), "");
}

#[test]
fn a_notice_waits_for_its_loan_and_counts_once() {
    let mut story = Story::new(&[("agencies", AGENCIES)]);
    let withdrawn = notice("N1", "withdrawn", "2026-02-01T08:00:00Z");
    story.tell(&[withdrawn.clone(), withdrawn.clone()]);
    assert_eq!(story.show("placements", SHOWN), "");
    story.tell(&[report("N1", "2026-01-30T08:00:00Z", "1000.00")]);
    let shown = story.show("placements", "loan_id,status");
    assert_eq!(shown, "N1,withdrawn\n");
    story.tell(&[withdrawn]);
    assert_eq!(story.show("refused", "reason"), "");
    assert_eq!(story.show("ledger", "account"), "");
}

#[test]
fn money_between_two_notices_that_wait_for_their_loan_is_booked_with_it() {
    let mut story = Story::new(&[("agencies", AGENCIES)]);
    story.tell(&[
        notice("N1", "settled", "2026-02-01T08:00:00Z"),
        payment("N1", "p1", "2026-02-03T08:00:00Z", "100.00"),
        notice("N1", "reopened", "2026-02-10T08:00:00Z"),
    ]);
    assert_eq!(story.sum("ledger", "amount", &[("account", "suspense")]), -10_000);
    story.tell(&[report("N1", "2026-01-30T08:00:00Z", "1000.00")]);
    assert_eq!(story.sum("ledger", "amount", &[("account", "suspense")]), 0);
    assert_eq!(story.show("loans", "balance"), "900.00\n");
}

#[test]
fn a_notice_that_cannot_be_used_is_refused_with_its_reason() {
    let mut story = Story::new(&[("agencies", AGENCIES)]);
    story.tell(&[
        report("N1", "2026-01-30T08:00:00Z", "1000.00"),
        notice("N1", "sold", "soon"),
        r#"{"event_time":"2026-02-01","loan_id":"N1","kind":"sold"}"#.into(),
        r#"{"event_id":"x","event_time":"2026-02-01","loan_id":"N1","kind":"given"}"#.into(),
        r#"{"event_id":"x","event_time":"2026-02-01","loan_id":"N1","lender_id":"L9","#.to_owned()
            + r#""kind":"sold"}"#,
    ]);
    assert_eq!(
        story.sorted("refused", "reason"),
        "bad_decimal\nbad_time\nforeign_loan\nmissing_event_id\n"
    );
    assert_eq!(story.show("placements", SHOWN), "N1,A1,placed,1\n");
}
