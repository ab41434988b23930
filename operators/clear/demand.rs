//! What shards said that waits with them, as the solver's market.

use std::collections::{BTreeMap, BTreeSet};

use crate::dispatch::market::{Market, SCALE};
use crate::dispatch::{admits, sketch};

use super::envelope::{Class, Line, Prices, Problem, envelope};
use super::forecast::{Outlook, join};
use super::solve::FEW;

/// One kind of waiting case in one shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    pub bins: Vec<i64>,
    pub counts: Vec<i64>,
    pub sums: Vec<i64>,
    pub parts: Vec<i64>,
    pub outstanding: i128,
}

/// By kind, then by shard. Empty sketches are absent.
pub type Demand = BTreeMap<String, BTreeMap<u32, Sketch>>;

/// What each shard says of one kind.
type Shards = BTreeMap<u32, Sketch>;

/// Nobody waits.
const NONE: &Shards = &BTreeMap::new();

/// The market of a round: the solver's problem, and for each class who waits, and the contract
/// quota that each line counts against.
pub struct Round<'a> {
    /// What waits and what is expected, against what there will be.
    pub problem: Problem,
    /// Who waits now, and what can be dealt now.
    pub kinds: Vec<&'a Shards>,
    pub there: Vec<f64>,
    pub quotas: Vec<Vec<Option<u16>>>,
}

/// What each shard asks of each thing at given bid prices.
pub struct Asked {
    pub desks: Vec<Vec<f64>>,
    pub amounts: Vec<Vec<f64>>,
    pub quotas: Vec<Vec<f64>>,
}

/// What desks offer for kinds of one loan, as long as the market stays as it is.
pub type Known = BTreeMap<String, (Vec<Line>, Vec<Option<u16>>)>;

/// Builds the market. Kinds that nobody may take are left out.
pub fn round<'a>(
    (market, day): (&Market, i32),
    known: &mut Known,
    demand: &'a Demand,
    outlook: Option<&Outlook>,
    there: Vec<f64>,
) -> Round<'a> {
    let mut round = Round {
        problem: Problem { classes: Vec::new(), capacity: there.clone() },
        kinds: Vec::new(),
        there,
        quotas: Vec::new(),
    };
    let mut names: BTreeSet<&str> = demand.keys().map(String::as_str).collect();
    if let Some(outlook) = outlook {
        names.extend(outlook.kinds.keys().map(String::as_str));
    }
    for name in names {
        let shards = demand.get(name).unwrap_or(NONE);
        let (lines, quotas) = match known.get(name) {
            Some(found) => found.clone(),
            None => {
                let found = lines(market, name, shards, day);
                if is_plain(name) {
                    known.insert(name.to_string(), found.clone());
                }
                found
            }
        };
        if lines.is_empty() {
            continue;
        }
        let expected = outlook.and_then(|outlook| outlook.kinds.get(name));
        let mut bins = expected.cloned().unwrap_or_default();
        // Expected cases are counted in thousandths.
        let times = if outlook.is_some() { 1_000 } else { 1 };
        for sketch in shards.values() {
            let numbers = sketch.counts.iter().zip(&sketch.sums);
            bins.extend(sketch.bins.iter().zip(numbers).map(|(bin, (count, sum))| {
                (*bin, (count.saturating_mul(times), sum.saturating_mul(times)))
            }));
        }
        join(&mut bins);
        let prices = match outlook {
            None => Prices::new(bounds(bins, 1.0)),
            Some(_) => Prices::spread(bounds(bins, times as f64)),
        };
        round.problem.classes.push(Class { lines, prices });
        round.kinds.push(shards);
        round.quotas.push(quotas);
    }
    round
}

/// Whether the terms of a kind depend on nothing but the market.
fn is_plain(name: &str) -> bool {
    let kind = sketch::read(name);
    kind.loans.len() == 1 && kind.left.is_empty() && kind.barred.is_empty()
}

/// Bins as the solver takes them: first price, first price of the next, count, sum.
fn bounds(
    bins: impl IntoIterator<Item = (i64, (i64, i64))>,
    parts: f64,
) -> impl Iterator<Item = (f64, f64, f64, f64)> {
    bins.into_iter().map(move |(bin, (count, sum))| {
        let (low, high) = (sketch::floor(bin), sketch::floor(bin.saturating_add(1)));
        (low as f64, high as f64, count as f64 / parts, sum as f64 / parts)
    })
}

/// The lines of a kind, ascending by slope, equal ones by desk id. A case of several loans is a
/// line too: its loans' terms weighted by what they bring of the price.
fn lines(market: &Market, name: &str, shards: &Shards, day: i32) -> (Vec<Line>, Vec<Option<u16>>) {
    let kind = sketch::read(name);
    let mut parts = vec![0.0; kind.loans.len()];
    for sketch in shards.values() {
        for (part, sum) in parts.iter_mut().zip(&sketch.parts) {
            *part += *sum as f64;
        }
    }
    let whole: f64 = parts.iter().sum();
    let numbers =
        |ids: &[&str]| -> Vec<u16> { ids.iter().filter_map(|id| market.find(id)).collect() };
    let (left, barred) = (numbers(&kind.left), numbers(&kind.barred));
    let may = |desk: u16| admits(market, &left, desk) && !barred.contains(&desk);
    let mut list: Vec<(Line, Option<u16>)> = Vec::new();
    for (number, (bucket, province, product)) in kind.loans.iter().enumerate() {
        let weight = if whole > 0.0 { parts[number] / whole } else { 1.0 / parts.len() as f64 };
        let offers = market.offers(kind.lender, province, product, *bucket, day);
        let line = |desk: u16| offers.iter().find(|offer| offer.desk == desk);
        if number == 0 {
            list.extend(offers.iter().filter(|offer| may(offer.desk)).map(|offer| {
                (Line { desk: u32::from(offer.desk), slope: 0.0, cost: 0.0 }, offer.quota)
            }));
        }
        list.retain_mut(|(known, _)| match line(known.desk as u16) {
            Some(offer) => {
                known.slope += weight * (offer.slope as f64 / SCALE as f64);
                known.cost += offer.cost as f64;
                true
            }
            None => false,
        });
    }
    list.retain(|(line, _)| line.slope > 0.0);
    list.sort_by(|a, b| a.0.slope.total_cmp(&b.0.slope));
    list.into_iter().unzip()
}

