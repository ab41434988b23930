//! A program that loses money is noticed in the step that loses it, and counted.

use recoup::batch::Batch;
use recoup::decoder::Decoder;
use recoup::drive::Turn;
use recoup::metrics::Metrics;
use recoup_operators::Rules;
use recoup_operators::settle::invariants::Broken;
use recoup_sql::{Source, shipped};

use super::exits::notice;
use super::story::Story;
use super::{AGENCIES, payment, report};

/// What the page of metrics says of an invariant.
fn counted(broken: Broken, invariant: &str) -> String {
    let metrics = Metrics::default();
    metrics.turned("book", &Turn { broken, ..Turn::default() });
    let page = metrics.render();
    let named = format!("recoup_broken_invariants_total{{invariant=\"{invariant}\"}} ");
    let line = page.lines().find_map(|line| line.strip_prefix(&named));
    line.unwrap_or_else(|| panic!("no {invariant} in {page}")).to_owned()
}

fn tell(story: &mut Story) {
    story.tell(&[
        report("N1", "2026-01-30T08:00:00Z", "1000.00"),
        payment("N1", "p1", "2026-01-31T08:00:00Z", "100.00"),
    ]);
}

#[test]
fn a_program_that_forgets_a_payment_is_counted() {
    let mut story = Story::new(&[("agencies", AGENCIES)]);
    tell(&mut story);
    assert_eq!(story.0.broken, Broken::default());
    assert_eq!(counted(story.0.broken, "money_in_is_posted"), "0");
    let mut sources = shipped();
    let settle = sources.iter_mut().find(|source| source.name == "60_settle.sql").expect("a file");
    assert!(settle.text.contains("\nUNION ALL"), "bookings, then placements");
    let forgets = "\nWHERE b.movement_id <> 'p1'\nUNION ALL";
    settle.text = settle.text.replacen("\nUNION ALL", forgets, 1);
    let rules = Rules { shards: 1, ..Rules::default() };
    let batch = Batch::open(&rules, &sources, Decoder::default()).expect("it compiles");
    let mut story = Story::over(batch, &[("agencies", AGENCIES)]);
    tell(&mut story);
    assert_eq!(counted(story.0.broken, "money_in_is_posted"), "1");
    assert_eq!(counted(story.0.broken, "entries_sum_to_zero"), "0");
}

#[test]
fn a_program_that_gives_a_closed_loan_money_is_counted() {
    let closed = |sources: &[Source]| {
        let rules = Rules { shards: 1, ..Rules::default() };
        let batch = Batch::open(&rules, sources, Decoder::default()).expect("it compiles");
        let mut story = Story::over(batch, &[("agencies", AGENCIES)]);
        story.tell(&[
            report("N1", "2026-01-30T08:00:00Z", "1000.00"),
            notice("N1", "sold", "2026-02-01T08:00:00Z"),
            payment("N1", "p1", "2026-01-31T08:00:00Z", "10.00"),
            payment("N1", "p2", "2026-02-02T08:00:00Z", "20.00"),
        ]);
        counted(story.0.broken, "a_closed_case_takes_no_money")
    };
    let mut sources = shipped();
    assert_eq!(closed(&sources), "0");
    let register = sources.iter_mut().find(|source| source.name == "20_register.sql");
    let register = register.expect("a file");
    let takes_all = "SELECT * EXCLUDE (kind), \
        CASE WHEN kind = 'suspended' THEN 'payment' ELSE kind END AS kind FROM register('facts')";
    register.text = register.text.replacen("SELECT * FROM register('facts')", takes_all, 1);
    assert_eq!(closed(&sources), "1");
}
