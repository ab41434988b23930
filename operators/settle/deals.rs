//! Under which deal each movement is settled.
//!
//! A deal is an agency, a desk, a rate and a rounding; there are few of them and many movements,
//! so a movement keeps four bytes: the row of its deal, at the number that account gave it.

use std::sync::Arc;

use arrow::array::{BooleanArray, Int64Array, StringArray, UInt32Array};
use arrow::record_batch::RecordBatch;

use super::contract::commission::Rounding;
use super::contracts::Terms;
use crate::account::{loaded, table};
use crate::memory::{Keys, hash_bytes};

/// The row of no deal: nobody held the loan.
pub const NOBODY: u32 = 0;
const UNKNOWN: u32 = u32::MAX;
/// A movement numbered this far beyond all others is not kept: account numbers them in turn.
const GAP_MAX: usize = 1 << 20;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deal {
    pub agency: String,
    pub desk: String,
    /// Commission rate, in millionths.
    pub rate: i64,
    pub half_even: bool,
    /// Name and version of the contract; empty where there is none.
    pub contract: String,
    /// Rate and rounding, as ledger lines name them.
    pub rule: String,
}

impl Deal {
    fn new(agency: &str, desk: &str, rate: i64, half_even: bool, contract: &str) -> Self {
        let rounding = if half_even { "half_even" } else { "half_away" };
        let (sign, whole, rest) = (if rate < 0 { "-" } else { "" }, rate.abs(), 1_000_000);
        Deal {
            agency: agency.to_owned(),
            desk: desk.to_owned(),
            rate,
            half_even,
            contract: contract.to_owned(),
            rule: format!("{sign}{}.{:06} {rounding}", whole / rest, whole % rest),
        }
    }

    /// Commission on all that a movement has collected, in cents.
    pub fn commission(&self, collected: i128) -> i128 {
        let rounding = if self.half_even { Rounding::HalfEven } else { Rounding::HalfAway };
        rounding.cents(collected * i128::from(self.rate))
    }
}

/// Every deal, and the deal of every movement by number.
pub struct Deals {
    keys: Keys,
    deals: Vec<Deal>,
    of: Vec<u32>,
    /// Deals found last, by a few bits of agency and rate: most bookings name one of a few.
    recent: [u32; RECENT],
}

const RECENT: usize = 256;

impl Default for Deals {
    fn default() -> Self {
        let mut keys = Keys::default();
        keys.row("");
        Deals {
            keys,
            deals: vec![Deal::new("", "", 0, false, "")],
            of: Vec::new(),
            recent: [NOBODY; RECENT],
        }
    }
}

impl Deals {
    pub fn deal(&self, row: u32) -> &Deal {
        &self.deals[row as usize]
    }

    pub fn len(&self) -> usize {
        self.deals.len()
    }

    /// The deal that a movement was first settled under.
    pub fn of(&self, number: u32) -> Option<u32> {
        self.of.get(number as usize).copied().filter(|row| *row != UNKNOWN)
    }

    pub fn fix(&mut self, number: u32, deal: u32) {
        let number = number as usize;
        if number >= self.of.len() {
            if number - self.of.len() > GAP_MAX {
                return;
            }
            self.of.resize(number + 1, UNKNOWN);
        }
        self.of[number] = deal;
    }

    /// The row of a deal. `key` is room for its text.
    pub fn row(
        &mut self,
        agency: &str,
        desk: &str,
        rate: i128,
        (terms, contract): (Terms, &str),
        key: &mut String,
    ) -> u32 {
        // A rate is a fraction of what is collected; nine digits bound it.
        let rate = rate.clamp(-999_999_999, 999_999_999) as i64;
        let bits = hash_bytes(agency.as_bytes()) ^ rate as u64;
        let slot = (bits % RECENT as u64) as usize;
        let deal = &self.deals[self.recent[slot] as usize];
        let same = deal.rate == rate && deal.half_even == terms.half_even;
        if same && deal.agency == agency && deal.desk == desk && deal.contract == contract {
            return self.recent[slot];
        }
        key.clear();
        key.push_str(agency);
        key.push('\u{1f}');
        key.push_str(desk);
        key.push('\u{1f}');
        for byte in rate.to_le_bytes() {
            key.push(char::from(byte));
        }
        key.push(if terms.half_even { 'e' } else { 'a' });
        key.push_str(contract);
        let (row, new) = self.keys.row(key);
        if new {
            self.deals.push(Deal::new(agency, desk, rate, terms.half_even, contract));
        }
        self.recent[slot] = row;
        row
    }

    pub fn save(&self) -> [RecordBatch; 2] {
        let deals = &self.deals;
        [
            table(vec![
                ("key", Arc::new(self.keys.save())),
                (
                    "agency",
                    Arc::new(StringArray::from_iter_values(deals.iter().map(|deal| &deal.agency))),
                ),
                (
                    "desk",
                    Arc::new(StringArray::from_iter_values(deals.iter().map(|deal| &deal.desk))),
                ),
                (
                    "contract",
                    Arc::new(StringArray::from_iter_values(deals.iter().map(|d| &d.contract))),
                ),
                ("rate", Arc::new(Int64Array::from_iter_values(deals.iter().map(|d| d.rate)))),
                (
                    "half_even",
                    Arc::new(BooleanArray::from_iter(deals.iter().map(|d| Some(d.half_even)))),
                ),
            ]),
            table(vec![("deal", Arc::new(UInt32Array::from(self.of.clone())))]),
        ]
    }

    pub fn load(table: &RecordBatch, movements: &RecordBatch) -> Result<Self, String> {
        let keys = Keys::load(loaded::<StringArray>(table, "key")?);
        let agency: &StringArray = loaded(table, "agency")?;
        let desk: &StringArray = loaded(table, "desk")?;
        let contract: &StringArray = loaded(table, "contract")?;
        let rate: &Int64Array = loaded(table, "rate")?;
        let half_even: &BooleanArray = loaded(table, "half_even")?;
        let deals: Vec<Deal> = (0..table.num_rows())
            .map(|i| {
                let (agency, desk) = (agency.value(i), desk.value(i));
                Deal::new(agency, desk, rate.value(i), half_even.value(i), contract.value(i))
            })
            .collect();
        let of = loaded::<UInt32Array>(movements, "deal")?.values().to_vec();
        if deals.is_empty() || keys.len() != deals.len() {
            return Err(format!("{} deals under {} keys", deals.len(), keys.len()));
        }
        if of.iter().any(|row| *row != UNKNOWN && *row as usize >= deals.len()) {
            return Err("a movement names a deal that is not there".to_owned());
        }
        Ok(Deals { keys, deals, of, recent: [NOBODY; RECENT] })
    }

    pub fn size(&self) -> usize {
        self.keys.size() + 64 * self.deals.capacity() + 4 * self.of.capacity()
    }
}
