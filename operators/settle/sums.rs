//! What contracts round together, and which desks litigate.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Date32Array, Decimal128Array, StringArray, UInt32Array};
use arrow::record_batch::RecordBatch;

use crate::account::letters::text;
use crate::account::{loaded, table};

/// Commission before rounding, by deal, day and currency: of contracts that round the sum. What a
/// movement books is the difference between two rounded sums, so the lines of a day and deal come
/// to the rounded whole.
#[derive(Default)]
pub struct Sums {
    raw: BTreeMap<(u32, i32), BTreeMap<String, i128>>,
}

impl Sums {
    /// Adds to a sum; answers what it was and what it is.
    pub fn add(&mut self, of: (u32, i32), currency: Option<&str>, raw: i128) -> [i128; 2] {
        let sums = self.raw.entry(of).or_default();
        let sum = sums.entry(currency.unwrap_or_default().to_owned()).or_default();
        let before = *sum;
        *sum += raw;
        [before, *sum]
    }

    /// Days before this one take no more.
    pub fn close(&mut self, open: i32) {
        self.raw.retain(|(_, day), _| *day >= open);
    }

    pub fn save(&self) -> RecordBatch {
        let rows: Vec<(u32, i32, &str, i128)> = self
            .raw
            .iter()
            .flat_map(|((deal, day), sums)| {
                sums.iter().map(move |(currency, raw)| (*deal, *day, currency.as_str(), *raw))
            })
            .collect();
        table(vec![
            ("deal", Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.0)))),
            ("day", Arc::new(Date32Array::from_iter_values(rows.iter().map(|row| row.1)))),
            ("currency", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.2)))),
            ("raw", Arc::new(Decimal128Array::from_iter_values(rows.iter().map(|row| row.3)))),
        ])
    }

    pub fn load(table: &RecordBatch) -> Result<Self, String> {
        let deal: &UInt32Array = loaded(table, "deal")?;
        let day: &Date32Array = loaded(table, "day")?;
        let currency: &StringArray = loaded(table, "currency")?;
        let raw: &Decimal128Array = loaded(table, "raw")?;
        let mut sums = Sums::default();
        for i in 0..table.num_rows() {
            let of = (deal.value(i), day.value(i));
            sums.add(of, Some(currency.value(i)), raw.value(i));
        }
        Ok(sums)
    }
}

/// The desks that take loans to court: of contracts that pay more for it.
#[derive(Default)]
pub struct Desks {
    legal: BTreeSet<String>,
}

impl Desks {
    pub fn hear(&mut self, rows: &RecordBatch) {
        let texts = |name: &str| {
            rows.column_by_name(name).and_then(|c| c.as_any().downcast_ref::<StringArray>())
        };
        let (Some(desks), Some(channels)) = (texts("desk_id"), texts("channel")) else { return };
        self.legal = (0..rows.num_rows())
            .filter(|i| text(channels, *i) == Some("legal"))
            .filter_map(|i| text(desks, i).map(str::to_owned))
            .collect();
    }

    pub fn is_legal(&self, desk: &str) -> bool {
        !self.legal.is_empty() && self.legal.contains(desk)
    }

    pub fn save(&self) -> RecordBatch {
        let desks = StringArray::from_iter_values(&self.legal);
        table(vec![("legal", Arc::new(desks))])
    }

    pub fn load(table: &RecordBatch) -> Self {
        let legal = loaded::<StringArray>(table, "legal").ok();
        let legal = legal.into_iter().flatten().flatten().map(str::to_owned).collect();
        Desks { legal }
    }
}
