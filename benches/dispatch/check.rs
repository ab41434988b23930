//! Instances read from a text, decided, and written back with value and bound: what the tests
//! against other solvers run.
//!
//! An instance: `desks cases`, the capacities, then a line for each case: its price in cents and
//! for each desk `slope:cost` (millionths and cents) or `-`.

use recoup_operators::clear::envelope::{self, Class, Prices, Problem};
use recoup_operators::dispatch::core::{Line, NOBODY, Place, Table};

use crate::market::{BID, SCALE};
use crate::rounds::next_bids;

pub fn check(text: &str) {
    let mut words = text.split_ascii_whitespace();
    while let Some(desks) = words.next() {
        let desks: usize = desks.parse().unwrap_or(0);
        let mut number = || words.next().and_then(|word| word.parse::<i64>().ok()).unwrap_or(0);
        let cases = number() as usize;
        let capacity: Vec<i64> = (0..desks).map(|_| number()).collect();
        let mut list = Vec::new();
        for _ in 0..cases {
            let price = words.next().and_then(|word| word.parse::<i64>().ok()).unwrap_or(0);
            let lines: Vec<Line> = (0..desks)
                .filter_map(|desk| {
                    let (slope, cost) = words.next()?.split_once(':')?;
                    let slope = slope.parse::<i64>().ok()? * 1_000_000;
                    Some(Line { desk: desk as u16, slope, cost: cost.parse().ok()? })
                })
                .collect();
            list.push((price, lines));
        }
        let (value, first, bound) = solve_one(&list, &capacity);
        println!("{value} {first} {bound}");
    }
}

/// Final value, the first round's value, and the first round's bound, in cents at 10^12.
fn solve_one(cases: &[(i64, Vec<Line>)], capacity: &[i64]) -> (i128, i128, i128) {
    let mut left = capacity.to_vec();
    let mut desks = vec![NOBODY; cases.len()];
    let mut bids = vec![0; capacity.len()];
    let (mut first, mut bound) = (0, 0);
    for round in 0..20 {
        let waiting: Vec<usize> = (0..cases.len()).filter(|case| desks[*case] == NOBODY).collect();
        let classes = waiting.iter().map(|case| {
            let (price, lines) = &cases[*case];
            let mut lines: Vec<envelope::Line> = lines
                .iter()
                .map(|line| envelope::Line {
                    desk: u32::from(line.desk),
                    slope: line.slope as f64 / SCALE as f64,
                    cost: line.cost as f64,
                })
                .filter(|line| line.slope > 0.0)
                .collect();
            lines.sort_by(|a, b| a.slope.total_cmp(&b.slope));
            let price = *price as f64;
            Class { lines, prices: Prices::new([(price, price + 1.0, 1.0, price)].into_iter()) }
        });
        let problem = Problem {
            classes: classes.collect(),
            capacity: left.iter().map(|left| *left as f64).collect(),
        };
        bids = next_bids(&problem, &bids);
        if round == 0 {
            bound = exact_bound(cases, capacity, &bids);
        }
        let before = desks.clone();
        decide(cases, &bids, &mut left, &mut desks, &waiting);
        if round == 0 {
            first = value(cases, &desks);
        }
        if before == desks {
            break;
        }
    }
    (value(cases, &desks), first, bound)
}

fn worth(line: &Line, price: i64) -> i128 {
    i128::from(price) * i128::from(line.slope) - i128::from(line.cost) * i128::from(SCALE)
}

fn value(cases: &[(i64, Vec<Line>)], desks: &[u16]) -> i128 {
    let one = |((price, lines), desk): (&(i64, Vec<Line>), &u16)| {
        lines.iter().find(|line| line.desk == *desk).map_or(0, |line| worth(line, *price))
    };
    cases.iter().zip(desks).map(one).sum()
}

fn exact_bound(cases: &[(i64, Vec<Line>)], capacity: &[i64], bids: &[i64]) -> i128 {
    let bid_scale = i128::from(BID);
    let net = |line: &Line, price: i64| {
        worth(line, price) - i128::from(bids[usize::from(line.desk)]) * bid_scale
    };
    let surplus = |(price, lines): &(i64, Vec<Line>)| {
        lines.iter().map(|line| net(line, *price)).max().unwrap_or(0).max(0)
    };
    let there = bids.iter().zip(capacity).map(|(bid, there)| i128::from(*bid) * i128::from(*there));
    cases.iter().map(surplus).sum::<i128>() + there.sum::<i128>() * bid_scale
}

/// Whoever would lose most by the next best goes first, as in the operator.
fn decide(
    cases: &[(i64, Vec<Line>)],
    bids: &[i64],
    left: &mut Vec<i64>,
    desks: &mut [u16],
    waiting: &[usize],
) {
    let bid_scale = i128::from(BID);
    let mut order: Vec<(i128, usize)> = waiting
        .iter()
        .map(|case| {
            let (price, lines) = &cases[*case];
            let bid = |line: &Line| i128::from(bids[usize::from(line.desk)]) * bid_scale;
            let mut nets: Vec<i128> =
                lines.iter().map(|line| (worth(line, *price) - bid(line)).max(0)).collect();
            nets.extend([0, 0]);
            nets.sort_unstable_by(|a, b| b.cmp(a));
            (nets[1] - nets[0], *case)
        })
        .collect();
    order.sort_unstable();
    let kinds: Vec<Vec<Line>> = order.iter().map(|(_, case)| cases[*case].1.clone()).collect();
    let place = |(bid, left): (&i64, &i64)| Place { bid: *bid, left: *left, later: false };
    let places = bids.iter().zip(left.iter()).map(place);
    let mut table = Table::new(&kinds, places.collect(), 0);
    for (kind, (_, case)) in order.iter().enumerate() {
        desks[*case] = table.one(kind, cases[*case].0);
    }
    *left = table.places.iter().map(|place| place.left).collect();
}
