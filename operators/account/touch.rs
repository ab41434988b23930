//! Which loans a new curve or market reprices.
//!
//! Account keeps the newest tables only to see what changed: every loan of a segment whose rate
//! changed, appeared or went away is touched. A message of a version that is already known is a
//! further part of that table; any other replaces it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Decimal128Array, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;

use super::loans::{Loan, NO_TEXT, loaded, table};
use crate::facts;
use crate::memory::Keys;

/// A segment's two names: product and bucket, or province and product.
type Segment = (String, String);

/// One table of rates by segment.
#[derive(Default)]
struct Rates {
    version: Option<i64>,
    of: BTreeMap<Segment, String>,
}

/// The newest curve and market, and what the fact just heard changed in them.
#[derive(Default)]
pub struct Touch {
    curve: Rates,
    market: Rates,
    changed: Vec<Segment>,
    by_curve: bool,
}

impl Touch {
    pub fn hear(&mut self, name: &str, rows: &RecordBatch) {
        self.by_curve = name == "curve";
        self.changed = match name {
            "curve" => self.curve.hear(
                rows,
                ["product", "bucket"],
                &[
                    "recovery_rate",
                    "handling_cost",
                    "months",
                    "commission_rate",
                    "servicing_cost",
                    "discount_rate",
                ],
            ),
            "market" => self.market.hear(rows, ["province", "product"], &["idx"]),
            _ => Vec::new(),
        };
    }

    /// The rows of the loans that the fact just heard reprices.
    pub fn take(&mut self, loans: &[Loan], shared: &Keys, bucket: &dyn Fn(u32) -> u32) -> Vec<u32> {
        let changed = std::mem::take(&mut self.changed);
        if changed.is_empty() {
            return Vec::new();
        }
        // A name that no loan has ever used touches no loan.
        let mut segments: Vec<(u32, u32)> = changed
            .iter()
            .filter_map(|(first, second)| {
                if self.by_curve {
                    let bucket = facts::BUCKETS.iter().position(|known| known == second)?;
                    Some((shared.find(first)?, bucket as u32))
                } else {
                    Some((shared.find(first)?, shared.find(second)?))
                }
            })
            .collect();
        segments.sort_unstable();
        let touched = |row: u32| {
            let loan = &loans[row as usize];
            if !loan.reported() || loan.product == NO_TEXT {
                return false;
            }
            let own = if self.by_curve {
                (loan.product, bucket(row))
            } else {
                (loan.province, loan.product)
            };
            segments.binary_search(&own).is_ok()
        };
        (0..loans.len() as u32).filter(|row| touched(*row)).collect()
    }

    pub fn save(&self) -> RecordBatch {
        let rows: Vec<(&str, &Rates, &Segment, &String)> =
            [("curve", &self.curve), ("market", &self.market)]
                .into_iter()
                .flat_map(|(name, rates)| {
                    rates.of.iter().map(move |(key, rate)| (name, rates, key, rate))
                })
                .collect();
        let texts = |of: fn(&(&str, &Rates, &Segment, &String)) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
        };
        table(vec![
            ("name", texts(|row| row.0.to_owned())),
            ("version", Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.1.version)))),
            ("first", texts(|row| row.2.0.clone())),
            ("second", texts(|row| row.2.1.clone())),
            ("rate", texts(|row| row.3.clone())),
        ])
    }

    pub fn load(&mut self, table: &RecordBatch) -> Result<(), String> {
        let name: &StringArray = loaded(table, "name")?;
        let version: &Int64Array = loaded(table, "version")?;
        let first: &StringArray = loaded(table, "first")?;
        let second: &StringArray = loaded(table, "second")?;
        let rate: &StringArray = loaded(table, "rate")?;
        for i in 0..table.num_rows() {
            let rates = if name.value(i) == "curve" { &mut self.curve } else { &mut self.market };
            rates.version = version.is_valid(i).then(|| version.value(i));
            let key = (first.value(i).to_owned(), second.value(i).to_owned());
            rates.of.insert(key, rate.value(i).to_owned());
        }
        Ok(())
    }
}

impl Rates {
    /// Takes a table; the answer is the segments whose rate is another now.
    fn hear(&mut self, rows: &RecordBatch, key: [&str; 2], rates: &[&str]) -> Vec<Segment> {
        let version = rows
            .column_by_name("version")
            .and_then(|column| column.as_any().downcast_ref::<Int64Array>())
            .filter(|column| !column.is_empty() && column.is_valid(0))
            .map(|column| column.value(0));
        let further = version.is_some() && version == self.version;
        let then = if further { self.of.clone() } else { std::mem::take(&mut self.of) };
        self.version = version;
        for i in 0..rows.num_rows() {
            let (Some(first), Some(second)) = (cell(rows, key[0], i), cell(rows, key[1], i)) else {
                continue;
            };
            let rate: Vec<String> =
                rates.iter().map(|name| cell(rows, name, i).unwrap_or_default()).collect();
            self.of.insert((first, second), rate.join("|"));
        }
        let changed = self.of.iter().filter(|(key, rate)| then.get(*key) != Some(*rate));
        let gone = then.keys().filter(|key| !self.of.contains_key(*key));
        changed.map(|(key, _)| key).chain(gone).cloned().collect()
    }
}

/// A text or a number of a reference table, as text; nothing where it is null or absent.
fn cell(rows: &RecordBatch, name: &str, i: usize) -> Option<String> {
    let column = rows.column_by_name(name)?;
    if column.is_null(i) {
        return None;
    }
    if let Some(texts) = column.as_any().downcast_ref::<StringArray>() {
        return Some(texts.value(i).to_owned());
    }
    let numbers = column.as_any().downcast_ref::<Decimal128Array>()?;
    Some(numbers.value_as_string(i))
}
