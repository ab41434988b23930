//! Which statements are answered: those that read, and those that change only the session.
//!
//! The list says what is allowed; everything else, and everything not yet invented, is refused.
//! What a statement became is looked at too: a plan that would write, define or read a file is
//! refused whatever its text was.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::{DFSchema, ParamValues};
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::{EmptyRelation, LogicalPlan};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{Set, Statement};
use datafusion_postgres::hooks::{HookClient, QueryHook};
use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::api::results::{Response, Tag};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError, PgWireResult};

use super::door::is_in;

/// Session settings that the hooks behind us know.
const HEEDED: [&str; 7] = [
    "statement_timeout",
    "datestyle",
    "bytea_output",
    "intervalstyle",
    "application_name",
    "extra_float_digits",
    "search_path",
];

/// Session settings that drivers send, and that change nothing in a room where one only reads.
const HARMLESS: [&str; 11] = [
    "client_encoding",
    "client_min_messages",
    "standard_conforming_strings",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "row_security",
    "default_transaction_read_only",
    "default_transaction_isolation",
    "transaction_read_only",
    "transaction_isolation",
    "timezone",
];

/// What to do with a statement.
enum Verdict {
    /// Plan it and look at the plan.
    Plan(Box<Statement>),
    /// The hooks behind us know it.
    Pass,
    /// Nothing needs to be done; this is its tag.
    Done(&'static str),
    Refuse(&'static str),
}

const READ_ONLY: &str = "is refused: this room is for reading \
    (SELECT, EXPLAIN, SHOW, SET of session settings, BEGIN, COMMIT, ROLLBACK)";

fn judge(statement: &Statement) -> Verdict {
    match statement {
        Statement::Query(_)
        | Statement::ExplainTable { .. }
        | Statement::ShowTables { .. }
        | Statement::ShowColumns { .. } => Verdict::Plan(Box::new(statement.clone())),
        Statement::Explain { statement: inner, .. } => match inner.as_ref() {
            Statement::Query(_) => Verdict::Plan(Box::new(statement.clone())),
            _ => Verdict::Refuse(READ_ONLY),
        },
        Statement::Declare { stmts } => match stmts.as_slice() {
            [cursor] => match &cursor.for_query {
                Some(query) => Verdict::Plan(Box::new(Statement::Query(query.clone()))),
                None => Verdict::Refuse("is refused: a cursor is declared FOR a SELECT"),
            },
            _ => Verdict::Refuse("is refused: declare one cursor at a time"),
        },
        Statement::Fetch { .. }
        | Statement::Close { .. }
        | Statement::StartTransaction { .. }
        | Statement::Commit { .. }
        | Statement::Rollback { .. }
        | Statement::ShowVariable { .. } => Verdict::Pass,
        Statement::Set(set) => judge_set(set),
        Statement::Deallocate { .. } => Verdict::Done("DEALLOCATE"),
        Statement::Discard { .. } => Verdict::Done("DISCARD"),
        Statement::Prepare { .. } | Statement::Execute { .. } => Verdict::Refuse(
            "is refused: prepare through the driver (in psql, \\bind), so that it stays your own",
        ),
        _ => Verdict::Refuse(READ_ONLY),
    }
}

fn judge_set(set: &Set) -> Verdict {
    let variable = match set {
        Set::SingleAssignment { variable, .. } => variable.to_string().to_lowercase(),
        Set::SetTimeZone { .. } => return Verdict::Pass,
        Set::SetNames { .. }
        | Set::SetNamesDefault { .. }
        | Set::SetTransaction { .. }
        | Set::SetSessionParam(_) => return Verdict::Done("SET"),
        _ => return Verdict::Refuse("is refused: only session settings can be set"),
    };
    match variable.as_str() {
        name if HEEDED.contains(&name) => Verdict::Pass,
        name if HARMLESS.contains(&name) => Verdict::Done("SET"),
        _ => Verdict::Refuse("is refused: only session settings can be set"),
    }
}

/// The first hook that every statement meets.
#[derive(Debug)]
pub struct Guard;

#[async_trait]
impl QueryHook for Guard {
    async fn handle_simple_query(
        &self,
        statement: &Statement,
        context: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        if !is_in(&*client) {
            return Some(Err(outside()));
        }
        match judge(statement) {
            Verdict::Plan(query) => plan(*query, context).await.err().map(Err),
            Verdict::Pass => None,
            Verdict::Done(tag) => Some(Ok(Response::Execution(Tag::new(tag)))),
            Verdict::Refuse(why) => Some(Err(refused(statement, why))),
        }
    }

    async fn handle_extended_parse_query(
        &self,
        statement: &Statement,
        context: &SessionContext,
        client: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        if !is_in(&*client) {
            return Some(Err(outside()));
        }
        match judge(statement) {
            Verdict::Plan(query) => match plan(*query, context).await {
                // A cursor's own plan is made when it is declared.
                Ok(_) if matches!(statement, Statement::Declare { .. }) => None,
                planned => Some(planned),
            },
            Verdict::Pass => None,
            Verdict::Done(_) => Some(Ok(LogicalPlan::EmptyRelation(EmptyRelation {
                produce_one_row: false,
                schema: Arc::new(DFSchema::empty()),
            }))),
            Verdict::Refuse(why) => Some(Err(refused(statement, why))),
        }
    }

    async fn handle_extended_query(
        &self,
        statement: &Statement,
        _plan: &LogicalPlan,
        _params: &ParamValues,
        _context: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        if !is_in(&*client) {
            return Some(Err(outside()));
        }
        match judge(statement) {
            Verdict::Plan(_) | Verdict::Pass => None,
            Verdict::Done(tag) => Some(Ok(Response::Execution(Tag::new(tag)))),
            Verdict::Refuse(why) => Some(Err(refused(statement, why))),
        }
    }
}

/// What a plan may do.
pub fn reading_only() -> SQLOptions {
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false)
}

async fn plan(statement: Statement, context: &SessionContext) -> PgWireResult<LogicalPlan> {
    let failed = |error| PgWireError::ApiError(Box::new(error));
    let parsed = Parsed::Statement(Box::new(statement));
    let plan = context.state().statement_to_plan(parsed).await.map_err(failed)?;
    reading_only().verify_plan(&plan).map_err(|error| told("25006", error.to_string()))?;
    Ok(plan)
}

fn outside() -> PgWireError {
    PgWireError::UserError(Box::new(ErrorInfo::new(
        "FATAL".to_owned(),
        "28000".to_owned(),
        "prove who you are first".to_owned(),
    )))
}

fn refused(statement: &Statement, why: &str) -> PgWireError {
    let text = statement.to_string();
    let verb = text.split_whitespace().next().unwrap_or("this").to_uppercase();
    told("25006", format!("{verb} {why}"))
}

/// An error as Postgres says it.
pub fn told(code: &str, message: String) -> PgWireError {
    let info = ErrorInfo::new("ERROR".to_owned(), code.to_owned(), message);
    PgWireError::UserError(Box::new(info))
}
