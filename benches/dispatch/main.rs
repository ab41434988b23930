//! How good and how fast the dispatch core is. Prints a table for each figure; see README.md.

mod check;
mod live;
mod market;
mod rounds;
mod work;

use market::{SHAPES, Shape};
use recoup_operators::clear::envelope::Problem;
use recoup_operators::clear::solve::{self, Effort, Solved, said};
use recoup_operators::dispatch::core;
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
        "check" => {
            let text = std::io::read_to_string(std::io::stdin()).unwrap_or_default();
            check::check(&text);
        }
        "export" => export(number(1, 20_000), number(2, 60)),
        "shards" => shards(number(1, 1_000_000), number(2, 300), number(3, 64)),
        "warm" => warm(number(1, 1_000_000), number(2, 300)),
        "size" => size(number(1, 300)),
        "day" => {
            let only = arguments.get(3).and_then(|text| text.parse().ok());
            day(number(1, 100_000), number(2, 60), only);
        }
        "load" => load(number(1, 1_000_000), number(2, 300)),
        _ => println!(
            "clear | trace | shards | warm | day | load | export [cases] [desks], size, check"
        ),
    }
}

/// A cold round's bid prices, as the operator searches for them.
fn cleared(problem: &Problem) -> Solved {
    solve::solve(problem, &vec![0.0; problem.capacity.len()], Effort::of(problem, false))
}

