//! Arrow IPC streams: columns cast to texts.
//!
//! Before a stream is opened its messages are measured: rows, and what compressed buffers say they
//! become. A stream that lies, or breaks anywhere, is one `bad_arrow` row with all of its bytes;
//! one that would unfold to more than we hold is one `too_large` row.
//!
//! Rows have no bytes of their own, so `raw` is null; `normalize` writes what a refused row said.

use std::sync::Arc;

use arrow::array::types::{
    ArrowTimestampType, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow::array::{
    AnyDictionaryArray, Array, ArrayRef, AsArray, BinaryViewArray, PrimitiveArray, StringArray,
    UInt32Array, UInt64Array, new_null_array,
};
use arrow::compute::{can_cast_types, cast, concat};
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

/// Whether a stream of these rows is read, and not refused for its size.
pub fn fits(rows: &RecordBatch, stream: &[u8]) -> bool {
    spelled_bytes(rows) <= UNFOLDED_BYTES_MAX && measure(stream).is_some_and(within)
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
    // Whatever is asked: what a message is does not depend on who reads it.
    if batches.iter().map(spelled_bytes).fold(0, usize::saturating_add) > UNFOLDED_BYTES_MAX {
        return Err(LARGE);
    }
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
    for name in columns {
        let parts: Vec<_> = batches.iter().map(|batch| texts(batch, name, columns)).collect();
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        arrays.push(match parts.as_slice() {
            [] => Arc::new(StringArray::new_null(0)),
            _ => concat(&parts).map_err(|_| BAD)?,
        });
    }
    RecordBatch::try_new(schema(columns), arrays).map_err(|_| BAD)
}

/// A column as texts; null where it is missing or has no text.
fn texts(batch: &RecordBatch, name: &str, columns: &[&str]) -> ArrayRef {
    let null = || new_null_array(&DataType::Utf8, batch.num_rows());
    let Some(column) = batch.column_by_name(name) else { return null() };
    let money = matches!(name, "principal" | "interest" | "penalty" | "fee" | "amount");
    if money && columns == facts::CANONICAL && column.data_type().is_floating() {
        // No floating point touches money (A11).
        return null();
    }
    spelled(column)
}

/// The texts of values; null where a value has none, all of them where the library asserts.
fn spelled(column: &ArrayRef) -> ArrayRef {
    let readable = can_cast_types(column.data_type(), &DataType::Utf8);
    if column.data_type().is_nested() || !readable {
        return new_null_array(&DataType::Utf8, column.len());
    }
    let texts = guarded(|| each_spelled(&in_utc(column)));
    texts.unwrap_or_else(|| new_null_array(&DataType::Utf8, column.len()))
}

fn each_spelled(column: &ArrayRef) -> ArrayRef {
    let null = |rows| new_null_array(&DataType::Utf8, rows);
    cast(column, &DataType::Utf8).unwrap_or_else(|_| {
        // An instant beyond all calendars takes no other with it.
        let one = |row| cast(&column.slice(row, 1), &DataType::Utf8).unwrap_or_else(|_| null(1));
        let each: Vec<ArrayRef> = (0..column.len()).map(one).collect();
        let each: Vec<&dyn Array> = each.iter().map(AsRef::as_ref).collect();
        concat(&each).unwrap_or_else(|_| null(column.len()))
    })
}

/// The bytes that texts become which are stored once and meant many times, at most.
fn spelled_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(unfolded).fold(0, usize::saturating_add)
}

fn unfolded(column: &ArrayRef) -> usize {
    match column.data_type() {
        DataType::Utf8View => {
            column.as_string_view().views().iter().map(|view| *view as u32 as usize).sum()
        }
        DataType::BinaryView => {
            column.as_binary_view().views().iter().map(|view| *view as u32 as usize).sum()
        }
        _ => encoded(column).map_or(0, |values| {
            let texts = spelled(values);
            let longest = texts.as_string::<i32>().iter().flatten().map(str::len).max();
            longest.unwrap_or(0).saturating_mul(column.len())
        }),
    }
}

/// The values that a dictionary or runs refer to.
fn encoded(column: &ArrayRef) -> Option<&ArrayRef> {
    let dictionary = column.as_any_dictionary_opt().map(AnyDictionaryArray::values);
    let dictionary = dictionary.or_else(|| Some(column.as_run_opt::<Int16Type>()?.values()));
    let dictionary = dictionary.or_else(|| Some(column.as_run_opt::<Int32Type>()?.values()));
    dictionary.or_else(|| Some(column.as_run_opt::<Int64Type>()?.values()))
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
