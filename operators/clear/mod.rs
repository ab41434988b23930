//! The market for capacity: what waits comes in, bid prices and shares go out.
//!
//! Shards say how many cases of which kind wait with them, as bins of prices; here the bid
//! prices that make the bound smallest are found ([`solve`]), each limited thing is dealt out by
//! largest remainder ([`pool`]), and what was reached is set against the bound: the certificate.
//! The work depends on kinds, desks and shards, never on the number of loans.
//!
//! A round is complete when every shard has answered its tick, or at the next tick, which names
//! the silent ones; what they said last still counts, and what they hold stays theirs.
//!
//! Floats steer; what is said is whole cents and whole cases, and no limit rests on a float.

mod close;
mod demand;
pub mod envelope;
mod forecast;
mod newton;
mod points;
pub mod pool;
mod remembered;
mod says;
mod snapshot;
pub mod solve;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, Int64Array, ListArray, RecordBatch};
use arrow::datatypes::{
    Decimal128Type, Int64Type, TimestampMicrosecondType, UInt32Type, UInt64Type,
};

use crate::dispatch::columns::{Numbers, Texts, cents};
use crate::dispatch::facts;
use crate::dispatch::market::Market;
use crate::dispatch::says::Place;
use crate::{LoadError, Operator, Rules, Says, Verb};
use demand::{Demand, Known, Sketch};
use forecast::Forecast;
use pool::Pool;
use says::{Quota, Report};

/// The entry of [`crate::ALL`].
pub const VERB: Verb = Verb {
    name: "clear",
    about: "Finds the bid price of each desk's capacity and deals every shard its share.",
    takes: facts::demand,
    says: &[
        Says { name: "quotas", schema: facts::quotas },
        Says { name: "rounds", schema: facts::rounds },
    ],
    open: |rules, _| Box::new(Clear::new(rules)),
};

/// What one shard reached in one window: value, bound, and cases decided, waiting, spilled.
type Reached = (i128, i128, [i64; 3]);

/// The memory of the market.
pub struct Clear {
    shards: usize,
    market: Market,
    /// By number of the desk, and of the lender's quota.
    desks: Vec<Pool>,
    quotas: Vec<Pool>,
    demand: Demand,
    /// Terms looked up before; empty where they may have changed.
    known: Known,
    forecast: Forecast,
    day: i32,
    round: i64,
    /// The tick being answered, and by whom; `open` until its quotas are said.
    tick_at: Option<i64>,
    open: bool,
    /// Desks or contracts are others since the last round.
    changed: bool,
    answered: BTreeSet<u32>,
    windows: BTreeMap<i64, BTreeMap<u32, Reached>>,
    /// By shard: how many waiting cases nobody takes, as it said last.
    nowhere: BTreeMap<u32, i64>,
    /// Bid prices of what the pools kept, by round: their part of the bound.
    kept: BTreeMap<i64, i128>,
    reports: BTreeMap<i64, Report>,
    heard: Vec<(String, RecordBatch)>,
    quoted: Vec<(Place, Quota)>,
    reported: Vec<(Place, Report)>,
}

impl Clear {
    pub fn new(rules: &Rules) -> Self {
        Clear {
            shards: rules.shards as usize,
            market: Market::default(),
            desks: Vec::new(),
            quotas: Vec::new(),
            demand: Demand::new(),
            known: Known::new(),
            forecast: Forecast::new(rules.horizon_minutes),
            day: 0,
            round: 0,
            tick_at: None,
            open: false,
            changed: false,
            answered: BTreeSet::new(),
            windows: BTreeMap::new(),
            nowhere: BTreeMap::new(),
            kept: BTreeMap::new(),
            reports: BTreeMap::new(),
            heard: Vec::new(),
            quoted: Vec::new(),
            reported: Vec::new(),
        }
    }

