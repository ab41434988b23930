//! The simulator: the real loop, SQL and operators in a world where everything breaks.
//!
//! A seed decides all of it: what lenders send, who holds which shard, whose turn it is, what is
//! lost, stale, late, damaged, and who dies in which call. Nothing waits and no clock is asked.
//! `./x sim N` runs N seeds; `SIM_SEED=7 ./x sim` repeats one.

mod damage;
pub mod dice;
mod history;
mod plan;
mod pool;
mod restored;
mod verdict;
mod watch;
mod wild;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use dice::Dice;
use plan::Plan;
use pool::Pool;
use world::World;

/// As many as a small build machine gets through in two minutes.
const SEEDS: u64 = 120;
/// Each so manieth seed runs twice, and each so manieth loses history at its end.
const TWICE: u64 = 8;
const LOST: u64 = 3;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// One life of one seed.
fn life<'p>(seed: u64, plan: &'p Plan, pool: &'p mut Pool) -> Result<World<'p>, String> {
    let mut dice = Dice::new(seed ^ 0xbad);
    let (events, rate) = (dice.between(150, 350) as usize, *dice.pick(&[6, 12, 25, 60]));
    let mut world = World::new(seed, plan, pool);
    world.live(events, rate)?;
    verdict::judge(&mut world)?;
    Ok(world)
}

/// Everything about one seed; what it went through.
fn run(seed: u64, pool: &mut Pool) -> Result<BTreeMap<&'static str, u64>, String> {
    let plan = Plan::new(&mut Dice::new(seed));
    let mut clean = World::new(seed, &plan, pool);
    clean.calm()?;
    verdict::judge(&mut clean)?;
    let World { watch, .. } = clean;
    let mut world = life(seed, &plan, pool)?;
    verdict::same_end(&world, &watch)?;
    let bytes = verdict::bytes_of(&world);
    if seed.is_multiple_of(LOST) {
        history::lose(&mut world)?;
    }
    let mut told = world.told.clone();
    for (name, count) in world.log.told() {
        *told.entry(name).or_default() += count;
    }
    *told.entry("checks after a commit").or_default() += world.watch.looks;
    *told.entry("hours").or_default() += world.hours() as u64;
    *told.entry("facts").or_default() += plan.facts as u64;
    *told.entry("seeds").or_default() += 1;
    if seed.is_multiple_of(TWICE) {
        let again = life(seed, &plan, pool)?;
        if verdict::bytes_of(&again) != bytes {
            return Err("run twice, it stores other bytes".into());
        }
        *told.entry("seeds run twice").or_default() += 1;
    }
    Ok(told)
}

/// Seeds one after the other; the first that fails, with the command that repeats it.
fn sweep(seeds: impl Iterator<Item = u64>) -> Result<BTreeMap<&'static str, u64>, String> {
    let mut pool = Pool::default();
    let mut all = BTreeMap::new();
    for seed in seeds {
        let ran = catch_unwind(AssertUnwindSafe(|| run(seed, &mut pool)));
        let told = ran.unwrap_or_else(|_| Err("it panicked, see above".into()));
        let told = told
            .map_err(|what| format!("seed {seed}: {what}\nrepeat with: SIM_SEED={seed} ./x sim"))?;
        for (name, count) in told {
            *all.entry(name).or_default() += count;
        }
    }
    Ok(all)
}

#[test]
fn seeds_hold() {
    let from = number("SIM_FROM").unwrap_or(0);
    let seeds = match number("SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => from..from + number("SIM_SEEDS").unwrap_or(SEEDS),
    };
    let threads = 2;
    let sweeps: Vec<_> = std::thread::scope(|scope| {
        let sweeps: Vec<_> = (0..threads)
            .map(|thread| {
                let own = seeds.clone().filter(move |seed| seed % threads == thread);
                scope.spawn(move || sweep(own))
            })
            .collect();
        sweeps.into_iter().map(|sweep| sweep.join().expect("it answers")).collect()
    });
    let mut all: BTreeMap<&str, u64> = BTreeMap::new();
    for told in sweeps {
        match told {
            Ok(told) => told.into_iter().for_each(|(name, n)| *all.entry(name).or_default() += n),
            Err(failure) => panic!("{failure}"),
        }
    }
    for (name, count) in all {
        println!("{count:>9} {name}");
    }
}
