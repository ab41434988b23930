//! The fold of a loan's reports and movements: what each movement books and what is still owed.
//!
//! A movement fills the debt of the newest report before it, less the movements since: penalty,
//! fee, interest, principal; what exceeds the debt is over. What it books is the difference
//! between the fill after it and the fill before it. The movements between two reports are a
//! segment. A reversal in its payment's segment leaves the loan as if the payment had never
//! come; one whose payment lies in an earlier segment reopens exactly what that payment booked.
//!
//! Everything here depends on the set of facts only, never on their order of arrival.

use super::history::{History, Movement, Target};

/// Penalty, fee, interest, principal, over, before the first report.
pub type Parts = [i64; 6];

/// What exceeds the debt.
pub const OVER: usize = 4;
/// Money older than the first report.
pub const BEFORE: usize = 5;

/// Whether a movement books anything, and if not, why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    #[default]
    Booked,
    /// A reversal whose payment has not come yet.
    Waiting,
    /// Another reversal of the same payment comes first.
    AlreadyReversed,
    /// Its amount is not the negative of its payment's.
    ReversalAmount,
    /// What it names is a reversal itself.
    ReversalTarget,
}

/// The debt of a stretch of movements and their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Debt {
    /// Penalty, fee, interest, principal when the stretch began.
    pub owed: [i64; 4],
    pub sum: i64,
}

impl Debt {
    /// How a sum fills a debt, in order.
    pub fn fill(&self) -> Parts {
        let mut filled = [0; 6];
        let mut left = self.sum;
        for (part, owed) in filled.iter_mut().zip(self.owed) {
            *part = left.clamp(0, owed.max(0));
            left -= *part;
        }
        filled[OVER] = left;
        filled
    }

    /// What is still owed.
    pub fn rest(&self) -> [i64; 4] {
        let filled = self.fill();
        std::array::from_fn(|i| self.owed[i].saturating_sub(filled[i]))
    }

    /// Adds a movement; the answer is what it books.
    pub fn book(&mut self, amount: i64) -> Parts {
        let before = self.fill();
        self.sum = self.sum.saturating_add(amount);
        difference(&self.fill(), &before)
    }
}

/// The outcome of a fold, by place of movement in order of arrival.
#[derive(Default)]
pub struct Fold {
    pub booked: Vec<(Standing, Parts)>,
    /// Places of movements in business order.
    pub order: Vec<u32>,
    /// Place of the newest report.
    pub newest: Option<u32>,
    /// What the newest report says and the movements after it.
    pub debt: Debt,
    /// Instant of the last movement in business order.
    pub last_at: i64,
    pub waiting: bool,
    reports: Vec<u32>,
    segments: Vec<u32>,
    winner: Vec<u32>,
    undone: Vec<bool>,
}

const NONE: u32 = u32::MAX;

/// Where in a segment the walk stands.
#[derive(Clone, Copy, Default)]
struct Walk {
    debt: Debt,
    /// What went over before the stretch began.
    over: i64,
    /// Places in business order where the segment and the stretch begin.
    segment_start: usize,
    stretch_start: usize,
}

impl Fold {
    /// Folds a history anew.
    pub fn run(&mut self, history: &History) {
        self.stand(history);
        self.sort(history);
        let mut walk = Walk::default();
        let mut segment = NONE;
        for i in 0..self.order.len() {
            let place = self.order[i] as usize;
            let movement = &history.movements[place];
            let own = self.segments[place];
            if own != segment || i == 0 {
                segment = own;
                walk = Walk { segment_start: i, stretch_start: i, ..Walk::default() };
                walk.debt.owed = self.owed(history, own);
            }
            if self.booked[place].0 == Standing::Booked {
                self.booked[place].1 = self.book(history, &mut walk, i, movement);
            }
        }
        self.newest = self.reports.last().copied();
        let newest = self.reports.len() as u32;
        self.debt = if newest > 0 && segment == newest && !self.order.is_empty() {
            walk.debt
        } else {
            Debt { owed: self.owed(history, newest), sum: 0 }
        };
    }

    /// What the report of a segment says; segment 0 lies before the first.
    fn owed(&self, history: &History, segment: u32) -> [i64; 4] {
        match segment.checked_sub(1).and_then(|report| self.reports.get(report as usize)) {
            Some(report) => history.reports[*report as usize].owed,
            None => [0; 4],
        }
    }

    /// Which movements stand: of several reversals of one payment the first in business order.
    fn stand(&mut self, history: &History) {
        let movements = &history.movements;
        self.booked.clear();
        self.booked.resize(movements.len(), (Standing::Booked, [0; 6]));
        self.winner.clear();
        self.winner.resize(movements.len(), NONE);
        self.waiting = false;
        for place in 0..movements.len() {
            let target = match movements[place].target {
                Target::None => continue,
                Target::Awaited(_) => {
                    self.waiting = true;
                    self.booked[place].0 = Standing::Waiting;
                    continue;
                }
                Target::Known(target) => target as usize,
            };
            let Some(payment) = movements.get(target) else {
                self.booked[place].0 = Standing::Waiting;
                continue;
            };
            if payment.target != Target::None {
                self.booked[place].0 = Standing::ReversalTarget;
            } else if movements[place].amount != -payment.amount {
                self.booked[place].0 = Standing::ReversalAmount;
            } else {
                let rival = self.winner[target];
                let first = rival == NONE
                    || key(history, &movements[place]) < key(history, &movements[rival as usize]);
                let loser = if first { rival } else { place as u32 };
                if first {
                    self.winner[target] = place as u32;
                }
                if loser != NONE {
                    self.booked[loser as usize].0 = Standing::AlreadyReversed;
                }
            }
        }
    }

