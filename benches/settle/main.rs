//! Movements booked per second and core, the cost of a backdated one, bytes kept per movement.
//!
//! Runs account, settle and close over letters made beforehand, on one thread, and counts that
//! thread's own time on a core, so that other work on the machine does not count:
//! `cargo bench -p recoup-operators --bench settle`. `LOANS=100000` sets the size,
//! `ONLY=short`, `backdated` or `hot` picks a part.

// A bench measures time.
#![allow(clippy::disallowed_methods)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{
    ArrayRef, Decimal128Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt32Array, UInt64Array, new_null_array,
};
use recoup_operators::{Operator, Rules, account, close, facts, settle};

const STEP: usize = 8_192;
const DAY: i64 = 86_400_000_000;
const PER_LOAN: usize = 8;

struct Letter {
    report: bool,
    loan: u32,
    id: u64,
    at: i64,
    cents: i64,
}

fn main() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let loans: usize = number("LOANS").unwrap_or(100_000);
    let only = std::env::var("ONLY").unwrap_or_default();
    let wanted = |name: &str| only.is_empty() || only == name;
    if wanted("short") {
        short_histories(loans);
    }
    if wanted("backdated") {
        backdated(200, 2_000);
    }
    if wanted("hot") {
        [1_000, 10_000, 40_000].into_iter().for_each(hot);
    }
}