/// A bin of waiting cases in one shard, and what they lose by the second best desk.
struct Bin {
    loss: f64,
    class: usize,
    shard: usize,
    price: f64,
    count: f64,
    each: f64,
}

impl Round<'_> {
    /// Splits the demand at these bid prices by shard.
    pub fn asked(&self, bids: &[f64], shards: usize, quotas: usize) -> Asked {
        let desks = self.problem.capacity.len();
        let mut asked = Asked {
            desks: vec![vec![0.0; shards]; desks],
            amounts: vec![vec![0.0; shards]; desks],
            quotas: vec![vec![0.0; shards]; quotas],
        };
        let waiting = self.kinds.iter().flat_map(|kind| kind.values());
        let waiting: i64 = waiting.map(|sketch| sketch.counts.iter().sum::<i64>()).sum();
        if waiting as f64 <= FEW {
            self.ask_each(bids, shards, &mut asked);
        } else {
            self.ask_all(bids, shards, &mut asked);
        }
        asked
    }

    /// Who would lose most by the next best asks first, as shards decide; so the last places of
    /// a desk go to the shards where they are worth most.
    fn ask_each(&self, bids: &[f64], shards: usize, asked: &mut Asked) {
        let mut bins = Vec::new();
        for (class, kind) in self.kinds.iter().enumerate() {
            for (shard, sketch) in kind.iter().filter(|(shard, _)| (**shard as usize) < shards) {
                let count: i64 = sketch.counts.iter().sum();
                let each = sketch.outstanding as f64 / count.max(1) as f64;
                for (count, sum) in sketch.counts.iter().zip(&sketch.sums) {
                    let (count, price) = (*count as f64, *sum as f64 / (*count).max(1) as f64);
                    let nets = self.nets(class, price, bids);
                    let net = |at: usize| nets.get(at).map_or(0.0, |net| net.0.max(0.0));
                    let (loss, shard) = (net(0) - net(1), *shard as usize);
                    bins.push(Bin { loss, class, shard, price, count, each });
                }
            }
        }
        bins.sort_by(|a, b| {
            let place = |bin: &Bin| (bin.shard, bin.class);
            b.loss.total_cmp(&a.loss).then(place(a).cmp(&place(b)))
        });
        let mut left = self.there.clone();
        for bin in &bins {
            let mut count = bin.count;
            for (_, line) in self.nets(bin.class, bin.price, bids) {
                let found = self.problem.classes[bin.class].lines[line];
                let desk = found.desk as usize;
                let taken = count.min(left[desk]);
                left[desk] -= taken;
                count -= taken;
                asked.desks[desk][bin.shard] += taken;
                asked.amounts[desk][bin.shard] += taken * bin.each;
                if let Some(quota) = self.quotas[bin.class][line] {
                    asked.quotas[usize::from(quota)][bin.shard] += taken;
                }
                if count <= 0.0 {
                    break;
                }
            }
        }
    }

    /// What a price leaves at each desk that is worth its bid price, best first, with its line.
    fn nets(&self, class: usize, price: f64, bids: &[f64]) -> Vec<(f64, usize)> {
        let lines = &self.problem.classes[class].lines;
        let net = |line: &Line| line.slope * price - line.cost - bids[line.desk as usize];
        let mut nets: Vec<(f64, usize)> = lines
            .iter()
            .enumerate()
            .map(|(number, line)| (net(line), number))
            .filter(|(net, _)| *net >= -1e-6)
            .collect();
        nets.sort_by(|a, b| b.0.total_cmp(&a.0).then(lines[a.1].desk.cmp(&lines[b.1].desk)));
        nets
    }

    fn ask_all(&self, bids: &[f64], shards: usize, asked: &mut Asked) {
        let mut pieces = Vec::new();
        for (number, class) in self.problem.classes.iter().enumerate() {
            envelope(&class.lines, bids, &mut pieces);
            for (shard, sketch) in self.kinds[number] {
                let shard = *shard as usize;
                let bins = sketch.bins.iter().zip(sketch.counts.iter().zip(&sketch.sums));
                let bins = bins.map(|(bin, (count, sum))| (*bin, (*count, *sum)));
                let prices = Prices::new(bounds(bins, 1.0));
                if shard >= shards || prices.total.0 <= 0.0 {
                    continue;
                }
                let each = sketch.outstanding as f64 / prices.total.0;
                for (at, piece) in pieces.iter().enumerate() {
                    if piece.line == u32::MAX {
                        continue;
                    }
                    let next = pieces.get(at + 1);
                    let until = next.map_or(prices.total.0, |next| prices.below(next.from).0);
                    let count = until - prices.below(piece.from).0;
                    let desk = piece.desk as usize;
                    asked.desks[desk][shard] += count;
                    asked.amounts[desk][shard] += count * each;
                    if let Some(quota) = self.quotas[number][piece.line as usize] {
                        asked.quotas[usize::from(quota)][shard] += count;
                    }
                }
            }
        }
    }
}
