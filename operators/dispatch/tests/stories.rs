//! Single stories, one rule each.

use super::world::{DAY, Row, World, contracts, desk, desks, exclusions, report};
use crate::Rules;
use crate::dispatch::columns::{Numbers, Texts};
use arrow::datatypes::Decimal128Type;

fn one() -> Rules {
    Rules { shards: 1, ..Rules::default() }
}

fn world(list: &[super::world::TestDesk]) -> World {
    let mut world = World::new(one());
    world.tell("desks", &desks(list));
    world
}

/// The worked example: 1,000 owed; A is worth 88.00, B 97.50, the bot 59.50.
fn example() -> Vec<super::world::TestDesk> {
    vec![desk("A", "0.12", "0.25", 200), desk("B", "0.15", "0.35", 0), desk("bot", "0.06", "0", 50)]
}

#[test]
fn the_best_desk_wins() {
    let mut world = world(&example());
    world.send(vec![report("l1", "b1", 100_000)]);
    assert_eq!(world.seen["l1"].desk, "B");
    assert_eq!(world.seen["l1"].value, 9_750);
    let said = world.relation(0, 1);
    assert_eq!(Texts::of(&said, "second_desk_id").get(0), Some("A"));
    assert_eq!(Numbers::<Decimal128Type>::of(&said, "second_value").get(0), Some(8_800));
}

#[test]
fn a_full_desk_is_passed_over() {
    let mut list = example();
    list[1].capacity = Some(0);
    let mut world = world(&list);
    world.send(vec![report("l1", "b1", 100_000)]);
    assert_eq!(world.seen["l1"].desk, "A");
    assert_eq!(Texts::of(&world.relation(0, 1), "full_desks").get(0), Some("B"));
}

#[test]
fn ties_go_to_the_lowest_desk() {
    let mut world = world(&[desk("z", "0.5", "0", 0), desk("m", "0.5", "0", 0)]);
    world.send(vec![report("l1", "b1", 1_000)]);
    assert_eq!(world.seen["l1"].desk, "m");
}

#[test]
fn a_scarce_desk_waits_for_its_first_quotas() {
    let mut list = example();
    list[1].capacity = Some(1);
    let mut world = world(&list);
    world.send(vec![report("l1", "b1", 100_000), report("l2", "b2", 200_000)]);
    assert_eq!(world.count("waiting"), 2);
    world.settle();
    // The second is worth 20 more than at A there, the first 9.50.
    assert_eq!(world.seen["l2"].desk, "B");
    assert_eq!(world.seen["l1"].desk, "A");
}

#[test]
fn unpriced_loans_are_placed_once_priced() {
    let mut world = world(&example());
    let first = report("l1", "b1", 100_000);
    world.send(vec![Row { price: None, ..first.clone() }]);
    assert_eq!(world.seen["l1"].status, "unpriced");
    world.send(vec![Row { kind: "touched", ..first }]);
    assert_eq!(world.seen["l1"].status, "placed");
}

#[test]
fn nothing_is_placed_at_or_below_the_least_value() {
    let mut world = World::new(Rules { value_min: 9_750, ..one() });
    world.tell("desks", &desks(&example()));
    world.send(vec![report("l1", "b1", 100_000), report("l2", "b2", 100_001)]);
    assert_eq!(world.seen["l1"].status, "waiting");
    assert_eq!(world.seen["l2"].desk, "B");
}

#[test]
fn a_case_goes_to_one_desk_that_may_take_all_of_it() {
    let mut list = example();
    list[1].provinces = "44".into();
    let mut world = world(&list);
    let other = Row { province: "11".into(), ..report("l2", "b1", 100_000) };
    let mut waiting = report("l1", "b1", 100_000);
    waiting.price = None;
    world.send(vec![waiting.clone(), other]);
    assert_eq!(world.seen["l2"].desk, "A");
    // Priced later, the first loan joins its case.
    world.send(vec![Row { price: Some(100_000), ..waiting }]);
    assert_eq!(world.seen["l1"].desk, "A");
    // A loan the desk may not take waits.
    list[0].provinces = "11".into();
    world.tell("desks", &desks(&list));
    world.send(vec![report("l3", "b1", 50_000)]);
    assert_eq!(world.seen["l3"].status, "waiting");
}

