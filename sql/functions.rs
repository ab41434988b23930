//! The scalar functions that the program has beside DataFusion's own.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, Decimal128Array, StringArray, UInt32Array};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Int32Type};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use recoup_operators::facts::{self, MONEY, RATE};
use recoup_operators::reprice::{self, Terms};

/// Every function of a deployment with so many shards.
pub fn all(shards: u32) -> Vec<ScalarUDF> {
    vec![bucket(), shard_of(shards), present_value()]
}

/// `bucket(days_past_due)`: the name of the bucket, `0` to `361+`.
fn bucket() -> ScalarUDF {
    create_udf(
        "bucket",
        vec![DataType::Int32],
        DataType::Utf8,
        Volatility::Immutable,
        Arc::new(|arguments: &[ColumnarValue]| {
            let arrays = ColumnarValue::values_to_arrays(arguments)?;
            let days = arrays[0].as_primitive::<Int32Type>();
            let names =
                days.iter().map(|days| days.map(|days| facts::BUCKETS[facts::bucket(days)]));
            Ok(ColumnarValue::Array(Arc::new(names.collect::<StringArray>())))
        }),
    )
}

/// `shard_of(key)`: the shard of a key; FNV-1a 32 bit modulo the deployment's number of shards.
fn shard_of(shards: u32) -> ScalarUDF {
    create_udf(
        "shard_of",
        vec![DataType::Utf8],
        DataType::UInt32,
        Volatility::Immutable,
        Arc::new(move |arguments: &[ColumnarValue]| {
            let arrays = ColumnarValue::values_to_arrays(arguments)?;
            let keys = arrays[0].as_string::<i32>();
            let found = keys.iter().map(|key| key.map(|key| facts::shard(key, shards)));
            Ok(ColumnarValue::Array(Arc::new(found.collect::<UInt32Array>())))
        }),
    )
}

/// `present_value(balance, months, commission_rate, servicing_cost, discount_rate)`: the expected
/// cash of a balance, month by month, discounted; NULL where any of them is. Twelve digits.
fn present_value() -> ScalarUDF {
    create_udf(
        "present_value",
        vec![MONEY, DataType::Utf8, RATE, MONEY, RATE],
        PRESENT_VALUE,
        Volatility::Immutable,
        Arc::new(|arguments: &[ColumnarValue]| present_values(arguments)),
    )
}

const PRESENT_VALUE: DataType = DataType::Decimal128(38, 12);

fn present_values(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(arguments)?;
    let number = |at: usize| arrays[at].as_primitive::<Decimal128Type>();
    let (balances, months) = (number(0), arrays[1].as_string::<i32>());
    let (commissions, servicings, discounts) = (number(2), number(3), number(4));
    // A segment has one text of months, and rows of a segment come in thousands.
    let mut read: Option<(&str, Option<Vec<i128>>)> = None;
    let values = (0..balances.len()).map(|row| {
        if arrays.iter().any(|column| column.is_null(row)) {
            return None;
        }
        let text = months.value(row);
        if read.as_ref().is_none_or(|(known, _)| *known != text) {
            read = Some((text, reprice::months(text)));
        }
        let months = read.as_ref().and_then(|(_, months)| months.as_deref())?;
        let terms = Terms {
            commission: commissions.value(row),
            servicing: servicings.value(row),
            discount: discounts.value(row),
        };
        reprice::present_value(balances.value(row), months, &terms)
    });
    let values = values.collect::<Decimal128Array>().with_data_type(PRESENT_VALUE);
    Ok(ColumnarValue::Array(Arc::new(values)))
}
