//! Relations of money: what account books, what settle makes of it.

use std::sync::Arc;

use arrow::datatypes::DataType::{Boolean, Date32, Int32, UInt32, Utf8};
use arrow::datatypes::{Field, Schema, SchemaRef};

use super::{MONEY, RATE, instant, place, schema, statement_columns};

/// What account says of money: by how much one movement's booking changes at this letter.
///
/// `seq` and `row` are the letter's. The first booking of a movement has `correction` false; what a
/// late fact changes in bookings made before has it true. Of kind `withdrawn` is a row that takes a
/// booking back whole: a copy that was replaced, or a reversal that came second. The deltas of one
/// row sum to what leaves or enters: `before_report`, `suspense` and `over` are accounts of their
/// own.
pub fn bookings() -> SchemaRef {
    let mut columns = place();
    columns.extend([
        ("kind", Utf8),
        ("movement_id", Utf8),
        ("reverses", Utf8),
        ("loan_id", Utf8),
        ("lender_id", Utf8),
        ("currency", Utf8),
        ("paid_at", instant()),
        ("channel", Utf8),
        ("correction", Boolean),
        ("penalty", MONEY),
        ("fee", MONEY),
        ("interest", MONEY),
        ("principal", MONEY),
        ("over", MONEY),
        ("before_report", MONEY),
        ("suspense", MONEY),
        // the place of this row among its letter's, from 0: rows of one letter have an order
        ("line", UInt32),
        // the shard counts the movements it keeps from 0; null where it keeps none (suspense)
        ("number", UInt32),
        // of a reversal: the number of the payment that it undoes
        ("undoes", UInt32),
        // what this movement had collected before this row
        ("booked", MONEY),
        // what the movement is, where `kind` is `withdrawn`: payment, return, waiver …
        ("act", Utf8),
        // whether its loan was charged off: what comes in is income, not receivable
        ("recovered", Boolean),
        // its loan before it
        ("days_past_due", Int32),
        ("balance", MONEY),
        // the order in which components are filled
        ("waterfall", Utf8),
        // the bank's code, the payer or the authority that its record names
        ("grounds", Utf8),
    ]);
    schema(columns)
}

/// What account says of a sample of its letters, for those who check it: what is owed after the
/// letter if all facts of its loan are folded from nothing.
pub fn refolded() -> SchemaRef {
    let mut columns = place();
    columns.extend([
        ("loan_id", Utf8),
        ("penalty", MONEY),
        ("fee", MONEY),
        ("interest", MONEY),
        ("principal", MONEY),
    ]);
    schema(columns)
}

/// What settle takes: a booking with the postmark of dispatch on its letter.
///
/// It may also be sent rows of kind `placement`: what dispatch said of a placement, its status as
/// `channel`, its instant as `paid_at`, `line` null. Contracts that attribute by the day of
/// payment, and the tail after a recall, need them.
pub fn attributed() -> SchemaRef {
    let mut fields: Vec<_> = bookings().fields().iter().cloned().collect();
    for (name, kind) in
        [("agency_id", Utf8), ("desk_id", Utf8), ("placement", UInt32), ("commission_rate", RATE)]
    {
        fields.push(Arc::new(Field::new(name, kind, true)));
    }
    Arc::new(Schema::new(fields))
}

/// Double entry: debit is positive, the lines of one event sum to zero in their currency.
pub fn ledger() -> SchemaRef {
    let mut columns = place();
    columns.extend([
        ("entry_id", Utf8),
        ("loan_id", Utf8),
        ("lender_id", Utf8),
        ("agency_id", Utf8),
        ("account", Utf8),
        ("amount", MONEY),
        ("currency", Utf8),
        ("booked_on", Date32),
        ("cause", Utf8),
        // the contract and its version, `C1@3`, and the rule that the line follows from
        ("contract", Utf8),
        ("rule", Utf8),
    ]);
    schema(columns)
}

/// What settle says to close: by how much a statement line changes.
pub fn lines() -> SchemaRef {
    let mut columns = place();
    columns.push(("kind", Utf8));
    columns.extend(statement_columns());
    columns.extend([
        // what the movement is: payment, return, chargeback …
        ("act", Utf8),
        // by how much what the agency holds for the lender changes
        ("held", MONEY),
        // VAT on the commission, owed to the agency with it
        ("vat", MONEY),
        // whether the agency sends all it holds and is paid its commission apart
        ("gross", Boolean),
    ]);
    schema(columns)
}
