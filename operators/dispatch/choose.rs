//! What a case is worth at every desk that may take it, and which of them has room.
//!
//! Values are exact: cents times 10^12, in 128 bits. Nothing here changes memory but caches.

use super::Dispatch;
use super::cases::{NO_DESK, NONE, Status, UNPRICED};
use super::market::{BID, Market, Offer, SCALE};
use super::says::Place;
use super::shares::Room;

/// A desk that may take a case: what the case is worth there, and what is left of that once the
/// desk's bid price is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub desk: u16,
    pub quota: Option<u16>,
    pub value: i128,
    pub net: i128,
}

/// Where a case goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The place of the chosen desk among the candidates.
    pub taken: Option<usize>,
    /// Better desks that were full.
    pub full: Vec<u16>,
}

impl Choice {
    /// That desk, all better ones being full.
    pub fn of(ranked: &[Candidate], desk: u16) -> Self {
        let taken = ranked.iter().position(|candidate| candidate.desk == desk);
        let better = &ranked[..taken.unwrap_or(0)];
        Choice { taken, full: better.iter().map(|candidate| candidate.desk).collect() }
    }
}

impl Dispatch {
    /// The desks that may take all open priced loans of a case, best first. A desk whose bid
    /// price exceeds the value stands in the list, below zero: it may become affordable.
    pub fn candidates(&mut self, case: u32, day: i32) -> Vec<Candidate> {
        let mut list: Vec<Candidate> = Vec::new();
        let mut first = true;
        let mut loan = self.cases.head[case as usize];
        while loan != NONE {
            let row = loan as usize;
            if self.open(loan) {
                let price = i128::from(self.loans.price.get(loan));
                let segment = self.loans.segment[row];
                let offers = self.terms.find(&self.market, &self.segments, segment, day);
                let worth =
                    |offer: &Offer| price * i128::from(offer.slope) - cost(i128::from(offer.cost));
                if first {
                    list.extend(offers.iter().map(|offer| Candidate {
                        desk: offer.desk,
                        quota: offer.quota,
                        value: worth(offer),
                        net: 0,
                    }));
                } else {
                    join(&mut list, offers, &self.market.rank, worth);
                }
                first = false;
            }
            loan = self.loans.next[row];
        }
        self.exclude(case, day, &mut list);
        let value_min = cost(i128::from(self.rules.value_min));
        list.retain(|candidate| candidate.value > value_min);
        for candidate in &mut list {
            let bid = self.desks[usize::from(candidate.desk)].bid;
            candidate.net = candidate.value - paid(bid);
        }
        let rank = &self.market.rank;
        list.sort_by(|a, b| {
            b.net.cmp(&a.net).then(rank[usize::from(a.desk)].cmp(&rank[usize::from(b.desk)]))
        });
        list
    }

    /// Whether a loan takes part in its case: something is owed, and it has a price.
    pub fn open(&self, loan: u32) -> bool {
        self.loans.balance.get(loan) > 0 && self.loans.price.get(loan) != UNPRICED
    }

    /// Takes out desks that this case may not go to: where it was before, the same group, desks of
    /// another tier, and those that a rule forbids.
    fn exclude(&self, case: u32, day: i32, list: &mut Vec<Candidate>) {
        let marks = self.marks.get(&case).map_or(&[][..], |marks| marks.as_slice());
        list.retain(|candidate| {
            admits(&self.market, marks, candidate.desk)
                && !self.is_excluded(case, candidate.desk, day)
        });
    }

