//! The work that is measured: sketching, deciding, and the exact bound beside it.

use recoup_operators::clear::envelope::{self, Class, Prices, Problem};
use recoup_operators::dispatch::core::{Line, NOBODY, Place, Table};
use recoup_operators::dispatch::sketch::{bin, floor};

use crate::market::{BID, KINDS, Market, SCALE};

const BINS: usize = 3_072;

/// Counts and sums by kind and bin.
pub fn sketch(kinds: &[u32], prices: &[i64]) -> Vec<(i64, i64)> {
    let mut bins = vec![(0, 0); KINDS * BINS];
    for (kind, price) in kinds.iter().zip(prices) {
        let at = *kind as usize * BINS + (bin(*price) as usize).min(BINS - 1);
        bins[at].0 += 1;
        bins[at].1 += price;
    }
    bins
}

pub fn problem(market: &Market, bins: &[(i64, i64)]) -> Problem {
    let classes = market.lines.iter().enumerate().map(|(kind, list)| {
        let mut lines: Vec<envelope::Line> = list
            .iter()
            .map(|line| envelope::Line {
                desk: u32::from(line.desk),
                slope: line.slope as f64 / SCALE as f64,
                cost: line.cost as f64,
            })
            .collect();
        lines.sort_by(|a, b| a.slope.total_cmp(&b.slope));
        let bins = &bins[kind * BINS..(kind + 1) * BINS];
        let prices = Prices::new(bins.iter().enumerate().map(|(at, (count, sum))| {
            let (low, high) = (floor(at as i64), floor(at as i64 + 1));
            (low as f64, high as f64, *count as f64, *sum as f64)
        }));
        Class { lines, prices }
    });
    Problem {
        classes: classes.collect(),
        capacity: market.capacity.iter().map(|capacity| *capacity as f64).collect(),
    }
}

pub fn table(market: &Market, bids: &[i64], left: &[i64]) -> Table {
    let places =
        bids.iter().zip(left).map(|(bid, left)| Place { bid: *bid, left: *left, later: false });
    Table::new(&market.lines, places.collect(), 0)
}

/// What a case is worth at a desk, in cents.
fn worth(lines: &[Line], desk: u16, price: i64) -> i128 {
    let line = lines.iter().find(|line| line.desk == desk);
    line.map_or(0, |line| {
        i128::from(price) * i128::from(line.slope) - i128::from(line.cost) * i128::from(SCALE)
    })
}

pub fn value_of(market: &Market, kinds: &[u32], prices: &[i64], desks: &[u16]) -> f64 {
    let mut sum = 0_i128;
    for ((kind, price), desk) in kinds.iter().zip(prices).zip(desks) {
        if *desk != NOBODY {
            sum += worth(&market.lines[*kind as usize], *desk, *price);
        }
    }
    sum as f64 / SCALE as f64
}

type Value<'a> = Box<dyn Fn(&Market, &[u16]) -> f64 + 'a>;

/// Decides in order of arrival, capacities hard.
pub fn decide<'a>(
    market: &Market,
    bids: &[i64],
    kinds: &'a [u32],
    prices: &'a [i64],
) -> (Vec<u16>, Value<'a>) {
    let mut table = table(market, bids, &market.capacity);
    let mut desks = vec![NOBODY; kinds.len()];
    table.decide(kinds, prices, &mut desks);
    let mut open = vec![0; market.capacity.len()];
    for desk in desks.iter().filter(|desk| **desk != NOBODY) {
        open[usize::from(*desk)] += 1;
    }
    for (open, capacity) in open.iter().zip(&market.capacity) {
        assert!(open <= capacity, "no desk is above its capacity");
    }
    (desks, Box::new(move |market, desks| value_of(market, kinds, prices, desks)))
}

/// The exact bound at these bid prices.
pub fn exact_bound(market: &Market, bids: &[i64], kinds: &[u32], prices: &[i64]) -> f64 {
    let endless = vec![i64::MAX; bids.len()];
    let mut table = table(market, bids, &endless);
    let mut sum = 0_i128;
    for (kind, price) in kinds.iter().zip(prices) {
        let desk = table.best(*kind as usize, *price);
        if desk != NOBODY {
            sum += worth(&market.lines[*kind as usize], desk, *price);
            sum -= i128::from(bids[usize::from(desk)]) * i128::from(BID);
        }
    }
    for (bid, capacity) in bids.iter().zip(&market.capacity) {
        sum += i128::from(*bid) * i128::from(*capacity) * i128::from(BID);
    }
    sum as f64 / SCALE as f64
}

/// The peer: each case to the best desk that has room, in order of arrival.
pub fn first_come(market: &Market, kinds: &[u32], prices: &[i64]) -> (Vec<u16>, f64) {
    let free = vec![0; market.capacity.len()];
    let (desks, _) = decide(market, &free, kinds, prices);
    let value = value_of(market, kinds, prices, &desks);
    (desks, value)
}