    fn act(&mut self, place: Place, name: &str, rows: &RecordBatch) {
        if name != "ticked" {
            if self.market.hear(name, rows) {
                self.changed = true;
                self.refresh();
            }
            return;
        }
        let kinds = Texts::of(rows, "kind");
        let shards = Numbers::<UInt32Type>::of(rows, "shard");
        let ats = Numbers::<TimestampMicrosecondType>::of(rows, "at");
        for row in 0..rows.num_rows() {
            let at = ats.get(row).or(place.at);
            if let Some(day) = at.and_then(|at| i32::try_from(at.div_euclid(86_400_000_000)).ok())
                && day > self.day
            {
                self.changed |= self.market.epoch(self.day) != self.market.epoch(day);
                self.day = day;
                self.refresh();
            }
            if kinds.text(row) == "round" {
                self.hear_tick(place, at, shards.number(row));
            }
        }
    }

    /// A shard has answered a tick. A later tick, or a second answer, ends the round before.
    fn hear_tick(&mut self, place: Place, at: Option<i64>, shard: u32) {
        if self.tick_at.is_some() && at < self.tick_at {
            return;
        }
        let begins = self.tick_at.is_none()
            || at > self.tick_at
            || !self.open
            || self.answered.contains(&shard);
        if begins {
            if self.open {
                self.close(place);
            }
            (self.tick_at, self.open) = (at, true);
            self.answered.clear();
        }
        self.answered.insert(shard);
        if self.answered.len() >= self.shards {
            self.close(place);
        }
    }

    /// Learns every limit anew.
    fn refresh(&mut self) {
        self.known.clear();
        for (number, desk) in self.market.desks.iter().enumerate() {
            if self.desks.len() == number {
                self.desks.push(Pool::new(self.shards));
            }
            let capacity = if desk.present { desk.capacity } else { Some(0) };
            self.desks[number].limit(capacity, desk.per_round, desk.amount_max);
        }
        for number in 0..self.market.quotas.len() {
            if self.quotas.len() == number {
                self.quotas.push(Pool::new(self.shards));
            }
            let limit = self.market.quota(number, self.day);
            self.quotas[number].limit(limit, None, None);
        }
    }
}

impl Operator for Clear {
    fn step(&mut self, facts: &RecordBatch) -> Vec<RecordBatch> {
        let shards = Numbers::<UInt32Type>::of(facts, "shard");
        let seqs = Numbers::<UInt64Type>::of(facts, "seq");
        let rows = Numbers::<UInt32Type>::of(facts, "row");
        let ats = Numbers::<TimestampMicrosecondType>::of(facts, "at");
        let kinds = Texts::of(facts, "kind");
        for row in 0..facts.num_rows() {
            let place = Place {
                shard: shards.get(row),
                seq: seqs.number(row),
                row: rows.number(row),
                at: ats.get(row),
            };
            let shard = shards.number(row);
            match kinds.text(row) {
                "segment" => self.hear_segment(facts, row, shard),
                "arrived" => self.hear_arrived(facts, row),
                "desk" | "contract" => self.hear_shares(facts, row, shard),
                "window" => self.hear_window(facts, row, shard),
                _ => {
                    for (name, rows) in std::mem::take(&mut self.heard) {
                        self.act(place, &name, &rows);
                    }
                }
            }
        }
        let quotas = says::say_quotas(&std::mem::take(&mut self.quoted));
        vec![quotas, says::say_rounds(&std::mem::take(&mut self.reported))]
    }

    fn hear(&mut self, name: &str, rows: &RecordBatch) {
        if matches!(name, "ticked" | "agencies" | "desks" | "contracts") {
            self.heard.push((name.to_string(), rows.clone()));
        }
    }

    fn save(&self) -> Vec<RecordBatch> {
        self.saved()
    }

    fn load(&mut self, tables: Vec<RecordBatch>) -> Result<(), LoadError> {
        self.restore(&tables).ok_or(LoadError {
            operator: "clear",
            what: format!("{} tables do not read as its memory", tables.len()),
        })
    }

