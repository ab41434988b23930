//! What changes on statements in one step.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, UInt32Array, UInt64Array,
};

use super::post::Posting;
use crate::facts;
use crate::texts::Texts;

/// Statement lines while they grow.
pub struct Lines {
    shard: Vec<u32>,
    seq: Vec<u64>,
    row: Vec<u32>,
    /// kind, lender_id, agency_id.
    texts: [Texts; 3],
    day: Vec<i32>,
    currency: Texts,
    count: Vec<i64>,
    /// collected, penalty, fee, interest, principal, over, commission.
    money: [Vec<i128>; 7],
    act: Texts,
    held: Vec<i128>,
    vat: Vec<i128>,
    gross: Vec<bool>,
}

impl Lines {
    pub fn new(rows: usize) -> Self {
        let texts = |bytes: usize| Texts::with_capacity(rows, rows * bytes);
        Lines {
            shard: Vec::with_capacity(rows),
            seq: Vec::with_capacity(rows),
            row: Vec::with_capacity(rows),
            texts: std::array::from_fn(|_| texts(8)),
            day: Vec::with_capacity(rows),
            currency: texts(3),
            count: Vec::with_capacity(rows),
            money: std::array::from_fn(|_| Vec::with_capacity(rows)),
            act: texts(8),
            held: Vec::with_capacity(rows),
            vat: Vec::with_capacity(rows),
            gross: Vec::with_capacity(rows),
        }
    }

    pub fn push(&mut self, posting: &Posting<'_>) {
        let (shard, seq, row) = posting.place;
        self.shard.push(shard);
        self.seq.push(seq);
        self.row.push(row);
        let agency = posting.deal.agency.as_str();
        let texts = [Some(posting.kind), posting.lender_id, Some(agency)];
        for (column, value) in self.texts.iter_mut().zip(texts) {
            column.push_option(value);
        }
        self.day.push(posting.booked_on);
        self.currency.push_option(posting.currency);
        self.count.push(match posting.kind {
            "withdrawn" => -1,
            _ => i64::from(!posting.correction),
        });
        let [penalty, fee, interest, principal, over, ..] = posting.money;
        let parts = [posting.collected, penalty, fee, interest, principal, over];
        for (column, part) in self.money.iter_mut().zip(parts) {
            column.push(part);
        }
        self.money[6].push(posting.commission);
        self.act.push(posting.act);
        self.held.push(posting.held());
        self.vat.push(posting.vat);
        self.gross.push(posting.deal.schedule.gross);
    }

    pub fn finish(self) -> Vec<ArrayRef> {
        let money = |cents: Vec<i128>| -> ArrayRef {
            Arc::new(Decimal128Array::from(cents).with_data_type(facts::MONEY))
        };
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from(self.shard)),
            Arc::new(UInt64Array::from(self.seq)),
            Arc::new(UInt32Array::from(self.row)),
        ];
        columns.extend(self.texts.map(Texts::finish));
        columns.push(Arc::new(Date32Array::from(self.day)));
        columns.push(self.currency.finish());
        columns.push(Arc::new(Int64Array::from(self.count)));
        columns.extend(self.money.map(money));
        columns.push(self.act.finish());
        columns.push(money(self.held));
        columns.push(money(self.vat));
        columns.push(Arc::new(BooleanArray::from(self.gross)));
        columns
    }
}
