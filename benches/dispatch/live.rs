//! A live day through the operators themselves: shards of `dispatch` and one `clear`, with the
//! facts that a log would carry between them.
//!
//! Cases come one by one, prices move, one case in a hundred is recalled an hour after it came,
//! and there is a round each minute. The first day is there to be learned from; at midnight all
//! of its cases are paid, and the second day is the one that counts.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt32Array, UInt64Array, new_null_array,
};
use arrow::datatypes::SchemaRef;
use recoup_operators::clear::Clear;
use recoup_operators::dispatch::Dispatch;
use recoup_operators::facts::{self, BUCKETS, MONEY};
use recoup_operators::{Operator, Rules};

use crate::Clock;
use crate::market::{self, Dice, Market, PRODUCTS};

const SHARDS: u32 = 8;
const MINUTES: usize = 1_440;
const MINUTE: i64 = 60_000_000;
/// Days past due that stand for each bucket.
const DAYS: [i32; 7] = [0, 15, 45, 75, 120, 270, 400];

/// One day's cases in order of arrival: first prices, and last ones.
pub struct Cases {
    pub kinds: Vec<u32>,
    first: Vec<i64>,
    pub last: Vec<i64>,
    /// Minutes after its arrival at which the price moves; 0: never.
    moves: Vec<usize>,
}

impl Cases {
    /// Each tenth case's price moves once, by up to a tenth, within two hours.
    pub fn of(day: u64, count: usize) -> Self {
        let (kinds, first) = market::cases(count, 10 + day);
        let mut dice = Dice(day ^ 0x11fe);
        let mut moves = vec![0; count];
        let mut last = first.clone();
        for case in (3..count).step_by(10) {
            moves[case] = 1 + dice.below(120);
            last[case] = (first[case] as f64 * (0.9 + 0.2 * dice.part())).round().max(1.0) as i64;
        }
        Cases { kinds, first, last, moves }
    }
}

/// A fact about one case.
struct Row {
    kind: &'static str,
    case: usize,
    price: i64,
}

struct World {
    shards: Vec<Dispatch>,
    clear: Clear,
    seq: u64,
    /// By case of the day at hand.
    desks: Vec<Option<usize>>,
    /// Seconds in shards that answer ticks, in clear, and in shards that hear its quotas.
    spent: [f64; 3],
}

/// What a whole load costs the operator, in seconds and bytes.
pub struct Load {
    pub send: f64,
    /// Each round's seconds: answering, clearing, deciding; and how many wait after it.
    pub rounds: Vec<([f64; 3], usize)>,
    pub counted: usize,
    pub resident: usize,
}

/// Sends all cases at once, and lets rounds pass.
pub fn load(market: &Market, count: usize, rounds: usize) -> Load {
    let mut world = World::new(market, count, 0);
    let cases = Cases::of(1, count);
    let before = resident();
    let mut send = 0.0;
    for from in (0..count).step_by(50_000) {
        let row = |case| Row { kind: "report", case, price: cases.first[case] };
        let rows = (from..(from + 50_000).min(count)).map(row).collect();
        for (shard, rows) in World::by_shard(rows) {
            let facts = priced(0, &cases, &rows, (shard, 1, 1_000));
            let clock = Clock::start();
            let said = world.shards[shard as usize].step(&facts);
            send += clock.seconds();
            world.observe(&said[1]);
        }
    }
    let resident = resident().saturating_sub(before);
    let counted = world.shards.iter().map(|shard| shard.size()).sum();
    let mut answers = Vec::new();
    for round in 0..rounds {
        world.spent = [0.0; 3];
        world.round((round as i64 + 1) * MINUTE);
        let waiting = world.desks.iter().filter(|desk| desk.is_none()).count();
        answers.push((world.spent, waiting));
    }
    Load { send, rounds: answers, counted, resident }
}

/// Bytes that this process has in memory.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|word| word.parse::<usize>().ok());
    pages.unwrap_or(0) * 4_096
}

