//! A small world around the operators: shards, one clear, a log between them, and an observer
//! that trusts nobody and counts who holds what.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt32Array, UInt64Array, new_null_array,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{Decimal128Type, Int64Type, SchemaRef, UInt32Type};

use crate::clear::Clear;
use crate::dispatch::Dispatch;
use crate::dispatch::columns::{Numbers, Texts};
use crate::facts::{self, MONEY, RATE, shard};
use crate::{Operator, Rules};

pub const DAY: i64 = 86_400_000_000;

/// Fills the named columns of a schema; the others are null.
pub fn filled(schema: SchemaRef, rows: usize, columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let given: BTreeMap<&str, ArrayRef> = columns.into_iter().collect();
    let columns = schema.fields().iter().map(|field| {
        let null = || new_null_array(field.data_type(), rows);
        given.get(field.name().as_str()).cloned().unwrap_or_else(null)
    });
    RecordBatch::try_new(schema.clone(), columns.collect()).unwrap()
}

pub fn texts(list: Vec<&str>) -> ArrayRef {
    Arc::new(StringArray::from(list))
}

fn money(list: Vec<Option<i64>>) -> ArrayRef {
    let list = list.into_iter().map(|cents| cents.map(i128::from)).collect::<Vec<_>>();
    Arc::new(Decimal128Array::from(list).with_data_type(MONEY))
}

/// A desk as tests write it.
#[derive(Clone, Debug)]
pub struct TestDesk {
    pub id: String,
    pub agency: String,
    pub group: String,
    pub tier: Option<i32>,
    pub provinces: String,
    pub cost: i64,
    pub capacity: Option<i64>,
    pub per_round: Option<i64>,
    pub amount_max: Option<i64>,
    pub days_max: Option<i32>,
    pub commission: String,
    pub performance: String,
}

/// A desk with one commission and one performance for all buckets.
pub fn desk(id: &str, performance: &str, commission: &str, cost: i64) -> TestDesk {
    TestDesk {
        id: id.into(),
        agency: id.into(),
        group: String::new(),
        tier: None,
        provinces: String::new(),
        cost,
        capacity: None,
        per_round: None,
        amount_max: None,
        days_max: None,
        commission: [commission; 7].join("|"),
        performance: [performance; 7].join("|"),
    }
}

pub fn desks(list: &[TestDesk]) -> RecordBatch {
    let text = |pick: fn(&TestDesk) -> &str| texts(list.iter().map(pick).collect());
    let small = |pick: fn(&TestDesk) -> Option<i32>| -> ArrayRef {
        Arc::new(Int32Array::from(list.iter().map(pick).collect::<Vec<_>>()))
    };
    let wide = |pick: fn(&TestDesk) -> Option<i64>| -> ArrayRef {
        Arc::new(Int64Array::from(list.iter().map(pick).collect::<Vec<_>>()))
    };
    filled(
        facts::desks(),
        list.len(),
        vec![
            ("desk_id", text(|desk| &desk.id)),
            ("agency_id", text(|desk| &desk.agency)),
            ("agency_group", text(|desk| &desk.group)),
            ("tier", small(|desk| desk.tier)),
            ("provinces", text(|desk| &desk.provinces)),
            ("unit_cost", money(list.iter().map(|desk| Some(desk.cost)).collect())),
            ("capacity", wide(|desk| desk.capacity)),
            ("capacity_per_round", wide(|desk| desk.per_round)),
            ("amount_max", money(list.iter().map(|desk| desk.amount_max).collect())),
            ("days_max", small(|desk| desk.days_max)),
            ("commission_by_bucket", text(|desk| &desk.commission)),
            ("perf_by_bucket", text(|desk| &desk.performance)),
        ],
    )
}

/// A contract as tests write it: lender, agency, days, discount in millionths, quota.
pub type TestContract<'a> = (&'a str, &'a str, i32, i32, i64, Option<i64>);

pub fn contracts(list: &[TestContract]) -> RecordBatch {
    let ids: Vec<String> = (0..list.len()).map(|number| format!("C{number}")).collect();
    let days = |pick: fn(&TestContract) -> i32| -> ArrayRef {
        Arc::new(Date32Array::from(list.iter().map(pick).collect::<Vec<_>>()))
    };
    let discounts = list.iter().map(|contract| Some(i128::from(contract.4))).collect::<Vec<_>>();
    filled(
        facts::contracts(),
        list.len(),
        vec![
            ("contract_id", texts(ids.iter().map(|id| id.as_str()).collect())),
            ("lender_id", texts(list.iter().map(|contract| contract.0).collect())),
            ("agency_id", texts(list.iter().map(|contract| contract.1).collect())),
            ("valid_from", days(|contract| contract.2)),
            ("valid_to", days(|contract| contract.3)),
            ("discount", Arc::new(Decimal128Array::from(discounts).with_data_type(RATE))),
            ("quota", Arc::new(Int64Array::from_iter(list.iter().map(|contract| contract.5)))),
        ],
    )
}

