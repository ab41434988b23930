//! Records as lenders send them, good ones and such as have one value that no record should have,
//! in every format of the intake.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use recoup::rows::{Packing, encode};
use recoup_operators::facts::CANONICAL as COLUMNS;

use crate::sim::dice::Dice;

/// A value for each of [`COLUMNS`], or none.
pub type Record = Vec<Option<String>>;

/// The reason that something is refused with; none where it may be used.
pub type Reason = Option<&'static str>;

struct Kind {
    /// The column of its id.
    id: &'static str,
    values: &'static [(&'static str, &'static str)],
    /// What may be wrong with it, and what is said of that.
    wrong: &'static [(&'static str, &'static str, Reason)],
}

const REPORT: Kind = Kind {
    id: "event_id",
    values: &[
        ("event_time", "2026-01-01T00:00:00Z"),
        ("borrower_id", "B1"),
        ("product", "cash"),
        ("province", "44"),
        ("principal", "10.00"),
        ("interest", "0.00"),
        ("penalty", "0.00"),
        ("fee", "0.00"),
        ("currency", "CNY"),
        ("days_past_due", "3"),
    ],
    wrong: &[
        ("loan_id", "", Some("missing_loan_id")),
        ("event_id", "", Some("missing_event_id")),
        ("event_time", "", Some("bad_time")),
        ("event_time", "2026-02-30T00:00:00Z", Some("bad_time")),
        ("event_time", "-001-01-01T00:00:00Z", Some("bad_time")),
        ("event_time", "0001-01-01T00:00:00Z", None),
        ("event_time", "9999-12-31T23:59:59Z", None),
        ("principal", "", Some("bad_decimal")),
        ("principal", "NaN", Some("bad_decimal")),
        ("principal", "-inf", Some("bad_decimal")),
        ("principal", "1e308", Some("bad_decimal")),
        ("principal", "१.00", Some("bad_decimal")),
        ("principal", "99999999999999999999999.00", Some("bad_decimal")),
        ("principal", "-1.00", Some("negative_principal")),
        ("days_past_due", "", Some("wrong_type")),
        ("days_past_due", "NaN", Some("wrong_type")),
        ("days_past_due", "99999999999999999999", Some("wrong_type")),
        ("days_past_due", "-2147483648", None),
        ("province", "\u{0}\u{202e}\"',\\", None),
        ("borrower_id", HUGE, Some("too_large")),
    ],
};

const PAYMENT: Kind = Kind {
    id: "payment_id",
    values: &[("kind", "payment"), ("amount", "1.00"), ("paid_at", "2026-01-02T00:00:00Z")],
    wrong: &[
        ("loan_id", "", Some("missing_loan_id")),
        ("amount", "-5.00", Some("wrong_sign")),
        ("amount", "0.00", Some("wrong_sign")),
        ("amount", "NaN", Some("bad_decimal")),
        ("kind", "theft", Some("wrong_type")),
        ("paid_at", "2026-02-30T00:00:00Z", Some("bad_time")),
        ("paid_at", "9999-12-31T00:00:00Z", None),
    ],
};

/// Stands for a text that is longer than a record may be.
const HUGE: &str = "huge";

fn record(kind: &Kind, loan: &str, number: u64) -> Record {
    let value = |column: &str| match column {
        "loan_id" => Some(loan.to_owned()),
        _ if column == kind.id => Some(format!("{loan}-{number}")),
        _ => kind.values.iter().find(|(name, _)| *name == column).map(|(_, value)| (*value).into()),
    };
    COLUMNS.into_iter().map(value).collect()
}

pub fn good(number: u64) -> Record {
    let kind = if number.is_multiple_of(3) { PAYMENT } else { REPORT };
    record(&kind, &format!("GOOD{number}"), number)
}

/// A record with one wrong value.
pub fn bad(dice: &mut Dice, number: u64) -> (Record, Reason) {
    let kind = if dice.one_in(3) { PAYMENT } else { REPORT };
    let (column, mut value, mut reason) = *dice.pick(kind.wrong);
    if value == HUGE && !dice.one_in(20) {
        (value, reason) = ("small", None);
    }
    let value = if value == HUGE { "b".repeat(200_000) } else { value.to_owned() };
    let mut record = record(&kind, "BAD", number);
    let place = COLUMNS.iter().position(|name| *name == column).expect(column);
    record[place] = Some(value);
    (record, reason)
}

/// A line, with integers as numbers.
pub fn json(record: &Record) -> Vec<u8> {
    let mut object = serde_json::Map::new();
    for (name, value) in COLUMNS.iter().zip(record) {
        let Some(value) = value else { continue };
        let number = value.parse::<i64>().ok().filter(|_| *name == "days_past_due");
        object.insert(name.to_string(), number.map_or(value.as_str().into(), Into::into));
    }
    serde_json::to_vec(&object).expect("texts and integers")
}

/// A line under [`header`].
pub fn csv(record: &Record) -> Vec<u8> {
    let field = |value: &Option<String>| match value {
        Some(value) if value.contains(['"', ',']) => format!("\"{}\"", value.replace('"', "\"\"")),
        value => value.clone().unwrap_or_default(),
    };
    record.iter().map(field).collect::<Vec<_>>().join(",").into_bytes()
}

pub fn header() -> Vec<u8> {
    COLUMNS.join(",").into_bytes()
}

pub fn arrow(records: &[Record]) -> Vec<u8> {
    let column = |place: usize| -> ArrayRef {
        Arc::new(StringArray::from_iter(records.iter().map(|record| record[place].as_deref())))
    };
    let columns = COLUMNS.iter().enumerate().map(|(place, name)| (*name, column(place), true));
    let rows = RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length");
    stream(&rows)
}

pub fn stream(rows: &RecordBatch) -> Vec<u8> {
    encode(rows, Packing::Lz4, usize::MAX).remove(0).to_vec()
}
