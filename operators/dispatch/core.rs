//! The decision as a pure function over columns: kinds and prices in, desks out.
//!
//! Within one kind of case every desk is a straight line in the price, so the best desk is a
//! look-up among the few prices at which the winner changes. Those prices are whole cents and
//! exact: ties are already in them. A desk that runs out of places is taken out of a kind's
//! lines when the kind next meets it; so limits are hard and the work is a few look-ups a case.
//! A bid price that moves, or a desk that has places again, makes every kind's pieces stale; each
//! is built again when its next case comes.

/// Nobody.
pub const NOBODY: u16 = u16::MAX;
/// Cents to the scale of values.
const SCALE: i128 = 1_000_000_000_000;
/// Bid prices are in hundredths of a cent.
const BIDS_PER_CENT: i64 = 100;

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
    /// In hundredths of a cent.
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
#[derive(Default)]
pub struct Table {
    lines: Vec<Line>,
    /// By kind: where its lines begin; one more at the end. Pieces have the same places.
    starts: Vec<u32>,
    sizes: Vec<u32>,
    /// By kind: the version its pieces were built for.
    built: Vec<u32>,
    version: u32,
    from: Vec<i64>,
    pieces: Vec<Piece>,
    pub places: Vec<Place>,
    full: Vec<bool>,
    value_min: i64,
}

impl Table {
    /// Lines by kind. A desk's number is its rank: of equals, the lowest wins.
    pub fn new(kinds: &[Vec<Line>], places: Vec<Place>, value_min: i64) -> Self {
        let full = vec![false; places.len()];
        let mut table =
            Table { starts: vec![0], version: 1, places, full, value_min, ..Table::default() };
        for kind in kinds {
            table.add(kind);
        }
        table
    }

    /// One more kind; answers with its number.
    pub fn add(&mut self, kind: &[Line]) -> usize {
        let mut sorted = kind.to_vec();
        sorted.sort_by_key(|line| (line.slope, line.desk));
        self.lines.extend(sorted);
        let none = Piece { desk: NOBODY, line: 0, fair: 0, worth: 0 };
        self.from.resize(self.lines.len(), 0);
        self.pieces.resize(self.lines.len(), none);
        self.starts.push(self.lines.len() as u32);
        self.sizes.push(0);
        self.built.push(self.version.wrapping_sub(1));
        self.sizes.len() - 1
    }

    /// The desk's bid price is another one.
    pub fn set_bid(&mut self, desk: u16, bid: i64) {
        let place = &mut self.places[usize::from(desk)];
        if place.bid != bid {
            place.bid = bid;
            self.version = self.version.wrapping_add(1);
        }
    }

    /// The desk takes no more cases.
    pub fn close(&mut self, desk: u16) {
        self.full[usize::from(desk)] = true;
    }

    /// The desk takes cases again.
    pub fn reopen(&mut self, desk: u16) {
        if std::mem::take(&mut self.full[usize::from(desk)]) {
            self.version = self.version.wrapping_add(1);
        }
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
            let level = self.level(&line);
            let mut from = i64::MIN;
            let mut beaten = false;
            while size > 0 {
                let top = self.lines[start + usize::from(self.pieces[start + size - 1].line)];
                let top_level = self.level(&top);
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
            let least = line.cost.saturating_add(self.value_min).saturating_mul(BIDS_PER_CENT);
            let worth = crossing(least, 0, line.slope, false);
            let number = (at - start) as u16;
            self.pieces[start + size] = Piece { desk: line.desk, line: number, fair, worth };
            size += 1;
        }
        self.sizes[kind] = size as u32;
        self.built[kind] = self.version;
    }

    /// Cost and bid price together, in hundredths of a cent.
    fn level(&self, line: &Line) -> i64 {
        let bid = self.places[usize::from(line.desk)].bid;
        line.cost.saturating_mul(BIDS_PER_CENT).saturating_add(bid)
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
            self.close(found);
        }
    }

    /// The best desk that is not full, by value less bid price.
    #[inline]
    pub fn best(&mut self, kind: usize, price: i64) -> u16 {
        self.find(kind, price).map_or(NOBODY, |found| found.0)
    }

    /// What the best desk that is not full leaves of a case once its bid price is paid.
    pub fn surplus(&mut self, kind: usize, price: i64) -> i128 {
        let Some((_, line)) = self.find(kind, price) else { return 0 };
        let line = self.lines[self.starts[kind] as usize + usize::from(line)];
        i128::from(price) * i128::from(line.slope)
            - i128::from(self.level(&line)) * (SCALE / i128::from(BIDS_PER_CENT))
    }

    /// The best desk that is not full, and its line.
    #[inline]
    fn find(&mut self, kind: usize, price: i64) -> Option<(u16, u16)> {
        if self.built[kind] != self.version {
            self.envelop(kind);
        }
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
            return None;
        }
        let piece = &self.pieces[start + after - 1];
        if self.full[usize::from(piece.desk)] {
            self.envelop(kind);
            return self.find(kind, price);
        }
        if price >= piece.fair {
            if price >= piece.worth {
                return Some((piece.desk, piece.line));
            }
            return self.scan(kind, price);
        }
        None
    }

    /// Looks at every line: for the rare price at which the best line is worth its bid price but
    /// not worth placing, while another may be both.
    #[cold]
    fn scan(&self, kind: usize, price: i64) -> Option<(u16, u16)> {
        let (start, end) = (self.starts[kind] as usize, self.starts[kind + 1] as usize);
        let least = i128::from(self.value_min) * SCALE;
        let mut best: Option<(i128, (u16, u16))> = None;
        for (number, line) in self.lines[start..end].iter().enumerate() {
            let value = i128::from(price) * i128::from(line.slope) - i128::from(line.cost) * SCALE;
            let bid = i128::from(self.places[usize::from(line.desk)].bid);
            let net = value - bid * (SCALE / i128::from(BIDS_PER_CENT));
            let fits = !self.full[usize::from(line.desk)] && value > least && net >= 0;
            let beats = |(most, known): (i128, (u16, u16))| {
                net > most || net == most && line.desk < known.0
            };
            if fits && best.is_none_or(beats) {
                best = Some((net, (line.desk, number as u16)));
            }
        }
        best.map(|(_, found)| found)
    }
}

/// The least whole price at which a line beats a flatter one: `price × steeper` exceeds what it
/// costs more (in hundredths of a cent), or equals it where it `wins` ties.
pub fn crossing(level: i64, other: i64, steeper: i64, wins: bool) -> i64 {
    if steeper <= 0 {
        // As flat as nothing: it always wins, or it never does.
        let ahead = other > level || wins && other == level;
        return if ahead { i64::MIN } else { i64::MAX };
    }
    let more = level.saturating_sub(other);
    const SCALE_BIDS: i64 = SCALE as i64 / BIDS_PER_CENT;
    if more.unsigned_abs() < 900_000_000 {
        let more = more * SCALE_BIDS;
        let down = more.div_euclid(steeper);
        return down + i64::from(!wins || more.rem_euclid(steeper) != 0);
    }
    let (more, steeper) = (i128::from(more) * i128::from(SCALE_BIDS), i128::from(steeper));
    let down = more.div_euclid(steeper);
    let price = down + i128::from(!wins || more.rem_euclid(steeper) != 0);
    price.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}
