//! Reads a file into statements: which view or relation, which query, which verbs it calls.

use std::ops::ControlFlow;

use datafusion::sql::parser::{DFParser, DFParserBuilder, Statement as DfStatement};
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, Query, Spanned, Statement as Ast,
    TableFactor, TableObject, Value, VisitMut, VisitorMut,
};

use crate::mistake::Mistake;
use crate::stages::Source;

/// A statement of the program.
pub struct Statement {
    pub meaning: Meaning,
    pub query: Box<Query>,
    pub calls: Vec<Call>,
    pub line: usize,
    pub column: usize,
}

/// What the rows of a statement are for.
pub enum Meaning {
    View(String),
    Say { stream: String, relation: String },
}

/// `verb('input')` or `verb('input', 'relation')` in a FROM.
pub struct Call {
    pub verb: String,
    pub input: String,
    pub relation: Option<String>,
    pub line: usize,
    pub column: usize,
}

/// The slot that holds what a verb says.
pub fn slot_name(verb: &str, relation: &str) -> String {
    format!("{verb}.{relation}")
}

/// The statements of a file, in order.
pub fn statements(source: &Source) -> Result<Vec<Statement>, Mistake> {
    let parsed = parse(source)?;
    parsed.into_iter().map(|statement| understand(source, statement)).collect()
}

/// Parses a file that is a single query, such as a dialect.
pub fn query(source: &Source) -> Result<Box<Query>, Mistake> {
    let parsed = parse(source)?;
    let what = "a dialect is one SELECT from raw".to_string();
    let mut parsed = parsed.into_iter();
    match (parsed.next(), parsed.next()) {
        (Some(DfStatement::Statement(statement)), None) => match *statement {
            Ast::Query(query) => Ok(query),
            _ => Err(Mistake::at(&source.name, &source.text, 1, 1, what)),
        },
        _ => Err(Mistake::at(&source.name, &source.text, 1, 1, what)),
    }
}

fn parse(source: &Source) -> Result<Vec<DfStatement>, Mistake> {
    let mut parser: DFParser = DFParserBuilder::new(source.text.as_str())
        .build()
        .map_err(|error| syntax(source, &error.strip_backtrace()))?;
    let parsed =
        parser.parse_statements().map_err(|error| syntax(source, &error.strip_backtrace()))?;
    Ok(parsed.into())
}

/// A parser's message carries its place at the end: ` at Line: 3, Column: 7`.
fn syntax(source: &Source, message: &str) -> Mistake {
    let number = |after: &str| -> usize {
        let Some(at) = message.find(after) else { return 1 };
        let digits = message[at + after.len()..].chars().take_while(char::is_ascii_digit);
        digits.collect::<String>().parse().unwrap_or(1)
    };
    let what = message.split(" at Line:").next().unwrap_or(message);
    let what = what.rsplit("ParserError(\"").next().unwrap_or(what);
    let what = what.trim_start_matches("SQL error: ").trim_end_matches("\")");
    Mistake::at(&source.name, &source.text, number("Line: "), number("Column: "), what.into())
        .with_hint("every statement ends with a semicolon; a text is in single quotes")
}

fn understand(source: &Source, statement: DfStatement) -> Result<Statement, Mistake> {
    let DfStatement::Statement(statement) = statement else {
        return Err(not_ours(source, 1, 1));
    };
    let start = statement.span().start;
    let (line, column) = (start.line.max(1) as usize, start.column.max(1) as usize);
    let refused = || not_ours(source, line, column);
    let (meaning, mut query) = match *statement {
        Ast::CreateView(view) => {
            (Meaning::View(last_name(&view.name).ok_or_else(refused)?), view.query)
        }
        Ast::Insert(insert) => {
            let TableObject::TableName(name) = &insert.table else { return Err(refused()) };
            let [stream, relation] = &name.0[..] else {
                return Err(Mistake::at(
                    &source.name,
                    &source.text,
                    line,
                    column,
                    format!("{name} names no relation of a stream"),
                )
                .with_hint("INSERT INTO stream.relation SELECT …"));
            };
            let (Some(stream), Some(relation)) = (stream.as_ident(), relation.as_ident()) else {
                return Err(refused());
            };
            let meaning =
                Meaning::Say { stream: stream.value.clone(), relation: relation.value.clone() };
            (meaning, insert.source.ok_or_else(refused)?)
        }
        _ => return Err(refused()),
    };
    let mut finder = Finder { source, calls: vec![], line, column };
    if let ControlFlow::Break(mistake) = query.visit(&mut finder) {
        return Err(mistake);
    }
    Ok(Statement { meaning, query, calls: finder.calls, line, column })
}

fn not_ours(source: &Source, line: usize, column: usize) -> Mistake {
    let what = "a program has only CREATE VIEW … AS SELECT and INSERT INTO … SELECT".to_string();
    Mistake::at(&source.name, &source.text, line, column, what)
}

fn last_name(name: &ObjectName) -> Option<String> {
    name.0.last()?.as_ident().map(|ident| ident.value.clone())
}

/// Finds calls of verbs and puts the name of the slot in their place.
struct Finder<'a> {
    source: &'a Source,
    calls: Vec<Call>,
    line: usize,
    column: usize,
}

impl VisitorMut for Finder<'_> {
    type Break = Mistake;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Mistake> {
        let TableFactor::Table { name, args, .. } = factor else {
            return ControlFlow::Continue(());
        };
        let Some(arguments) = args.take() else { return ControlFlow::Continue(()) };
        let start = name.span().start;
        let (line, column) = if start.line == 0 {
            (self.line, self.column)
        } else {
            (start.line as usize, start.column as usize)
        };
        let texts: Vec<String> = arguments.args.iter().filter_map(text).collect();
        let (Some(verb), Some(input), true) = (
            last_name(name),
            texts.first().cloned(),
            texts.len() == arguments.args.len() && texts.len() <= 2,
        ) else {
            let what = format!("{name} takes the name of a relation, in quotes");
            return ControlFlow::Break(
                Mistake::at(&self.source.name, &self.source.text, line, column, what)
                    .with_hint(format!("{name}('letters')")),
            );
        };
        let relation = texts.get(1).cloned();
        let says = relation.clone().or_else(|| main_relation(&verb)).unwrap_or_default();
        *name = ObjectName::from(vec![Ident::with_quote('"', slot_name(&verb, &says))]);
        self.calls.push(Call { verb, input, relation, line, column });
        ControlFlow::Continue(())
    }
}

fn main_relation(verb: &str) -> Option<String> {
    let verb = recoup_operators::ALL.iter().find(|known| known.name == verb)?;
    verb.says.first().map(|says| says.name.to_string())
}

fn text(argument: &FunctionArg) -> Option<String> {
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) = argument else {
        return None;
    };
    match &value.value {
        Value::SingleQuotedString(text) => Some(text.clone()),
        _ => None,
    }
}
