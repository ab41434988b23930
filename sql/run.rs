//! Runs a compiled stage over the facts of one step.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use datafusion::arrow::compute::{cast, concat_batches, take_record_batch};
use datafusion::arrow::datatypes::{SchemaRef, UInt32Type};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;
use recoup_operators::{LoadError, Operator};

use crate::compile::{Act, Stage, slot_name};
use crate::narrow::{self, Guilty};
use crate::stages::REFERENCES;

/// Rows that a shard says of one relation.
pub struct Said {
    /// The shard whose step said it, and whose cursor commits it.
    pub from: u32,
    /// The shard it is addressed to; the saying shard's own where the statement names none.
    pub to: u32,
    pub relation: String,
    pub rows: RecordBatch,
}

/// The operators of a stage for each shard that a thread holds, in the order of the stage's verbs.
#[derive(Default)]
pub struct Memories {
    shards: BTreeMap<u32, Vec<Box<dyn Operator>>>,
}

impl Memories {
    /// A fresh memory for a shard.
    pub fn open(&mut self, stage: &Stage, shard: u32) {
        let operators = stage.verbs().map(|verb| (verb.open)(&stage.rules, shard)).collect();
        self.shards.insert(shard, operators);
    }

    /// Forgets a shard; it has another owner now.
    pub fn close(&mut self, shard: u32) {
        self.shards.remove(&shard);
    }

    /// Every table of a shard's memory, by operator.
    pub fn save(&self, shard: u32) -> Vec<Vec<RecordBatch>> {
        let operators = self.shards.get(&shard);
        operators.map(|all| all.iter().map(|one| one.save()).collect()).unwrap_or_default()
    }

    /// The inverse of [`Memories::save`], on a fresh memory.
    pub fn load(
        &mut self,
        stage: &Stage,
        shard: u32,
        tables: Vec<Vec<RecordBatch>>,
    ) -> Result<(), LoadError> {
        self.open(stage, shard);
        let operators = self.shards.entry(shard).or_default();
        if operators.len() != tables.len() {
            let what = format!("{} operators, not {}", operators.len(), tables.len());
            return Err(LoadError { operator: stage.shape.name, what });
        }
        for (operator, tables) in operators.iter_mut().zip(tables) {
            operator.load(tables)?;
        }
        Ok(())
    }

    /// Tells every operator of a shard a fact that all hear.
    pub fn hear(&mut self, shard: u32, name: &str, rows: &RecordBatch) {
        for operator in self.shards.get_mut(&shard).into_iter().flatten() {
            operator.hear(name, rows);
        }
    }

    /// Bytes in use.
    pub fn size(&self) -> usize {
        self.shards.values().flatten().map(|operator| operator.size()).sum()
    }
}

impl Stage {
    /// Puts a version of a reference table in place.
    pub fn refer(&mut self, name: &str, rows: &RecordBatch) {
        if let Some(slot) = self.slots.get(name) {
            slot.set(shaped(rows, slot.schema()));
        }
    }

    /// What a verb said in the last step; nothing where this stage does not run it.
    pub fn said(&self, verb: &str, relation: &str) -> Option<RecordBatch> {
        self.slots.get(&slot_name(verb, relation)).map(|slot| slot.get())
    }

    /// The reference tables as they stand.
    pub fn references(&self) -> Vec<(String, RecordBatch)> {
        REFERENCES.iter().map(|(name, _)| (name.to_string(), self.slots[*name].get())).collect()
    }

    /// One step: the facts of one or more shards, sorted by shard and, within one, by place in the
    /// log; what they say, in the order of the program's statements.
    pub fn step(&mut self, memories: &mut Memories, facts: &RecordBatch) -> Vec<Said> {
        let main = &self.slots[self.shape.main];
        main.set(shaped(facts, main.schema()));
        let mut said = vec![];
        let mut verb_index = 0;
        for act in &self.acts {
            match act {
                Act::Run { input, outputs, .. } => {
                    self.run(memories, verb_index, input, outputs);
                    verb_index += 1;
                }
                Act::View(planned) => {
                    let (rows, guilty) = narrow::run(self, planned);
                    self.slots[&planned.name].set(rows);
                    self.refuse(guilty, &mut said);
                }
                Act::Say { planned, relation, promised } => {
                    let (rows, guilty) = narrow::run(self, planned);
                    self.address(&rows, relation, promised.as_ref(), &mut said);
                    self.refuse(guilty, &mut said);
                }
            }
        }
        said
    }

    /// Runs an operator shard by shard and fills the slots of what it says.
    fn run(&self, memories: &mut Memories, verb: usize, input: &str, outputs: &[String]) {
        let takes = self.verbs().nth(verb).map(|verb| (verb.takes)());
        let input = &self.slots[input];
        let rows = shaped(&input.get(), &takes.unwrap_or_else(|| input.schema().clone()));
        let mut answers: Vec<Vec<RecordBatch>> = outputs.iter().map(|_| vec![]).collect();
        for (shard, range) in self.parts(&rows) {
            let Some(operators) = memories.shards.get_mut(&shard) else { continue };
            let part = rows.slice(range.start, range.len());
            let said = operators[verb].step(&part);
            assert!(said.len() == outputs.len(), "a verb says what its entry in ALL lists");
            for (answer, batch) in answers.iter_mut().zip(said) {
                answer.push(batch);
            }
        }
        for (name, batches) in outputs.iter().zip(answers) {
            let slot = &self.slots[name];
            match joined(slot.schema(), batches) {
                Ok(rows) => slot.set(rows),
                Err(error) => panic!("what a verb says of one step fits one batch: {error}"),
            }
        }
    }

