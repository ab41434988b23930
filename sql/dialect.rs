//! A lender's dialect: one SELECT from its raw columns to the canonical ones.
//!
//! ```sql
//! SELECT acct AS loan_id, CAST(CAST(bill AS DECIMAL(18, 2)) AS VARCHAR) AS principal FROM raw
//! ```
//!
//! Raw columns are whatever the SELECT names: each arrives as text, NULL where a record lacks it.
//! A row that cannot be evaluated is refused as `sql_error`; a row that a WHERE leaves out is left
//! out on purpose.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::execution::context::SessionContext;
use datafusion::sql::sqlparser::ast::{Expr, Ident, Query, SelectItem, SetExpr, Visit, Visitor};
use recoup_operators::facts;

use crate::compile::{self, Planned};
use crate::mistake::{Mistake, nearest};
use crate::narrow;
use crate::run::{joined, shaped};
use crate::session::session;
use crate::slot::Slot;
use crate::stages::Source;

/// A compiled dialect.
pub struct Dialect {
    /// The raw columns it reads.
    pub columns: Vec<String>,
    slot: Slot,
    planned: Planned,
    context: SessionContext,
}

/// Columns that go through a dialect untouched, under names that no lender uses.
const CARRIED: [&str; 6] = ["shard", "seq", "row", "lender", "bad", "raw"];

fn carried(name: &str) -> String {
    format!("__{name}")
}

impl Dialect {
    pub fn compile(source: &Source) -> Result<Self, Mistake> {
        let mut query = compile::query(source)?;
        let columns = raw_columns(&query);
        carry(source, &mut query)?;
        let context = session(1);
        let slot = Slot::new(raw_schema(&columns));
        let registered = slot.table().and_then(|table| context.register_table("raw", table));
        if let Err(error) = registered {
            let what = error.strip_backtrace();
            return Err(Mistake::at(&source.name, &source.text, 1, 1, what));
        }
        let planned = compile::planned(&context, source, "canonical", *query, 1)?;
        for field in planned.schema.fields() {
            let name = field.name().as_str();
            if !CARRIED.contains(&name) && !facts::CANONICAL.contains(&name) {
                let what = format!("{name} is no column of the canonical record");
                let hint = nearest(name, facts::CANONICAL.into_iter());
                let hint =
                    hint.map_or(facts::CANONICAL.join(", "), |n| format!("did you mean {n}?"));
                return Err(Mistake::at(&source.name, &source.text, 1, 1, what).with_hint(hint));
            }
        }
        Ok(Dialect { columns, slot, planned, context })
    }

    /// Whether each row depends on one raw row only, so that many messages may be read at once.
    pub fn by_row(&self) -> bool {
        self.planned.by_row
    }

    /// Raw rows, as decoded, in the canonical dialect.
    pub fn apply(&self, raw: &RecordBatch) -> RecordBatch {
        let rows = renamed(raw, self.slot.schema());
        let canonical = facts::canonical();
        let mut part = |rows: &RecordBatch| {
            self.slot.set(rows.clone());
            narrow::execute(&self.context, &self.planned)
        };
        let mut alone = |row: &RecordBatch, _: &str| spoilt(row, &self.planned.schema);
        let parts = narrow::halve(&rows, &mut part, &mut alone);
        self.slot.clear();
        let parts = parts.iter().map(|part| shaped(part, &canonical)).collect();
        // Each half fits one batch, and both do not.
        joined(&canonical, parts)
            .unwrap_or_else(|_| shaped(&spoilt(&rows, &self.planned.schema), &canonical))
    }
}

fn raw_schema(columns: &[String]) -> SchemaRef {
    let canonical = facts::canonical();
    let mut fields: Vec<Field> = vec![];
    for name in CARRIED {
        if let Some((_, field)) = canonical.column_with_name(name) {
            fields.push(field.clone().with_name(carried(name)));
        }
    }
    fields.extend(columns.iter().map(|name| Field::new(name, DataType::Utf8, true)));
    Arc::new(Schema::new(fields))
}

/// Decoded rows under the names of the slot.
fn renamed(raw: &RecordBatch, schema: &SchemaRef) -> RecordBatch {
    let mut fields = vec![];
    for (i, field) in raw.schema().fields().iter().enumerate() {
        let name = field.name();
        let first = raw.schema().index_of(name).ok() == Some(i);
        let fixed = first && CARRIED.contains(&name.as_str()) && i < CARRIED.len();
        let name = if fixed { carried(name) } else { name.clone() };
        fields.push(field.as_ref().clone().with_name(name));
    }
    let renamed = RecordBatch::try_new(Arc::new(Schema::new(fields)), raw.columns().to_vec());
    renamed.map_or_else(|_| RecordBatch::new_empty(schema.clone()), |rows| shaped(&rows, schema))
}

/// Rows that could not be evaluated: their places and bytes, and why they will be refused.
fn spoilt(rows: &RecordBatch, schema: &SchemaRef) -> RecordBatch {
    let columns: Vec<ArrayRef> = schema
        .fields()
        .iter()
        .map(|field| match field.name().as_str() {
            "bad" => {
                Arc::new(StringArray::from(vec![Some("sql_error"); rows.num_rows()])) as ArrayRef
            }
            name => rows
                .column_by_name(&carried(name))
                .filter(|column| column.data_type() == field.data_type())
                .cloned()
                .unwrap_or_else(|| {
                    datafusion::arrow::array::new_null_array(field.data_type(), rows.num_rows())
                }),
        })
        .collect();
    RecordBatch::try_new(schema.clone(), columns)
        .unwrap_or_else(|_| RecordBatch::new_empty(schema.clone()))
}

/// Adds the carried columns to the SELECT.
fn carry(source: &Source, query: &mut Query) -> Result<(), Mistake> {
    let SetExpr::Select(select) = query.body.as_mut() else {
        let what = "a dialect is one SELECT from raw".to_string();
        return Err(Mistake::at(&source.name, &source.text, 1, 1, what));
    };
    for name in CARRIED {
        select.projection.push(SelectItem::ExprWithAlias {
            expr: Expr::Identifier(Ident::with_quote('"', carried(name))),
            alias: Ident::new(name),
        });
    }
    Ok(())
}

/// Every column that a query names.
fn raw_columns(query: &Query) -> Vec<String> {
    let mut found = Columns::default();
    let _ = query.visit(&mut found);
    found.names.into_iter().collect()
}

#[derive(Default)]
struct Columns {
    names: BTreeSet<String>,
}

impl Visitor for Columns {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        let ident = match expression {
            Expr::Identifier(ident) => Some(ident),
            Expr::CompoundIdentifier(parts) => parts.last(),
            _ => None,
        };
        if let Some(ident) = ident {
            self.names.insert(match ident.quote_style {
                Some(_) => ident.value.clone(),
                None => ident.value.to_lowercase(),
            });
        }
        ControlFlow::Continue(())
    }
}
