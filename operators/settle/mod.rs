//! What each movement of money means in the books.
//!
//! A booking comes with the postmark of dispatch on its letter: who held the loan, at what rate.
//! The first booking of a movement fixes its deal, that is agency, desk, rate and rounding; every
//! later correction, and a reversal of it, is settled under that deal, whatever holds by then.
//! Commission is rounded once per movement over all it has collected, so a correction books the
//! difference between two rounded totals and nothing drifts.
//!
//! Says the double-entry lines of each booking, which sum to zero in their currency, and by how
//! much a statement line changes. A day that this shard has seen closed takes no more: what
//! concerns it falls on the first open day.

pub mod contract;
mod contracts;
mod deals;
pub mod invariants;
mod post;
mod stays;
pub mod waterfall;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{
    Array, BooleanArray, Decimal128Array, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use self::contracts::{Contracts, Terms};
use self::deals::Deals;
use self::post::{Ledger, Lines, Posting};
use self::stays::Stays;
use crate::account::letters::{column, text};
use crate::account::says::{Refused, batch};
use crate::account::{day_of, loaded, table};
use crate::rules::Rules;
use crate::{LoadError, Operator, Verb, facts};

/// The entry of [`crate::ALL`].
pub const SETTLE: Verb = Verb {
    name: "settle",
    about: "Books each movement under the deal that was in force: ledger lines, commission, and \
            what changes on a statement.",
    takes: facts::attributed,
    says: &[
        crate::Says { name: "ledger", schema: facts::ledger },
        crate::Says { name: "lines", schema: facts::lines },
        crate::Says { name: "refused", schema: facts::refused },
    ],
    open: |rules, _shard| Box::new(Settle::new(rules)),
};

/// One shard's deals.
pub struct Settle {
    deals: Deals,
    stays: Stays,
    contracts: Contracts,
    close_after_days: i32,
    /// The newest day tick.
    day: Option<i32>,
    schemas: [SchemaRef; 3],
    key: String,
}

/// The bookings of one step, column by column.
struct Rows<'a> {
    shard: &'a UInt32Array,
    seq: &'a UInt64Array,
    row: &'a UInt32Array,
    line: &'a UInt32Array,
    kind: &'a StringArray,
    movement_id: &'a StringArray,
    loan_id: &'a StringArray,
    lender_id: &'a StringArray,
    currency: &'a StringArray,
    paid_at: &'a TimestampMicrosecondArray,
    channel: &'a StringArray,
    correction: &'a BooleanArray,
    /// penalty, fee, interest, principal, over, before_report, suspense.
    money: [&'a Decimal128Array; 7],
    number: &'a UInt32Array,
    undoes: &'a UInt32Array,
    booked: &'a Decimal128Array,
    agency_id: &'a StringArray,
    desk_id: &'a StringArray,
    placement: &'a UInt32Array,
    commission_rate: &'a Decimal128Array,
}

impl<'a> Rows<'a> {
    fn of(batch: &'a RecordBatch) -> Self {
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
        }
    }

    /// What happened to a placement comes before the money of its letter.
    fn place(&self, i: usize) -> (u64, u32, Option<u32>) {
        let line = self.line.is_valid(i).then(|| self.line.value(i));
        (self.seq.value(i), self.row.value(i), line)
    }

    /// Rows in log order. A join may have mixed them; mostly it has not.
    fn order(&self) -> Option<Vec<usize>> {
        let rows = self.seq.len();
        if (1..rows).all(|i| self.place(i - 1) <= self.place(i)) {
            return None;
        }
        let mut order: Vec<usize> = (0..rows).collect();
        order.sort_by_key(|i| self.place(*i));
        Some(order)
    }

    fn money(&self, i: usize) -> [i128; 7] {
        self.money.map(|part| if part.is_valid(i) { part.value(i) } else { 0 })
    }
}

impl Settle {
    pub fn new(rules: &Rules) -> Self {
        Settle {
            deals: Deals::default(),
            stays: Stays::default(),
            contracts: Contracts::default(),
            close_after_days: rules.close_after_days,
            day: None,
            schemas: [facts::ledger(), facts::lines(), facts::refused()],
            key: String::new(),
        }
    }

    /// The day a fact is booked on: its own, or the first open one once that is closed.
    fn booked_on(&self, own: i32) -> i32 {
        self.day.map_or(own, |day| own.max(day.saturating_sub(self.close_after_days) + 1))
    }

    /// The deal that a row is settled under: of its payment, its own, or the one in force now.
    fn deal(&mut self, rows: &Rows<'_>, i: usize, day: i32) -> u32 {
        let number = rows.number.is_valid(i).then(|| rows.number.value(i));
        let correction = rows.correction.is_valid(i) && rows.correction.value(i);
        let Some(number) = number else { return deals::NOBODY };
        if correction && let Some(deal) = self.deals.of(number) {
            return deal;
        }
        let undone = rows.undoes.is_valid(i).then(|| rows.undoes.value(i));
        let deal = undone
            .and_then(|payment| self.deals.of(payment))
            .unwrap_or_else(|| self.attribute(rows, i, day));
        self.deals.fix(number, deal);
        deal
    }

    /// The deal of a postmark: whom a row names, on what terms.
    fn named(&mut self, rows: &Rows<'_>, i: usize, day: i32) -> (u32, Terms) {
        let agency = text(rows.agency_id, i).unwrap_or_default();
        if agency.is_empty() {
            return (deals::NOBODY, Terms::default());
        }
        let lender = text(rows.lender_id, i).unwrap_or_default();
        let terms = self.contracts.terms(lender, agency, day, &mut self.key);
        let rate = &rows.commission_rate;
        let rate = if rate.is_valid(i) { rate.value(i) } else { 0 };
        let desk = text(rows.desk_id, i).unwrap_or_default();
        let contract = (terms, self.contracts.name(terms));
        (self.deals.row(agency, desk, rate, contract, &mut self.key), terms)
    }

