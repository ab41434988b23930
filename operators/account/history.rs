//! What a loan remembers of its reports and movements, in few bytes.
//!
//! A history is one run of bytes, appended in order of arrival: a tag, the instant as a
//! difference from the entry before, the amounts, and the id. A payment takes some twenty bytes.
//! It is unpacked only when something late, reversed or replaced arrives; what comes in business
//! order never looks back.

use std::ops::Range;

use super::acts::Act;

/// A report: what was owed at an instant.
#[derive(Clone, Debug)]
pub struct Report {
    pub at: i64,
    pub id: Range<usize>,
    /// Penalty, fee, interest, principal, in cents.
    pub owed: [i64; 4],
    pub days_past_due: i32,
    /// The orders in which money fills it; see [`super::waterfalls`].
    pub orders: u16,
    /// Its schedule, packed; nothing without one. See [`super::plan`].
    pub schedule: Range<usize>,
    /// One more than the row of its advanced allocation among the shard's texts; 0: the usual one.
    pub rules: u32,
}

/// What a reversal undoes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Nothing.
    None,
    /// A movement of this loan, by its place in order of arrival.
    Known(u32),
    /// An id that this loan has not seen yet.
    Awaited(Range<usize>),
}

/// A movement of money or of debt.
#[derive(Clone, Debug)]
pub struct Movement {
    pub at: i64,
    pub id: Range<usize>,
    pub amount: i64,
    /// The shard's number of this movement.
    pub number: u32,
    /// The row of its channel among the shard's texts.
    pub channel: u32,
    pub act: Act,
    pub target: Target,
}

/// A history unpacked. Ids are ranges of `text`.
#[derive(Default)]
pub struct History {
    pub text: Vec<u8>,
    pub reports: Vec<Report>,
    pub movements: Vec<Movement>,
    /// Arrival order of both kinds: report or movement, and its place among its kind.
    arrivals: Vec<(bool, u32)>,
}

/// A history packed.
#[derive(Default)]
pub struct Packed {
    pub bytes: Vec<u8>,
    /// Whole seconds of the entry appended last.
    seconds: i64,
}

const REPORT: u8 = 0;
const PAYMENT: u8 = 1;
const KNOWN: u8 = 2;
const AWAITED: u8 = 3;
/// Set where the instant has a fraction of a second.
const FRACTION: u8 = 8;
/// The act of a movement stands in the upper four bits; of a report, whether it names orders and
/// whether it has a schedule.
const ACT_SHIFT: u8 = 4;
const KIND: u8 = 3;
const ORDERED: u8 = 1;
const SCHEDULED: u8 = 2;
const SECOND: i64 = 1_000_000;

impl Packed {
    /// Appends a report; the answer is where it starts.
    pub fn report(&mut self, one: &Report, id: &[u8], schedule: &[u8]) -> u32 {
        let start = self.bytes.len() as u32;
        let ordered = if one.orders == 0 { 0 } else { ORDERED };
        let named = ordered | if schedule.is_empty() { 0 } else { SCHEDULED };
        self.head(REPORT | named << ACT_SHIFT, one.at, id);
        one.owed.iter().for_each(|cents| self.signed(*cents));
        self.signed(i64::from(one.days_past_due));
        if one.orders != 0 {
            self.unsigned(u64::from(one.orders));
        }
        if !schedule.is_empty() {
            self.id(schedule);
            self.unsigned(u64::from(one.rules));
        }
        start
    }

    /// Appends a payment.
    pub fn payment(&mut self, at: i64, id: &[u8], amount: i64, number: u32, channel: u32) {
        self.head(PAYMENT, at, id);
        self.signed(amount);
        self.unsigned(u64::from(number));
        self.unsigned(u64::from(channel));
    }

    fn movement(&mut self, movement: &Movement, text: &[u8]) {
        let target = match movement.target {
            Target::None => PAYMENT,
            Target::Known(_) => KNOWN,
            Target::Awaited(_) => AWAITED,
        };
        let tag = target | movement.act.code() << ACT_SHIFT;
        self.head(tag, movement.at, &text[movement.id.clone()]);
        self.signed(movement.amount);
        self.unsigned(u64::from(movement.number));
        self.unsigned(u64::from(movement.channel));
        match &movement.target {
            Target::None => {}
            Target::Known(place) => self.unsigned(u64::from(*place)),
            Target::Awaited(id) => self.id(&text[id.clone()]),
        }
    }

    fn head(&mut self, tag: u8, at: i64, id: &[u8]) {
        // Room grows by a quarter: most histories stay short, and there are many of them.
        let need = self.bytes.len() + id.len() + 48;
        if self.bytes.capacity() < need {
            let more = (24 + id.len()).max(self.bytes.len() / 4);
            self.bytes.reserve_exact(more);
        }
        let (seconds, fraction) = (at.div_euclid(SECOND), at.rem_euclid(SECOND));
        self.bytes.push(if fraction == 0 { tag } else { tag | FRACTION });
        self.signed(seconds - self.seconds);
        if fraction != 0 {
            self.unsigned(fraction as u64);
        }
        self.seconds = seconds;
        self.id(id);
    }

    fn id(&mut self, id: &[u8]) {
        self.unsigned(id.len() as u64);
        self.bytes.extend_from_slice(id);
    }

