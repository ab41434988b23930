//! One query over a CSV file, for the demo's data. Not part of a step: it reads files.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::error::Result;
use datafusion::prelude::{CsvReadOptions, SessionConfig, SessionContext};
use datafusion::scalar::ScalarValue;

/// Runs `query`, with texts for its `$parameters`, over a gzipped CSV file known to it as `table`.
/// Every column of the file is a text.
pub async fn reshape(
    query: &str,
    parameters: &[(&str, &str)],
    table: &str,
    file: &Path,
    columns: &[&str],
) -> Result<Vec<RecordBatch>> {
    let fields: Vec<Field> =
        columns.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let mut config = SessionConfig::new().with_target_partitions(1);
    config.options_mut().sql_parser.parse_float_as_decimal = true;
    let context = SessionContext::new_with_config(config);
    let options = CsvReadOptions::new()
        .schema(&schema)
        .file_extension(".csv.gz")
        .file_compression_type(FileCompressionType::GZIP);
    context.register_csv(table, file.display().to_string(), options).await?;
    let parameters: Vec<(&str, ScalarValue)> =
        parameters.iter().map(|(name, value)| (*name, ScalarValue::from(*value))).collect();
    context.sql(query).await?.with_param_values(parameters)?.collect().await
}
