//! Rounds: bid prices, shares by shard, whoever waits is decided again.

use recoup_operators::clear::envelope::{Problem, envelope};
use recoup_operators::clear::pool::Pool;
use recoup_operators::clear::solve::{BIDS_PER_CENT, Effort, said, solve_amid};
use recoup_operators::dispatch::core::{NOBODY, Place, Table};

use crate::market::{KINDS, Market};
use crate::work::{problem, sketch, value_of};

/// Bid prices of the next round for whoever waits, from those of the last.
pub fn next_bids(problem: &Problem, last: &[i64]) -> Vec<i64> {
    let start: Vec<f64> = last.iter().map(|bid| *bid as f64 / BIDS_PER_CENT).collect();
    said(problem, &solve_amid(problem, &start, Effort::of(problem, false)).bids)
}

/// What each shard asks of each desk: count by desk and shard.
fn asked(problems: &[Problem], bids: &[f64]) -> Vec<Vec<f64>> {
    let mut asked = vec![vec![0.0; problems.len()]; bids.len()];
    let mut pieces = Vec::new();
    for kind in 0..KINDS {
        envelope(&problems[0].classes[kind].lines, bids, &mut pieces);
        for (shard, problem) in problems.iter().enumerate() {
            let prices = &problem.classes[kind].prices;
            for (at, piece) in pieces.iter().enumerate().skip(1) {
                let next = pieces.get(at + 1);
                let until = next.map_or(prices.total.0, |next| prices.below(next.from).0);
                asked[piece.desk as usize][shard] += until - prices.below(piece.from).0;
            }
        }
    }
    asked
}

/// Value over bound, waiting and spilled after each round with so many shards.
pub fn sharded(
    market: &Market,
    kinds: &[u32],
    prices: &[i64],
    shards: usize,
    rounds: usize,
) -> Vec<(f64, f64)> {
    let shard_of =
        |case: usize| (case as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize % shards;
    let mut waiting: Vec<Vec<usize>> = vec![Vec::new(); shards];
    for case in 0..kinds.len() {
        waiting[shard_of(case)].push(case);
    }
    let mut pools: Vec<Pool> = market.capacity.iter().map(|_| Pool::new(shards)).collect();
    let mut left = vec![vec![0_i64; market.capacity.len()]; shards];
    let mut desks = vec![NOBODY; kinds.len()];
    let mut bids = vec![0; market.capacity.len()];
    let mut reached = Vec::new();
    for _ in 0..rounds {
        for (desk, pool) in pools.iter_mut().enumerate() {
            pool.limit(Some(market.capacity[desk]), None, None);
            for (shard, left) in left.iter_mut().enumerate() {
                pool.answer(shard, std::mem::take(&mut left[desk]), 0, 0);
            }
        }
        let there = |pool: &Pool| pool.available().unwrap_or(0);
        let capacity = pools.iter().map(there).collect();
        let now = Market { lines: market.lines.clone(), capacity, desks: Vec::new() };
        let pick = |list: &Vec<usize>| -> (Vec<u32>, Vec<i64>) {
            list.iter().map(|case| (kinds[*case], prices[*case])).unzip()
        };
        let all: Vec<usize> = waiting.concat();
        let (k, p) = pick(&all);
        bids = next_bids(&problem(&now, &sketch(&k, &p)), &bids);
        let asks = |list| {
            let (k, p) = pick(list);
            problem(&now, &sketch(&k, &p))
        };
        let by_shard: Vec<Problem> = waiting.iter().map(asks).collect();
        let asking = asking(&bids, &now.capacity);
        let asked = asked(&by_shard, &asking);
        for (desk, pool) in pools.iter_mut().enumerate() {
            for (shard, share) in pool.deal(&asked[desk]).into_iter().enumerate() {
                left[shard][desk] += share;
            }
        }
        for (waiting, left) in waiting.iter_mut().zip(&mut left) {
            let places = (0..bids.len()).map(|desk| Place {
                bid: bids[desk],
                left: left[desk],
                later: pools[desk].left() > 0,
            });
            let mut table = Table::new(&market.lines, places.collect(), 0);
            waiting.retain(|case| {
                desks[*case] = table.one(kinds[*case] as usize, prices[*case]);
                desks[*case] == NOBODY
            });
            *left = table.places.iter().map(|place| place.left).collect();
        }
        let value = value_of(market, kinds, prices, &desks);
        reached.push((value, waiting.iter().map(Vec::len).sum::<usize>() as f64));
    }
    check_limits(market, &desks);
    reached
}

/// Bid prices at which shards ask; where nothing is left nobody does.
fn asking(bids: &[i64], capacity: &[i64]) -> Vec<f64> {
    let price = |(bid, there): (&i64, &i64)| {
        if *there == 0 { f64::INFINITY } else { *bid as f64 / BIDS_PER_CENT }
    };
    bids.iter().zip(capacity).map(price).collect()
}

fn check_limits(market: &Market, desks: &[u16]) {
    let mut open = vec![0; market.capacity.len()];
    for desk in desks.iter().filter(|desk| **desk != NOBODY) {
        open[usize::from(*desk)] += 1;
    }
    for (open, capacity) in open.iter().zip(&market.capacity) {
        assert!(open <= capacity, "no desk is above its capacity");
    }
}
