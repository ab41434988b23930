//! What account says of money, column by column.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Decimal128Builder, Int32Builder, TimestampMicrosecondBuilder,
    UInt32Builder,
};

use super::debt::{BEFORE, OVER, Parts};
use super::letters::Letters;
use super::says::{Place, instants, money};
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
    correction: BooleanBuilder,
    /// penalty, fee, interest, principal, over, before_report, suspense.
    money: [Decimal128Builder; 7],
    line: UInt32Builder,
    number: UInt32Builder,
    undoes: UInt32Builder,
    booked: Decimal128Builder,
    act: Texts,
    recovered: BooleanBuilder,
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
            correction: BooleanBuilder::with_capacity(rows),
            money: std::array::from_fn(|_| money(rows)),
            line: UInt32Builder::with_capacity(rows),
            number: UInt32Builder::with_capacity(rows),
            undoes: UInt32Builder::with_capacity(rows),
            booked: money(rows),
            act: texts(8),
            recovered: BooleanBuilder::with_capacity(rows),
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
        self.correction.append_value(one.correction);
        let [penalty, fee, interest, principal, ..] = one.parts;
        let (over, before) = (one.parts[OVER], one.parts[BEFORE]);
        let money = [penalty, fee, interest, principal, over, before, one.suspense];
        for (column, value) in self.money.iter_mut().zip(money) {
            column.append_value(i128::from(value));
        }
        self.line.append_value(one.line);
        self.number.append_option(one.number);
        self.undoes.append_option(one.undoes);
        self.booked.append_value(i128::from(one.booked));
        self.act.push(one.act);
        self.recovered.append_value(one.recovered);
        self.days_past_due.append_option(one.days_past_due);
        self.balance.append_option(one.balance.map(i128::from));
        self.waterfall.push_option(one.waterfall);
        self.grounds.push_option(one.grounds);
    }

    pub fn finish(mut self) -> Vec<ArrayRef> {
        let mut columns = self.place.finish();
        columns.extend(self.texts.map(Texts::finish));
        columns.push(Arc::new(self.paid_at.finish()));
        columns.push(self.channel.finish());
        columns.push(Arc::new(self.correction.finish()));
        columns.extend(self.money.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.push(Arc::new(self.line.finish()));
        columns.push(Arc::new(self.number.finish()));
        columns.push(Arc::new(self.undoes.finish()));
        columns.push(Arc::new(self.booked.finish()));
        columns.push(self.act.finish());
        columns.push(Arc::new(self.recovered.finish()));
        columns.push(Arc::new(self.days_past_due.finish()));
        columns.push(Arc::new(self.balance.finish()));
        columns.push(self.waterfall.finish());
        columns.push(self.grounds.finish());
        columns
    }
}
