//! What is owed after every fact, and what every movement of money books.
//!
//! A loan's reports and movements are kept compactly and folded in business order (`fold`).
//! What comes in order is booked from the state at the end of the history; what comes late, is
//! reversed or replaced, folds the history again and says by how much each booking changes.
//! Final bookings depend on the set of facts only, not on their order of arrival.
//!
//! Every letter about a known loan is stamped with what is owed after it. What concerns no single
//! loan (a curve, a market, a day) touches the loans that it reprices. Where the newest report has
//! a schedule, days past due are those of its instalments, and a row says how late each is. Money
//! is never priced, placed or attributed here.

mod acts;
mod bookings;
mod changes;
mod check;
mod debt;
pub(crate) mod fold;
pub(crate) mod history;
mod instalments;
pub(crate) mod letters;
mod loans;
mod movements;
mod plan;
mod refold;
pub(crate) mod says;
mod terms;
mod touch;
mod waterfalls;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use arrow::array::{Array, Int32Array, Int64Array, StringArray, UInt32Array};
use arrow::record_batch::RecordBatch;

use self::acts::Act;
use self::instalments::Late;
use self::letters::{Letters, text};
use self::loans::{Loan, NO_TEXT};
use self::says::{Says, Schemas, View};
use crate::memory::Keys;
use crate::rules::{LoanKey, Rules};
use crate::{LoadError, Operator, Verb, facts};

pub(crate) use self::loans::{day_of, loaded, table};

/// The entry of [`crate::ALL`].
pub const ACCOUNT: Verb = Verb {
    name: "account",
    about: "Says what is owed after every fact and what every movement books, by folding each \
            loan's reports and movements in business order.",
    takes: facts::letters,
    says: &[
        crate::Says { name: "stamped", schema: facts::stamped },
        crate::Says { name: "bookings", schema: facts::bookings },
        crate::Says { name: "refused", schema: facts::refused },
        crate::Says { name: "instalments", schema: facts::instalments },
        crate::Says { name: "refolded", schema: facts::refolded },
    ],
    open: |rules, _shard| Box::new(Account::new(rules)),
};

/// Only so many bytes of history are folded from nothing now and then, some two hundred movements:
/// nobody shall wait for a loan that has more.
const SHORT: usize = 8 << 10;

/// One shard's loans.
pub struct Account {
    loan_key: LoanKey,
    keys: Keys,
    loans: Vec<Loan>,
    /// Texts that loans share: lenders, products, provinces, borrowers.
    shared: Keys,
    /// Bytes of all histories.
    history_bytes: usize,
    /// How many movements this shard has numbered.
    numbered: u32,
    /// The newest day tick.
    day: Option<i32>,
    /// Whether the days past due of any loan may be others.
    days_moved: bool,
    terms: terms::Terms,
    touch: touch::Touch,
    schedules: instalments::Schedules,
    schemas: Schemas,
    scratch: movements::Scratch,
    key: String,
}

impl Account {
    pub fn new(rules: &Rules) -> Self {
        Account {
            loan_key: rules.loan_key,
            keys: Keys::default(),
            loans: Vec::new(),
            shared: Keys::default(),
            history_bytes: 0,
            numbered: 0,
            day: None,
            days_moved: false,
            terms: terms::Terms::default(),
            touch: touch::Touch::default(),
            schedules: instalments::Schedules::default(),
            schemas: Schemas::default(),
            scratch: movements::Scratch::default(),
            key: String::new(),
        }
    }

    /// Writes the key of a letter's loan; `false` where the letter names none.
    fn name_loan(&mut self, letters: &Letters<'_>, i: usize) -> bool {
        let Some(loan_id) = text(letters.loan_id, i) else { return false };
        self.key.clear();
        if self.loan_key == LoanKey::LenderLoan {
            self.key.push_str(text(letters.lender_id, i).unwrap_or_default());
            self.key.push('\u{1f}');
        }
        self.key.push_str(loan_id);
        true
    }

