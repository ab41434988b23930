//! The decision as a pure function over columns: kinds and prices in, desks out.
//!
//! Within one kind of case every desk is a straight line in the price, so the best desk is a
//! look-up among the few prices at which the winner changes. Those prices are whole cents and
//! exact: ties are already in them. A desk that runs out of places is taken out of a kind's
//! lines when the kind next meets it; so limits are hard and the work is a few look-ups a case.

/// Nobody.
pub const NOBODY: u16 = u16::MAX;
/// Cents to the scale of values.
const SCALE: i128 = 1_000_000_000_000;

/// A desk's terms in a kind: worth `price × slope − cost`, in cents at 10^12 and cents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    pub desk: u16,
    pub slope: i64,
    pub cost: i64,
}

/// What there is of a desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub bid: i64,
    /// Cases it may take here and now.
    pub left: i64,
    /// Whether a case should wait for it once `left` is spent.
    pub later: bool,
}

/// A stretch of prices where one line is best.
#[derive(Clone, Copy, Debug)]
struct Piece {
    desk: u16,
    line: u16,
    /// The least price at which the desk is worth its bid price, and worth placing.
    fair: i64,
    worth: i64,
}

/// The lines of every kind, and the desks that still take cases.
pub struct Table {
    lines: Vec<Line>,
    /// By kind: where its lines begin; one more at the end. Pieces have the same places.
    starts: Vec<u32>,
    sizes: Vec<u32>,
    from: Vec<i64>,
    pieces: Vec<Piece>,
    pub places: Vec<Place>,
    full: Vec<bool>,
    value_min: i64,
}

impl Table {
    /// Lines by kind. A desk's number is its rank: of equals, the lowest wins.
    pub fn new(kinds: &[Vec<Line>], places: Vec<Place>, value_min: i64) -> Self {
        let mut lines = Vec::with_capacity(kinds.iter().map(Vec::len).sum());
        let mut starts = vec![0];
        for kind in kinds {
            let mut sorted = kind.clone();
            sorted.sort_by_key(|line| (line.slope, line.desk));
            lines.extend(sorted);
            starts.push(lines.len() as u32);
        }
        let none = Piece { desk: NOBODY, line: 0, fair: 0, worth: 0 };
        let mut table = Table {
            from: vec![0; lines.len()],
            pieces: vec![none; lines.len()],
            sizes: vec![0; kinds.len()],
            full: vec![false; places.len()],
            lines,
            starts,
            places,
            value_min,
        };
        for kind in 0..kinds.len() {
            table.envelop(kind);
        }
        table
    }

    /// Builds the upper envelope of a kind's lines, without the desks that are full.
    fn envelop(&mut self, kind: usize) {
        let (start, end) = (self.starts[kind] as usize, self.starts[kind + 1] as usize);
        let mut size = 0;
        for at in start..end {
            let line = self.lines[at];
            if self.full[usize::from(line.desk)] {
                continue;
            }
            let bid = self.places[usize::from(line.desk)].bid;
            let level = line.cost.saturating_add(bid);
            let mut from = i64::MIN;
            let mut beaten = false;
            while size > 0 {
                let top = self.lines[start + usize::from(self.pieces[start + size - 1].line)];
                let top_bid = self.places[usize::from(top.desk)].bid;
                let top_level = top.cost.saturating_add(top_bid);
                if top.slope == line.slope {
                    // Sorted by desk: of equals the one that stands there is the lowest.
                    if level >= top_level {
                        beaten = true;
                        break;
                    }
                } else {
                    let wins = line.desk < top.desk;
                    from = crossing(level, top_level, line.slope - top.slope, wins);
                    if from > self.from[start + size - 1] {
                        break;
                    }
                }
                size -= 1;
                from = i64::MIN;
            }
            if beaten || from == i64::MAX {
                continue;
            }
            self.from[start + size] = from;
            let fair = crossing(level, 0, line.slope, true);
            let worth = crossing(line.cost.saturating_add(self.value_min), 0, line.slope, false);
            let number = (at - start) as u16;
            self.pieces[start + size] = Piece { desk: line.desk, line: number, fair, worth };
            size += 1;
        }
        self.sizes[kind] = size as u32;
    }

