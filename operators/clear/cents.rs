//! Bid prices in whole cents.
//!
//! Near-parallel lines pass many cases between two desks for a single cent, so rounding each
//! price by itself would shift more demand than sketches ever blur. The bound is nearly a
//! quadratic around its minimum: whole cents are searched that keep it lowest, one desk or two
//! neighbors at a time.

use super::envelope::{Answer, Problem};

const SWEEPS_MAX: usize = 30;
const STARTS: usize = 8;

/// Whole cents near these prices that keep the bound low.
pub fn whole_cents(problem: &Problem, bids: &[f64]) -> Vec<i64> {
    let mut answer = Answer::default();
    problem.ask(bids, &mut answer);
    let mut best = Search::new(problem, &answer, bids);
    best.settle(bids, 0.5);
    // Prices may rise and fall together at little cost: other fractions round otherwise.
    for start in 1..STARTS {
        let mut other = Search::new(problem, &answer, bids);
        other.settle(bids, (0.5 + start as f64 / STARTS as f64) % 1.0);
        if other.bound < best.bound {
            best = other;
        }
    }
    best.cents.into_iter().map(|cents| cents as i64).collect()
}

/// A quadratic over whole cents, as its slope at the point reached.
#[derive(Clone)]
struct Search {
    /// How far the bound has risen by rounding.
    bound: f64,
    cents: Vec<f64>,
    /// Desks without a limit cost nothing and stay so.
    fixed: Vec<bool>,
    slope: Vec<f64>,
    bend: Vec<f64>,
    /// Neighbors by desk, each with the weight between them.
    starts: Vec<usize>,
    neighbors: Vec<(usize, f64)>,
}

impl Search {
    fn new(problem: &Problem, answer: &Answer, bids: &[f64]) -> Self {
        let desks = bids.len();
        let mut edges: Vec<(usize, usize, f64)> = answer
            .edges
            .iter()
            .flat_map(|(a, b, weight)| {
                let (a, b) = (*a as usize, *b as usize);
                [(a, b, *weight), (b, a, *weight)]
            })
            .collect();
        edges.sort_by_key(|edge| (edge.0, edge.1));
        let mut bend = answer.lost.clone();
        let mut starts = vec![0; desks + 1];
        let mut neighbors: Vec<(usize, f64)> = Vec::new();
        let mut last = usize::MAX;
        for (a, b, weight) in edges {
            bend[a] += weight;
            match neighbors.last_mut() {
                Some(known) if last == a && known.0 == b => known.1 += weight,
                _ => neighbors.push((b, weight)),
            }
            (starts[a + 1], last) = (neighbors.len(), a);
        }
        for desk in 0..desks {
            starts[desk + 1] = starts[desk + 1].max(starts[desk]);
        }
        let limited = |desk: usize| problem.capacity[desk] < f64::INFINITY;
        Search {
            bound: 0.0,
            cents: vec![0.0; desks],
            fixed: (0..desks).map(|desk| !limited(desk)).collect(),
            slope: (0..desks)
                .map(
                    |desk| {
                        if limited(desk) {
                            problem.capacity[desk] - answer.demand[desk]
                        } else {
                            0.0
                        }
                    },
                )
                .collect(),
            bend,
            starts,
            neighbors,
        }
    }

    /// Rounds every price, up from a fraction on, and searches from there.
    fn settle(&mut self, bids: &[f64], fraction: f64) {
        for (desk, bid) in bids.iter().enumerate() {
            let bid = bid.clamp(0.0, 9e15);
            let near = (bid + 1.0 - fraction) as i64 as f64;
            self.cents[desk] = bid;
            self.step(desk, near - bid);
            self.cents[desk] = near;
        }
        for _ in 0..SWEEPS_MAX {
            if !self.sweep() {
                break;
            }
        }
    }

    fn step(&mut self, desk: usize, by: f64) {
        self.bound += by * (self.slope[desk] + 0.5 * self.bend[desk] * by);
        self.cents[desk] += by;
        self.slope[desk] += self.bend[desk] * by;
        for at in self.starts[desk]..self.starts[desk + 1] {
            let (other, weight) = self.neighbors[at];
            self.slope[other] -= weight * by;
        }
    }

    /// Tries a cent more or less for each desk, and for each two neighbors together.
    fn sweep(&mut self) -> bool {
        let mut moved = false;
        for desk in 0..self.cents.len() {
            if self.fixed[desk] {
                continue;
            }
            for by in [1.0, -1.0] {
                if self.cents[desk] + by < 0.0 {
                    continue;
                }
                let alone = by * self.slope[desk] + 0.5 * self.bend[desk];
                if alone < -1e-9 {
                    self.step(desk, by);
                    moved = true;
                    continue;
                }
                let pair = (self.starts[desk]..self.starts[desk + 1]).find(|at| {
                    let (other, weight) = self.neighbors[*at];
                    let both = alone + by * self.slope[other] + 0.5 * self.bend[other] - weight;
                    !self.fixed[other] && self.cents[other] + by >= 0.0 && both < -1e-9
                });
                if let Some(at) = pair {
                    let other = self.neighbors[at].0;
                    self.step(desk, by);
                    self.step(other, by);
                    moved = true;
                }
            }
        }
        moved
    }
}