    fn unsigned(&mut self, value: u64) {
        put_unsigned(&mut self.bytes, value);
    }

    fn signed(&mut self, value: i64) {
        put_signed(&mut self.bytes, value);
    }

    /// The id of the report that starts at a place.
    pub fn id_at(&self, start: u32) -> &str {
        let mut read = Read { bytes: &self.bytes, at: start as usize };
        let Some(tag) = read.byte() else { return "" };
        let id = read.head(tag).map(|(_, id)| id).unwrap_or_default();
        std::str::from_utf8(&self.bytes[id]).unwrap_or_default()
    }

    /// Unpacks everything. Bytes that are no history, as only a broken snapshot has, answer `None`.
    pub fn unpack(&self, into: &mut History) -> Option<()> {
        into.clear();
        into.text.extend_from_slice(&self.bytes);
        let mut read = Read { bytes: &self.bytes, at: 0 };
        let mut seconds = 0;
        while let Some(tag) = read.byte() {
            let (since, id) = read.head(tag)?;
            let at = seconds * SECOND + since;
            seconds = at.div_euclid(SECOND);
            if tag & KIND == REPORT {
                let mut owed = [0; 4];
                for cents in &mut owed {
                    *cents = read.signed()?;
                }
                let days_past_due = read.signed()? as i32;
                let named = |what: u8| tag >> ACT_SHIFT & what != 0;
                let orders = if named(ORDERED) { read.unsigned()? as u16 } else { 0 };
                let (schedule, rules) = match named(SCHEDULED) {
                    true => (read.id()?, read.unsigned()? as u32),
                    false => (0..0, 0),
                };
                let report = Report { at, id, owed, days_past_due, orders, schedule, rules };
                into.push_report(report);
                continue;
            }
            let act = Act::from_code(tag >> ACT_SHIFT)?;
            let amount = read.signed()?;
            let (number, channel) = (read.unsigned()? as u32, read.unsigned()? as u32);
            let target = match tag & KIND {
                PAYMENT => Target::None,
                KNOWN => Target::Known(read.unsigned()? as u32),
                _ => Target::Awaited(read.id()?),
            };
            into.push_movement(Movement { at, id, amount, number, channel, act, target });
        }
        Some(())
    }

    /// Packs a history again; the answer is where each report starts.
    pub fn pack(&mut self, history: &History, starts: &mut Vec<u32>) {
        self.bytes.clear();
        self.seconds = 0;
        starts.clear();
        for (report, place) in &history.arrivals {
            if *report {
                let one = &history.reports[*place as usize];
                let (id, schedule) = (history.bytes(&one.id), history.bytes(&one.schedule));
                starts.push(self.report(one, id, schedule));
            } else {
                self.movement(&history.movements[*place as usize], &history.text);
            }
        }
    }

    /// A history as a snapshot kept it.
    pub fn load(bytes: &[u8], history: &mut History) -> Option<Self> {
        let mut packed = Packed { bytes: bytes.to_vec(), seconds: 0 };
        packed.unpack(history)?;
        let last = history.arrivals.last().map(|(report, place)| {
            let place = *place as usize;
            if *report { history.reports[place].at } else { history.movements[place].at }
        });
        packed.seconds = last.unwrap_or(0).div_euclid(SECOND);
        Some(packed)
    }
}

impl History {
    pub fn clear(&mut self) {
        self.text.clear();
        self.reports.clear();
        self.movements.clear();
        self.arrivals.clear();
    }

    /// Keeps an id for an entry that is about to be pushed.
    pub fn keep(&mut self, id: &[u8]) -> Range<usize> {
        let start = self.text.len();
        self.text.extend_from_slice(id);
        start..self.text.len()
    }

    pub fn push_report(&mut self, report: Report) {
        self.arrivals.push((true, self.reports.len() as u32));
        self.reports.push(report);
    }

    pub fn push_movement(&mut self, movement: Movement) {
        self.arrivals.push((false, self.movements.len() as u32));
        self.movements.push(movement);
    }

    pub fn bytes(&self, id: &Range<usize>) -> &[u8] {
        &self.text[id.clone()]
    }

    pub fn str(&self, id: &Range<usize>) -> &str {
        std::str::from_utf8(self.bytes(id)).unwrap_or_default()
    }
}

/// Seven bits a byte, the lowest first.
pub fn put_unsigned(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

pub fn put_signed(bytes: &mut Vec<u8>, value: i64) {
    put_unsigned(bytes, ((value << 1) ^ (value >> 63)) as u64);
}

/// Bytes being read.
pub struct Read<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

impl Read<'_> {
    pub fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }

    /// Microseconds since the whole second of the entry before, and the id.
    fn head(&mut self, tag: u8) -> Option<(i64, Range<usize>)> {
        let seconds = self.signed()?;
        let fraction = if tag & FRACTION == 0 { 0 } else { self.unsigned()? as i64 };
        let since = seconds.checked_mul(SECOND)?.checked_add(fraction)?;
        Some((since, self.id()?))
    }

    fn id(&mut self) -> Option<Range<usize>> {
        let length = self.unsigned()? as usize;
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len())?;
        let id = self.at..end;
        self.at = end;
        Some(id)
    }

    pub fn unsigned(&mut self) -> Option<u64> {
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
            shift += 7;
        }
    }

    pub fn signed(&mut self) -> Option<i64> {
        let value = self.unsigned()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}
