//! What the business does.
//!
//! One folder per verb: a loan is reported, normalised, registered, accounted, priced, dispatched,
//! settled, cleared and closed. Each verb is an [`Operator`]: a memory and a pure, synchronous
//! `step` over it. Operators touch memory row by row in log order; what can be computed set at a
//! time is SQL and lives in the room next door.
//!
//! There is no clock, no randomness, no I/O, no logging and no setting here (A1). A step cannot
//! fail: a row that cannot be used becomes a row of `refused`, with its reason (A8).
//!
//! Every verb is listed once, in [`ALL`]; being listed registers, documents, tests and benches it.

pub mod account;
pub mod clear;
pub mod close;
pub mod decode;
pub mod dispatch;
pub mod facts;
pub mod memory;
pub mod normalize;
pub mod register;
pub mod reprice;
pub mod rules;
pub mod seal;
pub mod settle;
mod texts;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

pub use rules::Rules;

/// One verb's memory and what it does with facts. One instance serves one shard (A6).
pub trait Operator: Send {
    /// Takes facts in log order and answers with one batch per entry of [`Verb::says`], in that
    /// order. Rows leave in the order of the facts that caused them. Cutting the same facts into
    /// other steps gives the same rows (A9).
    ///
    /// The batch has the columns of [`Verb::takes`], by name, in that order.
    fn step(&mut self, facts: &RecordBatch) -> Vec<RecordBatch>;

    /// Takes a fact that every shard hears: reference data, ticks, quotas. It is alone in its
    /// step: the driver calls `hear` on every operator of the stage, then `step` on the first
    /// with a single row whose `kind` is this name and whose other columns are null but for
    /// `seq`, `row`, `shard` and, where the fact has one, `at`.
    fn hear(&mut self, _name: &str, _rows: &RecordBatch) {}

    /// The whole memory as tables, in a fixed order; an operator without memory has none.
    fn save(&self) -> Vec<RecordBatch>;

    /// The inverse of [`Operator::save`], on a fresh instance.
    fn load(&mut self, tables: Vec<RecordBatch>) -> Result<(), LoadError>;

    /// Bytes of memory in use, for the `recoup_memory_bytes` metric.
    fn size(&self) -> usize {
        0
    }
}

/// A snapshot that does not fit the operator that should wake from it.
#[derive(Debug, thiserror::Error)]
#[error("snapshot of {operator}: {what}")]
pub struct LoadError {
    pub operator: &'static str,
    pub what: String,
}

/// A relation that an operator says: its name and its columns.
pub struct Says {
    pub name: &'static str,
    pub schema: fn() -> SchemaRef,
}

/// An entry of [`ALL`].
pub struct Verb {
    /// As SQL writes it: `FROM name('input')`, or `FROM name('input', 'relation')`.
    pub name: &'static str,
    /// One sentence for `recoup explain` and the documentation.
    pub about: &'static str,
    /// The columns its input must have.
    pub takes: fn() -> SchemaRef,
    /// What it says; the first is what `FROM name('input')` reads.
    pub says: &'static [Says],
    /// A fresh memory for one shard.
    pub open: fn(&Rules, shard: u32) -> Box<dyn Operator>,
}

/// Every operator there is.
pub const ALL: &[Verb] = &[
    normalize::VERB,
    register::VERB,
    account::ACCOUNT,
    dispatch::VERB,
    settle::SETTLE,
    clear::VERB,
    close::CLOSE,
];
