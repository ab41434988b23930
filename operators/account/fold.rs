//! The fold of a loan's reports and movements: what each movement books and what is still owed.
//!
//! A payment fills the debt of the newest report before it, less the movements since, in the order
//! of the loan's waterfall; what exceeds the debt is over. What it books is the difference between
//! the fill after it and the fill before it. The movements between two reports are a segment. A
//! reversal in its payment's segment leaves the loan as if the payment had never come; one whose
//! payment lies in an earlier segment reopens exactly what that payment booked. What changes the
//! debt itself (a fee, a waiver, money paid out) begins a new stretch of fills. Where a report has
//! a schedule, its segment is walked by instalment (`plan`).
//!
//! Everything here depends on the set of facts only, never on their order of arrival.

use super::acts::Act;
use super::debt::{BEFORE, Booked, Debt, OVER, Opening, Parts, Stands, Walk, difference};
use super::history::{History, Movement, Target};
use super::loans::day_of;
use super::plan::Plan;
use super::waterfalls::Standing;
use crate::memory::Keys;
use crate::settle::waterfall::Item;

/// The outcome of a fold, by place of movement in order of arrival.
#[derive(Default)]
pub struct Fold {
    pub booked: Vec<Booked>,
    /// Places of movements in business order.
    pub order: Vec<u32>,
    /// Place of the newest report.
    pub newest: Option<u32>,
    /// What the newest report says and the movements after it.
    pub debt: Debt,
    /// What of it is open by instalment, where the newest report has a schedule.
    pub items: Option<Vec<Item>>,
    /// How the loan stands after all.
    pub standing: Standing,
    /// Instant of the last movement in business order.
    pub last_at: i64,
    pub waiting: bool,
    reports: Vec<u32>,
    segments: Vec<u32>,
    winner: Vec<u32>,
    undone: Vec<bool>,
}

const NONE: u32 = u32::MAX;

