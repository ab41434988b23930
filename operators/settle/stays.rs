//! Which agency held a loan when: for contracts that attribute by the day of payment, that pay by
//! tiers as of the placement, or that end a tail after a recall.
//!
//! Settle learns of placements from rows of kind `placement` among its bookings, and keeps them
//! once a contract needs them; of what was placed before that, the postmark of dispatch decides
//! alone.

use std::sync::Arc;

use arrow::array::{Int32Array, Int64Array, StringArray, UInt32Array};
use arrow::record_batch::RecordBatch;

use crate::account::{loaded, table};
use crate::memory::Keys;

/// A loan's stay with an agency, from placement to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stay {
    pub from: i64,
    /// The last instant of it; the largest while it lasts.
    pub to: i64,
    /// Agency, desk and rate of the placement, as a deal without a contract.
    pub deal: u32,
    pub placement: u32,
    /// The loan as it was placed.
    pub days_past_due: i32,
    pub balance: i64,
}

/// The stays of every loan, in order of placement.
#[derive(Default)]
pub struct Stays {
    loans: Keys,
    of: Vec<Vec<Stay>>,
}

impl Stays {
    /// A loan was placed. Where it was before, it is no more.
    pub fn begin(&mut self, loan: &str, new: Stay) {
        let stays = self.row(loan);
        if let Some(stay) = stays.iter_mut().find(|stay| stay.placement == new.placement) {
            // An end that was taken back: the same stay goes on.
            stay.to = i64::MAX;
            return;
        }
        for stay in stays.iter_mut() {
            stay.to = stay.to.min(new.from);
        }
        stays.push(new);
    }

    /// A placement ended.
    pub fn end(&mut self, loan: &str, placement: u32, to: i64) {
        let Some(row) = self.loans.find(loan) else { return };
        let stays = &mut self.of[row as usize];
        if let Some(stay) = stays.iter_mut().find(|stay| stay.placement == placement) {
            stay.to = stay.to.min(to);
        }
    }

    fn row(&mut self, loan: &str) -> &mut Vec<Stay> {
        let (row, new) = self.loans.row(loan);
        if new {
            self.of.push(Vec::new());
        }
        &mut self.of[row as usize]
    }

    fn find(&self, loan: &str) -> &[Stay] {
        match self.loans.find(loan) {
            Some(row) => &self.of[row as usize],
            None => &[],
        }
    }

    /// The stay in force at an instant, of several the one decided last; else the first that
    /// begins after it, else the last.
    pub fn at(&self, loan: &str, at: i64) -> Option<Stay> {
        let stays = self.find(loan);
        let inside = stays.iter().rev().find(|stay| stay.from <= at && at <= stay.to);
        let after = stays.iter().filter(|stay| stay.from > at && stay.from <= stay.to);
        inside.or_else(|| after.min_by_key(|stay| stay.from)).or(stays.last()).copied()
    }

    /// The stay of a placement.
    pub fn of(&self, loan: &str, placement: u32) -> Option<Stay> {
        self.find(loan).iter().find(|stay| stay.placement == placement).copied()
    }

    pub fn save(&self) -> RecordBatch {
        let mut loans: Vec<&str> = Vec::new();
        let mut all: Vec<Stay> = Vec::new();
        for (row, stays) in self.of.iter().enumerate() {
            loans.extend(stays.iter().map(|_| self.loans.key(row as u32)));
            all.extend(stays);
        }
        let longs =
            |of: fn(&Stay) -> i64| Arc::new(Int64Array::from_iter_values(all.iter().map(of)));
        let rows =
            |of: fn(&Stay) -> u32| Arc::new(UInt32Array::from_iter_values(all.iter().map(of)));
        let days = Int32Array::from_iter_values(all.iter().map(|stay| stay.days_past_due));
        table(vec![
            ("loan", Arc::new(StringArray::from(loans))),
            ("from", longs(|stay| stay.from)),
            ("to", longs(|stay| stay.to)),
            ("deal", rows(|stay| stay.deal)),
            ("placement", rows(|stay| stay.placement)),
            ("days_past_due", Arc::new(days)),
            ("balance", longs(|stay| stay.balance)),
        ])
    }

    pub fn load(table: &RecordBatch, deals: usize) -> Result<Self, String> {
        let loans: &StringArray = loaded(table, "loan")?;
        let from: &Int64Array = loaded(table, "from")?;
        let to: &Int64Array = loaded(table, "to")?;
        let deal: &UInt32Array = loaded(table, "deal")?;
        let placement: &UInt32Array = loaded(table, "placement")?;
        let days: &Int32Array = loaded(table, "days_past_due")?;
        let balance: &Int64Array = loaded(table, "balance")?;
        let mut stays = Stays::default();
        for i in 0..table.num_rows() {
            if deal.value(i) as usize >= deals {
                return Err("a stay names a deal that is not there".to_owned());
            }
            stays.row(loans.value(i)).push(Stay {
                from: from.value(i),
                to: to.value(i),
                deal: deal.value(i),
                placement: placement.value(i),
                days_past_due: days.value(i),
                balance: balance.value(i),
            });
        }
        Ok(stays)
    }

    pub fn size(&self) -> usize {
        let stays: usize = self.of.len() * (size_of::<Vec<Stay>>() + size_of::<Stay>());
        self.loans.size() + stays
    }
}