/// Value held at each hour's end of the second day, and what a round cost in seconds (answering,
/// clearing, deciding); `known`: with a forecast.
pub fn two_days(market: &Market, count: usize, known: bool) -> (Vec<f64>, [f64; 3]) {
    let mut world = World::new(market, count, if known { MINUTES as u32 } else { 0 });
    let mut hours = Vec::new();
    for day in 0..2 {
        world.spent = [0.0; 3];
        let cases = Cases::of(day, count);
        hours = world.day(day as usize, &cases, market);
        let gone = (0..count).map(|case| Row { kind: "payment", case, price: 0 }).collect();
        let midnight = (day as i64 + 1) * MINUTES as i64 * MINUTE;
        world.send(day as usize, &cases, gone, midnight + 1_000);
        world.desks.fill(None);
    }
    (hours, world.spent.map(|seconds| seconds / MINUTES as f64))
}

impl World {
    fn new(market: &Market, count: usize, horizon_minutes: u32) -> Self {
        let rules = Rules { shards: SHARDS, horizon_minutes, ..Rules::default() };
        let shards = (0..SHARDS).map(|shard| Dispatch::new(&rules, shard)).collect();
        let (clear, desks_of) = (Clear::new(&rules), vec![None; count]);
        let mut world = World { shards, clear, seq: 0, desks: desks_of, spent: [0.0; 3] };
        world.tell("desks", &desks(market), 0);
        world
    }

    fn day(&mut self, day: usize, cases: &Cases, market: &Market) -> Vec<f64> {
        let count = cases.kinds.len();
        let come = |minute: usize| count * minute / MINUTES;
        let mut hours = Vec::new();
        let mut moving: Vec<Vec<usize>> = vec![Vec::new(); MINUTES + 200];
        for minute in 0..MINUTES {
            let at = (day * MINUTES + minute) as i64 * MINUTE;
            let mut rows = Vec::new();
            for case in come(minute)..come(minute + 1) {
                rows.push(Row { kind: "report", case, price: cases.first[case] });
                if cases.moves[case] > 0 {
                    moving[minute + cases.moves[case]].push(case);
                }
            }
            for case in std::mem::take(&mut moving[minute]) {
                rows.push(Row { kind: "report", case, price: cases.last[case] });
            }
            let (from, until) =
                (come(minute.saturating_sub(60)), come((minute + 1).saturating_sub(60)));
            let recalled = (from..until).filter(|case| case % 100 == 7);
            rows.extend(recalled.map(|case| Row {
                kind: "recall",
                case,
                price: if cases.moves[case] > 60 { cases.first[case] } else { cases.last[case] },
            }));
            self.send(day, cases, rows, at + MINUTE / 2);
            self.round(at + MINUTE - 1);
            if (minute + 1) % 60 == 0 {
                hours.push(self.value(cases, market));
            }
        }
        hours
    }

    /// What stands at desks, at last prices; and no desk is above its capacity.
    fn value(&self, cases: &Cases, market: &Market) -> f64 {
        let mut open = vec![0; market.capacity.len()];
        let mut sum = 0.0;
        for (case, desk) in self.desks.iter().enumerate() {
            let Some(desk) = desk else { continue };
            open[*desk] += 1;
            let lines = &market.lines[cases.kinds[case] as usize];
            let line = lines.iter().find(|line| usize::from(line.desk) == *desk);
            sum += line.map_or(0.0, |line| {
                cases.last[case] as f64 * line.slope as f64 / market::SCALE as f64
                    - line.cost as f64
            });
        }
        for (open, capacity) in open.iter().zip(&market.capacity) {
            assert!(open <= capacity, "no desk is above its capacity");
        }
        sum
    }

