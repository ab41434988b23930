//! Messages in, texts out.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Decimal128Array, DictionaryArray, FixedSizeBinaryArray,
    Float64Array, Int8Array, Int32Array, RunArray, StringArray, TimestampSecondArray,
};
use arrow::buffer::Buffer;
use arrow::compute::concat_batches;
use arrow::datatypes::{Int32Type, UInt32Type};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow::record_batch::RecordBatch;

use super::{Decoded, Format, Part, decode, decode_all};
use crate::facts::CANONICAL;

fn read(format: Format, payload: &[u8], columns: &[&str]) -> Decoded {
    let payload = Buffer::from(payload);
    let part =
        Part { seq: 41, shard: 3, lender: "L007", format, first_row: 100, payload: &payload };
    decode(&part, columns)
}

/// Each row as `row|bad|raw|column|column…`, a null as `-`.
fn shown(decoded: &Decoded) -> Vec<String> {
    let rows = &decoded.rows;
    (0..rows.num_rows())
        .map(|i| {
            let mut out = rows.column(2).as_primitive::<UInt32Type>().value(i).to_string();
            let bad = rows.column(4).as_string::<i32>();
            out += &format!("|{}", if bad.is_null(i) { "-" } else { bad.value(i) });
            let raw = rows.column(5).as_binary_view();
            let raw = if raw.is_null(i) { b"-" } else { raw.value(i) };
            out += &format!("|{}", String::from_utf8_lossy(raw));
            for column in &rows.columns()[6..] {
                let texts = column.as_string::<i32>();
                out += &format!("|{}", if texts.is_null(i) { "-" } else { texts.value(i) });
            }
            out
        })
        .collect()
}

/// As [`shown`], without the bytes.
fn fields(decoded: &Decoded) -> Vec<String> {
    let cut = |row: String| {
        let mut parts: Vec<&str> = row.split('|').collect();
        parts.remove(2);
        parts.join("|")
    };
    shown(decoded).into_iter().map(cut).collect()
}

#[test]
fn lines_of_json() {
    let payload =
        b"{\"a\":\"x\",\"b\":1}\n\n  {\"b\":true , \"a\" : null}\r\nnope\n{\"a\":[1,{}],\"b\":1e5}";
    assert_eq!(
        shown(&read(Format::Json, payload, &["a", "b"])),
        [
            "100|-|{\"a\":\"x\",\"b\":1}|x|1",
            "102|-|{\"b\":true , \"a\" : null}|-|true",
            "103|bad_json|nope|-|-",
            "104|-|{\"a\":[1,{}],\"b\":1e5}|[1,{}]|1e5",
        ]
    );
}

