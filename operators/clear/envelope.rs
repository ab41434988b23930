//! What a market asks of its desks at given bid prices.
//!
//! Within one kind of case every desk is a straight line in the price: `slope × p − cost − λ`.
//! The best desk as a function of the price is the upper envelope of those lines, and what each
//! desk is asked for is the mass of prices under its piece of it. A kind's prices are bins with
//! a count and an exact mean, spread evenly around it; so the bound is a smooth convex function
//! of λ whose slope and curvature are exact and cheap: the work depends on kinds and desks.

/// No desk: the case stays.
pub const NOBODY: u32 = u32::MAX;

/// A desk's terms in a kind of case. Money in cents.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    pub desk: u32,
    pub slope: f64,
    pub cost: f64,
}

/// A kind's prices: bins in ascending order, with counts and sums before each.
#[derive(Clone, Debug, Default)]
pub struct Prices {
    /// Where bins begin, apart: a search looks at nothing else.
    low: Vec<f64>,
    bins: Vec<Bin>,
    pub total: (f64, f64),
}

#[derive(Clone, Copy, Debug)]
struct Bin {
    low: f64,
    high: f64,
    count: f64,
    /// Cases, and their sum of prices, in bins before this one.
    counted: f64,
    summed: f64,
}

impl Prices {
    /// Bins as (first price, first price of the next, count, sum), ascending.
    pub fn new(bins: impl Iterator<Item = (f64, f64, f64, f64)>) -> Self {
        let mut prices = Prices::default();
        for (low, high, count, sum) in bins {
            if count <= 0.0 {
                continue;
            }
            // Even around the mean keeps the sum exact; a lone case is (nearly) a point.
            let mean = sum / count;
            let alone = (high - low) * 0.5 / count;
            let half = (mean - low).min(high - mean).max(alone).max(mean * 1e-4).max(0.005);
            let half = if count < 2.0 { (mean * 1e-4).max(0.005) } else { half };
            prices.push(mean, half, count, sum);
        }
        prices
    }

    /// The same of bins that are partly guessed: nobody in them is a point.
    pub fn spread(bins: impl Iterator<Item = (f64, f64, f64, f64)>) -> Self {
        let mut prices = Prices::default();
        for (low, high, count, sum) in bins {
            if count > 0.0 {
                let mean = sum / count;
                let half = (mean - low).min(high - mean).max((high - low) * 0.25).max(0.005);
                prices.push(mean, half, count, sum);
            }
        }
        prices
    }

    fn push(&mut self, mean: f64, half: f64, count: f64, sum: f64) {
        self.put(mean - half, mean + half, count, sum);
    }

    fn put(&mut self, low: f64, high: f64, count: f64, sum: f64) {
        let (counted, summed) = self.total;
        self.low.push(low);
        self.bins.push(Bin { low, high, count, counted, summed });
        self.total = (counted + count, summed + sum);
    }

    /// Bins as points: price and count, ascending.
    pub fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        self.bins.iter().map(|bin| ((bin.low + bin.high) * 0.5, bin.count))
    }

    /// The same prices without gaps: `merged` bins at a time, each spread half way to its
    /// neighbors. The bound over them is smooth, which is where a search should begin.
    pub fn smooth(&self, merged: usize) -> Prices {
        let mut means: Vec<(f64, f64)> = Vec::new();
        for (at, (mean, count)) in self.points().enumerate() {
            match means.last_mut() {
                Some((counted, summed)) if at % merged != 0 => {
                    *counted += count;
                    *summed += count * mean;
                }
                _ => means.push((count, count * mean)),
            }
        }
        let mean = |at: usize| means[at].1 / means[at].0;
        let mut prices = Prices::default();
        for at in 0..means.len() {
            let here = mean(at);
            let low = if at > 0 { (mean(at - 1) + here) * 0.5 } else { here * 0.7 };
            let high = if at + 1 < means.len() { (here + mean(at + 1)) * 0.5 } else { here * 1.3 };
            let count = means[at].0;
            prices.put(low, high.max(low + 0.01), count, count * (low + high) * 0.5);
        }
        prices
    }

    /// Count and sum of the prices below `p`, and how dense they are there.
    pub fn below(&self, p: f64) -> (f64, f64, f64) {
        let after = self.low.partition_point(|low| *low <= p);
        if after == 0 {
            return (0.0, 0.0, 0.0);
        }
        let bin = &self.bins[after - 1];
        if p >= bin.high {
            let sum = bin.count * (bin.low + bin.high) * 0.5;
            return (bin.counted + bin.count, bin.summed + sum, 0.0);
        }
        let density = bin.count / (bin.high - bin.low);
        let part = density * (p - bin.low);
        (bin.counted + part, bin.summed + part * (bin.low + p) * 0.5, density)
    }
}

