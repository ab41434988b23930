//! The end of a round: solve, deal, say.

use crate::dispatch::market::BID;
use crate::dispatch::says::Place;

use super::Clear;
use super::demand;
use super::forecast::{Forecast, Outlook};
use super::pool::Pool;
use super::says::{Quota, Report};
use super::solve::{BIDS_PER_CENT, Effort, said, solve_amid};

/// So many cases that their bid prices should not be far from those of the round before.
const CROWD: f64 = 100.0;
/// Rounds whose certificates may still change.
const ROUNDS_KEPT: usize = 4;

impl Clear {
    /// Ends the round at hand: finds bid prices, deals what the pools hold, says both.
    pub fn close(&mut self, place: Place) {
        self.open = false;
        self.round += 1;
        let place = Place { at: self.tick_at.or(place.at), ..place };
        let outlook = self.look_ahead(place);
        let limit = |limit: Option<i64>| limit.map_or(f64::INFINITY, |left| left as f64);
        let there = self.desks.iter().map(|pool| limit(pool.available())).collect();
        let market = (&self.market, self.day);
        let mut round =
            demand::round(market, &mut self.known, &self.demand, outlook.as_ref(), there);
        if let Some(outlook) = &outlook {
            for (number, pool) in self.desks.iter().enumerate() {
                let freed = outlook.freed.get(&(number as u16)).copied().unwrap_or(0);
                round.problem.capacity[number] = limit(pool.planned(freed, outlook.rounds));
            }
        }
        let start: Vec<f64> =
            self.desks.iter().map(|pool| pool.bid as f64 / BIDS_PER_CENT).collect();
        let effort = Effort::of(&round.problem, outlook.is_some());
        let solved = solve_amid(&round.problem, &start, effort);
        let mut bids = Vec::with_capacity(solved.bids.len());
        for (pool, bid) in self.desks.iter_mut().zip(said(&round.problem, &solved.bids)) {
            pool.bid = bid;
            // Where nothing is left to deal, whoever asks is counted at the next best.
            let none = pool.available() == Some(0);
            bids.push(if none { f64::INFINITY } else { bid as f64 / BIDS_PER_CENT });
        }
        let asked = round.asked(&bids, self.shards, self.quotas.len());
        let nobody = round.problem.classes.is_empty() && !self.demand.is_empty();
        let ended = solved.gap() > 1e-3 && solved.evaluations >= effort.evaluations_max;
        let anew = solved.anew && round.problem.cases() >= CROWD;
        drop(round);
        let nowhere: i64 = self.nowhere.values().sum();
        let notes = self.notes([nobody, anew, ended], outlook.as_ref());
        let places = self.places();
        self.deal(place, &asked);
        let mut report = self.answerers(place);
        (report.places, report.nowhere) = (places, nowhere);
        report.expected = (solved.gap() * 1e9) as i128;
        report.evaluations = solved.evaluations as i64;
        report.note = notes.join("; ");
        if let Some(outlook) = outlook {
            report.forecast = Some([outlook.arrived, outlook.expected, outlook.rest]);
        }
        self.reports.insert(self.round, report);
        self.certify(place);
    }

    /// At desks with a limit: places there are, taken ones, and shares unspent before this round.
    fn places(&self) -> [i64; 3] {
        let mut sums = [0_i64; 3];
        for pool in &self.desks {
            let Some(capacity) = pool.capacity else { continue };
            let taken = pool.outstanding.saturating_sub(pool.kept).max(0);
            for (sum, part) in sums.iter_mut().zip([capacity, taken, pool.kept + pool.back]) {
                *sum = sum.saturating_add(part);
            }
        }
        sums
    }

    /// What the rest of the stretch should bring, if anybody can say.
    fn look_ahead(&mut self, place: Place) -> Option<Outlook> {
        let at = place.at?;
        self.forecast.pass(at);
        self.forecast.rounds += 1;
        self.forecast.outlook(at)
    }

    /// Where this round fell back on less than its best, in words.
    fn notes(
        &mut self,
        [nobody, anew, ended]: [bool; 3],
        outlook: Option<&Outlook>,
    ) -> Vec<String> {
        let mut notes = Vec::new();
        let mut note = |holds: bool, text: &str| {
            if holds {
                notes.push(text.to_string());
            }
        };
        note(nobody, "nobody may take what waits");
        let nowhere: i64 = self.nowhere.values().sum();
        note(nowhere > 0, &format!("nobody takes {nowhere} of the waiting cases"));
        note(anew, "the last bid prices were far off: they were sought anew");
        note(ended, "the search ended before it was done");
        note(std::mem::take(&mut self.changed), "desks or contracts have changed");
        let exceeded = self.desks.iter().chain(&self.quotas).filter(|pool| pool.state().exceeded);
        let exceeded = exceeded.count();
        note(exceeded > 0, &format!("{exceeded} limits are below what stands there"));
        note(self.answered.len() < self.shards, "silent shards count as they answered last");
        let first = self.forecast.length > 0 && outlook.is_none();
        note(first, "no earlier stretch is known: what waits is cleared");
        notes.extend(outlook.and_then(Forecast::remark));
        notes
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
            self.kept.insert(self.round, kept * BID);
        }
    }

    /// Sums what shards reached, and says every round whose certificate is new.
    fn certify(&mut self, place: Place) {
        for (round, shards) in &self.windows {
            let report = self.reports.entry(*round).or_default();
            report.round = *round;
            report.value = shards.values().map(|reached| reached.0).sum();
            report.bound = shards.values().map(|reached| reached.1).sum();
            report.kept = self.kept.get(round).copied().unwrap_or(0);
            report.bound += report.kept;
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
