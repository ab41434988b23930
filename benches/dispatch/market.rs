//! Seeded instances: 31 provinces × 7 buckets × 6 products, log-normal prices with median 900
//! and sigma 0.9, desks that cover a quarter of the provinces, 60 % of the buckets and 70 % of
//! the products, yields 0.4 to 1.4, costs 5 to 40.

use recoup_operators::dispatch::core::Line;

pub const PROVINCES: usize = 31;
pub const BUCKETS: usize = 7;
pub const PRODUCTS: usize = 6;
pub const KINDS: usize = PROVINCES * BUCKETS * PRODUCTS;
pub const SCALE: i64 = 1_000_000_000_000;
/// Bid prices are in hundredths of a cent.
pub const BID: i64 = SCALE / 100;

/// Numbers that are the same on every machine (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    pub fn part(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.word()) * limit as u128) >> 64) as usize
    }

    fn pick(&mut self, all: usize, some: usize) -> Vec<bool> {
        let mut list: Vec<usize> = (0..all).collect();
        let mut picked = vec![false; all];
        for at in 0..some {
            list.swap(at, at + self.below(all - at));
            picked[list[at]] = true;
        }
        picked
    }

    pub fn price(&mut self) -> i64 {
        let (a, b) = (self.part().max(1e-300), self.part());
        let normal = (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos();
        (90_000.0 * (0.9 * normal).exp()).round().max(1.0) as i64
    }
}

/// How the capacity is shaped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    pub name: &'static str,
    /// Capacity as a part of the cases.
    pub part: f64,
    /// Half of the capacity at three desks.
    pub skewed: bool,
}

pub const SHAPES: [Shape; 4] = [
    Shape { name: "80 %", part: 0.8, skewed: false },
    Shape { name: "30 %", part: 0.3, skewed: false },
    Shape { name: "150 %", part: 1.5, skewed: false },
    Shape { name: "skewed", part: 0.8, skewed: true },
];

pub struct Market {
    pub lines: Vec<Vec<Line>>,
    pub capacity: Vec<i64>,
    pub desks: Vec<Desk>,
}

/// What a desk takes, and on what terms: yields in millionths by bucket, where it works at all.
pub struct Desk {
    pub provinces: Vec<usize>,
    pub products: Vec<usize>,
    pub yields: [Option<i64>; BUCKETS],
    pub cost: i64,
}

/// Desks and their capacities.
pub fn market(cases: usize, desks: usize, shape: Shape, seed: u64) -> Market {
    let mut dice = Dice(seed);
    let mut lines = vec![Vec::new(); KINDS];
    let mut weights = Vec::new();
    let mut list = Vec::new();
    for desk in 0..desks {
        let provinces = dice.pick(PROVINCES, PROVINCES.div_ceil(4));
        let buckets = dice.pick(BUCKETS, 4);
        let products = dice.pick(PRODUCTS, 4);
        let cost = 500 + dice.below(3_501) as i64;
        let yields: Vec<i64> =
            (0..BUCKETS).map(|_| (400_000 + dice.below(1_000_001) as i64) * 1_000_000).collect();
        for (kind, lines) in lines.iter_mut().enumerate() {
            let (province, rest) = (kind / (BUCKETS * PRODUCTS), kind % (BUCKETS * PRODUCTS));
            let (bucket, product) = (rest / PRODUCTS, rest % PRODUCTS);
            if provinces[province] && buckets[bucket] && products[product] {
                lines.push(Line { desk: desk as u16, slope: yields[bucket], cost });
            }
        }
        weights.push(0.25 + dice.part());
        let some = |picked: &[bool]| (0..picked.len()).filter(|at| picked[*at]).collect();
        list.push(Desk {
            provinces: some(&provinces),
            products: some(&products),
            yields: std::array::from_fn(|at| buckets[at].then_some(yields[at] / 1_000_000)),
            cost,
        });
    }
    if shape.skewed {
        let rest: f64 = weights[3..].iter().sum();
        weights[..3].fill(rest / 3.0);
    }
    let whole: f64 = weights.iter().sum();
    let there = cases as f64 * shape.part;
    let capacity = weights.iter().map(|weight| (there * weight / whole) as i64).collect();
    Market { lines, capacity, desks: list }
}

/// Cases in order of arrival: their kinds and their prices in cents.
pub fn cases(count: usize, seed: u64) -> (Vec<u32>, Vec<i64>) {
    let mut dice = Dice(seed ^ 0xca5e);
    (0..count).map(|_| (dice.below(KINDS) as u32, dice.price())).unzip()
}
