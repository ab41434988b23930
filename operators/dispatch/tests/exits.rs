//! Loans that their lenders take out of collection, and bring back.

use super::feed::{Row, desk, desks, report};
use super::world::World;
use crate::Rules;
use crate::dispatch::columns::Texts;
use crate::rules::Case;

/// One desk with a single place.
fn world() -> World {
    let rules = Rules { shards: 1, case: Case::Borrower, ..Rules::default() };
    let mut world = World::new(rules);
    let mut only = desk("A", "0.12", "0.25", 200);
    only.capacity = Some(1);
    world.tell("desks", &desks(&[only]));
    world.settle();
    world
}

fn notice(kind: &'static str, of: &Row) -> Row {
    Row { kind, ..of.clone() }
}

fn status(world: &World, loan: &str) -> String {
    world.seen[loan].status.clone()
}

#[test]
fn every_exit_recalls_the_placement_and_frees_the_place() {
    for exit in ["settled", "refinanced", "withdrawn", "sold", "written_off"] {
        let mut world = world();
        let first = report("l1", "b1", 100_000);
        world.send(vec![first.clone()]);
        world.settle();
        assert_eq!(status(&world, "l1"), "placed");
        world.send(vec![notice(exit, &first)]);
        assert_eq!(status(&world, "l1"), exit);
        // The trail stays: who had it, and who still gets its money.
        assert_eq!((world.seen["l1"].desk.as_str(), world.seen["l1"].placement), ("A", 1));
        // What is said of it later changes nothing, whatever it says.
        let later = Row { price: Some(200_000), balance: 400_000, days: 77, ..first.clone() };
        world.send(vec![later, Row { kind: "payment", balance: 0, ..first.clone() }]);
        world.settle();
        assert_eq!(status(&world, "l1"), exit);
        let held = world.relation(0, 0);
        assert_eq!(Texts::of(&held, "desk_id").text(held.num_rows() - 1), "A");
        // Its place is free for somebody else.
        world.send(vec![report("l2", "b2", 50_000)]);
        world.settle();
        assert_eq!(status(&world, "l2"), "placed", "{exit}");
    }
}

#[test]
fn a_loan_that_nobody_holds_leaves_too_and_may_come_back() {
    let mut world = world();
    let first = report("l1", "b1", 100_000);
    let mut waiting = first.clone();
    waiting.price = None;
    world.send(vec![waiting.clone(), notice("withdrawn", &waiting)]);
    assert_eq!(status(&world, "l1"), "withdrawn");
    assert_eq!((world.seen["l1"].desk.as_str(), world.seen["l1"].placement), ("", 0));
    world.send(vec![first.clone()]);
    world.settle();
    assert_eq!(status(&world, "l1"), "withdrawn");
    world.send(vec![notice("reopened", &first)]);
    world.settle();
    assert_eq!(status(&world, "l1"), "placed");
    // Nothing was closed: nothing is reopened.
    world.send(vec![notice("reopened", &first)]);
    assert_eq!(world.seen["l1"].placement, 1);
}

#[test]
fn a_case_stays_while_one_of_its_loans_does() {
    let mut world = world();
    let (one, two) = (report("l1", "b1", 100_000), report("l2", "b1", 50_000));
    world.send(vec![one.clone(), two.clone()]);
    world.settle();
    world.send(vec![notice("sold", &one)]);
    assert_eq!((status(&world, "l1").as_str(), status(&world, "l2").as_str()), ("sold", "placed"));
    world.send(vec![report("l3", "b3", 90_000)]);
    world.settle();
    assert_eq!(status(&world, "l3"), "waiting");
    world.send(vec![notice("sold", &two)]);
    world.settle();
    assert_eq!(status(&world, "l3"), "placed");
    // A snapshot knows who has left.
    let saved = crate::Operator::save(&world.shards[0]);
    let mut woken = crate::dispatch::Dispatch::new(&world.rules, 0);
    crate::Operator::load(&mut woken, saved).unwrap();
    world.shards[0] = woken;
    world.send(vec![one]);
    assert_eq!(status(&world, "l1"), "sold");
}