/// A priced row as tests write it.
#[derive(Clone, Debug)]
pub struct Row {
    pub kind: &'static str,
    pub at: i64,
    pub borrower: String,
    pub loan: String,
    pub lender: String,
    pub province: String,
    pub product: String,
    pub days: i32,
    pub balance: i64,
    pub price: Option<i64>,
}

/// A first report of a loan: its borrower, and its price.
pub fn report(loan: &str, borrower: &str, price: i64) -> Row {
    Row {
        kind: "report",
        at: DAY,
        borrower: borrower.into(),
        loan: loan.into(),
        lender: "L1".into(),
        province: "44".into(),
        product: "cash".into(),
        days: 47,
        balance: price.max(1) * 2,
        price: Some(price),
    }
}

pub fn priced(rows: &[(u64, Row)], shard: u32) -> RecordBatch {
    let text = |pick: fn(&Row) -> &str| texts(rows.iter().map(|row| pick(&row.1)).collect());
    let seqs: Vec<u64> = rows.iter().map(|row| row.0).collect();
    let ats: Vec<i64> = rows.iter().map(|row| row.1.at).collect();
    let days = rows.iter().map(|row| row.1.days);
    filled(
        facts::priced(),
        rows.len(),
        vec![
            ("shard", Arc::new(UInt32Array::from(vec![shard; rows.len()]))),
            ("seq", Arc::new(UInt64Array::from(seqs))),
            ("row", Arc::new(UInt32Array::from(vec![0; rows.len()]))),
            ("kind", text(|row| row.kind)),
            ("at", Arc::new(TimestampMicrosecondArray::from(ats).with_timezone("UTC"))),
            ("borrower_key", text(|row| &row.borrower)),
            ("loan_id", text(|row| &row.loan)),
            ("lender_id", text(|row| &row.lender)),
            ("province", text(|row| &row.province)),
            ("product", text(|row| &row.product)),
            ("days_past_due", Arc::new(Int32Array::from_iter_values(days.clone()))),
            ("bucket", texts(days.map(|days| facts::BUCKETS[facts::bucket(days)]).collect())),
            ("balance", money(rows.iter().map(|row| Some(row.1.balance)).collect())),
            ("price", money(rows.iter().map(|row| row.1.price).collect())),
        ],
    )
}

/// A row without a loan: a fact that every shard hears.
pub fn everyone(schema: SchemaRef, name: &str, seq: u64, shard: u32, at: i64) -> RecordBatch {
    filled(
        schema,
        1,
        vec![
            ("shard", Arc::new(UInt32Array::from(vec![shard]))),
            ("seq", Arc::new(UInt64Array::from(vec![seq]))),
            ("row", Arc::new(UInt32Array::from(vec![0]))),
            ("kind", texts(vec![name])),
            ("at", Arc::new(TimestampMicrosecondArray::from(vec![at]).with_timezone("UTC"))),
        ],
    )
}

/// What stands in `placements` of one loan, as an outside reader sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub desk: String,
    pub agency: String,
    pub status: String,
    pub placement: u32,
    pub value: i128,
}

pub struct World {
    pub rules: Rules,
    pub shards: Vec<Dispatch>,
    pub clear: Clear,
    pub seq: u64,
    pub at: i64,
    round: i64,
    /// Everything said, by shard and relation; quotas and rounds at the end.
    pub said: Vec<Vec<RecordBatch>>,
    pub rounds: Vec<RecordBatch>,
    pub seen: BTreeMap<String, Seen>,
    /// Case (borrower) of each loan.
    pub case: BTreeMap<String, String>,
}

impl World {
    pub fn new(rules: Rules) -> Self {
        let shards = (0..rules.shards).map(|shard| Dispatch::new(&rules, shard)).collect();
        World {
            shards,
            clear: Clear::new(&rules),
            seq: 0,
            at: DAY,
            round: 0,
            said: vec![Vec::new(); rules.shards as usize],
            rounds: Vec::new(),
            seen: BTreeMap::new(),
            case: BTreeMap::new(),
            rules,
        }
    }

    /// Everybody hears a list.
    pub fn tell(&mut self, name: &str, rows: &RecordBatch) {
        for shard in 0..self.shards.len() {
            self.tell_one(shard, name, rows);
        }
        self.clear.hear(name, rows);
        let fact = everyone(crate::dispatch::facts::demand(), name, self.seq, 0, self.at);
        self.clear.step(&fact);
    }

    pub fn tell_one(&mut self, shard: usize, name: &str, rows: &RecordBatch) -> Vec<RecordBatch> {
        self.seq += 1;
        self.shards[shard].hear(name, rows);
        let fact = everyone(facts::priced(), name, self.seq, shard as u32, self.at);
        let said = self.shards[shard].step(&fact);
        self.observe(shard, &said);
        said
    }

    pub fn send(&mut self, rows: Vec<Row>) {
        for row in rows {
            self.seq += 1;
            self.at = self.at.max(row.at);
            let shard = shard(&row.borrower, self.rules.shards);
            self.case.insert(row.loan.clone(), row.borrower.clone());
            let said = self.shards[shard as usize].step(&priced(&[(self.seq, row)], shard));
            assert_eq!(said[0].num_rows(), 1, "each row about a loan is held by somebody");
            self.observe(shard as usize, &said);
        }
    }

