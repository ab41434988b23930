//! Arrow IPC streams: columns cast to texts.
//!
//! Before a stream is opened its messages are measured: rows, and what compressed buffers say they
//! become. A stream that lies, or breaks anywhere, is one `bad_arrow` row with all of its bytes;
//! one that would unfold to more than we hold is one `too_large` row.
//!
//! Rows have no bytes of their own, so `raw` is null; `normalize` writes what a refused row said.

use std::sync::Arc;

use arrow::array::types::{
    ArrowTimestampType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, PrimitiveArray, StringArray, UInt32Array,
    UInt64Array, new_null_array,
};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::ipc::reader::StreamDecoder;
use arrow::record_batch::RecordBatch;

use super::guarded::guarded;
use super::measure::measure;
use super::table::{PLACE_COLUMNS, Table};
use super::{Decoded, Part, ROWS_MAX, UNFOLDED_BYTES_MAX, Weight, schema};
use crate::facts;
use crate::texts::constant;

/// Why there are no rows.
const BAD: &str = "bad_arrow";
const LARGE: &str = "too_large";

pub(super) fn read(part: &Part, columns: &[&str]) -> Decoded {
    let reason = match guarded(|| open(part, columns)) {
        Some(Ok(decoded)) => return decoded,
        Some(Err(reason)) => reason,
        None => BAD,
    };
    let mut table = Table::new(columns, 0);
    table.open(part);
    table.refuse(reason, 0, Some(0..part.payload.len()));
    table.finish()
}

/// Whether a stream of these rows is read, and not refused for its size, whatever is asked of it.
pub fn fits(rows: &RecordBatch, stream: &[u8]) -> bool {
    let texts = rows.columns().iter().filter(|column| !column.data_type().is_nested());
    let texts = texts.filter_map(unfolded).fold(0, usize::saturating_add);
    texts <= UNFOLDED_BYTES_MAX && measure(stream).is_some_and(within)
}

fn within(weight: Weight) -> bool {
    weight.rows <= ROWS_MAX && weight.bytes <= UNFOLDED_BYTES_MAX
}

fn open(part: &Part, columns: &[&str]) -> Result<Decoded, &'static str> {
    if !within(measure(part.payload).ok_or(BAD)?) {
        return Err(LARGE);
    }
    let mut decoder = StreamDecoder::new();
    let mut rest = part.payload.clone();
    let mut batches = Vec::new();
    while !rest.is_empty() {
        let left = rest.len();
        if let Some(batch) = decoder.decode(&mut rest).map_err(|_| BAD)? {
            batches.push(batch);
        } else if rest.len() == left {
            break;
        }
    }
    decoder.finish().map_err(|_| BAD)?;
    let unknown: usize = batches.iter().map(|batch| unknown(batch, columns)).sum();
    let rows = gather(part, columns, &batches)?;
    Ok(Decoded { rows, unknown_fields: unknown as u64 })
}

fn unknown(batch: &RecordBatch, columns: &[&str]) -> usize {
    let schema = batch.schema();
    let asked = |name: &str| columns.contains(&name) || name == "event_type";
    schema.fields().iter().filter(|field| !asked(field.name())).count() * batch.num_rows()
}

fn gather(
    part: &Part,
    columns: &[&str],
    batches: &[RecordBatch],
) -> Result<RecordBatch, &'static str> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let places = (0..rows as u32).map(|row| part.first_row.saturating_add(row));
    let mut arrays: Vec<ArrayRef> = vec![
        Arc::new(UInt32Array::from_value(part.shard, rows)),
        Arc::new(UInt64Array::from_value(part.seq, rows)),
        Arc::new(UInt32Array::from_iter_values(places)),
        constant(part.lender, rows),
    ];
    arrays.push(new_null_array(&DataType::Utf8, rows));
    arrays.push(Arc::new(BinaryViewArray::new_null(rows)));
    assert!(arrays.len() == PLACE_COLUMNS, "the columns of a place stand first");
    let mut room = UNFOLDED_BYTES_MAX;
    for name in columns {
        let mut parts = Vec::new();
        for batch in batches {
            parts.push(texts(batch, name, columns, &mut room)?);
        }
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        arrays.push(match parts.as_slice() {
            [] => Arc::new(StringArray::new_null(0)),
            _ => concat(&parts).map_err(|_| BAD)?,
        });
    }
    RecordBatch::try_new(schema(columns), arrays).map_err(|_| BAD)
}

/// A column as texts; null where it is missing or has no text. What it unfolds to is taken from
/// the room that the whole message has.
fn texts(
    batch: &RecordBatch,
    name: &str,
    columns: &[&str],
    room: &mut usize,
) -> Result<ArrayRef, &'static str> {
    let rows = batch.num_rows();
    let null = || Ok(new_null_array(&DataType::Utf8, rows));
    let Some(column) = batch.column_by_name(name) else { return null() };
    if column.data_type().is_nested() {
        return null();
    }
    let becomes = unfolded(column).ok_or(BAD)?;
    *room = room.checked_sub(becomes).ok_or(LARGE)?;
    let money = matches!(name, "principal" | "interest" | "penalty" | "fee" | "amount");
    if money && columns == facts::CANONICAL && column.data_type().is_floating() {
        // No floating point touches money (A11).
        return null();
    }
    let column = in_utc(column);
    cast(&column, &DataType::Utf8).or_else(|_| null())
}

/// The bytes that a column's texts become, at most.
fn unfolded(column: &ArrayRef) -> Option<usize> {
    match column.data_type() {
        DataType::Utf8View => {
            Some(column.as_string_view().views().iter().map(|view| *view as u32 as usize).sum())
        }
        DataType::BinaryView => {
            Some(column.as_binary_view().views().iter().map(|view| *view as u32 as usize).sum())
        }
        DataType::Dictionary(_, _) => {
            let values = column.as_any_dictionary_opt()?.values();
            let texts = cast(values, &DataType::LargeUtf8).ok()?;
            let texts = texts.as_string::<i64>();
            let longest = texts.iter().flatten().map(str::len).max().unwrap_or(0);
            longest.checked_mul(column.len())
        }
        DataType::RunEndEncoded(_, _) => None,
        _ => Some(0),
    }
}

/// Instants as UTC: one without a zone is taken to be in it.
fn in_utc(column: &ArrayRef) -> ArrayRef {
    let DataType::Timestamp(unit, _) = column.data_type() else { return Arc::clone(column) };
    match unit {
        TimeUnit::Second => zoned::<TimestampSecondType>(column),
        TimeUnit::Millisecond => zoned::<TimestampMillisecondType>(column),
        TimeUnit::Microsecond => zoned::<TimestampMicrosecondType>(column),
        TimeUnit::Nanosecond => zoned::<TimestampNanosecondType>(column),
    }
}

fn zoned<T: ArrowTimestampType>(column: &ArrayRef) -> ArrayRef {
    let instants: &PrimitiveArray<T> = column.as_primitive();
    Arc::new(instants.clone().with_timezone("+00:00"))
}
