//! Rows as lines of CSV, byte for byte as Arrow's own writer gives them.
//!
//! A batch writes tens of millions of fields. The general writer formats each through layers that
//! allocate, which was a fifth of a batch's time; here a field is appended to one buffer. What is
//! rare (bytes, lists, instants before the year 0) still goes through the general formatter.

use std::io::{self, Write};

use datafusion::arrow::array::{Array, AsArray, BooleanArray, Decimal128Array, StringArray};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType, UInt32Type,
    UInt64Type,
};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

/// So many bytes are gathered before they are written.
const FLUSH: usize = 1 << 20;

/// Writes the names of a relation's columns, then its rows.
pub(super) fn write<W: Write>(
    mut out: W,
    names: &[&str],
    batches: impl Iterator<Item = RecordBatch>,
) -> io::Result<()> {
    let mut lines = Vec::with_capacity(FLUSH + (FLUSH >> 3));
    for (column, name) in names.iter().enumerate() {
        separate(column, &mut lines);
        text(name.as_bytes(), &mut lines);
    }
    lines.push(b'\n');
    for rows in batches {
        let mut cells: Vec<Cells<'_>> =
            rows.columns().iter().map(|column| Cells::of(column.as_ref())).collect();
        for row in 0..rows.num_rows() {
            let began = lines.len();
            for (column, cells) in cells.iter_mut().enumerate() {
                separate(column, &mut lines);
                cells.field(row, &mut lines);
            }
            // A line of nothing would be no line.
            if lines.len() == began {
                lines.extend_from_slice(b"\"\"");
            }
            lines.push(b'\n');
            if lines.len() >= FLUSH {
                out.write_all(&lines)?;
                lines.clear();
            }
        }
    }
    out.write_all(&lines)?;
    out.flush()
}

fn separate(column: usize, out: &mut Vec<u8>) {
    if column > 0 {
        out.push(b',');
    }
}