/// Time this thread has spent on a core; where the kernel does not say, time that has passed.
fn worked() -> Duration {
    let said = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = said.split(' ').next().and_then(|text| text.parse().ok());
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    nanos.map_or_else(|| START.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}

/// One shard's three verbs.
struct Stage {
    account: Box<dyn Operator>,
    settle: Box<dyn Operator>,
    close: Box<dyn Operator>,
    spent: [Duration; 3],
    rows: [usize; 3],
}

impl Stage {
    fn new() -> Self {
        let rules = Rules { shards: 1, ..Rules::default() };
        Stage {
            account: (account::ACCOUNT.open)(&rules, 0),
            settle: (settle::SETTLE.open)(&rules, 0),
            close: (close::CLOSE.open)(&rules, 0),
            spent: [Duration::ZERO; 3],
            rows: [0; 3],
        }
    }

    fn step(&mut self, letters: &RecordBatch) {
        let from = worked();
        let said = self.account.step(letters);
        self.spent[0] += worked() - from;
        let attributed = attribute(&said[1]);
        let from = worked();
        let books = self.settle.step(&attributed);
        self.spent[1] += worked() - from;
        let from = worked();
        let statements = self.close.step(&books[1]);
        self.spent[2] += worked() - from;
        self.rows[0] += said[1].num_rows();
        self.rows[1] += books[0].num_rows();
        self.rows[2] += statements[0].num_rows();
    }

    fn size(&self) -> usize {
        self.account.size() + self.settle.size()
    }
}

fn short_histories(loans: usize) {
    let mut stage = Stage::new();
    for batch in reports(loans) {
        stage.step(&batch);
    }
    let reported = stage.spent[0];
    let empty = stage.size();
    stage.spent = [Duration::ZERO; 3];
    for batch in payments(loans) {
        stage.step(&batch);
    }
    let movements = loans * PER_LOAN;
    let rate = |spent: Duration| movements as f64 / spent.as_secs_f64() / 1e6;
    let [account, settle, close] = stage.spent;
    println!("{loans} loans with {PER_LOAN} payments each, steps of {STEP} letters");
    println!("reports    {:6.2} M/s", loans as f64 / reported.as_secs_f64() / 1e6);
    println!("account    {:6.2} M movements/s", rate(account));
    println!("settle     {:6.2} M movements/s, {} ledger lines", rate(settle), stage.rows[1]);
    println!("close      {:6.2} M movements/s, {} statement rows", rate(close), stage.rows[2]);
    println!("account + settle          {:6.2} M movements/s", rate(account + settle));
    println!("account + settle + close  {:6.2} M movements/s", rate(account + settle + close));
    let kept = (stage.size() - empty) as f64 / movements as f64;
    println!("kept       {kept:6.1} bytes per movement");
    println!("kept       {:6.1} bytes per loan with its report", empty as f64 / loans as f64);
}

/// A late payment into the middle of a long history, one loan after another.
fn backdated(history: usize, loans: usize) {
    let mut stage = Stage::new();
    for batch in reports(loans) {
        stage.step(&batch);
    }
    for round in 0..history {
        let letters: Vec<Letter> =
            (0..loans).map(|loan| payment(loan, round as u64, 2 + 2 * round as i64)).collect();
        stage.step(&batch(&letters));
    }
    stage.spent = [Duration::ZERO; 3];
    stage.rows = [0; 3];
    let letters: Vec<Letter> =
        (0..loans).map(|loan| payment(loan, history as u64, history as i64 + 1)).collect();
    stage.step(&batch(&letters));
    let [account, settle, _] = stage.spent;
    let micros = |spent: Duration| spent.as_secs_f64() * 1e6 / loans as f64;
    println!(
        "backdated into {history}: {:.1} µs in account, {:.1} µs in settle, {:.1} bookings each",
        micros(account),
        micros(settle),
        stage.rows[0] as f64 / loans as f64,
    );
}

/// One loan with all of the movements, in business order, and then some that are late.
fn hot(movements: usize) {
    const LATE: usize = 20;
    let mut stage = Stage::new();
    for batch in reports(1) {
        stage.step(&batch);
    }
    stage.spent = [Duration::ZERO; 3];
    let letters: Vec<Letter> =
        (0..movements).map(|turn| payment(0, turn as u64, 2 + 2 * turn as i64)).collect();
    for batch in batches(letters) {
        stage.step(&batch);
    }
    let micros = |spent: Duration, count: usize| spent.as_secs_f64() * 1e6 / count as f64;
    let [account, settle, _] = stage.spent;
    let in_order = micros(account + settle, movements);
    stage.spent = [Duration::ZERO; 3];
    let late =
        (0..LATE).map(|n| payment(0, (movements + n) as u64, movements as i64 + 1 + 2 * n as i64));
    stage.step(&batch(&late.collect::<Vec<_>>()));
    let late = micros(stage.spent[0] + stage.spent[1], LATE);
    println!("one loan with {movements}: {in_order:.2} µs each in order, {late:.0} µs each late");
}

fn payment(loan: usize, turn: u64, day: i64) -> Letter {
    let id = turn * 10_000_000 + loan as u64;
    let cents = 1_000 + (id * 7_919 % 9_000) as i64;
    Letter { report: false, loan: loan as u32, id, at: (20_000 + day) * DAY, cents }
}

fn reports(loans: usize) -> impl Iterator<Item = RecordBatch> {
    let letter = |loan: usize| Letter {
        report: true,
        loan: loan as u32,
        id: loan as u64,
        at: 20_000 * DAY + (loan as i64 % 86_400) * 1_000_000,
        cents: 302_155,
    };
    let letters: Vec<Letter> = (0..loans).map(letter).collect();
    batches(letters)
}

fn payments(loans: usize) -> impl Iterator<Item = RecordBatch> {
    let one =
        move |turn: usize| (0..loans).map(move |loan| payment(loan, turn as u64, 2 + turn as i64));
    batches((0..PER_LOAN).flat_map(one).collect())
}

fn batches(letters: Vec<Letter>) -> impl Iterator<Item = RecordBatch> {
    let made: Vec<RecordBatch> = letters.chunks(STEP).map(batch).collect();
    made.into_iter()
}

fn batch(letters: &[Letter]) -> RecordBatch {
    let rows = letters.len();
    let texts = |of: &dyn Fn(&Letter) -> Option<String>| -> ArrayRef {
        Arc::new(StringArray::from_iter(letters.iter().map(of)))
    };
    let money = |of: &dyn Fn(&Letter) -> i64| -> ArrayRef {
        let cents = letters.iter().map(|letter| i128::from(of(letter)));
        Arc::new(Decimal128Array::from_iter_values(cents).with_data_type(facts::MONEY))
    };
    let said = |letter: &Letter, text: String| letter.report.then_some(text);
    let schema = facts::letters();
    let columns: Vec<ArrayRef> = schema
        .fields()
        .iter()
        .map(|field| match field.name().as_str() {
            "shard" => Arc::new(UInt32Array::from(vec![0; rows])) as ArrayRef,
            "row" => Arc::new(UInt32Array::from_iter_values(0..rows as u32)),
            "seq" => Arc::new(UInt64Array::from(vec![letters[0].id + 1; rows])),
            "kind" => texts(&|l| Some(if l.report { "report" } else { "payment" }.to_owned())),
            "id" if letters[0].report => texts(&|letter| Some(format!("ev{:010}", letter.id))),
            "id" => texts(&|letter| Some(format!("p{:010}", letter.id))),
            "at" => {
                let at = letters.iter().map(|letter| letter.at);
                Arc::new(TimestampMicrosecondArray::from_iter_values(at).with_timezone("UTC"))
            }
            "loan_id" => texts(&|letter| Some(format!("LN{:010}", letter.loan))),
            "lender_id" => texts(&|letter| said(letter, format!("L{:03}", letter.loan % 20))),
            "borrower_id" => texts(&|letter| said(letter, format!("B{:09}", letter.loan / 2))),
            "borrower_key" => texts(&|letter| said(letter, format!("L/B{:09}", letter.loan / 2))),
            "product" => texts(&|letter| said(letter, "cash".to_owned())),
            "province" => texts(&|letter| said(letter, format!("{}", 11 + letter.loan % 31))),
            "currency" => texts(&|letter| said(letter, "CNY".to_owned())),
            "phone_masked" => texts(&|l| said(l, format!("138****{:04}", l.loan % 10_000))),
            "penalty" => money(&|_| 1_802),
            "fee" => money(&|_| 500),
            "interest" => money(&|_| 11_240),
            "principal" => money(&|letter| letter.cents),
            "amount" => money(&|letter| letter.cents),
            "days_past_due" => Arc::new(Int32Array::from(vec![47; rows])),
            "channel" => texts(&|_| Some("agency".to_owned())),
            _ => new_null_array(field.data_type(), rows),
        })
        .collect();
    match RecordBatch::try_new(schema, columns) {
        Ok(batch) => batch,
        Err(error) => panic!("letters follow their schema: {error}"),
    }
}

/// What dispatch and the join add: one of fifty agencies.
fn attribute(bookings: &RecordBatch) -> RecordBatch {
    let rows = bookings.num_rows();
    let agencies =
        Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("A{:02}", row % 50))));
    let rates = Decimal128Array::from_iter_values((0..rows).map(|row| 120_000 + row as i128 % 7));
    let mut columns = bookings.columns().to_vec();
    columns.push(agencies.clone());
    columns.push(agencies);
    columns.push(Arc::new(UInt32Array::from(vec![1; rows])));
    columns.push(Arc::new(rates.with_data_type(facts::RATE)));
    match RecordBatch::try_new(facts::attributed(), columns) {
        Ok(batch) => batch,
        Err(error) => panic!("attributed bookings follow their schema: {error}"),
    }
}
