//! The answer to a round tick: what waits here, what is handed back, what was reached.

use std::collections::BTreeMap;

use super::Dispatch;
use super::cases::{NONE, PART};
use super::says::{Asked, Place};
use super::sketch;
use super::tick::Window;
use crate::memory::hash_bytes;

/// Cases of one kind: bin, count, sum of prices.
pub type Bins = BTreeMap<i64, (i64, i64)>;

/// The waiting cases of one kind.
#[derive(Default)]
struct Kind {
    bins: Bins,
    outstanding: i128,
    parts: Vec<i64>,
}

impl Kind {
    fn add(&mut self, prices: &[i64], outstanding: i64) {
        add(&mut self.bins, prices.iter().fold(0, |sum, price| sum.saturating_add(*price)));
        self.outstanding += i128::from(outstanding);
        self.parts.resize(prices.len(), 0);
        for (part, price) in self.parts.iter_mut().zip(prices) {
            *part = part.saturating_add(*price);
        }
    }

    fn join(&mut self, other: Kind) {
        join(&mut self.bins, other.bins);
        self.outstanding += other.outstanding;
        self.parts.resize(other.parts.len(), 0);
        for (part, more) in self.parts.iter_mut().zip(other.parts) {
            *part = part.saturating_add(more);
        }
    }
}

/// Who waits: by kind, how many, how many of them nobody may or would take, and what they could
/// have brought beyond bid prices.
struct Survey {
    kinds: BTreeMap<String, Kind>,
    waiting: i64,
    nowhere: i64,
    surplus: i128,
}

fn add(bins: &mut Bins, price: i64) {
    let bin = bins.entry(sketch::bin(price)).or_default();
    *bin = (bin.0 + 1, bin.1.saturating_add(price));
}

fn join(bins: &mut Bins, more: Bins) {
    for (bin, (count, sum)) in more {
        let known = bins.entry(bin).or_default();
        *known = (known.0 + count, known.1.saturating_add(sum));
    }
}

/// The three lists of a sketch.
fn lists(bins: &Bins) -> [Vec<i64>; 3] {
    let counts = bins.values().map(|bin| bin.0).collect();
    let sums = bins.values().map(|bin| bin.1).collect();
    [bins.keys().copied().collect(), counts, sums]
}

impl Dispatch {
    /// Answers a round: the window so far, what waits, what is given back, the lots.
    pub fn answer_round(&mut self, place: Place, number: i64) {
        let Survey { kinds, waiting, nowhere, surplus } = self.survey(place);
        if let Some(closed) = self.closed.take() {
            self.say_window(place, closed, 0, 0);
        }
        if self.window.round > 0 || self.window.decided > 0 {
            let mut window = self.window;
            window.bound += surplus;
            self.say_window(place, window, waiting, nowhere);
        }
        self.say_kinds(place, kinds);
        self.say_arrivals(place);
        self.hand_back(place);
        for (desk, lot) in std::mem::take(&mut self.lots) {
            let (agency, id) = self.market.who(desk);
            let names = [format!("{id}-{number}"), id.to_string(), agency.to_string()];
            self.packed.push((place, names, lot));
        }
    }

    /// Counts the waiting cases by kind, and what they could have brought at these bid prices.
    fn survey(&mut self, place: Place) -> Survey {
        let day = self.day(place);
        let mut kinds: BTreeMap<String, Kind> = BTreeMap::new();
        let mut plain_kinds: BTreeMap<u32, Kind> = BTreeMap::new();
        let (mut waiting, mut nowhere, mut surplus) = (0, 0, 0);
        for at in 0..self.line.len() {
            let case = self.line[at];
            if !self.waits(case) {
                continue;
            }
            waiting += 1;
            if let Some(plain) = self.plain(case, day) {
                surplus += self.lane.surplus(plain);
                if self.lane.worth(plain) {
                    let segment = self.loans.segment[plain.loan as usize];
                    let outstanding = self.loans.balance.get(plain.loan);
                    plain_kinds.entry(segment).or_default().add(&[plain.price], outstanding);
                } else {
                    nowhere += 1;
                }
                continue;
            }
            let ranked = self.candidates(case, day);
            let Some(best) = ranked.first() else {
                nowhere += 1;
                continue;
            };
            surplus += best.net.max(0);
            let (name, prices) = self.kind_of(case, day);
            kinds.entry(name).or_default().add(&prices, self.amount(case));
        }
        for (segment, kind) in plain_kinds {
            kinds.entry(self.kind_of_segment(segment)).or_default().join(kind);
        }
        Survey { kinds, waiting, nowhere, surplus }
    }

    /// Counts a case that is new to the market, or comes back to it, for the forecast: as one of
    /// the kind of its greatest loan.
    pub fn count_arrival(&mut self, case: u32) {
        if self.rules.horizon_minutes == 0 {
            return;
        }
        let (mut sum, mut greatest) = (0_i64, None);
        let mut loan = self.cases.head[case as usize];
        while loan != NONE {
            if self.open(loan) {
                let price = self.loans.price.get(loan);
                sum = sum.saturating_add(price);
                if greatest.is_none_or(|(most, _)| price > most) {
                    greatest = Some((price, self.loans.segment[loan as usize]));
                }
            }
            loan = self.loans.next[loan as usize];
        }
        if let Some((_, segment)) = greatest {
            add(self.arrived.entry(segment).or_default(), sum);
        }
    }