    /// Decides cases in order; `desks` receives who takes each, or [`NOBODY`].
    pub fn decide(&mut self, kinds: &[u32], prices: &[i64], desks: &mut [u16]) {
        assert!(kinds.len() == prices.len(), "every case has a kind and a price");
        assert!(kinds.len() == desks.len(), "every case has room for its desk");
        for ((kind, price), desk) in kinds.iter().zip(prices).zip(desks) {
            *desk = self.one(*kind as usize, *price);
        }
    }

    /// Decides one case and spends its place.
    #[inline]
    pub fn one(&mut self, kind: usize, price: i64) -> u16 {
        loop {
            let found = self.best(kind, price);
            if found == NOBODY {
                return NOBODY;
            }
            let place = &mut self.places[usize::from(found)];
            if place.left > 0 {
                place.left -= 1;
                return found;
            }
            if place.later {
                return NOBODY;
            }
            self.full[usize::from(found)] = true;
            self.envelop(kind);
        }
    }

    /// The best desk that is not full, by value less bid price.
    #[inline]
    pub fn best(&mut self, kind: usize, price: i64) -> u16 {
        let start = self.starts[kind] as usize;
        let size = self.sizes[kind] as usize;
        let from = &self.from[start..start + size];
        let mut after = 0;
        if size <= 24 {
            for begin in from {
                after += usize::from(*begin <= price);
            }
        } else {
            after = from.partition_point(|begin| *begin <= price);
        }
        if after == 0 {
            return NOBODY;
        }
        let piece = &self.pieces[start + after - 1];
        if self.full[usize::from(piece.desk)] {
            self.envelop(kind);
            return self.best(kind, price);
        }
        if price >= piece.fair {
            if price >= piece.worth {
                return piece.desk;
            }
            return self.scan(kind, price);
        }
        NOBODY
    }

    /// Looks at every line: for the rare price at which the best line is worth its bid price but
    /// not worth placing, while another may be both.
    #[cold]
    fn scan(&self, kind: usize, price: i64) -> u16 {
        let (start, end) = (self.starts[kind] as usize, self.starts[kind + 1] as usize);
        let least = i128::from(self.value_min) * SCALE;
        let mut best = (i128::MIN, NOBODY);
        for line in &self.lines[start..end] {
            let value = i128::from(price) * i128::from(line.slope) - i128::from(line.cost) * SCALE;
            let net = value - i128::from(self.places[usize::from(line.desk)].bid) * SCALE;
            let fits = !self.full[usize::from(line.desk)] && value > least && net >= 0;
            if fits && (net > best.0 || net == best.0 && line.desk < best.1) {
                best = (net, line.desk);
            }
        }
        best.1
    }
}

/// The least whole price at which a line beats a flatter one: `price × steeper` exceeds what it
/// costs more, or equals it where it `wins` ties.
fn crossing(level: i64, other: i64, steeper: i64, wins: bool) -> i64 {
    if steeper <= 0 {
        // As flat as nothing: it always wins, or it never does.
        let ahead = other > level || wins && other == level;
        return if ahead { i64::MIN } else { i64::MAX };
    }
    let more = level.saturating_sub(other);
    if more.unsigned_abs() < 9_000_000 {
        let more = more * SCALE as i64;
        let down = more.div_euclid(steeper);
        return down + i64::from(!wins || more.rem_euclid(steeper) != 0);
    }
    let (more, steeper) = (i128::from(more) * SCALE, i128::from(steeper));
    let down = more.div_euclid(steeper);
    let price = down + i128::from(!wins || more.rem_euclid(steeper) != 0);
    price.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}
