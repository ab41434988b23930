//! Files cut into parts: text between records, columns as Arrow streams that the intake reads.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, DictionaryArray, Int64Array, ListArray, RecordBatch, StringArray,
};
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema};
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::{FileWriter, StreamWriter};
use datafusion::parquet::arrow::ArrowWriter;
use recoup::load::{Format, Part, Place, parts, parts_from};
use recoup_operators::decode;

fn cut(path: &Path, format: Format, limit: usize) -> Vec<Part> {
    let place = Place::default();
    parts_from(path, format, place, limit).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Cutting that begins behind any part gives the parts that followed it.
fn begins_anywhere(path: &Path, format: Format, limit: usize, whole: &[Part]) {
    for (index, part) in whole.iter().enumerate() {
        let rest = parts_from(path, format, part.end, limit).unwrap();
        let rest = rest.collect::<Result<Vec<_>, _>>().unwrap();
        assert_eq!(
            rest.iter().map(|part| part.rows).sum::<u64>(),
            whole[index + 1..].iter().map(|part| part.rows).sum::<u64>()
        );
        if matches!(format, Format::Json | Format::Csv) {
            assert_eq!(rest, whole[index + 1..]);
        }
    }
}

#[test]
fn text_is_cut_between_records() {
    let folder = tempfile::tempdir().unwrap();
    type Case = (&'static str, Format, usize, &'static [(u64, &'static str)]);
    let cases: [Case; 8] = [
        ("", Format::Json, 10, &[]),
        ("a\nb\nc", Format::Json, 4, &[(1, "a\nb\n"), (3, "c")]),
        ("\u{feff}a\n\nb\n", Format::Json, 3, &[(1, "a\n\n"), (3, "b\n")]),
        ("long line\nb\nc\n", Format::Json, 4, &[(1, "long line\n"), (2, "b\nc\n")]),
        ("a\nlong line", Format::Json, 4, &[(1, "a\n"), (2, "long line")]),
        ("h\n1\n2\n3\n", Format::Csv, 6, &[(1, "h\n1\n2\n"), (3, "h\n3\n")]),
        (
            "h,i\n1,\"a\nb\"\"\n\"\n2,c\n",
            Format::Csv,
            8,
            &[(1, "h,i\n1,\"a\nb\"\"\n\"\n"), (2, "h,i\n2,c\n")],
        ),
        ("\u{feff}h", Format::Csv, 6, &[]),
    ];
    for (content, format, limit, wanted) in cases {
        let path = folder.path().join("case");
        fs::write(&path, content).unwrap();
        let whole = cut(&path, format, limit);
        let found = whole
            .iter()
            .map(|part| (part.first_row, String::from_utf8(part.bytes.to_vec()).unwrap()));
        let found = found.collect::<Vec<_>>();
        let wanted = wanted.iter().map(|(row, text)| (*row, (*text).to_owned()));
        assert_eq!(found, wanted.collect::<Vec<_>>(), "{content:?}");
        begins_anywhere(&path, format, limit, &whole);
    }
}

#[test]
fn columns_go_out_as_arrow_streams() {
    let folder = tempfile::tempdir().unwrap();
    let schema = Arc::new(Schema::new(vec![
        Field::new("row", DataType::Int64, false),
        Field::new("filling", DataType::Utf8, true),
    ]));
    let batches = [(0, 3_000), (3_000, 0), (3_000, 20_000)].map(|(first, count)| {
        let rows = Int64Array::from_iter_values(first..first + count);
        let filling = (first..first + count).map(|row| format!("{:x}", row * 7_919 % 99_991));
        let filling = StringArray::from_iter_values(filling);
        RecordBatch::try_new(schema.clone(), vec![Arc::new(rows), Arc::new(filling)]).unwrap()
    });
    let (arrow, parquet) = (folder.path().join("a.arrow"), folder.path().join("a.parquet"));
    let mut writer = FileWriter::try_new(fs::File::create(&arrow).unwrap(), &schema).unwrap();
    let file = fs::File::create(&parquet).unwrap();
    let mut columns = ArrowWriter::try_new(file, schema.clone(), None).unwrap();
    for batch in &batches {
        writer.write(batch).unwrap();
        columns.write(batch).unwrap();
    }
    writer.finish().unwrap();
    columns.close().unwrap();
    // The parts of the Arrow file, one after the other, are an Arrow stream of many batches.
    for path in [arrow, parquet] {
        let format = Format::of(&path).unwrap();
        let whole = cut(&path, format, 20_000);
        assert!(whole.len() > 5);
        let mut row = 0;
        for part in &whole {
            assert!(part.bytes.len() <= 20_000);
            assert_eq!((part.first_row, part.format), (row as u64 + 1, Format::Arrow));
            for batch in StreamReader::try_new(part.bytes.as_ref(), None).unwrap() {
                let batch = batch.unwrap();
                let rows = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
                for value in rows.values() {
                    assert_eq!(*value, row);
                    row += 1;
                }
            }
        }
        assert_eq!(row, 23_000);
        begins_anywhere(&path, format, 20_000, &whole);
        assert_eq!(
            parts(&path, format).unwrap().map(|part| part.unwrap().rows).sum::<u64>(),
            23_000
        );
    }
}

/// What is written once for many rows unfolds when it is read, and rows of lists have more
/// elements than rows: a part that the intake would refuse as a whole is no part.
#[test]
fn every_part_of_columns_is_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.arrow");
    let rows = 100_000;
    let word = "w".repeat(1_000);
    let words: DictionaryArray<Int32Type> = (0..rows).map(|_| Some(word.as_str())).collect();
    let elements = ListArray::from_iter_primitive::<Int64Type, _, _>(
        (0..rows).map(|_| Some([Some(1), None, Some(3)])),
    );
    let columns: [(&str, ArrayRef); 3] = [
        ("loan_id", Arc::new(StringArray::from(vec!["A"; rows]))),
        ("reason", Arc::new(words)),
        ("elements", Arc::new(elements)),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = fs::File::create(&path).unwrap();
    let mut writer = FileWriter::try_new(file, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let mut read = 0;
    for part in parts(&path, Format::Arrow).unwrap() {
        let (payload, first_row) = (Buffer::from(part.unwrap().bytes), 1);
        let format = decode::Format::Arrow;
        let part =
            decode::Part { seq: 1, shard: 0, lender: "L", format, first_row, payload: &payload };
        let decoded = decode::decode(&part, &["loan_id", "reason"]).rows;
        assert_eq!(decoded.column(4).null_count(), decoded.num_rows(), "nothing is refused");
        read += decoded.num_rows();
    }
    assert_eq!(read, rows);
}

#[test]
fn an_arrow_stream_is_read_as_far_as_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.arrow");
    // Rows in all, and what is wrong behind them.
    let read = |bytes: &[u8]| -> (u64, String) {
        fs::write(&path, bytes).unwrap();
        let mut rows = 0;
        let cut = match parts(&path, Format::Arrow) {
            Err(mistake) => return (0, mistake.to_string()),
            Ok(cut) => cut,
        };
        for part in cut {
            match part {
                Err(mistake) => return (rows, mistake.to_string()),
                Ok(part) => rows += part.rows,
            }
        }
        (rows, String::new())
    };
    let schema = Arc::new(Schema::new(vec![Field::new("row", DataType::Int64, false)]));
    let mut writer = StreamWriter::try_new(Vec::new(), &schema).unwrap();
    // The length of the stream so far, and its rows: also where a message has no body.
    let mut whole = vec![(writer.get_ref().len(), 0)];
    for count in [3, 0, 2] {
        let rows = Arc::new(Int64Array::from_iter_values(0..count));
        writer.write(&RecordBatch::try_new(schema.clone(), vec![rows]).unwrap()).unwrap();
        whole.push((writer.get_ref().len(), whole.last().unwrap().1 + count as u64));
    }
    writer.finish().unwrap();
    let stream = writer.into_inner().unwrap();
    for length in 0..=stream.len() {
        let (rows, mistake) = read(&stream[..length]);
        let before = whole.iter().rfind(|(end, _)| *end <= length);
        assert_eq!(rows, before.map_or(0, |(_, rows)| *rows), "{length}");
        let said = match before {
            None if length == 0 => "it has no schema",
            Some((end, _)) if *end == length || length == stream.len() => "",
            _ => "it ends inside a message",
        };
        assert_eq!(mistake.is_empty(), said.is_empty(), "{length}: {mistake}");
        assert!(mistake.ends_with(said), "{length}: {mistake}");
    }
    // The first two bytes are the fuzzer's.
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpora/files/a-body-of-exabytes");
    let (_, mistake) = read(&fs::read(kept).unwrap()[2..]);
    assert!(mistake.ends_with("a.arrow: Ipc error: it ends inside a message"), "{mistake}");
}