/// A kind of case: who may take it, by ascending slope, and its prices.
#[derive(Clone, Debug, Default)]
pub struct Class {
    pub lines: Vec<Line>,
    pub prices: Prices,
}

/// A piece of an envelope: from this price on, this desk.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    pub from: f64,
    pub desk: u32,
    pub slope: f64,
    /// Cost and bid price together.
    pub level: f64,
    /// The place of the line among its kind's.
    pub line: u32,
}

/// The upper envelope of a kind's lines and of nobody, into `pieces`.
pub fn envelope(lines: &[Line], bids: &[f64], pieces: &mut Vec<Piece>) {
    pieces.clear();
    pieces.push(Piece { from: 0.0, desk: NOBODY, slope: 0.0, level: 0.0, line: u32::MAX });
    for (number, line) in lines.iter().enumerate() {
        let level = line.cost + bids[line.desk as usize];
        let mut from = 0.0;
        while let Some(top) = pieces.last() {
            let steeper = line.slope - top.slope;
            if steeper <= 0.0 {
                // Parallel: the cheaper stays; of equals the first.
                if level >= top.level {
                    from = f64::INFINITY;
                    break;
                }
                pieces.pop();
                continue;
            }
            from = (level - top.level) / steeper;
            if from > top.from {
                break;
            }
            from = 0.0;
            pieces.pop();
        }
        if from < f64::INFINITY {
            let number = number as u32;
            let (desk, slope) = (line.desk, line.slope);
            pieces.push(Piece { from: from.max(0.0), desk, slope, level, line: number });
        }
    }
}

/// A market: kinds of cases, and how many cases each desk may take.
#[derive(Clone, Debug, Default)]
pub struct Problem {
    pub classes: Vec<Class>,
    /// Infinite where there is no limit.
    pub capacity: Vec<f64>,
}

/// What the market asks for at some bid prices.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// No plan is worth more than this.
    pub bound: f64,
    /// Cases and their value, by desk.
    pub demand: Vec<f64>,
    pub value: Vec<f64>,
    /// Neighbors on some envelope, and how much demand passes between them for a cent.
    pub edges: Vec<(u32, u32, f64)>,
    /// Demand lost to nobody for a cent, by desk.
    pub lost: Vec<f64>,
}

impl Problem {
    /// How many cases wait.
    pub fn cases(&self) -> f64 {
        self.classes.iter().map(|class| class.prices.total.0).sum()
    }

    /// The same market over smooth prices, costs up to so much higher or lower in each kind.
    pub fn smooth(&self, merged: usize, noise: f64) -> Problem {
        let class = |(number, class): (usize, &Class)| {
            let mut lines = class.lines.clone();
            for line in &mut lines {
                line.cost += noise * chance(number as u64, u64::from(line.desk));
            }
            Class { lines, prices: class.prices.smooth(merged) }
        };
        Problem {
            classes: self.classes.iter().enumerate().map(class).collect(),
            capacity: self.capacity.clone(),
        }
    }

    /// Evaluates the bound, its slope and its curvature.
    pub fn ask(&self, bids: &[f64], answer: &mut Answer) {
        let desks = self.capacity.len();
        for column in [&mut answer.demand, &mut answer.value, &mut answer.lost] {
            column.clear();
            column.resize(desks, 0.0);
        }
        answer.edges.clear();
        let mut bound = 0.0;
        for (bid, capacity) in bids.iter().zip(&self.capacity) {
            if *bid > 0.0 {
                bound += bid * capacity;
            }
        }
        let mut pieces = Vec::with_capacity(64);
        for class in &self.classes {
            envelope(&class.lines, bids, &mut pieces);
            let mut here = class.prices.below(pieces[0].from);
            for at in 0..pieces.len() {
                let piece = pieces[at];
                let next = pieces.get(at + 1);
                let (count, sum) = (here.0, here.1);
                here = match next {
                    Some(next) => class.prices.below(next.from),
                    None => (class.prices.total.0, class.prices.total.1, 0.0),
                };
                if let Some(next) = next
                    && here.2 > 0.0
                {
                    let weight = here.2 / (next.slope - piece.slope);
                    if piece.desk == NOBODY {
                        answer.lost[next.desk as usize] += weight;
                    } else {
                        answer.edges.push((piece.desk, next.desk, weight));
                    }
                }
                if piece.desk == NOBODY {
                    continue;
                }
                let (count, sum) = (here.0 - count, here.1 - sum);
                let desk = piece.desk as usize;
                let net = piece.slope * sum - piece.level * count;
                answer.demand[desk] += count;
                answer.value[desk] += net + bids[desk] * count;
                bound += net;
            }
        }
        answer.bound = bound;
    }
}

/// A number from -1 to 1 that is always the same for the same pair.
fn chance(kind: u64, desk: u64) -> f64 {
    let mut word = (kind << 32 | desk).wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((word ^ (word >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}
