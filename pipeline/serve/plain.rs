//! Decimals as the text of a file.
//!
//! A batch writes millions of amounts. The general formatter allocates for each of them, which was
//! a fifth of a batch's time; this writes a whole column into one buffer. The text is the same.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, StringArray};
use datafusion::arrow::buffer::{Buffer, OffsetBuffer};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;

/// The rows with every decimal as its text.
pub(super) fn written(rows: &RecordBatch) -> RecordBatch {
    let plain = |(field, column): (&Arc<Field>, &ArrayRef)| match field.data_type() {
        DataType::Decimal128(_, scale @ 0..) => {
            let texts: ArrayRef = Arc::new(texts(column.as_primitive(), *scale as usize));
            (Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)), texts)
        }
        _ => (Arc::clone(field), Arc::clone(column)),
    };
    let schema = rows.schema();
    let (fields, columns): (Vec<_>, Vec<_>) =
        schema.fields().iter().zip(rows.columns()).map(plain).unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap_or_else(|_| rows.clone())
}

fn texts(numbers: &Decimal128Array, scale: usize) -> StringArray {
    let mut bytes = Vec::with_capacity(numbers.len() * 10);
    let lengths = (0..numbers.len()).map(|row| {
        let before = bytes.len();
        if numbers.is_valid(row) {
            write(numbers.value(row), scale, &mut bytes);
        }
        bytes.len() - before
    });
    let offsets = OffsetBuffer::from_lengths(lengths.collect::<Vec<_>>());
    let texts = StringArray::try_new(offsets, Buffer::from_vec(bytes), numbers.nulls().cloned());
    texts.unwrap_or_else(|_| StringArray::new_null(numbers.len()))
}

/// `-0.05` for -5 and a scale of 2.
fn write(number: i128, scale: usize, out: &mut Vec<u8>) {
    // Thirty-nine digits, or as many zeros before the point as the scale asks for.
    let mut digits = [b'0'; 40];
    let (mut rest, mut at) = (number.unsigned_abs(), digits.len());
    // Dividing 64 bits is much cheaper, and nearly every amount has no more.
    while rest > u128::from(u64::MAX) {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let mut rest = rest as u64;
    while rest > 0 {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let at = at.min(digits.len() - scale.min(38) - 1);
    if number < 0 {
        out.push(b'-');
    }
    let point = digits.len() - scale.min(38);
    out.extend_from_slice(&digits[at..point]);
    if scale > 0 {
        out.push(b'.');
        out.extend_from_slice(&digits[point..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_written_as_the_general_formatter_does() {
        let edges = [0, 1, -1, 5, -5, 99, 100, -100, 12_345, i64::MAX as i128, i64::MIN as i128];
        let large = [10_i128.pow(37), -(10_i128.pow(37)) - 7, 99_999_999_999_999_999_999];
        for scale in [0_i8, 1, 2, 4, 14, 38] {
            let numbers: Vec<_> = edges.iter().chain(&large).copied().map(Some).collect();
            let numbers = Decimal128Array::from([vec![None], numbers].concat())
                .with_precision_and_scale(38, scale)
                .expect("it fits");
            let found = texts(&numbers, scale as usize);
            assert!(found.is_null(0));
            for row in 1..numbers.len() {
                assert_eq!(found.value(row), numbers.value_as_string(row), "scale {scale}");
            }
        }
    }
}
