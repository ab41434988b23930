//! What must hold of the books after every step, to be counted as a metric.
//!
//! Numbers are those of the issue: (1) the lines of an event sum to zero, (2) money in is posted
//! or in suspense, (3) no component is below zero, (4) components sum to the balance, (5) what an
//! agency's clearing account takes is what it collected less what went back, (8) an event posts
//! once. The others, about order, replay and closed cases, are no matter of one step: tests hold
//! them.

use std::collections::BTreeMap;

use arrow::array::{BooleanArray, Decimal128Array, StringArray, UInt32Array, UInt64Array};
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
    /// (5) Letters whose clearing lines are not what bookings by agency say.
    pub uncleared: u64,
    /// (8) Movements booked for the first time twice.
    pub repeated: u64,
}

impl Broken {
    /// The count of each, by the name that the metric has for it.
    pub fn counts(&self) -> [(&'static str, u64); 6] {
        [
            ("entries_sum_to_zero", self.unbalanced),
            ("money_in_is_posted", self.unposted),
            ("nothing_owed_below_zero", self.negative),
            ("components_sum_to_balance", self.unsummed),
            ("clearing_is_an_agency_s", self.uncleared),
            ("a_movement_posts_once", self.repeated),
        ]
    }

    /// Counts those of another step too.
    pub fn add(&mut self, other: &Broken) {
        self.unbalanced += other.unbalanced;
        self.unposted += other.unposted;
        self.negative += other.negative;
        self.unsummed += other.unsummed;
        self.uncleared += other.uncleared;
        self.repeated += other.repeated;
    }
}

/// A letter: sequence and row.
type Letter = (u64, u32);

/// Checks what account and settle said of one step.
pub fn broken(stamped: &RecordBatch, bookings: &RecordBatch, ledger: &RecordBatch) -> Broken {
    let mut broken = Broken::default();
    check_owed(stamped, &mut broken);
    let booked = check_bookings(bookings, &mut broken);
    check_ledger(ledger, booked, &mut broken);
    broken
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
            Some("agency_clearing") => {
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

fn letter(rows: &RecordBatch, row: usize) -> Letter {
    let seqs: &UInt64Array = column(rows, "seq");
    let places: &UInt32Array = column(rows, "row");
    (seqs.value(row), places.value(row))
}
