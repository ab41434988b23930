//! Facts that every shard hears, as rows that it steps on.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, RecordBatchOptions, StringArray, UInt32Array, UInt64Array, new_null_array,
};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;

/// Rows with a first column that says which shard said them.
pub fn said_by(rows: &RecordBatch, shard: u32) -> RecordBatch {
    let mut fields = vec![Arc::new(Field::new("shard", DataType::UInt32, true))];
    fields.extend(rows.schema().fields().iter().cloned());
    let mut columns: Vec<ArrayRef> =
        vec![Arc::new(UInt32Array::from(vec![shard; rows.num_rows()]))];
    columns.extend(rows.columns().iter().cloned());
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap_or_else(|_| rows.clone())
}

/// One row per listening shard: the name of what is heard, and when it was.
pub fn announced(
    takes: &SchemaRef,
    name: &str,
    rows: &RecordBatch,
    seq: u64,
    shards: &[u32],
) -> RecordBatch {
    let count = shards.len();
    let first = |column: &str| rows.column_by_name(column).filter(|c| !c.is_empty());
    let columns: Vec<ArrayRef> = takes
        .fields()
        .iter()
        .map(|field| match field.name().as_str() {
            "shard" => Arc::new(UInt32Array::from(shards.to_vec())) as ArrayRef,
            "seq" => Arc::new(UInt64Array::from(vec![seq; count])),
            "row" => Arc::new(UInt32Array::from(vec![0; count])),
            "kind" => {
                let own = first("kind").map(|c| repeat(c, count));
                own.unwrap_or_else(|| Arc::new(StringArray::from(vec![name; count])))
            }
            "at" => first("at")
                .filter(|column| column.data_type() == field.data_type())
                .map(|column| repeat(column, count))
                .unwrap_or_else(|| new_null_array(field.data_type(), count)),
            _ => new_null_array(field.data_type(), count),
        })
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    RecordBatch::try_new_with_options(Arc::clone(takes), columns, &options)
        .unwrap_or_else(|_| RecordBatch::new_empty(Arc::clone(takes)))
}

fn repeat(column: &ArrayRef, count: usize) -> ArrayRef {
    let picks = UInt32Array::from(vec![0; count]);
    take(column, &picks, None).unwrap_or_else(|_| new_null_array(column.data_type(), count))
}