#[test]
fn paid_frees_and_a_reversal_resumes() {
    let mut list = example();
    list[1].capacity = Some(1);
    let mut world = world(&list);
    let first = report("l1", "b1", 100_000);
    world.send(vec![first.clone()]);
    world.settle();
    assert_eq!(world.seen["l1"].desk, "B");
    world.send(vec![Row { kind: "payment", balance: 0, price: Some(0), ..first.clone() }]);
    assert_eq!(world.seen["l1"].status, "paid");
    assert_eq!(world.seen["l1"].value, 9_750);
    let held = world.relation(0, 0);
    assert_eq!(Texts::of(&held, "desk_id").text(held.num_rows() - 1), "B");
    world.send(vec![Row { kind: "reversal", ..first }]);
    assert_eq!((world.seen["l1"].status.as_str(), world.seen["l1"].placement), ("placed", 1));
    // The place is taken again: the next case goes to the second best.
    world.send(vec![report("l2", "b2", 100_000)]);
    world.settle();
    assert_eq!(world.seen["l2"].desk, "A");
}

#[test]
fn a_case_moves_only_beyond_the_margin_and_not_for_a_payment() {
    let mut world = world(&example());
    let first = report("l1", "b1", 100_000);
    world.send(vec![first.clone()]);
    let mut list = example();
    // A now wins by 10.00 exactly: 107.50.
    list[0].cost = -1_750;
    world.tell("desks", &desks(&list));
    assert_eq!(world.seen["l1"].desk, "B");
    list[0].cost = -1_751;
    list[1].provinces = "none".into();
    world.send(vec![Row { kind: "payment", ..first }]);
    assert_eq!(world.seen["l1"].desk, "B");
    world.tell("desks", &desks(&list));
    assert_eq!((world.seen["l1"].desk.as_str(), world.seen["l1"].placement), ("A", 2));
}

#[test]
fn a_recalled_case_goes_elsewhere() {
    let mut list = example();
    list[0].group = "g".into();
    list[1].group = "g".into();
    let mut world = world(&list);
    let first = report("l1", "b1", 100_000);
    world.send(vec![first.clone(), Row { kind: "recall", ..first }]);
    // B is excluded, and A is of the same group.
    assert_eq!(world.seen["l1"].desk, "bot");
    let said = world.relation(0, 1);
    let statuses = Texts::of(&said, "status");
    let list: Vec<&str> = (0..3).map(|row| statuses.text(row)).collect();
    assert_eq!(list, ["placed", "recalled", "placed"]);
}

#[test]
fn tiers_and_time_limits() {
    let mut list = example();
    list[1].tier = Some(1);
    list[1].days_max = Some(30);
    list[0].tier = Some(2);
    list[2].tier = Some(1);
    let mut world = world(&list);
    world.send(vec![report("l1", "b1", 100_000)]);
    world.tick("day", 30);
    assert_eq!(world.seen["l1"].desk, "B");
    world.tick("day", 31);
    assert_eq!((world.seen["l1"].desk.as_str(), world.seen["l1"].placement), ("A", 2));
}

#[test]
fn a_pending_recall_becomes_final_on_its_day() {
    let mut world = world(&example());
    world.send(vec![report("l1", "b1", 100_000)]);
    let place = super::super::says::Place { at: Some(DAY), ..Default::default() };
    world.shards[0].recall(place, 0, 1, 5);
    world.tick("day", 4);
    assert_eq!(world.seen["l1"].desk, "B");
    world.tick("day", 5);
    assert_eq!(world.seen["l1"].desk, "A");
}

#[test]
fn contracts_admit_discount_and_limit() {
    let mut world = world(&example());
    // B only from day 10 on; A at half its commission: 120 × 0.875 − 2 = 103.00.
    world.tell(
        "contracts",
        &contracts(&[
            ("L1", "A", 0, 100, 500_000, Some(1)),
            ("L1", "B", 10, 100, 0, None),
            ("L2", "bot", 0, 100, 0, None),
        ]),
    );
    world.send(vec![report("l1", "b1", 100_000), report("l2", "b2", 100_000)]);
    world.settle();
    assert_eq!(world.seen["l1"].desk, "A");
    assert_eq!(world.seen["l1"].value, 10_300);
    assert_eq!(world.seen["l2"].status, "waiting");
    world.tick("day", 10);
    world.send(vec![report("l2", "b2", 100_000)]);
    assert_eq!(world.seen["l2"].desk, "B");
    world.send(vec![Row { lender: "L2".into(), ..report("l3", "b3", 100_000) }]);
    assert_eq!(world.seen["l3"].desk, "bot");
}

