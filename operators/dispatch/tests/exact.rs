//! The decision over columns against a plain look at every desk, and whole markets against an
//! exhaustive search.

use super::world::{Dice, TestDesk, World, desk, desks, report};
use crate::Rules;
use crate::dispatch::core::{Line, NOBODY, Place, Table};
use crate::dispatch::market::{BID, SCALE};

/// Every desk looked at, nothing remembered.
fn plain(lines: &[Line], places: &mut [Place], price: i64, value_min: i64) -> u16 {
    let mut open: Vec<(i128, u16)> = lines
        .iter()
        .filter_map(|line| {
            let value = i128::from(price) * i128::from(line.slope) - i128::from(line.cost) * SCALE;
            let net = value - i128::from(places[usize::from(line.desk)].bid) * BID;
            let fits = value > i128::from(value_min) * SCALE && net >= 0;
            fits.then_some((-net, line.desk))
        })
        .collect();
    open.sort_unstable();
    for (_, desk) in open {
        let place = &mut places[usize::from(desk)];
        if place.left > 0 {
            place.left -= 1;
            return desk;
        }
        if place.later {
            return NOBODY;
        }
    }
    NOBODY
}

#[test]
fn columns_decide_like_a_plain_look() {
    for seed in 0..400 {
        let mut dice = Dice(seed);
        let desks = 1 + dice.below(12) as u16;
        // Few different numbers, so that lines meet in whole cents, coincide and run parallel.
        let round = [1, 100, 250_000_000_000][(seed % 3) as usize];
        let kinds: Vec<Vec<Line>> = (0..4)
            .map(|_| {
                let line = |desk| Line {
                    desk,
                    slope: dice.below(8) as i64 * 1_000_000_000_000 / round.max(4)
                        * (round / 4).max(1),
                    cost: dice.below(9) as i64 * 50,
                };
                (0..desks).map(line).collect()
            })
            .collect();
        let mut places: Vec<Place> = (0..desks)
            .map(|_| Place {
                bid: dice.below(3) as i64 * 10_000 + (dice.below(2) * dice.below(100)) as i64,
                left: dice.below(40) as i64,
                later: dice.below(4) == 0,
            })
            .collect();
        let value_min = [0, 0, 120, -30][dice.below(4) as usize];
        let mut table = Table::new(&kinds, places.clone(), value_min);
        for number in 0..300 {
            let kind = dice.below(4) as usize;
            let price = dice.below(1_500) as i64 - 50;
            let expected = plain(&kinds[kind], &mut places, price, value_min);
            let found = table.one(kind, price);
            assert_eq!(found, expected, "seed {seed}, case {number}, price {price}");
        }
    }
}

#[test]
fn the_fast_way_decides_like_the_long_one() {
    let mut met = 0;
    for seed in 0..30 {
        let mut dice = Dice(seed);
        let mut list: Vec<TestDesk> = (0..6)
            .map(|number| {
                let performance = format!("0.{:02}", 20 + dice.below(8) * 10);
                let mut desk = desk(&format!("D{number}"), &performance, "0.2", 50 * number);
                desk.capacity = (dice.below(4) > 0).then(|| dice.below(6) as i64);
                desk.tier = [None, None, Some(1), Some(2)][dice.below(4) as usize];
                desk
            })
            .collect();
        let mut world = World::new(Rules { shards: 2, ..Rules::default() });
        world.tell("desks", &desks(&list));
        for number in 0..120 {
            let mut row = report(&format!("l{number}"), &format!("b{number}"), 0);
            row.price = Some(dice.below(9_000) as i64 - 50);
            row.kind = if dice.below(20) == 0 { "recall" } else { "report" };
            world.send(vec![row]);
            if number % 10 == 0 {
                world.round();
            }
            if number == 60 {
                list[1].capacity = Some(3);
                world.tell("desks", &desks(&list));
            }
            for shard in &mut world.shards {
                for case in 0..shard.cases.len() as u32 {
                    let Some(plain) = shard.plain(case, 1) else { continue };
                    let ranked = shard.candidates(case, 1);
                    let amount = shard.amount(case);
                    let long = shard.choose(&ranked, amount, None).taken;
                    let long = long.map(|at| ranked[at].desk);
                    assert_eq!(shard.choose_fast(plain), long, "seed {seed}, {plain:?}");
                    let surplus = ranked.first().map_or(0, |best| best.net.max(0));
                    assert_eq!(shard.lane.surplus(plain), surplus, "seed {seed}, {plain:?}");
                    assert_eq!(shard.lane.worth(plain), !ranked.is_empty(), "seed {seed}");
                    met += usize::from(long.is_some());
                }
            }
        }
    }
    assert!(met > 1_000, "{met}");
}