    /// Why a loan waits, in words.
    pub fn reason(&mut self, loan: u32, day: i32) -> &'static str {
        let case = self.loans.case[loan as usize];
        if self.loans.status(loan) == Status::Unpriced {
            return "it has no price";
        }
        if self.cases.desk[case as usize] != NO_DESK {
            return "its case is at a desk that may not take it";
        }
        match self.candidates(case, day).first() {
            None => "nobody may take it, or it is worth too little",
            Some(best) if best.net < 0 => "places cost more than it is worth",
            Some(_) => "no place is free yet where it is worth most",
        }
    }

    /// Whether a case may not go back to a desk: it was recalled from there or from another of
    /// its group, or a rule forbids it.
    pub fn is_closed(&self, place: Place, case: u32, desk: u16) -> bool {
        let marks = self.marks.get(&case).map_or(&[][..], |marks| marks.as_slice());
        has_left(&self.market, marks, desk) || self.is_excluded(case, desk, self.day(place))
    }

    /// The first candidate with room. A better one that will have some later holds the case.
    pub fn choose(&self, ranked: &[Candidate], amount: i64, leaving: Option<u16>) -> Choice {
        let mut choice = Choice::default();
        for (place, candidate) in ranked.iter().enumerate() {
            if candidate.net < 0 {
                break;
            }
            match self.room(candidate, amount, leaving) {
                Room::Open => {
                    choice.taken = Some(place);
                    break;
                }
                Room::Later => break,
                Room::Full => choice.full.push(candidate.desk),
            }
        }
        choice
    }

    /// Room at a desk and in its lender's quota. A case that moves between desks of one agency
    /// needs no new place in the quota.
    pub fn room(&self, candidate: &Candidate, amount: i64, leaving: Option<u16>) -> Room {
        let desk = self.desks[usize::from(candidate.desk)].room(amount);
        let agency = |desk: u16| &self.market.desks[usize::from(desk)].agency;
        let stays = leaving.is_some_and(|left| agency(left) == agency(candidate.desk));
        let quota = match candidate.quota {
            Some(quota) if !stays => self.quotas[usize::from(quota)].room(0),
            _ => Room::Open,
        };
        match (desk, quota) {
            (Room::Open, Room::Open) => Room::Open,
            (Room::Full, _) | (_, Room::Full) => Room::Full,
            _ => Room::Later,
        }
    }

    /// What the loans of a case are worth where they are, on today's terms. Nobody can say while
    /// one of them has lost its price.
    pub fn standing(&self, case: u32, desk: u16, day: i32) -> Option<i128> {
        let mut sum = 0;
        let mut loan = self.cases.head[case as usize];
        while loan != NONE {
            let row = loan as usize;
            if self.placed(loan) {
                if !self.open(loan) {
                    return None;
                }
                sum += self.worth(loan, desk, day).unwrap_or(0);
            }
            loan = self.loans.next[row];
        }
        Some(sum)
    }

    /// What all open priced loans of a case are worth at a desk that may take every one of them.
    pub fn whole(&mut self, case: u32, desk: u16, day: i32) -> Option<i128> {
        let mut sum = 0;
        let mut loan = self.cases.head[case as usize];
        while loan != NONE {
            let row = loan as usize;
            if self.open(loan) {
                let segment = self.loans.segment[row];
                let offers = self.terms.find(&self.market, &self.segments, segment, day);
                let offer = offers.iter().find(|offer| offer.desk == desk)?;
                let price = i128::from(self.loans.price.get(loan));
                sum += price * i128::from(offer.slope) - cost(i128::from(offer.cost));
            }
            loan = self.loans.next[row];
        }
        Some(sum)
    }

    /// What one loan is worth at a desk, eligible or not.
    pub fn worth(&self, loan: u32, desk: u16, day: i32) -> Option<i128> {
        let row = loan as usize;
        let segment = self.loans.segment[row];
        let bucket = usize::from(*self.segments.bucket.get(segment as usize)?);
        let offer = self.market.terms(desk, self.segments.lender(segment), bucket, day)?;
        let price = i128::from(self.loans.price.get(loan));
        Some(price * i128::from(offer.slope) - cost(i128::from(offer.cost)))
    }
}

/// Cents at the scale of values.
pub fn cost(cents: i128) -> i128 {
    cents * SCALE
}

/// A bid price at the scale of values.
pub fn paid(bid: i64) -> i128 {
    i128::from(bid) * BID
}

/// Whether a case that has left these desks may go to another one.
pub fn admits(market: &Market, marks: &[u16], desk: u16) -> bool {
    let offered = &market.desks[usize::from(desk)];
    let turn = marks.len() as i32 + 1;
    if offered.tier != 0 && offered.tier != turn {
        return false;
    }
    !has_left(market, marks, desk)
}

/// Whether one of these desks is this one, or of its group.
fn has_left(market: &Market, marks: &[u16], desk: u16) -> bool {
    let offered = &market.desks[usize::from(desk)];
    marks.iter().any(|mark| {
        let left = &market.desks[usize::from(*mark)];
        *mark == desk || !left.group.is_empty() && left.group == offered.group
    })
}

/// Keeps the desks that take this loan too, and adds what it is worth there. Both sides are in
/// the order of desk ids.
fn join(list: &mut Vec<Candidate>, offers: &[Offer], rank: &[u16], worth: impl Fn(&Offer) -> i128) {
    let mut at = 0;
    list.retain_mut(|candidate| {
        let place = rank[usize::from(candidate.desk)];
        while offers.get(at).is_some_and(|offer| rank[usize::from(offer.desk)] < place) {
            at += 1;
        }
        match offers.get(at) {
            Some(offer) if offer.desk == candidate.desk => {
                candidate.value += worth(offer);
                true
            }
            _ => false,
        }
    });
}
