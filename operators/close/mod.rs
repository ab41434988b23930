//! Statements: lender × agency × day, summed over all shards.
//!
//! Every change that settle says is added to its line, and the line as it now stands is said; of
//! the rows of one line the newest counts. A day closes when every shard has passed the day tick
//! `close_after_days` later. What it holds then is said once more, closed, and never changes
//! again; settle has by then turned corrections to the first open day.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, BooleanBuilder, Date32Array, Date32Builder, Decimal128Array,
    Decimal128Builder, Int32Array, Int64Array, Int64Builder, StringArray, StringBuilder,
    TimestampMicrosecondArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use crate::account::letters::{column, text};
use crate::account::says::{Place, batch, money, texts};
use crate::account::{day_of, loaded, table};
use crate::memory::Keys;
use crate::rules::Rules;
use crate::{LoadError, Operator, Verb, facts};

/// The entry of [`crate::ALL`].
pub const CLOSE: Verb = Verb {
    name: "close",
    about: "Adds up what every shard settled into statements by lender, agency and day, and \
            closes a day once every shard has passed it.",
    takes: facts::lines,
    says: &[crate::Says { name: "statements", schema: facts::statements }],
    open: |rules, _shard| Box::new(Close::new(rules)),
};

/// collected, penalty, fee, interest, principal, over, commission.
type Sums = [i128; 7];
const MONEY: [&str; 7] =
    ["collected", "penalty", "fee", "interest", "principal", "over", "commission"];
const COLLECTED: usize = 0;
const COMMISSION: usize = 6;
/// Parts of a line's key: lender, agency and currency hold no such character.
const SEPARATOR: char = '\u{1f}';

/// A statement line.
#[derive(Clone, Copy, Default)]
struct Line {
    day: i32,
    count: i64,
    sums: Sums,
    closed: bool,
}

/// Every statement line there is.
pub struct Close {
    close_after_days: i32,
    keys: Keys,
    lines: Vec<Line>,
    /// Rows of the lines that are still open.
    open: Vec<u32>,
    /// The newest day tick that each shard has passed.
    passed: Vec<Option<i32>>,
    schema: SchemaRef,
    key: String,
}

impl Close {
    pub fn new(rules: &Rules) -> Self {
        Close {
            close_after_days: rules.close_after_days,
            keys: Keys::default(),
            lines: Vec::new(),
            open: Vec::new(),
            passed: vec![None; rules.shards as usize],
            schema: facts::statements(),
            key: String::new(),
        }
    }

    /// The last closed day: all shards have passed the tick that closes it.
    fn closed_through(&self) -> Option<i32> {
        let slowest = self.passed.iter().copied().min().flatten()?;
        Some(slowest.saturating_sub(self.close_after_days))
    }

    fn add(&mut self, rows: &Rows<'_>, i: usize, says: &mut Statements) {
        let mut day = rows.day.value(i);
        if let Some(closed) = self.closed_through() {
            // Settle turns late money to an open day; a closed one must not change in any case.
            day = day.max(closed.saturating_add(1));
        }
        let name = |column| text(column, i).unwrap_or_default();
        self.key.clear();
        self.key.push_str(name(rows.lender_id));
        self.key.push(SEPARATOR);
        self.key.push_str(name(rows.agency_id));
        self.key.push(SEPARATOR);
        self.key.push_str(name(rows.currency));
        self.key.push(SEPARATOR);
        day.to_be_bytes().iter().for_each(|byte| self.key.push(char::from(*byte)));
        let (row, new) = self.keys.row(&self.key);
        if new {
            self.lines.push(Line { day, ..Line::default() });
            self.open.push(row);
        }
        let line = &mut self.lines[row as usize];
        line.count += if rows.count.is_valid(i) { rows.count.value(i) } else { 0 };
        for (sum, column) in line.sums.iter_mut().zip(rows.money) {
            *sum += if column.is_valid(i) { column.value(i) } else { 0 };
        }
        says.push(rows, i, self.keys.key(row), line);
    }

    /// Says every line of the days that are complete now, closed.
    fn close(&mut self, rows: &Rows<'_>, i: usize, says: &mut Statements) {
        let Some(closed) = self.closed_through() else { return };
        let (keys, lines) = (&self.keys, &mut self.lines);
        self.open.retain(|row| {
            let line = &mut lines[*row as usize];
            if line.day > closed {
                return true;
            }
            line.closed = true;
            says.push(rows, i, keys.key(*row), line);
            false
        });
    }
}

impl Operator for Close {
    fn step(&mut self, facts: &RecordBatch) -> Vec<RecordBatch> {
        let rows = Rows::of(facts);
        let mut says = Statements::new(facts.num_rows());
        for i in 0..facts.num_rows() {
            if rows.day.is_valid(i) {
                self.add(&rows, i, &mut says);
            } else if text(rows.kind, i) == Some("ticked") {
                self.close(&rows, i, &mut says);
            }
        }
        vec![batch(&self.schema, says.finish())]
    }

