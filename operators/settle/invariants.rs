//! What must hold of the books after every step, to be counted as a metric.
//!
//! Numbers are those of the issue: (1) the lines of an event sum to zero, (2) money in is posted
//! or in suspense, (3) no component is below zero, (4) components sum to the balance, (5) what an
//! agency's clearing account takes is what it collected less what went back and what it remitted,
//! (6) the order of arrival does not matter: what is owed is what a fold of all facts from nothing
//! says, looked at in a sample of the letters, (8) an event posts once. That a replay says what
//! was said (7) and that a closed case takes no money (9) need more than one step: the loop looks
//! at them.

use std::collections::BTreeMap;

use arrow::array::{Array, BooleanArray, Decimal128Array, StringArray, UInt32Array, UInt64Array};
use arrow::record_batch::RecordBatch;

use crate::account::letters::{column, text};
use crate::facts;
use crate::memory::hash_bytes;

/// How many rows break each invariant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Broken {
    /// (1) Events whose lines do not sum to zero in a currency.
    pub unbalanced: u64,
    /// (2) Letters whose money in is not what was booked.
    pub unposted: u64,
    /// (3) Amounts owed below zero.
    pub negative: u64,
    /// (4) Rows whose components do not sum to their balance.
    pub unsummed: u64,
    /// (5) Agencies and currencies whose clearing lines are not what statements and remittances
    /// say, and clearing lines of nobody.
    pub uncleared: u64,
    /// (6) Letters after which something else is owed than a fold from nothing says.
    pub reordered: u64,
    /// (8) Movements booked for the first time twice.
    pub repeated: u64,
    /// (9) Payments taken by a loan that its lender had closed before.
    pub after_exit: u64,
}

impl Broken {
    /// The count of each, by the name that the metric has for it.
    pub fn counts(&self) -> [(&'static str, u64); 8] {
        [
            ("entries_sum_to_zero", self.unbalanced),
            ("money_in_is_posted", self.unposted),
            ("nothing_owed_below_zero", self.negative),
            ("components_sum_to_balance", self.unsummed),
            ("clearing_is_an_agency_s", self.uncleared),
            ("any_order_owes_the_same", self.reordered),
            ("a_movement_posts_once", self.repeated),
            ("a_closed_case_takes_no_money", self.after_exit),
        ]
    }

    /// Counts those of another step too.
    pub fn add(&mut self, other: &Broken) {
        self.unbalanced += other.unbalanced;
        self.unposted += other.unposted;
        self.negative += other.negative;
        self.unsummed += other.unsummed;
        self.uncleared += other.uncleared;
        self.reordered += other.reordered;
        self.repeated += other.repeated;
        self.after_exit += other.after_exit;
    }
}

/// What account and settle said of one step.
pub struct Books {
    pub stamped: RecordBatch,
    pub refolded: RecordBatch,
    pub bookings: RecordBatch,
    pub ledger: RecordBatch,
    pub lines: RecordBatch,
}

/// Checks what account and settle said of one step.
pub fn broken(books: &Books) -> Broken {
    let mut broken = Broken::default();
    check_owed(&books.stamped, &mut broken);
    check_order(&books.stamped, &books.refolded, &mut broken);
    check_first(&books.bookings, &mut broken);
    check_sums(&books.ledger, &mut broken);
    check_posted(&books.bookings, &books.ledger, &mut broken);
    let mut held = Held::default();
    held.clear(&books.ledger);
    held.add(&books.lines, "held", -1);
    broken.uncleared += held.rest();
    broken
}

/// Checks what close said of one step: a remittance leaves the clearing account whole.
pub fn broken_by_close(remitted: &RecordBatch, ledger: &RecordBatch) -> Broken {
    let mut left = Held::default();
    left.clear(ledger);
    ["amount", "withheld"].into_iter().for_each(|part| left.add(remitted, part, 1));
    Broken { uncleared: left.rest(), ..Broken::default() }
}

/// The account of what an agency holds.
const CLEARING: &str = "agency_clearing";

/// What agencies hold, by agency and currency.
#[derive(Default)]
struct Held<'a> {
    sums: BTreeMap<(&'a str, &'a str), i128>,
    /// Lines of nobody: only an agency has a clearing account.
    nobody: u64,
}

