//! From the bytes of a CSV file to the columns of its table.

use std::collections::BTreeMap;
use std::sync::Arc;

use csv::{ReaderBuilder, StringRecord, Trim};
use datafusion::arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Int32Array, Int64Array, StringArray,
};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::record_batch::RecordBatch;
use recoup_operators::facts::BUCKETS;
use sha2::{Digest, Sha256};

use super::columns::{Column, Table};
use super::values::{Cell, parse};
use super::{Mistake, Reference};
use crate::limits::REFERENCE_ROWS_MAX;

/// A file on its way: what it is called, its rows with their lines, and what is wrong so far.
struct Sheet<'a> {
    table: &'a Table,
    file: &'a str,
    rows: Vec<(u64, StringRecord)>,
    mistakes: Vec<Mistake>,
    notes: Vec<String>,
}

pub fn table(table: &Table, file: &str, bytes: &[u8]) -> Result<Reference, Vec<Mistake>> {
    let mut sheet = Sheet { table, file, rows: vec![], mistakes: vec![], notes: vec![] };
    let places = sheet.read(bytes)?;
    let mut cells = BTreeMap::new();
    for (column, place) in table.columns.iter().zip(places) {
        let column_cells = sheet.column(column, place);
        cells.insert(column.name, column_cells);
    }
    sheet.check_keys(&cells);
    sheet.check_order(&cells);
    sheet.check_any(&cells);
    if sheet.mistakes.is_empty() {
        Ok(sheet.finish(&cells))
    } else {
        sheet.mistakes.sort();
        Err(sheet.mistakes)
    }
}

type Cells = BTreeMap<&'static str, Vec<Cell>>;

impl Sheet<'_> {
    fn mistake(&mut self, line: u64, what: String) {
        self.mistakes.push(Mistake { file: self.file.into(), line, what });
    }

    /// Reads all rows; answers where each column of the table stands in the file.
    fn read(&mut self, bytes: &[u8]) -> Result<Vec<Option<usize>>, Vec<Mistake>> {
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(bytes);
        let header = match reader.headers() {
            Ok(header) => header.clone(),
            Err(error) => {
                self.mistake(1, describe(&error));
                return Err(std::mem::take(&mut self.mistakes));
            }
        };
        let places = self.places(&header);
        if !self.mistakes.is_empty() {
            return Err(std::mem::take(&mut self.mistakes));
        }
        for row in reader.into_records() {
            match row {
                Ok(row) => {
                    let line = line_of(bytes, row.position());
                    self.rows.push((line, row));
                }
                Err(error) => {
                    let line = line_of(bytes, error.position());
                    self.mistake(line, describe(&error));
                }
            }
            if self.rows.len() > REFERENCE_ROWS_MAX {
                self.mistake(0, format!("more than {REFERENCE_ROWS_MAX} rows"));
                return Err(std::mem::take(&mut self.mistakes));
            }
        }
        if self.rows.is_empty() {
            self.notes.push(format!("{} has no rows", self.file));
        }
        Ok(places)
    }

    fn places(&mut self, header: &StringRecord) -> Vec<Option<usize>> {
        let table = self.table;
        for (i, name) in header.iter().enumerate() {
            if header.iter().take(i).any(|earlier| earlier == name) {
                self.mistake(1, format!("column {name} appears twice"));
            } else if table.columns.iter().all(|column| column.name != name) {
                self.notes.push(format!("{}: column {name} is ignored", self.file));
            }
        }
        let mut places = vec![];
        for column in table.columns {
            let place = header.iter().position(|name| name == column.name);
            if place.is_none() && column.required {
                self.mistake(1, format!("column {} is missing", column.name));
            }
            places.push(place);
        }
        places
    }

    fn column(&mut self, column: &Column, place: Option<usize>) -> Vec<Cell> {
        let mut cells = Vec::with_capacity(self.rows.len());
        for i in 0..self.rows.len() {
            let (line, row) = &self.rows[i];
            let text = place.and_then(|place| row.get(place)).unwrap_or("");
            let cell = match text {
                "" if column.required => Err("a value".into()),
                "" => Ok(Cell::Null),
                text => parse(column.kind, text),
            };
            match cell {
                Ok(cell) => cells.push(cell),
                Err(expected) => {
                    let (line, name) = (*line, column.name);
                    let what = format!("{name} \"{text}\": expected {expected}");
                    self.mistake(line, what);
                    cells.push(Cell::Null);
                }
            }
        }
        cells
    }

    /// A row is named once; where one is not, the line that was first is told.
    fn check_keys(&mut self, cells: &Cells) {
        let mut seen = BTreeMap::new();
        for i in 0..self.rows.len() {
            let line = self.rows[i].0;
            let key: Vec<String> =
                self.table.key.iter().map(|name| show(&cells[name][i])).collect();
            if key.iter().any(String::is_empty) {
                continue;
            }
            let named = format!("{} {}", self.table.key.join(", "), key.join(", "));
            if let Some(first) = seen.insert(key, line) {
                self.mistake(line, format!("{named} stands on line {first} already"));
            }
        }
    }

    fn check_order(&mut self, cells: &Cells) {
        for (from, to) in self.table.ordered {
            for i in 0..self.rows.len() {
                let (low, high) = (&cells[from][i], &cells[to][i]);
                if *low == Cell::Null || *high == Cell::Null || low <= high {
                    continue;
                }
                let line = self.rows[i].0;
                let (low, high) = (show(low), show(high));
                self.mistake(line, format!("{from} {low} lies behind {to} {high}"));
            }
        }
    }

    fn check_any(&mut self, cells: &Cells) {
        let any_of = self.table.any_of;
        for i in 0..self.rows.len() {
            if !any_of.is_empty() && any_of.iter().all(|name| cells[name][i] == Cell::Null) {
                let line = self.rows[i].0;
                self.mistake(line, format!("expected one of {}", any_of.join(", ")));
            }
        }
    }

    fn finish(self, cells: &Cells) -> Reference {
        let schema = (self.table.schema)();
        let count = self.rows.len();
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![1; count]))];
        for field in &schema.fields()[1..] {
            arrays.push(array(field.data_type(), &cells[field.name().as_str()]));
        }
        let batch = RecordBatch::try_new(schema, arrays).unwrap_or_else(|error| {
            unreachable!("{} has its own columns: {error}", self.table.name)
        });
        let mut digest = Sha256::new();
        for i in 0..count {
            for column in self.table.columns {
                let text = show(&cells[column.name][i]);
                digest.update((text.len() as u64).to_le_bytes());
                digest.update(text);
            }
        }
        let digest = digest.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        Reference { name: self.table.name, digest, notes: self.notes, batch }
    }
}

