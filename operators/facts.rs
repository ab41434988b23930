//! The columns of every relation that travels between verbs.
//!
//! Money is `DECIMAL(18,2)`, instants are microseconds UTC, days are `Date32`, texts are `Utf8`.
//! `seq` and `row` say where in the log a fact stands: the sequence of its message in the stream
//! the stage reads, and the row in that message. `shard` is the shard of the stage that holds it.

mod books;
mod instalments;
mod notices;
mod reference;
mod statements;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

pub use books::{attributed, bookings, ledger, lines, refolded};
pub use instalments::instalments;
pub use notices::{NOTICES, is_notice};
pub use reference::{
    agencies, authorities, calendars, contracts, curve, desks, exclusions, market, pauses,
    waterfalls,
};
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

/// Bid prices of capacity, to a hundredth of a cent: near-parallel desks differ by less than one.
pub const BID: DataType = DataType::Decimal128(18, 4);

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
pub const CANONICAL: [&str; 29] = [
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
    "reason",
    "payer",
    "authority",
    "instalments",
];

/// What a movement of money or debt may be. What is taken back has a negative amount.
const MOVEMENTS: [(&str, bool); 9] = [
    ("payment", false),
    ("reversal", true),
    ("return", true),
    ("chargeback", true),
    ("nsf_fee", false),
    ("waiver", false),
    ("charge_off", false),
    ("refund", true),
    // a third party pays the loan off
    ("payoff", false),
];

/// Whether a kind of fact is a movement.
pub fn is_movement(kind: &str) -> bool {
    MOVEMENTS.iter().any(|(known, _)| *known == kind)
}

/// Whether money moves in a kind of movement, and not only debt.
pub fn is_money(kind: &str) -> bool {
    !matches!(kind, "nsf_fee" | "waiver" | "charge_off")
}

/// Whether the amount of a kind of movement is below zero.
pub fn takes_back(kind: &str) -> bool {
    MOVEMENTS.iter().any(|(known, back)| *known == kind && *back)
}

fn fact_columns() -> Vec<(&'static str, DataType)> {
    vec![
        // report, or what a movement does: payment, reversal, return, waiver …
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
        // the bank's code of a return, who pays a loan off, who waives
        ("reason", Utf8),
        ("payer", Utf8),
        ("authority", Utf8),
        // the schedule of a report, if it has one: `2026-02-01:1000.00:30.00|…`
        ("instalments", Utf8),
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
        // days past due less grace and pauses, by the business calendar
        ("delinquent_days", Int32),
    ]);
    schema(columns)
}

/// A stamped row with its price, null where it has none.
pub fn priced() -> SchemaRef {
    let mut fields: Vec<_> = stamped().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new("price", MONEY, true)));
    Arc::new(Schema::new(fields))
}

/// What dispatch takes: of a priced row what says whose loan it is, which desks may take it and
/// what it is worth. Every column is copied on its way through the joins of pricing.
pub fn appraised() -> SchemaRef {
    const TAKEN: [&str; 16] = [
        "shard",
        "seq",
        "row",
        "kind",
        "at",
        "borrower_key",
        "loan_id",
        "lender_id",
        "product",
        "province",
        "currency",
        "balance",
        "days_past_due",
        "bucket",
        "event_time",
        "price",
    ];
    let all = priced();
    let taken = all.fields().iter().filter(|field| TAKEN.contains(&field.name().as_str()));
    Arc::new(Schema::new(taken.cloned().collect::<Vec<_>>()))
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
        ("bid_price", BID),
        ("second_desk_id", Utf8),
        ("second_value", MONEY),
        ("full_desks", Utf8),
        // the instant of the fact that this follows from, and the loan as it was then
        ("at", instant()),
        ("balance", MONEY),
        ("days_past_due", Int32),
        // why it waits, where it does
        ("reason", Utf8),
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
