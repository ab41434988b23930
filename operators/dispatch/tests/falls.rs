//! Where something changes abruptly the market falls back sensibly, and says so.

use arrow::datatypes::Int64Type;

use super::world::{DAY, World, contracts, desk, desks, report};
use crate::Rules;
use crate::dispatch::columns::{Numbers, Texts};

fn market(capacity: i64) -> Vec<super::world::TestDesk> {
    let mut list = vec![desk("A", "0.9", "0", 0), desk("B", "0.5", "0", 0)];
    list[0].capacity = Some(capacity);
    list[1].capacity = Some(capacity);
    list
}

fn world(shards: u32) -> World {
    let mut world = World::new(Rules { shards, ..Rules::default() });
    world.tell("desks", &desks(&market(2)));
    world
}

fn send(world: &mut World, from: usize, count: usize) {
    for number in from..from + count {
        world.send(vec![report(&format!("l{number}"), &format!("b{number}"), 10_000)]);
    }
}

/// The newest word about each round, by column.
fn newest(world: &World, column: &str) -> String {
    let rows = world.rounds.last().expect("a round was said");
    Texts::of(rows, column).text(rows.num_rows() - 1).to_string()
}

#[test]
fn a_round_where_nothing_is_unusual_has_no_note() {
    let mut world = world(2);
    world.round();
    send(&mut world, 0, 3);
    world.round();
    assert_eq!(newest(&world, "note"), "");
    assert_eq!(newest(&world, "silent"), "");
}

#[test]
fn nobody_eligible_is_said_and_nothing_is_placed() {
    let mut list = market(2);
    list.iter_mut().for_each(|desk| desk.provinces = "11".into());
    let mut world = World::new(Rules { shards: 2, ..Rules::default() });
    world.tell("desks", &desks(&list));
    world.round();
    send(&mut world, 0, 3);
    world.round();
    assert_eq!(world.count("waiting"), 3);
    assert_eq!(newest(&world, "note"), "nobody takes 3 of the waiting cases");
    // The desks may take them from now on, and the next round is as good as any.
    world.tell("desks", &desks(&market(2)));
    world.settle();
    assert_eq!(world.count("placed"), 3);
}

#[test]
fn desks_that_lose_their_terms_between_ask_and_answer_are_said() {
    let mut world = world(1);
    world.round();
    send(&mut world, 0, 3);
    let demand = world.tick("round", 9);
    let mut list = market(2);
    list.iter_mut().for_each(|desk| desk.provinces = "11".into());
    world.tell("desks", &desks(&list));
    world.answer(0, &demand[0]);
    let note = newest(&world, "note");
    assert!(note.contains("nobody may take what waits"), "{note}");
    assert!(note.contains("desks or contracts have changed"), "{note}");
}

#[test]
fn a_silent_shard_is_named_and_what_it_holds_stays_its() {
    let mut world = world(3);
    send(&mut world, 0, 12);
    world.settle();
    assert_eq!(world.count("placed"), 4);
    // Two of three answer; the next tick ends the round.
    let demand = world.tick("round", 50);
    assert!(world.answer(0, &demand[0]).is_none());
    assert!(world.answer(2, &demand[2]).is_none());
    let demand = world.tick("round", 51);
    let quotas = world.answer(0, &demand[0]);
    assert_eq!(newest(&world, "silent"), "1");
    let note = newest(&world, "note");
    assert!(note.contains("silent shards count as they answered last"), "{note}");
    if let Some(quotas) = quotas {
        (0..3).for_each(|shard| drop(world.tell_one(shard, "quotas", &quotas)));
    }
    assert!(world.open().values().all(|open| *open <= 2), "{:?}", world.open());
    // All answer again.
    world.settle();
    assert_eq!(newest(&world, "silent"), "");
    assert_eq!(world.count("placed"), 4);
}

#[test]
fn a_capacity_below_what_stands_is_said_and_stops_new_placements() {
    let mut world = world(2);
    send(&mut world, 0, 8);
    world.settle();
    assert_eq!(world.open()["A"], 2);
    world.tell("desks", &desks(&market(1)));
    send(&mut world, 8, 8);
    world.round();
    let note = newest(&world, "note");
    assert!(note.contains("2 limits are below what stands there"), "{note}");
    world.settle();
    assert_eq!((world.open()["A"], world.open()["B"]), (2, 2));
    // Raised far above all: everybody finds a place, and capacity costs nothing.
    world.tell("desks", &desks(&market(100)));
    world.settle();
    assert_eq!(world.count("waiting"), 0);
    assert_eq!(newest(&world, "note"), "");
}

#[test]
fn a_desk_that_is_gone_keeps_its_cases_and_gets_no_new_ones() {
    let mut world = world(2);
    send(&mut world, 0, 4);
    world.settle();
    world.tell("desks", &desks(&market(2)[1..]));
    send(&mut world, 4, 4);
    world.round();
    let note = newest(&world, "note");
    assert!(note.contains("desks or contracts have changed"), "{note}");
    world.settle();
    assert_eq!((world.open()["A"], world.open()["B"]), (2, 2));
    assert_eq!(world.count("waiting"), 4);
}

