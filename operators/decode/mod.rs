//! Messages become rows of texts.
//!
//! [`decode`] takes one message of the intake and the columns that a dialect asks for, and answers
//! with one row per record: where it stands, whose it is, its own bytes, and a text for each
//! column. What a field means is decided later, by the dialect's `SELECT` and by `normalize`.
//!
//! - **JSON**: one record per line that is not blank; or one array of objects; or one object over
//!   several lines. A record that is not one JSON object is `bad_json`, alone: the lines around
//!   it are read. Of a repeated key the last one counts. Unknown fields are counted.
//! - **CSV**: the first line names the columns; an empty field is null. A record with another
//!   number of fields, or that is not UTF-8, is `bad_csv`, alone.
//! - **Arrow**: an IPC stream, lz4 or zstd or plain. A stream that cannot be read to its end is
//!   one `bad_arrow` row, one of too many rows or bytes once unfolded one `too_large` row. A value
//!   that has no text, as an instant beyond all calendars, is null alone. Parquet is read by
//!   `load`, which sends it on as Arrow.
//!
//! `row` is the line on which a record begins, counted from the part's `first_row` (in an array or
//! an Arrow stream, the record's number): where the part was cut from a file, its line there.
//!
//! For the canonical dialect (`columns` is [`facts::CANONICAL`]) JSON types matter: money that is
//! not a string is null, days past due that are not an integer are null, nested values are null.
//! For other dialects every scalar becomes its text and a nested value its JSON.
//!
//! No input panics, and none makes more than a fixed multiple of its own size: depth is walked
//! without recursion, compressed buffers are measured before they are opened.

mod columnar;
mod csv;
mod guarded;
mod json;
mod measure;
mod scan;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::buffer::Buffer;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use crate::facts;
pub use columnar::fits;
pub use guarded::guarded;
pub use measure::{measure, plausible};
use table::Table;

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Csv,
    Arrow,
}

/// One message of the intake.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Its sequence in the stream.
    pub seq: u64,
    pub shard: u32,
    /// The lender that the subject names; empty if it names none.
    pub lender: &'a str,
    pub format: Format,
    /// What the first line of the payload is called: 0, or its line number in a file.
    pub first_row: u32,
    /// Rows point into it, so it is shared and not copied.
    pub payload: &'a Buffer,
}

/// The records of a message.
#[derive(Debug)]
pub struct Decoded {
    /// With the columns of [`schema`].
    pub rows: RecordBatch,
    /// How many fields were read past because nobody asked for them.
    pub unknown_fields: u64,
}

/// The most rows that one Arrow message may hold.
pub const ROWS_MAX: usize = 1 << 17;
/// The most bytes that one Arrow message may unfold to: compressed buffers and dictionaries are
/// measured, so that a bomb is a refused row.
pub const UNFOLDED_BYTES_MAX: usize = 64 << 20;

/// How much a payload becomes when it is read, at most: what steps are cut by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    pub rows: usize,
    pub bytes: usize,
}

/// Measures a payload without reading it.
pub fn weight(format: Format, payload: &[u8]) -> Weight {
    let least = Weight { rows: 1, bytes: payload.len() };
    if format == Format::Arrow {
        let found = measure(payload).unwrap_or(least);
        // What is beyond its limit is refused unread.
        let bytes = if found.bytes > UNFOLDED_BYTES_MAX { 0 } else { found.bytes };
        return Weight { rows: found.rows.min(ROWS_MAX), bytes: bytes.max(payload.len()) };
    }
    let array = payload.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let mark = if array { b'{' } else { b'\n' };
    Weight { rows: 1 + memchr::memchr_iter(mark, payload).count(), ..least }
}

/// The most bytes of a payload; views and offsets into it are 32 bit.
const PAYLOAD_BYTES_MAX: usize = i32::MAX as usize;

/// The columns of [`Decoded::rows`]: shard, seq, row, lender, bad, raw, and what was asked for.
pub fn schema(columns: &[&str]) -> SchemaRef {
    let place = facts::canonical();
    let mut fields: Vec<_> = place.fields()[..table::PLACE_COLUMNS].to_vec();
    fields.extend(columns.iter().map(|name| Arc::new(Field::new(*name, DataType::Utf8, true))));
    Arc::new(Schema::new(fields))
}

/// The records of a message, in order. Never fails: what cannot be read is a row with a reason.
pub fn decode(part: &Part, columns: &[&str]) -> Decoded {
    decode_all(std::slice::from_ref(part), columns)
}

/// The records of several messages in one batch, in order: where a message holds a single record,
/// this is what makes many of them cheap. Together they are below 2 GiB.
pub fn decode_all(parts: &[Part], columns: &[&str]) -> Decoded {
    let bytes = parts.iter().map(|part| part.payload.len()).fold(0, usize::saturating_add);
    assert!(parts.len() < 2 || bytes <= PAYLOAD_BYTES_MAX, "a step reads less than 2 GiB");
    let mut table = Table::new(columns, bytes);
    let mut pieces = Vec::new();
    for part in parts {
        if part.format == Format::Arrow {
            let before = std::mem::replace(&mut table, Table::new(columns, 0));
            pieces.push(before.finish());
            pieces.push(columnar::read(part, columns));
            continue;
        }
        table.open(part);
        if part.payload.len() > PAYLOAD_BYTES_MAX {
            table.refuse("too_large", 0, None);
        } else if part.format == Format::Csv {
            csv::read(&mut table);
        } else {
            json::read(&mut table);
        }
    }
    pieces.push(table.finish());
    pieces.retain(|piece| piece.rows.num_rows() > 0 || piece.unknown_fields > 0);
    joined(pieces, columns)
}

fn joined(mut pieces: Vec<Decoded>, columns: &[&str]) -> Decoded {
    if pieces.len() == 1 {
        return pieces.swap_remove(0);
    }
    let schema = schema(columns);
    let rows = concat_batches(&schema, pieces.iter().map(|piece| &piece.rows));
    assert!(rows.is_ok(), "what is read of one dialect has one schema");
    let rows = rows.unwrap_or_else(|_| RecordBatch::new_empty(schema));
    Decoded { rows, unknown_fields: pieces.iter().map(|piece| piece.unknown_fields).sum() }
}
