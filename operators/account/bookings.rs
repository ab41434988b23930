//! What account says of money, column by column.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Decimal128Array, UInt32Array};
use arrow::datatypes::{DataType, Decimal128Type, Int32Type, TimestampMicrosecondType, UInt32Type};

use super::debt::{BEFORE, OVER, Parts};
use super::letters::Letters;
use super::says::Place;
use crate::facts::{MONEY, instant};
use crate::numbers::Numbers;
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
    paid_at: Numbers<TimestampMicrosecondType>,
    channel: Texts,
    correction: Vec<bool>,
    /// penalty, fee, interest, principal, over, before_report, suspense.
    money: [Vec<i128>; 7],
    line: Vec<u32>,
    number: Numbers<UInt32Type>,
    undoes: Numbers<UInt32Type>,
    booked: Vec<i128>,
    act: Texts,
    recovered: Vec<bool>,
    days_past_due: Numbers<Int32Type>,
    balance: Numbers<Decimal128Type>,
    waterfall: Texts,
    grounds: Texts,
}

impl Bookings {
    pub fn new(rows: usize) -> Self {
        let texts = |bytes: usize| Texts::with_capacity(rows, rows * bytes);
        Bookings {
            place: Place::new(rows),
            texts: std::array::from_fn(|_| texts(12)),
            paid_at: Numbers::with_capacity(rows),
            channel: texts(6),
            correction: Vec::with_capacity(rows),
            money: std::array::from_fn(|_| Vec::with_capacity(rows)),
            line: Vec::with_capacity(rows),
            number: Numbers::with_capacity(rows),
            undoes: Numbers::with_capacity(rows),
            booked: Vec::with_capacity(rows),
            act: texts(8),
            recovered: Vec::with_capacity(rows),
            days_past_due: Numbers::with_capacity(rows),
            balance: Numbers::with_capacity(rows),
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
        self.paid_at.push(one.paid_at);
        self.channel.push_option(one.channel);
        self.correction.push(one.correction);
        let [penalty, fee, interest, principal, ..] = one.parts;
        let (over, before) = (one.parts[OVER], one.parts[BEFORE]);
        let money = [penalty, fee, interest, principal, over, before, one.suspense];
        for (column, value) in self.money.iter_mut().zip(money) {
            column.push(i128::from(value));
        }
        self.line.push(one.line);
        self.number.push(one.number);
        self.undoes.push(one.undoes);
        self.booked.push(i128::from(one.booked));
        self.act.push(one.act);
        self.recovered.push(one.recovered);
        self.days_past_due.push(one.days_past_due);
        self.balance.push(one.balance.map(i128::from));
        self.waterfall.push_option(one.waterfall);
        self.grounds.push_option(one.grounds);
    }

    pub fn finish(mut self) -> Vec<ArrayRef> {
        let cents = |cents: Vec<i128>| -> ArrayRef {
            Arc::new(Decimal128Array::from(cents).with_data_type(MONEY))
        };
        let mut columns = self.place.finish();
        columns.extend(self.texts.map(Texts::finish));
        columns.push(self.paid_at.finish(instant()));
        columns.push(self.channel.finish());
        columns.push(Arc::new(BooleanArray::from(self.correction)));
        columns.extend(self.money.map(cents));
        columns.push(Arc::new(UInt32Array::from(self.line)));
        columns.push(self.number.finish(DataType::UInt32));
        columns.push(self.undoes.finish(DataType::UInt32));
        columns.push(cents(self.booked));
        columns.push(self.act.finish());
        columns.push(Arc::new(BooleanArray::from(self.recovered)));
        columns.push(self.days_past_due.finish(DataType::Int32));
        columns.push(self.balance.finish(MONEY));
        columns.push(self.waterfall.finish());
        columns.push(self.grounds.finish());
        columns
    }
}