    /// The row of a letter's loan, new or known.
    fn loan(&mut self) -> u32 {
        let (row, new) = self.keys.row(&self.key);
        if new {
            self.loans.push(Loan::default());
        }
        row
    }

    /// Stamps a letter with its loan as it is now, if anybody ever reported it.
    fn stamp(&mut self, letters: &Letters<'_>, i: usize, row: u32, kind: &str, says: &mut Says) {
        let Some(view) = self.view(row) else { return };
        says.stamped.loan(letters, i, kind, &view);
        says.instalments.push(letters, i, 0, &view);
        if refold::sampled(letters, i) && self.loans[row as usize].history.bytes.len() < SHORT {
            self.refold(letters, i, row, says);
        }
    }

    /// A loan as it is now, if anybody ever reported it.
    fn view(&self, row: u32) -> Option<View<'_>> {
        let loan = &self.loans[row as usize];
        if !loan.reported() {
            return None;
        }
        let mut view = loan.view(self.loan_id(row), &self.shared, self.day, &self.terms);
        if let Some(late) = self.late(row) {
            view.days_past_due = late.found.past_due_days;
            view.delinquent_days = late.found.delinquent_days;
            view.late = Some(late);
        }
        Some(view)
    }

    /// How late a loan is by instalment, if its newest report has a schedule.
    fn late(&self, row: u32) -> Option<Late<'_>> {
        let loan = &self.loans[row as usize];
        let items = if loan.scheduled { self.schedules.of(row)? } else { return None };
        let (named, day) = (loan.named(self.loan_id(row), &self.shared), loan.today(self.day));
        Some(Late { day, items, found: self.terms.lateness(named, items, day) })
    }

    fn delinquent_days(&self, row: u32) -> i32 {
        let loan = &self.loans[row as usize];
        let by_report =
            || loan.delinquent_days(self.loan_id(row), &self.shared, self.day, &self.terms);
        self.late(row).map_or_else(by_report, |late| late.found.delinquent_days)
    }

    fn loan_id(&self, row: u32) -> &str {
        let key = self.keys.key(row);
        match self.loan_key {
            LoanKey::Loan => key,
            LoanKey::LenderLoan => key.split_once('\u{1f}').map_or(key, |(_, id)| id),
        }
    }

    /// A fact that every shard hears: its own row, then the loans that it reprices.
    fn broadcast(&mut self, letters: &Letters<'_>, i: usize, says: &mut Says) {
        says.stamped.broadcast(letters, i);
        let touched = if std::mem::take(&mut self.days_moved) {
            (0..self.loans.len() as u32).collect()
        } else {
            let mut touch = std::mem::take(&mut self.touch);
            let bucket = |row: u32| facts::bucket(self.delinquent_days(row)) as u32;
            let touched = touch.take(&self.loans, &self.shared, &bucket);
            self.touch = touch;
            touched
        };
        let views = touched.into_iter().filter_map(|row| self.view(row));
        for (number, view) in (1..).zip(views) {
            says.stamped.touched(letters, i, number, &view);
            says.instalments.push(letters, i, number, &view);
        }
    }

    fn pass(&mut self, rows: &RecordBatch) {
        let Some(day) = newest_day(rows) else { return };
        // A day that has passed does not come back.
        if self.day.is_none_or(|known| known < day) {
            self.day = Some(day);
            self.days_moved = true;
        }
    }
}

/// The newest day among ticks; rounds of dispatch are none.
pub(crate) fn newest_day(rows: &RecordBatch) -> Option<i32> {
    let numbers: &Int64Array = rows.column_by_name("number")?.as_any().downcast_ref()?;
    let kinds: &StringArray = rows.column_by_name("kind")?.as_any().downcast_ref()?;
    let days = (0..numbers.len())
        .filter(|i| numbers.is_valid(*i) && text(kinds, *i) == Some("day"))
        .map(|i| numbers.value(i));
    days.max().and_then(|day| i32::try_from(day).ok())
}

