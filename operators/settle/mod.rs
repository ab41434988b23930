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
mod lines;
mod post;
mod rows;
mod stays;
mod sums;
pub mod waterfall;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{Array, Int32Array};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use self::contract::commission::Paid;
use self::contracts::{Contracts, Terms};
use self::deals::Deals;
use self::lines::Lines;
use self::post::{Ledger, Posting};
use self::rows::Rows;
use self::stays::{Stay, Stays};
use self::sums::{Desks, Sums};
use crate::account::letters::text;
use crate::account::says::{Refused, batch};
use crate::account::{day_of, loaded, newest_day, table};
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
    desks: Desks,
    sums: Sums,
    close_after_days: i32,
    /// The newest day tick.
    day: Option<i32>,
    schemas: [SchemaRef; 3],
    key: String,
}

impl Settle {
    pub fn new(rules: &Rules) -> Self {
        Settle {
            deals: Deals::default(),
            stays: Stays::default(),
            contracts: Contracts::default(),
            desks: Desks::default(),
            sums: Sums::default(),
            close_after_days: rules.close_after_days,
            day: None,
            schemas: [facts::ledger(), facts::lines(), facts::refused()],
            key: String::new(),
        }
    }

    /// The first day that takes more, once one has closed.
    fn open_day(&self) -> Option<i32> {
        self.day.map(|day| day.saturating_sub(self.close_after_days).saturating_add(1))
    }

    /// The day a fact is booked on: its own, or the first open one once that is closed.
    fn booked_on(&self, own: i32) -> i32 {
        self.open_day().map_or(own, |open| own.max(open))
    }

    /// The deal that a row is settled under: the one it had first, that of the movement it takes
    /// back, or the one in force.
    fn deal(&mut self, rows: &Rows<'_>, i: usize, day: i32) -> u32 {
        let number = rows.number.is_valid(i).then(|| rows.number.value(i));
        let Some(number) = number else { return deals::NOBODY };
        if let Some(deal) = self.deals.of(number) {
            return deal;
        }
        let undone = rows.undoes.is_valid(i).then(|| rows.undoes.value(i));
        let deal = undone
            .and_then(|payment| self.deals.of(payment))
            .unwrap_or_else(|| self.attribute(rows, i, day));
        self.deals.fix(number, deal);
        deal
    }

    /// Whom new money counts for: the placement in force at its place in the log, or by contract
    /// that in force when it was paid; nobody once the tail after its end is over.
    fn attribute(&mut self, rows: &Rows<'_>, i: usize, day: i32) -> u32 {
        let agency = text(rows.agency_id, i).unwrap_or_default();
        if agency.is_empty() {
            return deals::NOBODY;
        }
        let Settle { deals, stays, contracts, desks, key, .. } = self;
        let lender = text(rows.lender_id, i).unwrap_or_default();
        let mut terms = contracts.terms(lender, agency, day, key);
        let mut paid = paid(rows, i);
        let mut base = (agency, text(rows.desk_id, i).unwrap_or_default(), rate(rows, i));
        let instant = rows.paid_at.is_valid(i).then(|| rows.paid_at.value(i));
        let placement = rows.placement.is_valid(i).then(|| rows.placement.value(i));
        let mut taken = None;
        if let (true, Some(loan), Some(at)) = (terms.looks_back(), text(rows.loan_id, i), instant) {
            let stay = match terms.by_paid_at {
                true => stays.at(loan, at),
                false => placement.and_then(|placement| stays.of(loan, placement)),
            };
            let late = |tail: i32, to: i64| day_of(at) > day_of(to).saturating_add(tail);
            if let Some(stay) = stay {
                let tail = terms.tail_days.filter(|_| stay.to != i64::MAX);
                if tail.is_some_and(|tail| late(tail, stay.to)) {
                    return deals::NOBODY;
                }
                let placed = (i64::from(stay.days_past_due), stay.balance);
                taken = Some((deals.deal(stay.deal).clone(), placed));
            }
        }
        if let Some((stay, placed)) = &taken {
            if stay.agency != agency {
                terms = contracts.terms(lender, &stay.agency, day, key);
            }
            base = (&stay.agency, &stay.desk, stay.rate);
            // As the contract says under which it counts, which may be another by now.
            if terms.at_placement {
                (paid.days_past_due, paid.balance) = *placed;
            }
        }
        paid.litigated = desks.is_legal(base.1);
        let rate = terms.schedule.rate_of(base.2, &paid);
        deals.row(base.0, base.1, rate, terms, key)
    }

