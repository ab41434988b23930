//! Changes in, statements out, as tables of text.

use super::CLOSE;
use crate::account::tests::{lines, read, show};
use crate::{Operator, Rules, facts};

fn close() -> Box<dyn Operator> {
    (CLOSE.open)(&Rules { shards: 2, ..Rules::default() }, 0)
}

fn step(close: &mut Box<dyn Operator>, text: &str) -> String {
    let said = close.step(&read(&facts::lines(), 1, text));
    show(&said[0], "lender_id,agency_id,day,count,collected,commission,remittance,closed")
}

fn tick(close: &mut Box<dyn Operator>, shard: u32, day: &str) -> String {
    let rows = format!("shard,kind,at\n{shard},day,{day}T00:00:00Z");
    close.hear("ticked", &read(&facts::ticked(), 1, &rows));
    step(close, "kind\nticked")
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
    assert_eq!(tick(&mut close, 0, "2026-03-05"), "");
    assert_eq!(tick(&mut close, 1, "2026-03-04"), "");
    assert_eq!(
        tick(&mut close, 1, "2026-03-05"),
        lines(
            "L1,A1,2026-03-02,2,150.00,30.01,119.99,true
            L1,A1,2026-03-02,1,1.00,0.20,0.80,true"
        )
    );
    // Closed once. What still names the day falls on the first open one.
    assert_eq!(tick(&mut close, 0, "2026-03-05"), "");
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
    assert_eq!(step(&mut close, "kind,count\ncontracts,\n,\nticked,"), "");
    assert_eq!(step(&mut close, "kind,day\n,2026-03-02"), ",,2026-03-02,0,0.00,0.00,0.00,false\n");
    assert!(close.load(Vec::new()).is_err());
}
