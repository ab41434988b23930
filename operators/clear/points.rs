//! Bid prices where prices come in lumps.
//!
//! The solver takes the prices of a bin to be spread evenly. Where many cases are worth exactly
//! the same, or few wait at all, the true demand jumps, and a price a hair above the lump leaves
//! every place of a desk empty while cases wait for it. So bins are looked at once more as what
//! they may be, points: the best bid price of one desk, all others as they stand, is any between
//! what its last place is worth to the case that gets it and to the next one that does not.

use super::envelope::{Class, Problem, envelope};
use super::solve::{BIDS_PER_CENT, FEW};

const SWEEPS_MAX: usize = 4;
/// A desk asked for less than this part of its places, at a price, is looked at again.
const ASKED_ENOUGH: f64 = 0.8;

/// Moves bid prices to where points ask for what there is.
pub fn settle(problem: &Problem, bids: &mut [f64]) {
    let every = problem.cases() <= FEW;
    let takers = takers(problem);
    for _ in 0..SWEEPS_MAX {
        let asked = if every { Vec::new() } else { demand(problem, bids) };
        let mut moved = false;
        for desk in 0..bids.len() {
            let there = problem.capacity[desk];
            let idle = every || bids[desk] > 0.0 && asked[desk] < there * ASKED_ENOUGH;
            if (0.5..f64::INFINITY).contains(&there) && idle {
                let (low, high) = fair(problem, &takers[desk], bids, desk);
                if bids[desk] < low || bids[desk] > high {
                    bids[desk] = between(low, high);
                    moved = true;
                }
            }
        }
        if !moved {
            break;
        }
    }
}

/// By desk: the classes it may take, and its line there.
fn takers(problem: &Problem) -> Vec<Vec<(usize, usize)>> {
    let mut takers = vec![Vec::new(); problem.capacity.len()];
    for (number, class) in problem.classes.iter().enumerate() {
        for (at, line) in class.lines.iter().enumerate() {
            takers[line.desk as usize].push((number, at));
        }
    }
    takers
}

/// How many cases each desk is asked for, each bin at its mean.
fn demand(problem: &Problem, bids: &[f64]) -> Vec<f64> {
    let mut asked = vec![0.0; bids.len()];
    let mut pieces = Vec::new();
    for class in &problem.classes {
        envelope(&class.lines, bids, &mut pieces);
        let mut at = 0;
        for (price, count) in class.prices.points() {
            while at + 1 < pieces.len() && pieces[at + 1].from <= price {
                at += 1;
            }
            if pieces[at].line != u32::MAX {
                asked[pieces[at].desk as usize] += count;
            }
        }
    }
    asked
}

/// The bid prices of a desk at which points ask for all of its places and no more.
fn fair(problem: &Problem, takers: &[(usize, usize)], bids: &[f64], desk: usize) -> (f64, f64) {
    let mut worth: Vec<(f64, f64)> = Vec::new();
    for (number, at) in takers {
        let class = &problem.classes[*number];
        for (price, count) in class.prices.points() {
            let more = beyond(class, *at, price, bids);
            if more > 0.0 {
                worth.push((more, count));
            }
        }
    }
    worth.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut left = problem.capacity[desk];
    for (at, (more, count)) in worth.iter().enumerate() {
        left -= count;
        if left < -1e-6 {
            // More of the same than there are places: whoever comes first.
            return (*more, *more);
        }
        if left < 0.5 {
            return (worth.get(at + 1).map_or(0.0, |next| next.0), *more);
        }
    }
    (0.0, 0.0)
}

/// What a case is worth at this line beyond the best that it could have elsewhere.
fn beyond(class: &Class, at: usize, price: f64, bids: &[f64]) -> f64 {
    let mut best = 0.0;
    for (other, line) in class.lines.iter().enumerate() {
        if other != at {
            let net = line.slope * price - line.cost - bids[line.desk as usize];
            if net > best {
                best = net;
            }
        }
    }
    class.lines[at].slope * price - class.lines[at].cost - best
}

/// A price that is said exactly and lies between; where there is but one, none above it.
fn between(low: f64, high: f64) -> f64 {
    let grain = 1.0 / BIDS_PER_CENT;
    if high - low > 2.0 * grain {
        return (low + high) * 0.5;
    }
    ((high * BIDS_PER_CENT + 1e-6) as i64) as f64 * grain
}