    fn say_arrivals(&mut self, place: Place) {
        let mut kinds: BTreeMap<String, Bins> = BTreeMap::new();
        for (segment, bins) in std::mem::take(&mut self.arrived) {
            join(kinds.entry(self.kind_of_segment(segment)).or_default(), bins);
        }
        for (name, bins) in kinds {
            let [bins, counts, sums] = lists(&bins);
            let row = Asked {
                kind: "arrived",
                texts: [Some(name), None, None, None],
                lists: [Some(bins), Some(counts), Some(sums), None],
                ..Asked::default()
            };
            self.asked.push((place, row));
        }
    }

    /// The kind of a case of one loan that may go to any desk.
    fn kind_of_segment(&self, segment: u32) -> String {
        let key = self.segments.keys.key(segment);
        let (kind, lender) = key.rsplit_once(PART).unwrap_or((key, ""));
        sketch::write(if self.market.contracted { lender } else { "" }, &[kind], &[], &[])
    }

    /// How `dispatch` and `clear` write the kind of a case: its lender, the kinds of its loans
    /// in order, the desks it has left, and those that are closed to it. Its prices follow the
    /// same order.
    fn kind_of(&self, case: u32, day: i32) -> (String, Vec<i64>) {
        let mut loans: Vec<(&str, i64)> = Vec::new();
        let mut lender = "";
        let mut loan = self.cases.head[case as usize];
        while loan != NONE {
            let row = loan as usize;
            if self.open(loan) {
                let key = self.segments.keys.key(self.loans.segment[row]);
                let (kind, who) = key.rsplit_once(PART).unwrap_or((key, ""));
                lender = who;
                loans.push((kind, self.loans.price.get(loan)));
            }
            loan = self.loans.next[row];
        }
        loans.sort_unstable();
        let marks = self.marks.get(&case).map_or(&[][..], |marks| marks.as_slice());
        let left: Vec<&str> = marks.iter().map(|desk| self.market.who(*desk).1).collect();
        let lender = if self.market.contracted { lender } else { "" };
        let kinds: Vec<&str> = loans.iter().map(|(kind, _)| *kind).collect();
        let barred = self.excluded_ids(case, day);
        (
            sketch::write(lender, &kinds, &left, &barred),
            loans.iter().map(|(_, price)| *price).collect(),
        )
    }

    /// Says each kind that differs from what was said of it last.
    fn say_kinds(&mut self, place: Place, kinds: BTreeMap<String, Kind>) {
        let mut sent = BTreeMap::new();
        for (name, kind) in kinds {
            let [bins, counts, sums] = lists(&kind.bins);
            let bytes: Vec<u8> =
                [&bins, &counts, &sums, &kind.parts, &vec![kind.outstanding as i64]]
                    .into_iter()
                    .flatten()
                    .flat_map(|number| number.to_le_bytes())
                    .collect();
            let digest = hash_bytes(&bytes);
            if self.sent.remove(&name) != Some(digest) {
                let parts = (kind.parts.len() > 1).then_some(kind.parts);
                let row = Asked {
                    kind: "segment",
                    texts: [Some(name.clone()), None, None, None],
                    lists: [Some(bins), Some(counts), Some(sums), parts],
                    outstanding: Some(kind.outstanding),
                    ..Asked::default()
                };
                self.asked.push((place, row));
            }
            sent.insert(name, digest);
        }
        for (name, _) in std::mem::replace(&mut self.sent, sent) {
            let row = Asked {
                kind: "segment",
                texts: [Some(name), None, None, None],
                lists: [Some(Vec::new()), Some(Vec::new()), Some(Vec::new()), None],
                outstanding: Some(0),
                ..Asked::default()
            };
            self.asked.push((place, row));
        }
    }

    /// Gives back what is unspent beyond the working reserve.
    fn hand_back(&mut self, place: Place) {
        for (number, share) in self.desks.iter_mut().enumerate() {
            let limited = share.capacity.is_some() || share.amount_max.is_some();
            let freed = std::mem::take(&mut share.freed);
            let freed = if self.rules.horizon_minutes > 0 { freed } else { 0 };
            let (back, reserve, kept) = share.tick();
            let (amount_back, amount_kept) = share.tick_amount();
            let news = [back, reserve, kept, amount_back, amount_kept, freed];
            if !limited || news == [0; 6] {
                continue;
            }
            let desk = &self.market.desks[number];
            let amounts = (i128::from(amount_back), i128::from(amount_kept));
            let row = Asked {
                kind: "desk",
                texts: [None, Some(desk.id.clone()), None, Some(desk.agency.clone())],
                handed_back: Some(back),
                amount: share.amount_max.map(|_| amounts),
                freed: Some(freed),
                share: Some((reserve, kept)),
                ..Asked::default()
            };
            self.asked.push((place, row));
        }
        for (share, (lender, agency)) in self.quotas.iter_mut().zip(&self.market.quotas) {
            let (back, reserve, kept) = share.tick();
            if share.capacity.is_none() || (back, reserve, kept) == (0, 0, 0) {
                continue;
            }
            let row = Asked {
                kind: "contract",
                texts: [None, None, Some(lender.clone()), Some(agency.clone())],
                handed_back: Some(back),
                share: Some((reserve, kept)),
                ..Asked::default()
            };
            self.asked.push((place, row));
        }
    }

    fn say_window(&mut self, place: Place, window: Window, waiting: i64, nowhere: i64) {
        let row = Asked {
            kind: "window",
            round: Some(window.round),
            counts: Some((window.decided, waiting, window.spilled)),
            reached: Some((window.value, window.bound)),
            nowhere: Some(nowhere),
            ..Asked::default()
        };
        self.asked.push((place, row));
    }
}