    /// Rows about cases, each to the shard of its borrower.
    fn send(&mut self, day: usize, cases: &Cases, rows: Vec<Row>, at: i64) {
        for (shard, rows) in Self::by_shard(rows) {
            self.seq += 1;
            let facts = priced(day, cases, &rows, (shard, self.seq, at));
            let said = self.shards[shard as usize].step(&facts);
            self.observe(&said[1]);
        }
    }

    fn by_shard(rows: Vec<Row>) -> impl Iterator<Item = (u32, Vec<Row>)> {
        let mut by_shard: Vec<Vec<Row>> = (0..SHARDS).map(|_| Vec::new()).collect();
        for row in rows {
            by_shard[row.case % SHARDS as usize].push(row);
        }
        (0..SHARDS).zip(by_shard).filter(|(_, rows)| !rows.is_empty())
    }

    fn tell(&mut self, name: &str, rows: &RecordBatch, at: i64) -> Vec<RecordBatch> {
        let mut demand = Vec::new();
        for shard in 0..SHARDS {
            self.seq += 1;
            let operator = &mut self.shards[shard as usize];
            operator.hear(name, rows);
            let said = operator.step(&everyone(facts::priced(), name, self.seq, shard, at));
            self.observe(&said[1]);
            demand.push(said[2].clone());
        }
        if name == "desks" {
            self.clear.hear(name, rows);
            self.hear_clear(name, 0, at);
        }
        demand
    }

    fn hear_clear(&mut self, name: &str, shard: u32, at: i64) -> RecordBatch {
        self.seq += 1;
        let schema = recoup_operators::dispatch::facts::demand();
        self.clear.step(&everyone(schema, name, self.seq, shard, at)).swap_remove(0)
    }

    fn round(&mut self, at: i64) {
        let ticks = filled(
            facts::ticks(),
            1,
            vec![("kind", texts(vec!["round".into()])), ("at", instants(&[at]))],
        );
        let clock = Clock::start();
        let demand = self.tell("ticks", &ticks, at);
        self.spent[0] += clock.seconds();
        for (shard, rows) in demand.iter().enumerate() {
            let clock = Clock::start();
            self.clear.step(rows);
            let ticked = filled(
                facts::ticked(),
                1,
                vec![
                    ("shard", Arc::new(UInt32Array::from(vec![shard as u32]))),
                    ("kind", texts(vec!["round".into()])),
                    ("at", instants(&[at])),
                ],
            );
            self.clear.hear("ticked", &ticked);
            let quotas = self.hear_clear("ticked", shard as u32, at);
            self.spent[1] += clock.seconds();
            if quotas.num_rows() > 0 {
                let clock = Clock::start();
                self.tell("quotas", &quotas, at);
                self.spent[2] += clock.seconds();
            }
        }
    }

    fn observe(&mut self, placements: &RecordBatch) {
        let column = |name: &str| -> Option<&StringArray> {
            placements.column_by_name(name)?.as_any().downcast_ref()
        };
        let columns = (column("loan_id"), column("desk_id"), column("status"));
        let (Some(loans), Some(desks), Some(statuses)) = columns else { return };
        for row in 0..placements.num_rows() {
            let case = loans.value(row).split('-').nth(1).and_then(|text| text.parse().ok());
            let Some(case): Option<usize> = case else { continue };
            let desk = desks.value(row).strip_prefix('D').and_then(|text| text.parse().ok());
            self.desks[case] = desk.filter(|_| statuses.value(row) == "placed");
        }
    }
}

fn texts(list: Vec<String>) -> ArrayRef {
    Arc::new(StringArray::from(list))
}

fn instants(list: &[i64]) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(list.to_vec()).with_timezone("UTC"))
}

fn money(list: impl Iterator<Item = i64>) -> ArrayRef {
    let cents = Decimal128Array::from_iter_values(list.map(i128::from));
    Arc::new(cents.with_data_type(MONEY))
}

