//! Changes in, statements out, as tables of text.

use super::CLOSE;
use super::reconcile::{Class, Entry, reconcile, sums};
use super::remittances::Remittance;
use crate::account::tests::{lines, read, show};
use crate::{Operator, Rules, facts};

fn close() -> Box<dyn Operator> {
    (CLOSE.open)(&Rules { shards: 2, ..Rules::default() }, 0)
}

const SHOWN: &str = "lender_id,agency_id,day,count,collected,commission,remittance,closed";

fn step(close: &mut Box<dyn Operator>, text: &str) -> String {
    let said = close.step(&read(&facts::lines(), 1, text));
    show(&said[0], SHOWN)
}

/// The day tick of a shard, as the loop tells it: heard, then a row of its kind.
fn tick(close: &mut Box<dyn Operator>, shard: u32, day: &str) -> [String; 2] {
    let rows = format!("shard,kind,at\n{shard},day,{day}T00:00:00Z");
    close.hear("ticked", &read(&facts::ticked(), 1, &rows));
    let said = close.step(&read(&facts::lines(), 1, "kind\nday"));
    [show(&said[0], SHOWN), show(&said[3], "day,closed_through")]
}

const CHANGES: &str = "
    kind,lender_id,agency_id,day,currency,count,collected,commission
    payment,L1,A1,2026-03-02,CNY,1,100.00,20.00
    payment,L1,A1,2026-03-02,CNY,1,50.00,10.01
    payment,L1,,2026-03-03,CNY,1,7.00,0.00
    payment,L1,A1,2026-03-02,EUR,1,1.00,0.20";

#[test]
fn a_line_is_said_as_it_now_stands() {
    assert_eq!(
        step(&mut close(), CHANGES),
        lines(
            "L1,A1,2026-03-02,1,100.00,20.00,80.00,false
            L1,A1,2026-03-02,2,150.00,30.01,119.99,false
            L1,,2026-03-03,1,7.00,0.00,7.00,false
            L1,A1,2026-03-02,1,1.00,0.20,0.80,false"
        )
    );
}

#[test]
fn a_day_closes_when_every_shard_has_passed_the_tick() {
    let mut close = close();
    step(&mut close, CHANGES);
    assert_eq!(tick(&mut close, 0, "2026-03-05"), ["", ""]);
    assert_eq!(tick(&mut close, 1, "2026-03-04"), ["", "2026-03-04,2026-03-01\n"]);
    assert_eq!(
        tick(&mut close, 1, "2026-03-05"),
        [
            lines(
                "L1,A1,2026-03-02,2,150.00,30.01,119.99,true
                L1,A1,2026-03-02,1,1.00,0.20,0.80,true"
            ),
            "2026-03-05,2026-03-02\n".into()
        ]
    );
    // Closed once. What still names the day falls on the first open one.
    assert_eq!(tick(&mut close, 0, "2026-03-05"), ["", ""]);
    let late = "kind,lender_id,agency_id,day,currency,count,collected,commission
        payment,L1,A1,2026-03-02,CNY,0,-50.00,-10.01";
    assert_eq!(step(&mut close, late), "L1,A1,2026-03-03,0,-50.00,-10.01,-39.99,false\n");
    let saved = close.save();
    let mut again = self::close();
    again.load(saved.clone()).unwrap();
    assert_eq!(again.save(), saved);
    assert_eq!(tick(&mut again, 0, "2026-03-06"), tick(&mut close, 0, "2026-03-06"));
}

#[test]
fn other_facts_and_nulls_say_nothing() {
    let mut close = close();
    assert_eq!(step(&mut close, "kind,count\nround,\n,\nremittances,"), "");
    assert_eq!(step(&mut close, "kind,day\n,2026-03-02"), ",,2026-03-02,0,0.00,0.00,0.00,false\n");
    assert!(close.load(Vec::new()).is_err());
}

#[test]
fn a_line_that_came_to_nothing_says_by_how_many_corrections() {
    let mut close = close();
    let rows = "kind,lender_id,agency_id,day,count,collected,commission
        payment,L1,A1,2026-03-02,1,100.00,20.00
        withdrawn,L1,A1,2026-03-02,-1,-100.00,-20.00";
    let said = close.step(&read(&facts::lines(), 1, rows));
    let shown = show(&said[0], "count,corrections,collected,commission");
    assert_eq!(shown, "1,0,100.00,20.00\n0,1,0.00,0.00\n");
}

