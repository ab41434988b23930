//! Good records and hostile ones, one to one, through normalize: nothing panics, no good record is
//! lost, what must be refused is, and memory does not grow.
//!
//! `./x hostile 1000000` sends a million and says how much slower than a clean run it was.
//! Mutations are thrown by seeded dice, so that a failure repeats; the fuzzer that learns is in
//! `tests/fuzz`, and what it has kept is read here ([`corpora`]).

mod bad;
mod corpora;
#[path = "../fuzz/targets/mod.rs"]
mod targets;

use std::collections::BTreeMap;
use std::time::Duration;

use datafusion::arrow::array::AsArray;
use recoup::cursor::Cursor;
use recoup::decoder::{Decoder, FORMAT};
use recoup::group::{Group, Owner, Shard};
use recoup::log::Message;
use recoup::rows::{self, Packing};
use recoup_operators::Rules;
use recoup_operators::rules::Keys;
use recoup_sql::{compile, shipped, stages};

use crate::sim::dice::Dice;

const RECORDS: u64 = 20_000;
const PER_MESSAGE: u64 = 100;
/// What memory may grow by while nothing is kept.
const GROWTH_MAX: u64 = 96 << 20;

fn good(number: u64) -> String {
    let pattern = if number.is_multiple_of(3) { PAYMENT } else { REPORT };
    pattern.replace('~', &number.to_string())
}

const PAYMENT: &str = concat!(
    r#"{"payment_id":"p~","loan_id":"GOOD~","kind":"payment","#,
    r#""amount":"1.00","paid_at":"2026-01-02T00:00:00Z"}"#,
);
const REPORT: &str = concat!(
    r#"{"event_id":"e~","event_time":"2026-01-01T00:00:00Z","lender_id":"L1","loan_id":"GOOD~","#,
    r#""borrower_id":"B1","product":"cash","province":"44","principal":"10.00","#,
    r#""interest":"0.00","penalty":"0.00","fee":"0.00","currency":"CNY","days_past_due":3}"#,
);

/// What came out.
#[derive(Default)]
struct Out {
    good: u64,
    others: u64,
    refused: BTreeMap<String, u64>,
    stepping: Duration,
}

struct Normalize {
    group: Group,
    seq: u64,
}

impl Normalize {
    fn new() -> Self {
        let shape = stages::shape("normalize").expect("there is one");
        let keys = Some(Keys { token: [1; 32], seal: [2; 64], id: 3 });
        let rules = Rules { keys, ..Rules::default() };
        let stage = compile(shape, &shipped(), &rules).expect("it compiles");
        let owner = Owner { name: "hostile".into(), nonce: 1 };
        let mut group = Group::new(stage, Decoder::default(), owner, Packing::Lz4);
        group.memories.open(&group.stage, 0);
        let (cursor, said) = (Cursor::default(), BTreeMap::new());
        group.take(0, Shard { cursor, cursor_seq: 0, read: 0, said });
        Normalize { group, seq: 0 }
    }

    fn send(&mut self, format: &str, payload: Vec<u8>, out: &mut Out) {
        self.seq += 1;
        let message = Message {
            seq: self.seq,
            subject: "intake.L1.file.0".into(),
            headers: vec![(FORMAT.into(), format.into())],
            payload: payload.into(),
            rows: None,
            at: 0,
        };
        let began = worked();
        let step = self.group.step(&[message]).expect("a step cannot fail");
        out.stepping += worked() - began;
        for said in step.commits.into_iter().flat_map(|commit| commit.said) {
            let size = recoup::log::size(&said);
            assert!(size <= 1 << 20, "a message of {size} bytes fits no log");
            let refused = said.subject.ends_with(".refused");
            for rows in rows::decode(&said.payload).expect("it is Arrow") {
                let name = if refused { "reason" } else { "loan_id" };
                for text in rows.column_by_name(name).expect(name).as_string::<i32>() {
                    let text = text.unwrap_or_default();
                    match (refused, text.starts_with("GOOD")) {
                        (true, _) => *out.refused.entry(text.into()).or_default() += 1,
                        (false, true) => out.good += 1,
                        (false, false) => out.others += 1,
                    }
                }
            }
        }
    }
}

/// Time that this thread has spent on a core, so that other work on the machine does not count.
fn worked() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = told.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

/// Kilobytes of this process that are in memory.
fn resident() -> u64 {
    let told = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = told.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or_default() * 4
}

