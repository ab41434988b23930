//! Statement lines as they are kept: by lender, agency, currency and day.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
};

use crate::account::{loaded, table};
use crate::facts;
use crate::memory::Keys;

/// The sums of a line, in the order in which they are said. The first seven come as they are.
pub const MONEY: [&str; 11] = [
    "collected",
    "penalty",
    "fee",
    "interest",
    "principal",
    "over",
    "commission",
    "vat",
    "held",
    "due",
    "invoiced",
];
pub const COLLECTED: usize = 0;
pub const COMMISSION: usize = 6;
pub const VAT: usize = 7;
pub const HELD: usize = 8;
pub const DUE: usize = 9;
pub const INVOICED: usize = 10;

pub type Sums = [i128; MONEY.len()];

/// Parts of a line's key: lender, agency and currency hold no such character.
const SEPARATOR: char = '\u{1f}';

/// A statement line.
#[derive(Clone, Copy, Default)]
pub struct Line {
    pub day: i32,
    pub count: i64,
    pub corrections: i64,
    pub sums: Sums,
    pub closed: bool,
}

/// Every statement line there is.
#[derive(Default)]
pub struct Lines {
    keys: Keys,
    lines: Vec<Line>,
    /// Rows of the lines that are still open.
    open: Vec<u32>,
    key: String,
}

impl Lines {
    /// The row of a line, new or known.
    pub fn row(&mut self, [lender, agency, currency]: [&str; 3], day: i32) -> u32 {
        self.key.clear();
        for name in [lender, agency, currency] {
            self.key.push_str(name);
            self.key.push(SEPARATOR);
        }
        day.to_be_bytes().iter().for_each(|byte| self.key.push(char::from(*byte)));
        let (row, new) = self.keys.row(&self.key);
        if new {
            self.lines.push(Line { day, ..Line::default() });
            self.open.push(row);
        }
        row
    }

    pub fn line(&mut self, row: u32) -> &mut Line {
        &mut self.lines[row as usize]
    }

    /// Lender, agency and currency of a line, and the line.
    pub fn view(&self, row: u32) -> ([&str; 3], &Line) {
        let mut names = self.keys.key(row).split(SEPARATOR);
        let names = std::array::from_fn(|_| names.next().unwrap_or_default());
        (names, &self.lines[row as usize])
    }

    /// Closes the lines of all days up to one; answers their rows, in the order they came.
    pub fn close(&mut self, through: i32) -> Vec<u32> {
        let lines = &mut self.lines;
        let mut closed = Vec::new();
        self.open.retain(|row| {
            let line = &mut lines[*row as usize];
            line.closed = line.day <= through;
            if line.closed {
                closed.push(*row);
            }
            !line.closed
        });
        closed
    }

    pub fn save(&self) -> RecordBatch {
        let lines = &self.lines;
        let whole = |of: fn(&Line) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(lines.iter().map(of)))
        };
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("line", Arc::new(self.keys.save())),
            ("day", Arc::new(Date32Array::from_iter_values(lines.iter().map(|line| line.day)))),
            ("count", whole(|line| line.count)),
            ("corrections", whole(|line| line.corrections)),
            (
                "closed",
                Arc::new(BooleanArray::from_iter(lines.iter().map(|line| Some(line.closed)))),
            ),
        ];
        for (part, name) in MONEY.into_iter().enumerate() {
            let sums = lines.iter().map(|line| line.sums[part]);
            let sums = Decimal128Array::from_iter_values(sums).with_data_type(facts::MONEY);
            columns.push((name, Arc::new(sums)));
        }
        table(columns)
    }

    pub fn load(lines: &RecordBatch) -> Result<Self, String> {
        let keys = Keys::load(loaded::<StringArray>(lines, "line")?);
        if keys.len() != lines.num_rows() {
            return Err("two rows have the same line".to_owned());
        }
        let day: &Date32Array = loaded(lines, "day")?;
        let count: &Int64Array = loaded(lines, "count")?;
        let corrections: &Int64Array = loaded(lines, "corrections")?;
        let closed: &BooleanArray = loaded(lines, "closed")?;
        let mut sums = Vec::with_capacity(MONEY.len());
        for name in MONEY {
            sums.push(loaded::<Decimal128Array>(lines, name)?);
        }
        let all: Vec<Line> = (0..lines.num_rows())
            .map(|i| Line {
                day: day.value(i),
                count: count.value(i),
                corrections: corrections.value(i),
                sums: std::array::from_fn(|part| sums[part].value(i)),
                closed: closed.value(i),
            })
            .collect();
        let open = (0..all.len() as u32).filter(|row| !all[*row as usize].closed).collect();
        Ok(Lines { keys, lines: all, open, key: String::new() })
    }

    pub fn size(&self) -> usize {
        self.keys.size() + size_of::<Line>() * self.lines.capacity() + 4 * self.open.capacity()
    }
}
