//! Terms: what desks offer for each kind of loan, and what was fixed when a loan was placed.

use std::collections::BTreeMap;

use super::cases::{NO_DESK, Segments};
use super::market::{Market, Offer};
use crate::memory::Keys;

/// What a placement fixed: its desk, the commission rate in millionths, yield and cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fixed {
    pub desk: u16,
    pub commission: i64,
    pub slope: i64,
    pub cost: i64,
}

/// Fixed terms by number, so that a loan keeps four bytes of them. Number 0 is nobody.
pub struct FixedTerms {
    pub list: Vec<Fixed>,
    numbers: BTreeMap<Fixed, u32>,
}

impl Default for FixedTerms {
    fn default() -> Self {
        let nobody = Fixed { desk: NO_DESK, commission: 0, slope: 0, cost: 0 };
        FixedTerms { list: vec![nobody], numbers: BTreeMap::from([(nobody, 0)]) }
    }
}

impl FixedTerms {
    pub fn get(&self, number: u32) -> Fixed {
        self.list[number as usize]
    }

    pub fn number(&mut self, terms: Fixed) -> u32 {
        let next = self.list.len() as u32;
        let number = *self.numbers.entry(terms).or_insert(next);
        if number == next {
            self.list.push(terms);
        }
        number
    }
}

/// The terms of every kind of loan, looked up once per kind and epoch of contracts.
#[derive(Default)]
pub struct Terms {
    keys: Keys,
    offers: Vec<Vec<Offer>>,
    /// By segment: the epoch it was last looked up for, and the number found.
    latest: Vec<Option<(u32, u32)>>,
}

impl Terms {
    /// Forgets everything: reference data changed.
    pub fn clear(&mut self) {
        *self = Terms::default();
    }

    /// What desks offer for a segment on a day.
    pub fn find(
        &mut self,
        market: &Market,
        segments: &Segments,
        segment: u32,
        day: i32,
    ) -> &[Offer] {
        let row = self.row(market, segments, segment, day);
        &self.offers[row]
    }

    /// What desks offer on terms of this number.
    pub fn offers(&self, row: usize) -> &[Offer] {
        &self.offers[row]
    }

    /// The number of the terms of a segment on a day.
    pub fn row(&mut self, market: &Market, segments: &Segments, segment: u32, day: i32) -> usize {
        let epoch = market.epoch(day);
        let index = segment as usize;
        if self.latest.len() <= index {
            self.latest.resize(index + 1, None);
        }
        if let Some((known, row)) = self.latest[index]
            && known == epoch
        {
            return row as usize;
        }
        let (province, product, lender) = segments.parts(segment);
        let bucket = usize::from(segments.bucket[index]);
        let who = if market.contracted { lender } else { "" };
        let key = format!("{epoch}\u{1f}{bucket}\u{1f}{province}\u{1f}{product}\u{1f}{who}");
        let (row, fresh) = self.keys.row(&key);
        if fresh {
            self.offers.push(market.offers(who, province, product, bucket, day));
        }
        self.latest[index] = Some((epoch, row));
        row as usize
    }

    pub fn size(&self) -> usize {
        let offers: usize = self.offers.iter().map(|offers| offers.len()).sum();
        offers * size_of::<Offer>() + self.latest.len() * 12 + self.keys.size()
    }
}
