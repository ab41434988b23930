//! A lender's records become facts.
//!
//! A row of the canonical dialect, every column a text, is a movement where it has a `payment_id`
//! and a report otherwise. What money or keys need is checked and parsed; a row that lacks it goes
//! to `refused` with the first reason that applies, and its bytes sealed:
//!
//! - both: what the decoder found (`bad_json`, `bad_csv`, `bad_arrow`, `too_large`), then
//!   `missing_loan_id`
//! - report: `bad_decimal` (any of the four amounts), `negative_principal`, `wrong_type`
//!   (`days_past_due`), `missing_event_id`, `bad_time`, `bad_instalments` (a schedule that does not
//!   read), `instalments_sum` (it does not sum to the four amounts)
//! - movement: `bad_decimal`, `wrong_type` (`kind`), `missing_reverses` (of a reversal, return or
//!   chargeback), `missing_payer` (of a payoff), `missing_authority` (of a waiver), `wrong_sign`
//!   (what takes back is below zero, all else above), `missing_payment_id`, `bad_time`
//! - both, last: `missing_lender`, where a loan is known only together with its lender
//!
//! Identity, dates, score and contact never refuse a row: what cannot be used of them is null.
//! An empty text is null. A report's currency that is not given is `XXX`; a movement's is null, for
//! it is its loan's. The lender is the record's, else the subject's. Personal data ends here
//! (A15): see [`person`]. The digest by which two copies with one id are compared is in
//! [`digest`].
//!
//! The `source` of a fact and of a refused row is `intake:<seq>:<row>`, for in the streams behind
//! this one `seq` and `row` are others. `batch`, whose parts are files, puts the file's name where
//! `intake:<seq>` stands; `row` is then the line.
//!
//! There is no memory here: a row of facts depends on its own record and the keys only.

mod digest;
mod parse;
mod person;
mod record;
mod refuse;
mod source;
#[cfg(test)]
mod tests;
mod write;

use arrow::record_batch::RecordBatch;

use crate::rules::{LoanKey, Rules};
use crate::{LoadError, Operator, Says, Verb, facts};
pub(crate) use parse::{day, money};
use person::Tokens;
use record::Records;
use refuse::Refusals;
use write::Facts;

pub(crate) const VERB: Verb = Verb {
    name: "normalize",
    about: "Makes facts of a lender's records; refuses what money or keys cannot use.",
    takes: facts::canonical,
    says: &[
        Says { name: "facts", schema: facts::facts },
        Says { name: "refused", schema: facts::refused },
    ],
    open: |rules, _| Box::new(Normalize::new(rules)),
};

/// The stream that records are read from: sealed bytes and sources name it.
const STREAM: &str = "intake";

struct Normalize {
    rules: Rules,
    tokens: Tokens,
}

impl Normalize {
    fn new(rules: &Rules) -> Self {
        Normalize { rules: rules.clone(), tokens: Tokens::new(rules.keys.as_ref()) }
    }
}

impl Operator for Normalize {
    fn step(&mut self, batch: &RecordBatch) -> Vec<RecordBatch> {
        let records = Records::of(batch);
        let lender_needed = self.rules.loan_key == LoanKey::LenderLoan;
        let mut said = Facts::new(&self.tokens, batch.num_rows());
        let mut refused = Refusals::new(self.rules.keys.as_ref());
        for row in 0..batch.num_rows() {
            match records.read(row, lender_needed) {
                Ok(record) => said.push(&records, row, &record),
                Err(reason) => {
                    said.skip();
                    refused.push(&records, row, reason);
                }
            }
        }
        vec![said.finish(&records), refused.finish()]
    }

    fn save(&self) -> Vec<RecordBatch> {
        Vec::new()
    }

    fn load(&mut self, tables: Vec<RecordBatch>) -> Result<(), LoadError> {
        if tables.is_empty() {
            return Ok(());
        }
        let what = format!("{} tables for an operator that has no memory", tables.len());
        Err(LoadError { operator: VERB.name, what })
    }
}
