//! Records that no lender should send, and bytes that no program should have written.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use recoup::rows::{Packing, encode};

use crate::sim::dice::Dice;

/// Whether a hostile record must be refused, or may be used as it is.
pub enum Kind {
    Must,
    May,
}

const HEAD: &str = concat!(
    r#""event_id":"x","event_time":"2026-01-01T00:00:00Z","lender_id":"L1","loan_id":"BAD","#,
    r#""principal":"1.00","interest":"0.00","penalty":"0.00","fee":"0.00""#,
);
const DATED: &str = concat!(
    r#"{"payment_id":"b","loan_id":"BAD","kind":"payment","amount":"1.00","#,
    r#""paid_at":"~T00:00:00Z"}"#,
);

/// One line; never a line break in it.
pub fn line(dice: &mut Dice, number: u64) -> (Vec<u8>, Kind) {
    let text = |text: String| (text.into_bytes(), Kind::Must);
    match dice.below(16) {
        0 => text(r#"{"loan_id":"BAD","principal""#.into()),
        1 => text("]".repeat(1 + dice.below(300) as usize)),
        2 => text(format!("{{{HEAD}}}")),
        3 => text(format!(r#"{{{HEAD},"days_past_due":NaN}}"#)),
        4 => text(format!(r#"{{{HEAD},"days_past_due":99999999999999999999}}"#)),
        5 => text(r#"{"loan_id":"BAD","principal":1e308,"payment_id":null}"#.into()),
        6 => text(r#"{"payment_id":"x","loan_id":"BAD","kind":"payment","amount":"-5.00"}"#.into()),
        7 => (b"{\"loan_id\":\"\xff\xfe\"}".to_vec(), Kind::Must),
        8 => text(format!("{}1{}", "[".repeat(2_000), "]".repeat(2_000))),
        9 => text(format!(r#"{{"x":{}"#, "{\"x\":".repeat(3_000))),
        10 => {
            // Valid and deep, in a field that nobody asked for.
            let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
            (format!(r#"{{{HEAD},"days_past_due":3,"x":{deep}}}"#).into_bytes(), Kind::May)
        }
        11 => {
            let year = *dice.pick(&["0001-01-01", "9999-12-31", "2026-02-30", "-001-01-01"]);
            let line = DATED.replace('~', year).replace("\"b\"", &format!("\"b{number}\""));
            (line.into_bytes(), Kind::May)
        }
        12 => {
            // The same key twice: whichever counts, it is one record.
            (format!(r#"{{{HEAD},"loan_id":"BAD2","days_past_due":3}}"#).into_bytes(), Kind::May)
        }
        13 if dice.one_in(40) => {
            text(format!(r#"{{{HEAD},"days_past_due":3,"borrower_id":"{}"}}"#, "b".repeat(200_000)))
        }
        13 => text(r#"{"loan_id":"","principal":"1.00"}"#.into()),
        14 => {
            let mut bytes: Vec<u8> = (0..1 + dice.below(60)).map(|_| dice.throw() as u8).collect();
            bytes.retain(|byte| !byte.is_ascii_whitespace());
            bytes.insert(0, b'!');
            (bytes, Kind::Must)
        }
        _ => text(r#"{"loan_id":"BAD","principal":"१.00","interest":{"$gt":""}}"#.into()),
    }
}

/// A batch as a lender may send it.
pub fn arrow() -> Vec<u8> {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("loan_id", Arc::new(StringArray::from(vec!["GOOD1", "GOOD2"]))),
        ("payment_id", Arc::new(StringArray::from(vec!["p1", "p2"]))),
        ("kind", Arc::new(StringArray::from(vec!["payment", "payment"]))),
        ("amount", Arc::new(StringArray::from(vec!["1.00", "2.00"]))),
        ("paid_at", Arc::new(StringArray::from(vec!["2026-01-01T00:00:00Z"; 2]))),
        ("x", Arc::new(Float64Array::from(vec![f64::NAN, f64::INFINITY]))),
    ];
    let rows = RecordBatch::try_from_iter(columns).expect("columns of one length");
    encode(&rows, Packing::Plain, usize::MAX).remove(0).to_vec()
}

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
