//! The bookings of one step, column by column, and in log order.

use arrow::array::{
    Array, BooleanArray, Decimal128Array, Int32Array, StringArray, TimestampMicrosecondArray,
    UInt32Array, UInt64Array,
};
use arrow::record_batch::RecordBatch;

use crate::account::letters::column;

/// The bookings of one step, column by column.
pub struct Rows<'a> {
    pub shard: &'a UInt32Array,
    pub seq: &'a UInt64Array,
    pub row: &'a UInt32Array,
    pub line: &'a UInt32Array,
    pub kind: &'a StringArray,
    pub movement_id: &'a StringArray,
    pub loan_id: &'a StringArray,
    pub lender_id: &'a StringArray,
    pub currency: &'a StringArray,
    pub paid_at: &'a TimestampMicrosecondArray,
    pub channel: &'a StringArray,
    pub correction: &'a BooleanArray,
    /// penalty, fee, interest, principal, over, before_report, suspense.
    money: [&'a Decimal128Array; 7],
    pub number: &'a UInt32Array,
    pub undoes: &'a UInt32Array,
    pub booked: &'a Decimal128Array,
    pub agency_id: &'a StringArray,
    pub desk_id: &'a StringArray,
    pub placement: &'a UInt32Array,
    pub commission_rate: &'a Decimal128Array,
    pub act: &'a StringArray,
    pub recovered: &'a BooleanArray,
    pub days_past_due: &'a Int32Array,
    pub balance: &'a Decimal128Array,
    pub waterfall: &'a StringArray,
    pub grounds: &'a StringArray,
}

impl<'a> Rows<'a> {
    pub fn of(batch: &'a RecordBatch) -> Self {
        Rows {
            shard: column(batch, "shard"),
            seq: column(batch, "seq"),
            row: column(batch, "row"),
            line: column(batch, "line"),
            kind: column(batch, "kind"),
            movement_id: column(batch, "movement_id"),
            loan_id: column(batch, "loan_id"),
            lender_id: column(batch, "lender_id"),
            currency: column(batch, "currency"),
            paid_at: column(batch, "paid_at"),
            channel: column(batch, "channel"),
            correction: column(batch, "correction"),
            money: [
                column(batch, "penalty"),
                column(batch, "fee"),
                column(batch, "interest"),
                column(batch, "principal"),
                column(batch, "over"),
                column(batch, "before_report"),
                column(batch, "suspense"),
            ],
            number: column(batch, "number"),
            undoes: column(batch, "undoes"),
            booked: column(batch, "booked"),
            agency_id: column(batch, "agency_id"),
            desk_id: column(batch, "desk_id"),
            placement: column(batch, "placement"),
            commission_rate: column(batch, "commission_rate"),
            act: column(batch, "act"),
            recovered: column(batch, "recovered"),
            days_past_due: column(batch, "days_past_due"),
            balance: column(batch, "balance"),
            waterfall: column(batch, "waterfall"),
            grounds: column(batch, "grounds"),
        }
    }

    /// What happened to a placement comes before the money of its letter.
    fn place(&self, i: usize) -> (u64, u32, Option<u32>) {
        let line = self.line.is_valid(i).then(|| self.line.value(i));
        (self.seq.value(i), self.row.value(i), line)
    }

    /// Rows in log order. A join may have mixed them; mostly it has not.
    pub fn order(&self) -> Option<Vec<usize>> {
        let rows = self.seq.len();
        if (1..rows).all(|i| self.place(i - 1) <= self.place(i)) {
            return None;
        }
        let mut order: Vec<usize> = (0..rows).collect();
        order.sort_by_key(|i| self.place(*i));
        Some(order)
    }

    pub fn money(&self, i: usize) -> [i128; 7] {
        self.money.map(|part| if part.is_valid(i) { part.value(i) } else { 0 })
    }
}
