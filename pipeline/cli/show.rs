//! Answers on standard output: tables for people, lines of JSON for scripts.

use std::io::{ErrorKind, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::json::LineDelimitedWriter;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

use super::Failure;

/// Writes to standard output. A reader that has gone away is no failure.
pub fn text(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(Failure::failed(format!("standard output: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// `1 row`, `2 rows`.
pub fn counted(count: usize, unit: &str) -> String {
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// A table of texts; `right` tells which columns are numbers.
pub fn table(header: &[&str], rows: Vec<Vec<String>>, right: &[bool]) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    table.add_rows(rows);
    for (i, right) in right.iter().enumerate() {
        if let Some(column) = table.column_mut(i).filter(|_| *right) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{table}\n")
}

/// The rows of a batch as a table.
pub fn batch(batch: &RecordBatch) -> Result<String, Failure> {
    let options = FormatOptions::default();
    let schema = batch.schema();
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<_, _>>()
        .map_err(Failure::failed)?;
    let rows = (0..batch.num_rows())
        .map(|row| columns.iter().map(|column| column.value(row).to_string()).collect())
        .collect();
    let header: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let right: Vec<bool> = schema.fields().iter().map(|f| numeric(f.data_type())).collect();
    Ok(table(&header, rows, &right))
}

fn numeric(kind: &DataType) -> bool {
    kind.is_numeric()
}

/// The rows of a batch as lines of JSON. Money is a text, so that no reader makes a float of it.
pub fn json_lines(batch: &RecordBatch) -> Result<String, Failure> {
    let mut columns: Vec<(&str, ArrayRef)> = vec![];
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let column = match field.data_type() {
            DataType::Decimal128(_, _) => cast(column, &DataType::Utf8).map_err(Failure::failed)?,
            _ => column.clone(),
        };
        columns.push((field.name(), column));
    }
    let batch = RecordBatch::try_from_iter(columns).map_err(Failure::failed)?;
    let mut out = vec![];
    let mut writer = LineDelimitedWriter::new(&mut out);
    writer.write(&batch).and_then(|()| writer.finish()).map_err(Failure::failed)?;
    String::from_utf8(out).map_err(Failure::failed)
}
