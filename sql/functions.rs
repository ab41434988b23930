//! The scalar functions that the program has beside DataFusion's own.

use std::sync::Arc;

use datafusion::arrow::array::{AsArray, StringArray, UInt32Array};
use datafusion::arrow::datatypes::{DataType, Int32Type};
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use recoup_operators::facts;

/// Every function of a deployment with so many shards.
pub fn all(shards: u32) -> Vec<ScalarUDF> {
    vec![bucket(), shard_of(shards)]
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
