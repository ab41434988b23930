//! The memory of clear as tables, and back.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, Int64Builder, ListBuilder, RecordBatch, StringArray, UInt32Array,
};
use arrow::datatypes::DataType::{UInt32, Utf8};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type};

use crate::dispatch::columns::{Numbers, Texts, saved};
use crate::dispatch::facts::{VALUE, numbers};
use crate::dispatch::says::batch;

use super::demand::Sketch;
use super::pool::{Pool, Said};
use super::{Clear, list};

pub fn table(columns: Vec<(&str, DataType, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> =
        columns.iter().map(|(name, kind, _)| Field::new(*name, kind.clone(), true)).collect();
    batch(Arc::new(Schema::new(fields)), columns.into_iter().map(|column| column.2).collect())
}

pub fn texts<'a>(list: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(list.map(Some).collect::<StringArray>())
}

pub fn lists<'a>(rows: impl Iterator<Item = &'a [i64]>) -> ArrayRef {
    let mut builder = ListBuilder::new(Int64Builder::new());
    for row in rows {
        builder.append_value(row.iter().map(|number| Some(*number)));
    }
    Arc::new(builder.finish())
}

/// An absent limit, in a list that has no nulls.
const NO_LIMIT: i64 = i64::MIN;

fn heard(rows: &Option<RecordBatch>, schema: SchemaRef) -> RecordBatch {
    rows.clone().unwrap_or_else(|| RecordBatch::new_empty(schema))
}

impl Clear {
    pub fn saved(&self) -> Vec<RecordBatch> {
        let market = &self.market;
        let sketches = || self.demand.values().flat_map(|shards| shards.values());
        let names = self.demand.iter().flat_map(|(name, shards)| shards.keys().map(move |_| name));
        let owners = self.demand.values().flat_map(|shards| shards.keys().copied());
        let outstanding = sketches().map(|sketch| sketch.outstanding).collect::<Vec<_>>();
        vec![
            heard(&market.agencies_heard, crate::facts::agencies()),
            heard(&market.desks_heard, crate::facts::desks()),
            heard(&market.contracts_heard, crate::facts::contracts()),
            table(vec![
                ("desk_id", Utf8, texts(market.desks.iter().map(|desk| desk.id.as_str()))),
                ("agency_id", Utf8, texts(market.desks.iter().map(|desk| desk.agency.as_str()))),
            ]),
            table(vec![
                ("lender_id", Utf8, texts(market.quotas.iter().map(|pair| pair.0.as_str()))),
                ("agency_id", Utf8, texts(market.quotas.iter().map(|pair| pair.1.as_str()))),
            ]),
            save_pools(&self.desks),
            save_pools(&self.quotas),
            table(vec![
                ("kind", Utf8, texts(names.map(|name| name.as_str()))),
                ("shard", UInt32, Arc::new(owners.map(Some).collect::<UInt32Array>())),
                ("bins", numbers(), lists(sketches().map(|sketch| sketch.bins.as_slice()))),
                ("counts", numbers(), lists(sketches().map(|sketch| sketch.counts.as_slice()))),
                ("sums", numbers(), lists(sketches().map(|sketch| sketch.sums.as_slice()))),
                ("parts", numbers(), lists(sketches().map(|sketch| sketch.parts.as_slice()))),
                ("outstanding", VALUE, values(outstanding)),
            ]),
            self.save_rounds(),
            self.forecast.save_kinds(),
        ]
    }