    /// The rows of each shard; all of them are the one shard's where a stage is a funnel, for there
    /// `shard` says whose they were.
    fn parts(&self, rows: &RecordBatch) -> Vec<(u32, Range<usize>)> {
        if self.shape.funnel {
            return if rows.num_rows() == 0 { vec![] } else { vec![(0, 0..rows.num_rows())] };
        }
        runs(column(rows, "shard"))
    }

    /// Splits what a statement says by shard of origin and, where it names one, of destination.
    fn address(
        &self,
        rows: &RecordBatch,
        relation: &str,
        promised: Option<&SchemaRef>,
        said: &mut Vec<Said>,
    ) {
        if rows.num_rows() == 0 {
            return;
        }
        let to = column(rows, "to_shard").cloned();
        let bare = bare(rows, promised);
        for (from, range) in self.parts(rows) {
            let Some(to) = &to else {
                let rows = bare.slice(range.start, range.len());
                said.push(Said { from, to: from, relation: relation.into(), rows });
                continue;
            };
            let mut targets: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
            for row in range {
                targets.entry(to.value(row)).or_default().push(row as u32);
            }
            for (to, picked) in targets {
                if let Ok(rows) = take_record_batch(&bare, &UInt32Array::from(picked)) {
                    said.push(Said { from, to, relation: relation.into(), rows });
                }
            }
        }
    }

    fn refuse(&self, guilty: Vec<Guilty>, said: &mut Vec<Said>) {
        for row in guilty {
            let rows = row.refused();
            // In a funnel, `shard` says who said the row; the one who reads it is shard 0.
            let from = if self.shape.funnel { 0 } else { row.shard };
            said.push(Said { from, to: from, relation: "refused".into(), rows });
        }
    }
}

/// The contiguous runs of equal shards.
fn runs(shards: Option<&UInt32Array>) -> Vec<(u32, Range<usize>)> {
    let Some(shards) = shards else { return vec![] };
    let mut runs: Vec<(u32, Range<usize>)> = vec![];
    for (row, shard) in shards.values().iter().enumerate() {
        match runs.last_mut() {
            Some((last, range)) if last == shard => range.end = row + 1,
            _ => runs.push((*shard, row..row + 1)),
        }
    }
    runs
}

fn column<'a>(rows: &'a RecordBatch, name: &str) -> Option<&'a UInt32Array> {
    rows.column_by_name(name).and_then(|column| column.as_primitive_opt::<UInt32Type>())
}

/// The columns that travel: places are those of the reader, and addresses end here.
fn bare(rows: &RecordBatch, promised: Option<&SchemaRef>) -> RecordBatch {
    let rows = match promised {
        Some(schema) => shaped(rows, schema),
        None => rows.clone(),
    };
    let kept: Vec<usize> = (0..rows.num_columns())
        .filter(|i| {
            !["shard", "seq", "row", "to_shard"].contains(&rows.schema().field(*i).name().as_str())
        })
        .collect();
    rows.project(&kept).unwrap_or(rows)
}

/// The rows with exactly these columns: picked by name, cast where the type differs, null where
/// there is no such column. Extra columns are left behind.
pub fn shaped(rows: &RecordBatch, schema: &SchemaRef) -> RecordBatch {
    if rows.schema().fields() == schema.fields() {
        return rows.clone();
    }
    let columns: Vec<ArrayRef> = schema
        .fields()
        .iter()
        .map(|field| {
            let null =
                || datafusion::arrow::array::new_null_array(field.data_type(), rows.num_rows());
            let Some(found) = rows.column_by_name(field.name()) else { return null() };
            if found.data_type() == field.data_type() {
                return Arc::clone(found);
            }
            cast(found, field.data_type()).unwrap_or_else(|_| null())
        })
        .collect();
    let options =
        datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    match RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options) {
        Ok(rows) => rows,
        // Rows are never lost in silence.
        Err(error) => panic!("columns of one batch, in the types of its schema: {error}"),
    }
}

/// Batches in one, with these columns; an error where a column of text would exceed 2 GiB.
pub(crate) fn joined(
    schema: &SchemaRef,
    mut batches: Vec<RecordBatch>,
) -> Result<RecordBatch, ArrowError> {
    if batches.len() == 1
        && let Some(only) = batches.pop()
    {
        return Ok(shaped(&only, schema));
    }
    let batches: Vec<RecordBatch> = batches.iter().map(|rows| shaped(rows, schema)).collect();
    concat_batches(schema, &batches)
}
