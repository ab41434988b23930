//! What must hold of the books, looked at in every step before it is committed.
//!
//! The checks are operators' own (`settle::invariants`); here they are given what the verbs said
//! in the step, and of lenders' notices it is remembered who closed what. A step that breaks one
//! is committed all the same, for the log must not stop: it is counted, by the name of the
//! invariant, and somebody is called. What was closed before this process woke is not known here:
//! `register` holds that money back, and this only looks at what it lets through.

use std::collections::BTreeMap;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt32Array, UInt64Array,
};
use datafusion::arrow::datatypes::{TimestampMicrosecondType, UInt32Type, UInt64Type};
use recoup_operators::facts::is_notice;
use recoup_operators::settle::invariants::{Books, Broken, broken, broken_by_close};
use recoup_sql::Stage;

/// Loans that their lenders closed while we looked.
#[derive(Default)]
pub struct Audit {
    closed: BTreeMap<(String, String), Closed>,
}

/// From which instant on a loan is closed, and where in the log it is said.
struct Closed {
    at: i64,
    place: (u64, u32),
}

impl Audit {
    /// How often the step that a stage has just taken breaks each invariant; only `book` and
    /// `close` have books.
    pub fn of(&mut self, stage: &Stage) -> Broken {
        let said = |verb, relation| stage.said(verb, relation);
        if let (Some(remitted), Some(ledger)) = (said("close", "remitted"), said("close", "ledger"))
        {
            return broken_by_close(&remitted, &ledger);
        }
        let books = || {
            Some(Books {
                stamped: said("account", "stamped")?,
                refolded: said("account", "refolded")?,
                bookings: said("account", "bookings")?,
                ledger: said("settle", "ledger")?,
                lines: said("settle", "lines")?,
            })
        };
        let Some(books) = books() else { return Broken::default() };
        let mut found = broken(&books);
        found.after_exit = self.after_exit(&books);
        found
    }

    /// Learns from a step that is replayed.
    pub fn watch(&mut self, stage: &Stage) {
        if let Some(stamped) = stage.said("account", "stamped") {
            self.notice(&stamped);
        }
    }

    /// Payments of this step that a closed loan took, dated when it was closed. A copy that takes
    /// the place of another is no new money: its row stands behind the withdrawal of that.
    fn after_exit(&mut self, books: &Books) -> u64 {
        self.notice(&books.stamped);
        if self.closed.is_empty() {
            return 0;
        }
        let rows = Loans::of(&books.bookings, "paid_at");
        let corrections: &BooleanArray = column(&books.bookings, "correction").as_boolean();
        let lines = column(&books.bookings, "line").as_primitive::<UInt32Type>();
        let first = |row: usize| !corrections.value(row) && lines.value(row) == 0;
        let pays = |row: &usize| matches!(rows.kind(*row), "payment" | "payoff") && first(*row);
        let late = |row: &usize| {
            let closed = self.closed.get(&rows.loan(*row));
            closed.is_some_and(|closed| {
                rows.at.is_valid(*row)
                    && rows.at.value(*row) >= closed.at
                    && rows.place(*row) > closed.place
            })
        };
        (0..books.bookings.num_rows()).filter(pays).filter(late).count() as u64
    }

    /// Learns who closed what and opened it again. What is written off still takes money.
    fn notice(&mut self, stamped: &RecordBatch) {
        let rows = Loans::of(stamped, "at");
        for row in 0..stamped.num_rows() {
            match rows.kind(row) {
                "reopened" => {
                    self.closed.remove(&rows.loan(row));
                }
                "written_off" => {}
                kind if is_notice(kind) && rows.at.is_valid(row) => {
                    let closed = Closed { at: rows.at.value(row), place: rows.place(row) };
                    self.closed.insert(rows.loan(row), closed);
                }
                _ => {}
            }
        }
    }
}

/// Rows about loans: what they are, whose, and when.
struct Loans<'a> {
    kind: &'a StringArray,
    loan_id: &'a StringArray,
    lender_id: &'a StringArray,
    at: &'a TimestampMicrosecondArray,
    seq: &'a UInt64Array,
    row: &'a UInt32Array,
}

fn column<'a>(rows: &'a RecordBatch, name: &str) -> &'a ArrayRef {
    match rows.column_by_name(name) {
        Some(column) => column,
        None => unreachable!("what account says has the column {name}"),
    }
}

impl<'a> Loans<'a> {
    fn of(rows: &'a RecordBatch, at: &str) -> Self {
        Loans {
            kind: column(rows, "kind").as_string(),
            loan_id: column(rows, "loan_id").as_string(),
            lender_id: column(rows, "lender_id").as_string(),
            at: column(rows, at).as_primitive::<TimestampMicrosecondType>(),
            seq: column(rows, "seq").as_primitive::<UInt64Type>(),
            row: column(rows, "row").as_primitive::<UInt32Type>(),
        }
    }

    fn kind(&self, row: usize) -> &'a str {
        if self.kind.is_valid(row) { self.kind.value(row) } else { "" }
    }

    fn place(&self, row: usize) -> (u64, u32) {
        (self.seq.value(row), self.row.value(row))
    }

    fn loan(&self, row: usize) -> (String, String) {
        let text = |column: &StringArray| match column.is_valid(row) {
            true => column.value(row).to_owned(),
            false => String::new(),
        };
        (text(self.lender_id), text(self.loan_id))
    }
}
