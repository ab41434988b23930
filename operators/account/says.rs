//! What account says, column by column: stamped letters, bookings, refusals, schedules.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Array, Decimal128Builder,
    Int32Array, Int32Builder, NullBufferBuilder, StringBuilder, TimestampMicrosecondArray,
    TimestampMicrosecondBuilder, UInt32Array, UInt64Array,
};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::bookings::Bookings;
use super::instalments::{Instalments, Late};
use super::letters::{Letters, text};
use super::refold::Refolded;
use crate::facts::{self, MONEY};
use crate::texts::Texts;

/// The schemas of the relations, made once.
pub struct Schemas {
    stamped: SchemaRef,
    bookings: SchemaRef,
    instalments: SchemaRef,
    refolded: SchemaRef,
    refused: SchemaRef,
}

impl Default for Schemas {
    fn default() -> Self {
        Schemas {
            stamped: facts::stamped(),
            bookings: facts::bookings(),
            instalments: facts::instalments(),
            refolded: facts::refolded(),
            refused: facts::refused(),
        }
    }
}

/// The answer of one step while it grows.
pub struct Says {
    pub stamped: Stamped,
    pub bookings: Bookings,
    pub instalments: Instalments,
    pub refolded: Refolded,
    pub refused: Refused,
}

impl Says {
    pub fn new(rows: usize) -> Self {
        Says {
            stamped: Stamped::new(rows),
            bookings: Bookings::new(rows),
            instalments: Instalments::default(),
            refolded: Refolded::default(),
            refused: Refused::default(),
        }
    }

