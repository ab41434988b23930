//! How good and how fast the dispatch core is. Prints a table for each figure; see README.md.

#[path = "../../operators/dispatch/bins.rs"]
mod bins;
#[path = "../../operators/clear/cents.rs"]
mod cents;
#[path = "../../operators/dispatch/core.rs"]
#[allow(dead_code)]
mod core;
#[path = "../../operators/clear/envelope.rs"]
mod envelope;
mod market;
#[path = "../../operators/clear/solve.rs"]
mod solve;
mod work;

use cents::whole_cents;
use market::{SHAPES, Shape};
use solve::Effort;
use work::{decide, exact_bound, first_come, problem, sketch};

/// Seconds this thread was on a processor: fair on a machine that does other work too.
struct Clock(f64);

impl Clock {
    fn now() -> f64 {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let spent = text.split(' ').next().and_then(|number| number.parse::<f64>().ok());
        spent.unwrap_or(0.0) / 1e9
    }

    fn start() -> Self {
        Clock(Self::now())
    }

    fn seconds(&self) -> f64 {
        Self::now() - self.0
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let what = arguments.first().map_or("clear", |what| what.as_str());
    let number = |at: usize, default: usize| {
        arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    match what {
        "clear" => clear(number(1, 1_000_000), number(2, 300)),
        "trace" => trace(number(1, 1_000_000), number(2, 300), number(3, 0)),
        _ => println!("clear [cases] [desks]"),
    }
}

const EFFORT: Effort = Effort { evaluations_max: 3_000, gap_enough: 2e-5 };

fn clear(count: usize, desks: usize) {
    println!(
        "| capacity | sketch s | solve s | evaluations | own gap | decide M/s | reached | gap | first come |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for shape in SHAPES {
        row(count, desks, shape);
    }
}

fn row(count: usize, desks: usize, shape: Shape) {
    let market = market::market(count, desks, shape, 1);
    let (kinds, prices) = market::cases(count, 1);
    let clock = Clock::start();
    let bins = sketch(&kinds, &prices);
    let sketched = clock.seconds();
    let problem = problem(&market, &bins);
    let clock = Clock::start();
    let solved = solve::solve(&problem, &vec![0.0; desks], EFFORT);
    let bids = whole_cents(&problem, &solved.bids);
    let seconds = clock.seconds();
    let clock = Clock::start();
    let (desks_of, value) = decide(&market, &bids, &kinds, &prices);
    let decided = count as f64 / clock.seconds() / 1e6;
    let value = value(&market, &desks_of);
    let bound = exact_bound(&market, &bids, &kinds, &prices);
    let (_, fcfs) = first_come(&market, &kinds, &prices);
    println!(
        "| {} | {sketched:.2} | {seconds:.2} | {} | {:.1e} | {decided:.1} | {:.4} % | {:.1e} | {:.2} % |",
        shape.name,
        solved.evaluations,
        solved.gap(),
        100.0 * value / bound,
        1.0 - value / bound,
        100.0 * fcfs / bound,
    );
}

fn trace(count: usize, desks: usize, shape: usize) {
    let market = market::market(count, desks, SHAPES[shape], 1);
    let (kinds, prices) = market::cases(count, 1);
    let problem = problem(&market, &sketch(&kinds, &prices));
    for most in [5, 10, 20, 40, 80, 160, 320, 640, 1280] {
        let clock = Clock::start();
        let effort = Effort { evaluations_max: most, gap_enough: 1e-6 };
        let solved = solve::solve(&problem, &vec![0.0; desks], effort);
        let seconds = clock.seconds();
        println!(
            "{most} {} {seconds:.3} s gap {:.2e} bound {:.6e}",
            solved.evaluations,
            solved.gap(),
            solved.bound
        );
    }
}
