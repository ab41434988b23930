//! What account says, column by column: stamped letters, bookings, refusals.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Int32Builder,
    StringBuilder, TimestampMicrosecondBuilder, UInt32Builder, UInt64Builder,
};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::bookings::Bookings;
use super::letters::{Letters, text};
use crate::facts::{self, MONEY};

/// The schemas of the three relations, made once.
pub struct Schemas {
    stamped: SchemaRef,
    bookings: SchemaRef,
    refused: SchemaRef,
}

impl Default for Schemas {
    fn default() -> Self {
        Schemas {
            stamped: facts::stamped(),
            bookings: facts::bookings(),
            refused: facts::refused(),
        }
    }
}

/// The answer of one step while it grows.
pub struct Says {
    pub stamped: Stamped,
    pub bookings: Bookings,
    pub refused: Refused,
}

impl Says {
    pub fn new(rows: usize) -> Self {
        Says {
            stamped: Stamped::new(rows),
            bookings: Bookings::new(rows),
            refused: Refused::default(),
        }
    }

    pub fn finish(self, schemas: &Schemas) -> Vec<RecordBatch> {
        vec![
            batch(&schemas.stamped, self.stamped.finish()),
            batch(&schemas.bookings, self.bookings.finish()),
            batch(&schemas.refused, self.refused.finish()),
        ]
    }
}

/// Columns under their schema.
pub fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>) -> RecordBatch {
    match RecordBatch::try_new(schema.clone(), columns) {
        Ok(batch) => batch,
        Err(error) => panic!("what an operator says must fit its schema: {error}"),
    }
}

/// A money column with room for a number of rows.
pub fn money(rows: usize) -> Decimal128Builder {
    Decimal128Builder::with_capacity(rows).with_data_type(MONEY)
}

/// A text column with room for a number of rows.
pub fn texts(rows: usize, bytes: usize) -> StringBuilder {
    StringBuilder::with_capacity(rows, rows * bytes)
}

pub fn instants(rows: usize) -> TimestampMicrosecondBuilder {
    TimestampMicrosecondBuilder::with_capacity(rows).with_data_type(facts::instant())
}

/// Where a fact stands in the log.
pub struct Place {
    shard: UInt32Builder,
    seq: UInt64Builder,
    row: UInt32Builder,
}

impl Place {
    pub fn new(rows: usize) -> Self {
        Place {
            shard: UInt32Builder::with_capacity(rows),
            seq: UInt64Builder::with_capacity(rows),
            row: UInt32Builder::with_capacity(rows),
        }
    }

    pub fn push(&mut self, shard: u32, seq: u64, row: u32) {
        self.shard.append_value(shard);
        self.seq.append_value(seq);
        self.row.append_value(row);
    }

    pub fn letter(&mut self, letters: &Letters<'_>, i: usize) {
        self.push(letters.shard.value(i), letters.seq.value(i), letters.row.value(i));
    }

    pub fn finish(&mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.shard.finish()),
            Arc::new(self.seq.finish()),
            Arc::new(self.row.finish()),
        ]
    }
}

/// A loan as a stamped row shows it; texts are resolved, what is null is `None`.
pub struct View<'a> {
    pub loan_id: &'a str,
    pub borrower_key: Option<&'a str>,
    pub lender_id: Option<&'a str>,
    pub borrower_id: Option<&'a str>,
    pub product: Option<&'a str>,
    pub province: Option<&'a str>,
    pub currency: Option<&'a str>,
    pub phone_masked: Option<&'a str>,
    pub event_id: &'a str,
    pub event_time: i64,
    /// Penalty, fee, interest, principal still owed.
    pub owed: [i64; 4],
    pub days_past_due: i32,
    pub delinquent_days: i32,
    pub origination_date: Option<i32>,
    pub due_date: Option<i32>,
    pub score: Option<i32>,
    pub contactable: Option<bool>,
}

pub struct Stamped {
    place: Place,
    kind: StringBuilder,
    cause: StringBuilder,
    at: TimestampMicrosecondBuilder,
    /// borrower_key, loan_id, lender_id, borrower_id, product, province, currency.
    texts: [StringBuilder; 7],
    /// principal, interest, penalty, fee, balance.
    money: [Decimal128Builder; 5],
    days_past_due: Int32Builder,
    bucket: StringBuilder,
    origination_date: Date32Builder,
    due_date: Date32Builder,
    phone_masked: StringBuilder,
    score: Int32Builder,
    contactable: BooleanBuilder,
    event_id: StringBuilder,
    event_time: TimestampMicrosecondBuilder,
    delinquent_days: Int32Builder,
}

impl Stamped {
    fn new(rows: usize) -> Self {
        Stamped {
            place: Place::new(rows),
            kind: texts(rows, 8),
            cause: texts(rows, 12),
            at: instants(rows),
            texts: std::array::from_fn(|_| texts(rows, 12)),
            money: std::array::from_fn(|_| money(rows)),
            days_past_due: Int32Builder::with_capacity(rows),
            bucket: texts(rows, 6),
            origination_date: Date32Builder::with_capacity(rows),
            due_date: Date32Builder::with_capacity(rows),
            phone_masked: texts(rows, 12),
            score: Int32Builder::with_capacity(rows),
            contactable: BooleanBuilder::with_capacity(rows),
            event_id: texts(rows, 12),
            event_time: instants(rows),
            delinquent_days: Int32Builder::with_capacity(rows),
        }
    }