    pub fn finish(self, schemas: &Schemas) -> Vec<RecordBatch> {
        vec![
            batch(&schemas.stamped, self.stamped.finish()),
            batch(&schemas.bookings, self.bookings.finish()),
            batch(&schemas.refused, self.refused.finish()),
            batch(&schemas.instalments, self.instalments.finish()),
            batch(&schemas.refolded, self.refolded.finish()),
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
    shard: Vec<u32>,
    seq: Vec<u64>,
    row: Vec<u32>,
}

impl Place {
    pub fn new(rows: usize) -> Self {
        Place {
            shard: Vec::with_capacity(rows),
            seq: Vec::with_capacity(rows),
            row: Vec::with_capacity(rows),
        }
    }

    #[inline]
    pub fn push(&mut self, shard: u32, seq: u64, row: u32) {
        self.shard.push(shard);
        self.seq.push(seq);
        self.row.push(row);
    }

    #[inline]
    pub fn letter(&mut self, letters: &Letters<'_>, i: usize) {
        self.push(letters.shard.value(i), letters.seq.value(i), letters.row.value(i));
    }

    pub fn finish(&mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(UInt32Array::from(std::mem::take(&mut self.shard))),
            Arc::new(UInt64Array::from(std::mem::take(&mut self.seq))),
            Arc::new(UInt32Array::from(std::mem::take(&mut self.row))),
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
    /// Where its newest report has a schedule.
    pub late: Option<Late<'a>>,
}

pub struct Stamped {
    place: Place,
    kind: Texts,
    cause: Texts,
    at: TimestampMicrosecondBuilder,
    /// borrower_key, loan_id, lender_id, borrower_id, product, province, currency.
    texts: [Texts; 7],
    /// principal, interest, penalty, fee, balance; nothing where the row is about no loan.
    money: [Vec<i128>; 5],
    of_loan: NullBufferBuilder,
    days_past_due: Vec<i32>,
    bucket: Texts,
    origination_date: Date32Builder,
    due_date: Date32Builder,
    phone_masked: Texts,
    score: Int32Builder,
    contactable: BooleanBuilder,
    event_id: Texts,
    event_time: Vec<i64>,
    delinquent_days: Vec<i32>,
}

impl Stamped {
    fn new(rows: usize) -> Self {
        let texts = |bytes: usize| Texts::with_capacity(rows, rows * bytes);
        Stamped {
            place: Place::new(rows),
            kind: texts(8),
            cause: texts(12),
            at: instants(rows),
            texts: std::array::from_fn(|_| texts(12)),
            money: std::array::from_fn(|_| Vec::with_capacity(rows)),
            of_loan: NullBufferBuilder::new(rows),
            days_past_due: Vec::with_capacity(rows),
            bucket: texts(6),
            origination_date: Date32Builder::with_capacity(rows),
            due_date: Date32Builder::with_capacity(rows),
            phone_masked: texts(12),
            score: Int32Builder::with_capacity(rows),
            contactable: BooleanBuilder::with_capacity(rows),
            event_id: texts(12),
            event_time: Vec::with_capacity(rows),
            delinquent_days: Vec::with_capacity(rows),
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
        self.kind.push_option(text(letters.kind, i));
        self.cause.push_option(text(letters.id, i).or(text(letters.kind, i)));
        self.texts.iter_mut().for_each(Texts::push_null);
        self.money.iter_mut().for_each(|column| column.push(0));
        self.of_loan.append_null();
        self.days_past_due.push(0);
        self.bucket.push_null();
        self.origination_date.append_null();
        self.due_date.append_null();
        self.phone_masked.push_null();
        self.score.append_null();
        self.contactable.append_null();
        self.event_id.push_null();
        self.event_time.push(0);
        self.delinquent_days.push(0);
    }

    /// A loan after a letter.
    pub fn loan(&mut self, letters: &Letters<'_>, i: usize, kind: &str, loan: &View<'_>) {
        self.head(letters, i);
        self.body(letters, i, kind, loan);
    }

    fn body(&mut self, letters: &Letters<'_>, i: usize, kind: &str, loan: &View<'_>) {
        self.kind.push(kind);
        self.cause.push_option(text(letters.id, i).or(text(letters.kind, i)));
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
            column.push_option(value);
        }
        let [penalty, fee, interest, principal] = loan.owed.map(i128::from);
        let balance = penalty + fee + interest + principal;
        let money = [principal, interest, penalty, fee, balance];
        for (column, value) in self.money.iter_mut().zip(money) {
            column.push(value);
        }
        self.of_loan.append_non_null();
        self.days_past_due.push(loan.days_past_due);
        self.bucket.push(facts::BUCKETS[facts::bucket(loan.delinquent_days)]);
        self.origination_date.append_option(loan.origination_date);
        self.due_date.append_option(loan.due_date);
        self.phone_masked.push_option(loan.phone_masked);
        self.score.append_option(loan.score);
        self.contactable.append_option(loan.contactable);
        self.event_id.push(loan.event_id);
        self.event_time.push(loan.event_time);
        self.delinquent_days.push(loan.delinquent_days);
    }

    fn finish(mut self) -> Vec<ArrayRef> {
        let of_loan = self.of_loan.finish();
        let days = |days: Vec<i32>| -> ArrayRef {
            Arc::new(Int32Array::new(days.into(), of_loan.clone()))
        };
        let times = TimestampMicrosecondArray::new(self.event_time.into(), of_loan.clone());
        let mut columns = self.place.finish();
        columns.push(self.kind.finish());
        columns.push(self.cause.finish());
        columns.push(Arc::new(self.at.finish()));
        columns.extend(self.texts.map(Texts::finish));
        columns.extend(self.money.map(|cents| {
            let money = Decimal128Array::new(cents.into(), of_loan.clone());
            Arc::new(money.with_data_type(MONEY)) as ArrayRef
        }));
        columns.push(days(self.days_past_due));
        columns.push(self.bucket.finish());
        columns.push(Arc::new(self.origination_date.finish()));
        columns.push(Arc::new(self.due_date.finish()));
        columns.push(self.phone_masked.finish());
        columns.push(Arc::new(self.score.finish()));
        columns.push(Arc::new(self.contactable.finish()));
        columns.push(self.event_id.finish());
        columns.push(Arc::new(times.with_data_type(facts::instant())));
        columns.push(days(self.delinquent_days));
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
