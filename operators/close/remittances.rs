//! Money between agencies and lenders, as the lenders' accounting posts it.
//!
//! A remittance counts once, by its id, whichever version of the table brings it. It lowers what
//! the agency owes: what the lender received, and what the agency kept as its commission. A
//! contract under which the agency sends all it holds has the lender pay the commission instead.

use arrow::array::{Array, Date32Array, Decimal128Array, RecordBatch, StringArray};

use crate::account::letters::text;
use crate::memory::Keys;

/// A row of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remittance {
    pub id: String,
    pub lender: String,
    pub agency: String,
    pub currency: String,
    pub received_on: i32,
    pub amount: i128,
    pub withheld: i128,
    pub paid: i128,
}

/// A line of its entry: an account and what it takes; debit is positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub account: &'static str,
    pub amount: i128,
}

impl Remittance {
    /// The lines of its entry; they sum to zero.
    pub fn entries(&self) -> Vec<Entry> {
        let lines = [
            ("bank", self.amount - self.paid),
            ("agency_payable", self.withheld + self.paid),
            ("agency_clearing", -(self.amount + self.withheld)),
        ];
        let lines = lines.map(|(account, amount)| Entry { account, amount });
        lines.into_iter().filter(|line| line.amount != 0).collect()
    }
}

/// Which remittances have counted, and those that were heard and not yet said.
#[derive(Default)]
pub struct Remittances {
    pub known: Keys,
    heard: Vec<Remittance>,
}

impl Remittances {
    /// Takes a version of the table; keeps what is new in it.
    pub fn hear(&mut self, rows: &RecordBatch) {
        let texts = |name: &str| {
            rows.column_by_name(name).and_then(|c| c.as_any().downcast_ref::<StringArray>())
        };
        let money = |name: &str, i: usize| {
            let column = rows.column_by_name(name);
            let column = column.and_then(|c| c.as_any().downcast_ref::<Decimal128Array>());
            column.filter(|column| column.is_valid(i)).map_or(0, |column| column.value(i))
        };
        let days = rows.column_by_name("received_on");
        let days = days.and_then(|column| column.as_any().downcast_ref::<Date32Array>());
        for i in 0..rows.num_rows() {
            let name = |name: &str| {
                texts(name).and_then(|column| text(column, i)).unwrap_or_default().to_owned()
            };
            let id = name("remittance_id");
            if id.is_empty() || !self.known.row(&id).1 {
                continue;
            }
            self.heard.push(Remittance {
                id,
                lender: name("lender_id"),
                agency: name("agency_id"),
                currency: name("currency"),
                received_on: days.filter(|days| days.is_valid(i)).map_or(0, |days| days.value(i)),
                amount: money("amount", i),
                withheld: money("withheld", i),
                paid: money("paid", i),
            });
        }
    }

    /// What was heard and is to be said now.
    pub fn take(&mut self) -> Vec<Remittance> {
        std::mem::take(&mut self.heard)
    }
}
