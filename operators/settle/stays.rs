//! Which agency held a loan when: for contracts that attribute by the day of payment, and for
//! the tail after a recall.
//!
//! Settle learns of placements from rows of kind `placement` among its bookings; where none are
//! sent, the postmark of dispatch on the letter decides alone.

use std::sync::Arc;

use arrow::array::{Int64Array, StringArray, UInt32Array};
use arrow::record_batch::RecordBatch;

use crate::account::{loaded, table};
use crate::memory::Keys;

/// A loan's stay with an agency, from placement to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stay {
    pub from: i64,
    /// The largest instant while it lasts.
    pub to: i64,
    pub deal: u32,
    placement: u32,
}

/// The stays of every loan, in order of placement.
#[derive(Default)]
pub struct Stays {
    loans: Keys,
    of: Vec<Vec<Stay>>,
}

impl Stays {
    /// A loan was placed.
    pub fn begin(&mut self, loan: &str, placement: u32, from: i64, deal: u32) {
        let stays = self.row(loan);
        match stays.iter_mut().find(|stay| stay.placement == placement) {
            // A recall that was taken back: the same stay goes on.
            Some(stay) => stay.to = i64::MAX,
            None => stays.push(Stay { from, to: i64::MAX, deal, placement }),
        }
    }

    /// A placement ended.
    pub fn end(&mut self, loan: &str, placement: u32, to: i64) {
        let stays = self.row(loan);
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

    /// The stay in force at an instant, else the first after it, else the last.
    pub fn at(&self, loan: &str, at: i64) -> Option<Stay> {
        let stays = self.find(loan);
        let inside = stays.iter().find(|stay| stay.from <= at && at < stay.to);
        let later = || stays.iter().find(|stay| stay.from > at);
        inside.or_else(later).or(stays.last()).copied()
    }

    /// The newest stay.
    pub fn last(&self, loan: &str) -> Option<Stay> {
        self.find(loan).last().copied()
    }

    pub fn save(&self) -> RecordBatch {
        let mut loans: Vec<&str> = Vec::new();
        let mut all: Vec<Stay> = Vec::new();
        for (row, stays) in self.of.iter().enumerate() {
            loans.extend(stays.iter().map(|_| self.loans.key(row as u32)));
            all.extend(stays);
        }
        let instants =
            |of: fn(&Stay) -> i64| Arc::new(Int64Array::from_iter_values(all.iter().map(of)));
        let rows =
            |of: fn(&Stay) -> u32| Arc::new(UInt32Array::from_iter_values(all.iter().map(of)));
        table(vec![
            ("loan", Arc::new(StringArray::from(loans))),
            ("from", instants(|stay| stay.from)),
            ("to", instants(|stay| stay.to)),
            ("deal", rows(|stay| stay.deal)),
            ("placement", rows(|stay| stay.placement)),
        ])
    }

    pub fn load(table: &RecordBatch, deals: usize) -> Result<Self, String> {
        let loans: &StringArray = loaded(table, "loan")?;
        let from: &Int64Array = loaded(table, "from")?;
        let to: &Int64Array = loaded(table, "to")?;
        let deal: &UInt32Array = loaded(table, "deal")?;
        let placement: &UInt32Array = loaded(table, "placement")?;
        let mut stays = Stays::default();
        for i in 0..table.num_rows() {
            if deal.value(i) as usize >= deals {
                return Err("a stay names a deal that is not there".to_owned());
            }
            let (from, to, deal) = (from.value(i), to.value(i), deal.value(i));
            let stay = Stay { from, to, deal, placement: placement.value(i) };
            stays.row(loans.value(i)).push(stay);
        }
        Ok(stays)
    }

    pub fn size(&self) -> usize {
        let stays: usize = self.of.len() * (size_of::<Vec<Stay>>() + size_of::<Stay>());
        self.loans.size() + stays
    }
}
