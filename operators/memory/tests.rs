//! Memory from outside: tables against a plain list of rows, digests against other cuts.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    Int32Array, Int64Array, NullArray, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::digest::digest;
use super::table::Table;
use super::{BLOCK, KEY_BYTES_MAX, Keys};

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("lender_id", DataType::Utf8, true),
        Field::new("day", DataType::Date32, true),
        Field::new("amount", DataType::Int64, true),
    ]))
}

#[test]
fn keys_are_found_by_text_and_by_row_in_every_block() {
    assert!(BLOCK * KEY_BYTES_MAX <= u32::MAX as usize, "a block's ends fit 32 bits");
    let text = |n: usize| if n == 7 { String::new() } else { format!("{n}{}", "x".repeat(n % 91)) };
    let count = 3 * BLOCK + 5;
    let mut keys = Keys::default();
    for n in 0..count {
        assert_eq!(keys.row(&text(n)), (n as u32, true));
        assert_eq!(keys.row(&text(n / 2)), ((n / 2) as u32, false));
    }
    for keys in [&keys, &Keys::load(&keys.save())] {
        assert_eq!(keys.len(), count);
        for n in 0..count {
            assert_eq!(keys.key(n as u32), text(n));
            assert_eq!(keys.find(&text(n)), Some(n as u32));
        }
        assert_eq!(keys.find("none"), None);
    }
}

type Row = (Option<String>, Option<i32>, i64);

fn batch(rows: &[Row]) -> RecordBatch {
    let lenders: StringArray = rows.iter().map(|row| row.0.as_deref()).collect();
    let days: Date32Array = rows.iter().map(|row| row.1).collect();
    let amounts: Int64Array = rows.iter().map(|row| Some(row.2)).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(lenders), Arc::new(days), Arc::new(amounts)];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// Rows whose keys repeat: a few texts, a few days, absent ones of both.
fn rows(count: usize, keys: u64, seed: u64) -> Vec<Row> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        state >> 33
    };
    (0..count)
        .map(|amount| {
            let lender = next() % keys;
            let day = next() % 4;
            (
                (lender > 0).then(|| format!("L{lender:03}")),
                (day > 0).then_some(day as i32),
                amount as i64,
            )
        })
        .collect()
}

/// What the table promises, the slow way.
fn newest(rows: &[Row]) -> Vec<Row> {
    let mut kept: Vec<Row> = Vec::new();
    for row in rows {
        kept.retain(|old| (&old.0, old.1) != (&row.0, row.1));
        kept.push(row.clone());
    }
    kept
}

fn one(batches: &[RecordBatch]) -> RecordBatch {
    concat_batches(&schema(), batches).unwrap()
}

#[test]
fn the_newest_row_of_a_key_counts_however_the_rows_are_cut() {
    for (count, keys) in [(1, 1), (50, 3), (700, 40), (3_000, 200)] {
        let rows = rows(count, keys, 7);
        let expected = batch(&newest(&rows));
        for cut in [1, 3, 64, 1_000, 5_000] {
            let mut table = Table::keyed(schema(), &["lender_id", "day"]);
            rows.chunks(cut).for_each(|rows| table.apply(&batch(rows)));
            assert_eq!(one(&table.scan()), expected, "{count} rows cut by {cut}");
            assert_eq!(table.rows(), expected.num_rows());
        }
    }
}

#[test]
fn every_row_of_an_appended_table_stays() {
    let rows = rows(40_000, 3, 1);
    let mut table = Table::appended(schema());
    rows.chunks(37).for_each(|rows| table.apply(&batch(rows)));
    assert_eq!(one(&table.scan()), batch(&rows));
    let parts = table.snapshot().parts();
    assert!(parts < 60, "small batches are merged, but {parts} are left");
}

#[test]
fn superseded_rows_do_not_stay_in_memory() {
    let mut table = Table::keyed(schema(), &["lender_id", "day"]);
    let all: Vec<Row> = (0..20_000).map(|key| (Some(format!("L{key:05}")), Some(1), key)).collect();
    all.chunks(1_000).for_each(|rows| table.apply(&batch(rows)));
    let once = table.size();
    for round in 0..30 {
        // A stride visits the keys in another order, so that every chunk wears out slowly.
        let rows: Vec<Row> =
            (0..20_000).map(|i| all[(i * 7_919 + round) % 20_000].clone()).collect();
        rows.chunks(900).for_each(|rows| table.apply(&batch(rows)));
        assert!(table.size() < once * 5 / 2, "{} of {once} bytes", table.size());
    }
    assert_eq!(table.rows(), 20_000);
}

#[test]
fn a_snapshot_keeps_the_moment_it_was_taken() {
    let rows = rows(2_000, 50, 3);
    let mut table = Table::keyed(schema(), &["lender_id", "day"]);
    table.apply(&batch(&rows[..1_000]));
    let before = table.snapshot();
    table.apply(&batch(&rows[1_000..]));
    let then: Vec<RecordBatch> = before.batches().collect();
    assert_eq!(one(&then), batch(&newest(&rows[..1_000])));
    assert_eq!(before.rows(), newest(&rows[..1_000]).len());
    assert_eq!(one(&table.scan()), batch(&newest(&rows)));
}

#[test]
fn a_saved_table_wakes_the_same_and_goes_on_the_same() {
    let rows = rows(5_000, 100, 11);
    let mut table = Table::keyed(schema(), &["lender_id", "day"]);
    rows[..3_000].chunks(100).for_each(|rows| table.apply(&batch(rows)));
    let mut woken = Table::keyed(schema(), &["lender_id", "day"]);
    woken.load(&table.save().unwrap()).unwrap();
    assert_eq!(one(&woken.scan()), one(&table.scan()));
    for table in [&mut table, &mut woken] {
        rows[3_000..].chunks(77).for_each(|rows| table.apply(&batch(rows)));
    }
    assert_eq!(one(&woken.scan()), one(&table.scan()));
    assert!(woken.load(b"not Arrow").is_err());
}