impl<'a> Held<'a> {
    /// What the clearing accounts of a ledger take.
    fn clear(&mut self, ledger: &'a RecordBatch) {
        let accounts: &StringArray = column(ledger, "account");
        let amounts: &Decimal128Array = column(ledger, "amount");
        let (agencies, currencies) = owners(ledger);
        for row in (0..ledger.num_rows()).filter(|row| text(accounts, *row) == Some(CLEARING)) {
            let agency = text(agencies, row).unwrap_or_default();
            self.nobody += u64::from(agency.is_empty());
            let owner = (agency, text(currencies, row).unwrap_or_default());
            *self.sums.entry(owner).or_default() += amounts.value(row);
        }
    }

    fn add(&mut self, rows: &'a RecordBatch, name: &str, sign: i128) {
        let amounts: &Decimal128Array = column(rows, name);
        let (agencies, currencies) = owners(rows);
        let there = |row: &usize| amounts.is_valid(*row) && amounts.value(*row) != 0;
        for row in (0..rows.num_rows()).filter(there) {
            let named = |column| text(column, row).unwrap_or_default();
            let owner = (named(agencies), named(currencies));
            *self.sums.entry(owner).or_default() += sign * amounts.value(row);
        }
    }

    /// How many have anything left, and how many lines are nobody's.
    fn rest(&self) -> u64 {
        self.nobody + self.sums.values().filter(|rest| **rest != 0).count() as u64
    }
}

fn owners(rows: &RecordBatch) -> (&StringArray, &StringArray) {
    (column(rows, "agency_id"), column(rows, "currency"))
}

/// What is owed after a letter, and what a fold of all its loan's facts from nothing says.
fn check_order(stamped: &RecordBatch, refolded: &RecordBatch, broken: &mut Broken) {
    if refolded.num_rows() == 0 {
        return;
    }
    let parts = ["penalty", "fee", "interest", "principal"];
    let [said, folded] =
        [stamped, refolded].map(|rows| parts.map(|name| column::<Decimal128Array>(rows, name)));
    let [here, again] = [stamped, refolded].map(Places::of);
    // Both stand in the order of their letters.
    let mut row = 0;
    for one in 0..refolded.num_rows() {
        while row < stamped.num_rows() && here.at(row) != again.at(one) {
            row += 1;
        }
        let same = row < stamped.num_rows()
            && said.iter().zip(folded).all(|(said, own)| said.value(row) == own.value(one));
        broken.reordered += u64::from(!same);
        row += 1;
    }
}

fn check_owed(stamped: &RecordBatch, broken: &mut Broken) {
    let money = |name: &str| column::<Decimal128Array>(stamped, name).values();
    let parts = ["penalty", "fee", "interest", "principal"].map(money);
    let balance = money("balance");
    for row in 0..stamped.num_rows() {
        let owed = parts.map(|part| part[row]);
        broken.negative += owed.iter().filter(|cents| **cents < 0).count() as u64;
        broken.unsummed += u64::from(owed.iter().sum::<i128>() != balance[row]);
    }
}