    /// Rounds as (what, text, numbers).
    fn save_rounds(&self) -> RecordBatch {
        let mut rows: Vec<(&str, String, [i128; 7])> = Vec::new();
        let wide = |number: Option<i64>| i128::from(number.unwrap_or(i64::MIN));
        let state = [i128::from(self.day), i128::from(self.round), wide(self.tick_at)];
        let open = i128::from(self.open);
        let changed = i128::from(self.changed);
        rows.push(("state", String::new(), [state[0], state[1], state[2], open, changed, 0, 0]));
        self.forecast.save_numbers(&mut rows);
        for shard in &self.answered {
            rows.push(("answered", String::new(), [i128::from(*shard), 0, 0, 0, 0, 0, 0]));
        }
        for (round, shards) in &self.windows {
            for (shard, (value, bound, counts)) in shards {
                let [a, b, c] = counts.map(i128::from);
                let row = [i128::from(*round), i128::from(*shard), *value, *bound, a, b, c];
                rows.push(("window", String::new(), row));
            }
        }
        for (shard, count) in &self.nowhere {
            let row = [i128::from(*shard), i128::from(*count), 0, 0, 0, 0, 0];
            rows.push(("nowhere", String::new(), row));
        }
        for (round, kept) in &self.kept {
            rows.push(("kept", String::new(), [i128::from(*round), *kept, 0, 0, 0, 0, 0]));
        }
        for (round, report) in &self.reports {
            let [answered, evaluations] = [report.answered, report.evaluations].map(i128::from);
            let at = wide(report.at);
            let row = [i128::from(*round), at, answered, report.expected, evaluations, 0, 0];
            rows.push(("report", report.silent.clone(), row));
            rows.push(("note", report.note.clone(), [i128::from(*round), 0, 0, 0, 0, 0, 0]));
            let [there, taken, unspent] = report.places.map(i128::from);
            let nowhere = i128::from(report.nowhere);
            let row = [i128::from(*round), there, taken, unspent, nowhere, 0, 0];
            rows.push(("places", String::new(), row));
            if let Some(forecast) = report.forecast {
                let [arrived, expected, rest] = forecast.map(i128::from);
                let row = [i128::from(*round), arrived, expected, rest, 0, 0, 0];
                rows.push(("forecast", String::new(), row));
            }
        }
        let column = |at: usize| values(rows.iter().map(|row| row.2[at]).collect());
        let mut columns = vec![
            ("what", Utf8, texts(rows.iter().map(|row| row.0))),
            ("text", Utf8, texts(rows.iter().map(|row| row.1.as_str()))),
        ];
        for (at, name) in ["a", "b", "c", "d", "e", "f", "g"].into_iter().enumerate() {
            columns.push((name, VALUE, column(at)));
        }
        table(columns)
    }

    /// Wakes from saved tables; `None` where they are not such.
    pub fn restore(&mut self, tables: &[RecordBatch]) -> Option<()> {
        let [agencies, desks, contracts, known, pairs, pools, quotas, sketches, rounds, flows] =
            tables
        else {
            return None;
        };
        let (ids, agencies_of) = (Texts::of(known, "desk_id"), Texts::of(known, "agency_id"));
        for row in 0..known.num_rows() {
            self.market.intern(ids.text(row), agencies_of.text(row))?;
        }
        let (lenders, agencies_of) = (Texts::of(pairs, "lender_id"), Texts::of(pairs, "agency_id"));
        for row in 0..pairs.num_rows() {
            self.market.intern_quota(lenders.text(row), agencies_of.text(row));
        }
        for (name, rows) in [("agencies", agencies), ("desks", desks), ("contracts", contracts)] {
            if rows.num_rows() > 0 {
                self.market.hear(name, rows);
            }
        }
        self.desks = load_pools(pools, self.shards)?;
        self.quotas = load_pools(quotas, self.shards)?;
        let kinds = Texts::of(sketches, "kind");
        let shards = Numbers::<UInt32Type>::of(sketches, "shard");
        let outstanding = saved::<Decimal128Array>(sketches, 6)?;
        for row in 0..sketches.num_rows() {
            let sketch = Sketch {
                bins: list(sketches, "bins", row),
                counts: list(sketches, "counts", row),
                sums: list(sketches, "sums", row),
                parts: list(sketches, "parts", row),
                outstanding: outstanding.value(row),
            };
            let known = self.demand.entry(kinds.text(row).to_string()).or_default();
            known.insert(shards.number(row), sketch);
        }
        self.forecast.load_kinds(flows)?;
        self.load_rounds(rounds)
    }

