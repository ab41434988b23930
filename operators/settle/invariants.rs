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

/// A letter: sequence and row.
type Letter = (u64, u32);

/// Checks what account and settle said of one step.
pub fn broken(books: &Books) -> Broken {
    let mut broken = Broken::default();
    check_owed(&books.stamped, &mut broken);
    check_order(&books.stamped, &books.refolded, &mut broken);
    let booked = check_bookings(&books.bookings, &mut broken);
    check_ledger(&books.ledger, booked, &mut broken);
    let mut held = cleared(&books.ledger);
    add(&mut held, &books.lines, "held", -1);
    broken.uncleared += held.values().filter(|rest| **rest != 0).count() as u64;
    broken
}

/// Checks what close said of one step: a remittance leaves the clearing account whole.
pub fn broken_by_close(remitted: &RecordBatch, ledger: &RecordBatch) -> Broken {
    let mut left = cleared(ledger);
    ["amount", "withheld"].into_iter().for_each(|part| add(&mut left, remitted, part, 1));
    let uncleared = left.values().filter(|rest| **rest != 0).count() as u64;
    Broken { uncleared, ..Broken::default() }
}

/// Money by agency and currency.
type ByAgency = BTreeMap<(String, String), i128>;

/// What the clearing accounts of a ledger take.
fn cleared(ledger: &RecordBatch) -> ByAgency {
    let accounts: &StringArray = column(ledger, "account");
    let amounts: &Decimal128Array = column(ledger, "amount");
    let mut sums = ByAgency::new();
    for row in (0..ledger.num_rows()).filter(|row| text(accounts, *row) == Some(CLEARING)) {
        *sums.entry(by(ledger, row)).or_default() += amounts.value(row);
    }
    sums
}

fn add(sums: &mut ByAgency, rows: &RecordBatch, name: &str, sign: i128) {
    let amounts: &Decimal128Array = column(rows, name);
    for row in (0..rows.num_rows()).filter(|row| amounts.is_valid(*row)) {
        let amount = sign * amounts.value(row);
        if amount != 0 {
            *sums.entry(by(rows, row)).or_default() += amount;
        }
    }
}

fn by(rows: &RecordBatch, row: usize) -> (String, String) {
    let named = |name| text(column::<StringArray>(rows, name), row).unwrap_or_default().to_owned();
    (named("agency_id"), named("currency"))
}

/// The account of what an agency holds.
const CLEARING: &str = "agency_clearing";

/// What is owed after a letter, and what a fold of all its loan's facts from nothing says.
fn check_order(stamped: &RecordBatch, refolded: &RecordBatch, broken: &mut Broken) {
    if refolded.num_rows() == 0 {
        return;
    }
    let parts = ["penalty", "fee", "interest", "principal"];
    let [said, folded] =
        [stamped, refolded].map(|rows| parts.map(|name| column::<Decimal128Array>(rows, name)));
    // Both stand in the order of their letters.
    let mut row = 0;
    for again in 0..refolded.num_rows() {
        let place = place_of(refolded, again);
        while row < stamped.num_rows() && place_of(stamped, row) != place {
            row += 1;
        }
        let same = row < stamped.num_rows()
            && said.iter().zip(folded).all(|(said, own)| said.value(row) == own.value(again));
        broken.reordered += u64::from(!same);
        row += 1;
    }
}

fn check_owed(stamped: &RecordBatch, broken: &mut Broken) {
    let money = |name: &str| column::<Decimal128Array>(stamped, name);
    let parts = ["penalty", "fee", "interest", "principal"].map(money);
    let balance = money("balance");
    for row in 0..stamped.num_rows() {
        let owed = parts.map(|part| part.value(row));
        broken.negative += owed.iter().filter(|cents| **cents < 0).count() as u64;
        broken.unsummed += u64::from(owed.iter().sum::<i128>() != balance.value(row));
    }
}

/// What every letter booked in all, and how much of it went by an agency.
fn check_bookings(bookings: &RecordBatch, broken: &mut Broken) -> BTreeMap<Letter, i128> {
    let money = |name: &str| column::<Decimal128Array>(bookings, name);
    let parts = ["penalty", "fee", "interest", "principal", "over", "before_report", "suspense"];
    let parts = parts.map(money);
    let kinds: &StringArray = column(bookings, "kind");
    let ids: &StringArray = column(bookings, "movement_id");
    let loans: &StringArray = column(bookings, "loan_id");
    let acts: &StringArray = column(bookings, "act");
    let corrections: &BooleanArray = column(bookings, "correction");
    let mut booked: BTreeMap<Letter, i128> = BTreeMap::new();
    let mut firsts: BTreeMap<(Option<&str>, Option<&str>), i64> = BTreeMap::new();
    for row in 0..bookings.num_rows() {
        let total: i128 = parts.iter().map(|part| part.value(row)).sum();
        // Debt that is waived, written off or charged is no money.
        if text(acts, row).is_none_or(facts::is_money) {
            *booked.entry(letter(bookings, row)).or_default() += total;
        }
        let change = match text(kinds, row) {
            Some("withdrawn") => -1,
            Some("suspended" | "released") => 0,
            _ => i64::from(!corrections.value(row)),
        };
        *firsts.entry((text(loans, row), text(ids, row))).or_default() += change;
    }
    broken.repeated += firsts.values().filter(|count| **count > 1).count() as u64;
    booked
}

fn check_ledger(ledger: &RecordBatch, mut booked: BTreeMap<Letter, i128>, broken: &mut Broken) {
    let causes: &StringArray = column(ledger, "cause");
    let currencies: &StringArray = column(ledger, "currency");
    let accounts: &StringArray = column(ledger, "account");
    let agencies: &StringArray = column(ledger, "agency_id");
    let amounts: &Decimal128Array = column(ledger, "amount");
    let mut sums: BTreeMap<(Letter, Option<&str>, Option<&str>), i128> = BTreeMap::new();
    for row in 0..ledger.num_rows() {
        let (at, amount) = (letter(ledger, row), amounts.value(row));
        *sums.entry((at, text(causes, row), text(currencies, row))).or_default() += amount;
        match text(accounts, row) {
            Some("bank") => *booked.entry(at).or_default() -= amount,
            Some(CLEARING) => {
                *booked.entry(at).or_default() -= amount;
                // Only an agency has a clearing account.
                let nobody = text(agencies, row).unwrap_or_default().is_empty();
                broken.uncleared += u64::from(nobody);
            }
            _ => {}
        }
    }
    broken.unbalanced += sums.values().filter(|sum| **sum != 0).count() as u64;
    broken.unposted += booked.values().filter(|rest| **rest != 0).count() as u64;
}

fn place_of(rows: &RecordBatch, row: usize) -> (u32, u64, u32) {
    let shards: &UInt32Array = column(rows, "shard");
    let (seq, place) = letter(rows, row);
    (shards.value(row), seq, place)
}

fn letter(rows: &RecordBatch, row: usize) -> Letter {
    let seqs: &UInt64Array = column(rows, "seq");
    let places: &UInt32Array = column(rows, "row");
    (seqs.value(row), places.value(row))
}