    fn hear(&mut self, name: &str, rows: &RecordBatch) {
        if name != "ticked" {
            return;
        }
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

    fn save(&self) -> Vec<RecordBatch> {
        let lines = &self.lines;
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("line", Arc::new(self.keys.save())),
            ("day", Arc::new(Date32Array::from_iter_values(lines.iter().map(|line| line.day)))),
            ("count", Arc::new(Int64Array::from_iter_values(lines.iter().map(|line| line.count)))),
            (
                "closed",
                Arc::new(BooleanArray::from_iter(lines.iter().map(|line| Some(line.closed)))),
            ),
        ];
        for (part, name) in MONEY.into_iter().enumerate() {
            let sums = lines.iter().map(|line| line.sums[part]);
            let sums = Decimal128Array::from_iter_values(sums).with_data_type(facts::MONEY);
            columns.push((name, Arc::new(sums)));
        }
        let passed = Int32Array::from(self.passed.clone());
        vec![table(columns), table(vec![("passed", Arc::new(passed))])]
    }

    fn load(&mut self, tables: Vec<RecordBatch>) -> Result<(), LoadError> {
        self.wake(&tables).map_err(|what| LoadError { operator: "close", what })
    }

    fn size(&self) -> usize {
        self.keys.size() + size_of::<Line>() * self.lines.capacity() + 4 * self.open.capacity()
    }
}

impl Close {
    fn wake(&mut self, tables: &[RecordBatch]) -> Result<(), String> {
        let [lines, passed] = tables else {
            return Err(format!("{} tables instead of 2", tables.len()));
        };
        self.keys = Keys::load(loaded::<StringArray>(lines, "line")?);
        if self.keys.len() != lines.num_rows() {
            return Err("two rows have the same line".to_owned());
        }
        let day: &Date32Array = loaded(lines, "day")?;
        let count: &Int64Array = loaded(lines, "count")?;
        let closed: &BooleanArray = loaded(lines, "closed")?;
        let mut sums = Vec::with_capacity(MONEY.len());
        for name in MONEY {
            sums.push(loaded::<Decimal128Array>(lines, name)?);
        }
        self.lines = (0..lines.num_rows())
            .map(|i| Line {
                day: day.value(i),
                count: count.value(i),
                sums: std::array::from_fn(|part| sums[part].value(i)),
                closed: closed.value(i),
            })
            .collect();
        self.open =
            (0..self.lines.len() as u32).filter(|row| !self.lines[*row as usize].closed).collect();
        let passed: &Int32Array = loaded(passed, "passed")?;
        if passed.len() != self.passed.len() {
            let (had, has) = (passed.len(), self.passed.len());
            return Err(format!("ticks of {had} shards where there are {has}"));
        }
        self.passed = passed.iter().collect();
        Ok(())
    }
}

/// The changes of one step, column by column.
struct Rows<'a> {
    shard: &'a UInt32Array,
    seq: &'a UInt64Array,
    row: &'a UInt32Array,
    kind: &'a StringArray,
    lender_id: &'a StringArray,
    agency_id: &'a StringArray,
    day: &'a Date32Array,
    currency: &'a StringArray,
    count: &'a Int64Array,
    money: [&'a Decimal128Array; 7],
}

impl<'a> Rows<'a> {
    fn of(batch: &'a RecordBatch) -> Self {
        Rows {
            shard: column(batch, "shard"),
            seq: column(batch, "seq"),
            row: column(batch, "row"),
            kind: column(batch, "kind"),
            lender_id: column(batch, "lender_id"),
            agency_id: column(batch, "agency_id"),
            day: column(batch, "day"),
            currency: column(batch, "currency"),
            count: column(batch, "count"),
            money: MONEY.map(|name| column(batch, name)),
        }
    }
}

/// The answer of one step while it grows.
struct Statements {
    place: Place,
    lender_id: StringBuilder,
    agency_id: StringBuilder,
    day: Date32Builder,
    currency: StringBuilder,
    count: Int64Builder,
    money: [Decimal128Builder; 7],
    remittance: Decimal128Builder,
    closed: BooleanBuilder,
}

impl Statements {
    fn new(rows: usize) -> Self {
        Statements {
            place: Place::new(rows),
            lender_id: texts(rows, 8),
            agency_id: texts(rows, 8),
            day: Date32Builder::with_capacity(rows),
            currency: texts(rows, 3),
            count: Int64Builder::with_capacity(rows),
            money: std::array::from_fn(|_| money(rows)),
            remittance: money(rows),
            closed: BooleanBuilder::with_capacity(rows),
        }
    }

    /// A line as it now stands, because of a row.
    fn push(&mut self, rows: &Rows<'_>, i: usize, key: &str, line: &Line) {
        self.place.push(rows.shard.value(i), rows.seq.value(i), rows.row.value(i));
        let mut names = key.split(SEPARATOR);
        self.lender_id.append_value(names.next().unwrap_or_default());
        self.agency_id.append_value(names.next().unwrap_or_default());
        let currency = names.next().filter(|currency| !currency.is_empty());
        self.currency.append_option(currency);
        self.day.append_value(line.day);
        self.count.append_value(line.count);
        for (column, sum) in self.money.iter_mut().zip(line.sums) {
            column.append_value(sum);
        }
        self.remittance.append_value(line.sums[COLLECTED] - line.sums[COMMISSION]);
        self.closed.append_value(line.closed);
    }

    fn finish(mut self) -> Vec<ArrayRef> {
        let mut columns = self.place.finish();
        columns.push(Arc::new(self.lender_id.finish()));
        columns.push(Arc::new(self.agency_id.finish()));
        columns.push(Arc::new(self.day.finish()));
        columns.push(Arc::new(self.currency.finish()));
        columns.push(Arc::new(self.count.finish()));
        columns.extend(self.money.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.push(Arc::new(self.remittance.finish()));
        columns.push(Arc::new(self.closed.finish()));
        columns
    }
}
