//! The columns of every relation that travels between verbs.
//!
//! Money is `DECIMAL(18,2)`, instants are microseconds UTC, days are `Date32`, texts are `Utf8`.
//! `seq` and `row` say where in the log a fact stands: the sequence of its message in the stream
//! the stage reads, and the row in that message. `shard` is the shard of the stage that holds it.

mod notices;
mod reference;
mod statements;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

pub use notices::{NOTICES, is_notice};
pub use reference::{agencies, contracts, curve, desks, market};
pub use statements::{days, remittances, remitted, statements};

/// Seven buckets of days past due; the index is what memories keep.
pub const BUCKETS: [&str; 7] = ["0", "1-30", "31-60", "61-90", "91-180", "181-360", "361+"];

/// The bucket of a number of days past due. Zero or less is bucket 0.
pub fn bucket(days_past_due: i32) -> usize {
    match days_past_due {
        i32::MIN..=0 => 0,
        1..=30 => 1,
        31..=60 => 2,
        61..=90 => 3,
        91..=180 => 4,
        181..=360 => 5,
        _ => 6,
    }
}

/// The shard of a key: FNV-1a, 32 bit, modulo `shards`; the broker's `partition()` is the same.
pub fn shard(key: &str, shards: u32) -> u32 {
    let hash = key
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash % shards
}

pub const MONEY: DataType = DataType::Decimal128(18, 2);
/// Commission and other rates, 6 digits.
pub const RATE: DataType = DataType::Decimal128(9, 6);

/// The type of an instant: microseconds UTC.
pub fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn schema(columns: Vec<(&str, DataType)>) -> SchemaRef {
    Arc::new(Schema::new(
        columns.into_iter().map(|(name, kind)| Field::new(name, kind, true)).collect::<Vec<_>>(),
    ))
}

use DataType::{BinaryView, Boolean, Date32, Int32, Int64, UInt32, UInt64, Utf8};

/// Where a fact stands in the log; the first columns of every relation inside a stage.
fn place() -> Vec<(&'static str, DataType)> {
    vec![("shard", UInt32), ("seq", UInt64), ("row", UInt32)]
}

/// The canonical dialect: every column a text, as the lender wrote it.
/// `bad` is a reason that the decoder already found (`bad_json`); `raw` the record's own bytes.
pub fn canonical() -> SchemaRef {
    let mut columns = place();
    columns.extend([("lender", Utf8), ("bad", Utf8), ("raw", BinaryView)]);
    columns.extend(CANONICAL.iter().map(|name| (*name, Utf8)));
    schema(columns)
}

/// The fields of a canonical record: a report's, then a payment's.
pub const CANONICAL: [&str; 25] = [
    "event_id",
    "event_time",
    "lender_id",
    "loan_id",
    "borrower_id",
    "product",
    "province",
    "principal",
    "interest",
    "penalty",
    "fee",
    "currency",
    "days_past_due",
    "origination_date",
    "due_date",
    "phone",
    "national_id",
    "score",
    "contactable",
    "payment_id",
    "kind",
    "amount",
    "paid_at",
    "channel",
    "reverses",
];

fn fact_columns() -> Vec<(&'static str, DataType)> {
    vec![
        // report, payment or reversal
        ("kind", Utf8),
        // event_id or payment_id
        ("id", Utf8),
        // event_time or paid_at
        ("at", instant()),
        ("loan_id", Utf8),
        // of the record, else of the subject; null where a payment names neither
        ("lender_id", Utf8),
        // BLAKE2b-64 of the canonical content: of two copies with one id the greater wins
        ("digest", UInt64),
        ("borrower_id", Utf8),
        // keyed token of the national id
        ("person", Utf8),
        ("product", Utf8),
        ("province", Utf8),
        ("currency", Utf8),
        ("principal", MONEY),
        ("interest", MONEY),
        ("penalty", MONEY),
        ("fee", MONEY),
        ("days_past_due", Int32),
        ("origination_date", Date32),
        ("due_date", Date32),
        ("phone_masked", Utf8),
        ("phone_token", Utf8),
        ("score", Int32),
        ("contactable", Boolean),
        // of a movement; negative for a reversal
        ("amount", MONEY),
        ("channel", Utf8),
        // the payment_id that a reversal undoes
        ("reverses", Utf8),
        // where the record came from, for people: `intake:41:7`, or `file.json:12`
        ("source", Utf8),
    ]
}

/// `reports.*.facts`: what normalize says and register takes.
pub fn facts() -> SchemaRef {
    let mut columns = place();
    columns.extend(fact_columns());
    schema(columns)
}

