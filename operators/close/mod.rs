//! Statements: lender × agency × day, summed over all shards; and what is remitted on them.
//!
//! Every change that settle says is added to its line, and the line as it now stands is said; of
//! the rows of one line the newest counts. A day closes when every shard has passed the day tick
//! `close_after_days` later. What it holds then is said once more, closed, and never changes
//! again; settle has by then turned corrections to the first open day. A line whose movements all
//! went back stays, and counts the corrections that made it zero.
//!
//! Beside what was collected a line says what the agency holds of it and what it owes: all of it,
//! or what is left after commission, as the contract of each movement has it. Remittances lower
//! that; they are booked here, because they concern no loan.

mod lines;
pub mod reconcile;
mod remittances;
mod says;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{
    Array, BooleanArray, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray, UInt32Array, UInt64Array,
};

use self::lines::{COMMISSION, DUE, HELD, INVOICED, Lines, MONEY, VAT};
use self::remittances::Remittances;
use self::says::{At, Says};
use crate::account::letters::{column, text};
use crate::account::{day_of, loaded, table};
use crate::memory::Keys;
use crate::rules::Rules;
use crate::{LoadError, Operator, Verb, facts};

/// The entry of [`crate::ALL`].
pub const CLOSE: Verb = Verb {
    name: "close",
    about: "Adds up what every shard settled into statements by lender, agency and day, closes a \
            day once every shard has passed it, and books what agencies remit.",
    takes: facts::lines,
    says: &[
        crate::Says { name: "statements", schema: facts::statements },
        crate::Says { name: "remitted", schema: facts::remitted },
        crate::Says { name: "ledger", schema: facts::ledger },
        crate::Says { name: "days", schema: facts::days },
    ],
    open: |rules, _shard| Box::new(Close::new(rules)),
};

/// Every statement line, and how far time has come.
pub struct Close {
    close_after_days: i32,
    lines: Lines,
    remittances: Remittances,
    /// The newest day tick that each shard has passed.
    passed: Vec<Option<i32>>,
    /// The newest day that was said.
    said: Option<i32>,
}

impl Close {
    pub fn new(rules: &Rules) -> Self {
        Close {
            close_after_days: rules.close_after_days,
            lines: Lines::default(),
            remittances: Remittances::default(),
            passed: vec![None; rules.shards as usize],
            said: None,
        }
    }

    /// The newest day that all shards have passed.
    fn day(&self) -> Option<i32> {
        self.passed.iter().copied().min().flatten()
    }

    /// The last closed day: all shards have passed the tick that closes it.
    fn closed_through(&self) -> Option<i32> {
        Some(self.day()?.saturating_sub(self.close_after_days))
    }

    /// The day that something of a day falls on: its own, or the first open one.
    fn open_day(&self, day: i32) -> i32 {
        self.closed_through().map_or(day, |closed| day.max(closed.saturating_add(1)))
    }

    fn add(&mut self, rows: &Rows<'_>, i: usize, says: &mut Says) {
        // Settle turns late money to an open day; a closed one must not change in any case.
        let day = self.open_day(rows.day.value(i));
        let name = |column| text(column, i).unwrap_or_default();
        let names = [name(rows.lender_id), name(rows.agency_id), name(rows.currency)];
        let row = self.lines.row(names, day);
        let line = self.lines.line(row);
        let count = if rows.count.is_valid(i) { rows.count.value(i) } else { 0 };
        line.count += count;
        line.corrections += i64::from(count != 1);
        for (sum, change) in line.sums.iter_mut().zip(rows.change(i)) {
            *sum += change;
        }
        says.statements.push(rows.at(i), self.lines.view(row));
    }

    /// Says every line of the days that are complete now, closed.
    fn close(&mut self, at: At, says: &mut Says) {
        let (Some(day), Some(closed)) = (self.day(), self.closed_through()) else { return };
        if self.said == Some(day) {
            return;
        }
        self.said = Some(day);
        for row in self.lines.close(closed) {
            says.statements.push(at, self.lines.view(row));
        }
        says.days.push(at, day, closed);
    }

    /// Books the remittances that were just heard.
    fn remit(&mut self, at: At, says: &mut Says) {
        for remittance in self.remittances.take() {
            let booked_on = self.open_day(remittance.received_on);
            says.remitted.push(at, &remittance, booked_on);
            says.ledger.post(at, &remittance, booked_on);
        }
    }

