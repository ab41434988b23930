//! Plans a query and refuses what a step must not contain.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{Query, Statement as Ast};

use crate::mistake::{Mistake, nearest, place};
use crate::stages::Source;

/// A planned query.
pub struct Plan {
    pub plan: Arc<dyn ExecutionPlan>,
    /// The tables it scans.
    pub tables: Vec<String>,
    /// Whether no row out depends on more than one row in of the same table.
    pub by_row: bool,
}

/// Plans a query, or says what is wrong with it.
pub fn plan(
    context: &SessionContext,
    source: &Source,
    query: Query,
    line: usize,
) -> Result<Plan, Mistake> {
    let state = context.state();
    let statement = DfStatement::Statement(Box::new(Ast::Query(Box::new(query))));
    let logical = futures::executor::block_on(state.statement_to_plan(statement))
        .map_err(|error| mistake(context, source, line, &error))?;
    pure(source, line, &logical)?;
    let plan = futures::executor::block_on(state.create_physical_plan(&logical))
        .map_err(|error| mistake(context, source, line, &error))?;
    if let Some(node) = spawning(&plan) {
        let what = format!("this statement would need {node}, which runs outside of the step");
        return Err(Mistake::at(&source.name, &source.text, line, 1, what)
            .with_hint("write it as joins and filters over the rows of the step"));
    }
    let mut tables = vec![];
    let mut by_row = true;
    let _ = logical.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::TableScan(scan) => tables.push(scan.table_name.table().to_string()),
            LogicalPlan::Aggregate(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Distinct(_) => by_row = false,
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    });
    tables.sort();
    tables.dedup();
    Ok(Plan { plan, tables, by_row })
}

/// Refuses functions whose answer is not a function of their arguments.
fn pure(source: &Source, line: usize, plan: &LogicalPlan) -> Result<(), Mistake> {
    let mut found: Option<String> = None;
    let _ = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|inner| {
                if let Expr::ScalarFunction(call) = inner
                    && call.func.signature().volatility != Volatility::Immutable
                {
                    found = Some(call.func.name().to_string());
                    return Ok(TreeNodeRecursion::Stop);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    let Some(name) = found else { return Ok(()) };
    let (line, column) = find(source, line, &name);
    let hint = match name.as_str() {
        "now" | "current_date" | "current_time" | "today" => {
            "time is a column: use `at` of the fact, or event_time"
        }
        "random" | "uuid" => "use a hash of the fact's id: digest(id, 'sha256')",
        _ => "a step must give the same answer whenever it is run again",
    };
    let what = format!("{name}() gives another answer each time, and a step must not");
    Err(Mistake::at(&source.name, &source.text, line, column, what).with_hint(hint))
}

/// Where a word stands, at or after a line; aliases like CURRENT_TIMESTAMP stand for `now`.
fn find(source: &Source, line: usize, name: &str) -> (usize, usize) {
    let start: usize =
        source.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let text = source.text[start.min(source.text.len())..].to_lowercase();
    let words = [name, "current_timestamp", "current_date", "current_time"];
    let offset = words.iter().find_map(|word| text.find(word));
    offset.map_or((line, 1), |offset| place(&source.text, start + offset))
}

/// The name of a plan node that hands work to other tasks, if there is one.
fn spawning(plan: &Arc<dyn ExecutionPlan>) -> Option<String> {
    const SPAWNING: [&str; 3] =
        ["RepartitionExec", "CoalescePartitionsExec", "SortPreservingMergeExec"];
    let mut found = None;
    let _ = plan.apply(|node| {
        if SPAWNING.contains(&node.name()) {
            found = Some(node.name().to_string());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

/// A planner's error with the place it names, else the statement's.
fn mistake(
    context: &SessionContext,
    source: &Source,
    line: usize,
    error: &DataFusionError,
) -> Mistake {
    let message = error.find_root().strip_backtrace();
    let message = message
        .trim_start_matches("Error during planning: ")
        .trim_start_matches("Schema error: ")
        .lines()
        .next()
        .unwrap_or("this statement cannot be planned")
        .to_string();
    let diagnostic = error.diagnostic();
    let span = diagnostic.and_then(|diagnostic| diagnostic.span);
    let (line, column) = match span {
        Some(span) if span.start.line > 0 => (span.start.line as usize, span.start.column as usize),
        _ => quoted_place(source, line, &message),
    };
    let help = diagnostic
        .and_then(|diagnostic| {
            let helps = diagnostic.helps.iter().map(|help| help.message.clone());
            let notes = diagnostic.notes.iter().map(|note| note.message.clone());
            helps.chain(notes).next()
        })
        .or_else(|| {
            message.split_once("Did you mean").map(|(_, rest)| format!("did you mean{rest}"))
        })
        .or_else(|| {
            message.split_once("Valid fields are").map(|(_, rest)| format!("there are{rest}"))
        });
    let what = message
        .split(" Did you mean")
        .next()
        .unwrap_or(&message)
        .split(" Valid fields are")
        .next()
        .unwrap_or(&message)
        .to_string();
    if let Some(absent) = absent(&what) {
        let what = format!("there is no relation {absent} here");
        let mistake = Mistake::at(&source.name, &source.text, line, column, what);
        return mistake.with_hint(there_are(context, absent));
    }
    let mistake = Mistake::at(&source.name, &source.text, line, column, what);
    match help {
        Some(help) => mistake.with_hint(help),
        None => mistake.with_hint("`recoup explain` shows the relations and their columns"),
    }
}

/// The relation that a planner's message says it does not find.
fn absent(message: &str) -> Option<&str> {
    let named = message.strip_prefix("table '")?.strip_suffix("' not found")?;
    named.rsplit('.').next()
}

/// The nearest relation, or all that a statement may read.
fn there_are(context: &SessionContext, absent: &str) -> String {
    let schemas = context.catalog_names().into_iter().filter_map(|name| {
        let catalog = context.catalog(&name)?;
        Some(catalog.schema_names().into_iter().filter_map(move |name| catalog.schema(&name)))
    });
    let mut names: Vec<String> =
        schemas.flatten().flat_map(|schema| schema.table_names()).collect();
    // What a verb says has a name that nobody can write.
    names.retain(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_'));
    names.sort();
    match nearest(absent, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("there are {}", names.join(", ")),
    }
}

/// The place of the first quoted word of a message, where the file has it.
fn quoted_place(source: &Source, line: usize, message: &str) -> (usize, usize) {
    let word = message.split(['\'', '"', '`']).nth(1).unwrap_or_default();
    let word = word.rsplit('.').next().unwrap_or_default();
    let start: usize =
        source.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = &source.text[start.min(source.text.len())..];
    match rest.find(word) {
        Some(offset) if !word.is_empty() => place(&source.text, start + offset),
        _ => (line, 1),
    }
}