#[test]
fn a_row_is_found_by_its_key() {
    let mut table = Table::keyed(schema(), &["lender_id", "day"]);
    let row = |lender: &str, day, amount| (Some(lender.to_owned()), Some(day), amount);
    table.apply(&batch(&[row("L1", 1, 10), row("L2", 1, 20), (None, Some(1), 30)]));
    table.apply(&batch(&[row("L1", 1, 11)]));
    let found = table.find(&["L1", "1970-01-02"]).unwrap();
    assert_eq!(found, batch(&[row("L1", 1, 11)]));
    assert!(table.find(&["L1", "1970-01-03"]).is_none());
    assert!(table.find(&["", "1970-01-02"]).is_none(), "an absent text is not an empty one");
}

#[test]
fn columns_are_matched_by_name() {
    let other = RecordBatch::try_from_iter([
        ("shard", Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef),
        ("amount", Arc::new(StringArray::from(vec!["12", "no number"])) as ArrayRef),
        ("lender_id", Arc::new(StringArray::from(vec!["L1", "L2"])) as ArrayRef),
    ])
    .unwrap();
    let mut table = Table::keyed(schema(), &["lender_id"]);
    table.apply(&other);
    let kept = one(&table.scan());
    assert_eq!(kept.column(0).as_string::<i32>().value(1), "L2");
    assert_eq!(kept.column(1).null_count(), 2, "a missing column is absent");
    assert_eq!(kept.column(2).as_primitive::<Int64Type>().value(0), 12);
    assert!(kept.column(2).is_null(1), "what cannot be converted is absent");
}

/// A row of every type that facts have, and a few that they do not.
fn wide() -> RecordBatch {
    let rows = 200;
    let texts: Vec<Option<String>> =
        (0..rows).map(|row| (row % 7 != 0).then(|| "x".repeat(row % 23))).collect();
    let instants = TimestampMicrosecondArray::from_iter_values(0..rows as i64);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("text", Arc::new(StringArray::from(texts))),
        ("money", Arc::new(Decimal128Array::from_iter_values((0..rows).map(|r| r as i128 - 100)))),
        (
            "day",
            Arc::new(Date32Array::from_iter(
                (0..rows).map(|r| Some(r as i32).filter(|r| r % 3 == 0)),
            )),
        ),
        ("at", Arc::new(instants.with_timezone("UTC"))),
        ("flag", Arc::new(BooleanArray::from_iter((0..rows).map(|r| Some(r % 2 == 0))))),
        ("nothing", Arc::new(NullArray::new(rows))),
        (
            "kind",
            Arc::new((0..rows).map(|r| ["a", "b"][r % 2]).collect::<DictionaryArray<Int32Type>>()),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
        .unwrap()
}

#[test]
fn a_digest_does_not_see_how_rows_are_cut() {
    let rows = wide();
    let whole = digest(&rows, 0);
    for cut in [1, 3, 50, 199] {
        let mut state = 0;
        for start in (0..rows.num_rows()).step_by(cut) {
            state = digest(&rows.slice(start, cut.min(rows.num_rows() - start)), state);
        }
        assert_eq!(state, whole, "cut by {cut}");
    }
    assert_eq!(digest(&rows.slice(0, 0), whole), whole, "no rows change nothing");
}

#[test]
fn a_digest_sees_the_order_of_rows() {
    let rows = wide();
    let swapped = [rows.slice(1, 1), rows.slice(0, 1), rows.slice(2, 198)];
    let state = swapped.iter().fold(0, |state, rows| digest(rows, state));
    assert_ne!(state, digest(&rows, 0));
}

#[test]
fn a_digest_sees_every_column() {
    let rows = wide();
    let whole = digest(&rows, 0);
    for column in 0..rows.num_columns() {
        let mut columns = rows.columns().to_vec();
        if *columns[column].data_type() == DataType::Null {
            continue;
        }
        // The same values one row later: two rows of this column change places with their like.
        let last = rows.num_rows() - 1;
        let moved = [columns[column].slice(1, last), columns[column].slice(0, 1)];
        columns[column] = arrow::compute::concat(&[&moved[0], &moved[1]]).unwrap();
        let changed = RecordBatch::try_new(rows.schema(), columns).unwrap();
        assert_ne!(digest(&changed, 0), whole, "column {}", rows.schema().field(column).name());
    }
}

#[test]
fn a_digest_tells_absent_from_empty_and_zero() {
    let of = |column: ArrayRef| {
        digest(&RecordBatch::try_from_iter_with_nullable([("c", column, true)]).unwrap(), 0)
    };
    let absent = of(Arc::new(StringArray::from(vec![None::<&str>])));
    assert_ne!(absent, of(Arc::new(StringArray::from(vec![""]))));
    let absent = of(Arc::new(Int64Array::from(vec![None])));
    assert_ne!(absent, of(Arc::new(Int64Array::from(vec![0]))));
}

#[test]
fn a_digest_runs_over_values_not_encodings() {
    let of = |column: ArrayRef| digest(&RecordBatch::try_from_iter([("c", column)]).unwrap(), 0);
    let plain: ArrayRef = Arc::new(StringArray::from(vec!["cash", "card", "cash"]));
    for kind in [DataType::LargeUtf8, DataType::Utf8View, dictionary()] {
        let other = arrow::compute::cast(&plain, &kind).unwrap();
        assert_eq!(of(other), of(plain.clone()), "{kind}");
    }
}

fn dictionary() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}
