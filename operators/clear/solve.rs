//! Finds the bid prices that make the bound smallest.
//!
//! The bound is convex in λ; its slope is capacity less demand, its curvature a weighted graph
//! Laplacian of desks that are neighbors on some envelope. So: damped Newton steps, the damping
//! adapted to how well each step kept its promise (Levenberg and Marquardt), conjugate gradients
//! inside, prices never below zero. Only + − × ÷ √ in a fixed order: every replica finds the
//! same prices (A17).

use super::envelope::{Answer, Problem};
use super::newton::Step;
use super::points;

/// Bid prices, and how good they are by the solver's own, sketched market.
#[derive(Clone, Debug, Default)]
pub struct Solved {
    pub bids: Vec<f64>,
    pub bound: f64,
    /// Value of the plan that serves each desk's demand up to its capacity.
    pub value: f64,
    pub evaluations: usize,
    /// The start was so far off that the search began anew.
    pub anew: bool,
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

impl Effort {
    /// Enough for a cold start on the largest market we know. Where few cases wait each counts;
    /// what is partly guessed need not be solved well.
    pub fn of(problem: &Problem, guessed: bool) -> Self {
        let gap_enough = match problem.cases() > FEW {
            _ if guessed => 1e-4,
            true => 3e-5,
            false => 2e-6,
        };
        Effort { evaluations_max: 600, gap_enough }
    }
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
    high.anew = low.anew;
    high
}

/// A market that is easier to search than the one at hand.
struct Level {
    /// Bins that are taken together.
    merged: usize,
    /// By how much desks' costs differ from kind to kind, in parts of what a case is worth.
    noise: f64,
    enough: f64,
}

/// From easy to exact. Among many desks lines are near-parallel, so that a small step changes who
/// is best nearly everywhere, and what a step promises holds only for small ones. Costs that
/// differ from kind to kind make demand move gradually, and steps can be large.
const LEVELS: [Level; 6] = [
    Level { merged: 64, noise: 0.1, enough: 5e-2 },
    Level { merged: 64, noise: 0.03, enough: 2e-2 },
    Level { merged: 32, noise: 0.01, enough: 5e-3 },
    Level { merged: 8, noise: 0.003, enough: 2e-3 },
    Level { merged: 2, noise: 0.001, enough: 2e-3 },
    Level { merged: 1, noise: 0.000_3, enough: 1e-3 },
];

/// Evaluations that a level is worth; the next one searches on.
const LEVEL_MAX: usize = 60;

/// One price for all desks at which they are asked for as many cases as they may take together,
/// where that is more than none. Answers with what a case is worth.
fn even(problem: &Problem, bids: &mut [f64], spent: &mut usize) -> f64 {
    let there: f64 = problem.capacity.iter().filter(|there| there.is_finite()).sum();
    let mut answer = Answer::default();
    let mut asked = |bid: f64, bids: &mut [f64]| {
        bids.fill(bid);
        *spent += 1;
        problem.ask(bids, &mut answer);
        let limited = answer.demand.iter().zip(&problem.capacity);
        let asked: f64 =
            limited.filter(|(_, there)| there.is_finite()).map(|(asked, _)| asked).sum();
        (asked, answer.bound)
    };
    let (all, bound) = asked(0.0, bids);
    let scale = bound / problem.cases().max(1.0);
    let (mut low, mut high) = (0.0, scale * 4.0);
    if all > there {
        for _ in 0..10 {
            let middle = (low + high) * 0.5;
            let more = asked(middle, bids).0 > there;
            if more { low = middle } else { high = middle }
        }
    }
    bids.fill(low);
    scale
}

/// A warm start within this gap is near.
const CLOSE: f64 = 0.05;

/// Finds bid prices: first on smoothed prices, coarse to fine, then on the prices as they are.
pub fn solve(problem: &Problem, start: &[f64], effort: Effort) -> Solved {
    let mut bids = start.to_vec();
    let mut spent = 1;
    let mut first = Answer::default();
    let told = start.iter().any(|bid| *bid > 0.0);
    let close = told && {
        problem.ask(start, &mut first);
        gap(problem, &first) < CLOSE
    };
    let mut damping = DAMPING;
    // Prices that were right a moment ago need no coarse search.
    if !close {
        let coarse = problem.smooth(LEVELS[0].merged, 0.0);
        let scale = even(&coarse, &mut bids, &mut spent);
        for level in LEVELS {
            let smooth = problem.smooth(level.merged, level.noise * scale);
            let left = (effort.evaluations_max.saturating_sub(spent) / 2).min(LEVEL_MAX);
            let effort = Effort { evaluations_max: left, gap_enough: level.enough };
            let found = descend(&smooth, &bids, effort, &mut damping);
            spent += found.evaluations;
            bids = found.bids;
        }
    }
    let left = effort.evaluations_max.saturating_sub(spent);
    let effort = Effort { evaluations_max: left, ..effort };
    let mut found = descend(problem, &bids, effort, &mut damping);
    found.evaluations += spent;
    found.anew = told && !close;
    found
}

/// How much a first step is held back.
const DAMPING: f64 = 0.1;

/// Lowers the bound from these bid prices on. What steps were held back by is where the next
/// search begins.
fn descend(problem: &Problem, start: &[f64], effort: Effort, damping: &mut f64) -> Solved {
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
    let mut trial = Answer::default();
    let mut step = Step::new(desks);
    while evaluations < effort.evaluations_max {
        if gap(problem, &now) <= effort.gap_enough {
            break;
        }
        let promised = step.find(problem, &bids, &now, *damping, scale.max(0.01));
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
        if kept > 1.5 {
            // There is less curvature than it seems: the next step is no better founded.
            *damping *= 0.6;
        } else if kept > 0.75 {
            *damping *= 0.25;
        } else if kept < 0.05 {
            *damping *= 6.0;
        } else if kept < 0.3 {
            *damping *= 2.0;
        }
        *damping = damping.clamp(1e-9, 1e9);
        if *damping >= 1e9 {
            break;
        }
    }
    let value = plan(problem, &now);
    Solved { bids, bound: now.bound, value, evaluations, anew: false }
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
