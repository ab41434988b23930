//! Columns of a batch by name, forgiving what is absent: a missing column is a column of nulls.
//!
//! And the exact numbers that reference data writes as text: rates in millionths.

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray, StringArray,
};
use arrow::record_batch::RecordBatch;

/// A text column.
pub struct Texts<'a>(Option<&'a StringArray>);

impl<'a> Texts<'a> {
    pub fn of(batch: &'a RecordBatch, name: &str) -> Self {
        Texts(batch.column_by_name(name).and_then(|column| column.as_any().downcast_ref()))
    }

    pub fn get(&self, row: usize) -> Option<&'a str> {
        let column = self.0?;
        (row < column.len() && !column.is_null(row)).then(|| column.value(row))
    }

    /// The text, empty where there is none.
    pub fn text(&self, row: usize) -> &'a str {
        self.get(row).unwrap_or("")
    }
}

/// A column of numbers: integers, instants, days, decimals.
pub struct Numbers<'a, T: ArrowPrimitiveType>(Option<&'a PrimitiveArray<T>>);

impl<'a, T: ArrowPrimitiveType> Numbers<'a, T> {
    pub fn of(batch: &'a RecordBatch, name: &str) -> Self {
        Numbers(batch.column_by_name(name).and_then(|column| column.as_any().downcast_ref()))
    }

    pub fn get(&self, row: usize) -> Option<T::Native> {
        let column = self.0?;
        (row < column.len() && !column.is_null(row)).then(|| column.value(row))
    }

    pub fn number(&self, row: usize) -> T::Native {
        self.get(row).unwrap_or_default()
    }
}

/// A column of truths; absent is false.
pub struct Truths<'a>(Option<&'a BooleanArray>);

impl<'a> Truths<'a> {
    pub fn of(batch: &'a RecordBatch, name: &str) -> Self {
        Truths(batch.column_by_name(name).and_then(|column| column.as_any().downcast_ref()))
    }

    pub fn holds(&self, row: usize) -> bool {
        self.0.is_some_and(|column| row < column.len() && !column.is_null(row) && column.value(row))
    }
}

/// Money as cents; what does not fit 64 bits is no money.
pub fn cents(value: Option<i128>) -> Option<i64> {
    value.and_then(|value| i64::try_from(value).ok())
}

/// The parts of a `|`-separated list, trimmed; an empty text has none.
pub fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split('|').map(str::trim).filter(|part| !part.is_empty())
}

/// A decimal text in millionths, rounded half away from zero beyond the sixth digit.
pub fn millionths(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && part.is_empty() || !plain(whole) || !plain(part) || whole.len() > 6 {
        return None;
    }
    let mut value = whole.bytes().fold(0_i64, |sum, byte| sum * 10 + i64::from(byte - b'0'));
    for place in 0..6 {
        let digit = part.as_bytes().get(place).map_or(0, |byte| i64::from(byte - b'0'));
        value = value * 10 + digit;
    }
    if part.as_bytes().get(6).is_some_and(|byte| *byte >= b'5') {
        value += 1;
    }
    Some(if negative { -value } else { value })
}

/// Rounds a quotient half away from zero.
pub fn divide_half_away(value: i128, by: i128) -> i128 {
    let half = by / 2;
    if value < 0 { (value - half) / by } else { (value + half) / by }
}

/// A column of a saved table by its place, or nothing if its type is another.
pub fn saved<T: 'static + Clone>(table: &RecordBatch, index: usize) -> Option<T> {
    let column: &ArrayRef = table.columns().get(index)?;
    column.as_any().downcast_ref::<T>().cloned()
}