/// The oracle's agency: what it holds of four payments, one of which came back unpaid.
fn worked(gross: bool) -> String {
    let rows = "
        lender_id,agency_id,day,currency,count,collected,commission,held,gross
        L1,A1,2026-03-02,CNY,1,1000.00,120.00,1000.00,G
        L1,A1,2026-03-02,CNY,1,333.33,66.67,333.33,G
        L1,A1,2026-03-02,CNY,1,250.01,75.00,250.01,G
        L1,A1,2026-03-02,CNY,1,77.77,35.00,0.00,G
        L1,A1,2026-03-02,CNY,1,-333.33,-66.67,-333.33,G";
    let rows = rows.replace('G', &gross.to_string());
    let said = close().step(&read(&facts::lines(), 1, &rows));
    let shown = show(&said[0], "held,commission,due,invoiced");
    shown.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn an_agency_sends_what_is_left_or_all_by_its_contract() {
    assert_eq!(worked(false), "1250.01,230.00,1020.01,0.00");
    assert_eq!(worked(true), "1250.01,230.00,1250.01,230.00");
}

#[test]
fn a_remittance_counts_once_and_is_booked_on_an_open_day() {
    let mut close = close();
    let table = "remittance_id,lender_id,agency_id,currency,received_on,amount,withheld,paid
        R1,L1,A1,CNY,2026-03-02,1020.01,230.00,
        R2,L1,A2,CNY,2026-03-09,1250.01,,230.00";
    tick(&mut close, 0, "2026-03-08");
    tick(&mut close, 1, "2026-03-08");
    close.hear("remittances", &read(&facts::remittances(), 1, table));
    // The same table again brings nothing new.
    close.hear("remittances", &read(&facts::remittances(), 1, table));
    let said = close.step(&read(&facts::lines(), 9, "kind\nremittances"));
    assert_eq!(
        show(&said[1], "remittance_id,received_on,booked_on,amount,withheld,paid"),
        lines(
            "R1,2026-03-02,2026-03-06,1020.01,230.00,0.00
            R2,2026-03-09,2026-03-09,1250.01,0.00,230.00"
        )
    );
    assert_eq!(
        show(&said[2], "entry_id,agency_id,account,amount,currency,booked_on,cause,rule"),
        lines(
            "R1:9:0:0,A1,bank,1020.01,CNY,2026-03-06,R1,remittance
            R1:9:0:1,A1,agency_payable,230.00,CNY,2026-03-06,R1,remittance
            R1:9:0:2,A1,agency_clearing,-1250.01,CNY,2026-03-06,R1,remittance
            R2:9:0:0,A2,bank,1020.01,CNY,2026-03-09,R2,remittance
            R2:9:0:1,A2,agency_payable,230.00,CNY,2026-03-09,R2,remittance
            R2:9:0:2,A2,agency_clearing,-1250.01,CNY,2026-03-09,R2,remittance"
        )
    );
    let mut again = self::close();
    again.load(close.save()).unwrap();
    again.hear("remittances", &read(&facts::remittances(), 1, table));
    let said = again.step(&read(&facts::lines(), 10, "kind\nremittances"));
    assert_eq!(said[1].num_rows(), 0);
}

#[test]
fn every_entry_of_a_remittance_sums_to_zero() {
    for (amount, withheld, paid) in [(0, 0, 0), (5, 0, 0), (0, 7, 0), (0, 0, 9), (100, 20, 3)] {
        let one = Remittance { amount, withheld, paid, ..Remittance::default() };
        assert_eq!(one.entries().iter().map(|line| line.amount).sum::<i128>(), 0);
    }
}

#[test]
fn an_agency_report_is_compared_movement_by_movement() {
    let entry = |id: &str, amount, commission, line| {
        let movement_id = id.to_owned();
        Entry { movement_id, amount, commission, line }
    };
    let ours = [
        entry("p1", 10_000, 2_000, 0),
        entry("p2", 500, 100, 0),
        entry("p3", 700, 140, 0),
        // Withdrawn again: as if it had never been.
        entry("p6", 300, 60, 0),
        entry("p6", -300, -60, 0),
    ];
    let theirs = [
        entry("p1", 6_000, 1_200, 2),
        entry("p1", 4_000, 800, 3),
        entry("p3", 700, 141, 4),
        entry("p4", 900, 180, 5),
    ];
    let findings = reconcile(ours, theirs);
    let classes: Vec<_> =
        findings.iter().map(|one| (one.movement_id.as_str(), one.class())).collect();
    assert_eq!(
        classes,
        [
            ("p1", Class::Matched),
            ("p2", Class::MissingThere),
            ("p3", Class::Different),
            ("p4", Class::MissingHere),
        ]
    );
    assert_eq!(findings[0].theirs.as_ref().unwrap().lines, [2, 3]);
    let [matched, different, here, there] = sums(&findings);
    assert_eq!(
        (matched.count, matched.ours, matched.theirs),
        (1, [10_000, 2_000], [10_000, 2_000])
    );
    assert_eq!((different.ours, different.theirs), ([700, 140], [700, 141]));
    assert_eq!((here.ours, here.theirs), ([0, 0], [900, 180]));
    assert_eq!((there.count, there.ours, there.theirs), (1, [500, 100], [0, 0]));
}
