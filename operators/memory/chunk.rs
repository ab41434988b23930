//! A run of rows as they came, and which of them still count.
//!
//! The rows never change, so readers share them; only the map of live rows does.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::compute::filter_record_batch;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;

use super::digest::hash_rows;

/// Chunks of fewer rows are merged with their like; one of as many bytes is left as it is.
const ROWS: [usize; 4] = [16, 256, 4_096, 16_384];
const BYTES_LARGE: usize = 64 << 20;

/// Class of a chunk that is not merged any more.
pub(super) const LARGE: usize = ROWS.len();

pub(super) struct Chunk {
    rows: RecordBatch,
    keys: Vec<KeyColumn>,
    /// One bit per row, set while the row counts. Empty: every row does.
    live: Vec<u8>,
    dead: usize,
    bytes: usize,
}

impl Chunk {
    pub(super) fn new(rows: RecordBatch, key: &[usize]) -> Self {
        let keys = key.iter().map(|column| KeyColumn::new(rows.column(*column))).collect();
        let sizes = rows
            .columns()
            .iter()
            .map(|column| column.to_data().get_slice_memory_size().unwrap_or_default());
        let bytes = sizes.sum();
        Chunk { rows, keys, live: Vec::new(), dead: 0, bytes }
    }

    pub(super) fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    pub(super) fn len(&self) -> usize {
        self.rows.num_rows()
    }

    /// How many rows still count.
    pub(super) fn live(&self) -> usize {
        self.len() - self.dead
    }

    pub(super) fn size(&self) -> usize {
        self.bytes + self.live.capacity()
    }

    /// Small chunks have a low class.
    pub(super) fn class(&self) -> usize {
        if self.bytes >= BYTES_LARGE {
            return LARGE;
        }
        ROWS.iter().filter(|rows| self.len() >= **rows).count()
    }

    pub(super) fn counts(&self, row: usize) -> bool {
        self.live.is_empty() || self.live[row / 8] & (1 << (row % 8)) != 0
    }

    /// A newer row has taken the place of this one.
    pub(super) fn supersede(&mut self, row: u32) {
        let row = row as usize;
        assert!(self.counts(row), "a row is superseded only once");
        if self.live.is_empty() {
            self.live = vec![u8::MAX; self.len().div_ceil(8)];
        }
        self.live[row / 8] &= !(1 << (row % 8));
        self.dead += 1;
    }

    /// The map of live rows, where not every row counts.
    pub(super) fn map(&self) -> Option<BooleanBuffer> {
        let buffer = || Buffer::from_slice_ref(&self.live);
        (self.dead > 0).then(|| BooleanBuffer::new(buffer(), 0, self.len()))
    }

    /// One hash per row over the key's values.
    pub(super) fn hashes(&self, key: &[usize]) -> Vec<u64> {
        let columns: Vec<ArrayRef> =
            key.iter().map(|column| self.rows.column(*column).clone()).collect();
        hash_rows(&columns, self.len())
    }

    /// Whether two rows have the same key. Absent equals absent, and nothing else.
    pub(super) fn same(&self, row: usize, other: &Chunk, other_row: usize) -> bool {
        let mut pairs = self.keys.iter().zip(&other.keys);
        pairs.all(|(mine, theirs)| mine.same(row, theirs, other_row))
    }
}

/// The rows of a batch that still count.
pub(super) fn living(rows: &RecordBatch, map: Option<BooleanBuffer>) -> RecordBatch {
    let Some(map) = map else {
        return rows.clone();
    };
    match filter_record_batch(rows, &BooleanArray::new(map, None)) {
        Ok(kept) => kept,
        Err(error) => panic!("a map of live rows has one bit per row: {error}"),
    }
}

/// A column of the key, ready to be compared row by row.
enum KeyColumn {
    Text(StringArray),
    Words { values: Buffer, start: usize, width: usize, nulls: Option<NullBuffer> },
}

impl KeyColumn {
    fn new(column: &ArrayRef) -> Self {
        if *column.data_type() == DataType::Utf8 {
            return KeyColumn::Text(column.as_string::<i32>().clone());
        }
        let Some(width) = column.data_type().primitive_width() else {
            panic!("a key is a text or has a fixed width, not {}", column.data_type());
        };
        let data = column.to_data();
        let start = data.offset() * width;
        let nulls = column.nulls().cloned();
        KeyColumn::Words { values: data.buffers()[0].clone(), start, width, nulls }
    }

    fn same(&self, row: usize, other: &KeyColumn, other_row: usize) -> bool {
        match (self.absent(row), other.absent(other_row)) {
            (false, false) => self.bytes(row) == other.bytes(other_row),
            (mine, theirs) => mine && theirs,
        }
    }

    fn absent(&self, row: usize) -> bool {
        match self {
            KeyColumn::Text(texts) => texts.is_null(row),
            KeyColumn::Words { nulls, .. } => {
                nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
            }
        }
    }

    fn bytes(&self, row: usize) -> &[u8] {
        match self {
            KeyColumn::Text(texts) => texts.value(row).as_bytes(),
            KeyColumn::Words { values, start, width, .. } => {
                &values.as_slice()[start + row * width..][..*width]
            }
        }
    }
}
