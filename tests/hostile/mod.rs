//! Good records and hostile ones, one to one, through normalize: nothing panics, no good record is
//! lost, what must be refused is, with its reason, and memory does not grow.
//!
//! `./x hostile 1000000` sends a million and says how much slower than a clean run it was.
//! Mutations are thrown by seeded dice, so that a failure repeats; the fuzzer that learns is in
//! `tests/fuzz`, and what it has kept is read here ([`corpora`]).

mod bad;
mod corpora;
mod normalize;
mod records;
#[path = "../fuzz/targets/mod.rs"]
mod targets;

use std::collections::BTreeMap;

use normalize::{Normalize, Out};
use records::{Reason, Record};
use targets::Target;

use crate::sim::dice::Dice;

const RECORDS: u64 = 20_000;
const FORMATS: [&str; 3] = ["json", "csv", "arrow"];
const PER_MESSAGE: u64 = 100;
/// What memory may grow by while nothing is kept.
const GROWTH_MAX: u64 = 96 << 20;

/// Kilobytes of this process that are in memory.
fn resident() -> u64 {
    let told = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = told.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or_default() * 4
}

/// What must come out of the hostile records, by reason; that of a fact is none.
type Wanted = BTreeMap<Reason, u64>;

/// A message of good records.
fn clean(format: &str, good: &[Record]) -> Vec<u8> {
    match format {
        "json" => good.iter().map(records::json).collect::<Vec<_>>().join(&b'\n'),
        "csv" => {
            let lines = good.iter().map(records::csv);
            [records::header()].into_iter().chain(lines).collect::<Vec<_>>().join(&b'\n')
        }
        _ => records::arrow(good),
    }
}

/// The same records with a hostile one behind each. In Arrow a record cannot be broken alone: the
/// last one is a message of its own.
fn mixed(
    dice: &mut Dice,
    format: &str,
    good: &[Record],
    first: u64,
    wanted: &mut Wanted,
) -> Vec<Vec<u8>> {
    let numbered = || (first..).zip(good);
    let mut want = |reason| *wanted.entry(reason).or_default() += 1;
    if format == "arrow" {
        let mut rows = vec![];
        for (number, record) in numbered() {
            let (bad, reason) = records::bad(dice, number);
            rows.push(record.clone());
            if rows.len() + 1 < 2 * good.len() {
                rows.push(bad);
                want(reason);
            }
        }
        let (broken, reason) = bad::arrow(dice, first);
        want(reason);
        return vec![records::arrow(&rows), broken];
    }
    let mut payload = if format == "csv" { records::header() } else { vec![] };
    for (number, record) in numbered() {
        let (line, (bad, reason)) = match format {
            "csv" => (records::csv(record), bad::csv(dice, number)),
            _ => (records::json(record), bad::json(dice, number)),
        };
        want(reason);
        payload.extend([b"\n", line.as_slice(), b"\n", &bad].concat());
    }
    vec![payload]
}

#[test]
fn hostile_records_harm_no_good_one() {
    let wanted = std::env::var("HOSTILE_RECORDS").ok().and_then(|text| text.parse().ok());
    let count: u64 = wanted.unwrap_or(RECORDS);
    let (mut dice, mut normalize) = (Dice::new(5), Normalize::new());
    let (mut plain, mut hostile, mut wanted) = (Out::default(), Out::default(), Wanted::new());
    let mut before = 0;
    for (first, format) in (0..count).step_by(PER_MESSAGE as usize).zip(FORMATS.iter().cycle()) {
        let numbers = first..(first + PER_MESSAGE).min(count);
        let good: Vec<Record> = numbers.map(records::good).collect();
        normalize.send(format, clean(format, &good), &mut plain);
        for payload in mixed(&mut dice, format, &good, first, &mut wanted) {
            normalize.send(format, payload, &mut hostile);
        }
        if first >= count / 4 && before == 0 {
            before = resident();
        }
    }
    let grown = resident().saturating_sub(before) << 10;
    assert_eq!((plain.good, plain.others), (count, 0));
    assert_eq!(hostile.good, count, "good records were lost");
    assert_eq!(hostile.others, wanted.remove(&None).unwrap_or(0), "what may be used is a fact");
    let wanted: BTreeMap<_, _> = wanted
        .into_iter()
        .map(|(reason, count)| (reason.unwrap_or("-").to_owned(), count))
        .collect();
    assert_eq!(hostile.refused, wanted, "refused is what must be, for its reason");
    assert!(grown < GROWTH_MAX, "memory grew by {grown} bytes");
    let rate = |out: &Out| count as f64 / out.stepping.as_secs_f64();
    println!(
        "{count} good and {count} hostile records: {} refused, memory +{} MiB, {:.0} good a second \
         mixed, {:.0} clean, {:.2} of it",
        wanted.values().sum::<u64>(),
        grown >> 20,
        rate(&hostile),
        rate(&plain),
        rate(&hostile) / rate(&plain)
    );
    println!("{wanted:?}");
}

/// Flips, cuts, repeats and splices of whole payloads in every format: no panic, no message that
/// no log could hold. `FUZZ_ROUNDS=1000000` for longer.
#[test]
fn mutated_payloads_never_panic() {
    let (mut dice, mut normalize, mut out) = (Dice::new(6), Normalize::new(), Out::default());
    let good: Vec<Record> = (0..4).map(records::good).collect();
    for _ in 0..rounds(3_000) {
        let format = dice.pick(&FORMATS);
        let payload = bad::mutated(&mut dice, clean(format, &good));
        normalize.send(format, payload, &mut out);
    }
    println!("{} facts, refused {:?}", out.good + out.others, out.refused);
}

/// The same for whatever of ours reads bytes that others may have touched: every target of the
/// fuzzer, from what it kept.
#[test]
fn mutated_inputs_break_no_target() {
    let mut dice = Dice::new(7);
    let named = |(name, target): &(&'static str, Target)| (*name, *target, corpora::of(name));
    let targets: Vec<_> = targets::ALL.iter().map(named).collect();
    for _ in 0..rounds(2_000) {
        let (name, target, inputs) = dice.pick(&targets);
        let input = dice.pick(inputs).clone();
        let tried = Tried { name, input: bad::mutated(&mut dice, input) };
        target(&tried.input);
    }
}

/// An input that is kept where it broke something.
struct Tried {
    name: &'static str,
    input: Vec<u8>,
}

impl Drop for Tried {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let path = std::env::temp_dir().join(format!("broke-{}", self.name));
            let kept = std::fs::write(&path, &self.input);
            println!("the input is in {}: {kept:?}", path.display());
        }
    }
}

fn rounds(otherwise: u64) -> u64 {
    let wanted = std::env::var("FUZZ_ROUNDS").ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}
