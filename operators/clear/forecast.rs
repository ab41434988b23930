//! What is still to come: cases that will want a place, and places that will be free again.
//!
//! Whoever clears only what waits sells the best places to whoever comes first. So capacity is
//! planned to the end of the running stretch of time (a day, if the setting says 1,440 minutes):
//! bid prices are those at which the waiting cases and the expected ones together ask for no more
//! than there is. What is expected: the mix of earlier stretches and of this one so far, the
//! volume of earlier stretches in the slots that are left, taken as much higher or lower as this
//! one has been so far. Older stretches count half with each new one.
//!
//! Before a whole stretch was seen nothing is expected, and what waits is cleared as it stands.
//! All numbers are whole, thousandths of a case: every replica expects the same.

use std::collections::BTreeMap;

/// Cases by bin: count and sum of prices.
pub type Bins = BTreeMap<i64, (i64, i64)>;

/// Parts of a stretch that may differ in volume: quarters of an hour of a day.
pub const SLOTS: usize = 96;
/// A thousandth of a case still counts.
const WHOLE: i64 = 1_000;
/// How far this stretch may make the forecast of its rest differ from earlier ones.
const SCALE_MAX: i128 = 4;
/// Binary digits behind the point of a rate.
const FINE: u32 = 32;
/// The part of a stretch that what was seen of it must outweigh.
const DOUBT: i64 = 24;

/// What was seen of the running stretch, and what is known of earlier ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forecast {
    /// Microseconds of a stretch; 0: nothing is forecast.
    pub length: i64,
    /// The running stretch, once a round has told the time, and the slot in which it was met.
    pub stretch: Option<i64>,
    pub since: usize,
    /// Whole cases of this stretch; thousandths of a case of earlier ones.
    pub today: BTreeMap<String, Bins>,
    pub before: BTreeMap<String, Bins>,
    pub slots: Vec<i64>,
    pub slots_before: Vec<i64>,
    /// Places that were free again, by desk.
    pub freed: BTreeMap<u16, i64>,
    pub freed_before: BTreeMap<u16, i64>,
    pub rounds: i64,
    pub rounds_before: i64,
    /// How many stretches are known.
    pub known: i64,
}

/// Bins in order, each with its count and its sum of prices.
pub type Listed = Vec<(i64, (i64, i64))>;

/// What the rest of a stretch should bring.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outlook {
    /// Thousandths of cases by kind: bins in order, with counts and sums of prices.
    pub kinds: BTreeMap<String, Listed>,
    /// Whole places by desk.
    pub freed: BTreeMap<u16, i64>,
    /// Rounds that are left.
    pub rounds: i64,
    /// Whole cases: come so far, thought to have come so far, and still to come.
    pub arrived: i64,
    pub expected: i64,
    pub rest: i64,
}

impl Forecast {
    pub fn new(minutes: u32) -> Self {
        Forecast {
            length: i64::from(minutes) * 60_000_000,
            slots: vec![0; SLOTS],
            slots_before: vec![0; SLOTS],
            ..Forecast::default()
        }
    }

    /// Cases have come since the round before the one at this instant.
    pub fn arrive(&mut self, at: i64, kind: &str, bins: impl Iterator<Item = (i64, (i64, i64))>) {
        if self.length == 0 {
            return;
        }
        // They came before the tick that asked for them.
        self.pass(at - 1);
        let slot = self.slot(at - 1);
        let known = self.today.entry(kind.to_string()).or_default();
        for (bin, (count, sum)) in bins {
            let count = count.max(0);
            let here = known.entry(bin).or_default();
            *here = (here.0.saturating_add(count), here.1.saturating_add(sum));
            self.slots[slot] = self.slots[slot].saturating_add(count);
        }
    }

    /// Cases have left a desk.
    pub fn leave(&mut self, at: i64, desk: u16, count: i64) {
        if self.length > 0 && count > 0 {
            self.pass(at - 1);
            let freed = self.freed.entry(desk).or_default();
            *freed = freed.saturating_add(count);
        }
    }

    /// Time has come this far. A stretch that has ended is folded into what is known.
    pub fn pass(&mut self, at: i64) {
        if self.length == 0 {
            return;
        }
        let stretch = at.div_euclid(self.length);
        match self.stretch {
            Some(known) if stretch <= known => {}
            Some(_) => {
                self.fold();
                self.stretch = Some(stretch);
            }
            None => {
                self.stretch = Some(stretch);
                self.since = self.slot(at);
            }
        }
    }

    fn slot(&self, at: i64) -> usize {
        let part = i128::from(at.rem_euclid(self.length)) * SLOTS as i128;
        ((part / i128::from(self.length)) as usize).min(SLOTS - 1)
    }

