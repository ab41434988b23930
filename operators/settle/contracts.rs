//! The terms between a lender and an agency that settle reads.
//!
//! The table is kept as it was heard. A message of a version that is already known is a further
//! part of it; any other replaces it. Deals made under an older version keep its terms.

use arrow::array::{Array, Date32Array, Decimal128Array, Int32Array, Int64Array, StringArray};
use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;

use super::contract::commission::{Basis, Rounding, Schedule, tiers};
use crate::account::letters::text;
use crate::facts;
use crate::memory::Keys;

/// How a movement is settled under a contract.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Name and version; empty where there is no contract.
    pub contract: String,
    pub schedule: Schedule,
    /// Tiers look at the loan as it was placed, not as it was paid.
    pub at_placement: bool,
    /// The placement in force when money was paid counts, not that at its place in the log.
    pub by_paid_at: bool,
    /// Days after the end of a placement in which money still counts for it; without: for ever.
    pub tail_days: Option<i32>,
}

impl Terms {
    /// Whether they need to know when placements began and ended.
    pub fn looks_back(&self) -> bool {
        self.by_paid_at || self.at_placement || self.tail_days.is_some()
    }
}

struct Contract {
    /// Row of lender and agency.
    pair: u32,
    valid_from: i32,
    valid_to: i32,
    terms: Terms,
}

/// The newest contracts.
pub struct Contracts {
    heard: RecordBatch,
    pairs: Keys,
    contracts: Vec<Contract>,
    none: Terms,
    /// Whether any of them needs to know when placements began and ended.
    pub look_back: bool,
}

impl Default for Contracts {
    fn default() -> Self {
        Contracts {
            heard: RecordBatch::new_empty(facts::contracts()),
            pairs: Keys::default(),
            contracts: Vec::new(),
            none: Terms::default(),
            look_back: false,
        }
    }
}

impl Contracts {
    pub fn hear(&mut self, rows: &RecordBatch) {
        let version = version(rows);
        let further = version.is_some() && version == self::version(&self.heard);
        let parts = [&self.heard, rows];
        let both = if further { concat_batches(&rows.schema(), parts).ok() } else { None };
        self.heard = both.unwrap_or_else(|| rows.clone());
        self.read();
    }

    fn read(&mut self) {
        self.contracts.clear();
        let table = Table { rows: &self.heard };
        let mut key = String::new();
        for i in 0..self.heard.num_rows() {
            let (Some(lender), Some(agency)) =
                (table.text("lender_id", i), table.text("agency_id", i))
            else {
                continue;
            };
            write_pair(&mut key, lender, agency);
            self.contracts.push(Contract {
                pair: self.pairs.row(&key).0,
                valid_from: table.day("valid_from", i).unwrap_or(i32::MIN),
                valid_to: table.day("valid_to", i).unwrap_or(i32::MAX),
                terms: table.terms(i),
            });
        }
        self.contracts.sort_by_key(|contract| contract.pair);
        self.look_back = self.contracts.iter().any(|contract| contract.terms.looks_back());
    }

    /// The terms in force on a day: of several contracts the one that began last.
    pub fn terms(&self, lender: &str, agency: &str, day: i32, key: &mut String) -> &Terms {
        if self.contracts.is_empty() {
            return &self.none;
        }
        write_pair(key, lender, agency);
        let Some(pair) = self.pairs.find(key) else { return &self.none };
        let start = self.contracts.partition_point(|contract| contract.pair < pair);
        self.contracts[start..]
            .iter()
            .take_while(|contract| contract.pair == pair)
            .filter(|contract| contract.valid_from <= day && day <= contract.valid_to)
            .max_by_key(|contract| contract.valid_from)
            .map_or(&self.none, |contract| &contract.terms)
    }

    pub fn save(&self) -> RecordBatch {
        self.heard.clone()
    }

    pub fn load(table: &RecordBatch) -> Self {
        let mut loaded = Contracts { heard: table.clone(), ..Contracts::default() };
        loaded.read();
        loaded
    }

    pub fn size(&self) -> usize {
        self.pairs.size() + size_of::<Contract>() * self.contracts.capacity()
    }
}

/// Contracts as they are written.
struct Table<'a> {
    rows: &'a RecordBatch,
}

impl<'a> Table<'a> {
    fn column<A: Array + 'static>(&self, name: &str, i: usize) -> Option<&'a A> {
        let column: &A = self.rows.column_by_name(name)?.as_any().downcast_ref()?;
        column.is_valid(i).then_some(column)
    }

    fn text(&self, name: &str, i: usize) -> Option<&'a str> {
        self.column::<StringArray>(name, i).and_then(|column| text(column, i))
    }

    fn day(&self, name: &str, i: usize) -> Option<i32> {
        self.column::<Date32Array>(name, i).map(|column| column.value(i))
    }

    /// Cents, or millionths, as the column has two digits or six.
    fn number(&self, name: &str, i: usize) -> Option<i64> {
        let column = self.column::<Decimal128Array>(name, i)?;
        i64::try_from(column.value(i)).ok()
    }

    fn terms(&self, i: usize) -> Terms {
        let said = |name: &str, what: &str| self.text(name, i) == Some(what);
        let basis = if said("tiers_by", "balance") { Basis::Balance } else { Basis::DaysPastDue };
        let id = self.text("contract_id", i).unwrap_or_default();
        let rounding =
            if said("rounding", "half_even") { Rounding::HalfEven } else { Rounding::HalfAway };
        Terms {
            contract: format!("{id}@{}", version(self.rows).unwrap_or_default()),
            schedule: Schedule {
                basis,
                tiers: self.text("tiers", i).map(|text| tiers(text, basis)).unwrap_or_default(),
                minimum: self.number("commission_min", i).unwrap_or(0),
                maximum: self.number("commission_max", i),
                litigation: self.number("litigation_rate", i).unwrap_or(0),
                vat: self.number("vat_rate", i).unwrap_or(0),
                rounding,
                per_sum: said("rounding_of", "sum"),
                gross: said("remittance", "gross"),
            },
            at_placement: said("tiers_at", "placement"),
            by_paid_at: said("attribution", "paid_at"),
            tail_days: self.column::<Int32Array>("tail_days", i).map(|column| column.value(i)),
        }
    }
}

fn version(rows: &RecordBatch) -> Option<i64> {
    let column: &Int64Array = rows.column_by_name("version")?.as_any().downcast_ref()?;
    (!column.is_empty() && column.is_valid(0)).then(|| column.value(0))
}

fn write_pair(key: &mut String, lender: &str, agency: &str) {
    key.clear();
    key.push_str(lender);
    key.push('\u{1f}');
    key.push_str(agency);
}
