//! What tests feed to operators: desks, contracts, loans and ticks as batches.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt32Array, UInt64Array, new_null_array,
};
use arrow::datatypes::SchemaRef;

use crate::facts::{self, MONEY, RATE};

pub const DAY: i64 = 86_400_000_000;

/// Fills the named columns of a schema; the others are null.
pub fn filled(schema: SchemaRef, rows: usize, columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let given: BTreeMap<&str, ArrayRef> = columns.into_iter().collect();
    let columns = schema.fields().iter().map(|field| {
        let null = || new_null_array(field.data_type(), rows);
        given.get(field.name().as_str()).cloned().unwrap_or_else(null)
    });
    RecordBatch::try_new(schema.clone(), columns.collect()).unwrap()
}

pub fn texts(list: Vec<&str>) -> ArrayRef {
    Arc::new(StringArray::from(list))
}

fn money(list: Vec<Option<i64>>) -> ArrayRef {
    let list = list.into_iter().map(|cents| cents.map(i128::from)).collect::<Vec<_>>();
    Arc::new(Decimal128Array::from(list).with_data_type(MONEY))
}

/// A desk as tests write it.
#[derive(Clone, Debug)]
pub struct TestDesk {
    pub id: String,
    pub agency: String,
    pub group: String,
    pub channel: String,
    pub tier: Option<i32>,
    pub provinces: String,
    pub cost: i64,
    pub capacity: Option<i64>,
    pub per_round: Option<i64>,
    pub amount_max: Option<i64>,
    pub days_max: Option<i32>,
    pub commission: String,
    pub performance: String,
}

/// A desk with one commission and one performance for all buckets.
pub fn desk(id: &str, performance: &str, commission: &str, cost: i64) -> TestDesk {
    TestDesk {
        id: id.into(),
        agency: id.into(),
        group: String::new(),
        channel: String::new(),
        tier: None,
        provinces: String::new(),
        cost,
        capacity: None,
        per_round: None,
        amount_max: None,
        days_max: None,
        commission: [commission; 7].join("|"),
        performance: [performance; 7].join("|"),
    }
}

pub fn desks(list: &[TestDesk]) -> RecordBatch {
    let text = |pick: fn(&TestDesk) -> &str| texts(list.iter().map(pick).collect());
    let small = |pick: fn(&TestDesk) -> Option<i32>| -> ArrayRef {
        Arc::new(Int32Array::from(list.iter().map(pick).collect::<Vec<_>>()))
    };
    let wide = |pick: fn(&TestDesk) -> Option<i64>| -> ArrayRef {
        Arc::new(Int64Array::from(list.iter().map(pick).collect::<Vec<_>>()))
    };
    filled(
        facts::desks(),
        list.len(),
        vec![
            ("desk_id", text(|desk| &desk.id)),
            ("agency_id", text(|desk| &desk.agency)),
            ("agency_group", text(|desk| &desk.group)),
            ("channel", text(|desk| &desk.channel)),
            ("tier", small(|desk| desk.tier)),
            ("provinces", text(|desk| &desk.provinces)),
            ("unit_cost", money(list.iter().map(|desk| Some(desk.cost)).collect())),
            ("capacity", wide(|desk| desk.capacity)),
            ("capacity_per_round", wide(|desk| desk.per_round)),
            ("amount_max", money(list.iter().map(|desk| desk.amount_max).collect())),
            ("days_max", small(|desk| desk.days_max)),
            ("commission_by_bucket", text(|desk| &desk.commission)),
            ("perf_by_bucket", text(|desk| &desk.performance)),
        ],
    )
}

/// A contract as tests write it: lender, agency, days, discount in millionths, quota.
pub type TestContract<'a> = (&'a str, &'a str, i32, i32, i64, Option<i64>);

pub fn contracts(list: &[TestContract]) -> RecordBatch {
    let ids: Vec<String> = (0..list.len()).map(|number| format!("C{number}")).collect();
    let days = |pick: fn(&TestContract) -> i32| -> ArrayRef {
        Arc::new(Date32Array::from(list.iter().map(pick).collect::<Vec<_>>()))
    };
    let discounts = list.iter().map(|contract| Some(i128::from(contract.4))).collect::<Vec<_>>();
    filled(
        facts::contracts(),
        list.len(),
        vec![
            ("contract_id", texts(ids.iter().map(|id| id.as_str()).collect())),
            ("lender_id", texts(list.iter().map(|contract| contract.0).collect())),
            ("agency_id", texts(list.iter().map(|contract| contract.1).collect())),
            ("valid_from", days(|contract| contract.2)),
            ("valid_to", days(|contract| contract.3)),
            ("discount", Arc::new(Decimal128Array::from(discounts).with_data_type(RATE))),
            ("quota", Arc::new(Int64Array::from_iter(list.iter().map(|contract| contract.5)))),
        ],
    )
}

