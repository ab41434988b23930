//! A Newton step towards the bid prices that make the bound smallest.
//!
//! The curvature of the bound is a weighted graph of desks that are neighbors on some envelope.
//! The step solves that graph's equations by conjugate gradients, each pair of desks met once.

use super::envelope::{Answer, Problem};

/// A Newton step over the desks whose price may move.
pub struct Step {
    /// What was found.
    pub step: Vec<f64>,
    free: Vec<bool>,
    diagonal: Vec<f64>,
    residual: Vec<f64>,
    along: Vec<f64>,
    curved: Vec<f64>,
    graph: Graph,
}

/// How much demand passes between free desks for a cent: by desk, its neighbors once each.
#[derive(Default)]
struct Graph {
    starts: Vec<usize>,
    neighbors: Vec<(u32, f64)>,
    /// By desk: its place among the neighbors of the one at hand.
    places: Vec<usize>,
}

impl Graph {
    fn build(&mut self, edges: &[(u32, u32, f64)], free: &[bool]) {
        let desks = free.len();
        self.starts.clear();
        self.starts.resize(desks + 1, 0);
        let both = |edge: &(u32, u32, f64)| free[edge.0 as usize] && free[edge.1 as usize];
        for edge in edges.iter().filter(|edge| both(edge)) {
            self.starts[edge.0 as usize + 1] += 1;
            self.starts[edge.1 as usize + 1] += 1;
        }
        for desk in 0..desks {
            self.starts[desk + 1] += self.starts[desk];
        }
        self.neighbors.clear();
        self.neighbors.resize(self.starts[desks], (0, 0.0));
        self.places.clear();
        self.places.extend(&self.starts[..desks]);
        for (a, b, weight) in edges.iter().filter(|edge| both(edge)) {
            for (here, there) in [(*a as usize, *b), (*b as usize, *a)] {
                self.neighbors[self.places[here]] = (there, *weight);
                self.places[here] += 1;
            }
        }
        self.merge();
    }

    /// Makes one of the neighbors that are the same.
    fn merge(&mut self) {
        let desks = self.places.len();
        self.places.fill(usize::MAX);
        let mut size = 0;
        for desk in 0..desks {
            let (from, until) = (self.starts[desk], self.starts[desk + 1]);
            let begin = size;
            self.starts[desk] = begin;
            for at in from..until {
                let (there, weight) = self.neighbors[at];
                let known = self.places[there as usize];
                if known != usize::MAX && known >= begin {
                    self.neighbors[known].1 += weight;
                } else {
                    self.neighbors[size] = (there, weight);
                    self.places[there as usize] = size;
                    size += 1;
                }
            }
        }
        self.starts[desks] = size;
        self.neighbors.truncate(size);
    }
}

impl Step {
    pub fn new(desks: usize) -> Self {
        let zeros = vec![0.0; desks];
        Step {
            step: zeros.clone(),
            free: vec![false; desks],
            diagonal: zeros.clone(),
            residual: zeros.clone(),
            along: zeros.clone(),
            curved: zeros,
            graph: Graph::default(),
        }
    }

    /// Finds a step; answers by how much the bound should fall.
    pub fn find(
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
        self.graph.build(&now.edges, &self.free);
        self.conjugate();
        // A price that would fall below zero stops there.
        let mut promised = 0.0;
        for desk in 0..desks {
            if bids[desk] + self.step[desk] < 0.0 {
                self.step[desk] = -bids[desk];
            }
        }
        self.curve(true);
        for desk in 0..desks {
            if self.free[desk] {
                let slope = problem.capacity[desk] - now.demand[desk];
                promised -= self.step[desk] * (slope + 0.5 * self.curved[desk]);
            }
        }
        promised
    }

    /// Solves `(H + damping) step = residual` by conjugate gradients, the diagonal divided out.
    fn conjugate(&mut self) {
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
            self.curve(false);
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
    fn curve(&mut self, of_step: bool) {
        let along = if of_step { &self.step } else { &self.along };
        for desk in 0..along.len() {
            if !self.free[desk] {
                self.curved[desk] = 0.0;
                continue;
            }
            let mut curved = self.diagonal[desk] * along[desk];
            let (from, until) = (self.graph.starts[desk], self.graph.starts[desk + 1]);
            for (there, weight) in &self.graph.neighbors[from..until] {
                curved -= weight * along[*there as usize];
            }
            self.curved[desk] = curved;
        }
    }
}
