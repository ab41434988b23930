//! Rows that could not be used: where they stood, why, and their bytes, sealed.

use std::sync::Arc;

use arrow::array::{Array, BinaryBuilder, UInt32Builder, UInt64Builder};
use arrow::record_batch::RecordBatch;

use super::STREAM;
use super::record::Records;
use super::source::Sources;
use crate::facts;
use crate::rules::Keys;
use crate::seal::{Place, seal};
use crate::texts::Texts;

/// The most bytes of a record that its refusal keeps, for a row must fit a message of the log.
/// What is longer stays in the intake, where `source` says.
const RAW_MAX: usize = 256 << 10;

pub(super) struct Refusals<'a> {
    /// Without keys the bytes stay where they are: in the user's own file.
    keys: Option<&'a Keys>,
    shard: UInt32Builder,
    seq: UInt64Builder,
    row: UInt32Builder,
    lender: Texts,
    reason: Texts,
    source: Texts,
    sources: Sources,
    raw: BinaryBuilder,
}

impl<'a> Refusals<'a> {
    pub(super) fn new(keys: Option<&'a Keys>) -> Self {
        Refusals {
            keys,
            shard: UInt32Builder::new(),
            seq: UInt64Builder::new(),
            row: UInt32Builder::new(),
            lender: Texts::with_capacity(0, 0),
            reason: Texts::with_capacity(0, 0),
            source: Texts::with_capacity(0, 0),
            sources: Sources::default(),
            raw: BinaryBuilder::new(),
        }
    }

    pub(super) fn push(&mut self, records: &Records, row: usize, reason: &str) {
        let place =
            Place { stream: STREAM, seq: records.seq.value(row), row: records.row.value(row) };
        self.shard.append_value(records.shard.value(row));
        self.seq.append_value(place.seq);
        self.row.append_value(place.row);
        self.lender.push_option(records.lender(row));
        self.reason.push(reason);
        self.source.push(self.sources.name(place.seq, place.row));
        let Some(keys) = self.keys else {
            self.raw.append_null();
            return;
        };
        let text = if records.raw.is_null(row) { written(records, row) } else { String::new() };
        let bytes = if records.raw.is_null(row) { text.as_bytes() } else { records.raw.value(row) };
        match bytes.len() {
            0..=RAW_MAX => self.raw.append_value(seal(keys, place, bytes)),
            _ => self.raw.append_null(),
        }
    }

    pub(super) fn finish(mut self) -> RecordBatch {
        let schema = facts::refused();
        let columns: Vec<arrow::array::ArrayRef> = vec![
            Arc::new(self.shard.finish()),
            Arc::new(self.seq.finish()),
            Arc::new(self.row.finish()),
            self.lender.finish(),
            self.reason.finish(),
            self.source.finish(),
            Arc::new(self.raw.finish()),
        ];
        let batch = RecordBatch::try_new(schema.clone(), columns);
        assert!(batch.is_ok(), "refusals fit their own columns");
        batch.unwrap_or_else(|_| RecordBatch::new_empty(schema))
    }
}

/// A row without bytes of its own (it came as Arrow) as a JSON object of its texts.
fn written(records: &Records, row: usize) -> String {
    let texts = facts::CANONICAL.iter().zip(&records.texts);
    let object: serde_json::Map<String, serde_json::Value> = texts
        .filter(|(_, texts)| !texts.is_null(row))
        .map(|(name, texts)| (String::from(*name), texts.value(row).into()))
        .collect();
    serde_json::Value::Object(object).to_string()
}
