//! A text column under construction: bytes, where each text ends, and which are null.
//!
//! Appending a text is one copy; nothing is allocated per row.

use std::sync::Arc;

use arrow::array::{ArrayRef, NullBufferBuilder, StringArray, new_null_array};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::DataType;

/// A step has some hundred thousand rows, and no text of a record more than a kilobyte. What speaks
/// of all loans of a shard at once would need fifty million of them.
const BELOW: &str = "a column of text is below 2 GiB";

/// Texts in row order.
pub(crate) struct Texts {
    bytes: Vec<u8>,
    ends: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Texts {
    pub(crate) fn with_capacity(rows: usize, bytes: usize) -> Self {
        let mut ends = Vec::with_capacity(rows + 1);
        ends.push(0);
        Texts { bytes: Vec::with_capacity(bytes), ends, nulls: NullBufferBuilder::new(rows) }
    }

    #[inline]
    pub(crate) fn push(&mut self, text: &str) {
        self.push_bytes(text.as_bytes());
    }

    /// The same text in some rows, one after the other.
    #[inline]
    pub(crate) fn push_times(&mut self, text: Option<&str>, times: usize) {
        let Some(text) = text else {
            self.ends.resize(self.ends.len() + times, self.bytes.len() as i32);
            self.nulls.append_n_nulls(times);
            return;
        };
        self.bytes.reserve(text.len() * times);
        for _ in 0..times {
            self.bytes.extend_from_slice(text.as_bytes());
            self.ends.push(self.bytes.len() as i32);
        }
        self.nulls.append_n_non_nulls(times);
    }

    /// The caller knows that the bytes are UTF-8; [`Texts::finish`] checks.
    #[inline]
    pub(crate) fn push_bytes(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.end(true);
    }

    #[inline]
    pub(crate) fn push_null(&mut self) {
        self.end(false);
    }

    pub(crate) fn push_option(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.push(text),
            None => self.push_null(),
        }
    }

    #[inline]
    fn end(&mut self, valid: bool) {
        self.ends.push(self.bytes.len() as i32);
        self.nulls.append(valid);
    }

    pub(crate) fn finish(mut self) -> ArrayRef {
        let rows = self.ends.len() - 1;
        assert!(self.bytes.len() <= i32::MAX as usize, "{BELOW}");
        let ends = OffsetBuffer::new(ScalarBuffer::from(self.ends));
        let bytes = Buffer::from_vec(self.bytes);
        match StringArray::try_new(ends, bytes, self.nulls.finish()) {
            Ok(texts) => Arc::new(texts),
            // Not UTF-8 after all: no text is better than a text nobody wrote.
            Err(_) => new_null_array(&DataType::Utf8, rows),
        }
    }
}

/// The same text in every row, or null in every row where it is empty.
pub(crate) fn constant(text: &str, rows: usize) -> ArrayRef {
    assert!(text.len().saturating_mul(rows) <= i32::MAX as usize, "{BELOW}");
    if text.is_empty() {
        return new_null_array(&DataType::Utf8, rows);
    }
    let ends = OffsetBuffer::from_repeated_length(text.len(), rows);
    let bytes = Buffer::from_vec(text.as_bytes().repeat(rows));
    match StringArray::try_new(ends, bytes, None) {
        Ok(texts) => Arc::new(texts),
        Err(_) => new_null_array(&DataType::Utf8, rows),
    }
}