impl Operator for Account {
    fn step(&mut self, facts: &RecordBatch) -> Vec<RecordBatch> {
        let letters = Letters::of(facts);
        let mut says = Says::new(letters.len());
        for i in 0..letters.len() {
            let kind = text(letters.kind, i).unwrap_or_default();
            if let Some(act) = Act::of(kind, text(letters.reason, i)) {
                self.movement(&letters, i, act, &mut says);
                continue;
            }
            match kind {
                "report" => self.report(&letters, i, &mut says),
                "suspended" => self.suspense(&letters, i, 1, &mut says),
                "released" => self.suspense(&letters, i, -1, &mut says),
                _ if letters.loan_id.is_null(i) => self.broadcast(&letters, i, &mut says),
                other => {
                    // A fact that informs about one loan and moves nothing.
                    if self.name_loan(&letters, i)
                        && let Some(row) = self.keys.find(&self.key)
                    {
                        self.stamp(&letters, i, row, other, &mut says);
                    }
                }
            }
        }
        says.finish(&self.schemas)
    }

    fn hear(&mut self, name: &str, rows: &RecordBatch) {
        self.touch.hear(name, rows);
        self.days_moved = self.terms.hear(name, rows);
        if matches!(name, "ticks" | "day") {
            self.pass(rows);
        }
    }

    fn save(&self) -> Vec<RecordBatch> {
        let mut tables = vec![
            loans::save(&self.keys, &self.loans),
            table(vec![("text", Arc::new(self.shared.save()))]),
            self.touch.save(),
            table(vec![
                ("numbered", Arc::new(UInt32Array::from(vec![self.numbered]))),
                ("day", Arc::new(Int32Array::from(vec![self.day]))),
            ]),
        ];
        tables.extend(self.terms.save());
        tables
    }

    fn load(&mut self, tables: Vec<RecordBatch>) -> Result<(), LoadError> {
        self.wake(&tables).map_err(|what| LoadError { operator: "account", what })
    }

    fn size(&self) -> usize {
        let loans = self.loans.capacity() * size_of::<Loan>();
        let schedules = self.schedules.size();
        self.keys.size() + self.shared.size() + loans + self.history_bytes + schedules
    }
}

impl Account {
    fn wake(&mut self, tables: &[RecordBatch]) -> Result<(), String> {
        let [loans, texts, rates, counts, terms @ ..] = tables else {
            return Err(format!("{} tables instead of 8", tables.len()));
        };
        if terms.len() != 4 {
            return Err(format!("{} tables instead of 8", tables.len()));
        }
        self.terms = terms::Terms::load(terms);
        (self.keys, self.loans) = loans::load(loans)?;
        self.shared = Keys::load(loaded::<StringArray>(texts, "text")?);
        self.touch.load(rates)?;
        let numbered: &UInt32Array = loaded(counts, "numbered")?;
        let day: &Int32Array = loaded(counts, "day")?;
        if counts.num_rows() != 1 {
            return Err(format!("{} rows of counts instead of 1", counts.num_rows()));
        }
        self.numbered = numbered.value(0);
        self.history_bytes = self.loans.iter().map(Loan::history_bytes).sum();
        self.day = day.is_valid(0).then(|| day.value(0));
        let known = self.shared.len() as u32;
        let missing = |row: u32| row != NO_TEXT && row >= known;
        if self.loans.iter().any(|loan| loan.texts().into_iter().any(missing)) {
            return Err("a loan names a text that is not there".to_owned());
        }
        for row in (0..self.loans.len()).filter(|row| self.loans[*row].scheduled) {
            self.scratch.unfold(&self.loans[row], &self.shared);
            self.schedules.keep(row as u32, &self.scratch.before.items);
        }
        Ok(())
    }
}