    /// A placement began or ended.
    fn place(&mut self, rows: &Rows<'_>, i: usize) {
        if !self.contracts.look_back {
            return;
        }
        let (Some(loan), true) = (text(rows.loan_id, i), rows.paid_at.is_valid(i)) else { return };
        let (placement, at) = (rows.placement.value(i), rows.paid_at.value(i));
        match text(rows.channel, i) {
            Some("placed") => {
                let agency = text(rows.agency_id, i).unwrap_or_default();
                let desk = text(rows.desk_id, i).unwrap_or_default();
                let none = Terms::default();
                let deal = self.deals.row(agency, desk, rate(rows, i), &none, &mut self.key);
                let Paid { days_past_due, balance, .. } = paid(rows, i);
                let days_past_due = days_past_due as i32;
                let (from, to) = (at, i64::MAX);
                let stay = Stay { from, to, deal, placement, days_past_due, balance };
                self.stays.begin(loan, stay);
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
        let row = self.deal(rows, i, booked_on);
        let money = rows.money(i);
        let collected: i128 = money[..4].iter().sum();
        let currency = text(rows.currency, i);
        let act = text(rows.act, i).unwrap_or(kind);
        let deal = self.deals.deal(row);
        let (mut commission, mut vat) = (0, 0);
        // Whoever gives money or debt away has collected nothing.
        if facts::is_money(act) && act != "refund" && row != deals::NOBODY {
            let booked = if rows.booked.is_valid(i) { rows.booked.value(i) } else { 0 };
            let (raw_before, raw) = (deal.raw(booked), deal.raw(booked + collected));
            let [before, after] = if deal.schedule.per_sum {
                self.sums.add((row, booked_on), currency, raw - raw_before)
            } else {
                [raw_before, raw]
            };
            let (before, after) = (deal.rounded(before), deal.rounded(after));
            commission = after - before;
            vat = deal.vat(after) - deal.vat(before);
        }
        let posting = Posting {
            place: (rows.shard.value(i), rows.seq.value(i), rows.row.value(i)),
            kind,
            act,
            movement_id: text(rows.movement_id, i).unwrap_or_default(),
            loan_id: text(rows.loan_id, i),
            lender_id: text(rows.lender_id, i),
            deal,
            currency,
            channel: text(rows.channel, i),
            correction: rows.correction.is_valid(i) && rows.correction.value(i),
            recovered: rows.recovered.is_valid(i) && rows.recovered.value(i),
            waterfall: text(rows.waterfall, i).unwrap_or(act),
            grounds: text(rows.grounds, i),
            booked_on,
            money,
            collected,
            commission,
            vat,
        };
        ledger.post(&posting);
        if posting.is_money() && !matches!(kind, "suspended" | "released") {
            lines.push(&posting);
        }
    }
}

/// A row's rate of its placement, in millionths.
fn rate(rows: &Rows<'_>, i: usize) -> i64 {
    let rates = rows.commission_rate;
    if rates.is_valid(i) { i64::try_from(rates.value(i)).unwrap_or(0) } else { 0 }
}

/// A row's loan, as tiers look at it.
fn paid(rows: &Rows<'_>, i: usize) -> Paid {
    let (days, balances) = (rows.days_past_due, rows.balance);
    let balance = if balances.is_valid(i) { balances.value(i) } else { 0 };
    Paid {
        days_past_due: if days.is_valid(i) { i64::from(days.value(i)) } else { 0 },
        balance: i64::try_from(balance).unwrap_or(i64::MAX),
        ..Paid::default()
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
            "ticks" | "day" => {
                self.day = self.day.max(newest_day(rows));
                if let Some(open) = self.open_day() {
                    self.sums.close(open);
                }
            }
            "contracts" => self.contracts.hear(rows),
            "desks" => self.desks.hear(rows),
            _ => {}
        }
    }

    fn save(&self) -> Vec<RecordBatch> {
        let [deals, movements] = self.deals.save();
        let day = table(vec![("day", Arc::new(Int32Array::from(vec![self.day])))]);
        let (contracts, stays) = (self.contracts.save(), self.stays.save());
        vec![deals, movements, contracts, stays, day, self.desks.save(), self.sums.save()]
    }

    fn load(&mut self, tables: Vec<RecordBatch>) -> Result<(), LoadError> {
        let mut wake = || {
            let [deals, movements, contracts, stays, day, desks, sums] = tables.as_slice() else {
                return Err(format!("{} tables instead of 7", tables.len()));
            };
            self.deals = Deals::load(deals, movements)?;
            self.contracts = Contracts::load(contracts);
            self.desks = Desks::load(desks);
            self.sums = Sums::load(sums)?;
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