/// No movement is booked for the first time twice, but where it was withdrawn between.
fn check_first(bookings: &RecordBatch, broken: &mut Broken) {
    let kinds: &StringArray = column(bookings, "kind");
    let ids: &StringArray = column(bookings, "movement_id");
    let loans: &StringArray = column(bookings, "loan_id");
    let corrections: &BooleanArray = column(bookings, "correction");
    let change = |row: usize| match text(kinds, row) {
        Some("withdrawn") => -1,
        Some("suspended" | "released") => 0,
        _ => i64::from(!corrections.value(row)),
    };
    let name = |row: usize| (text(loans, row), text(ids, row));
    let hash = |row: usize| {
        let (loan, id) = name(row);
        let of = |text: Option<&str>| hash_bytes(text.unwrap_or_default().as_bytes());
        of(loan).rotate_left(1) ^ of(id)
    };
    let mut seen: Vec<(u64, usize)> = (0..bookings.num_rows())
        .filter(|row| change(*row) != 0)
        .map(|row| (hash(row), row))
        .collect();
    seen.sort_unstable();
    // Most names are there once.
    for same in seen.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1) {
        let mut firsts: BTreeMap<_, i64> = BTreeMap::new();
        same.iter().for_each(|(_, row)| *firsts.entry(name(*row)).or_default() += change(*row));
        broken.repeated += firsts.values().filter(|count| **count > 1).count() as u64;
    }
}

/// The lines of each event sum to zero. They stand together.
fn check_sums(ledger: &RecordBatch, broken: &mut Broken) {
    let causes: &StringArray = column(ledger, "cause");
    let currencies: &StringArray = column(ledger, "currency");
    let amounts = column::<Decimal128Array>(ledger, "amount").values();
    let places = Places::of(ledger);
    let event = |row: usize| (places.at(row), text(causes, row), text(currencies, row));
    let mut sum = 0;
    for row in 0..ledger.num_rows() {
        sum += amounts[row];
        if row + 1 == ledger.num_rows() || event(row + 1) != event(row) {
            broken.unbalanced += u64::from(sum != 0);
            sum = 0;
        }
    }
}

/// What every letter booked in all is what its ledger lines took in by bank or agency. Both stand
/// in the order of their letters.
fn check_posted(bookings: &RecordBatch, ledger: &RecordBatch, broken: &mut Broken) {
    let money = |name: &str| column::<Decimal128Array>(bookings, name).values();
    let parts = ["penalty", "fee", "interest", "principal", "over", "before_report", "suspense"];
    let parts = parts.map(money);
    let acts: &StringArray = column(bookings, "act");
    let accounts: &StringArray = column(ledger, "account");
    let amounts = column::<Decimal128Array>(ledger, "amount").values();
    let (booked, posted) = (Places::of(bookings), Places::of(ledger));
    let (mut row, mut line) = (0, 0);
    while row < bookings.num_rows() || line < ledger.num_rows() {
        let next = [(booked, row, bookings.num_rows()), (posted, line, ledger.num_rows())];
        let next = next.into_iter().filter(|(_, at, end)| at < end);
        let Some(letter) = next.map(|(places, at, _)| places.at(at)).min() else { break };
        let mut rest = 0;
        while row < bookings.num_rows() && booked.at(row) == letter {
            // Debt that is waived, written off or charged is no money.
            if text(acts, row).is_none_or(facts::is_money) {
                rest += parts.iter().map(|part| part[row]).sum::<i128>();
            }
            row += 1;
        }
        while line < ledger.num_rows() && posted.at(line) == letter {
            if matches!(text(accounts, line), Some("bank" | CLEARING)) {
                rest -= amounts[line];
            }
            line += 1;
        }
        broken.unposted += u64::from(rest != 0);
    }
}

/// Where rows stand in the log: sequence, row, shard.
#[derive(Clone, Copy)]
struct Places<'a> {
    seqs: &'a [u64],
    rows: &'a [u32],
    shards: &'a [u32],
}

impl<'a> Places<'a> {
    fn of(rows: &'a RecordBatch) -> Self {
        Places {
            seqs: column::<UInt64Array>(rows, "seq").values(),
            rows: column::<UInt32Array>(rows, "row").values(),
            shards: column::<UInt32Array>(rows, "shard").values(),
        }
    }

    fn at(&self, row: usize) -> (u64, u32, u32) {
        (self.seqs[row], self.rows[row], self.shards[row])
    }
}
