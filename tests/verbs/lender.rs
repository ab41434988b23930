//! The same month of a lender in every format that `load` takes.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, Int32Array, RecordBatch, StringArray};
use datafusion::arrow::csv::WriterBuilder;
use datafusion::arrow::ipc::writer::FileWriter;
use datafusion::arrow::json::LineDelimitedWriter;
use datafusion::parquet::arrow::ArrowWriter;

pub const CURVE: &str = "product,bucket,recovery_rate,handling_cost\n\
    cash,1-30,0.6000,2.00\ncash,31-60,0.5000,10.00\ncash,61-90,0.3000,15.00\n";
pub const MARKET: &str = "province,product,idx\n44,cash,1.0000\n31,cash,0.9000\n";
pub const AGENCIES: &str = "agency_id,unit_cost,commission_by_bucket,perf_by_bucket\n\
    A1,1.00,0.1|0.1|0.12|0.2|0.3|0.3|0.3,1|1|1|1|1|1|1\n\
    A2,0.00,0.2|0.2|0.2|0.2|0.2|0.2|0.2,1|1|1.1|1|1|1|1\n";

pub const LOANS: usize = 60;
pub const PAID: usize = 20;
/// Of the second loan.
pub const PHONE: &str = "13900000001";
pub const NATIONAL_ID: &str = "440101199001010001";

/// Reports of sixty loans, payments on every third, and one report without a usable amount.
pub fn month() -> RecordBatch {
    let rows = || 0..LOANS + PAID + 1;
    let report = |row: usize| row < LOANS || row == LOANS + PAID;
    let texts = |value: &dyn Fn(usize) -> Option<String>| {
        Arc::new(StringArray::from_iter(rows().map(value))) as ArrayRef
    };
    let only = |shown: bool, text: String| shown.then_some(text);
    let loan = |row: usize| match row {
        row if row < LOANS => row,
        row if row < LOANS + PAID => 3 * (row - LOANS),
        _ => 900,
    };
    let principal = |row: usize| match row {
        row if row == LOANS + PAID => Some("12,5".to_string()),
        row => only(report(row), format!("{}.{:02}", 100 + 37 * row, row * 7 % 100)),
    };
    let money = |row: usize| only(report(row), format!("{}.50", row % 9));
    let days = rows().map(|row| report(row).then_some((row * 13 % 90) as i32 + 1));
    let scores = rows().map(|row| (report(row) && row % 4 > 0).then_some(400 + 7 * row as i32));
    let open = rows().map(|row| report(row).then_some(row % 2 == 0));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("event_id", texts(&|row| only(report(row), format!("ev{row}")))),
        ("event_time", texts(&|row| only(report(row), "2026-03-01T00:00:04Z".into()))),
        ("loan_id", texts(&|row| Some(format!("LN{}", loan(row))))),
        ("borrower_id", texts(&|row| only(report(row), format!("B{}", row / 2)))),
        ("product", texts(&|row| only(report(row), "cash".into()))),
        ("province", texts(&|row| only(report(row), ["44", "31"][row % 2].into()))),
        ("principal", texts(&principal)),
        ("interest", texts(&money)),
        ("penalty", texts(&money)),
        ("fee", texts(&money)),
        ("currency", texts(&|row| only(report(row), "CNY".into()))),
        ("days_past_due", Arc::new(Int32Array::from_iter(days))),
        ("phone", texts(&|row| only(report(row), format!("139{:08}", row)))),
        ("national_id", texts(&|row| only(report(row), format!("44010119900101{row:04}")))),
        ("score", Arc::new(Int32Array::from_iter(scores))),
        ("contactable", Arc::new(BooleanArray::from_iter(open))),
        ("payment_id", texts(&|row| only(!report(row), format!("p{row}")))),
        ("kind", texts(&|row| only(!report(row), "payment".into()))),
        ("amount", texts(&|row| only(!report(row), format!("{}.25", 10 + row)))),
        ("paid_at", texts(&|row| only(!report(row), "2026-03-02T08:30:00Z".into()))),
    ];
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// Writes the month into a folder, once in each format; the file's name says which.
pub fn write(folder: &Path) -> [(&'static str, &'static str); 4] {
    let month = month();
    let file = |name: &str| File::create(folder.join(name)).unwrap();
    let mut json = LineDelimitedWriter::new(file("month.jsonl"));
    json.write(&month).unwrap();
    json.finish().unwrap();
    let mut csv = WriterBuilder::new().with_header(true).build(file("month.csv"));
    csv.write(&month).unwrap();
    let mut parquet = ArrowWriter::try_new(file("month.parquet"), month.schema(), None).unwrap();
    parquet.write(&month).unwrap();
    parquet.close().unwrap();
    let mut arrow = FileWriter::try_new(file("month.arrow"), &month.schema()).unwrap();
    arrow.write(&month).unwrap();
    arrow.finish().unwrap();
    [
        ("JSON", "month.jsonl"),
        ("CSV", "month.csv"),
        ("PARQUET", "month.parquet"),
        ("ARROW", "month.arrow"),
    ]
}
