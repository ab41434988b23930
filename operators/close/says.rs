//! What close says, column by column: statement lines, days, remittances and their entries.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Int64Builder, RecordBatch,
    StringBuilder,
};

use super::lines::{COLLECTED, COMMISSION, Line, MONEY, VAT};
use super::remittances::{Entry, Remittance};
use crate::account::says::{Place, batch, money, texts};
use crate::facts;

/// Where a row stands in the log: shard, sequence, row.
pub type At = (u32, u64, u32);

/// The answer of one step while it grows.
pub struct Says {
    pub statements: Statements,
    pub remitted: Remitted,
    pub ledger: Ledger,
    pub days: Days,
}

impl Says {
    pub fn new(rows: usize) -> Self {
        Says {
            statements: Statements::new(rows),
            remitted: Remitted::default(),
            ledger: Ledger::default(),
            days: Days::default(),
        }
    }

    pub fn finish(self) -> Vec<RecordBatch> {
        vec![
            batch(&facts::statements(), self.statements.finish()),
            batch(&facts::remitted(), self.remitted.finish()),
            batch(&facts::ledger(), self.ledger.finish()),
            batch(&facts::days(), self.days.finish()),
        ]
    }
}

/// Statement lines as they now stand.
pub struct Statements {
    place: Place,
    lender_id: StringBuilder,
    agency_id: StringBuilder,
    day: Date32Builder,
    currency: StringBuilder,
    count: Int64Builder,
    money: [Decimal128Builder; MONEY.len()],
    remittance: Decimal128Builder,
    closed: BooleanBuilder,
    corrections: Int64Builder,
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
            corrections: Int64Builder::with_capacity(rows),
        }
    }

    /// A line as it now stands, because of a row.
    pub fn push(&mut self, at: At, ([lender, agency, currency], line): ([&str; 3], &Line)) {
        self.place.push(at.0, at.1, at.2);
        self.lender_id.append_value(lender);
        self.agency_id.append_value(agency);
        self.currency.append_option(Some(currency).filter(|currency| !currency.is_empty()));
        self.day.append_value(line.day);
        self.count.append_value(line.count);
        for (column, sum) in self.money.iter_mut().zip(line.sums) {
            column.append_value(sum);
        }
        self.remittance.append_value(line.sums[COLLECTED] - line.sums[COMMISSION]);
        self.closed.append_value(line.closed);
        self.corrections.append_value(line.corrections);
    }

    fn finish(mut self) -> Vec<ArrayRef> {
        let mut columns = self.place.finish();
        let sums = self.money.map(|mut column| Arc::new(column.finish()) as ArrayRef);
        columns.push(Arc::new(self.lender_id.finish()));
        columns.push(Arc::new(self.agency_id.finish()));
        columns.push(Arc::new(self.day.finish()));
        columns.push(Arc::new(self.currency.finish()));
        columns.push(Arc::new(self.count.finish()));
        columns.extend_from_slice(&sums[..VAT]);
        columns.push(Arc::new(self.remittance.finish()));
        columns.push(Arc::new(self.closed.finish()));
        columns.push(Arc::new(self.corrections.finish()));
        columns.extend_from_slice(&sums[VAT..]);
        columns
    }
}

/// The newest day that every shard has passed, and the last one that is closed.
#[derive(Default)]
pub struct Days {
    rows: Vec<(At, i32, i32)>,
}

impl Days {
    pub fn push(&mut self, at: At, day: i32, closed_through: i32) {
        self.rows.push((at, day, closed_through));
    }

    fn finish(self) -> Vec<ArrayRef> {
        let mut place = Place::new(self.rows.len());
        let mut day = Date32Builder::new();
        let mut closed = Date32Builder::new();
        for (at, newest, through) in self.rows {
            place.push(at.0, at.1, at.2);
            day.append_value(newest);
            closed.append_value(through);
        }
        let mut columns = place.finish();
        columns.push(Arc::new(day.finish()));
        columns.push(Arc::new(closed.finish()));
        columns
    }
}

/// Remittances, each with the day it is booked on.
pub struct Remitted {
    place: Place,
    /// remittance_id, lender_id, agency_id, currency.
    texts: [StringBuilder; 4],
    received_on: Date32Builder,
    /// amount, withheld, paid.
    money: [Decimal128Builder; 3],
    booked_on: Date32Builder,
}

impl Default for Remitted {
    fn default() -> Self {
        Remitted {
            place: Place::new(0),
            texts: std::array::from_fn(|_| texts(0, 0)),
            received_on: Date32Builder::new(),
            money: std::array::from_fn(|_| money(0)),
            booked_on: Date32Builder::new(),
        }
    }
}

impl Remitted {
    pub fn push(&mut self, at: At, one: &Remittance, booked_on: i32) {
        self.place.push(at.0, at.1, at.2);
        let names = [&one.id, &one.lender, &one.agency, &one.currency];
        for (column, name) in self.texts.iter_mut().zip(names) {
            column.append_option(Some(name).filter(|name| !name.is_empty()));
        }
        self.received_on.append_value(one.received_on);
        for (column, amount) in self.money.iter_mut().zip([one.amount, one.withheld, one.paid]) {
            column.append_value(amount);
        }
        self.booked_on.append_value(booked_on);
    }

    fn finish(mut self) -> Vec<ArrayRef> {
        let mut columns = self.place.finish();
        columns.extend(self.texts.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.push(Arc::new(self.received_on.finish()));
        columns.extend(self.money.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.push(Arc::new(self.booked_on.finish()));
        columns
    }
}

/// Lines of the ledger that no loan is named in.
#[derive(Default)]
pub struct Ledger {
    rows: Vec<(At, String, Remittance, Entry, i32)>,
}

impl Ledger {
    /// One entry, whose lines sum to zero.
    pub fn post(&mut self, at: At, one: &Remittance, booked_on: i32) {
        for (number, entry) in one.entries().into_iter().enumerate() {
            let id = format!("{}:{}:{}:{number}", one.id, at.1, at.2);
            self.rows.push((at, id, one.clone(), entry, booked_on));
        }
    }

    fn finish(self) -> Vec<ArrayRef> {
        let mut place = Place::new(self.rows.len());
        // entry_id, loan_id, lender_id, agency_id, account, currency, cause, contract, rule.
        let mut columns: [StringBuilder; 9] = std::array::from_fn(|_| texts(0, 0));
        let mut amount = money(self.rows.len());
        let mut day = Date32Builder::new();
        for (at, id, one, entry, booked_on) in &self.rows {
            place.push(at.0, at.1, at.2);
            let currency = Some(one.currency.as_str()).filter(|currency| !currency.is_empty());
            let said = [
                Some(id.as_str()),
                None,
                Some(one.lender.as_str()),
                Some(one.agency.as_str()),
                Some(entry.account),
                currency,
                Some(one.id.as_str()),
                None,
                Some("remittance"),
            ];
            for (column, text) in columns.iter_mut().zip(said) {
                column.append_option(text);
            }
            amount.append_value(entry.amount);
            day.append_value(*booked_on);
        }
        let [id, loan, lender, agency, account, currency, cause, contract, rule] =
            columns.map(|mut column| Arc::new(column.finish()) as ArrayRef);
        let mut all = place.finish();
        all.extend([id, loan, lender, agency, account, Arc::new(amount.finish()), currency]);
        all.extend([Arc::new(day.finish()) as ArrayRef, cause, contract, rule]);
        all
    }
}
