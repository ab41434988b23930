//! Clear by what it says: prices that make the bound small, whole shares within the limits.

use super::envelope::{Answer, Class, Line, Prices, Problem};
use super::forecast::Forecast;
use super::pool::Pool;
use super::solve::{Effort, said, solve};

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
    assert_eq!(said(&problem, &solved.bids), [0, 0]);
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

const HOUR: i64 = 3_600_000_000;

/// A day of a case an hour, twice as many from noon on.
fn a_day(forecast: &mut Forecast, day: i64, times: i64) {
    forecast.pass(day * 24 * HOUR);
    for hour in 0..24 {
        let at = (day * 24 + hour) * HOUR + HOUR / 2;
        let count = times * if hour < 12 { 100 } else { 200 };
        forecast.arrive(at, "kind", [(7, (count, count * 700))].into_iter());
        forecast.pass(at);
    }
}

#[test]
fn nothing_is_expected_before_a_whole_day_is_known() {
    let mut forecast = Forecast::new(1_440);
    a_day(&mut forecast, 0, 1);
    assert_eq!(forecast.outlook(23 * HOUR), None);
    forecast.pass(24 * HOUR);
    assert!(forecast.outlook(24 * HOUR).is_some());
    // A log that begins late in a day has not seen what a day is like.
    let mut forecast = Forecast::new(1_440);
    forecast.pass(20 * HOUR);
    forecast.arrive(21 * HOUR, "kind", [(7, (100, 70_000))].into_iter());
    forecast.pass(24 * HOUR);
    assert_eq!(forecast.outlook(25 * HOUR), None);
}

#[test]
fn the_rest_of_a_day_is_that_of_the_day_before() {
    let mut forecast = Forecast::new(1_440);
    a_day(&mut forecast, 0, 1);
    forecast.pass(24 * HOUR);
    let outlook = forecast.outlook(24 * HOUR).unwrap();
    assert_eq!((outlook.arrived, outlook.expected, outlook.rest), (0, 0, 3_600));
    assert_eq!(outlook.kinds["kind"], [(7, (3_600_000, 3_600_000 * 700))]);
    // At noon a third has come, and two thirds are to come.
    a_day(&mut forecast, 1, 1);
    let noon = forecast.outlook(36 * HOUR).unwrap();
    assert_eq!(noon.expected, 1_200);
    // Whatever came after it is known here already: as if the day were far ahead of its time.
    assert!(noon.rest > 2_400, "{noon:?}");
}

#[test]
fn a_day_that_brings_more_makes_more_expected_but_never_beyond_all_measure() {
    let mut forecast = Forecast::new(1_440);
    a_day(&mut forecast, 0, 1);
    forecast.pass(24 * HOUR);
    forecast.arrive(36 * HOUR, "kind", [(7, (2_400, 2_400 * 700))].into_iter());
    let outlook = forecast.outlook(36 * HOUR).unwrap();
    assert!((4_400..=4_800).contains(&outlook.rest), "{outlook:?}");
    forecast.arrive(36 * HOUR, "kind", [(7, (1_000_000, 0))].into_iter());
    assert_eq!(forecast.outlook(36 * HOUR).unwrap().rest, 4 * 2_400);
}

#[test]
fn older_days_count_half_with_each_new_one() {
    let mut forecast = Forecast::new(1_440);
    a_day(&mut forecast, 0, 1);
    a_day(&mut forecast, 1, 3);
    forecast.pass(48 * HOUR);
    assert_eq!(forecast.outlook(48 * HOUR).unwrap().rest, 2 * 3_600);
}