/// Fills the named columns of a schema; the others are null.
fn filled(schema: SchemaRef, rows: usize, columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let columns = schema.fields().iter().map(|field| {
        let given = columns.iter().find(|column| column.0 == field.name());
        given.map_or_else(|| new_null_array(field.data_type(), rows), |column| column.1.clone())
    });
    RecordBatch::try_new(schema.clone(), columns.collect())
        .unwrap_or_else(|error| panic!("the bench's own columns must match their schema: {error}"))
}

fn everyone(schema: SchemaRef, name: &str, seq: u64, shard: u32, at: i64) -> RecordBatch {
    filled(
        schema,
        1,
        vec![
            ("shard", Arc::new(UInt32Array::from(vec![shard]))),
            ("seq", Arc::new(UInt64Array::from(vec![seq]))),
            ("row", Arc::new(UInt32Array::from(vec![0]))),
            ("kind", texts(vec![name.into()])),
            ("at", instants(&[at])),
        ],
    )
}

fn desks(market: &Market) -> RecordBatch {
    let count = market.desks.len();
    let names: Vec<String> = (0..count).map(|desk| format!("D{desk:04}")).collect();
    let list = |prefix: &str, numbers: &[usize]| {
        let names: Vec<String> = numbers.iter().map(|number| format!("{prefix}{number}")).collect();
        names.join("|")
    };
    let yields = |desk: &market::Desk| {
        let texts: Vec<String> = desk
            .yields
            .iter()
            .map(|part| {
                part.map_or(String::new(), |part| {
                    format!("{}.{:06}", part / 1_000_000, part % 1_000_000)
                })
            })
            .collect();
        texts.join("|")
    };
    let each =
        |pick: &dyn Fn(&market::Desk) -> String| texts(market.desks.iter().map(pick).collect());
    filled(
        facts::desks(),
        count,
        vec![
            ("desk_id", texts(names.clone())),
            ("agency_id", texts(names)),
            ("provinces", each(&|desk| list("p", &desk.provinces))),
            ("products", each(&|desk| list("q", &desk.products))),
            ("unit_cost", money(market.desks.iter().map(|desk| desk.cost))),
            ("capacity", Arc::new(Int64Array::from(market.capacity.clone()))),
            ("commission_by_bucket", each(&|_| ["0"; 7].join("|"))),
            ("perf_by_bucket", each(&yields)),
        ],
    )
}

fn priced(
    day: usize,
    cases: &Cases,
    rows: &[Row],
    (shard, seq, at): (u32, u64, i64),
) -> RecordBatch {
    let count = rows.len();
    let parts = |row: &Row| {
        let kind = cases.kinds[row.case] as usize;
        let (province, rest) = (kind / (7 * PRODUCTS), kind % (7 * PRODUCTS));
        (province, rest / PRODUCTS, rest % PRODUCTS)
    };
    let each = |pick: &dyn Fn(&Row) -> String| texts(rows.iter().map(pick).collect());
    let places: Vec<u32> = (0..count as u32).collect();
    filled(
        facts::priced(),
        count,
        vec![
            ("shard", Arc::new(UInt32Array::from(vec![shard; count]))),
            ("seq", Arc::new(UInt64Array::from(vec![seq; count]))),
            ("row", Arc::new(UInt32Array::from(places))),
            ("kind", each(&|row| row.kind.into())),
            ("at", instants(&vec![at; count])),
            ("borrower_key", each(&|row| format!("B{day}-{}", row.case))),
            ("loan_id", each(&|row| format!("L{day}-{}", row.case))),
            ("lender_id", each(&|_| "L1".into())),
            ("province", each(&|row| format!("p{}", parts(row).0))),
            ("product", each(&|row| format!("q{}", parts(row).2))),
            (
                "days_past_due",
                Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| DAYS[parts(row).1]))),
            ),
            ("bucket", each(&|row| BUCKETS[parts(row).1].into())),
            ("balance", money(rows.iter().map(|row| row.price * 2))),
            ("price", money(rows.iter().map(|row| row.price))),
        ],
    )
}