    fn pass(&mut self, rows: &RecordBatch) {
        let shards = rows.column_by_name("shard");
        let kinds = rows.column_by_name("kind");
        let instants = rows.column_by_name("at");
        let (Some(shards), Some(kinds), Some(instants)) = (
            shards.and_then(|column| column.as_any().downcast_ref::<UInt32Array>()),
            kinds.and_then(|column| column.as_any().downcast_ref::<StringArray>()),
            instants.and_then(|column| column.as_any().downcast_ref::<TimestampMicrosecondArray>()),
        ) else {
            return;
        };
        for i in 0..rows.num_rows() {
            if text(kinds, i) != Some("day") || shards.is_null(i) || instants.is_null(i) {
                continue;
            }
            if let Some(passed) = self.passed.get_mut(shards.value(i) as usize) {
                *passed = (*passed).max(Some(day_of(instants.value(i))));
            }
        }
    }

    fn wake(&mut self, tables: &[RecordBatch]) -> Result<(), String> {
        let [lines, passed, remittances, said] = tables else {
            return Err(format!("{} tables instead of 4", tables.len()));
        };
        self.lines = Lines::load(lines)?;
        let passed: &Int32Array = loaded(passed, "passed")?;
        if passed.len() != self.passed.len() {
            let (had, has) = (passed.len(), self.passed.len());
            return Err(format!("ticks of {had} shards where there are {has}"));
        }
        self.passed = passed.iter().collect();
        self.remittances.known = Keys::load(loaded::<StringArray>(remittances, "remittance_id")?);
        let said: &Int32Array = loaded(said, "day")?;
        self.said = said.iter().next().flatten();
        Ok(())
    }
}

impl Operator for Close {
    fn step(&mut self, facts: &RecordBatch) -> Vec<RecordBatch> {
        let rows = Rows::of(facts);
        let mut says = Says::new(facts.num_rows());
        for i in 0..facts.num_rows() {
            if rows.day.is_valid(i) {
                self.add(&rows, i, &mut says);
            } else {
                // A fact that everybody hears: a day may be complete by it, money may have come.
                self.close(rows.at(i), &mut says);
                self.remit(rows.at(i), &mut says);
            }
        }
        says.finish()
    }

    fn hear(&mut self, name: &str, rows: &RecordBatch) {
        match name {
            "ticked" => self.pass(rows),
            "remittances" => self.remittances.hear(rows),
            _ => {}
        }
    }

    fn save(&self) -> Vec<RecordBatch> {
        let passed = Int32Array::from(self.passed.clone());
        let said = Int32Array::from(vec![self.said]);
        vec![
            self.lines.save(),
            table(vec![("passed", Arc::new(passed))]),
            table(vec![("remittance_id", Arc::new(self.remittances.known.save()))]),
            table(vec![("day", Arc::new(said))]),
        ]
    }

    fn load(&mut self, tables: Vec<RecordBatch>) -> Result<(), LoadError> {
        self.wake(&tables).map_err(|what| LoadError { operator: "close", what })
    }

    fn size(&self) -> usize {
        self.lines.size() + self.remittances.known.size()
    }
}

/// The changes of one step, column by column.
struct Rows<'a> {
    shard: &'a UInt32Array,
    seq: &'a UInt64Array,
    row: &'a UInt32Array,
    lender_id: &'a StringArray,
    agency_id: &'a StringArray,
    day: &'a Date32Array,
    currency: &'a StringArray,
    count: &'a Int64Array,
    /// collected to commission.
    money: [&'a Decimal128Array; VAT],
    vat: &'a Decimal128Array,
    held: &'a Decimal128Array,
    gross: &'a BooleanArray,
}

impl<'a> Rows<'a> {
    fn of(batch: &'a RecordBatch) -> Self {
        Rows {
            shard: column(batch, "shard"),
            seq: column(batch, "seq"),
            row: column(batch, "row"),
            lender_id: column(batch, "lender_id"),
            agency_id: column(batch, "agency_id"),
            day: column(batch, "day"),
            currency: column(batch, "currency"),
            count: column(batch, "count"),
            money: std::array::from_fn(|part| column(batch, MONEY[part])),
            vat: column(batch, "vat"),
            held: column(batch, "held"),
            gross: column(batch, "gross"),
        }
    }

    fn at(&self, i: usize) -> At {
        (self.shard.value(i), self.seq.value(i), self.row.value(i))
    }

    /// By how much each sum of a line changes.
    fn change(&self, i: usize) -> lines::Sums {
        let cents = |column: &Decimal128Array| if column.is_valid(i) { column.value(i) } else { 0 };
        let mut sums = [0; MONEY.len()];
        for (sum, column) in sums.iter_mut().zip(self.money) {
            *sum = cents(column);
        }
        sums[VAT] = cents(self.vat);
        sums[HELD] = cents(self.held);
        let fee = sums[COMMISSION] + sums[VAT];
        if self.gross.is_valid(i) && self.gross.value(i) {
            sums[DUE] = sums[HELD];
            sums[INVOICED] = fee;
        } else {
            sums[DUE] = sums[HELD] - fee;
        }
        sums
    }
}
