//! From files to a stage that can be stepped.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::compute::can_cast_types;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::context::SessionContext;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::sql::sqlparser::ast::Query;
use recoup_operators::{ALL, Rules, Verb};

use crate::mistake::{Mistake, nearest};
use crate::session::session;
use crate::slot::Slot;
use crate::stages::{self, REFERENCES, STAGES, Shape, Source};

mod parse;
mod refuse;

use parse::Call;
pub(crate) use parse::{Meaning, Statement, query, slot_name, statements};

/// A compiled stage: its slots and what a step does, in order.
pub struct Stage {
    pub shape: &'static Shape,
    pub rules: Rules,
    pub(crate) acts: Vec<Act>,
    pub(crate) slots: BTreeMap<String, Slot>,
    pub(crate) context: SessionContext,
    /// A number that changes with the text of the program.
    pub program: u64,
}

/// One act of a step.
pub(crate) enum Act {
    /// Runs the operator over the rows of a slot, shard by shard.
    Run { verb: &'static Verb, input: String, outputs: Vec<String> },
    /// Computes a view.
    View(Planned),
    /// Says rows of a relation.
    Say { planned: Planned, relation: String, promised: Option<SchemaRef> },
}

/// A statement with its plan, and where it stands for messages.
pub(crate) struct Planned {
    pub name: String,
    pub plan: Arc<dyn ExecutionPlan>,
    pub schema: SchemaRef,
    /// Slots that the statement reads, references left out.
    pub reads: Vec<String>,
    /// Whether each row out depends on one row of `reads`, so that a failing row can be found.
    pub by_row: bool,
    pub file: String,
    pub line: usize,
}

/// Compiles one stage from the files of the program.
///
/// Planning is asynchronous in DataFusion's interface only; nothing is awaited but memory.
pub fn compile(
    shape: &'static Shape,
    sources: &[Source],
    rules: &Rules,
) -> Result<Stage, Vec<Mistake>> {
    let context = session(rules.shards);
    let mut stage = Stage {
        shape,
        rules: rules.clone(),
        acts: vec![],
        slots: BTreeMap::new(),
        context,
        program: 0,
    };
    stage.open(shape.main, (shape.takes)());
    for (name, schema) in REFERENCES {
        stage.open(name, schema());
    }
    let mut mistakes = vec![];
    for file in shape.files {
        let Some(source) = sources.iter().find(|source| source.name == *file) else {
            let what = format!("stage {} needs {file}, which is not there", shape.name);
            mistakes.push(Mistake::at(file, "", 0, 0, what));
            continue;
        };
        let bytes = source.text.as_bytes();
        stage.program = stage.program.rotate_left(7) ^ recoup_operators::memory::hash_bytes(bytes);
        if let Err(found) = stage.read(source) {
            mistakes.extend(found);
            break;
        }
    }
    if mistakes.is_empty() { Ok(stage) } else { Err(mistakes) }
}

/// Compiles every stage, for `recoup check`.
pub fn check(sources: &[Source], rules: &Rules) -> Vec<Mistake> {
    STAGES.iter().filter_map(|shape| compile(shape, sources, rules).err()).flatten().collect()
}

impl Stage {
    /// The operators of this stage, in order.
    pub fn verbs(&self) -> impl Iterator<Item = &'static Verb> {
        self.acts.iter().filter_map(|act| match act {
            Act::Run { verb, .. } => Some(*verb),
            _ => None,
        })
    }

    /// What a step does, for people: `recoup explain`.
    pub fn explain(&self, plans: bool) -> String {
        let mut text =
            format!("{}: {} -> {}\n", self.shape.name, self.shape.reads, self.shape.writes);
        for act in &self.acts {
            match act {
                Act::Run { verb, input, .. } => {
                    text += &format!("  {}('{input}')  {}\n", verb.name, verb.about);
                }
                Act::View(planned) => text += &explained("view", planned, plans),
                Act::Say { planned, relation, .. } => {
                    let said = format!("say {}.{relation} from", self.shape.writes);
                    text += &explained(&said, planned, plans);
                }
            }
        }
        text
    }

    fn open(&mut self, name: &str, schema: SchemaRef) -> bool {
        let slot = Slot::new(schema);
        let opened = slot
            .table()
            .and_then(|table| self.context.register_table(format!("\"{name}\""), table));
        self.slots.insert(name.into(), slot);
        opened.is_ok()
    }

    fn read(&mut self, source: &Source) -> Result<(), Vec<Mistake>> {
        for statement in parse::statements(source).map_err(|mistake| vec![mistake])? {
            self.add(source, statement).map_err(|mistake| vec![mistake])?;
        }
        Ok(())
    }