    /// Business order, and the segment of every movement.
    fn sort(&mut self, history: &History) {
        self.reports.clear();
        self.reports.extend(0..history.reports.len() as u32);
        self.reports.sort_by(|a, b| {
            let (a, b) = (&history.reports[*a as usize], &history.reports[*b as usize]);
            (a.at, history.bytes(&a.id)).cmp(&(b.at, history.bytes(&b.id)))
        });
        self.order.clear();
        self.order.extend(0..history.movements.len() as u32);
        self.order.sort_by(|a, b| {
            let (a, b) = (*a as usize, *b as usize);
            let (one, two) = (&history.movements[a], &history.movements[b]);
            if simple(one) && simple(two) && one.at != two.at {
                return one.at.cmp(&two.at);
            }
            effective(history, one).cmp(&effective(history, two))
        });
        self.segments.clear();
        self.segments.resize(history.movements.len(), 0);
        self.last_at = i64::MIN;
        let mut segment = 0;
        for place in &self.order {
            let at = effective(history, &history.movements[*place as usize]).0;
            while self
                .reports
                .get(segment)
                .is_some_and(|report| history.reports[*report as usize].at < at)
            {
                segment += 1;
            }
            self.segments[*place as usize] = segment as u32;
            self.last_at = at;
        }
        self.undone.clear();
        self.undone.resize(history.movements.len(), false);
    }

    fn book(&mut self, history: &History, walk: &mut Walk, i: usize, one: &Movement) -> Parts {
        let place = self.order[i] as usize;
        let target = match one.target {
            Target::Known(target) => Some(target as usize),
            _ => None,
        };
        if self.segments[place] == 0 && target.is_none_or(|target| self.segments[target] == 0) {
            return [0, 0, 0, 0, 0, one.amount];
        }
        let Some(target) = target else { return walk.debt.book(one.amount) };
        if self.segments[target] != self.segments[place] {
            return self.reopen(walk, i, target);
        }
        self.undone[place] = true;
        self.undone[target] = true;
        // Was the payment booked in this very stretch, or before a reopening?
        if self.order[walk.stretch_start..i].contains(&(target as u32)) {
            return walk.debt.book(one.amount);
        }
        let before = *walk;
        self.again(history, walk, i);
        let mut parts = [0; 6];
        for (part, (now, then)) in
            parts.iter_mut().zip(walk.debt.rest().into_iter().zip(before.debt.rest()))
        {
            *part = then - now;
        }
        parts[OVER] = walk.over + walk.debt.fill()[OVER] - before.over - before.debt.fill()[OVER];
        parts
    }

    /// A reversal from beyond the segment: its payment's booking is owed again.
    fn reopen(&self, walk: &mut Walk, i: usize, target: usize) -> Parts {
        let booked = self.booked[target].1;
        let rest = walk.debt.rest();
        walk.over += walk.debt.fill()[OVER] - booked[OVER];
        walk.debt.owed = std::array::from_fn(|part| rest[part].saturating_add(booked[part]));
        walk.debt.sum = 0;
        walk.stretch_start = i + 1;
        booked.map(|part| -part)
    }

    /// Walks a segment once more up to `i`, without the payments undone inside it.
    fn again(&self, history: &History, walk: &mut Walk, i: usize) {
        let start = walk.segment_start;
        let segment = self.segments[self.order[i] as usize];
        let mut fresh = Walk { segment_start: start, stretch_start: start, ..Walk::default() };
        fresh.debt.owed = self.owed(history, segment);
        for at in start..=i {
            let place = self.order[at] as usize;
            let movement = &history.movements[place];
            if self.undone[place] || self.booked[place].0 != Standing::Booked {
                continue;
            }
            match movement.target {
                Target::Known(target) => {
                    self.reopen(&mut fresh, at, target as usize);
                }
                _ => {
                    fresh.debt.book(movement.amount);
                }
            }
        }
        *walk = fresh;
    }
}

/// Business order of what stands by itself; a reversal cannot come before its payment, and one
/// that claims to takes effect right after it.
fn effective<'a>(history: &'a History, one: &'a Movement) -> (i64, &'a [u8], bool, &'a [u8]) {
    let own = key(history, one);
    if let Target::Known(target) = one.target
        && let Some(payment) = history.movements.get(target as usize)
        && payment.target == Target::None
        && own < key(history, payment)
    {
        return (payment.at, history.bytes(&payment.id), true, own.1);
    }
    (own.0, own.1, false, &[])
}

fn simple(one: &Movement) -> bool {
    one.target == Target::None
}

fn key<'a>(history: &'a History, one: &Movement) -> (i64, &'a [u8]) {
    (one.at, history.bytes(&one.id))
}

/// What changed from one set of parts to another.
pub fn difference(now: &Parts, then: &Parts) -> Parts {
    std::array::from_fn(|i| now[i] - then[i])
}