    fn fold(&mut self) {
        if self.known == 0 && self.since > SLOTS / 2 {
            // Too little of a first stretch to say what a whole one is like.
            let length = self.length;
            *self = Forecast { length, ..Forecast::new(0) };
            return;
        }
        // Slots before the first sight of a log are taken to be like the others.
        let seen = (SLOTS - self.since) as i64;
        let mean = self.slots.iter().sum::<i64>() / seen.max(1);
        self.slots[..self.since].fill(mean);
        let first = self.known == 0;
        let blend = |old: i64, new: i64| {
            let new = new.saturating_mul(WHOLE);
            if first { new } else { old / 2 + new / 2 }
        };
        for (old, new) in self.slots_before.iter_mut().zip(&mut self.slots) {
            *old = blend(*old, std::mem::take(new));
        }
        let today = std::mem::take(&mut self.today);
        for bins in self.before.values_mut() {
            bins.values_mut().for_each(|bin| *bin = (bin.0 / 2, bin.1 / 2));
        }
        for (kind, bins) in today {
            let known = self.before.entry(kind).or_default();
            for (bin, (count, sum)) in bins {
                let here = known.entry(bin).or_default();
                let (count, sum) = (blend(0, count), blend(0, sum));
                *here = (here.0.saturating_add(count), here.1.saturating_add(sum));
            }
        }
        for bins in self.before.values_mut() {
            bins.retain(|_, bin| bin.0 > 0);
        }
        self.before.retain(|_, bins| !bins.is_empty());
        self.freed_before.values_mut().for_each(|freed| *freed /= 2);
        for (desk, freed) in std::mem::take(&mut self.freed) {
            let known = self.freed_before.entry(desk).or_default();
            *known = known.saturating_add(blend(0, freed));
        }
        let rounds = std::mem::take(&mut self.rounds) * SLOTS as i64 / seen.max(1);
        self.rounds_before = if first { rounds } else { (self.rounds_before + rounds) / 2 };
        (self.since, self.known) = (0, self.known + 1);
    }

    /// What the rest of the stretch should bring; nothing before a whole one was seen.
    pub fn outlook(&self, at: i64) -> Option<Outlook> {
        if self.length == 0 || self.known == 0 {
            return None;
        }
        let slot = self.slot(at);
        let into = i128::from(at.rem_euclid(self.length)) * SLOTS as i128
            - slot as i128 * i128::from(self.length);
        let part = (i128::from(self.slots_before[slot]) * into / i128::from(self.length)) as i64;
        let total: i64 = self.slots_before.iter().sum();
        let expected = self.slots_before[..slot].iter().sum::<i64>() + part;
        let arrived = self.slots.iter().sum::<i64>().saturating_mul(WHOLE);
        let doubt = total / DOUBT + 1;
        let rest = i128::from(total - expected);
        let scaled = rest * i128::from(arrived + doubt) / i128::from(expected + doubt);
        let scaled = scaled.clamp(rest / SCALE_MAX, rest * SCALE_MAX);
        let left = self.length - at.rem_euclid(self.length);
        let of_rest =
            |number: i64| (i128::from(number) * i128::from(left) / i128::from(self.length)) as i64;
        Some(Outlook {
            kinds: self.mixed(scaled),
            freed: self
                .freed_before
                .iter()
                .map(|(desk, freed)| (*desk, of_rest(*freed) / WHOLE))
                .collect(),
            rounds: of_rest(self.rounds_before),
            arrived: arrived / WHOLE,
            expected: expected / WHOLE,
            rest: (scaled / i128::from(WHOLE)) as i64,
        })
    }

    /// So many thousandths of cases, in the mix seen so far.
    fn mixed(&self, volume: i128) -> BTreeMap<String, Listed> {
        let count = |kinds: &BTreeMap<String, Bins>| -> i128 {
            kinds.values().flat_map(|bins| bins.values()).map(|bin| i128::from(bin.0)).sum()
        };
        let whole = count(&self.before) + count(&self.today) * i128::from(WHOLE);
        if whole == 0 {
            return BTreeMap::new();
        }
        let mut mixed: BTreeMap<String, Listed> = BTreeMap::new();
        for (kinds, times) in [(&self.before, 1), (&self.today, i128::from(WHOLE))] {
            // One division for all: what follows is a product and a shift.
            let rate = (volume << FINE) * times / whole;
            let part = |number: i64| {
                let part = (i128::from(number) * rate) >> FINE;
                part.clamp(0, i128::from(i64::MAX / 4)) as i64
            };
            for (kind, bins) in kinds {
                let known = mixed.entry(kind.clone()).or_default();
                known.extend(
                    bins.iter().map(|(bin, (count, sum))| (*bin, (part(*count), part(*sum)))),
                );
            }
        }
        mixed.values_mut().for_each(join);
        mixed
    }

    /// A word where the running stretch is not like earlier ones.
    pub fn remark(outlook: &Outlook) -> Option<String> {
        let (arrived, expected) = (outlook.arrived, outlook.expected);
        let unlike = arrived > expected * 2 || expected > arrived * 2;
        (unlike && arrived.max(expected) >= 100)
            .then(|| format!("{arrived} cases came where {expected} were expected"))
    }
}

/// Sorts bins, and makes one of those that are the same.
pub fn join(bins: &mut Listed) {
    // What comes in is a few sorted runs: a stable sort only merges them.
    bins.sort_by_key(|bin| bin.0);
    bins.dedup_by(|next, known| {
        let same = next.0 == known.0;
        if same {
            known.1 = (known.1.0.saturating_add(next.1.0), known.1.1.saturating_add(next.1.1));
        }
        same
    });
}