/// The best plan there is, by trying all of them. Values in cents.
fn best(values: &[Vec<Option<i128>>], left: &mut Vec<i64>, case: usize) -> i128 {
    if case == values.len() {
        return 0;
    }
    let mut most = best(values, left, case + 1);
    for desk in 0..left.len() {
        if let Some(value) = values[case][desk].filter(|value| *value > 0 && left[desk] > 0) {
            left[desk] -= 1;
            most = most.max(value + best(values, left, case + 1));
            left[desk] += 1;
        }
    }
    most
}

#[test]
fn tiny_markets_come_close_to_the_best_plan() {
    let (mut reached, mut possible) = (0, 0);
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let list: Vec<TestDesk> = (0..3)
            .map(|number| {
                let performance = format!("0.{:02}", 20 + dice.below(70));
                let mut desk = desk(&format!("D{number}"), &performance, "0", 100 * number);
                desk.capacity = Some(dice.below(4) as i64);
                desk
            })
            .collect();
        let mut world = World::new(Rules { shards: 2, ..Rules::default() });
        world.tell("desks", &desks(&list));
        let prices: Vec<i64> = (0..7).map(|_| 100 + dice.below(5_000) as i64).collect();
        for (number, price) in prices.iter().enumerate() {
            world.send(vec![report(&format!("l{number}"), &format!("b{number}"), *price)]);
        }
        world.settle();
        world.round();
        let value = |price: i64, desk: &TestDesk| {
            let part: i128 = desk.performance[2..4].parse().unwrap();
            i128::from(price) * part - i128::from(desk.cost) * 100
        };
        let values: Vec<Vec<Option<i128>>> = prices
            .iter()
            .map(|price| list.iter().map(|desk| Some(value(*price, desk))).collect())
            .collect();
        let mut left: Vec<i64> = list.iter().map(|desk| desk.capacity.unwrap()).collect();
        let most = best(&values, &mut left, 0);
        let mut sum = 0;
        for (number, price) in prices.iter().enumerate() {
            let seen = &world.seen[&format!("l{number}")];
            if seen.status == "placed" {
                let desk = list.iter().find(|desk| desk.id == seen.desk).unwrap();
                sum += value(*price, desk);
            }
        }
        assert!(sum <= most, "seed {seed}: {sum} of {most}");
        // All of it was decided or waiting under the first bid prices: no plan beats their bound.
        let (_, bound) = world.certificates()[&1];
        assert!(bound >= most * (SCALE / 100), "seed {seed}: bound {bound}, best {most}");
        // Whatever is left over is not worth placing, or there is no room for it.
        let open = world.open();
        for (number, price) in prices.iter().enumerate() {
            let waits = world.seen[&format!("l{number}")].status == "waiting";
            let room = |desk: &&TestDesk| {
                open.get(&desk.id).copied().unwrap_or(0) < desk.capacity.unwrap()
                    && value(*price, desk) > 0
            };
            let idle = list.iter().any(|desk| room(&desk));
            assert!(!waits || !idle, "seed {seed}: {number} waits");
        }
        reached += sum;
        possible += most;
    }
    assert!(reached * 1_000 >= possible * 994, "{reached} of {possible}");
}
