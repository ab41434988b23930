//! What lenders send: each record becomes a fact or a refusal, whatever its bytes are.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BinaryViewArray, RecordBatch, StringArray};
use datafusion::arrow::array::{UInt32Array, UInt64Array, new_null_array};
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::datatypes::SchemaRef;
use recoup_operators::decode::{Format, Part, decode};
use recoup_operators::rules::Keys;
use recoup_operators::{Operator, Rules, facts};

/// Columns of a lender's own, read without the types of the canonical record.
const OWN: [&str; 3] = ["loan_id", "amount", "x"];

pub fn json(bytes: &[u8]) {
    payload(Format::Json, bytes);
}

pub fn csv(bytes: &[u8]) {
    payload(Format::Csv, bytes);
}

pub fn arrow(bytes: &[u8]) {
    payload(Format::Arrow, bytes);
}

/// Texts, one a line, as the columns of canonical records: what money, days and instants are
/// parsed from, without the detour of a format.
pub fn record(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let texts: Vec<&str> = text.split('\n').collect();
    let rows = texts.len().div_ceil(facts::CANONICAL.len());
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(UInt32Array::from(vec![0; rows])),
        Arc::new(UInt64Array::from(vec![1; rows])),
        Arc::new(UInt32Array::from_iter_values(0..rows as u32)),
        new_null_array(&datafusion::arrow::datatypes::DataType::Utf8, rows),
        new_null_array(&datafusion::arrow::datatypes::DataType::Utf8, rows),
        Arc::new(BinaryViewArray::new_null(rows)),
    ];
    for column in 0..facts::CANONICAL.len() {
        let place = |row: usize| texts.get(row * facts::CANONICAL.len() + column).copied();
        let text = |row| place(row).filter(|text| *text != "-");
        columns.push(Arc::new(StringArray::from_iter((0..rows).map(text))));
    }
    let records = RecordBatch::try_new(facts::canonical(), columns).expect("canonical columns");
    travel(&records);
}

fn payload(format: Format, bytes: &[u8]) {
    let payload = Buffer::from(bytes);
    let part = Part { seq: 7, shard: 0, lender: "L1", format, first_row: 1, payload: &payload };
    let own = decode(&part, &OWN);
    let canonical = decode(&part, &facts::CANONICAL);
    assert_eq!(own.rows.num_rows(), canonical.rows.num_rows(), "a dialect changes no rows");
    travel(&canonical.rows);
}

/// Through normalize, register and account, in one step and again row by row: every record is a
/// fact or a refusal, and where steps are cut makes no difference (A9).
fn travel(records: &RecordBatch) {
    let (facts, refused) = through(records, records.num_rows().max(1));
    assert_eq!(facts + refused, records.num_rows(), "a record is a fact or refused, once");
    if records.num_rows() < 20 {
        assert_eq!((facts, refused), through(records, 1));
    }
}

fn open(verb: &str) -> Box<dyn Operator> {
    let keys = Some(Keys { token: [1; 32], seal: [2; 64], id: 3 });
    let rules = Rules { keys, shards: 1, ..Rules::default() };
    let verb = recoup_operators::ALL.iter().find(|one| one.name == verb).expect("it is listed");
    (verb.open)(&rules, 0)
}

fn through(records: &RecordBatch, step: usize) -> (usize, usize) {
    let (mut normalize, mut register, mut account) =
        (open("normalize"), open("register"), open("account"));
    let (mut said, mut refused) = (0, 0);
    for start in (0..records.num_rows()).step_by(step) {
        let part = records.slice(start, step.min(records.num_rows() - start));
        let out = normalize.step(&part);
        said += out[0].num_rows();
        refused += out[1].num_rows();
        let facts = fitted(&out[0], (takes("register"))());
        let letters = &register.step(&facts)[0];
        let letters = fitted(letters, (takes("account"))());
        let stamped = &account.step(&letters)[0];
        for texts in [stamped.column_by_name("loan_id"), letters.column_by_name("loan_id")] {
            let texts = texts.expect("it has one").as_string::<i32>();
            assert!(texts.iter().flatten().all(|text| !text.is_empty()), "a loan has a name");
        }
    }
    (said, refused)
}

fn takes(verb: &str) -> fn() -> SchemaRef {
    recoup_operators::ALL.iter().find(|one| one.name == verb).expect("it is listed").takes
}

/// Rows with the columns of a schema, null where they have none.
fn fitted(rows: &RecordBatch, schema: SchemaRef) -> RecordBatch {
    let column = |name: &str, kind| match rows.column_by_name(name) {
        Some(column) => Arc::clone(column),
        None => new_null_array(kind, rows.num_rows()),
    };
    let fields = schema.fields().iter();
    let columns = fields.map(|field| column(field.name(), field.data_type())).collect();
    RecordBatch::try_new(schema.clone(), columns).expect("the types are those of the verb")
}
