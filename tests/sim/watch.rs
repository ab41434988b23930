//! What must hold after each commit: no case at two desks, no desk above its capacity, and a ledger
//! that sums to zero.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::Decimal128Type;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::array_value_to_string;
use futures::executor::block_on;
use recoup::cursor::{self, Cursor};
use recoup::log::memory::MemoryLog;
use recoup::log::{Log, ReadLimit, Reader};
use recoup::rows;

use super::plan::Plan;
use super::pool::SHARDS;

const ALL: ReadLimit = ReadLimit { messages: usize::MAX, bytes: usize::MAX };
/// Cases that an agency may hold at once.
const CAPACITIES: [(&str, usize); 2] = [("A1", 2), ("A2", 1)];

/// Follows the book.
pub struct Watch {
    reader: Option<Box<dyn Reader>>,
    cases: BTreeMap<String, String>,
    /// By currency.
    sums: BTreeMap<String, i128>,
    /// By loan: the desk it is placed at.
    placed: BTreeMap<String, String>,
    /// By loan: the placement that ended with its debt.
    paid_off: BTreeMap<String, String>,
    resumed: BTreeSet<String>,
    /// By loan: what came in by any way, in cents.
    pub paid: BTreeMap<String, i128>,
    /// By loan: its newest row, for comparing.
    pub loans: BTreeMap<String, String>,
    pub prices: BTreeMap<String, String>,
    /// By account.
    pub accounts: BTreeMap<String, i128>,
    pub looks: u64,
}

impl Watch {
    pub fn new(plan: &Plan) -> Self {
        Watch {
            reader: None,
            cases: plan.cases.clone(),
            sums: BTreeMap::new(),
            placed: BTreeMap::new(),
            paid_off: BTreeMap::new(),
            resumed: BTreeSet::new(),
            paid: BTreeMap::new(),
            loans: BTreeMap::new(),
            prices: BTreeMap::new(),
            accounts: BTreeMap::new(),
            looks: 0,
        }
    }

    /// Reads what is new and checks what must hold.
    pub fn look(&mut self, log: &MemoryLog) -> Result<(), String> {
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => block_on(log.read("book", &[], 0)).expect("there is a book"),
        };
        let messages = block_on(reader.next(ALL, Duration::ZERO)).expect("it reads");
        self.reader = Some(reader);
        for message in &messages {
            let relation = message.subject.rsplit('.').next().unwrap_or_default();
            if !message.subject.contains(".cursor.") {
                for rows in rows::decode(&message.payload).expect("it is Arrow") {
                    self.take(relation, &rows);
                }
            }
        }
        // What is stored in parts is whole when its last part is.
        if messages.is_empty() || self.in_parts(log) { Ok(()) } else { self.check() }
    }

    fn in_parts(&self, log: &MemoryLog) -> bool {
        (0..SHARDS).any(|shard| {
            let subject = cursor::subject("book", "book", shard);
            let newest = block_on(log.last("book", &subject)).expect("it answers");
            let cursor = newest.and_then(|message| Cursor::decode(&message.payload));
            cursor.is_some_and(|cursor| cursor.sent > 0)
        })
    }

    fn take(&mut self, relation: &str, rows: &RecordBatch) {
        for row in 0..rows.num_rows() {
            let loan = text(rows, "loan_id", row);
            match relation {
                "ledger" => self.enter(rows, row, loan),
                "placements" => self.place(rows, row, loan),
                "loans" => {
                    let columns = ["principal", "interest", "penalty", "fee", "bucket", "event_id"];
                    self.loans.insert(loan, columns.map(|name| text(rows, name, row)).join(" "));
                }
                "prices" => {
                    let columns = ["balance", "bucket"];
                    self.prices.insert(loan, columns.map(|name| text(rows, name, row)).join(" "));
                }
                _ => {}
            }
        }
    }

    fn place(&mut self, rows: &RecordBatch, row: usize, loan: String) {
        let (status, placement) = (text(rows, "status", row), text(rows, "placement", row));
        // What goes on because money was taken back may stand above the capacity.
        let resumes = status == "placed" && self.paid_off.get(&loan) == Some(&placement);
        match status.as_str() {
            "placed" => {
                self.placed.insert(loan.clone(), text(rows, "desk_id", row));
            }
            _ => {
                self.placed.remove(&loan);
                self.resumed.remove(&loan);
            }
        }
        if status == "paid" {
            self.paid_off.insert(loan, placement);
        } else if resumes {
            self.resumed.insert(loan);
        }
    }

    fn enter(&mut self, rows: &RecordBatch, row: usize, loan: String) {
        let amounts = rows.column_by_name("amount").expect("a ledger has amounts");
        let amount = amounts.as_primitive::<Decimal128Type>().value(row);
        *self.sums.entry(text(rows, "currency", row)).or_default() += amount;
        let account = text(rows, "account", row);
        if ["bank", "agency_clearing"].contains(&account.as_str()) {
            *self.paid.entry(loan).or_default() += amount;
        } else if account != "agency_payable" && account != "collection_cost" {
            *self.accounts.entry(account).or_default() += amount;
        }
    }

    fn check(&mut self) -> Result<(), String> {
        self.looks += 1;
        if let Some((currency, sum)) = self.sums.iter().find(|(_, sum)| **sum != 0) {
            return Err(format!("the ledger sums to {sum} in {currency}"));
        }
        let mut desks: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut cases: BTreeMap<&str, &str> = BTreeMap::new();
        for (loan, desk) in &self.placed {
            let case = self.cases.get(loan).map_or("", String::as_str);
            if !self.resumed.contains(loan) {
                desks.entry(desk).or_default().insert(case);
            }
            if let Some(other) = cases.insert(case, desk).filter(|other| *other != desk) {
                return Err(format!("case {case} is at {other} and {desk}"));
            }
        }
        for (desk, capacity) in CAPACITIES {
            let held = desks.get(desk).map_or(0, BTreeSet::len);
            if held > capacity {
                return Err(format!("desk {desk} holds {held} cases of {capacity}"));
            }
        }
        Ok(())
    }
}

pub fn text(rows: &RecordBatch, column: &str, row: usize) -> String {
    match rows.column_by_name(column) {
        Some(values) if values.is_valid(row) => {
            array_value_to_string(values, row).expect("it shows")
        }
        _ => String::new(),
    }
}
