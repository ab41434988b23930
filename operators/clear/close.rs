//! The end of a round: solve, deal, say.

use crate::dispatch::market::SCALE;
use crate::dispatch::says::Place;

use super::Clear;
use super::cents::whole_cents;
use super::demand;
use super::pool::Pool;
use super::says::{Quota, Report};
use super::solve::{Effort, solve_amid};

/// How long a round may search: enough for a cold start on the largest market we know.
const EFFORT: Effort = Effort { evaluations_max: 600, gap_enough: 2e-6 };
/// Rounds whose certificates may still change.
const ROUNDS_KEPT: usize = 4;

impl Clear {
    /// Ends the round at hand: finds bid prices, deals what the pools hold, says both.
    pub fn close(&mut self, place: Place) {
        self.open = false;
        self.round += 1;
        let place = Place { at: self.tick_at.or(place.at), ..place };
        let limits: Vec<f64> = self
            .desks
            .iter()
            .map(|pool| pool.available().map_or(f64::INFINITY, |left| left as f64))
            .collect();
        let round = demand::round(&self.market, &self.demand, self.day, limits);
        let start: Vec<f64> = self.desks.iter().map(|pool| pool.bid as f64).collect();
        let solved = solve_amid(&round.problem, &start, EFFORT);
        let mut bids = Vec::with_capacity(solved.bids.len());
        let cents = whole_cents(&round.problem, &solved.bids);
        for (pool, bid) in self.desks.iter_mut().zip(cents) {
            pool.bid = bid;
            // Where nothing is left to deal, whoever asks is counted at the next best.
            let none = pool.available() == Some(0);
            bids.push(if none { f64::INFINITY } else { bid as f64 });
        }
        let asked = round.asked(&bids, self.shards, self.quotas.len());
        let nobody = round.problem.classes.is_empty() && !self.demand.is_empty();
        let gap = solved.gap();
        let note = if nobody {
            "nobody may take what waits"
        } else if gap > 1e-3 && solved.evaluations >= EFFORT.evaluations_max {
            "the search ended before it was done"
        } else {
            ""
        };
        drop(round);
        self.deal(place, &asked);
        let mut report = self.answerers(place);
        report.expected = (gap * 1e9) as i128;
        report.evaluations = solved.evaluations as i64;
        report.note = note.into();
        self.reports.insert(self.round, report);
        self.certify(place);
    }

    fn answerers(&self, place: Place) -> Report {
        let silent: Vec<String> = (0..self.shards as u32)
            .filter(|shard| !self.answered.contains(shard))
            .map(|shard| shard.to_string())
            .collect();
        Report {
            round: self.round,
            at: place.at,
            answered: self.answered.len() as i64,
            silent: silent.join("|"),
            ..Report::default()
        }
    }

    /// Deals every pool, and says what is new of it.
    fn deal(&mut self, place: Place, asked: &demand::Asked) {
        let said_before = self.quoted.len();
        for number in 0..self.desks.len() {
            let pool = &mut self.desks[number];
            let shares = pool.deal(&asked.desks[number]);
            let amounts = pool.deal_amount(&asked.amounts[number]);
            let desk = &self.market.desks[number];
            let names = ("desk", Some(desk.id.clone()), None, desk.agency.clone());
            self.quoted.extend(quota(pool, self.round, names, shares, amounts).map(|q| (place, q)));
        }
        for number in 0..self.quotas.len() {
            let pool = &mut self.quotas[number];
            let shares = pool.deal(&asked.quotas[number]);
            let (lender, agency) = self.market.quotas[number].clone();
            let names = ("contract", None, Some(lender), agency);
            self.quoted.extend(quota(pool, self.round, names, shares, None).map(|q| (place, q)));
        }
        if self.quoted.len() > said_before {
            let priced = |pool: &Pool| i128::from(pool.bid) * i128::from(pool.left().max(0));
            let kept: i128 = self.desks.iter().map(priced).sum();
            self.kept.insert(self.round, kept * SCALE);
        }
    }

    /// Sums what shards reached, and says every round whose certificate is new.
    fn certify(&mut self, place: Place) {
        for (round, shards) in &self.windows {
            let report = self.reports.entry(*round).or_default();
            report.round = *round;
            report.value = shards.values().map(|reached| reached.0).sum();
            report.bound = shards.values().map(|reached| reached.1).sum();
            report.bound += self.kept.get(round).copied().unwrap_or(0);
            for at in 0..3 {
                report.counts[at] = shards.values().map(|reached| reached.2[at]).sum();
            }
            if *round != self.round {
                self.reported.push((place, report.clone()));
            }
        }
        if let Some(report) = self.reports.get(&self.round) {
            self.reported.push((place, report.clone()));
        }
        // The window in force is always kept, however many quiet rounds have passed.
        while self.windows.len() > ROUNDS_KEPT {
            self.windows.pop_first();
        }
        let oldest = self.windows.keys().next().copied().unwrap_or(0);
        let recent = self.round - ROUNDS_KEPT as i64;
        self.reports.retain(|round, _| *round >= oldest || *round > recent);
        self.kept.retain(|round, _| *round >= oldest || *round > recent);
    }
}

/// A row about a pool, if there is news of it.
fn quota(
    pool: &mut Pool,
    round: i64,
    names: (&'static str, Option<String>, Option<String>, String),
    shares: Vec<i64>,
    amounts: Option<Vec<i64>>,
) -> Option<Quota> {
    if pool.capacity.is_none() && pool.amount_max.is_none() && pool.said.is_none() {
        return None;
    }
    let said = pool.state();
    let dealt = shares.iter().any(|share| *share != 0)
        || amounts.as_ref().is_some_and(|list| list.iter().any(|amount| *amount != 0));
    if pool.said == Some(said) && !dealt {
        return None;
    }
    pool.said = Some(said);
    let (kind, desk, lender, agency) = names;
    let (left, amount_left) = (pool.left(), pool.amount_left());
    Some(Quota { kind, round, desk, lender, agency, said, shares, amounts, left, amount_left })
}
