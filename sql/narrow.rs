//! Runs a planned statement; where it fails, finds the row that is guilty (A8).
//!
//! A guilty row is answered with NULL in every column that the statement computes, and said in
//! `refused`; all other rows are computed as if it had not been there.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, AsArray, BinaryArray, StringArray, UInt32Array, UInt64Array,
};
use datafusion::arrow::compute::take_record_batch;
use datafusion::arrow::datatypes::{UInt32Type, UInt64Type};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::Result;
use datafusion::execution::context::SessionContext;
use datafusion::physical_plan::ExecutionPlanProperties;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use futures::TryStreamExt;
use recoup_operators::facts;

use crate::compile::{Planned, Stage};
use crate::run::{joined, shaped};
use crate::slot::Slot;

/// A row that a statement could not be evaluated for.
pub struct Guilty {
    pub shard: u32,
    seq: u64,
    row: u32,
    lender: Option<String>,
    reason: String,
    source: String,
}

impl Guilty {
    /// The row as a fact of `refused`.
    pub fn refused(&self) -> RecordBatch {
        let all = facts::refused();
        let rows = RecordBatch::try_new(
            Arc::clone(&all),
            vec![
                Arc::new(UInt32Array::from(vec![self.shard])),
                Arc::new(UInt64Array::from(vec![self.seq])),
                Arc::new(UInt32Array::from(vec![self.row])),
                Arc::new(StringArray::from(vec![self.lender.clone()])),
                Arc::new(StringArray::from(vec![self.reason.clone()])),
                Arc::new(StringArray::from(vec![self.source.clone()])),
                Arc::new(BinaryArray::from_opt_vec(vec![None])),
            ],
        );
        let rows = rows.unwrap_or_else(|_| RecordBatch::new_empty(all));
        rows.project(&[3, 4, 5, 6]).unwrap_or(rows)
    }
}

/// Runs a statement over what the slots hold.
pub fn run(stage: &Stage, planned: &Planned) -> (RecordBatch, Vec<Guilty>) {
    let error = match execute(&stage.context, planned) {
        Ok(rows) => return (ordered(rows, stage.shape.funnel), vec![]),
        Err(error) => error.strip_backtrace(),
    };
    let mut guilty = vec![];
    let Some(slot) = driving(stage, planned).filter(|_| planned.by_row) else {
        guilty.push(whole(planned, &error));
        return (RecordBatch::new_empty(planned.schema.clone()), guilty);
    };
    let all = slot.get();
    let mut part = |rows: &RecordBatch| {
        slot.set(rows.clone());
        execute(&stage.context, planned)
    };
    let mut alone = |row: &RecordBatch, error: &str| {
        guilty.push(one(planned, row, error));
        shaped(row, &planned.schema)
    };
    let parts = halve(&all, &mut part, &mut alone);
    slot.set(all);
    match joined(&planned.schema, parts) {
        Ok(rows) => (ordered(rows, stage.shape.funnel), guilty),
        // Each half fits one batch, and both do not.
        Err(error) => {
            guilty.push(whole(planned, &error.to_string()));
            (RecordBatch::new_empty(planned.schema.clone()), guilty)
        }
    }
}

/// Runs a plan once more, with what its slots hold now.
pub fn execute(context: &SessionContext, planned: &Planned) -> Result<RecordBatch> {
    let plan = reset_plan_states(Arc::clone(&planned.plan))?;
    // The parts of a union one after the other: in the step there is nobody to run them beside.
    let mut batches = vec![];
    for part in 0..plan.output_partitioning().partition_count() {
        let stream = plan.execute(part, context.task_ctx())?;
        batches.extend(futures::executor::block_on(stream.try_collect::<Vec<_>>())?);
    }
    Ok(ordered(joined(&planned.schema, batches)?, false))
}

/// Rows by shard and place in the log. A join may answer rows that found nothing after those that
/// did, which would make the order depend on where the stream was cut (A9). Of a funnel all rows
/// are the one shard's, and `shard` says who said them: there only the place in the log counts.
fn ordered(rows: RecordBatch, funnel: bool) -> RecordBatch {
    let numbers = |name: &str| {
        let column = rows.column_by_name(name)?;
        column.as_primitive_opt::<UInt32Type>().map(|column| column.values().clone())
    };
    let seqs = rows.column_by_name("seq").and_then(|c| c.as_primitive_opt::<UInt64Type>());
    let (Some(shards), Some(seqs), Some(places)) = (numbers("shard"), seqs, numbers("row")) else {
        return rows;
    };
    let shard = |row: usize| if funnel { 0 } else { shards[row] };
    let place = |row: usize| (shard(row), seqs.value(row), places[row]);
    if (1..rows.num_rows()).all(|row| place(row - 1) <= place(row)) {
        return rows;
    }
    let mut order: Vec<u32> = (0..rows.num_rows() as u32).collect();
    order.sort_by_key(|row| place(*row as usize));
    take_record_batch(&rows, &UInt32Array::from(order)).unwrap_or(rows)
}

/// The slot whose rows the statement goes over: the largest of those it reads.
fn driving<'a>(stage: &'a Stage, planned: &Planned) -> Option<&'a Slot> {
    let slots = planned.reads.iter().filter_map(|name| stage.slots.get(name));
    slots.max_by_key(|slot| slot.get().num_rows())
}

/// Computes rows part by part, halving where a part fails; `alone` answers for a row that fails
/// by itself. The answers are in the order of the rows.
pub fn halve(
    rows: &RecordBatch,
    part: &mut dyn FnMut(&RecordBatch) -> Result<RecordBatch>,
    alone: &mut dyn FnMut(&RecordBatch, &str) -> RecordBatch,
) -> Vec<RecordBatch> {
    if rows.num_rows() == 0 {
        return vec![];
    }
    let error = match part(rows) {
        Ok(answer) => return vec![answer],
        Err(error) => error.strip_backtrace(),
    };
    if rows.num_rows() == 1 {
        return vec![alone(rows, &error)];
    }
    let middle = rows.num_rows() / 2;
    let mut answers = halve(&rows.slice(0, middle), part, alone);
    answers.extend(halve(&rows.slice(middle, rows.num_rows() - middle), part, alone));
    answers
}

fn one(planned: &Planned, row: &RecordBatch, error: &str) -> Guilty {
    let number = |name| {
        let column = row.column_by_name(name)?;
        column.as_primitive_opt::<UInt32Type>().map(|column| column.value(0))
    };
    let seq = row.column_by_name("seq").and_then(|c| c.as_primitive_opt::<UInt64Type>());
    let seq = seq.map(|column| column.value(0)).unwrap_or_default();
    let lender = row.column_by_name("lender_id").and_then(|c| c.as_string_opt::<i32>());
    let lender = lender.filter(|c| c.is_valid(0)).map(|c| c.value(0).to_string());
    let at = number("row").unwrap_or_default();
    Guilty {
        shard: number("shard").unwrap_or_default(),
        seq,
        row: at,
        lender,
        reason: "sql_error".into(),
        source: format!("{}:{} at {seq}:{at}: {}", planned.file, planned.line, first_line(error)),
    }
}

fn whole(planned: &Planned, error: &str) -> Guilty {
    Guilty {
        shard: 0,
        seq: 0,
        row: 0,
        lender: None,
        reason: "sql_error".into(),
        source: format!("{}:{}: {}", planned.file, planned.line, first_line(error)),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
