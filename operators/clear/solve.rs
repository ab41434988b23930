//! Finds the bid prices that make the bound smallest.
//!
//! The bound is convex in λ; its slope is capacity less demand, its curvature a weighted graph
//! Laplacian of desks that are neighbors on some envelope. So: damped Newton steps, the damping
//! adapted to how well each step kept its promise (Levenberg and Marquardt), conjugate gradients
//! inside, prices never below zero. Only + − × ÷ √ in a fixed order: every replica finds the
//! same prices (A17).

use super::envelope::{Answer, Problem};
use super::points;

/// Bid prices, and how good they are by the solver's own, sketched market.
#[derive(Clone, Debug, Default)]
pub struct Solved {
    pub bids: Vec<f64>,
    pub bound: f64,
    /// Value of the plan that serves each desk's demand up to its capacity.
    pub value: f64,
    pub evaluations: usize,
}

impl Solved {
    /// The share of the bound that the plan misses.
    pub fn gap(&self) -> f64 {
        if self.bound > 0.0 { ((self.bound - self.value) / self.bound).max(0.0) } else { 0.0 }
    }
}

/// Bid prices as they are said: hundredths of a cent, the nearest. A desk that could take whoever
/// may go there costs nothing.
pub fn said(problem: &Problem, bids: &[f64]) -> Vec<i64> {
    let mut bids = bids.to_vec();
    points::settle(problem, &mut bids);
    let mut eligible = vec![0.0; bids.len()];
    for class in &problem.classes {
        for line in &class.lines {
            eligible[line.desk as usize] += class.prices.total.0;
        }
    }
    let said = |(desk, bid): (usize, &f64)| {
        let enough = eligible[desk] <= problem.capacity[desk];
        if enough { 0 } else { (bid.clamp(0.0, 9e13) * BIDS_PER_CENT + 0.5) as i64 }
    };
    bids.iter().enumerate().map(said).collect()
}

/// Bid prices are said in hundredths of a cent: among a thousand desks lines are near-parallel,
/// and whole cents would pass half a percent of the demand from one to the next.
pub const BIDS_PER_CENT: f64 = 100.0;

/// How long and how well to search.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    pub evaluations_max: usize,
    pub gap_enough: f64,
}

/// Markets of up to so many cases are solved and dealt with an eye on each.
pub const FEW: f64 = 20_000.0;
/// A sliver of a case.
const SLIVER: f64 = 0.02;

/// Solves a market. Where few cases wait, whole stretches of prices are equally good, and at
/// their ends some case is as good here as there: a sliver of capacity more and less finds both
/// ends, and the middle is far from either.
pub fn solve_amid(problem: &Problem, start: &[f64], effort: Effort) -> Solved {
    if problem.cases() > FEW {
        return solve(problem, start, effort);
    }
    let with = |sliver: f64| {
        let capacity = problem.capacity.iter().map(|there| (there + sliver).max(0.0)).collect();
        Problem { classes: problem.classes.clone(), capacity }
    };
    let low = solve(&with(SLIVER), start, effort);
    let mut high = solve(&with(-SLIVER), &low.bids, effort);
    for (bid, low) in high.bids.iter_mut().zip(&low.bids) {
        *bid = (*bid + low) * 0.5;
    }
    high.evaluations += low.evaluations;
    high
}

/// A warm start within this gap is near.
const CLOSE: f64 = 0.05;

/// Finds bid prices: first on smoothed prices, coarse to fine, then on the prices as they are.
pub fn solve(problem: &Problem, start: &[f64], effort: Effort) -> Solved {
    let mut bids = start.to_vec();
    let mut spent = 1;
    let mut first = Answer::default();
    let close = start.iter().any(|bid| *bid > 0.0) && {
        problem.ask(start, &mut first);
        gap(problem, &first) < CLOSE
    };
    // Prices that were right a moment ago need no coarse search.
    let levels = [(64, 1e-3), (8, 1e-4), (1, 2e-5)];
    for (merged, enough) in levels.into_iter().skip(if close { 3 } else { 0 }) {
        let smooth = problem.smooth(merged);
        let left = effort.evaluations_max.saturating_sub(spent) / 2;
        let found = descend(&smooth, &bids, Effort { evaluations_max: left, gap_enough: enough });
        spent += found.evaluations;
        bids = found.bids;
    }
    let left = effort.evaluations_max.saturating_sub(spent);
    let mut found = descend(problem, &bids, Effort { evaluations_max: left, ..effort });
    found.evaluations += spent;
    found
}