    fn head(&mut self, letters: &Letters<'_>, i: usize) {
        self.place.letter(letters, i);
        self.at.append_option(letters.at(i));
    }

    /// A loan that a letter touched, counted from 1. A fact that every shard hears is alone in
    /// its message, so the rows after its own are free, and no two rows have one place.
    pub fn touched(&mut self, letters: &Letters<'_>, i: usize, number: u32, loan: &View<'_>) {
        let row = letters.row.value(i).saturating_add(number);
        self.place.push(letters.shard.value(i), letters.seq.value(i), row);
        self.at.append_option(letters.at(i));
        self.body(letters, i, "touched", loan);
    }

    /// The row of a fact that every shard hears.
    pub fn broadcast(&mut self, letters: &Letters<'_>, i: usize) {
        self.head(letters, i);
        self.kind.append_option(text(letters.kind, i));
        self.cause.append_option(text(letters.id, i).or(text(letters.kind, i)));
        self.texts.iter_mut().for_each(StringBuilder::append_null);
        self.money.iter_mut().for_each(Decimal128Builder::append_null);
        self.days_past_due.append_null();
        self.bucket.append_null();
        self.origination_date.append_null();
        self.due_date.append_null();
        self.phone_masked.append_null();
        self.score.append_null();
        self.contactable.append_null();
        self.event_id.append_null();
        self.event_time.append_null();
        self.delinquent_days.append_null();
    }

    /// A loan after a letter.
    pub fn loan(&mut self, letters: &Letters<'_>, i: usize, kind: &str, loan: &View<'_>) {
        self.head(letters, i);
        self.body(letters, i, kind, loan);
    }

    fn body(&mut self, letters: &Letters<'_>, i: usize, kind: &str, loan: &View<'_>) {
        self.kind.append_value(kind);
        self.cause.append_option(text(letters.id, i).or(text(letters.kind, i)));
        let texts = [
            loan.borrower_key,
            Some(loan.loan_id),
            loan.lender_id,
            loan.borrower_id,
            loan.product,
            loan.province,
            loan.currency,
        ];
        for (column, value) in self.texts.iter_mut().zip(texts) {
            column.append_option(value);
        }
        let [penalty, fee, interest, principal] = loan.owed.map(i128::from);
        let balance = penalty + fee + interest + principal;
        let money = [principal, interest, penalty, fee, balance];
        for (column, value) in self.money.iter_mut().zip(money) {
            column.append_value(value);
        }
        self.days_past_due.append_value(loan.days_past_due);
        self.bucket.append_value(facts::BUCKETS[facts::bucket(loan.delinquent_days)]);
        self.origination_date.append_option(loan.origination_date);
        self.due_date.append_option(loan.due_date);
        self.phone_masked.append_option(loan.phone_masked);
        self.score.append_option(loan.score);
        self.contactable.append_option(loan.contactable);
        self.event_id.append_value(loan.event_id);
        self.event_time.append_value(loan.event_time);
        self.delinquent_days.append_value(loan.delinquent_days);
    }

    fn finish(mut self) -> Vec<ArrayRef> {
        let mut columns = self.place.finish();
        columns.push(Arc::new(self.kind.finish()));
        columns.push(Arc::new(self.cause.finish()));
        columns.push(Arc::new(self.at.finish()));
        columns.extend(self.texts.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.extend(self.money.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.push(Arc::new(self.days_past_due.finish()));
        columns.push(Arc::new(self.bucket.finish()));
        columns.push(Arc::new(self.origination_date.finish()));
        columns.push(Arc::new(self.due_date.finish()));
        columns.push(Arc::new(self.phone_masked.finish()));
        columns.push(Arc::new(self.score.finish()));
        columns.push(Arc::new(self.contactable.finish()));
        columns.push(Arc::new(self.event_id.finish()));
        columns.push(Arc::new(self.event_time.finish()));
        columns.push(Arc::new(self.delinquent_days.finish()));
        columns
    }
}

/// What could not be used, with the reason.
#[derive(Default)]
pub struct Refused {
    place: Option<Place>,
    lender_id: StringBuilder,
    reason: StringBuilder,
    source: StringBuilder,
    raw: BinaryBuilder,
}

impl Refused {
    pub fn push(&mut self, place: (u32, u64, u32), lender: Option<&str>, why: &str, source: &str) {
        let (shard, seq, row) = place;
        self.place.get_or_insert_with(|| Place::new(1)).push(shard, seq, row);
        self.lender_id.append_option(lender);
        self.reason.append_value(why);
        self.source.append_value(source);
        self.raw.append_null();
    }

    pub fn finish(mut self) -> Vec<ArrayRef> {
        let mut columns = self.place.unwrap_or_else(|| Place::new(0)).finish();
        columns.push(Arc::new(self.lender_id.finish()));
        columns.push(Arc::new(self.reason.finish()));
        columns.push(Arc::new(self.source.finish()));
        columns.push(Arc::new(self.raw.finish()));
        columns
    }
}
