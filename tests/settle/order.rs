//! Any order, repetition and batching of a loan's facts ends in the same bookings, as the naive
//! model says; and wherever the letters are cut into steps, the same rows come out.

use std::collections::BTreeMap;

use arrow::array::{Array, BooleanArray, Date32Array, StringArray};

use recoup_operators::facts;
use recoup_operators::settle::invariants::{Books, Broken, broken};

use crate::flow::{DAY, Flow, Letter, cast, cents, newest, restless, steady, texts};
use crate::naive::{Parts, Truth, commission, truth};
use crate::random::{Dice, arrival, history, seeds};

const PARTS: [&str; 6] = ["penalty", "fee", "interest", "principal", "over", "before_report"];

/// What a flow has booked of each movement, how much of it behind a charge-off, and what its
/// loans owe.
type Outcome = (BTreeMap<String, Parts>, BTreeMap<String, Parts>, BTreeMap<String, [i64; 4]>);

fn outcome(flow: &Flow) -> Outcome {
    let bookings = flow.all("bookings");
    let ids = texts(&bookings, "movement_id");
    let behind: &BooleanArray = cast(&bookings, "recovered");
    let mut recovered: BTreeMap<String, Parts> = BTreeMap::new();
    let columns = PARTS.map(|name| cents(&bookings, name));
    let mut booked: BTreeMap<String, Parts> = BTreeMap::new();
    for (i, id) in ids.into_iter().enumerate() {
        let id = id.unwrap();
        let add = |to: &mut BTreeMap<String, Parts>| {
            let parts = to.entry(id.clone()).or_default();
            parts.iter_mut().zip(&columns).for_each(|(part, column)| *part += column[i] as i64);
        };
        add(&mut booked);
        if behind.value(i) {
            add(&mut recovered);
        }
    }
    booked.retain(|_, parts| *parts != [0; 6]);
    recovered.retain(|_, parts| *parts != [0; 6]);
    let stamped = flow.all("stamped");
    let loans = texts(&stamped, "loan_id");
    let columns = PARTS.map(|name| stamped.column_by_name(name).map(|_| cents(&stamped, name)));
    let mut owed = BTreeMap::new();
    for (i, loan) in loans.into_iter().enumerate() {
        let Some(loan) = loan else { continue };
        let four = [0, 1, 2, 3].map(|part: usize| columns[part].as_ref().unwrap()[i] as i64);
        owed.insert(loan, four);
    }
    (booked, recovered, owed)
}

fn expected(facts: &[Letter]) -> (BTreeMap<String, Parts>, BTreeMap<String, Parts>, [i64; 4]) {
    let Truth { mut booked, recovered: behind, owed } = truth(facts);
    booked.retain(|_, parts| *parts != [0; 6]);
    let mut recovered = booked.clone();
    recovered.retain(|id, _| behind.contains(id));
    (booked, recovered, owed)
}

#[test]
fn any_arrival_ends_in_what_the_naive_model_says() {
    for seed in seeds(1_000) {
        let mut dice = Dice::new(seed);
        let facts = history(&mut dice, "X");
        let (booked, recovered, owed) = expected(&facts);
        for turn in 0..3 {
            let letters = arrival(&mut dice, &facts);
            let mut flow = Flow::new(steady);
            flow.run(&letters, 1 + dice.roll(7) as usize);
            let (found, income, debts) = outcome(&flow);
            let repeat = format!("SEED={seed} cargo test -p recoup-operators --test settle");
            assert_eq!(found, booked, "turn {turn}; {repeat}\n{letters:#?}");
            assert_eq!(income, recovered, "turn {turn}; {repeat}\n{letters:#?}");
            assert_eq!(debts["X"], owed, "turn {turn}; {repeat}\n{letters:#?}");
        }
    }
}

