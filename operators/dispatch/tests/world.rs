//! A small world around the operators: shards, one clear, a log between them, and an observer
//! that trusts nobody and counts who holds what.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow::compute::concat_batches;
use arrow::datatypes::{Decimal128Type, Int64Type, UInt32Type};

use crate::clear::Clear;
use crate::dispatch::Dispatch;
use crate::dispatch::columns::{Numbers, Texts};
use crate::facts::{self, shard};
use crate::rules::Case;
use crate::{Operator, Rules};

pub use super::feed::{
    DAY, Row, TestDesk, contracts, desk, desks, everyone, exclusions, filled, priced, report,
    texts, ticks,
};

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
    /// Case and borrower of each loan.
    pub case: BTreeMap<String, String>,
    pub borrower: BTreeMap<String, String>,
    /// Each shard's memory as it was saved last, and what it read and said since.
    saved: Vec<Vec<RecordBatch>>,
    since: Vec<Vec<Read>>,
}

/// What everybody heard, if it was that; the fact; and what was said.
type Read = (Option<(String, RecordBatch)>, RecordBatch, Vec<RecordBatch>);

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
            borrower: BTreeMap::new(),
            saved: vec![Vec::new(); rules.shards as usize],
            since: vec![Vec::new(); rules.shards as usize],
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
        self.since[shard].push((Some((name.into(), rows.clone())), fact, said.clone()));
        self.observe(shard, &said);
        said
    }

    /// A shard's memory is saved.
    pub fn save(&mut self, shard: usize) {
        self.saved[shard] = self.shards[shard].save();
        self.since[shard].clear();
    }

    /// A shard dies, and whoever takes it over reads again what came since it was saved: it must
    /// say the same, so that nothing is said twice.
    pub fn take_over(&mut self, shard: usize) {
        let mut woken = Dispatch::new(&self.rules, shard as u32);
        if !self.saved[shard].is_empty() {
            woken.load(self.saved[shard].clone()).unwrap();
        }
        for (heard, fact, said) in &self.since[shard] {
            if let Some((name, rows)) = heard {
                woken.hear(name, rows);
            }
            assert_eq!(&woken.step(fact), said, "shard {shard} says something else");
        }
        assert_eq!(woken.save(), self.shards[shard].save());
        self.shards[shard] = woken;
    }

    pub fn send(&mut self, rows: Vec<Row>) {
        for row in rows {
            self.seq += 1;
            self.at = self.at.max(row.at);
            let shard = shard(&row.borrower, self.rules.shards);
            let case = if self.rules.case == Case::Loan { &row.loan } else { &row.borrower };
            self.case.insert(row.loan.clone(), case.clone());
            self.borrower.insert(row.loan.clone(), row.borrower.clone());
            let fact = priced(&[(self.seq, row)], shard);
            let said = self.shards[shard as usize].step(&fact);
            self.since[shard as usize].push((None, fact, said.clone()));
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

/// A generator of numbers that is the same everywhere.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
