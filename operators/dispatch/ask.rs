//! The answer to a round tick: what waits here, what is handed back, what was reached.

use std::collections::BTreeMap;

use super::Dispatch;
use super::cases::{NONE, PART};
use super::says::{Asked, Place};
use super::sketch;
use crate::memory::hash_bytes;

/// The waiting cases of one kind.
#[derive(Default)]
struct Kind {
    /// Bin, count, sum of prices.
    bins: BTreeMap<i64, (i64, i64)>,
    outstanding: i128,
    parts: Vec<i64>,
}

impl Dispatch {
    /// Answers a round: the window so far, what waits, what is given back, the lots.
    pub fn answer_round(&mut self, place: Place, number: i64) {
        let (kinds, waiting, surplus) = self.survey(place);
        if let Some(closed) = self.closed.take() {
            self.say_window(place, closed, 0);
        }
        if self.window.round > 0 || self.window.decided > 0 {
            let mut window = self.window;
            window.bound += surplus;
            self.say_window(place, window, waiting);
        }
        self.say_kinds(place, kinds);
        self.hand_back(place);
        for (desk, lot) in std::mem::take(&mut self.lots) {
            let (agency, id) = self.market.who(desk);
            let names = [format!("{id}-{number}"), id.to_string(), agency.to_string()];
            self.packed.push((place, names, lot));
        }
    }

    /// Counts the waiting cases by kind, and what they could have brought at these bid prices.
    fn survey(&mut self, place: Place) -> (BTreeMap<String, Kind>, i64, i128) {
        let day = self.day(place);
        let mut kinds: BTreeMap<String, Kind> = BTreeMap::new();
        let (mut waiting, mut surplus) = (0, 0);
        for at in 0..self.line.len() {
            let case = self.line[at];
            if !self.waits(case) {
                continue;
            }
            waiting += 1;
            let ranked = self.candidates(case, day);
            let Some(best) = ranked.first() else { continue };
            surplus += best.net.max(0);
            let (name, prices) = self.kind_of(case);
            let sum = prices.iter().fold(0_i64, |sum, price| sum.saturating_add(*price));
            let kind = kinds.entry(name).or_default();
            let bin = kind.bins.entry(sketch::bin(sum)).or_default();
            *bin = (bin.0 + 1, bin.1.saturating_add(sum));
            kind.outstanding += i128::from(self.amount(case));
            kind.parts.resize(prices.len(), 0);
            for (part, price) in kind.parts.iter_mut().zip(&prices) {
                *part = part.saturating_add(*price);
            }
        }
        (kinds, waiting, surplus)
    }

    /// How `dispatch` and `clear` write the kind of a case: its lender, the kinds of its loans
    /// in order, and the desks it has left. Its prices follow the same order.
    fn kind_of(&self, case: u32) -> (String, Vec<i64>) {
        let mut loans: Vec<(&str, i64)> = Vec::new();
        let mut lender = "";
        let mut loan = self.cases.head[case as usize];
        while loan != NONE {
            let row = loan as usize;
            if self.open(loan) {
                let key = self.segments.keys.key(self.loans.segment[row]);
                let (kind, who) = key.rsplit_once(PART).unwrap_or((key, ""));
                lender = who;
                loans.push((kind, self.loans.price[row]));
            }
            loan = self.loans.next[row];
        }
        loans.sort_unstable();
        let marks = self.marks.get(&case).map_or(&[][..], |marks| marks.as_slice());
        let left: Vec<&str> = marks.iter().map(|desk| self.market.who(*desk).1).collect();
        let lender = if self.market.contracted { lender } else { "" };
        let kinds: Vec<&str> = loans.iter().map(|(kind, _)| *kind).collect();
        (sketch::write(lender, &kinds, &left), loans.iter().map(|(_, price)| *price).collect())
    }

    /// Says each kind that differs from what was said of it last.
    fn say_kinds(&mut self, place: Place, kinds: BTreeMap<String, Kind>) {
        let mut sent = BTreeMap::new();
        for (name, kind) in kinds {
            let bins: Vec<i64> = kind.bins.keys().copied().collect();
            let counts: Vec<i64> = kind.bins.values().map(|bin| bin.0).collect();
            let sums: Vec<i64> = kind.bins.values().map(|bin| bin.1).collect();
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
            let (back, reserve, kept) = share.tick();
            let (amount_back, amount_kept) = share.tick_amount();
            if !limited || (back, reserve, kept, amount_back, amount_kept) == (0, 0, 0, 0, 0) {
                continue;
            }
            let desk = &self.market.desks[number];
            let amounts = (i128::from(amount_back), i128::from(amount_kept));
            let row = Asked {
                kind: "desk",
                texts: [None, Some(desk.id.clone()), None, Some(desk.agency.clone())],
                handed_back: Some(back),
                amount: share.amount_max.map(|_| amounts),
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

    fn say_window(&mut self, place: Place, window: super::tick::Window, waiting: i64) {
        let row = Asked {
            kind: "window",
            round: Some(window.round),
            counts: Some((window.decided, waiting, window.spilled)),
            reached: Some((window.value, window.bound)),
            ..Asked::default()
        };
        self.asked.push((place, row));
    }
}