/// `loans.*.letters`: what register says and account takes. Kinds: those of a fact, `suspended`
/// (a movement of a loan nobody has reported), `released` (its loan has appeared), and the name
/// of any fact that every shard hears.
pub fn letters() -> SchemaRef {
    let mut columns = place();
    columns.extend(fact_columns());
    // the borrower: what the loan is sharded by
    columns.push(("borrower_key", Utf8));
    // the shard the letter is addressed to
    columns.push(("to_shard", UInt32));
    // where this copy replaces one with the same id: the `at` of the replaced copy
    columns.push(("replaces_at", instant()));
    schema(columns)
}

/// A row that could not be used. `raw` is sealed, or null where `source` names a user's own file.
pub fn refused() -> SchemaRef {
    let mut columns = place();
    columns.extend([
        ("lender_id", Utf8),
        ("reason", Utf8),
        ("source", Utf8),
        ("raw", DataType::Binary),
    ]);
    schema(columns)
}

/// What account says: a letter, or a loan that a letter touched, with what is owed after it.
///
/// One row per letter about a known loan; for a letter that every shard hears one row with
/// `loan_id` null, followed by a row of kind `touched` for every loan it reprices. Those have the
/// letter's `seq` and the `row`s after its own: no two rows of a shard have the same place.
pub fn stamped() -> SchemaRef {
    let mut columns = place();
    columns.extend([
        ("kind", Utf8),
        // of the letter: event_id, payment_id, or the name of the fact that every shard hears
        ("cause", Utf8),
        // of the letter; null for a touched loan's letter without one
        ("at", instant()),
        ("borrower_key", Utf8),
        ("loan_id", Utf8),
        ("lender_id", Utf8),
        ("borrower_id", Utf8),
        ("product", Utf8),
        ("province", Utf8),
        ("currency", Utf8),
        ("principal", MONEY),
        ("interest", MONEY),
        ("penalty", MONEY),
        ("fee", MONEY),
        ("balance", MONEY),
        ("days_past_due", Int32),
        ("bucket", Utf8),
        ("origination_date", Date32),
        ("due_date", Date32),
        ("phone_masked", Utf8),
        ("score", Int32),
        ("contactable", Boolean),
        ("event_id", Utf8),
        ("event_time", instant()),
    ]);
    schema(columns)
}

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
    ]);
    schema(columns)
}

/// What dispatch takes: a stamped row with its price, null where it has none.
pub fn priced() -> SchemaRef {
    let mut fields: Vec<_> = stamped().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new("price", MONEY, true)));
    Arc::new(Schema::new(fields))
}

/// What dispatch says of every letter: who holds the loan once it is read.
/// One row per priced row with a loan, in order. Empty agency: nobody, so far.
pub fn held() -> SchemaRef {
    let mut columns = place();
    columns.extend([
        ("loan_id", Utf8),
        ("agency_id", Utf8),
        ("desk_id", Utf8),
        // the loan's placements are counted from 1; 0: never placed
        ("placement", UInt32),
        ("commission_rate", RATE),
    ]);
    schema(columns)
}

/// What dispatch says when a loan is placed, waits, is recalled or leaves.
pub fn placements() -> SchemaRef {
    let mut columns = place();
    columns.extend([
        ("loan_id", Utf8),
        ("lender_id", Utf8),
        ("agency_id", Utf8),
        ("desk_id", Utf8),
        ("price", MONEY),
        ("value", MONEY),
        ("placed_at", instant()),
        // placed, waiting, unpriced, recalled, paid, expired …
        ("status", Utf8),
        ("placement", UInt32),
        ("commission_rate", RATE),
        // why: the bid price of the desk, the next best desk and its value, and who was full
        ("bid_price", MONEY),
        ("second_desk_id", Utf8),
        ("second_value", MONEY),
        ("full_desks", Utf8),
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
        // of commission: the contract and its version, `C1@3`, and rate and rounding
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
        // by how much what the agency holds for the lender changes
        ("held", MONEY),
        // VAT on the commission, owed to the agency with it
        ("vat", MONEY),
        // whether the agency sends all it holds and is paid its commission apart
        ("gross", Boolean),
    ]);
    schema(columns)
}

fn statement_columns() -> Vec<(&'static str, DataType)> {
    vec![
        ("lender_id", Utf8),
        ("agency_id", Utf8),
        ("day", Date32),
        ("currency", Utf8),
        ("count", Int64),
        ("collected", MONEY),
        ("penalty", MONEY),
        ("fee", MONEY),
        ("interest", MONEY),
        ("principal", MONEY),
        ("over", MONEY),
        ("commission", MONEY),
    ]
}

/// The answer of a shard to a tick: `kind` is `day` or `round`, `tick` its day number or round.
pub fn ticked() -> SchemaRef {
    let mut columns = place();
    columns.extend([("kind", Utf8), ("at", instant())]);
    schema(columns)
}

/// `loans.all.ticks`: a passing day or a round of dispatch. `kind` is `day` or `round`;
/// `number` is the day (days since 1970-01-01) or the number of the round.
pub fn ticks() -> SchemaRef {
    schema(vec![("kind", Utf8), ("at", instant()), ("number", Int64)])
}