/// Lowers the bound from these bid prices on.
fn descend(problem: &Problem, start: &[f64], effort: Effort) -> Solved {
    let desks = problem.capacity.len();
    let mut bids: Vec<f64> = (0..desks)
        .map(|desk| {
            let limited = problem.capacity[desk] < f64::INFINITY;
            if limited { start.get(desk).copied().unwrap_or(0.0).max(0.0) } else { 0.0 }
        })
        .collect();
    let mut now = Answer::default();
    problem.ask(&bids, &mut now);
    let mut evaluations = 1;
    let scale = now.bound / problem.cases().max(1.0);
    let mut damping = 0.1;
    let mut trial = Answer::default();
    let mut step = Step::new(desks);
    while evaluations < effort.evaluations_max {
        if gap(problem, &now) <= effort.gap_enough {
            break;
        }
        let promised = step.find(problem, &bids, &now, damping, scale.max(0.01));
        if promised <= now.bound * 1e-13 {
            break;
        }
        let next: Vec<f64> =
            bids.iter().zip(&step.step).map(|(bid, by)| (bid + by).max(0.0)).collect();
        problem.ask(&next, &mut trial);
        evaluations += 1;
        let kept = (now.bound - trial.bound) / promised;
        if kept > 1e-3 {
            bids = next;
            std::mem::swap(&mut now, &mut trial);
        }
        if kept > 0.75 {
            damping *= 0.25;
        } else if kept < 0.05 {
            damping *= 6.0;
        } else if kept < 0.3 {
            damping *= 2.0;
        }
        damping = damping.clamp(1e-9, 1e9);
        if damping >= 1e9 {
            break;
        }
    }
    let value = plan(problem, &now);
    Solved { bids, bound: now.bound, value, evaluations }
}

fn gap(problem: &Problem, answer: &Answer) -> f64 {
    if answer.bound > 0.0 { 1.0 - plan(problem, answer) / answer.bound } else { 0.0 }
}

/// What serving each desk's demand evenly up to its capacity is worth.
pub fn plan(problem: &Problem, answer: &Answer) -> f64 {
    let mut sum = 0.0;
    for desk in 0..problem.capacity.len() {
        let (asked, there) = (answer.demand[desk], problem.capacity[desk]);
        let served = if asked > there { there / asked } else { 1.0 };
        sum += served * answer.value[desk];
    }
    sum
}

/// A Newton step over the desks whose price may move.
struct Step {
    step: Vec<f64>,
    free: Vec<bool>,
    diagonal: Vec<f64>,
    residual: Vec<f64>,
    along: Vec<f64>,
    curved: Vec<f64>,
}

impl Step {
    fn new(desks: usize) -> Self {
        let zeros = vec![0.0; desks];
        Step {
            step: zeros.clone(),
            free: vec![false; desks],
            diagonal: zeros.clone(),
            residual: zeros.clone(),
            along: zeros.clone(),
            curved: zeros,
        }
    }

    /// Finds a step; answers by how much the bound should fall.
    fn find(
        &mut self,
        problem: &Problem,
        bids: &[f64],
        now: &Answer,
        damping: f64,
        scale: f64,
    ) -> f64 {
        let desks = bids.len();
        for desk in 0..desks {
            let slope = problem.capacity[desk] - now.demand[desk];
            let limited = problem.capacity[desk] < f64::INFINITY;
            self.free[desk] = limited && (bids[desk] > 0.0 || slope < 0.0);
            self.step[desk] = 0.0;
            let size = problem.capacity[desk].min(1e18) + now.demand[desk] + 1.0;
            self.diagonal[desk] = now.lost[desk] + damping * size / scale;
            self.residual[desk] = if self.free[desk] { -slope } else { 0.0 };
        }
        for (a, b, weight) in &now.edges {
            self.diagonal[*a as usize] += weight;
            self.diagonal[*b as usize] += weight;
        }
        self.conjugate(now);
        // A price that would fall below zero stops there.
        let mut promised = 0.0;
        for desk in 0..desks {
            if bids[desk] + self.step[desk] < 0.0 {
                self.step[desk] = -bids[desk];
            }
        }
        self.curve(now, true);
        for desk in 0..desks {
            if self.free[desk] {
                let slope = problem.capacity[desk] - now.demand[desk];
                promised -= self.step[desk] * (slope + 0.5 * self.curved[desk]);
            }
        }
        promised
    }

    /// Solves `(H + damping) step = residual` by conjugate gradients, the diagonal divided out.
    fn conjugate(&mut self, now: &Answer) {
        let desks = self.step.len();
        let mut size = 0.0;
        for desk in 0..desks {
            self.along[desk] = self.residual[desk] / self.diagonal[desk];
            size += self.residual[desk] * self.along[desk];
        }
        let enough = size * 1e-6;
        for _ in 0..200 {
            if size <= enough || size <= 0.0 {
                break;
            }
            self.curve(now, false);
            let mut bend = 0.0;
            for desk in 0..desks {
                bend += self.along[desk] * self.curved[desk];
            }
            if bend <= 0.0 {
                break;
            }
            let length = size / bend;
            let mut next = 0.0;
            for desk in 0..desks {
                self.step[desk] += length * self.along[desk];
                self.residual[desk] -= length * self.curved[desk];
                next += self.residual[desk] * self.residual[desk] / self.diagonal[desk];
            }
            let turn = next / size;
            for desk in 0..desks {
                self.along[desk] =
                    self.residual[desk] / self.diagonal[desk] + turn * self.along[desk];
            }
            size = next;
        }
    }

    /// The curvature along a direction: along the search, or along the step found.
    fn curve(&mut self, now: &Answer, of_step: bool) {
        let along = if of_step { &self.step } else { &self.along };
        for desk in 0..along.len() {
            self.curved[desk] = self.diagonal[desk] * along[desk];
        }
        for (a, b, weight) in &now.edges {
            let (a, b) = (*a as usize, *b as usize);
            if self.free[a] && self.free[b] {
                self.curved[a] -= weight * along[b];
                self.curved[b] -= weight * along[a];
            }
        }
        for desk in 0..along.len() {
            if !self.free[desk] {
                self.curved[desk] = 0.0;
            }
        }
    }
}
