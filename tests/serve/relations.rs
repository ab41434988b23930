//! Relations keep what counts, under the promised names, and write it so that others can read it.

use std::fs;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Decimal128Array, StringArray, TimestampMicrosecondArray, UInt32Array, UInt64Array,
};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use recoup::serve::relations::{Format, Relations};

/// Rows of placements as dispatch says them: place in the log first, columns in its own order.
pub fn placements(rows: &[(&str, &str, Option<i128>, i64)]) -> RecordBatch {
    let texts = |values: Vec<&str>| Arc::new(StringArray::from(values)) as ArrayRef;
    let prices: Decimal128Array = rows.iter().map(|row| row.2).collect();
    let instants = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.3));
    RecordBatch::try_from_iter_with_nullable([
        ("shard", Arc::new(UInt32Array::from(vec![3; rows.len()])) as ArrayRef, true),
        ("seq", Arc::new(UInt64Array::from(vec![9; rows.len()])), true),
        ("row", Arc::new(UInt32Array::from_iter_values(0..rows.len() as u32)), true),
        ("placed_at", Arc::new(instants.with_timezone("UTC")), true),
        ("loan_id", texts(rows.iter().map(|row| row.0).collect()), true),
        ("lender_id", texts(vec!["L1"; rows.len()]), true),
        ("agency_id", texts(rows.iter().map(|row| row.1).collect()), true),
        ("price", Arc::new(prices.with_precision_and_scale(18, 2).unwrap()), true),
    ])
    .unwrap()
}

#[test]
fn the_latest_placement_counts_and_reads_as_promised() {
    let mut relations = Relations::new();
    let noon = 1_772_366_404_000_000;
    relations
        .apply("placements", &placements(&[("A", "", None, noon), ("B", "X", Some(-5), noon)]));
    relations.apply("placements", &placements(&[("A", "Y", Some(123_450), noon + 500_000)]));
    let dir = tempfile::tempdir().unwrap();
    relations.write(dir.path(), Format::Csv).unwrap();
    let text = fs::read_to_string(dir.path().join("placements.csv")).unwrap();
    assert_eq!(
        text,
        "loan_id,lender_id,agency_id,desk_id,price,value,placed_at,status,placement,\
         commission_rate,bid_price,second_desk_id,second_value,full_desks,exited_at,reason\n\
         B,L1,X,,-0.05,,2026-03-01T12:00:04Z,,,,,,,,,\n\
         A,L1,Y,,1234.50,,2026-03-01T12:00:04.500Z,,,,,,,,,\n"
    );
}

#[test]
fn every_promised_relation_is_written_even_without_rows() {
    let columns = [
        (
            "ledger",
            "entry_id,loan_id,lender_id,agency_id,account,amount,currency,booked_on,cause,contract,\
             rule",
        ),
        (
            "loans",
            "loan_id,lender_id,borrower_id,product,province,principal,interest,penalty,fee,\
             balance,days_past_due,bucket,origination_date,due_date,phone_masked,score,\
             contactable,event_id,event_time,currency,delinquent_days",
        ),
        ("prices", "loan_id,lender_id,product,province,bucket,balance,price,currency"),
        ("refused", "lender_id,reason,source,raw"),
        (
            "statements",
            "lender_id,agency_id,day,count,collected,penalty,fee,interest,principal,over,\
             commission,remittance,currency,closed,corrections,vat,held,due,invoiced",
        ),
        (
            "remitted",
            "remittance_id,lender_id,agency_id,currency,received_on,amount,withheld,paid,booked_on",
        ),
        ("days", "day,closed_through"),
    ];
    let dir = tempfile::tempdir().unwrap();
    Relations::new().write(dir.path(), Format::Csv).unwrap();
    for (name, header) in columns {
        let text = fs::read_to_string(dir.path().join(format!("{name}.csv"))).unwrap();
        assert_eq!(text, format!("{header}\n"), "{name}");
    }
}

#[test]
fn parquet_holds_the_same_rows() {
    let mut relations = Relations::new();
    relations.apply("placements", &placements(&[("A", "X", Some(100), 0), ("B", "", None, 0)]));
    let dir = tempfile::tempdir().unwrap();
    relations.write(dir.path(), Format::Parquet).unwrap();
    let file = fs::File::open(dir.path().join("placements.parquet")).unwrap();
    let mut read = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let kept: Vec<RecordBatch> = relations.snapshot("placements").unwrap().batches().collect();
    assert_eq!(read.next().unwrap().unwrap().columns(), kept[0].columns());
}

#[test]
fn a_relation_first_seen_gets_a_table_and_demand_does_not() {
    let mut relations = Relations::new();
    relations.apply("lots", &placements(&[("A", "X", None, 0)]));
    relations.apply("demand", &placements(&[("A", "X", None, 0)]));
    let names: Vec<&str> = relations.names().collect();
    let promised = [
        "days",
        "instalments",
        "ledger",
        "loans",
        "lots",
        "placements",
        "prices",
        "refused",
        "remitted",
        "rounds",
        "statements",
    ];
    assert_eq!(names, promised);
    let schema = relations.schema("lots").unwrap();
    assert!(schema.index_of("shard").is_err(), "places in the log are not shown");
}