    fn size(&self) -> usize {
        let sketches: usize = self
            .demand
            .values()
            .flat_map(|shards| shards.values())
            .map(|sketch| 120 + 24 * sketch.bins.len())
            .sum();
        let pools = self.desks.len() + self.quotas.len();
        sketches + pools * (size_of::<Pool>() + 32 * self.shards)
    }
}

impl Clear {
    /// A shard says how many cases of a kind wait, in place of what it said before.
    fn hear_segment(&mut self, facts: &RecordBatch, row: usize, shard: u32) {
        let name = Texts::of(facts, "segment").text(row).to_string();
        let numbers = |column: &str| list(facts, column, row);
        let sketch = Sketch {
            bins: numbers("bins"),
            counts: numbers("counts"),
            sums: numbers("sums"),
            parts: numbers("parts"),
            outstanding: Numbers::<Decimal128Type>::of(facts, "outstanding").number(row),
        };
        let shards = self.demand.entry(name.clone()).or_default();
        if sketch.bins.is_empty() {
            shards.remove(&shard);
        } else {
            shards.insert(shard, sketch);
        }
        if shards.is_empty() {
            self.demand.remove(&name);
        }
    }

    fn hear_arrived(&mut self, facts: &RecordBatch, row: usize) {
        let at = Numbers::<TimestampMicrosecondType>::of(facts, "at").number(row);
        let [bins, counts, sums] = ["bins", "counts", "sums"].map(|name| list(facts, name, row));
        let bins = bins.into_iter().zip(counts.into_iter().zip(sums));
        self.forecast.arrive(at, Texts::of(facts, "segment").text(row), bins);
    }

    fn hear_shares(&mut self, facts: &RecordBatch, row: usize, shard: u32) {
        let whole = |name| Numbers::<Int64Type>::of(facts, name).number(row);
        let total =
            |name| cents(Some(Numbers::<Decimal128Type>::of(facts, name).number(row))).unwrap_or(0);
        let text = |name| Texts::of(facts, name).text(row);
        let pool = if text("kind") == "desk" {
            let known = self.market.find(text("desk_id"));
            let at = Numbers::<TimestampMicrosecondType>::of(facts, "at").number(row);
            if let Some(known) = known {
                self.forecast.leave(at, known, whole("freed"));
            }
            known.and_then(|known| self.desks.get_mut(usize::from(known)))
        } else {
            let pair = (text("lender_id"), text("agency_id"));
            let known = &self.market.quotas;
            let known = known.iter().position(|(l, a)| (l.as_str(), a.as_str()) == pair);
            known.and_then(|known| self.quotas.get_mut(known))
        };
        if let Some(pool) = pool {
            pool.answer(shard as usize, whole("handed_back"), whole("reserve"), whole("kept"));
            pool.answer_amount(shard as usize, total("amount_back"), total("amount_kept"));
        }
    }

    fn hear_window(&mut self, facts: &RecordBatch, row: usize, shard: u32) {
        let whole = |name| Numbers::<Int64Type>::of(facts, name).number(row);
        let exact = |name| Numbers::<Decimal128Type>::of(facts, name).number(row);
        let counts = [whole("decided"), whole("waiting"), whole("spilled")];
        let reached = (exact("value"), exact("bound"), counts);
        self.nowhere.insert(shard, whole("nowhere"));
        self.windows.entry(whole("round")).or_default().insert(shard, reached);
    }
}

/// A list of numbers in one field.
fn list(facts: &RecordBatch, name: &str, row: usize) -> Vec<i64> {
    let Some(column) = facts.column_by_name(name) else { return Vec::new() };
    let Some(lists) = column.as_any().downcast_ref::<ListArray>() else { return Vec::new() };
    if lists.is_null(row) {
        return Vec::new();
    }
    let numbers = lists.value(row);
    let numbers = numbers.as_any().downcast_ref::<Int64Array>();
    numbers.map_or(Vec::new(), |numbers| numbers.values().to_vec())
}