    /// Whom new money counts for: the placement in force at its place in the log, or by contract
    /// that in force when it was paid; nobody once the tail after a recall is over.
    fn attribute(&mut self, rows: &Rows<'_>, i: usize, day: i32) -> u32 {
        let (deal, terms) = self.named(rows, i, day);
        if !terms.by_paid_at && terms.tail_days.is_none() {
            return deal;
        }
        let (Some(loan), true) = (text(rows.loan_id, i), rows.paid_at.is_valid(i)) else {
            return deal;
        };
        let paid_at = rows.paid_at.value(i);
        let stay =
            if terms.by_paid_at { self.stays.at(loan, paid_at) } else { self.stays.last(loan) };
        let Some(stay) = stay else { return deal };
        let late = |tail: i32| day_of(paid_at) > day_of(stay.to).saturating_add(tail);
        if stay.to != i64::MAX && terms.tail_days.is_some_and(late) {
            return deals::NOBODY;
        }
        if terms.by_paid_at { stay.deal } else { deal }
    }

    /// A placement began or ended.
    fn place(&mut self, rows: &Rows<'_>, i: usize) {
        let (Some(loan), true) = (text(rows.loan_id, i), rows.paid_at.is_valid(i)) else { return };
        let (placement, at) = (rows.placement.value(i), rows.paid_at.value(i));
        match text(rows.channel, i) {
            Some("placed") => {
                let (deal, _) = self.named(rows, i, day_of(at));
                self.stays.begin(loan, placement, at, deal);
            }
            Some("waiting" | "unpriced") | None => {}
            Some(_) => self.stays.end(loan, placement, at),
        }
    }

    fn settle(&mut self, rows: &Rows<'_>, i: usize, ledger: &mut Ledger, lines: &mut Lines) {
        let kind = text(rows.kind, i).unwrap_or_default();
        if kind == "placement" {
            return self.place(rows, i);
        }
        let own = if rows.paid_at.is_valid(i) { day_of(rows.paid_at.value(i)) } else { 0 };
        let booked_on = self.booked_on(own);
        let deal = self.deal(rows, i, booked_on);
        let money = rows.money(i);
        let collected: i128 = money[..4].iter().sum();
        let booked = if rows.booked.is_valid(i) { rows.booked.value(i) } else { 0 };
        let deal = self.deals.deal(deal);
        let commission = deal.commission(booked + collected) - deal.commission(booked);
        let posting = Posting {
            place: (rows.shard.value(i), rows.seq.value(i), rows.row.value(i)),
            kind,
            movement_id: text(rows.movement_id, i).unwrap_or_default(),
            loan_id: text(rows.loan_id, i),
            lender_id: text(rows.lender_id, i),
            agency_id: &deal.agency,
            contract: &deal.contract,
            rule: &deal.rule,
            currency: text(rows.currency, i),
            channel: text(rows.channel, i),
            correction: rows.correction.is_valid(i) && rows.correction.value(i),
            booked_on,
            money,
            collected,
            commission,
        };
        ledger.post(&posting);
        if !matches!(kind, "suspended" | "released") {
            lines.push(&posting);
        }
    }
}

impl Operator for Settle {
    fn step(&mut self, facts: &RecordBatch) -> Vec<RecordBatch> {
        let rows = Rows::of(facts);
        let count = facts.num_rows();
        let mut ledger = Ledger::new(count);
        let mut lines = Lines::new(count);
        match rows.order() {
            None => (0..count).for_each(|i| self.settle(&rows, i, &mut ledger, &mut lines)),
            Some(order) => {
                order.into_iter().for_each(|i| self.settle(&rows, i, &mut ledger, &mut lines));
            }
        }
        let [ledgers, changes, refused] = &self.schemas;
        vec![
            batch(ledgers, ledger.finish()),
            batch(changes, lines.finish()),
            batch(refused, Refused::default().finish()),
        ]
    }

    fn hear(&mut self, name: &str, rows: &RecordBatch) {
        match name {
            "day" => {
                let heard = newest_day(rows);
                self.day = self.day.max(heard);
            }
            "contracts" => self.contracts.hear(rows),
            _ => {}
        }
    }

    fn save(&self) -> Vec<RecordBatch> {
        let [deals, movements] = self.deals.save();
        let day = table(vec![("day", Arc::new(Int32Array::from(vec![self.day])))]);
        vec![deals, movements, self.contracts.save(), self.stays.save(), day]
    }

    fn load(&mut self, tables: Vec<RecordBatch>) -> Result<(), LoadError> {
        let mut wake = || {
            let [deals, movements, contracts, stays, day] = tables.as_slice() else {
                return Err(format!("{} tables instead of 5", tables.len()));
            };
            self.deals = Deals::load(deals, movements)?;
            self.contracts = Contracts::load(contracts)?;
            self.stays = Stays::load(stays, self.deals.len())?;
            let days: &Int32Array = loaded(day, "day")?;
            self.day = (days.len() == 1 && days.is_valid(0)).then(|| days.value(0));
            Ok(())
        };
        wake().map_err(|what| LoadError { operator: "settle", what })
    }

    fn size(&self) -> usize {
        self.deals.size() + self.stays.size() + self.contracts.size()
    }
}

/// The newest day among ticks.
fn newest_day(rows: &RecordBatch) -> Option<i32> {
    let numbers = rows.column_by_name("number")?.as_any().downcast_ref::<Int64Array>()?;
    let days = (0..numbers.len()).filter(|i| numbers.is_valid(*i)).map(|i| numbers.value(i));
    days.max().and_then(|day| i32::try_from(day).ok())
}