/// The line on which a record stands: the reader tells where it began to look for it, and empty
/// lines may lie between.
pub(crate) fn line_of(bytes: &[u8], at: Option<&csv::Position>) -> u64 {
    let Some(at) = at else { return 0 };
    let from = usize::try_from(at.byte()).ok().and_then(|byte| bytes.get(byte..));
    let blank = from.unwrap_or_default().iter().take_while(|byte| matches!(byte, b'\n' | b'\r'));
    at.line() + blank.filter(|byte| **byte == b'\n').count() as u64
}

fn describe(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "expected UTF-8 text".into(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} values, expected {expected_len} as in the header")
        }
        _ => error.to_string(),
    }
}

fn show(cell: &Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Text(text) => text.clone(),
        Cell::Number(number) => number.to_string(),
        Cell::Day(day) => day_name(*day),
        Cell::Bucket(bucket) => BUCKETS[*bucket].into(),
    }
}

fn day_name(day: i32) -> String {
    datafusion::arrow::temporal_conversions::date32_to_datetime(day)
        .map_or_else(|| day.to_string(), |at| at.date().to_string())
}

fn array(kind: &DataType, cells: &[Cell]) -> ArrayRef {
    let number = |cell: &Cell| match cell {
        Cell::Number(number) => Some(*number),
        _ => None,
    };
    let day = |cell: &Cell| match cell {
        Cell::Day(day) => Some(*day),
        _ => None,
    };
    match kind {
        DataType::Utf8 => Arc::new(StringArray::from_iter(
            cells.iter().map(|cell| Some(show(cell)).filter(|text| !text.is_empty())),
        )),
        DataType::Decimal128(precision, scale) => Arc::new(
            Decimal128Array::from_iter(cells.iter().map(number))
                .with_data_type(DataType::Decimal128(*precision, *scale)),
        ),
        DataType::Int64 => {
            Arc::new(Int64Array::from_iter(cells.iter().map(|cell| number(cell).map(|n| n as i64))))
        }
        DataType::Int32 => {
            Arc::new(Int32Array::from_iter(cells.iter().map(|cell| number(cell).map(|n| n as i32))))
        }
        DataType::Date32 => Arc::new(Date32Array::from_iter(cells.iter().map(day))),
        other => unreachable!("no reference table has a column of type {other}"),
    }
}
