//! From messages to rows with their place in the log.
//!
//! What lenders publish may be anything: a record that cannot be read is a row that says so. What
//! our own stages wrote must read, all of it; where it does not, nothing is guessed and nothing
//! skipped: the shard stops.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, UInt32Array, UInt64Array};
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use recoup_operators::decode::{self, Decoded, Format, Part, Weight, decode_all};
use recoup_operators::facts;
use recoup_sql::{Dialect, Mistake, Source, shaped};

use crate::log::{LogError, Message};
use crate::rows;

/// Reads messages: those of the intake by lender and dialect, all others as Arrow.
#[derive(Default)]
pub struct Decoder {
    /// By `<lender>.<kind>`, then `<lender>`.
    pub dialects: BTreeMap<String, Dialect>,
}

/// The header that says how an intake message is written: `json`, `csv` or `arrow`.
pub const FORMAT: &str = "Recoup-Format";
/// The file a part was cut from.
pub const SOURCE: &str = "Recoup-Source";
/// The number of the part's first row in that file.
pub const ROW: &str = "Recoup-Row";

impl Decoder {
    /// Compiles dialects; the name of a file without its ending says whose it is.
    pub fn compile(sources: &[Source]) -> Result<Self, Vec<Mistake>> {
        let mut dialects = BTreeMap::new();
        let mut mistakes = vec![];
        for source in sources {
            match Dialect::compile(source) {
                Ok(dialect) => {
                    let name = source.name.trim_end_matches(".sql");
                    dialects.insert(name.to_string(), dialect);
                }
                Err(mistake) => mistakes.push(mistake),
            }
        }
        if mistakes.is_empty() { Ok(Decoder { dialects }) } else { Err(mistakes) }
    }

    /// The rows of messages in the order given, each for the shard beside it, with the columns that
    /// the stage takes. Messages of the intake that follow one another in one dialect are decoded
    /// together, for many of them hold a single record.
    pub fn facts(
        &self,
        messages: &[(u32, &Message)],
        takes: &SchemaRef,
    ) -> Result<Facts, LogError> {
        let mut facts = Facts::default();
        let mut rest = messages;
        while let Some((shard, first)) = rest.first() {
            if !is_intake(first) {
                facts.rows.extend(own(first, *shard, takes)?);
                rest = &rest[1..];
                continue;
            }
            let dialect = self.dialect(first);
            let alike = |message: &Message| match (dialect, self.dialect(message)) {
                (None, None) => true,
                // A SELECT that looks at more than a row sees one message at a time (A9).
                (Some(one), Some(other)) => one.by_row() && std::ptr::eq(one, other),
                _ => false,
            };
            let behind = rest[1..].iter().take_while(|(_, one)| is_intake(one) && alike(one));
            let count = 1 + behind.count();
            let decoded = intake(&rest[..count], dialect);
            facts.unknown_fields += decoded.unknown_fields;
            facts.rows.push(shaped(&decoded.rows, takes));
            rest = &rest[count..];
        }
        Ok(facts)
    }

    /// That of the lender and kind that a subject names, else the lender's; none: canonical.
    fn dialect(&self, message: &Message) -> Option<&Dialect> {
        if self.dialects.is_empty() {
            return None;
        }
        let (lender, kind) = addressed(message);
        self.dialects.get(&format!("{lender}.{kind}")).or_else(|| self.dialects.get(lender))
    }
}

/// What messages hold.
#[derive(Default)]
pub struct Facts {
    pub rows: Vec<RecordBatch>,
    /// Fields of the intake that nobody asked for.
    pub unknown_fields: u64,
}

/// What a message becomes when it is read, at most.
pub fn weight(message: &Message) -> Weight {
    // Rows that were never written do not unfold.
    if let Some(rows) = &message.rows {
        return Weight { rows: rows.num_rows(), bytes: 0 };
    }
    let format = if is_intake(message) { format(message) } else { Format::Arrow };
    let weight = decode::weight(format, &message.payload);
    // What we wrote ourselves unfolds to a few times its size, and never to more.
    let bytes = if is_intake(message) { weight.bytes } else { message.payload.len() };
    Weight { bytes, ..weight }
}

fn header<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    let found = message.headers.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.as_str())
}

fn format(message: &Message) -> Format {
    match header(message, FORMAT) {
        Some("csv") => Format::Csv,
        Some("arrow") => Format::Arrow,
        _ => Format::Json,
    }
}

fn is_intake(message: &Message) -> bool {
    message.subject.starts_with("intake.")
}

/// Lender and kind of a message of the intake.
fn addressed(message: &Message) -> (&str, &str) {
    let mut tokens = message.subject.split('.').skip(1);
    (tokens.next().unwrap_or_default(), tokens.next().unwrap_or_default())
}

fn intake(messages: &[(u32, &Message)], dialect: Option<&Dialect>) -> Decoded {
    let payloads: Vec<Buffer> =
        messages.iter().map(|(_, message)| Buffer::from(message.payload.clone())).collect();
    let parts: Vec<Part<'_>> = messages
        .iter()
        .zip(&payloads)
        .map(|((shard, message), payload)| {
            let (lender, _) = addressed(message);
            Part {
                seq: message.seq,
                shard: *shard,
                lender: if lender == NOBODY { "" } else { lender },
                format: format(message),
                first_row: header(message, ROW)
                    .and_then(|row| row.parse().ok())
                    .unwrap_or_default(),
                payload,
            }
        })
        .collect();
    match dialect {
        None => decode_all(&parts, &facts::CANONICAL),
        Some(dialect) => {
            let columns: Vec<&str> = dialect.columns.iter().map(String::as_str).collect();
            let raw = decode_all(&parts, &columns);
            Decoded { rows: dialect.apply(&raw.rows), unknown_fields: raw.unknown_fields }
        }
    }
}

/// The rows of a message that a stage of ours wrote, with their place.
fn own(message: &Message, shard: u32, takes: &SchemaRef) -> Result<Vec<RecordBatch>, LogError> {
    let mut row = 0;
    let mut placed_rows = vec![];
    for rows in rows::of(message)? {
        let first = row;
        row += rows.num_rows() as u32;
        placed_rows.push(placed(message, rows, takes, shard, first)?);
    }
    Ok(placed_rows)
}

/// The lender of a subject where the publisher names none.
pub const NOBODY: &str = "-";

/// Rows with the place where they stand, and the columns that a stage takes.
fn placed(
    message: &Message,
    rows: RecordBatch,
    takes: &SchemaRef,
    shard: u32,
    first: u32,
) -> Result<RecordBatch, LogError> {
    let count = rows.num_rows();
    let fitted = rows::fitted(message, rows, takes)?;
    let columns: Vec<ArrayRef> = takes
        .fields()
        .iter()
        .zip(fitted.columns())
        .map(|(field, column)| match field.name().as_str() {
            "shard" => Arc::new(UInt32Array::from(vec![shard; count])) as ArrayRef,
            "seq" => Arc::new(UInt64Array::from(vec![message.seq; count])),
            "row" => Arc::new(UInt32Array::from_iter_values(first..first + count as u32)),
            _ => Arc::clone(column),
        })
        .collect();
    RecordBatch::try_new(Arc::clone(takes), columns)
        .map_err(|error| rows::unreadable(message, &error.to_string()))
}