    /// A tick as every shard hears it; answers with each shard's demand.
    pub fn tick(&mut self, kind: &str, number: i64) -> Vec<RecordBatch> {
        self.at += 1_000_000;
        let at = if kind == "day" { number * DAY } else { self.at };
        self.at = self.at.max(at);
        let rows = ticks(kind, number, at);
        (0..self.shards.len())
            .map(|shard| self.tell_one(shard, "ticks", &rows)[2].clone())
            .collect()
    }

    /// A whole round: tick, demand, quotas, decisions.
    pub fn round(&mut self) {
        let order: Vec<usize> = (0..self.shards.len()).collect();
        self.round_in(&order);
    }

    /// A round whose answers reach clear, and whose quotas reach shards, in this order.
    pub fn round_in(&mut self, order: &[usize]) {
        self.round += 1;
        let demand = self.tick("round", self.round);
        let mut quotas = Vec::new();
        for shard in order {
            quotas.extend(self.answer(*shard, &demand[*shard]));
        }
        for rows in quotas {
            for shard in order {
                self.tell_one(*shard, "quotas", &rows);
            }
        }
    }

    /// Clear hears one shard's answer; the quotas it says thereupon, if any.
    pub fn answer(&mut self, shard: usize, demand: &RecordBatch) -> Option<RecordBatch> {
        self.clear.step(demand);
        let ticked = filled(
            facts::ticked(),
            1,
            vec![
                ("shard", Arc::new(UInt32Array::from(vec![shard as u32]))),
                ("kind", texts(vec!["round"])),
                (
                    "at",
                    Arc::new(TimestampMicrosecondArray::from(vec![self.at]).with_timezone("UTC")),
                ),
            ],
        );
        self.seq += 1;
        self.clear.hear("ticked", &ticked);
        let schema = crate::dispatch::facts::demand();
        let said = self.clear.step(&everyone(schema, "ticked", self.seq, 0, self.at));
        if said[1].num_rows() > 0 {
            self.rounds.push(said[1].clone());
        }
        (said[0].num_rows() > 0).then(|| said[0].clone())
    }

    /// Rounds until nothing moves.
    pub fn settle(&mut self) {
        for _ in 0..20 {
            let before = self.seen.clone();
            self.round();
            if before == self.seen {
                return;
            }
        }
    }

    fn observe(&mut self, shard: usize, said: &[RecordBatch]) {
        let rows = &said[1];
        let text = |name| Texts::of(rows, name);
        let (loans, desks, agencies) = (text("loan_id"), text("desk_id"), text("agency_id"));
        let statuses = text("status");
        for row in 0..rows.num_rows() {
            let seen = Seen {
                desk: desks.text(row).into(),
                agency: agencies.text(row).into(),
                status: statuses.text(row).into(),
                placement: Numbers::<UInt32Type>::of(rows, "placement").number(row),
                value: Numbers::<Decimal128Type>::of(rows, "value").number(row),
            };
            self.seen.insert(loans.text(row).into(), seen);
        }
        self.said[shard].extend(said.to_vec());
    }

    /// Loans by status.
    pub fn count(&self, status: &str) -> usize {
        self.seen.values().filter(|seen| seen.status == status).count()
    }

    /// Open cases by desk, and a check that no case is at two.
    pub fn open(&self) -> BTreeMap<String, i64> {
        let mut at: BTreeMap<&str, &str> = BTreeMap::new();
        for (loan, seen) in &self.seen {
            if seen.status == "placed" {
                let known = at.insert(&self.case[loan], &seen.desk);
                assert!(known.is_none_or(|desk| desk == seen.desk), "a case is at two desks");
            }
        }
        let mut open = BTreeMap::new();
        for desk in at.values() {
            *open.entry(desk.to_string()).or_insert(0) += 1;
        }
        open
    }

    /// The newest certificate of each round: value, bound.
    pub fn certificates(&self) -> BTreeMap<i64, (i128, i128)> {
        let mut found = BTreeMap::new();
        for rows in &self.rounds {
            for row in 0..rows.num_rows() {
                let exact = |name| Numbers::<Decimal128Type>::of(rows, name).number(row);
                let round = Numbers::<Int64Type>::of(rows, "round").number(row);
                found.insert(round, (exact("value"), exact("bound")));
            }
        }
        found
    }

    /// Every row of one relation that a shard said.
    pub fn relation(&self, shard: usize, index: usize) -> RecordBatch {
        let rows: Vec<&RecordBatch> = self.said[shard].iter().skip(index).step_by(4).collect();
        concat_batches(&rows[0].schema(), rows).unwrap()
    }
}

pub fn ticks(kind: &str, number: i64, at: i64) -> RecordBatch {
    filled(
        facts::ticks(),
        1,
        vec![
            ("kind", texts(vec![kind])),
            ("number", Arc::new(Int64Array::from(vec![number]))),
            ("at", Arc::new(TimestampMicrosecondArray::from(vec![at]).with_timezone("UTC"))),
        ],
    )
}

/// A generator of numbers that is the same everywhere.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
