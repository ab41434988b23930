//! Loans with a schedule: what is open of it, and how late that is.
//!
//! Only they are kept here and only they say rows, so a loan without a schedule costs nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Date32Builder, Decimal128Builder, Int32Array, StringBuilder,
};

use super::letters::Letters;
use super::says::{Place, View, money};
use crate::settle::waterfall::{Delinquency, Item, Ranges, write};

/// What is open of each loan's schedule, by the loan's row.
#[derive(Default)]
pub struct Schedules {
    open: BTreeMap<u32, Box<[Item]>>,
}

impl Schedules {
    /// Takes what a fold left of a loan's schedule.
    pub fn keep(&mut self, row: u32, items: &Option<Vec<Item>>) {
        match items {
            Some(items) => {
                let open = items.iter().filter(|item| item.open() > 0).copied().collect();
                self.open.insert(row, open);
            }
            None => self.forget(row),
        }
    }

    pub fn forget(&mut self, row: u32) {
        self.open.remove(&row);
    }

    pub fn of(&self, row: u32) -> Option<&[Item]> {
        self.open.get(&row).map(|items| &items[..])
    }

    pub fn size(&self) -> usize {
        let items: usize = self.open.values().map(|items| size_of_val(&items[..])).sum();
        items + self.open.len() * size_of::<(u32, Box<[Item]>)>()
    }
}

/// A loan's schedule on a business day.
pub struct Late<'a> {
    pub day: i32,
    pub items: &'a [Item],
    pub found: Delinquency,
}

/// What account says of schedules, column by column.
pub struct Instalments {
    place: Place,
    loan_id: StringBuilder,
    lender_id: StringBuilder,
    currency: StringBuilder,
    day: Vec<i32>,
    past_due: Decimal128Builder,
    past_due_on: Date32Builder,
    past_due_days: Vec<i32>,
    delinquent_on: Date32Builder,
    delinquent_days: Vec<i32>,
    class: StringBuilder,
    by_range: StringBuilder,
    open: StringBuilder,
}

impl Default for Instalments {
    fn default() -> Self {
        Instalments {
            place: Place::new(0),
            loan_id: StringBuilder::new(),
            lender_id: StringBuilder::new(),
            currency: StringBuilder::new(),
            day: Vec::new(),
            past_due: money(0),
            past_due_on: Date32Builder::new(),
            past_due_days: Vec::new(),
            delinquent_on: Date32Builder::new(),
            delinquent_days: Vec::new(),
            class: StringBuilder::new(),
            by_range: StringBuilder::new(),
            open: StringBuilder::new(),
        }
    }
}

impl Instalments {
    /// A loan after a letter; `number` counts the loans that a letter touched from 1.
    pub fn push(&mut self, letters: &Letters<'_>, i: usize, number: u32, loan: &View<'_>) {
        let Some(Late { day, items, found }) = &loan.late else { return };
        let row = letters.row.value(i).saturating_add(number);
        self.place.push(letters.shard.value(i), letters.seq.value(i), row);
        self.loan_id.append_value(loan.loan_id);
        self.lender_id.append_option(loan.lender_id);
        self.currency.append_option(loan.currency);
        self.day.push(*day);
        self.past_due.append_value(i128::from(found.amount));
        self.past_due_on.append_option(found.past_due_on);
        self.past_due_days.push(found.past_due_days);
        self.delinquent_on.append_option(found.delinquent_on);
        self.delinquent_days.push(found.delinquent_days);
        let ranges = Ranges::default();
        self.class.append_value(ranges.name(found.range));
        self.by_range.append_value(by_range(&ranges, &found.by_range));
        self.open.append_value(write(items));
    }

    pub fn finish(mut self) -> Vec<ArrayRef> {
        let mut columns = self.place.finish();
        columns.extend([
            Arc::new(self.loan_id.finish()) as ArrayRef,
            Arc::new(self.lender_id.finish()),
            Arc::new(self.currency.finish()),
            Arc::new(Date32Array::from(self.day)),
            Arc::new(self.past_due.finish()),
            Arc::new(self.past_due_on.finish()),
            Arc::new(Int32Array::from(self.past_due_days)),
            Arc::new(self.delinquent_on.finish()),
            Arc::new(Int32Array::from(self.delinquent_days)),
            Arc::new(self.class.finish()),
            Arc::new(self.by_range.finish()),
            Arc::new(self.open.finish()),
        ]);
        columns
    }
}

/// `1-3:250.00|4-30:250.00`: open amounts past due by the range of their own instalment.
fn by_range(ranges: &Ranges, amounts: &[i64]) -> String {
    let named = amounts.iter().enumerate().skip(1).filter(|(_, cents)| **cents != 0);
    let named = named
        .map(|(range, cents)| format!("{}:{}.{:02}", ranges.name(range), cents / 100, cents % 100));
    named.collect::<Vec<_>>().join("|")
}