impl Fold {
    /// Folds a history anew. Texts hold the rules of advanced allocations.
    pub fn run(&mut self, history: &History, texts: &Keys) {
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
                walk.open(i, self.opening(history, texts, own));
            }
            if self.booked[place].stands == Stands::Booked {
                let balance = walk.balance();
                let day = day_of(movement.at);
                let days = walk.plan.as_ref().map(|plan| plan.days_past_due(day));
                let report = own.checked_sub(1).map(|report| self.reports[report as usize]);
                let mut booked = self.book((history, texts), &mut walk, i, movement);
                booked.balance = balance;
                booked.days = days;
                booked.report = report;
                self.booked[place] = booked;
            }
        }
        self.newest = self.reports.last().copied();
        self.standing = walk.standing();
        let newest = self.reports.len() as u32;
        if newest == 0 || segment != newest || self.order.is_empty() {
            walk.open(self.order.len(), self.opening(history, texts, newest));
        }
        self.debt = walk.end();
        self.items = walk.plan.map(|plan| plan.items);
    }

    /// What the report of a segment says, and its orders; segment 0 lies before the first.
    fn opening(&self, history: &History, texts: &Keys, segment: u32) -> Opening {
        let report = segment.checked_sub(1).and_then(|report| self.reports.get(report as usize));
        let Some(report) = report.map(|report| &history.reports[*report as usize]) else {
            return Opening::default();
        };
        let rules = report.rules.checked_sub(1).filter(|row| (*row as usize) < texts.len());
        let rules = rules.map_or("", |row| texts.key(row));
        let schedule = history.bytes(&report.schedule);
        let plan = (!schedule.is_empty()).then(|| Plan::open(schedule, rules));
        Opening { owed: report.owed, orders: report.orders, plan }
    }

    /// Which movements stand: of several that take one payment back the first in business order.
    fn stand(&mut self, history: &History) {
        let movements = &history.movements;
        self.booked.clear();
        self.booked.resize(movements.len(), Booked::default());
        self.winner.clear();
        self.winner.resize(movements.len(), NONE);
        self.waiting = false;
        for place in 0..movements.len() {
            let one = &movements[place];
            let target = match one.target {
                Target::None => continue,
                Target::Awaited(_) => {
                    self.waiting = true;
                    self.booked[place].stands = Stands::Waiting;
                    continue;
                }
                Target::Known(target) => target as usize,
            };
            let Some(payment) = movements.get(target) else {
                self.booked[place].stands = Stands::Waiting;
                continue;
            };
            let back = one.act == Act::Chargeback;
            let fits = if back {
                -one.amount <= payment.amount
            } else {
                one.amount == payment.amount.saturating_neg()
            };
            if !payment.act.may_be_undone() || back && !payment.act.pays() {
                self.booked[place].stands = Stands::ReversalTarget;
            } else if !fits {
                self.booked[place].stands = Stands::ReversalAmount;
            } else {
                let rival = self.winner[target];
                let first =
                    rival == NONE || key(history, one) < key(history, &movements[rival as usize]);
                let loser = if first { rival } else { place as u32 };
                if first {
                    self.winner[target] = place as u32;
                }
                if loser != NONE {
                    self.booked[loser as usize].stands = Stands::AlreadyReversed;
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

    /// What one movement books, and what it leaves of the debt.
    fn book(
        &mut self,
        (history, texts): (&History, &Keys),
        walk: &mut Walk,
        i: usize,
        one: &Movement,
    ) -> Booked {
        let place = self.order[i] as usize;
        let target = match one.target {
            Target::Known(target) => Some(target as usize),
            _ => None,
        };
        let code = walk.debt.code;
        let booked = |parts, recovered| Booked { parts, recovered, code, ..Booked::default() };
        if self.segments[place] == 0 && target.is_none_or(|target| self.segments[target] == 0) {
            let mut parts = [0; 6];
            parts[BEFORE] = if one.act.is_money() { one.amount } else { 0 };
            match target.filter(|_| one.act.undoes()) {
                Some(target) => {
                    parts = self.booked[target].parts.map(|part| -part);
                    walk.stand(history.movements[target].act, -1, i);
                }
                None => walk.stand(one.act, 1, i),
            }
            return booked(parts, false);
        }
        let recovered = walk.standing() == Standing::WrittenOff;
        match target {
            Some(target) if one.act.undoes() => {
                let parts = self.undo((history, texts), walk, i, target);
                walk.credit += parts[OVER];
                booked(parts, self.booked[target].recovered)
            }
            Some(target) => {
                let parts = walk.take(one, i);
                booked(parts, self.booked[target].recovered)
            }
            None => booked(walk.take(one, i), recovered),
        }
    }

    /// A reversal or return of a movement.
    fn undo(
        &mut self,
        (history, texts): (&History, &Keys),
        walk: &mut Walk,
        i: usize,
        target: usize,
    ) -> Parts {
        let place = self.order[i] as usize;
        let act = history.movements[target].act;
        let here = self.segments[target] == self.segments[place];
        self.undone[place] |= here;
        self.undone[target] |= here;
        let booked = self.booked[target].parts;
        if !here && act == Act::ChargeOff {
            // Debt was not changed by it: only the order of what follows was.
            walk.stand(act, -1, i);
            return booked.map(|part| -part);
        }
        if !here {
            let parts = walk.reopen(i, day_of(history.movements[place].at), &booked);
            walk.stand(act, -1, i);
            return parts;
        }
        // Was the payment booked in this very stretch, or before a reopening?
        let sums = act.pays() && walk.plan.is_none();
        if sums && self.order[walk.stretch_start..i].contains(&(target as u32)) {
            return walk.debt.book(-history.movements[target].amount);
        }
        let before = walk.clone();
        self.again((history, texts), walk, i);
        let parts = walk.changed_since(&before);
        if act == Act::ChargeOff { difference(&parts, &booked) } else { parts }
    }

    /// Walks a segment once more up to `i`, without what was undone inside it.
    fn again(&self, (history, texts): (&History, &Keys), walk: &mut Walk, i: usize) {
        let segment = self.segments[self.order[i] as usize];
        let mut fresh = walk.start();
        fresh.open(walk.segment_start, self.opening(history, texts, segment));
        for at in walk.segment_start..=i {
            let place = self.order[at] as usize;
            let movement = &history.movements[place];
            if self.undone[place] || self.booked[place].stands != Stands::Booked {
                continue;
            }
            match movement.target {
                Target::Known(target) if movement.act.undoes() => {
                    let target = target as usize;
                    let act = history.movements[target].act;
                    if act != Act::ChargeOff {
                        let day = day_of(movement.at);
                        let parts = fresh.reopen(at, day, &self.booked[target].parts);
                        fresh.credit += parts[OVER];
                    }
                    fresh.stand(act, -1, at);
                }
                _ => {
                    fresh.take(movement, at);
                }
            }
        }
        // What the reversal gives back is added once, by whoever asked.
        fresh.credit = walk.credit;
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
