//! Relations that leave by the stream `statements`: what agencies and lenders owe each other.

use arrow::datatypes::DataType::{Boolean, Date32, Int64, Utf8};
use arrow::datatypes::SchemaRef;

use super::{MONEY, place, schema, statement_columns};

/// What close says: a statement line as it now stands; the newest row of a key counts.
pub fn statements() -> SchemaRef {
    let mut columns = place();
    columns.extend(statement_columns());
    columns.extend([
        ("remittance", MONEY),
        ("closed", Boolean),
        // changes after a movement was first booked: why a line may be zero, or less
        ("corrections", Int64),
        ("vat", MONEY),
        // what the agency took in for the lender, less what went back
        ("held", MONEY),
        // what of it the agency sends by its contract: all of it, or what is left of it after
        // commission and VAT
        ("due", MONEY),
        // commission and VAT that the lender pays apart, where the agency sends all
        ("invoiced", MONEY),
    ]);
    schema(columns)
}

/// What close says of time: the newest day that every shard has passed, and the last closed one.
pub fn days() -> SchemaRef {
    let mut columns = place();
    columns.extend([("day", Date32), ("closed_through", Date32)]);
    schema(columns)
}

/// `loans.all.remittances`: money that passed between an agency and a lender. A row counts once,
/// by its id; a later version of the table may hold only what is new.
pub fn remittances() -> SchemaRef {
    let mut columns = vec![("version", Int64)];
    columns.extend(remittance_columns());
    schema(columns)
}

/// What close says of a remittance: the row, and the day it is booked on.
pub fn remitted() -> SchemaRef {
    let mut columns = place();
    columns.extend(remittance_columns());
    columns.push(("booked_on", Date32));
    schema(columns)
}

fn remittance_columns() -> Vec<(&'static str, arrow::datatypes::DataType)> {
    vec![
        ("remittance_id", Utf8),
        ("lender_id", Utf8),
        ("agency_id", Utf8),
        ("currency", Utf8),
        ("received_on", Date32),
        // what the lender received
        ("amount", MONEY),
        // what the agency kept of what it held, as its commission
        ("withheld", MONEY),
        // what the lender paid the agency, as its commission
        ("paid", MONEY),
    ]
}
