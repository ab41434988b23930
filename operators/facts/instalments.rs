//! How late a loan with a schedule is, instalment by instalment.

use arrow::datatypes::DataType::{Date32, Int32, Utf8};
use arrow::datatypes::SchemaRef;

use super::{MONEY, place, schema};

/// What account says of a loan whose newest report has a schedule, after every letter about it and
/// every day. Loans without one have no row.
pub fn instalments() -> SchemaRef {
    let mut columns = place();
    columns.extend([
        ("loan_id", Utf8),
        ("lender_id", Utf8),
        ("currency", Utf8),
        // the business day of the row
        ("day", Date32),
        // what is due and unpaid, since when, and for how many days
        ("past_due", MONEY),
        ("past_due_on", Date32),
        ("past_due_days", Int32),
        // the same less grace and pauses, and the range that these days fall into
        ("delinquent_on", Date32),
        ("delinquent_days", Int32),
        ("class", Utf8),
        // open amounts past due by the range of their own instalment: `1-3:250.00|4-30:250.00`
        ("by_range", Utf8),
        // all that is open, written as a report writes its schedule
        ("open", Utf8),
    ]);
    schema(columns)
}