#[test]
fn contracts_that_end_leave_cases_waiting_and_new_ones_place_them() {
    let mut world = world(1);
    world.tell("contracts", &contracts(&[("L1", "A", 0, 1, 0, None)]));
    send(&mut world, 0, 1);
    world.settle();
    assert_eq!(world.open()["A"], 1);
    world.tick("day", 2);
    send(&mut world, 1, 1);
    world.round();
    assert_eq!(
        newest(&world, "note"),
        "nobody takes 1 of the waiting cases; desks or contracts have changed"
    );
    world.settle();
    assert_eq!(world.count("waiting"), 1);
    world.tell("contracts", &contracts(&[("L1", "B", 0, 9, 0, None)]));
    world.settle();
    assert_eq!(world.seen["l1"].desk, "B");
}

#[test]
fn demand_that_is_suddenly_another_is_said_and_its_best_cases_find_the_places() {
    let mut world = world(2);
    world.tell("desks", &desks(&market(50)));
    send(&mut world, 0, 250);
    world.settle();
    // Twice the places, and a hundred times the price.
    world.tell("desks", &desks(&market(100)));
    for number in 0..150 {
        let name = format!("{number}");
        world.send(vec![report(&format!("n{name}"), &format!("c{name}"), 1_000_000 + number)]);
    }
    world.round();
    let note = newest(&world, "note");
    assert!(note.contains("were sought anew"), "{note}");
    world.settle();
    assert_eq!((world.open()["A"], world.open()["B"]), (100, 100));
    let placed = |seen: &(&String, &super::world::Seen)| seen.1.status == "placed";
    let dear = world.seen.iter().filter(placed).filter(|(loan, _)| loan.starts_with('n')).count();
    assert_eq!(dear, 100, "all new places go to what is worth a hundred times more");
}

/// Cases of a day at a desk of ten places: of each hour one is worth a hundred times the others.
/// The day ends with rounds until nothing moves.
fn live_day(world: &mut World, day: i64, each_hour: i64) {
    for hour in 0..24 {
        for number in 0..each_hour {
            let great = 1_000_000 + hour * 7_919 % 24 * 10_000;
            let price = if number == each_hour / 2 { great } else { 10_000 + number };
            let name = format!("{day}-{hour}-{number}");
            let mut row = report(&format!("l{name}"), &format!("b{name}"), price);
            row.at = day * DAY + hour * 3_600_000_000 + number * 60_000_000;
            world.send(vec![row]);
            world.round();
        }
    }
    world.at = (day + 1) * DAY - 30_000_000;
    world.settle();
}

fn planned() -> World {
    let mut world = World::new(Rules { shards: 2, horizon_minutes: 1_440, ..Rules::default() });
    let mut list = market(10);
    list.truncate(1);
    world.tell("desks", &desks(&list));
    world.at = DAY;
    world
}

/// All that is open is paid, just after midnight.
fn pay_all(world: &mut World, day: i64) {
    let open: Vec<String> = world.seen.keys().cloned().collect();
    for loan in open {
        let borrower = world.borrower[&loan].clone();
        let mut row = report(&loan, &borrower, 1);
        (row.kind, row.balance, row.price) = ("payment", 0, Some(0));
        row.at = day * DAY + 1_000;
        world.send(vec![row]);
    }
}

fn valuable(world: &World, day: i64) -> usize {
    let today = format!("l{day}-");
    let counts = |(loan, seen): &(&String, &super::world::Seen)| {
        loan.starts_with(&today) && seen.status == "placed" && seen.value >= 900_000
    };
    world.seen.iter().filter(counts).count()
}

#[test]
fn a_second_day_keeps_places_for_what_is_worth_more_and_still_to_come() {
    let mut world = planned();
    live_day(&mut world, 1, 20);
    // The first day sold its places to whoever came first.
    assert!(newest(&world, "note").contains("no earlier stretch is known"));
    assert!(valuable(&world, 1) <= 2, "{}", valuable(&world, 1));
    pay_all(&mut world, 2);
    live_day(&mut world, 2, 20);
    assert_eq!(world.open()["A"], 10);
    assert!(valuable(&world, 2) >= 9, "{}", valuable(&world, 2));
}

#[test]
fn a_day_unlike_the_one_before_is_said_and_still_ends_with_every_place_taken() {
    for each_hour in [60, 3] {
        let mut world = planned();
        live_day(&mut world, 1, 20);
        pay_all(&mut world, 2);
        live_day(&mut world, 2, each_hour);
        let said = world.rounds.iter().any(|rows| {
            let notes = Texts::of(rows, "note");
            (0..rows.num_rows()).any(|row| notes.text(row).contains("were expected"))
        });
        assert!(said, "{each_hour} an hour where 20 were expected");
        assert_eq!(world.open()["A"], 10, "{each_hour} an hour");
    }
}

#[test]
fn rounds_tell_what_is_taken_and_what_is_still_to_come() {
    let mut world = planned();
    live_day(&mut world, 1, 20);
    pay_all(&mut world, 2);
    live_day(&mut world, 2, 10);
    let rows = world.rounds.last().expect("a round was said");
    let last = |name| Numbers::<Int64Type>::of(rows, name).get(rows.num_rows() - 1);
    assert_eq!(last("places"), Some(10));
    assert!(last("taken").is_some_and(|taken| (8..=10).contains(&taken)), "{:?}", last("taken"));
    assert!(last("arrived").is_some_and(|arrived| arrived > 200), "{:?}", last("arrived"));
    assert!(last("expected").is_some_and(|expected| expected > 400));
    assert!(last("forecast").is_some());
}
