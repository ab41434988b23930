//! Under which deal each movement is settled.
//!
//! A deal is an agency, a desk, a rate and a rounding; there are few of them and many movements,
//! so a movement keeps four bytes: the row of its deal, at the number that account gave it.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray, Int64Array, StringArray, UInt32Array};
use arrow::record_batch::RecordBatch;

use super::contract::commission::{Rounding, Schedule};
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
    /// Commission rate, in millionths: of the placement, or of a tier.
    pub rate: i64,
    /// Bounds, VAT and rounding. Its tiers have done their work: they are not kept.
    pub schedule: Schedule,
    /// Name and version of the contract; `default` where there is none.
    pub contract: String,
    /// Rate and rounding, as ledger lines name them.
    pub rule: String,
    pub vat_rule: String,
}

/// What the program itself lays down where there is no contract.
const DEFAULT: &str = "default";

impl Deal {
    fn new(agency: &str, desk: &str, rate: i64, schedule: Schedule, contract: &str) -> Self {
        let rounding = match schedule.rounding {
            Rounding::HalfEven => "half_even",
            Rounding::HalfAway => "half_away",
        };
        let of = if schedule.per_sum { " of sum" } else { "" };
        let contract = if contract.is_empty() { DEFAULT } else { contract };
        Deal {
            agency: agency.to_owned(),
            desk: desk.to_owned(),
            rate,
            contract: contract.to_owned(),
            rule: format!("{} {rounding}{of}", shown(rate)),
            vat_rule: format!("vat {}", shown(schedule.vat)),
            schedule: Schedule { tiers: Vec::new(), ..schedule },
        }
    }

    /// Commission on all that a movement has collected, not rounded yet: cents times millionths.
    pub fn raw(&self, collected: i128) -> i128 {
        self.schedule.bounded(collected * i128::from(self.rate))
    }

    pub fn rounded(&self, raw: i128) -> i128 {
        self.schedule.rounding.cents(raw)
    }

    /// VAT on a commission, in cents.
    pub fn vat(&self, commission: i128) -> i128 {
        match self.schedule.vat {
            0 => 0,
            vat => self.schedule.rounding.cents(commission * i128::from(vat)),
        }
    }
}

/// A rate in millionths as a decimal of six digits.
fn shown(rate: i64) -> String {
    let (sign, whole, rest) = (if rate < 0 { "-" } else { "" }, rate.abs(), 1_000_000);
    format!("{sign}{}.{:06}", whole / rest, whole % rest)
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
            deals: vec![Deal::new("", "", 0, Schedule::default(), "")],
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
        rate: i64,
        terms: &Terms,
        key: &mut String,
    ) -> u32 {
        // A rate is a fraction of what is collected; nine digits bound it.
        let rate = rate.clamp(-999_999_999, 999_999_999);
        let contract = terms.contract.as_str();
        let bits = hash_bytes(agency.as_bytes()) ^ rate as u64;
        let slot = (bits % RECENT as u64) as usize;
        let deal = &self.deals[self.recent[slot] as usize];
        let named = if contract.is_empty() { DEFAULT } else { contract };
        let same = deal.rate == rate && deal.agency == agency && deal.desk == desk;
        // The name and version of a contract stand for all it says.
        if same && deal.contract == named && self.recent[slot] != NOBODY {
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
        key.push_str(contract);
        let (row, new) = self.keys.row(key);
        if new {
            self.deals.push(Deal::new(agency, desk, rate, terms.schedule.clone(), contract));
        }
        self.recent[slot] = row;
        row
    }

    pub fn save(&self) -> [RecordBatch; 2] {
        let deals = &self.deals;
        let texts =
            |of: fn(&Deal) -> &str| Arc::new(StringArray::from_iter_values(deals.iter().map(of)));
        let numbers =
            |of: fn(&Deal) -> Option<i64>| Arc::new(Int64Array::from_iter(deals.iter().map(of)));
        let flags = |of: fn(&Deal) -> bool| {
            Arc::new(BooleanArray::from_iter(deals.iter().map(|deal| Some(of(deal)))))
        };
        [
            table(vec![
                ("key", Arc::new(self.keys.save())),
                ("agency", texts(|deal| &deal.agency)),
                ("desk", texts(|deal| &deal.desk)),
                ("contract", texts(|deal| &deal.contract)),
                ("rate", numbers(|deal| Some(deal.rate))),
                ("minimum", numbers(|deal| Some(deal.schedule.minimum))),
                ("maximum", numbers(|deal| deal.schedule.maximum)),
                ("vat", numbers(|deal| Some(deal.schedule.vat))),
                ("half_even", flags(|deal| deal.schedule.rounding == Rounding::HalfEven)),
                ("per_sum", flags(|deal| deal.schedule.per_sum)),
                ("gross", flags(|deal| deal.schedule.gross)),
            ]),
            table(vec![("deal", Arc::new(UInt32Array::from(self.of.clone())))]),
        ]
    }

    pub fn load(table: &RecordBatch, movements: &RecordBatch) -> Result<Self, String> {
        let keys = Keys::load(loaded::<StringArray>(table, "key")?);
        let text = |name| loaded::<StringArray>(table, name);
        let number = |name| loaded::<Int64Array>(table, name);
        let flag = |name| loaded::<BooleanArray>(table, name);
        let (agency, desk, contract) = (text("agency")?, text("desk")?, text("contract")?);
        let (rate, minimum, maximum) = (number("rate")?, number("minimum")?, number("maximum")?);
        let (vat, half_even) = (number("vat")?, flag("half_even")?);
        let (per_sum, gross) = (flag("per_sum")?, flag("gross")?);
        let schedule = |i: usize| Schedule {
            minimum: minimum.value(i),
            maximum: maximum.is_valid(i).then(|| maximum.value(i)),
            vat: vat.value(i),
            rounding: if half_even.value(i) { Rounding::HalfEven } else { Rounding::HalfAway },
            per_sum: per_sum.value(i),
            gross: gross.value(i),
            ..Schedule::default()
        };
        let deals: Vec<Deal> = (0..table.num_rows())
            .map(|i| {
                let (agency, desk) = (agency.value(i), desk.value(i));
                Deal::new(agency, desk, rate.value(i), schedule(i), contract.value(i))
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
        self.keys.size() + 160 * self.deals.capacity() + 4 * self.of.capacity()
    }
}
