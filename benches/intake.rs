//! What one record costs from its bytes to its letter, on one core.
//!
//! `cargo bench -p recoup-operators --bench intake [-- RECORDS]` prints nanoseconds a record for
//! decode, normalize and register over seeded canonical JSON: nine reports of ten, some 340 bytes
//! each, one payment; three of a hundred are repeats, one of a hundred is malformed. Time is the
//! processor's, and of each verb the best of several passes counts, for the machine is shared.

use std::fmt::Write;
use std::time::Duration;

use arrow::buffer::Buffer;
use arrow::record_batch::RecordBatch;
use recoup_operators::decode::{Format, Part, decode};
use recoup_operators::{ALL, Operator, Rules, facts};

const RECORDS: u64 = 400_000;
const PART_BYTES: usize = 1 << 20;
const PASSES: usize = 5;

fn main() {
    let records = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(RECORDS);
    let parts = generate(records);
    let bytes: usize = parts.iter().map(Buffer::len).sum();
    println!("{records} records, {} bytes each, {} parts", bytes as u64 / records, parts.len());
    let mut best = [Duration::MAX; 3];
    let mut counts = [0; 3];
    for _ in 0..PASSES {
        let (spent, said) = pass(&parts);
        best = std::array::from_fn(|verb| best[verb].min(spent[verb]));
        counts = said;
    }
    println!("{} letters, {} refused, {} bytes of memory", counts[0], counts[1], counts[2]);
    let each = best.map(|spent| spent.as_nanos() / u128::from(records));
    println!("ns/record: decode {}, normalize {}, register {}", each[0], each[1], each[2]);
    println!("ns/record: total {}", each.iter().sum::<u128>());
}

fn open(name: &str) -> Box<dyn Operator> {
    let verb = ALL.iter().find(|verb| verb.name == name);
    let Some(verb) = verb else { panic!("{name} is not in ALL") };
    (verb.open)(&Rules::default(), 0)
}

/// One pass over all parts with fresh memories: times of the three, and what came out.
fn pass(parts: &[Buffer]) -> ([Duration; 3], [usize; 3]) {
    let (mut normalize, mut register) = (open("normalize"), open("register"));
    let (mut spent, mut said) = ([Duration::ZERO; 3], [0; 3]);
    for (payload, seq) in parts.iter().zip(1..) {
        let part =
            Part { seq, shard: 0, lender: "L007", format: Format::Json, first_row: 0, payload };
        let start = spent_so_far();
        let rows = decode(&part, &facts::CANONICAL).rows;
        let decoded = spent_so_far();
        let facts = normalize.step(&rows);
        let normalized = spent_so_far();
        let letters = register.step(&facts[0]);
        spent[0] += decoded - start;
        spent[1] += normalized - decoded;
        spent[2] += spent_so_far() - normalized;
        let rows = RecordBatch::num_rows;
        said[0] += rows(&letters[0]);
        said[1] += rows(&facts[1]) + rows(&letters[1]);
    }
    said[2] = register.size();
    (spent, said)
}

/// How long this thread has been on a processor, in the words of Linux.
fn spent_so_far() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = told.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

/// Numbers that look random and are the same in every run.
struct Seed(u64);

impl Seed {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Lines in parts of at most [`PART_BYTES`].
fn generate(records: u64) -> Vec<Buffer> {
    let mut seed = Seed(0x9e37_79b9_7f4a_7c15);
    let loans = (records / 4).max(1);
    let (mut parts, mut part, mut last) = (Vec::new(), String::new(), String::new());
    for number in 0..records {
        if seed.below(100) >= 3 || last.is_empty() {
            last.clear();
            record(&mut last, &mut seed, number, loans);
        }
        if part.len() + last.len() > PART_BYTES {
            parts.push(Buffer::from(std::mem::take(&mut part).into_bytes()));
        }
        part.push_str(&last);
    }
    parts.push(Buffer::from(part.into_bytes()));
    parts
}

fn record(line: &mut String, seed: &mut Seed, number: u64, loans: u64) {
    let loan = seed.below(loans);
    let day = 1 + seed.below(28);
    let (whole, cents) = (seed.below(90_000), seed.below(100));
    let written = if seed.below(10) == 0 {
        writeln!(
            line,
            "{{\"payment_id\":\"p{number:010}\",\"loan_id\":\"LN{loan:010}\",\
             \"kind\":\"payment\",\"amount\":\"{whole}.5{}\",\
             \"paid_at\":\"2026-04-{day:02}T08:30:00Z\",\"channel\":\"bank\",\
             \"reverses\":null}}",
            cents % 10
        )
    } else {
        let interest = if seed.below(100) == 0 { "?" } else { "112.40" };
        writeln!(
            line,
            "{{\"event_id\":\"ev{number:010}\",\"event_type\":\"loan.delinquent\",\
             \"event_time\":\"2026-03-{day:02}T00:00:04Z\",\"lender_id\":\"L007\",\
             \"loan_id\":\"LN{loan:010}\",\"borrower_id\":\"B{:09}\",\"product\":\"cash\",\
             \"province\":\"{}\",\"principal\":\"{whole}.{cents:02}\",\
             \"interest\":\"{interest}\",\"penalty\":\"18.02\",\"fee\":\"5.00\",\
             \"currency\":\"CNY\",\"days_past_due\":{},\"origination_date\":\"2025-08-11\",\
             \"due_date\":\"2026-01-13\",\"phone\":\"139{:08}\",\
             \"national_id\":\"44010119900101{:04}\",\"score\":{},\"contactable\":true}}",
            loan / 2,
            11 + loan % 50,
            seed.below(400),
            loan,
            loan % 10_000,
            400 + seed.below(400)
        )
    };
    assert!(written.is_ok(), "writing to a String does not fail");
}