/// The values of one column.
enum Cells<'a> {
    Texts(&'a StringArray),
    Decimals(&'a Decimal128Array, usize),
    Wholes(&'a dyn Array, fn(&dyn Array, usize) -> i128),
    Flags(&'a BooleanArray),
    Days(&'a [i32], &'a dyn Array, Day),
    Instants(&'a [i64], &'a dyn Array, Day),
    Other(&'a dyn Array, Option<ArrayFormatter<'a>>),
}

impl<'a> Cells<'a> {
    fn of(column: &'a dyn Array) -> Self {
        match column.data_type() {
            DataType::Utf8 => Cells::Texts(column.as_string()),
            DataType::Decimal128(_, scale @ 0..) => {
                Cells::Decimals(column.as_primitive(), *scale as usize)
            }
            DataType::Boolean => Cells::Flags(column.as_boolean()),
            DataType::Int32 => Cells::Wholes(column, |all, row| {
                i128::from(all.as_primitive::<Int32Type>().value(row))
            }),
            DataType::Int64 => Cells::Wholes(column, |all, row| {
                i128::from(all.as_primitive::<Int64Type>().value(row))
            }),
            DataType::UInt32 => Cells::Wholes(column, |all, row| {
                i128::from(all.as_primitive::<UInt32Type>().value(row))
            }),
            DataType::UInt64 => Cells::Wholes(column, |all, row| {
                i128::from(all.as_primitive::<UInt64Type>().value(row))
            }),
            DataType::Date32 => {
                Cells::Days(column.as_primitive::<Date32Type>().values(), column, Day::default())
            }
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if zone.as_ref() == "UTC" => {
                let values = column.as_primitive::<TimestampMicrosecondType>().values();
                Cells::Instants(values, column, Day::default())
            }
            _ => Cells::general(column),
        }
    }

    fn general(column: &'a dyn Array) -> Self {
        const OPTIONS: FormatOptions<'static> = FormatOptions::new();
        Cells::Other(column, ArrayFormatter::try_new(column, &OPTIONS).ok())
    }

    /// Appends the text of a row; nothing where it is null.
    #[inline]
    fn field(&mut self, row: usize, out: &mut Vec<u8>) {
        match self {
            Cells::Texts(texts) if texts.is_valid(row) => text(texts.value(row).as_bytes(), out),
            Cells::Decimals(all, scale) if all.is_valid(row) => number(all.value(row), *scale, out),
            Cells::Wholes(all, value) if all.is_valid(row) => number(value(*all, row), 0, out),
            Cells::Flags(all) if all.is_valid(row) => {
                out.extend_from_slice(if all.value(row) { b"true" } else { b"false" });
            }
            Cells::Days(days, all, day) if all.is_valid(row) => {
                let written = day.write(i64::from(days[row]), out);
                if !written {
                    Cells::general(*all).field(row, out);
                }
            }
            Cells::Instants(instants, all, day) if all.is_valid(row) => {
                if day.write(instants[row].div_euclid(DAY_MICROS), out) {
                    clock(instants[row].rem_euclid(DAY_MICROS) as u64, out);
                } else {
                    Cells::general(*all).field(row, out);
                }
            }
            Cells::Other(all, Some(formatter)) if all.is_valid(row) => {
                text(formatter.value(row).to_string().as_bytes(), out);
            }
            _ => {}
        }
    }
}

/// A text, in quotes where a reader needs them.
#[inline]
fn text(text: &[u8], out: &mut Vec<u8>) {
    if !text.iter().any(|byte| matches!(byte, b'"' | b',' | b'\n' | b'\r')) {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    for byte in text {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// `-0.05` for -5 and a scale of 2.
fn number(number: i128, scale: usize, out: &mut Vec<u8>) {
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

const DAY_MICROS: i64 = 86_400_000_000;

/// The day that was written last: rows that follow one another are mostly of one.
#[derive(Default)]
struct Day {
    last: Option<i64>,
    text: [u8; 10],
}

impl Day {
    /// Appends `2026-03-01` for a day since 1970; false, and nothing, outside the years 0 to 9999.
    fn write(&mut self, day: i64, out: &mut Vec<u8>) -> bool {
        if self.last != Some(day) {
            let Some((year, month, date)) = civil(day) else { return false };
            let two = |number: u64| [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
            let parts = [two(year / 100), two(year % 100), two(month), two(date)];
            let [[c0, c1], [y0, y1], [m0, m1], [d0, d1]] = parts;
            self.text = [c0, c1, y0, y1, b'-', m0, m1, b'-', d0, d1];
            self.last = Some(day);
        }
        out.extend_from_slice(&self.text);
        true
    }
}

/// Year, month and day of a day since 1970-01-01, from the years 0 to 9999 (Howard Hinnant,
/// "chrono-compatible low-level date algorithms").
fn civil(day: i64) -> Option<(u64, u64, u64)> {
    // 0000-01-01 and 9999-12-31.
    if !(-719_528..=2_932_896).contains(&day) {
        return None;
    }
    // From 0000-03-01 and an era earlier, so that nothing is below zero.
    let day = (day + 719_468 + 146_097) as u64;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    // The era that was added goes last: the year 0 begins before its March.
    Some((year + era * 400 + u64::from(month <= 2) - 400, month, date))
}

/// `T08:30:00Z` for microseconds of a day, with three or six digits more where there are any.
fn clock(micros: u64, out: &mut Vec<u8>) {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let times = [(b'T', seconds / 3_600), (b':', seconds / 60 % 60), (b':', seconds % 60)];
    for (before, number) in times {
        out.extend_from_slice(&[before, b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]);
    }
    let digits = format!("{fraction:06}");
    match fraction {
        0 => {}
        _ if fraction % 1_000 == 0 => {
            out.push(b'.');
            out.extend_from_slice(&digits.as_bytes()[..3]);
        }
        _ => {
            out.push(b'.');
            out.extend_from_slice(digits.as_bytes());
        }
    }
    out.push(b'Z');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{
        ArrayRef, BinaryArray, Date32Array, Int32Array, Int64Array, TimestampMicrosecondArray,
        UInt32Array, UInt64Array,
    };
    use datafusion::arrow::csv::WriterBuilder;

    use super::*;

    fn assert_like_arrow(columns: Vec<(&str, ArrayRef)>) {
        let rows = RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, column)| (name, column, true)),
        );
        let rows = rows.expect("columns are of one length");
        let mut theirs = vec![];
        let mut writer = WriterBuilder::new().with_header(true).build(&mut theirs);
        writer.write(&rows).expect("it is written to memory");
        drop(writer);
        let schema = rows.schema();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let mut ours = vec![];
        write(&mut ours, &names, [rows.clone()].into_iter()).expect("it is written to memory");
        assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs));
    }

    #[test]
    fn every_field_is_written_as_the_general_writer_does() {
        let texts = ["", "plain", "a,b", "say \"so\"", "two\nlines", "back\rspace", "ümläut", ";"];
        let day = 86_400_000_000;
        let instants = [0, -1, 1, 999_000, 1_500_000, day - 1, -day, 20_515 * day + 4_000_000];
        let edges = [i64::MIN, -719_163 * day, -719_529 * day - 1, 2_932_897 * day];
        let texts: Vec<_> = texts.iter().map(|text| Some(*text)).chain([None; 5]).collect();
        let mut at: Vec<_> = instants.iter().chain(&edges[1..]).copied().map(Some).collect();
        at.resize(13, None);
        let days = [0, -1, 59, 60, 365, 11_016, 20_515, -719_528, -719_529, 2_932_896, 2_932_897];
        let mut days: Vec<_> = days.into_iter().map(Some).collect();
        days.resize(13, None);
        let flags: Vec<_> = (0..13).map(|row| (row % 3 > 0).then_some(row % 2 == 0)).collect();
        let bytes: Vec<_> = (0..13_u8).map(|row| (row > 3).then_some([row; 2])).collect();
        let bytes: Vec<Option<&[u8]>> = bytes.iter().map(|b| b.as_ref().map(|b| &b[..])).collect();
        let wholes = [i64::MIN, -1, 0, 9, 10, i64::MAX];
        let wholes: Vec<_> = wholes.iter().copied().map(Some).chain([None; 7]).collect();
        let counts = (0..13_u64).map(|row| (row > 1).then_some(u64::MAX / (row + 1)));
        let small: Vec<_> = wholes.iter().map(|n| n.and_then(|n| i32::try_from(n).ok())).collect();
        assert_like_arrow(vec![
            ("text", Arc::new(StringArray::from(texts))),
            ("at", Arc::new(TimestampMicrosecondArray::from(at).with_timezone("UTC"))),
            ("day", Arc::new(Date32Array::from(days))),
            ("flag, quoted", Arc::new(BooleanArray::from(flags))),
            ("bytes", Arc::new(BinaryArray::from(bytes))),
            ("whole", Arc::new(Int64Array::from(wholes))),
            ("small", Arc::new(Int32Array::from(small))),
            ("count", Arc::new(counts.collect::<UInt64Array>())),
            ("number", Arc::new((0..13_u32).map(Some).collect::<UInt32Array>())),
        ]);
        assert_like_arrow(vec![(
            "one",
            Arc::new(StringArray::from(vec![Some(""), None, Some("x")])),
        )]);
    }

    #[test]
    fn a_decimal_is_written_as_the_general_writer_does() {
        let edges = [0, 1, -1, 5, -5, 99, 100, -100, 12_345, i64::MAX as i128, i64::MIN as i128];
        let large = [10_i128.pow(37), -(10_i128.pow(37)) - 7, 99_999_999_999_999_999_999];
        for scale in [0_i8, 1, 2, 4, 14, 38] {
            let numbers: Vec<_> = edges.iter().chain(&large).copied().map(Some).collect();
            let numbers = Decimal128Array::from([vec![None], numbers].concat())
                .with_precision_and_scale(38, scale)
                .expect("it fits");
            assert_like_arrow(vec![
                ("n", Arc::new(numbers) as ArrayRef),
                ("beside", Arc::new(Int32Array::from(vec![1; 15]))),
            ]);
        }
    }
}