fn clear(count: usize, desks: usize) {
    println!(
        "| capacity | sketch s | solve s | evaluations | own gap | decide M/s | reached | gap | \
         first come |"
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
    let solved = cleared(&problem);
    let bids = said(&problem, &solved.bids);
    let seconds = clock.seconds();
    let clock = Clock::start();
    let (desks_of, value) = decide(&market, &bids, &kinds, &prices);
    let decided = count as f64 / clock.seconds() / 1e6;
    let value = value(&market, &desks_of);
    let bound = exact_bound(&market, &bids, &kinds, &prices);
    let (_, fcfs) = first_come(&market, &kinds, &prices);
    println!(
        "| {} | {sketched:.2} | {seconds:.2} | {} | {:.1e} | {decided:.1} | {:.4} % | {:.1e} | \
         {:.2} % |",
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

fn shards(count: usize, desks: usize, shards: usize) {
    println!("| capacity | round 1 | round 2 | round 3 | waiting |");
    println!("| --- | --- | --- | --- | --- |");
    for shape in SHAPES {
        let market = market::market(count, desks, shape, 1);
        let (kinds, prices) = market::cases(count, 1);
        let problem = problem(&market, &sketch(&kinds, &prices));
        let bids = said(&problem, &cleared(&problem).bids);
        let bound = exact_bound(&market, &bids, &kinds, &prices);
        let reached = rounds::sharded(&market, &kinds, &prices, shards, 3);
        let part = |at: usize| format!("{:.4} %", 100.0 * reached[at].0 / bound);
        println!("| {} | {} | {} | {} | {} |", shape.name, part(0), part(1), part(2), reached[2].1);
    }
}

/// Solves again after one in a hundred cases, or every capacity by one percent, has changed.
fn warm(count: usize, desks: usize) {
    println!("| change | solve s | evaluations | own gap | gap reached |");
    println!("| --- | --- | --- | --- | --- |");
    let before = market::market(count, desks, SHAPES[0], 1);
    let (mut kinds, mut prices) = market::cases(count, 1);
    let known = problem(&before, &sketch(&kinds, &prices));
    let known = cleared(&known);
    let (other_kinds, other_prices) = market::cases(count / 100, 77);
    let again = |what: &str, market: &market::Market, kinds: &[u32], prices: &[i64]| {
        let problem = problem(market, &sketch(kinds, prices));
        let clock = Clock::start();
        let solved = solve::solve(&problem, &known.bids, Effort::of(&problem, false));
        let bids = said(&problem, &solved.bids);
        let seconds = clock.seconds();
        let (desks, value) = decide(market, &bids, kinds, prices);
        let gap = 1.0 - value(market, &desks) / exact_bound(market, &bids, kinds, prices);
        let own = solved.gap();
        println!("| {what} | {seconds:.3} | {} | {own:.1e} | {gap:.1e} |", solved.evaluations);
    };
    let mut dice = market::Dice(5);
    let mut changed = market::market(count, desks, SHAPES[0], 1);
    for capacity in &mut changed.capacity {
        *capacity = (*capacity as f64 * (0.99 + 0.02 * dice.part())) as i64;
    }
    again("capacities by 1 %", &changed, &kinds, &prices);
    for (at, (kind, price)) in other_kinds.iter().zip(&other_prices).enumerate() {
        (kinds[at * 100], prices[at * 100]) = (*kind, *price);
    }
    again("1 % of the cases", &before, &kinds, &prices);
}

/// Cost as cases grow: sketch and decide grow with them, clear does not.
fn size(desks: usize) {
    println!("| cases | sketch s | clear s | decide s |");
    println!("| --- | --- | --- | --- |");
    for parts in [1, 10, 100] {
        let part = 1_000_000;
        let market = market::market(part * parts, desks, SHAPES[0], 1);
        let (mut sketched, mut decided) = (0.0, 0.0);
        let mut bins = Vec::new();
        for number in 0..parts {
            let (kinds, prices) = market::cases(part, number as u64);
            let clock = Clock::start();
            let more = sketch(&kinds, &prices);
            if bins.is_empty() {
                bins = more;
            } else {
                for (bin, more) in bins.iter_mut().zip(&more) {
                    *bin = (bin.0 + more.0, bin.1 + more.1);
                }
            }
            sketched += clock.seconds();
        }
        let problem = problem(&market, &bins);
        let clock = Clock::start();
        let solved = cleared(&problem);
        let bids = said(&problem, &solved.bids);
        let cleared = clock.seconds();
        let mut table = work::table(&market, &bids, &market.capacity);
        for number in 0..parts {
            let (kinds, prices) = market::cases(part, number as u64);
            let mut out = vec![core::NOBODY; part];
            let clock = Clock::start();
            table.decide(&kinds, &prices, &mut out);
            decided += clock.seconds();
        }
        println!(
            "| {} M | {sketched:.2} | {cleared:.2} | {decided:.2} |",
            part * parts / 1_000_000
        );
    }
}

/// A whole load through the operators: what each row and each waiting case costs there.
fn load(count: usize, desks: usize) {
    let market = market::market(count, desks, SHAPES[0], 1);
    let load = live::load(&market, count, 4);
    let each = |seconds: f64| seconds * 1e9 / count as f64;
    println!("{count} cases × {desks} desks, 8 shards, all in one thread");
    println!("arriving: {:.0} ns a case", each(load.send));
    println!(
        "memory: {} bytes a case counted, {} resident",
        load.counted / count,
        load.resident / count
    );
    println!("| round | answering ns | clearing s | deciding ns | wait |");
    println!("| --- | --- | --- | --- | --- |");
    for (number, ([answer, clear, decide], waiting)) in load.rounds.iter().enumerate() {
        println!(
            "| {} | {:.0} | {clear:.2} | {:.0} | {waiting} |",
            number + 1,
            each(*answer),
            each(*decide)
        );
    }
}

/// Two days through the operators: one to learn from, and one to be measured.
fn day(count: usize, desks: usize, only: Option<usize>) {
    println!(
        "| capacity | a day known | nothing known | first come | answering s | clearing s | \
         deciding s |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (number, shape) in SHAPES.into_iter().enumerate() {
        if only.is_some_and(|only| only != number) {
            continue;
        }
        let market = market::market(count, desks, shape, 1);
        let (known, [answer, clear, decide]) = live::two_days(&market, count, true);
        let (blind, _) = live::two_days(&market, count, false);
        let cases = live::Cases::of(1, count);
        let hindsight = problem(&market, &sketch(&cases.kinds, &cases.last));
        let solved = cleared(&hindsight);
        let bids = said(&hindsight, &solved.bids);
        let bound = exact_bound(&market, &bids, &cases.kinds, &cases.last);
        let (_, first) = first_come(&market, &cases.kinds, &cases.last);
        let last = |hours: &[f64]| 100.0 * hours.last().copied().unwrap_or(0.0) / bound;
        println!(
            "| {} | {:.3} % | {:.2} % | {:.2} % | {answer:.4} | {clear:.4} | {decide:.4} |",
            shape.name,
            last(&known),
            last(&blind),
            100.0 * first / bound
        );
        for (hour, (known, blind)) in known.iter().zip(&blind).enumerate() {
            println!("# {} {} {:.6} {:.6}", shape.name, hour + 1, known / bound, blind / bound);
        }
    }
}

/// Writes an instance as other solvers read it: desks and cases, capacities, then cases with
/// their values at each desk that may take them, and what we reach.
fn export(count: usize, desks: usize) {
    let market = market::market(count, desks, SHAPES[0], 1);
    let (kinds, prices) = market::cases(count, 1);
    let clock = Clock::start();
    let problem = problem(&market, &sketch(&kinds, &prices));
    let bids = said(&problem, &cleared(&problem).bids);
    let (desks_of, value) = decide(&market, &bids, &kinds, &prices);
    let seconds = clock.seconds();
    let reached = value(&market, &desks_of);
    let bound = exact_bound(&market, &bids, &kinds, &prices);
    println!("{desks} {count} {reached} {bound} {seconds}");
    let words: Vec<String> = market.capacity.iter().map(|there| there.to_string()).collect();
    println!("{}", words.join(" "));
    for (kind, price) in kinds.iter().zip(&prices) {
        let worth = |line: &core::Line| {
            let value = i128::from(*price) * i128::from(line.slope);
            let value = value / i128::from(market::SCALE) - i128::from(line.cost);
            (value > 0).then(|| format!("{}:{value}", line.desk))
        };
        let words: Vec<String> = market.lines[*kind as usize].iter().filter_map(worth).collect();
        println!("{}", words.join(" "));
    }
}