/// Many loans' letters interleaved, with days passing.
fn crowd(dice: &mut Dice, loans: usize, days: bool) -> Vec<Letter> {
    let mut queues: Vec<Vec<Letter>> = (0..loans)
        .map(|loan| {
            let facts = history(dice, &format!("N{loan}"));
            let mut letters = arrival(dice, &facts);
            letters.reverse();
            letters
        })
        .collect();
    let mut letters = Vec::new();
    let mut day = 20_000;
    while queues.iter().any(|queue| !queue.is_empty()) {
        let at = dice.roll(queues.len() as u64) as usize;
        letters.extend(queues[at].pop());
        if days && dice.roll(6) == 0 {
            letters.push(Letter::day(day));
            day += 1;
        }
    }
    letters
}

fn said(
    held: fn(&str, u64) -> (&'static str, i128),
    letters: &[Letter],
    step: usize,
    sleeps: bool,
) -> Vec<arrow::array::RecordBatch> {
    let mut flow = Flow::new(held);
    if sleeps {
        for part in letters.chunks(5) {
            flow.run(part, step);
            flow.sleep();
        }
    } else {
        flow.run(letters, step);
    }
    let names = ["stamped", "bookings", "refused", "instalments", "refolded", "ledger", "lines"];
    names.into_iter().chain(["statements"]).map(|name| flow.all(name)).collect()
}

#[test]
fn steps_may_be_cut_anywhere_and_memories_put_to_sleep() {
    for seed in 0..20 {
        let letters = crowd(&mut Dice::new(seed), 12, true);
        let whole = said(restless, &letters, usize::MAX, false);
        for step in [1, 2, 5, 17] {
            assert_eq!(said(restless, &letters, step, false), whole, "steps of {step}");
        }
        assert_eq!(said(restless, &letters, 3, true), whole, "with sleep");
    }
}

#[test]
fn every_entry_sums_to_zero_and_has_its_own_id() {
    for seed in 0..50 {
        let letters = crowd(&mut Dice::new(seed), 10, seed % 2 == 0);
        let mut flow = Flow::new(restless);
        flow.run(&letters, 9);
        let ledger = flow.all("ledger");
        let mut sums: BTreeMap<(u64, Option<String>, Option<String>), i128> = BTreeMap::new();
        let seqs: &arrow::array::UInt64Array = cast(&ledger, "seq");
        let (causes, currencies) = (texts(&ledger, "cause"), texts(&ledger, "currency"));
        for (i, amount) in cents(&ledger, "amount").into_iter().enumerate() {
            *sums.entry((seqs.value(i), causes[i].clone(), currencies[i].clone())).or_default() +=
                amount;
        }
        assert!(sums.values().all(|sum| *sum == 0), "{sums:?}");
        let mut ids = texts(&ledger, "entry_id");
        let all = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all, "entry ids repeat; seed {seed}");
    }
}

/// What a movement is in the books: what takes a waiver or a fee back is booked as that.
fn booked_as(facts: &[Letter], fact: &Letter) -> String {
    let of = facts.iter().find(|one| Some(&one.id) == fact.reverses.as_ref());
    let of = of.map(|one| one.kind).filter(|kind| !facts::is_money(kind));
    of.unwrap_or(fact.kind).to_owned()
}

