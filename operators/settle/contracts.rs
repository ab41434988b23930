//! The terms between a lender and an agency that settle reads.
//!
//! A message of a version that is already known is a further part of the table; any other
//! replaces it. Deals made under an older version keep its terms.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray, Date32Array, Int32Array, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;

use crate::account::letters::text;
use crate::account::{loaded, table};
use crate::memory::Keys;

/// How a movement is settled under a contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The row of the contract's name and version.
    pub contract: Option<u32>,
    /// Halves go to the even neighbor instead of away from zero.
    pub half_even: bool,
    /// The placement in force when money was paid counts, not that at its place in the log.
    pub by_paid_at: bool,
    /// Days after the end of a placement in which money still counts for it; without: for ever.
    pub tail_days: Option<i32>,
}

#[derive(Clone, Copy)]
struct Contract {
    /// Row of lender and agency.
    pair: u32,
    valid_from: i32,
    valid_to: i32,
    terms: Terms,
}

/// The newest contracts.
#[derive(Default)]
pub struct Contracts {
    version: Option<i64>,
    pairs: Keys,
    /// Names and versions of all contracts ever heard, `C1@3`.
    names: Keys,
    contracts: Vec<Contract>,
}

impl Contracts {
    pub fn hear(&mut self, rows: &RecordBatch) {
        let texts = |name: &str| {
            rows.column_by_name(name).and_then(|c| c.as_any().downcast_ref::<StringArray>())
        };
        let days = |name: &str| {
            rows.column_by_name(name).and_then(|c| c.as_any().downcast_ref::<Date32Array>())
        };
        let version = rows
            .column_by_name("version")
            .and_then(|column| column.as_any().downcast_ref::<Int64Array>())
            .filter(|column| !column.is_empty() && column.is_valid(0))
            .map(|column| column.value(0));
        if version.is_none() || version != self.version {
            self.contracts.clear();
        }
        self.version = version;
        let (Some(lenders), Some(agencies)) = (texts("lender_id"), texts("agency_id")) else {
            return;
        };
        let said = |name: &str, i: usize, what: &str| {
            texts(name).and_then(|column| text(column, i)) == Some(what)
        };
        let day = |name: &str, i: usize, absent: i32| {
            days(name).filter(|column| column.is_valid(i)).map_or(absent, |c| c.value(i))
        };
        let tails = rows
            .column_by_name("tail_days")
            .and_then(|column| column.as_any().downcast_ref::<Int32Array>());
        let mut key = String::new();
        for i in 0..rows.num_rows() {
            let (Some(lender), Some(agency)) = (text(lenders, i), text(agencies, i)) else {
                continue;
            };
            let id = texts("contract_id").and_then(|column| text(column, i)).unwrap_or_default();
            let name = format!("{id}@{}", version.unwrap_or_default());
            write_pair(&mut key, lender, agency);
            self.contracts.push(Contract {
                pair: self.pairs.row(&key).0,
                valid_from: day("valid_from", i, i32::MIN),
                valid_to: day("valid_to", i, i32::MAX),
                terms: Terms {
                    contract: Some(self.names.row(&name).0),
                    half_even: said("rounding", i, "half_even"),
                    by_paid_at: said("attribution", i, "paid_at"),
                    tail_days: tails.filter(|tails| tails.is_valid(i)).map(|tails| tails.value(i)),
                },
            });
        }
        self.contracts.sort_by_key(|contract| contract.pair);
    }

    /// The terms in force on a day: of several contracts the one that began last.
    pub fn terms(&self, lender: &str, agency: &str, day: i32, key: &mut String) -> Terms {
        if self.contracts.is_empty() {
            return Terms::default();
        }
        write_pair(key, lender, agency);
        let Some(pair) = self.pairs.find(key) else { return Terms::default() };
        let start = self.contracts.partition_point(|contract| contract.pair < pair);
        self.contracts[start..]
            .iter()
            .take_while(|contract| contract.pair == pair)
            .filter(|contract| contract.valid_from <= day && day <= contract.valid_to)
            .max_by_key(|contract| contract.valid_from)
            .map_or_else(Terms::default, |contract| contract.terms)
    }

    /// The name and version of a contract; nothing where there is none.
    pub fn name(&self, terms: Terms) -> &str {
        terms.contract.map_or("", |row| self.names.key(row))
    }

    pub fn save(&self) -> RecordBatch {
        let all = &self.contracts;
        let days =
            |of: fn(&Contract) -> i32| Arc::new(Date32Array::from_iter_values(all.iter().map(of)));
        let flags = |of: fn(&Contract) -> bool| {
            Arc::new(BooleanArray::from_iter(all.iter().map(|contract| Some(of(contract)))))
        };
        let pairs = all.iter().map(|contract| self.pairs.key(contract.pair));
        table(vec![
            ("pair", Arc::new(StringArray::from_iter_values(pairs))),
            (
                "name",
                Arc::new(StringArray::from_iter_values(all.iter().map(|c| self.name(c.terms)))),
            ),
            ("version", Arc::new(Int64Array::from_iter(all.iter().map(|_| self.version)))),
            ("valid_from", days(|contract| contract.valid_from)),
            ("valid_to", days(|contract| contract.valid_to)),
            ("half_even", flags(|contract| contract.terms.half_even)),
            ("by_paid_at", flags(|contract| contract.terms.by_paid_at)),
            (
                "tail_days",
                Arc::new(Int32Array::from_iter(all.iter().map(|one| one.terms.tail_days))),
            ),
        ])
    }

    pub fn load(table: &RecordBatch) -> Result<Self, String> {
        let pair: &StringArray = loaded(table, "pair")?;
        let name: &StringArray = loaded(table, "name")?;
        let version: &Int64Array = loaded(table, "version")?;
        let from: &Date32Array = loaded(table, "valid_from")?;
        let to: &Date32Array = loaded(table, "valid_to")?;
        let half_even: &BooleanArray = loaded(table, "half_even")?;
        let by_paid_at: &BooleanArray = loaded(table, "by_paid_at")?;
        let tail_days: &Int32Array = loaded(table, "tail_days")?;
        let mut loaded = Contracts::default();
        for i in 0..table.num_rows() {
            loaded.version = version.is_valid(i).then(|| version.value(i));
            let pair = loaded.pairs.row(pair.value(i)).0;
            loaded.contracts.push(Contract {
                pair,
                valid_from: from.value(i),
                valid_to: to.value(i),
                terms: Terms {
                    contract: Some(loaded.names.row(name.value(i)).0),
                    half_even: half_even.value(i),
                    by_paid_at: by_paid_at.value(i),
                    tail_days: tail_days.is_valid(i).then(|| tail_days.value(i)),
                },
            });
        }
        Ok(loaded)
    }

    pub fn size(&self) -> usize {
        self.pairs.size() + self.names.size() + size_of::<Contract>() * self.contracts.capacity()
    }
}

fn write_pair(key: &mut String, lender: &str, agency: &str) {
    key.clear();
    key.push_str(lender);
    key.push('\u{1f}');
    key.push_str(agency);
}