#[test]
fn hostile_records_harm_no_good_one() {
    let wanted = std::env::var("HOSTILE_RECORDS").ok().and_then(|text| text.parse().ok());
    let count: u64 = wanted.unwrap_or(RECORDS);
    let mut dice = Dice::new(5);
    let (mut normalize, mut clean, mut mixed) = (Normalize::new(), Out::default(), Out::default());
    let (mut must, mut may, mut before) = (0, 0, 0);
    for first in (0..count).step_by(PER_MESSAGE as usize) {
        let numbers = first..(first + PER_MESSAGE).min(count);
        let lines: Vec<String> = numbers.clone().map(good).collect();
        normalize.send("json", lines.join("\n").into_bytes(), &mut clean);
        let mut payload = vec![];
        for number in numbers {
            let (line, kind) = bad::line(&mut dice, number);
            match kind {
                bad::Kind::Must => must += 1,
                bad::Kind::May => may += 1,
            }
            payload.extend_from_slice(good(number).as_bytes());
            payload.push(b'\n');
            payload.extend_from_slice(&line);
            payload.push(b'\n');
        }
        normalize.send("json", payload, &mut mixed);
        if first >= count / 4 && before == 0 {
            before = resident();
        }
    }
    let grown = resident().saturating_sub(before) << 10;
    assert_eq!(clean.good, count);
    assert_eq!(mixed.good, count, "good records were lost");
    let refused: u64 = mixed.refused.values().sum();
    assert!(refused >= must, "{refused} refused, {must} must be: {:?}", mixed.refused);
    assert_eq!(refused + mixed.others, must + may, "each record is a fact or refused, once");
    assert!(grown < GROWTH_MAX, "memory grew by {grown} bytes");
    let rate = |out: &Out| count as f64 / out.stepping.as_secs_f64();
    let (hostile, plain) = (rate(&mixed), rate(&clean));
    println!(
        "{count} good and {} hostile records: {refused} refused, memory +{} MiB, {hostile:.0} good \
         a second mixed, {plain:.0} clean, {:.2} of it",
        must + may,
        grown >> 20,
        hostile / plain
    );
    println!("{:?}", mixed.refused);
}

/// Payloads that are mutated, by format.
fn payloads() -> Vec<(&'static str, Vec<u8>)> {
    let json = format!("{}\n{}\n", good(1), good(3));
    let csv = "loan_id,payment_id,kind,amount,paid_at\nGOOD1,p1,payment,1.00,2026-01-01T00:00:00Z\n\
               \"GOOD\n2\",p2,payment,\"1,00\",x\n";
    vec![("json", json.into_bytes()), ("csv", csv.as_bytes().to_vec()), ("arrow", bad::arrow())]
}

/// Flips, cuts, repeats and splices of whole payloads in every format: no panic, no message that
/// no log could hold. `FUZZ_ROUNDS=1000000` for longer.
#[test]
fn mutated_payloads_never_panic() {
    let wanted = std::env::var("FUZZ_ROUNDS").ok().and_then(|text| text.parse().ok());
    let (mut dice, mut normalize, mut out) = (Dice::new(6), Normalize::new(), Out::default());
    let payloads = payloads();
    for _ in 0..wanted.unwrap_or(3_000_u64) {
        let (format, payload) = dice.pick(&payloads).clone();
        let payload = bad::mutated(&mut dice, payload);
        normalize.send(format, payload, &mut out);
    }
    println!("{} facts, refused {:?}", out.good + out.others, out.refused);
}

/// The same for whatever else of ours reads bytes that others may have touched.
#[test]
fn mutated_files_of_ours_never_panic() {
    let wanted = std::env::var("FUZZ_ROUNDS").ok().and_then(|text| text.parse().ok());
    let mut dice = Dice::new(7);
    let curve = b"product,bucket,recovery_rate,handling_cost\ncash,1-30,0.5000,10.00\n".to_vec();
    let cursor = Cursor { stage: "book".into(), seq: 7, ..Cursor::default() }.encode().to_vec();
    let arrow = bad::arrow();
    let sql = b"SELECT acct AS loan_id, CAST(x AS VARCHAR) AS principal FROM raw".to_vec();
    for _ in 0..wanted.unwrap_or(2_000_u64) {
        let curve = bad::mutated(&mut dice, curve.clone());
        let _ = recoup::post::parse_reference("curve", "curve.csv", &curve);
        let cursor = bad::mutated(&mut dice, cursor.clone());
        let _ = Cursor::decode(&cursor);
        let arrow = bad::mutated(&mut dice, arrow.clone());
        let _ = rows::decode(&arrow.clone().into());
        let _ = recoup::snapshot::decode("test", &arrow.into());
    }
    for _ in 0..wanted.unwrap_or(2_000_u64) / 20 {
        let text = String::from_utf8_lossy(&bad::mutated(&mut dice, sql.clone())).into_owned();
        let source = recoup_sql::Source { name: "bank.sql".into(), text };
        let _ = recoup_sql::Dialect::compile(&source);
    }
}
