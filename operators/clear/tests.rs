//! Clear by what it says: prices that make the bound small, whole shares within the limits.

use super::cents::whole_cents;
use super::envelope::{Answer, Class, Line, Prices, Problem};
use super::pool::Pool;
use super::solve::{Effort, solve};

const EFFORT: Effort = Effort { evaluations_max: 1_000, gap_enough: 1e-6 };

/// One kind of case with prices 1 to `count` euros, and desks of these yields and capacities.
fn market(count: i64, desks: &[(f64, f64)]) -> Problem {
    let line = |(desk, (slope, _)): (usize, &(f64, f64))| Line {
        desk: desk as u32,
        slope: *slope,
        cost: 0.0,
    };
    let prices = (1..=count).map(|euro| {
        let price = (euro * 100) as f64;
        (price, price + 100.0, 1.0, price)
    });
    let mut lines: Vec<Line> = desks.iter().enumerate().map(line).collect();
    lines.sort_by(|a, b| a.slope.total_cmp(&b.slope));
    let class = Class { lines, prices: Prices::new(prices) };
    Problem { classes: vec![class], capacity: desks.iter().map(|desk| desk.1).collect() }
}

#[test]
fn enough_capacity_costs_nothing() {
    let problem = market(100, &[(0.9, 100.0), (0.5, 100.0)]);
    let solved = solve(&problem, &[50.0, 50.0], EFFORT);
    assert_eq!(whole_cents(&problem, &solved.bids), [0, 0]);
}

#[test]
fn a_scarce_desk_costs_what_the_first_case_left_out_would_bring() {
    let problem = market(100, &[(0.9, 10.0)]);
    let solved = solve(&problem, &[0.0], EFFORT);
    // Cases worth 91.00 and more are in: 0.9 of it.
    assert!((8_090.0..=8_190.0).contains(&solved.bids[0]), "{:?}", solved.bids);
    assert!(solved.gap() < 1e-3, "{}", solved.gap());
}

#[test]
fn equal_desks_cost_the_same() {
    let problem = market(100, &[(0.9, 10.0), (0.9, 20.0)]);
    let solved = solve(&problem, &[0.0, 0.0], EFFORT);
    assert!((solved.bids[0] - solved.bids[1]).abs() <= 1.0, "{:?}", solved.bids);
}

#[test]
fn the_bound_is_convex_and_its_slope_is_capacity_less_demand() {
    let problem = market(200, &[(0.9, 10.0), (0.7, 40.0), (0.3, 60.0)]);
    let mut answer = Answer::default();
    let mut at = |bids: &[f64]| {
        problem.ask(bids, &mut answer);
        (answer.bound, answer.demand.clone())
    };
    for step in 0..50 {
        let bids = [5_000.0 + 37.0 * f64::from(step), 3_000.0, 1_000.0];
        let (here, demand) = at(&bids);
        let (more, _) = at(&[bids[0] + 0.5, bids[1], bids[2]]);
        let slope = (more - here) / 0.5;
        assert!((slope - (10.0 - demand[0])).abs() <= 1.01, "{slope} at {bids:?}");
    }
}

#[test]
fn shares_never_exceed_the_pool_and_follow_demand() {
    let mut pool = Pool::new(4);
    pool.limit(Some(3), None, None);
    assert_eq!(pool.deal(&[1.0, 0.2, 1.7, 0.0]), [1, 0, 2, 0]);
    assert_eq!(pool.left(), 0);
    assert_eq!(pool.deal(&[5.0, 5.0, 5.0, 5.0]), [0, 0, 0, 0]);
    pool.answer(2, 1, 0, 0);
    assert_eq!(pool.left(), 1);
    // A lowered capacity leaves nothing to deal, and says so.
    pool.limit(Some(1), None, None);
    assert_eq!(pool.deal(&[1.0, 1.0, 1.0, 1.0]), [0, 0, 0, 0]);
    assert!(pool.state().exceeded);
}

#[test]
fn remainders_are_carried_so_that_nobody_is_always_last() {
    let mut pool = Pool::new(3);
    pool.limit(Some(100), Some(1), None);
    let mut dealt = [0; 3];
    for _ in 0..9 {
        for (sum, share) in dealt.iter_mut().zip(pool.deal(&[1.0, 1.0, 1.0])) {
            *sum += share;
        }
    }
    assert_eq!(dealt, [3, 3, 3]);
}
