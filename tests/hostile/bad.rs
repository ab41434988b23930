//! What is no record at all, in the way of each format, and bytes with something done to them.

use std::sync::Arc;

use datafusion::arrow::array::{Float64Array, NullArray, RecordBatch, StringArray};

use super::records::{self, Reason, Record};
use crate::sim::dice::Dice;

/// A line of JSON; never a line break in it.
pub fn json(dice: &mut Dice, number: u64) -> (Vec<u8>, Reason) {
    let good = |text: String| (text.into_bytes(), None);
    let bad = |text: String| (text.into_bytes(), Some("bad_json"));
    let report = String::from_utf8(records::json(&records::good(3 * number + 1))).expect("text");
    let report = report.replace("GOOD", "BAD");
    let head = report.trim_end_matches('}');
    match dice.below(20) {
        0 => bad(head.to_owned()),
        1 => bad("]".repeat(1 + dice.below(300) as usize)),
        2 => bad(format!("{head},\"x\":NaN}}")),
        3 => (b"{\"loan_id\":\"\xff\xfe\"}".to_vec(), Some("bad_json")),
        4 => bad(format!("{}1{}", "[".repeat(2_000), "]".repeat(2_000))),
        5 => bad(format!("{{\"x\":{}", "{\"x\":".repeat(3_000))),
        // Valid and deep, in a field that nobody asked for.
        6 => good(format!("{head},\"x\":{}{}}}", "[".repeat(500), "]".repeat(500))),
        // The same key twice: whichever counts, it is one record.
        7 => good(format!("{head},\"loan_id\":\"BAD2\"}}")),
        8 => (format!("{head},\"interest\":{{\"$gt\":\"\"}}}}").into(), Some("bad_decimal")),
        9 => {
            let mut bytes: Vec<u8> = (0..1 + dice.below(60)).map(|_| dice.throw() as u8).collect();
            bytes.retain(|byte| !byte.is_ascii_whitespace());
            bytes.insert(0, b'!');
            (bytes, Some("bad_json"))
        }
        _ => {
            let (record, reason) = records::bad(dice, number);
            (records::json(&record), reason)
        }
    }
}

/// A line of CSV. A quote that is never closed stands first, where no header can explain what it
/// would swallow.
pub fn csv(dice: &mut Dice, number: u64) -> (Vec<u8>, Reason) {
    let (record, reason) = records::bad(dice, number);
    let mut line = records::csv(&record);
    let bad = Some("bad_csv");
    match dice.below(10) {
        0 => (b"BAD".to_vec(), bad),
        1 => (b"\"BAD,1.00,".to_vec(), bad),
        2 => (",".repeat(1 + dice.below(14) as usize).into(), bad),
        3 => (",".repeat(3_000).into(), bad),
        4 => {
            line.extend_from_slice(b",\"one more\"");
            (line, bad)
        }
        5 => {
            line.extend_from_slice(b"\xff\xfe");
            (line, bad)
        }
        _ => (line, reason),
    }
}

/// A message of the Arrow format that is one record, whatever it is.
pub fn arrow(dice: &mut Dice, number: u64) -> (Vec<u8>, Reason) {
    let record: Record = records::bad(dice, number).0;
    let mut whole = records::arrow(&[record]);
    let bad = Some("bad_arrow");
    match dice.below(8) {
        0 => (b"PAR1 is for files, not for messages PAR1".to_vec(), bad),
        1 => (b"{\"loan_id\":\"BAD\"}".to_vec(), bad),
        2 => {
            whole.truncate(1 + dice.below(200) as usize);
            (whole, bad)
        }
        3 => {
            // Of the first message: more than there is.
            whole[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
            (whole, bad)
        }
        4 => (EXABYTES[2..].to_vec(), bad),
        5 => {
            // As small as can be for so many rows.
            let rows =
                RecordBatch::try_from_iter([("loan_id", Arc::new(NullArray::new(1 << 20)) as _)]);
            (records::stream(&rows.expect("one column")), Some("too_large"))
        }
        6 if dice.one_in(20) => {
            let text = "0".repeat(1 << 20);
            let texts = StringArray::from_iter_values((0..65).map(|_| &text));
            let rows = RecordBatch::try_from_iter([("loan_id", Arc::new(texts) as _)]);
            (records::stream(&rows.expect("one column")), Some("too_large"))
        }
        // No floating point touches money.
        _ => {
            let value = *dice.pick(&[f64::NAN, f64::INFINITY, 1.0]);
            let rows = RecordBatch::try_from_iter([
                ("loan_id", Arc::new(StringArray::from(vec!["BAD"])) as _),
                ("principal", Arc::new(Float64Array::from(vec![value])) as _),
            ]);
            (records::stream(&rows.expect("two columns")), Some("bad_decimal"))
        }
    }
}

/// Found by a fuzzer; the first two bytes are its own.
const EXABYTES: &[u8] = include_bytes!("../fuzz/corpora/files/a-body-of-exabytes");

/// Bytes with something done to them.
pub fn mutated(dice: &mut Dice, mut bytes: Vec<u8>) -> Vec<u8> {
    for _ in 0..1 + dice.below(4) {
        if bytes.is_empty() {
            return bytes;
        }
        let at = dice.below(bytes.len() as u64) as usize;
        match dice.below(6) {
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => bytes[at] = dice.throw() as u8,
            2 => bytes.truncate(at),
            3 => {
                let part = bytes[at..(at + 8).min(bytes.len())].to_vec();
                let to = dice.below(bytes.len() as u64) as usize;
                bytes.splice(to..to, part);
            }
            4 => {
                let end = (at + dice.below(16) as usize).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => {
                let word = *dice.pick(&[0_u32, 1, u32::MAX, i32::MAX as u32, 1 << 30]);
                let end = (at + 4).min(bytes.len());
                let word = word.to_le_bytes();
                bytes[at..end].copy_from_slice(&word[..end - at]);
            }
        }
    }
    bytes
}
