//! A running digest of rows: what replay and recovery are checked by.
//!
//! A row's hash runs over its values, column by column; the digest chains the rows in their order.
//! So it does not see how the rows were cut into batches, compressed or encoded (A17), and it does
//! see every value, every absence of one, and the order of rows and columns.
//! It guards against mistakes, not against an adversary.

use arrow::array::{Array, ArrayRef, AsArray, GenericByteArray};
use arrow::compute::cast;
use arrow::datatypes::{ByteArrayType, DataType};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::{fold, hash_bytes};

const ROW: u64 = 0xa076_1d64_78bd_642f;
const VALUE: u64 = 0xe703_7ed1_a0b4_28db;
const ABSENT: u64 = 0x8ebc_6af0_9c88_c6e3;
const CHAIN: u64 = 0x5899_65cc_7537_4cc3;

/// The digest after `rows`, given the digest before them; it starts at 0.
pub fn digest(rows: &RecordBatch, state: u64) -> u64 {
    let hashes = hash_rows(rows.columns(), rows.num_rows());
    hashes.iter().fold(state, |state, row| fold(state ^ row, CHAIN))
}

/// One hash per row over the values of these columns.
pub(super) fn hash_rows(columns: &[ArrayRef], rows: usize) -> Vec<u64> {
    let mut hashes = vec![ROW; rows];
    for column in columns {
        mix(column, &mut hashes);
    }
    hashes
}

fn mix(column: &ArrayRef, hashes: &mut [u64]) {
    match column.data_type() {
        DataType::Null => hashes.iter_mut().for_each(|hash| *hash = absent(*hash)),
        DataType::Boolean => {
            let values = column.as_boolean().values();
            each(column, hashes, |row| u64::from(values.value(row)));
        }
        DataType::Utf8 => mix_bytes(column.as_string::<i32>(), column, hashes),
        DataType::LargeUtf8 => mix_bytes(column.as_string::<i64>(), column, hashes),
        DataType::Binary => mix_bytes(column.as_binary::<i32>(), column, hashes),
        DataType::LargeBinary => mix_bytes(column.as_binary::<i64>(), column, hashes),
        DataType::Utf8View => {
            let texts = column.as_string_view();
            each(column, hashes, |row| hash_bytes(texts.value(row).as_bytes()));
        }
        DataType::BinaryView => {
            let bytes = column.as_binary_view();
            each(column, hashes, |row| hash_bytes(bytes.value(row)));
        }
        kind => match kind.primitive_width() {
            Some(width) => mix_words(column, width, hashes),
            None => mix_other(column, hashes),
        },
    }
}

fn mix_bytes<T: ByteArrayType>(
    values: &GenericByteArray<T>,
    column: &ArrayRef,
    hashes: &mut [u64],
) {
    each(column, hashes, |row| {
        let value: &[u8] = values.value(row).as_ref();
        hash_bytes(value)
    });
}

/// Values of a fixed width: numbers, dates, instants, decimals.
fn mix_words(column: &ArrayRef, width: usize, hashes: &mut [u64]) {
    let data = column.to_data();
    let values = &data.buffers()[0].as_slice()[data.offset() * width..];
    match width {
        4 => each(column, hashes, |row| {
            let (words, _) = values.as_chunks::<4>();
            u64::from(u32::from_le_bytes(words[row]))
        }),
        8 => each(column, hashes, |row| {
            let (words, _) = values.as_chunks::<8>();
            u64::from_le_bytes(words[row])
        }),
        16 => each(column, hashes, |row| {
            let (words, _) = values.as_chunks::<16>();
            let word = u128::from_le_bytes(words[row]);
            fold(word as u64 ^ ROW, (word >> 64) as u64 ^ CHAIN)
        }),
        _ => each(column, hashes, |row| hash_bytes(&values[row * width..][..width])),
    }
}

/// Columns that no fact has today: dictionaries by their values, nested ones by their text.
fn mix_other(column: &ArrayRef, hashes: &mut [u64]) {
    if let DataType::Dictionary(_, kind) = column.data_type()
        && let Ok(plain) = cast(column, kind)
    {
        return mix(&plain, hashes);
    }
    let options = FormatOptions::default();
    let texts = ArrayFormatter::try_new(column.as_ref(), &options).ok();
    each(column, hashes, |row| {
        let text = texts.as_ref().map(|texts| texts.value(row).to_string());
        hash_bytes(text.unwrap_or_default().as_bytes())
    });
}

/// Takes one column's word of each row into the row's hash; an absent value is unlike any value.
fn each(column: &ArrayRef, hashes: &mut [u64], word: impl Fn(usize) -> u64) {
    let Some(nulls) = column.nulls().filter(|nulls| nulls.null_count() > 0) else {
        for (row, hash) in hashes.iter_mut().enumerate() {
            *hash = fold(*hash ^ word(row), VALUE);
        }
        return;
    };
    for (row, hash) in hashes.iter_mut().enumerate() {
        *hash = if nulls.is_null(row) { absent(*hash) } else { fold(*hash ^ word(row), VALUE) };
    }
}

fn absent(hash: u64) -> u64 {
    fold(hash ^ ABSENT, ABSENT)
}
