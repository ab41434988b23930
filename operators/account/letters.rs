//! The letters of one step, column by column.

use arrow::array::{
    Array, BooleanArray, Date32Array, Decimal128Array, Int32Array, StringArray,
    TimestampMicrosecondArray, UInt32Array, UInt64Array,
};
use arrow::record_batch::RecordBatch;

/// No instant beyond the year 9999 or before its mirror image can be meant.
const INSTANT_MAX: i64 = 253_402_300_800_000_000;
/// Thirteen digits before the point, as normalize lets through.
pub const CENTS_MAX: i64 = 999_999_999_999_999;

/// The columns of [`crate::facts::letters`] that account reads.
pub struct Letters<'a> {
    pub shard: &'a UInt32Array,
    pub seq: &'a UInt64Array,
    pub row: &'a UInt32Array,
    pub kind: &'a StringArray,
    pub id: &'a StringArray,
    at: &'a TimestampMicrosecondArray,
    pub loan_id: &'a StringArray,
    pub lender_id: &'a StringArray,
    pub borrower_id: &'a StringArray,
    pub borrower_key: &'a StringArray,
    pub product: &'a StringArray,
    pub province: &'a StringArray,
    pub currency: &'a StringArray,
    pub phone_masked: &'a StringArray,
    /// Penalty, fee, interest, principal.
    owed: [&'a Decimal128Array; 4],
    pub days_past_due: &'a Int32Array,
    pub origination_date: &'a Date32Array,
    pub due_date: &'a Date32Array,
    pub score: &'a Int32Array,
    pub contactable: &'a BooleanArray,
    amount: &'a Decimal128Array,
    pub channel: &'a StringArray,
    pub reverses: &'a StringArray,
    pub reason: &'a StringArray,
    pub payer: &'a StringArray,
    pub authority: &'a StringArray,
    pub instalments: &'a StringArray,
    pub source: &'a StringArray,
    pub replaces_at: &'a TimestampMicrosecondArray,
}

impl<'a> Letters<'a> {
    pub fn of(batch: &'a RecordBatch) -> Self {
        Letters {
            shard: column(batch, "shard"),
            seq: column(batch, "seq"),
            row: column(batch, "row"),
            kind: column(batch, "kind"),
            id: column(batch, "id"),
            at: column(batch, "at"),
            loan_id: column(batch, "loan_id"),
            lender_id: column(batch, "lender_id"),
            borrower_id: column(batch, "borrower_id"),
            borrower_key: column(batch, "borrower_key"),
            product: column(batch, "product"),
            province: column(batch, "province"),
            currency: column(batch, "currency"),
            phone_masked: column(batch, "phone_masked"),
            owed: [
                column(batch, "penalty"),
                column(batch, "fee"),
                column(batch, "interest"),
                column(batch, "principal"),
            ],
            days_past_due: column(batch, "days_past_due"),
            origination_date: column(batch, "origination_date"),
            due_date: column(batch, "due_date"),
            score: column(batch, "score"),
            contactable: column(batch, "contactable"),
            amount: column(batch, "amount"),
            channel: column(batch, "channel"),
            reverses: column(batch, "reverses"),
            reason: column(batch, "reason"),
            payer: column(batch, "payer"),
            authority: column(batch, "authority"),
            instalments: column(batch, "instalments"),
            source: column(batch, "source"),
            replaces_at: column(batch, "replaces_at"),
        }
    }

    pub fn len(&self) -> usize {
        self.seq.len()
    }

    /// When it happened, if that is an instant anybody can mean.
    pub fn at(&self, i: usize) -> Option<i64> {
        let at = self.at.is_valid(i).then(|| self.at.value(i))?;
        (-INSTANT_MAX..INSTANT_MAX).contains(&at).then_some(at)
    }

    /// Penalty, fee, interest, principal in cents; what is absent is nothing.
    pub fn owed(&self, i: usize) -> [i64; 4] {
        self.owed.map(|part| {
            let cents = if part.is_valid(i) { part.value(i) } else { 0 };
            cents.clamp(-i128::from(CENTS_MAX), i128::from(CENTS_MAX)) as i64
        })
    }

    /// The amount of a movement in cents, unless absent or beyond any limit.
    pub fn amount(&self, i: usize) -> Option<i64> {
        let cents = self.amount.is_valid(i).then(|| self.amount.value(i))?;
        (cents.abs() <= i128::from(CENTS_MAX)).then_some(cents as i64)
    }
}

/// A text, unless it is null.
pub fn text(column: &StringArray, i: usize) -> Option<&str> {
    column.is_valid(i).then(|| column.value(i))
}

/// A column by name. The driver gives an operator the columns it takes.
pub fn column<'a, A: Array + 'static>(batch: &'a RecordBatch, name: &str) -> &'a A {
    let found = batch.column_by_name(name).and_then(|column| column.as_any().downcast_ref());
    let Some(found) = found else { panic!("facts must have the column {name}, in its type") };
    found
}