    fn add(&mut self, source: &Source, statement: Statement) -> Result<(), Mistake> {
        let Statement { meaning, query, calls, line, column } = statement;
        let here = |what: String| Mistake::at(&source.name, &source.text, line, column, what);
        for call in &calls {
            self.call(source, call)?;
        }
        match meaning {
            Meaning::View(name) => {
                if self.slots.contains_key(&name) {
                    return Err(here(format!("there is already a relation {name}"))
                        .with_hint("give the view another name"));
                }
                let planned = planned(&self.context, source, &name, *query, line)?;
                if !self.open(&name, planned.schema.clone()) {
                    return Err(here(format!("the view {name} cannot be kept as a table")));
                }
                self.acts.push(Act::View(planned));
            }
            Meaning::Say { stream, relation } => {
                if stream != self.shape.writes {
                    let what = format!(
                        "stage {} writes {}, not {stream}",
                        self.shape.name, self.shape.writes
                    );
                    return Err(here(what)
                        .with_hint(format!("INSERT INTO {}.{relation}", self.shape.writes)));
                }
                let planned = planned(&self.context, source, &relation, *query, line)?;
                let promised = stages::promised(&stream, &relation);
                if let Some(promised) = &promised {
                    fits(&planned.schema, promised, &format!("{stream}.{relation}"))
                        .map_err(|(what, hint)| here(what).with_hint(hint))?;
                }
                self.acts.push(Act::Say { planned, relation, promised });
            }
        }
        Ok(())
    }

    /// Makes sure that the operator runs before the statement that reads it.
    fn call(&mut self, source: &Source, call: &Call) -> Result<(), Mistake> {
        let here = |what| Mistake::at(&source.name, &source.text, call.line, call.column, what);
        let Some(verb) = ALL.iter().find(|verb| verb.name == call.verb) else {
            let mistake = here(format!("there is no verb {}", call.verb));
            return Err(match nearest(&call.verb, ALL.iter().map(|verb| verb.name)) {
                Some(name) => mistake.with_hint(format!("did you mean {name}?")),
                None => mistake,
            });
        };
        let Some(input) = self.slots.get(&call.input) else {
            let mistake = here(format!("{} reads {}, which is not there", verb.name, call.input));
            return Err(match nearest(&call.input, self.slots.keys().map(String::as_str)) {
                Some(name) => mistake.with_hint(format!("did you mean {name}?")),
                None => mistake,
            });
        };
        fits(input.schema(), &(verb.takes)(), &format!("{}('{}')", verb.name, call.input))
            .map_err(|(what, hint)| here(what).with_hint(hint))?;
        if let Some(relation) = &call.relation
            && !verb.says.iter().any(|says| says.name == relation)
        {
            let names: Vec<_> = verb.says.iter().map(|says| says.name).collect();
            return Err(here(format!("{} does not say {relation}", verb.name))
                .with_hint(format!("it says {}", names.join(", "))));
        }
        if self.verbs().any(|known| known.name == verb.name) {
            return Ok(());
        }
        let mut outputs = vec![];
        for says in verb.says {
            let name = parse::slot_name(verb.name, says.name);
            self.open(&name, (says.schema)());
            outputs.push(name);
        }
        self.acts.push(Act::Run { verb, input: call.input.clone(), outputs });
        Ok(())
    }
}

/// Plans one query.
pub(crate) fn planned(
    context: &SessionContext,
    source: &Source,
    name: &str,
    query: Query,
    line: usize,
) -> Result<Planned, Mistake> {
    let planned = refuse::plan(context, source, query, line)?;
    let reads = planned
        .tables
        .into_iter()
        .filter(|table| !REFERENCES.iter().any(|(name, _)| name == table))
        .collect();
    Ok(Planned {
        name: name.into(),
        schema: planned.plan.schema(),
        plan: planned.plan,
        reads,
        by_row: planned.by_row,
        file: source.name.clone(),
        line,
    })
}

/// Whether one relation has what another needs, else what is missing and a hint.
fn fits(has: &SchemaRef, needs: &SchemaRef, whom: &str) -> Result<(), (String, String)> {
    for field in needs.fields() {
        let Some((_, found)) = has.column_with_name(field.name()) else {
            let names = has.fields().iter().map(|field| field.name().as_str());
            let hint = match nearest(field.name(), names) {
                Some(name) => format!("is it {name}? then write {name} AS {}", field.name()),
                None => format!("add a column {} of type {}", field.name(), field.data_type()),
            };
            return Err((format!("{whom} needs the column {}", field.name()), hint));
        };
        if !can_cast_types(found.data_type(), field.data_type()) {
            return Err((
                format!(
                    "{whom} needs {} as {}, not {}",
                    field.name(),
                    field.data_type(),
                    found.data_type()
                ),
                format!("CAST({} AS …)", field.name()),
            ));
        }
    }
    Ok(())
}

fn explained(what: &str, planned: &Planned, plans: bool) -> String {
    let reads = planned.reads.join(", ");
    let mut text =
        format!("  {what} {} <- {reads}  ({}:{})\n", planned.name, planned.file, planned.line);
    if plans {
        for line in displayable(planned.plan.as_ref()).indent(false).to_string().lines() {
            text += &format!("      {line}\n");
        }
    }
    text
}
