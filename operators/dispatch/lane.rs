//! The fast way to a decision: most cases are one loan of a kind, and cases of a kind differ only
//! in their price. For them [`super::core`] keeps the envelope of each kind, with and without the
//! desks that are full, and a case that waits costs a look-up a round.
//!
//! Cases of several loans, cases that left a desk before, and kinds with limits that depend on
//! the case (amounts, lenders' quotas) go the long way, which looks at every desk.

use super::Dispatch;
use super::cases::{MARKED, NONE};
use super::core::{Line, NOBODY, Place, Table, crossing};
use super::market::{Market, Offer};
use super::shares::{Room, Share};

/// A case of one loan, as the fast way sees it.
#[derive(Clone, Copy, Debug)]
pub struct Plain {
    pub loan: u32,
    pub kind: usize,
    pub price: i64,
}

/// Envelopes by kind; a kind has the number of its terms.
pub struct Lane {
    /// Without the desks that are full.
    open: Table,
    /// With all of them: what a case could bring if it had the choice.
    all: Table,
    /// By kind: the least price worth placing anywhere; `None` where cases go the long way.
    least: Vec<Option<i64>>,
    /// Desks by rank.
    desks: Vec<u16>,
    value_min: i64,
}

impl Lane {
    /// Begins anew for these desks.
    pub fn new(market: &Market, shares: &[Share], value_min: i64) -> Self {
        let mut desks = vec![0; market.rank.len()];
        for (desk, rank) in market.rank.iter().enumerate() {
            desks[usize::from(*rank)] = desk as u16;
        }
        let bid = |desk: &u16| shares.get(usize::from(*desk)).map_or(0, |share| share.bid);
        let place = |desk: &u16| Place { bid: bid(desk), left: 0, later: false };
        let table = || Table::new(&[], desks.iter().map(place).collect(), value_min);
        Lane { open: table(), all: table(), least: Vec::new(), desks, value_min }
    }

    fn add(&mut self, market: &Market, offers: &[Offer]) {
        let desk = |offer: &Offer| &market.desks[usize::from(offer.desk)];
        let plain = offers.iter().all(|offer| {
            offer.quota.is_none() && offer.slope >= 0 && desk(offer).amount_max.is_none()
        });
        let first = |offer: &&Offer| matches!(desk(offer).tier, 0 | 1);
        let line = |offer: &Offer| Line {
            desk: market.rank[usize::from(offer.desk)],
            slope: offer.slope,
            cost: offer.cost,
        };
        let taken = offers.iter().filter(|offer| plain && first(offer));
        let lines: Vec<Line> = taken.map(line).collect();
        self.open.add(&lines);
        self.all.add(&lines);
        let worth = |line: &Line| {
            let least = line.cost.saturating_add(self.value_min).saturating_mul(100);
            crossing(least, 0, line.slope, false)
        };
        let least = lines.iter().map(worth).min().unwrap_or(i64::MAX);
        self.least.push(plain.then_some(least));
    }

    /// What a case could bring beyond the bid price of its best desk, full or not.
    pub fn surplus(&mut self, case: Plain) -> i128 {
        self.all.surplus(case.kind, case.price).max(0)
    }

    /// Whether a case is worth placing anywhere, whatever capacity costs.
    pub fn worth(&self, case: Plain) -> bool {
        self.least[case.kind].is_some_and(|least| least < i64::MAX && case.price >= least)
    }

    /// Hears what desks cost now, and which of them have room again.
    pub fn hear(&mut self, shares: &[Share]) {
        for (rank, desk) in self.desks.iter().enumerate() {
            let share = &shares[usize::from(*desk)];
            self.open.set_bid(rank as u16, share.bid);
            self.all.set_bid(rank as u16, share.bid);
            if share.room(0) != Room::Full {
                self.open.reopen(rank as u16);
            }
        }
    }

    /// A place at a desk is free.
    pub fn free(&mut self, market: &Market, desk: u16, share: &Share) {
        if share.room(0) != Room::Full {
            self.open.reopen(market.rank[usize::from(desk)]);
        }
    }

    /// The best desk with room here and now. A better one that will have some later holds the
    /// case, and so does a bid price above its worth.
    fn choose(&mut self, case: Plain, shares: &[Share]) -> Option<u16> {
        loop {
            let rank = self.open.best(case.kind, case.price);
            if rank == NOBODY {
                return None;
            }
            let desk = self.desks[usize::from(rank)];
            match shares[usize::from(desk)].room(0) {
                Room::Open => return Some(desk),
                Room::Later => return None,
                Room::Full => self.open.close(rank),
            }
        }
    }
}

impl Dispatch {
    /// The one loan of a case that may take the fast way, with its kind and its price.
    pub fn plain(&mut self, case: u32, day: i32) -> Option<Plain> {
        if self.cases.flags[case as usize] & MARKED != 0 {
            return None;
        }
        let mut only = None;
        let mut loan = self.cases.head[case as usize];
        while loan != NONE {
            if self.open(loan) {
                if only.is_some() {
                    return None;
                }
                only = Some(loan);
            }
            loan = self.loans.next[loan as usize];
        }
        let loan = only?;
        let segment = self.loans.segment[loan as usize];
        let kind = self.terms.row(&self.market, &self.segments, segment, day);
        while self.lane.least.len() <= kind {
            let offers = self.terms.offers(self.lane.least.len());
            self.lane.add(&self.market, offers);
        }
        self.lane.least[kind]?;
        Some(Plain { loan, kind, price: self.loans.price.get(loan) })
    }

    /// The desk a plain case goes to, here and now.
    pub fn choose_fast(&mut self, case: Plain) -> Option<u16> {
        self.lane.choose(case, &self.desks)
    }
}