    fn load_rounds(&mut self, rounds: &RecordBatch) -> Option<()> {
        let (what, text) = (Texts::of(rounds, "what"), Texts::of(rounds, "text"));
        let columns: Vec<Decimal128Array> =
            (2..9).map(|index| saved(rounds, index)).collect::<Option<_>>()?;
        let some = |number: i128| (number != i128::from(i64::MIN)).then_some(number as i64);
        for row in 0..rounds.num_rows() {
            let number = |at: usize| columns[at].value(row);
            let round = number(0) as i64;
            match what.text(row) {
                "state" => {
                    (self.day, self.round) = (number(0) as i32, number(1) as i64);
                    (self.tick_at, self.open) = (some(number(2)), number(3) != 0);
                    self.changed = number(4) != 0;
                }
                "answered" => drop(self.answered.insert(number(0) as u32)),
                "window" => {
                    let counts = [4, 5, 6].map(|at| number(at) as i64);
                    let reached = (number(2), number(3), counts);
                    self.windows.entry(round).or_default().insert(number(1) as u32, reached);
                }
                "nowhere" => drop(self.nowhere.insert(number(0) as u32, number(1) as i64)),
                "kept" => drop(self.kept.insert(round, number(1))),
                "report" => {
                    let report = self.reports.entry(round).or_default();
                    (report.round, report.at) = (round, some(number(1)));
                    (report.answered, report.expected) = (number(2) as i64, number(3));
                    report.evaluations = number(4) as i64;
                    report.silent = text.text(row).into();
                }
                "note" => {
                    self.reports.entry(round).or_default().note = text.text(row).into();
                }
                "places" => {
                    let report = self.reports.entry(round).or_default();
                    report.places = [1, 2, 3].map(|at| number(at) as i64);
                    report.nowhere = number(4) as i64;
                }
                "forecast" => {
                    let report = self.reports.entry(round).or_default();
                    report.forecast = Some([1, 2, 3].map(|at| number(at) as i64));
                }
                other => self.forecast.load_number(other, [0, 1, 2, 3, 4].map(number))?,
            }
        }
        Some(())
    }
}

fn values(list: Vec<i128>) -> ArrayRef {
    Arc::new(Decimal128Array::from_iter_values(list).with_data_type(VALUE))
}

fn save_pools(pools: &[Pool]) -> RecordBatch {
    let limit = |number: Option<i64>| number.unwrap_or(NO_LIMIT);
    let mut rows: Vec<[Vec<i64>; 5]> = Vec::new();
    for pool in pools {
        let mut row = vec![limit(pool.capacity), limit(pool.per_round), limit(pool.amount_max)];
        row.extend([pool.outstanding, pool.amount_outstanding, pool.bid, pool.kept, pool.back]);
        if let Some(said) = pool.said {
            row.extend([limit(said.capacity), limit(said.amount_max), said.bid]);
            let flags = [said.some_left, said.some_amount, said.exceeded];
            row.extend(flags.map(i64::from));
        }
        let carry = pool.carry.iter().map(|carry| carry.to_bits() as i64).collect();
        let shards = [pool.reserve.clone(), pool.debt.clone(), pool.amount_debt.clone(), carry];
        let [reserve, debt, amount_debt, carry] = shards;
        rows.push([row, reserve, debt, amount_debt, carry]);
    }
    let column = |at: usize| lists(rows.iter().map(|row| row[at].as_slice()));
    let names = ["numbers", "reserve", "debt", "amount_debt", "carry"];
    let columns = names.iter().enumerate().map(|(at, name)| (*name, numbers(), column(at)));
    table(columns.collect())
}

fn load_pools(table: &RecordBatch, shards: usize) -> Option<Vec<Pool>> {
    let limit = |number: i64| (number != NO_LIMIT).then_some(number);
    let mut pools = Vec::new();
    for row in 0..table.num_rows() {
        let numbers = list(table, "numbers", row);
        let [capacity, per_round, amount_max, outstanding, amount_outstanding, ..] = numbers[..]
        else {
            return None;
        };
        let [bid, kept, back] = *numbers.get(5..8)? else { return None };
        let said = match numbers[8..] {
            [capacity, amount_max, bid, some_left, some_amount, exceeded] => Some(Said {
                capacity: limit(capacity),
                amount_max: limit(amount_max),
                bid,
                some_left: some_left != 0,
                some_amount: some_amount != 0,
                exceeded: exceeded != 0,
            }),
            _ => None,
        };
        let by_shard = |name: &str| Some(list(table, name, row)).filter(|l| l.len() == shards);
        let carry = by_shard("carry")?;
        pools.push(Pool {
            capacity: limit(capacity),
            per_round: limit(per_round),
            amount_max: limit(amount_max),
            outstanding,
            amount_outstanding,
            bid,
            kept,
            back,
            reserve: by_shard("reserve")?,
            debt: by_shard("debt")?,
            amount_debt: by_shard("amount_debt")?,
            carry: carry.into_iter().map(|bits| f64::from_bits(bits as u64)).collect(),
            said,
        });
    }
    Some(pools)
}
