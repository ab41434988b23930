//! Views over the relations that leave the program: what people ask of it, as SQL.
//!
//! They belong to no stage and say nothing: whoever has the relations, the reading room or
//! `batch`, computes them. A view may read those above it. Clocks and dice are refused here too:
//! the same log gives the same answers.

use std::collections::BTreeMap;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::execution::context::SessionContext;
use datafusion::sql::sqlparser::ast::Query;

use crate::compile::{Meaning, Planned, Statement, planned, statements};
use crate::mistake::Mistake;
use crate::narrow;
use crate::run::joined;
use crate::session::session;
use crate::slot::Slot;
use crate::stages::Source;

/// The file of the program that holds them.
pub const FILE: &str = "90_answers.sql";

/// A view, as its file has it.
#[derive(Clone, Debug)]
pub struct View {
    pub name: String,
    pub query: Box<Query>,
}

/// The views of the program, in the order in which they may read each other.
pub fn views(sources: &[Source]) -> Result<Vec<View>, Mistake> {
    Ok(read(sources)?.into_iter().map(|(view, _)| view).collect())
}

fn read(sources: &[Source]) -> Result<Vec<(View, usize)>, Mistake> {
    let Some(source) = sources.iter().find(|source| source.name == FILE) else {
        return Ok(vec![]);
    };
    let understood = |statement: Statement| {
        let Statement { meaning, query, calls, line, column } = statement;
        match meaning {
            Meaning::View(name) if calls.is_empty() => Ok((View { name, query }, line)),
            _ => {
                let what = "an answer is a view over relations".to_string();
                Err(Mistake::at(&source.name, &source.text, line, column, what)
                    .with_hint("CREATE VIEW name AS SELECT …"))
            }
        }
    };
    statements(source)?.into_iter().map(understood).collect()
}

/// The views, planned over relations with these columns.
pub struct Answers {
    context: SessionContext,
    slots: BTreeMap<String, Slot>,
    views: Vec<Planned>,
}

impl Answers {
    /// Plans every view.
    pub fn compile(sources: &[Source], relations: &[(String, SchemaRef)]) -> Result<Self, Mistake> {
        let mut answers =
            Answers { context: session(1), slots: BTreeMap::new(), views: Vec::new() };
        for (name, schema) in relations {
            answers.open(name, schema);
        }
        let Some(source) = sources.iter().find(|source| source.name == FILE) else {
            return Ok(answers);
        };
        for (view, line) in read(sources)? {
            if answers.slots.contains_key(&view.name) {
                let what = format!("there is already a relation {}", view.name);
                return Err(Mistake::at(&source.name, &source.text, line, 1, what)
                    .with_hint("give the view another name"));
            }
            let planned = planned(&answers.context, source, &view.name, *view.query, line)?;
            answers.open(&view.name, &planned.schema);
            answers.views.push(planned);
        }
        Ok(answers)
    }

    fn open(&mut self, name: &str, schema: &SchemaRef) {
        let slot = Slot::new(schema.clone());
        if let Ok(table) = slot.table() {
            // The name was not taken before: nothing is replaced.
            let _ = self.context.register_table(format!("\"{name}\""), table);
        }
        self.slots.insert(name.into(), slot);
    }

    /// Computes every view over these rows.
    pub fn run(
        &self,
        relations: &[(String, Vec<RecordBatch>)],
    ) -> Result<Vec<(String, RecordBatch)>, Mistake> {
        // What no view reads is not gathered.
        let read = |name: &String| self.views.iter().any(|view| view.reads.contains(name));
        for (name, rows) in relations.iter().filter(|(name, _)| read(name)) {
            if let Some(slot) = self.slots.get(name) {
                let rows = joined(slot.schema(), rows.clone()).map_err(|error| {
                    Mistake::at(name, "", 0, 0, format!("too large for a view: {error}"))
                })?;
                slot.set(rows);
            }
        }
        let mut said = Vec::new();
        for view in &self.views {
            let rows = narrow::execute(&self.context, view).map_err(|error| {
                Mistake::at(&view.file, "", view.line, 1, error.strip_backtrace())
            })?;
            if let Some(slot) = self.slots.get(&view.name) {
                slot.set(rows.clone());
            }
            said.push((view.name.clone(), rows));
        }
        Ok(said)
    }
}
