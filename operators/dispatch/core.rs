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

/// The same for prices of 32 bits, which nearly all are: below `fair` nobody takes the case, from
/// `sure` on this desk does.
#[derive(Clone, Copy, Debug)]
struct Near {
    desk: u16,
    line: u16,
    fair: i32,
    sure: i32,
}

/// So many prices are compared at once.
const WIDE: usize = 8;

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
    /// By kind: where its near pieces begin, which are few bytes in a row.
    rows: Vec<u32>,
    near_from: Vec<i32>,
    near: Vec<Near>,
    pub places: Vec<Place>,
    full: Vec<bool>,
    /// Pieces behind the one that is taken out.
    kept: Vec<(i64, Piece)>,
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
        self.rows.push(self.near.len() as u32);
        let wide = self.near.len() + kind.len().next_multiple_of(WIDE);
        self.near_from.resize(wide, i32::MAX);
        self.near.resize(wide, Near { desk: NOBODY, line: 0, fair: 0, sure: 0 });
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
        let size = self.put_all(start, 0, start..end);
        self.value_pieces(start, 0..size);
        self.sizes[kind] = size as u32;
        self.built[kind] = self.version;
        self.draw_near(kind, 0);
    }

    /// Takes a piece whose desk is full out of a kind's envelope. Only lines between its neighbors
    /// can take its place: all others are where they were.
    fn mend(&mut self, kind: usize, gone: usize) {
        let (start, end) = (self.starts[kind] as usize, self.starts[kind + 1] as usize);
        let size = self.sizes[kind] as usize;
        let line = |at: usize| start + usize::from(self.pieces[start + at].line);
        let first = if gone > 0 { line(gone - 1) + 1 } else { start };
        let last = if gone + 1 < size { line(gone + 1) } else { end };
        let tail = start + gone + 1..start + size;
        self.kept.clear();
        for at in tail {
            self.kept.push((self.from[at], self.pieces[at]));
        }
        let mut now = self.put_all(start, gone, first..last);
        let kept = std::mem::take(&mut self.kept);
        for (number, (from, piece)) in kept.iter().enumerate() {
            if number == 0 {
                now = self.put(start, now, start + usize::from(piece.line));
            } else {
                (self.from[start + now], self.pieces[start + now]) = (*from, *piece);
                now += 1;
            }
        }
        self.value_pieces(start, gone..now - kept.len().saturating_sub(1));
        self.kept = kept;
        self.sizes[kind] = now as u32;
        self.draw_near(kind, gone);
    }

    /// Writes the pieces of a kind from one on as those of near prices.
    fn draw_near(&mut self, kind: usize, first: usize) {
        let (start, row) = (self.starts[kind] as usize, self.rows[kind] as usize);
        let size = self.sizes[kind] as usize;
        let near = |price: i64| price.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32;
        for at in first..size {
            let Piece { desk, line, fair, worth } = self.pieces[start + at];
            self.near_from[row + at] = near(self.from[start + at]);
            let (fair, sure) = (near(fair), near(fair.max(worth)));
            self.near[row + at] = Near { desk, line, fair, sure };
        }
        self.near_from[row + size..row + size.next_multiple_of(WIDE)].fill(i32::MAX);
    }

    /// Puts lines that are not full on a kind's pieces; answers how many pieces there are then.
    fn put_all(&mut self, start: usize, mut size: usize, lines: std::ops::Range<usize>) -> usize {
        for at in lines {
            if !self.full[usize::from(self.lines[at].desk)] {
                size = self.put(start, size, at);
            }
        }
        size
    }

    /// Puts a line, as steep as the last piece or steeper, on top of a kind's pieces.
    fn put(&mut self, start: usize, mut size: usize, at: usize) -> usize {
        let line = self.lines[at];
        let level = self.level(&line);
        let mut from = i64::MIN;
        while size > 0 {
            let top = self.lines[start + usize::from(self.pieces[start + size - 1].line)];
            let top_level = self.level(&top);
            if top.slope == line.slope {
                // Sorted by desk: of equals the one that stands there is the lowest.
                if level >= top_level {
                    return size;
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
        if from == i64::MAX {
            return size;
        }
        self.from[start + size] = from;
        let number = (at - start) as u16;
        self.pieces[start + size] = Piece { desk: line.desk, line: number, fair: 0, worth: 0 };
        size + 1
    }

    /// From which price on each piece's desk is worth its bid price, and worth placing.
    fn value_pieces(&mut self, start: usize, pieces: std::ops::Range<usize>) {
        for at in pieces {
            let line = self.lines[start + usize::from(self.pieces[start + at].line)];
            let least = line.cost.saturating_add(self.value_min).saturating_mul(BIDS_PER_CENT);
            let fair = crossing(self.level(&line), 0, line.slope, true);
            let worth = crossing(least, 0, line.slope, false);
            let piece = &mut self.pieces[start + at];
            (piece.fair, piece.worth) = (fair, worth);
        }
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
        if (0..i64::from(i32::MAX)).contains(&price) {
            let (row, near) = (self.rows[kind] as usize, price as i32);
            let mut after = 0;
            for begins in self.near_from[row..row + size.next_multiple_of(WIDE)].chunks_exact(WIDE)
            {
                after += begins.iter().map(|begin| u32::from(*begin <= near)).sum::<u32>();
            }
            if after == 0 {
                return None;
            }
            let found = self.near[row + after as usize - 1];
            if !self.full[usize::from(found.desk)] {
                if near >= found.sure {
                    return Some((found.desk, found.line));
                }
                if near < found.fair {
                    return None;
                }
            }
        }
        let after = self.from[start..start + size].partition_point(|begin| *begin <= price);
        if after == 0 {
            return None;
        }
        let piece = &self.pieces[start + after - 1];
        if self.full[usize::from(piece.desk)] {
            self.mend(kind, after - 1);
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