#[test]
fn statements_say_what_the_naive_model_says() {
    for seed in seeds(200) {
        let mut dice = Dice::new(seed);
        let mut lines: BTreeMap<(String, i32), (i64, [i64; 7])> = BTreeMap::new();
        let mut letters = Vec::new();
        for loan in 0..6 {
            let facts = history(&mut dice, &format!("N{loan}"));
            let (agency, rate) = steady(&facts[0].loan, 0);
            for (id, parts) in truth(&facts).booked {
                let fact = facts.iter().find(|fact| fact.id == id).unwrap();
                if !facts::is_money(&booked_as(&facts, fact)) {
                    continue;
                }
                let day = fact.at.div_euclid(crate::flow::DAY) as i32;
                let line = lines.entry((agency.to_owned(), day)).or_default();
                let collected: i64 = parts[..4].iter().sum();
                line.0 += 1;
                line.1[0] += collected;
                for i in 0..5 {
                    line.1[i + 1] += parts[i];
                }
                if fact.kind != "refund" {
                    line.1[6] += commission(collected, rate as i64);
                }
            }
            letters.extend(arrival(&mut dice, &facts));
        }
        let mut flow = Flow::new(steady);
        flow.run(&letters, 11);
        let mut found = BTreeMap::new();
        for ((_, agency, day, _), (count, sums, _)) in newest(&flow.all("statements")) {
            assert_eq!(sums[7], sums[0] - sums[6], "remittance");
            let money: [i64; 7] = std::array::from_fn(|i| sums[i] as i64);
            found.insert((agency, day), (count, money));
        }
        found.retain(|_, line| *line != (0, [0; 7]));
        lines.retain(|_, line| *line != (0, [0; 7]));
        assert_eq!(found, lines, "SEED={seed} cargo test -p recoup-operators --test settle");
    }
}

#[test]
fn closed_days_never_change_and_the_sums_stay() {
    for seed in 0..100 {
        let mut dice = Dice::new(seed);
        let letters = crowd(&mut dice, 10, true);
        let quiet: Vec<Letter> =
            letters.iter().filter(|letter| letter.kind != "day").cloned().collect();
        let sums = |letters: &[Letter]| {
            let mut flow = Flow::new(steady);
            flow.run(letters, 13);
            // Reading the newest rows asserts that a closed line stays as it is.
            let lines = newest(&flow.all("statements"));
            let mut total = vec![0; 9];
            for (count, money, _) in lines.values() {
                total[8] += i128::from(*count);
                money.iter().enumerate().for_each(|(i, cents)| total[i] += cents);
            }
            let ledger = flow.all("ledger");
            let days: &Date32Array = cast(&ledger, "booked_on");
            assert_eq!(days.null_count(), 0);
            let closed = lines.values().filter(|line| line.2).count();
            (total, closed, flow.close_after_days())
        };
        let (with, closed, after) = sums(&letters);
        let (without, none, _) = sums(&quiet);
        assert_eq!(with, without, "seed {seed}");
        assert_eq!(none, 0);
        let days = letters.iter().filter(|letter| letter.kind == "day").count() as i32;
        assert!(closed > 0 || days <= after + 1, "seed {seed} closed nothing in {days} days");
    }
}

#[test]
fn two_arrivals_differ_at_most_in_corrections() {
    for seed in 0..200 {
        let mut dice = Dice::new(seed);
        let facts = history(&mut dice, "X");
        let firsts = |letters: &[Letter]| {
            let mut flow = Flow::new(steady);
            flow.run(letters, 4);
            let bookings = flow.all("bookings");
            let corrections: &BooleanArray = cast(&bookings, "correction");
            let kinds: &StringArray = cast(&bookings, "kind");
            let ids = texts(&bookings, "movement_id");
            let mut counts: BTreeMap<String, i32> = BTreeMap::new();
            for i in 0..bookings.num_rows() {
                let change = match kinds.value(i) {
                    "withdrawn" => -1,
                    _ => i32::from(!corrections.value(i)),
                };
                *counts.entry(ids[i].clone().unwrap()).or_default() += change;
            }
            counts.retain(|_, count| *count != 0);
            counts
        };
        let one = firsts(&arrival(&mut dice, &facts));
        let two = firsts(&arrival(&mut dice, &facts));
        assert_eq!(one, two, "seed {seed}");
        assert!(one.values().all(|count| *count == 1));
    }
}

fn books(flow: &Flow) -> Books {
    let [stamped, refolded, bookings, ledger, lines] =
        ["stamped", "refolded", "bookings", "ledger", "lines"].map(|name| flow.all(name));
    Books { stamped, refolded, bookings, ledger, lines }
}