/// A rule as tests write it: loan, borrower, agency (or `by` a channel), first and last day.
pub type TestRule<'a> = (&'a str, &'a str, &'a str, i32, i32);

pub fn exclusions(list: &[TestRule]) -> RecordBatch {
    let days = |pick: fn(&TestRule) -> i32| -> ArrayRef {
        Arc::new(Date32Array::from(list.iter().map(pick).collect::<Vec<_>>()))
    };
    let named = |channel: bool| {
        list.iter().map(move |rule| match rule.2.strip_prefix("by ") {
            Some(by) if channel => by,
            None if !channel => rule.2,
            _ => "",
        })
    };
    filled(
        facts::exclusions(),
        list.len(),
        vec![
            ("lender_id", texts(vec!["L1"; list.len()])),
            ("loan_id", texts(list.iter().map(|rule| rule.0).collect())),
            ("borrower_id", texts(list.iter().map(|rule| rule.1).collect())),
            ("agency_id", texts(named(false).collect())),
            ("channel", texts(named(true).collect())),
            ("valid_from", days(|rule| rule.3)),
            ("valid_to", days(|rule| rule.4)),
        ],
    )
}

/// A priced row as tests write it.
#[derive(Clone, Debug)]
pub struct Row {
    pub kind: &'static str,
    pub at: i64,
    pub borrower: String,
    pub loan: String,
    pub lender: String,
    pub province: String,
    pub product: String,
    pub days: i32,
    pub balance: i64,
    pub price: Option<i64>,
}

/// A first report of a loan: its borrower, and its price.
pub fn report(loan: &str, borrower: &str, price: i64) -> Row {
    Row {
        kind: "report",
        at: DAY,
        borrower: borrower.into(),
        loan: loan.into(),
        lender: "L1".into(),
        province: "44".into(),
        product: "cash".into(),
        days: 47,
        balance: price.max(1) * 2,
        price: Some(price),
    }
}

pub fn priced(rows: &[(u64, Row)], shard: u32) -> RecordBatch {
    let text = |pick: fn(&Row) -> &str| texts(rows.iter().map(|row| pick(&row.1)).collect());
    let seqs: Vec<u64> = rows.iter().map(|row| row.0).collect();
    let ats: Vec<i64> = rows.iter().map(|row| row.1.at).collect();
    let days = rows.iter().map(|row| row.1.days);
    filled(
        facts::priced(),
        rows.len(),
        vec![
            ("shard", Arc::new(UInt32Array::from(vec![shard; rows.len()]))),
            ("seq", Arc::new(UInt64Array::from(seqs))),
            ("row", Arc::new(UInt32Array::from(vec![0; rows.len()]))),
            ("kind", text(|row| row.kind)),
            ("at", Arc::new(TimestampMicrosecondArray::from(ats).with_timezone("UTC"))),
            ("borrower_key", text(|row| &row.borrower)),
            ("loan_id", text(|row| &row.loan)),
            ("lender_id", text(|row| &row.lender)),
            ("province", text(|row| &row.province)),
            ("product", text(|row| &row.product)),
            ("days_past_due", Arc::new(Int32Array::from_iter_values(days.clone()))),
            ("bucket", texts(days.map(|days| facts::BUCKETS[facts::bucket(days)]).collect())),
            ("balance", money(rows.iter().map(|row| Some(row.1.balance)).collect())),
            ("price", money(rows.iter().map(|row| row.1.price).collect())),
        ],
    )
}

/// A row without a loan: a fact that every shard hears.
pub fn everyone(schema: SchemaRef, name: &str, seq: u64, shard: u32, at: i64) -> RecordBatch {
    filled(
        schema,
        1,
        vec![
            ("shard", Arc::new(UInt32Array::from(vec![shard]))),
            ("seq", Arc::new(UInt64Array::from(vec![seq]))),
            ("row", Arc::new(UInt32Array::from(vec![0]))),
            ("kind", texts(vec![name])),
            ("at", Arc::new(TimestampMicrosecondArray::from(vec![at]).with_timezone("UTC"))),
        ],
    )
}

pub fn ticks(kind: &str, number: i64, at: i64) -> RecordBatch {
    filled(
        facts::ticks(),
        1,
        vec![
            ("kind", texts(vec![kind])),
            ("number", Arc::new(Int64Array::from(vec![number]))),
            ("at", Arc::new(TimestampMicrosecondArray::from(vec![at]).with_timezone("UTC"))),
        ],
    )
}