#[test]
fn one_record_is_what_it_says() {
    let cases: &[(&[u8], &str)] = &[
        (br#"{"a":"1","a":"2"}"#, "100|-|2|-"),
        (br#"{"a":"1","a":null}"#, "100|-|-|-"),
        (br#"{"\u0061":"tab\t\u00e9\"","b":"\\"}"#, "100|-|tab\t\u{e9}\"|\\"),
        (
            br#"{"a":123456789012345678901234567890,"b":-0.5E+3}"#,
            "100|-|123456789012345678901234567890|-0.5E+3",
        ),
        ("{\"a\":\"\u{4e2d}\u{6587}\",\"b\":\"\"}".as_bytes(), "100|-|\u{4e2d}\u{6587}|"),
        (br#"{}"#, "100|-|-|-"),
        (b"\xef\xbb\xbf{\"a\":1}", "100|-|1|-"),
        (br#"{"a":1,}"#, "100|bad_json|-|-"),
        (br#"{"a":01}"#, "100|bad_json|-|-"),
        (br#"{"a":1.}"#, "100|bad_json|-|-"),
        (br#"{"a":-}"#, "100|bad_json|-|-"),
        (br#"{"a":NaN}"#, "100|bad_json|-|-"),
        (br#"{"a":"1"} {"a":"2"}"#, "100|bad_json|-|-"),
        (br#"{"a":"\ud800"}"#, "100|bad_json|-|-"),
        (b"{\"a\":\"\x01\"}", "100|bad_json|-|-"),
        (b"{\"a\":\"\xff\"}", "100|bad_json|-|-"),
        (br#"{"a":"1""#, "100|bad_json|-|-"),
        (br#"[]"#, "100|bad_json|-|-"),
        (br#"[1,2]"#, "100|bad_json|-|-"),
        (br#""text""#, "100|bad_json|-|-"),
        (br#"5"#, "100|bad_json|-|-"),
    ];
    for (payload, expected) in cases {
        let shown = fields(&read(Format::Json, payload, &["a", "b"]));
        assert_eq!(shown, [*expected], "{}", String::from_utf8_lossy(payload));
    }
}

#[test]
fn arrays_and_objects_over_several_lines() {
    let array = b" [ {\"a\":1},\n {\"a\":\"\\n\"}, 7, {\"a\":\"z\"} ]\n";
    assert_eq!(
        fields(&read(Format::Json, array, &["a"])),
        ["100|-|1", "101|-|\n", "102|bad_json|-", "103|-|z"]
    );
    let object = b"\n{\n  \"a\": \"x\",\n  \"b\": {\"c\":1}\n}\n";
    assert_eq!(fields(&read(Format::Json, object, &["a", "b"])), ["101|-|x|{\"c\":1}"]);
    let broken = b"{\"a\":1\n{\"a\":2}\n";
    assert_eq!(fields(&read(Format::Json, broken, &["a"])), ["100|bad_json|-", "101|-|2"]);
    assert!(fields(&read(Format::Json, b" \n\n", &["a"])).is_empty());
}

#[test]
fn canonical_types_matter() {
    let names = ["loan_id", "principal", "days_past_due", "score", "phone"];
    let cases = [
        (
            r#"{"loan_id":7,"principal":"1.00","days_past_due":4,"score":6,"phone":139}"#,
            "7|1.00|4|6|139",
        ),
        (
            r#"{"loan_id":"7","principal":1.00,"days_past_due":"4","score":6.5,"phone":[1]}"#,
            "7|-|-|-|-",
        ),
        (r#"{"loan_id":{"a":1},"principal":"1","principal":2,"days_past_due":4.0}"#, "-|-|-|-|-"),
        (r#"{"loan_id":"7","days_past_due":1e2,"principal":null}"#, "7|-|-|-|-"),
    ];
    for (payload, expected) in cases {
        let decoded = read(Format::Json, payload.as_bytes(), &CANONICAL);
        let texts = names.map(|name| {
            let column = decoded.rows.column_by_name(name).map(|column| column.as_string::<i32>());
            match column {
                Some(texts) if texts.is_valid(0) => String::from(texts.value(0)),
                _ => String::from("-"),
            }
        });
        assert_eq!(texts.join("|"), expected, "{payload}");
    }
}

#[test]
fn unknown_fields_are_counted() {
    let payload = br#"{"event_type":"x","loan_id":"1","color":"red","size":2}"#;
    assert_eq!(read(Format::Json, payload, &CANONICAL).unknown_fields, 2);
    assert_eq!(read(Format::Json, payload, &["color"]).unknown_fields, 3);
    let csv = b"event_type,loan_id,color\na,b,c\na,b,c\n";
    assert_eq!(read(Format::Csv, csv, &CANONICAL).unknown_fields, 2);
}

#[test]
fn csv_rows() {
    let cases: &[(&[u8], &[&str])] = &[
        (b"a,b\n1,2\n3,\n", &["101|-|1|2", "102|-|3|-"]),
        (b"b,x,a\r\n1,2,3\r\n\r\n4,5,6", &["101|-|3|1", "103|-|6|4"]),
        (
            b"a,b\n\"x\ny\",\"q\"\"q\"\n1\n5,6\n",
            &["101|-|x\ny|q\"q", "103|bad_csv|-|-", "104|-|5|6"],
        ),
        (b"a,b\n1,2,3\n\xff,1\n7,8", &["101|bad_csv|-|-", "102|bad_csv|-|-", "103|-|7|8"]),
        // An open quote takes only its own line.
        (b"a,b\n\"1,2\n3,4\n5,6\n", &["101|bad_csv|-|-", "102|-|3|4", "103|-|5|6"]),
        (b"a,b\n", &[]),
        (b"", &[]),
    ];
    for (payload, expected) in cases {
        let shown = fields(&read(Format::Csv, payload, &["a", "b"]));
        assert_eq!(shown, *expected, "{}", String::from_utf8_lossy(payload));
    }
}

fn stream(batch: &RecordBatch, compression: Option<CompressionType>) -> Vec<u8> {
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let mut writer =
        StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

fn sample() -> RecordBatch {
    let money = Decimal128Array::from(vec![302_155, -5]).with_precision_and_scale(18, 2).unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("loan_id", Arc::new(StringArray::from(vec![Some("A"), None]))),
        ("principal", Arc::new(money)),
        ("fee", Arc::new(Float64Array::from(vec![1.25, 2.5]))),
        ("days_past_due", Arc::new(Int32Array::from(vec![47, -1]))),
        ("due_date", Arc::new(Date32Array::from(vec![20_466, 0]))),
        ("event_time", Arc::new(TimestampSecondArray::from(vec![1_772_323_204, 0]))),
        ("color", Arc::new(StringArray::from(vec!["red", "blue"]))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

#[test]
fn arrow_columns_become_texts() {
    for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
        let payload = stream(&sample(), compression);
        let decoded = read(Format::Arrow, &payload, &CANONICAL);
        assert_eq!(decoded.rows.num_rows(), 4);
        assert_eq!(decoded.unknown_fields, 4);
        let at = |name: &str| decoded.rows.column_by_name(name).unwrap().as_string::<i32>();
        assert_eq!(at("loan_id").value(0), "A");
        assert!(at("loan_id").is_null(1));
        assert_eq!(at("principal").value(1), "-0.05");
        assert!(at("fee").is_null(0), "no floating point touches money");
        assert_eq!(at("days_past_due").value(2), "47");
        assert_eq!(at("due_date").value(0), "2026-01-13");
        assert_eq!(at("event_time").value(0), "2026-03-01T00:00:04Z");
        assert!(at("payment_id").is_null(0));
    }
}

/// A value beyond all calendars, or of a type without text, takes no other with it.
#[test]
fn a_value_without_text_is_null_alone() {
    let bytes = FixedSizeBinaryArray::try_from_iter([[1, 2], [3, 4]].iter()).unwrap();
    let keys = Int8Array::from(vec![0, 1]);
    let runs = Int32Array::from(vec![1, 2]);
    let words = StringArray::from(vec!["cash", "card"]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("a", Arc::new(TimestampSecondArray::from(vec![i64::MAX, 0]))),
        ("b", Arc::new(Date32Array::from(vec![i32::MAX, 0]))),
        ("c", Arc::new(DictionaryArray::try_new(keys, Arc::new(bytes)).unwrap())),
        ("d", Arc::new(RunArray::<Int32Type>::try_new(&runs, &words).unwrap())),
    ];
    let payload = stream(&RecordBatch::try_from_iter(columns).unwrap(), None);
    let decoded = read(Format::Arrow, &payload, &["a", "b", "c", "d"]);
    let expected = ["-|-|-|-|-|cash", "-|-|1970-01-01T00:00:00Z|1970-01-01|-|card"];
    let found: Vec<String> =
        shown(&decoded).iter().map(|row| row.split_once('|').unwrap().1.into()).collect();
    assert_eq!(found, [expected, expected].concat());
}

#[test]
fn a_broken_stream_is_one_refused_row() {
    let whole = stream(&sample(), Some(CompressionType::LZ4_FRAME));
    let refused = |payload: &[u8]| {
        let decoded = read(Format::Arrow, payload, &CANONICAL);
        let bad = decoded.rows.column(4).as_string::<i32>();
        bad.len() == 1 && bad.value(0) == "bad_arrow"
    };
    assert!(refused(b"what is this"));
    assert!(refused(&whole[..whole.len() / 2]));
    let mut seed = 7;
    for _ in 0..300 {
        let mut flipped = whole.clone();
        let at = next(&mut seed) as usize % flipped.len();
        flipped[at] ^= 1 << (next(&mut seed) % 8);
        let _ = Cursor::new(read(Format::Arrow, &flipped, &CANONICAL).rows.num_rows());
    }
}

fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

#[test]
fn several_messages_are_one_batch() {
    let arrow = stream(&sample(), None);
    let payloads: Vec<Buffer> = [
        b"{\"loan_id\":\"1\"}\n{\"loan_id\":\"2\",\"x\":1}".as_slice(),
        b"loan_id\n3\n",
        &arrow,
        b"",
        b"{\"loan_id\":\"4\"}",
    ]
    .map(Buffer::from)
    .into();
    let formats = [Format::Json, Format::Csv, Format::Arrow, Format::Json, Format::Json];
    let parts: Vec<Part> = (0..5)
        .map(|i| Part {
            seq: 10 + i as u64,
            shard: i as u32,
            lender: ["L1", "", "L2", "L3", "L4"][i],
            format: formats[i],
            first_row: 0,
            payload: &payloads[i],
        })
        .collect();
    let all = decode_all(&parts, &CANONICAL);
    let alone: Vec<RecordBatch> = parts.iter().map(|part| decode(part, &CANONICAL).rows).collect();
    assert_eq!(all.rows.num_rows(), 8);
    assert_eq!(all.rows, concat_batches(&all.rows.schema(), &alone).unwrap());
    assert_eq!(all.unknown_fields, 5);
}

const SEEDS: [&str; 4] = [
    r#"{"event_id":"ev1","event_type":"x","loan_id":"LN1","principal":"30.55","days_past_due":47}"#,
    r#"{"loan_id":"L\u0041\n","principal":"1.00", "days_past_due":-3 ,"kind":[{},"]"]}"#,
    r#"{"payment_id":"p1","loan_id":12.5e3,"amount":"250.00","contactable":true,"fee":false}"#,
    r#"[{"loan_id":"a"},{"loan_id":"b","fee":"\ud83d\ude00"}]"#,
];

fn mutated(seed: &mut u64) -> Vec<u8> {
    const BYTES: &[u8] = b"{}[]\",:\\0123456789.-+eEtfnu \n\r\t\x00\x1f\x7f\xc3\xa9\xff";
    let mut payload = Vec::new();
    for _ in 0..1 + next(seed) % 3 {
        payload.extend_from_slice(SEEDS[next(seed) as usize % SEEDS.len()].as_bytes());
        payload.push(b'\n');
    }
    for _ in 0..next(seed) % 6 {
        let at = next(seed) as usize % payload.len();
        let byte = BYTES[next(seed) as usize % BYTES.len()];
        match next(seed) % 4 {
            0 => payload[at] = byte,
            1 => payload.insert(at, byte),
            2 => payload.truncate(at.max(1)),
            _ => {
                payload.remove(at);
                payload.push(b' ');
            }
        }
    }
    payload
}

/// What a generic JSON reader says of a line, in the words of [`fields`].
fn slow(line: &str) -> String {
    let value: Result<serde_json::Value, _> = serde_json::from_str(line);
    let Ok(serde_json::Value::Object(object)) = value else { return "bad_json|-|-".into() };
    let text = |name: &str| match object.get(name) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(serde_json::Value::Bool(said)) => said.to_string(),
        Some(serde_json::Value::Number(number)) if number.is_i64() => number.to_string(),
        Some(serde_json::Value::Number(_)) => "number".into(),
        _ => "-".into(),
    };
    format!("-|{}|{}", text("loan_id"), text("days_past_due"))
}

#[test]
fn mutated_json_is_read_as_a_generic_reader_reads_it() {
    let mut seed = 8_841;
    for case in 0..20_000 {
        let payload = mutated(&mut seed);
        let decoded = read(Format::Json, &payload, &CANONICAL);
        // Lines only: arrays and objects over several lines have their own test.
        let Ok(text) = std::str::from_utf8(&payload) else { continue };
        if text.trim_start().starts_with('[') {
            continue;
        }
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        if decoded.rows.num_rows() != lines.len() {
            assert_eq!(decoded.rows.num_rows(), 1, "case {case}: {text}");
            continue;
        }
        let column = |name: &str| decoded.rows.column_by_name(name).unwrap().as_string::<i32>();
        for (i, line) in lines.iter().enumerate() {
            let expected = slow(line);
            let bad = column("bad");
            let bad = if bad.is_null(i) { "-" } else { bad.value(i) };
            assert_eq!(bad, expected.split('|').next().unwrap(), "case {case}: {line}");
            let loan = column("loan_id");
            if loan.is_valid(i) && !expected.contains("number") && !line.contains("-0") {
                assert_eq!(loan.value(i), expected.split('|').nth(1).unwrap(), "case {case}");
            }
        }
    }
}

#[test]
fn depth_and_length_do_not_matter() {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
    let decoded = read(Format::Json, deep.as_bytes(), &["a"]);
    assert_eq!(decoded.rows.num_rows(), 1);
    let open = "[".repeat(500_000);
    assert_eq!(fields(&read(Format::Json, open.as_bytes(), &["a"])), ["100|bad_json|-"]);
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20));
    let decoded = read(Format::Json, long.as_bytes(), &["a"]);
    assert_eq!(decoded.rows.column(6).as_string::<i32>().value(0).len(), 1 << 20);
    let quotes = "a,b\n".to_string() + &"a\",\"\n".repeat(20_000);
    assert!(read(Format::Csv, quotes.as_bytes(), &["a", "b"]).rows.num_rows() > 0);
}
