//! What account says of money, column by column.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Decimal128Builder, Int32Builder,
    TimestampMicrosecondBuilder, UInt32Array, UInt32Builder,
};

use super::debt::{BEFORE, OVER, Parts};
use super::letters::Letters;
use super::says::{Place, instants, money};
use crate::facts::MONEY;
use crate::texts::Texts;

/// One row of bookings.
pub struct Booking<'a> {
    pub kind: &'a str,
    pub act: &'a str,
    pub movement_id: &'a str,
    pub reverses: Option<&'a str>,
    pub loan_id: Option<&'a str>,
    pub lender_id: Option<&'a str>,
    pub currency: Option<&'a str>,
    pub paid_at: Option<i64>,
    pub channel: Option<&'a str>,
    pub correction: bool,
    pub parts: Parts,
    pub suspense: i64,
    pub line: u32,
    pub number: Option<u32>,
    pub undoes: Option<u32>,
    pub booked: i64,
    pub recovered: bool,
    /// Of the loan before a first booking.
    pub days_past_due: Option<i32>,
    pub balance: Option<i64>,
    pub waterfall: Option<&'a str>,
    pub grounds: Option<&'a str>,
}

pub struct Bookings {
    place: Place,
    /// kind, movement_id, reverses, loan_id, lender_id, currency.
    texts: [Texts; 6],
    paid_at: TimestampMicrosecondBuilder,
    channel: Texts,
    correction: Vec<bool>,
    /// penalty, fee, interest, principal, over, before_report, suspense.
    money: [Vec<i128>; 7],
    line: Vec<u32>,
    number: UInt32Builder,
    undoes: UInt32Builder,
    booked: Vec<i128>,
    act: Texts,
    recovered: Vec<bool>,
    days_past_due: Int32Builder,
    balance: Decimal128Builder,
    waterfall: Texts,
    grounds: Texts,
}

impl Bookings {
    pub fn new(rows: usize) -> Self {
        let texts = |bytes: usize| Texts::with_capacity(rows, rows * bytes);
        Bookings {
            place: Place::new(rows),
            texts: std::array::from_fn(|_| texts(12)),
            paid_at: instants(rows),
            channel: texts(6),
            correction: Vec::with_capacity(rows),
            money: std::array::from_fn(|_| Vec::with_capacity(rows)),
            line: Vec::with_capacity(rows),
            number: UInt32Builder::with_capacity(rows),
            undoes: UInt32Builder::with_capacity(rows),
            booked: Vec::with_capacity(rows),
            act: texts(8),
            recovered: Vec::with_capacity(rows),
            days_past_due: Int32Builder::with_capacity(rows),
            balance: money(rows),
            waterfall: texts(24),
            grounds: texts(0),
        }
    }

    pub fn push(&mut self, letters: &Letters<'_>, i: usize, one: &Booking<'_>) {
        self.place.letter(letters, i);
        let texts = [
            Some(one.kind),
            Some(one.movement_id),
            one.reverses,
            one.loan_id,
            one.lender_id,
            one.currency,
        ];
        for (column, value) in self.texts.iter_mut().zip(texts) {
            column.push_option(value);
        }
        self.paid_at.append_option(one.paid_at);
        self.channel.push_option(one.channel);
        self.correction.push(one.correction);
        let [penalty, fee, interest, principal, ..] = one.parts;
        let (over, before) = (one.parts[OVER], one.parts[BEFORE]);
        let money = [penalty, fee, interest, principal, over, before, one.suspense];
        for (column, value) in self.money.iter_mut().zip(money) {
            column.push(i128::from(value));
        }
        self.line.push(one.line);
        self.number.append_option(one.number);
        self.undoes.append_option(one.undoes);
        self.booked.push(i128::from(one.booked));
        self.act.push(one.act);
        self.recovered.push(one.recovered);
        self.days_past_due.append_option(one.days_past_due);
        self.balance.append_option(one.balance.map(i128::from));
        self.waterfall.push_option(one.waterfall);
        self.grounds.push_option(one.grounds);
    }

    pub fn finish(mut self) -> Vec<ArrayRef> {
        let cents = |cents: Vec<i128>| -> ArrayRef {
            Arc::new(Decimal128Array::from(cents).with_data_type(MONEY))
        };
        let mut columns = self.place.finish();
        columns.extend(self.texts.map(Texts::finish));
        columns.push(Arc::new(self.paid_at.finish()));
        columns.push(self.channel.finish());
        columns.push(Arc::new(BooleanArray::from(self.correction)));
        columns.extend(self.money.map(cents));
        columns.push(Arc::new(UInt32Array::from(self.line)));
        columns.push(Arc::new(self.number.finish()));
        columns.push(Arc::new(self.undoes.finish()));
        columns.push(cents(self.booked));
        columns.push(self.act.finish());
        columns.push(Arc::new(BooleanArray::from(self.recovered)));
        columns.push(Arc::new(self.days_past_due.finish()));
        columns.push(Arc::new(self.balance.finish()));
        columns.push(self.waterfall.finish());
        columns.push(self.grounds.finish());
        columns
    }
}
