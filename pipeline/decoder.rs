//! From a message to rows with their place in the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, UInt32Array, UInt64Array};
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use recoup_operators::decode::{Format, Part, decode};
use recoup_operators::facts;
use recoup_sql::{Dialect, Mistake, Source, shaped};

use crate::log::Message;
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

    /// The rows of a message for a shard, with the columns that the stage takes.
    pub fn rows(&self, message: &Message, shard: u32, takes: &SchemaRef) -> Vec<RecordBatch> {
        if message.subject.starts_with("intake.") {
            return vec![shaped(&self.intake(message, shard), takes)];
        }
        let mut row = 0;
        let batches = rows::decode(&message.payload).unwrap_or_default();
        let placed = batches.into_iter().map(|batch| {
            let first = row;
            row += batch.num_rows() as u32;
            placed(&batch, takes, shard, message.seq, first)
        });
        placed.collect()
    }

    fn intake(&self, message: &Message, shard: u32) -> RecordBatch {
        let header = |name: &str| {
            message.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
        };
        let mut tokens = message.subject.split('.').skip(1);
        let lender = tokens.next().unwrap_or_default();
        let kind = tokens.next().unwrap_or_default();
        let format = match header(FORMAT) {
            Some("csv") => Format::Csv,
            Some("arrow") => Format::Arrow,
            _ => Format::Json,
        };
        let payload = Buffer::from(message.payload.clone());
        let part = Part {
            seq: message.seq,
            shard,
            lender: if lender == NOBODY { "" } else { lender },
            format,
            first_row: header(ROW).and_then(|row| row.parse().ok()).unwrap_or_default(),
            payload: &payload,
        };
        let dialect =
            self.dialects.get(&format!("{lender}.{kind}")).or_else(|| self.dialects.get(lender));
        match dialect {
            None => decode(&part, &facts::CANONICAL).rows,
            Some(dialect) => {
                let columns: Vec<&str> = dialect.columns.iter().map(String::as_str).collect();
                dialect.apply(&decode(&part, &columns).rows)
            }
        }
    }
}

/// The lender of a subject where the publisher names none.
pub const NOBODY: &str = "-";

/// Rows with the place where they stand, and the columns that a stage takes.
fn placed(rows: &RecordBatch, takes: &SchemaRef, shard: u32, seq: u64, first: u32) -> RecordBatch {
    let count = rows.num_rows();
    let shaped = shaped(rows, takes);
    let columns: Vec<ArrayRef> = takes
        .fields()
        .iter()
        .zip(shaped.columns())
        .map(|(field, column)| match field.name().as_str() {
            "shard" => Arc::new(UInt32Array::from(vec![shard; count])) as ArrayRef,
            "seq" => Arc::new(UInt64Array::from(vec![seq; count])),
            "row" => Arc::new(UInt32Array::from_iter_values(first..first + count as u32)),
            _ => Arc::clone(column),
        })
        .collect();
    RecordBatch::try_new(Arc::clone(takes), columns)
        .unwrap_or_else(|_| RecordBatch::new_empty(Arc::clone(takes)))
}