#[test]
fn an_amount_limit_holds() {
    let mut list = example();
    list[1].amount_max = Some(500_000);
    let mut world = world(&list);
    for number in 0..5 {
        // Each owes 2,000.00.
        world.send(vec![report(&format!("l{number}"), &format!("b{number}"), 100_000)]);
    }
    world.settle();
    assert_eq!(world.open()["B"], 2);
    assert_eq!(world.open()["A"], 3);
}

#[test]
fn a_reversal_does_not_bring_a_loan_back_to_where_its_case_was_recalled_from() {
    let mut world = world(&example());
    let first = report("l1", "b1", 100_000);
    let second = report("l2", "b1", 100_000);
    world.send(vec![first.clone(), second.clone()]);
    world.send(vec![Row { kind: "payment", balance: 0, price: Some(0), ..first.clone() }]);
    assert_eq!(world.seen["l1"].status, "paid");
    world.send(vec![Row { kind: "recall", ..second.clone() }]);
    assert_eq!(world.seen["l2"].desk, "A");
    world.send(vec![Row { kind: "payment", balance: 0, price: Some(0), ..second }]);
    // Nobody holds the case now, and B, where its placement was, is closed to it.
    world.send(vec![Row { kind: "reversal", ..first }]);
    assert_eq!((world.seen["l1"].desk.as_str(), world.seen["l1"].status.as_str()), ("A", "placed"));
}

#[test]
fn a_complaint_takes_a_case_away_and_keeps_it_away() {
    for case in [crate::rules::Case::Borrower, crate::rules::Case::Loan] {
        let mut world = World::new(Rules { case, ..one() });
        world.tell("desks", &desks(&example()));
        let named = |loan: &str, borrower: &str| report(loan, &format!("L1/{borrower}"), 100_000);
        world.send(vec![named("l1", "b1"), named("l2", "b2"), named("l3", "b3")]);
        assert_eq!(world.seen["l1"].desk, "B");
        let rules = [("l1", "", "B", 0, 100), ("", "b2", "B", 0, 100), ("l3", "", "B", 5, 100)];
        world.tell("exclusions", &exclusions(&rules));
        assert_eq!((world.seen["l1"].desk.as_str(), world.seen["l1"].placement), ("A", 2));
        assert_eq!(world.seen["l2"].desk, "A");
        // Who comes later is met by the rule too; and a rule may begin later.
        world.send(vec![named("l4", "b2")]);
        assert_eq!(world.seen["l4"].desk, "A");
        assert_eq!(world.seen["l3"].desk, "B");
        world.tick("day", 5);
        assert_eq!(world.seen["l3"].desk, "A");
        // It wakes with its rules.
        world.take_over(0);
        world.send(vec![named("l5", "b2")]);
        assert_eq!(world.seen["l5"].desk, "A");
    }
}

#[test]
fn who_must_not_be_called_goes_to_a_desk_of_another_channel() {
    let mut list = example();
    for (desk, channel) in list.iter_mut().zip(["letter", "phone", "voice"]) {
        desk.channel = channel.into();
    }
    assert_eq!(list[1].id, "B");
    let mut world = World::new(one());
    world.tell("desks", &desks(&list));
    let named = |loan: &str, borrower: &str| report(loan, &format!("L1/{borrower}"), 100_000);
    world.send(vec![named("l1", "b1"), named("l2", "b2")]);
    assert_eq!((world.seen["l1"].desk.as_str(), world.seen["l2"].desk.as_str()), ("B", "B"));
    // One borrower must not be called; from day 5 on the lender wants nobody called.
    let rules = [("", "b1", "by phone", 0, 100), ("", "", "by phone", 5, 100)];
    world.tell("exclusions", &exclusions(&rules));
    assert_eq!((world.seen["l1"].desk.as_str(), world.seen["l2"].desk.as_str()), ("A", "B"));
    world.tick("day", 5);
    assert_eq!(world.seen["l2"].desk, "A");
    world.send(vec![named("l3", "b3")]);
    assert_eq!(world.seen["l3"].desk, "A");
    // Who works by phone comes and goes with the list of desks.
    list[0].channel = "phone".into();
    world.tell("desks", &desks(&list));
    assert_eq!(world.seen["l3"].desk, "bot");
    world.send(vec![named("l4", "b4")]);
    assert_eq!(world.seen["l4"].desk, "bot");
}