#[test]
fn no_invariant_is_broken() {
    let mut refolded = 0;
    for seed in seeds(100) {
        let letters = crowd(&mut Dice::new(seed), 10, seed % 2 == 0);
        let mut flow = Flow::new(restless);
        flow.run(&letters, 9);
        let books = books(&flow);
        refolded += books.refolded.num_rows();
        // (8) too: over the whole run, no movement is booked first twice.
        let broken = broken(&books);
        let repeat = format!("SEED={seed} cargo test -p recoup-operators --test settle");
        assert_eq!(broken, Broken::default(), "{repeat}");
    }
    assert!(refolded > 0 || std::env::var("SEED").is_ok(), "no letter was in the sample");
}

#[test]
fn what_breaks_an_invariant_is_counted() {
    let mut flow = Flow::new(steady);
    flow.run(&crowd(&mut Dice::new(7), 20, false), 9);
    let whole = books(&flow);
    let ledger = whole.ledger.slice(0, 1);
    assert!(broken(&Books { ledger, ..books(&flow) }).unbalanced > 0);
    let bookings = whole.bookings.slice(0, 1);
    assert!(broken(&Books { bookings, ..books(&flow) }).unposted > 0);
    let twice = [&whole.bookings, &whole.bookings];
    let bookings = arrow::compute::concat_batches(&whole.bookings.schema(), twice).unwrap();
    assert!(broken(&Books { bookings, ..books(&flow) }).repeated > 0);
    assert!(whole.refolded.num_rows() > 0);
    let stamped = whole.stamped.slice(0, 1);
    assert!(broken(&Books { stamped, ..books(&flow) }).reordered > 0);
    let lines = whole.lines.slice(0, 0);
    assert!(broken(&Books { lines, ..books(&flow) }).uncleared > 0);
}

#[test]
fn a_paid_loan_takes_money_only_for_the_borrower() {
    let mut flow = Flow::new(steady);
    flow.run(
        &[
            Letter::report("X", "e1", DAY, [0, 0, 0, 5_000]),
            Letter::payment("X", "p1", 2 * DAY, 5_000),
            Letter::payment("X", "p2", 3 * DAY, 700),
            Letter::reversal("X", "r1", 4 * DAY, -5_000, "p1"),
        ],
        9,
    );
    let bookings = flow.all("bookings");
    assert_eq!(cents(&bookings, "principal"), [5_000, 0, -4_300]);
    assert_eq!(cents(&bookings, "over"), [0, 700, -700]);
    // What went back reopens the case.
    assert_eq!(cents(&flow.all("stamped"), "balance"), [5_000, 0, 0, 4_300]);
}

#[test]
fn agency_clearing_is_what_the_agency_collected_less_what_went_back() {
    let mut flow = Flow::new(steady);
    let by_agency = |letter: Letter| Letter { channel: Some("agency"), ..letter };
    flow.run(
        &[
            Letter::report("X", "e1", DAY, [0, 0, 0, 500_000]),
            by_agency(Letter::payment("X", "p1", 2 * DAY, 100_000)),
            by_agency(Letter::payment("X", "p2", 3 * DAY, 33_333)),
            by_agency(Letter::payment("X", "p3", 3 * DAY, 25_001)),
            Letter::payment("X", "p4", 3 * DAY, 7_777),
            // The return names no channel: money goes back the way it came.
            Letter::reversal("X", "r2", 5 * DAY, -33_333, "p2"),
        ],
        2,
    );
    let ledger = flow.all("ledger");
    let mut accounts: BTreeMap<String, i128> = BTreeMap::new();
    for (account, amount) in texts(&ledger, "account").into_iter().zip(cents(&ledger, "amount")) {
        *accounts.entry(account.unwrap()).or_default() += amount;
    }
    assert_eq!(accounts["agency_clearing"], 125_001);
    assert_eq!(accounts["bank"], 7_777);
}
