//! The rows of messages under construction.
//!
//! While a record is read, a slot per column says where its field lies; when it is complete, the
//! slots are appended to the columns. So the last of a repeated key counts, and a record found
//! bad halfway leaves nothing behind.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryViewBuilder, UInt32Array, UInt64Array};
use arrow::record_batch::RecordBatch;

use super::{Decoded, Part, schema};
use crate::facts;
use crate::memory::hash_bytes;
use crate::texts::Texts;

/// How many columns stand before those asked for.
pub(super) const PLACE_COLUMNS: usize = 6;

/// What a JSON value is, as far as a column cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer,
    Number,
    Bool,
    Nested,
}

/// Which kinds a column takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Everything,
    Scalars,
    Texts,
    Integers,
}

impl Takes {
    fn of(canonical: bool, column: &str) -> Self {
        match column {
            _ if !canonical => Takes::Everything,
            "principal" | "interest" | "penalty" | "fee" | "amount" => Takes::Texts,
            "days_past_due" | "score" => Takes::Integers,
            _ => Takes::Scalars,
        }
    }

    fn takes(self, kind: Kind) -> bool {
        match self {
            Takes::Everything => true,
            Takes::Scalars => kind != Kind::Nested,
            Takes::Texts => kind == Kind::Text,
            Takes::Integers => kind == Kind::Integer,
        }
    }
}

/// Where a field lies: nowhere, in the payload, or in the scratch bytes of this record.
#[derive(Clone, Copy)]
enum Slot {
    Null,
    Payload(u32, u32),
    Scratch(u32, u32),
}

/// What a key is called by the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Column(usize),
    /// Of the canonical dialect, and nobody needs it.
    Expected,
    Unknown,
}

pub(super) struct Table<'a> {
    /// The part being read, and the row where it began.
    part: Option<&'a Part<'a>>,
    began: usize,
    names: &'a [&'a str],
    takes: Vec<Takes>,
    canonical: bool,
    /// Open addressing by hash: a column's index + 1, or 0.
    index: Vec<u16>,
    slots: Vec<Slot>,
    scratch: Vec<u8>,
    columns: Vec<Texts>,
    shard: Vec<u32>,
    seq: Vec<u64>,
    rows: Vec<u32>,
    lender: Texts,
    bad: Texts,
    raw: BinaryViewBuilder,
    block: u32,
    unknown_fields: u64,
    unknown_here: u64,
}

impl<'a> Table<'a> {
    /// An empty table for parts of so many bytes together.
    pub(super) fn new(names: &'a [&'a str], bytes: usize) -> Self {
        let canonical = names == facts::CANONICAL;
        // A guess; columns grow if it is low.
        let rows = (bytes / 256).clamp(1, 1 << 16);
        Table {
            part: None,
            began: 0,
            names,
            takes: names.iter().map(|name| Takes::of(canonical, name)).collect(),
            canonical,
            index: index(names),
            slots: vec![Slot::Null; names.len()],
            scratch: Vec::new(),
            columns: names.iter().map(|_| Texts::with_capacity(rows, 8 * rows)).collect(),
            shard: Vec::new(),
            seq: Vec::new(),
            rows: Vec::with_capacity(rows),
            lender: Texts::with_capacity(rows, 4 * rows),
            bad: Texts::with_capacity(rows, 0),
            raw: BinaryViewBuilder::with_capacity(rows),
            block: 0,
            unknown_fields: 0,
            unknown_here: 0,
        }
    }

    /// Turns to the next part; the rows that follow are its.
    pub(super) fn open(&mut self, part: &'a Part<'a>) {
        self.close();
        self.part = Some(part);
        if part.payload.len() <= super::PAYLOAD_BYTES_MAX {
            self.block = self.raw.append_block(part.payload.clone());
        }
    }

    /// Places the rows of the part that was read.
    fn close(&mut self) {
        let Some(part) = self.part else { return };
        self.shard.resize(self.rows.len(), part.shard);
        self.seq.resize(self.rows.len(), part.seq);
        let lender = (!part.lender.is_empty()).then_some(part.lender);
        for _ in self.began..self.rows.len() {
            self.lender.push_option(lender);
        }
        self.began = self.rows.len();
    }

    pub(super) fn payload(&self) -> &'a [u8] {
        self.part.map(|part| part.payload.as_slice()).unwrap_or_default()
    }

    /// What a key means here.
    pub(super) fn name(&self, key: &[u8]) -> Name {
        let mask = self.index.len() - 1;
        let mut at = hash_bytes(key) as usize & mask;
        while self.index[at] != 0 {
            let column = usize::from(self.index[at]) - 1;
            if self.names[column].as_bytes() == key {
                return Name::Column(column);
            }
            at = (at + 1) & mask;
        }
        if self.canonical && key == b"event_type" { Name::Expected } else { Name::Unknown }
    }

    /// The key of a column.
    pub(super) fn key(&self, column: usize) -> &'a [u8] {
        self.names[column].as_bytes()
    }

    pub(super) fn columns(&self) -> usize {
        self.names.len()
    }

    /// Begins a record: nothing is known of it.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.slots.fill(Slot::Null);
        self.scratch.clear();
        self.unknown_here = 0;
    }

    /// A field nobody asked for.
    #[inline]
    pub(super) fn unknown(&mut self) {
        self.unknown_here += 1;
    }

    #[inline]
    pub(super) fn set_null(&mut self, column: usize) {
        self.slots[column] = Slot::Null;
    }

    /// A field that stands in the payload as it is.
    #[inline]
    pub(super) fn set(&mut self, column: usize, kind: Kind, at: Range<usize>) {
        self.slots[column] = if self.takes[column].takes(kind) {
            Slot::Payload(at.start as u32, at.end as u32)
        } else {
            Slot::Null
        };
    }

    /// A field that had to be unescaped.
    pub(super) fn set_copied(&mut self, column: usize, kind: Kind, text: &[u8]) {
        self.slots[column] = if self.takes[column].takes(kind) {
            let start = self.scratch.len();
            self.scratch.extend_from_slice(text);
            Slot::Scratch(start as u32, self.scratch.len() as u32)
        } else {
            Slot::Null
        };
    }

    /// Ends a record that could be read.
    pub(super) fn accept(&mut self, row: usize, raw: Range<usize>) {
        let payload = self.payload();
        for (slot, column) in self.slots.iter().zip(&mut self.columns) {
            match *slot {
                Slot::Null => column.push_null(),
                Slot::Payload(start, end) => {
                    column.push_bytes(&payload[start as usize..end as usize]);
                }
                Slot::Scratch(start, end) => {
                    column.push_bytes(&self.scratch[start as usize..end as usize]);
                }
            }
        }
        self.unknown_fields += self.unknown_here;
        self.bad.push_null();
        self.place(row, Some(raw));
    }

    /// Ends a record that could not.
    pub(super) fn refuse(&mut self, reason: &str, row: usize, raw: Option<Range<usize>>) {
        for column in &mut self.columns {
            column.push_null();
        }
        self.bad.push(reason);
        self.place(row, raw);
    }

    fn place(&mut self, row: usize, raw: Option<Range<usize>>) {
        let row = u32::try_from(row).unwrap_or(u32::MAX);
        let first = self.part.map(|part| part.first_row).unwrap_or_default();
        self.rows.push(first.saturating_add(row));
        let pointed = raw.is_some_and(|raw| {
            let (start, len) = (raw.start as u32, raw.len() as u32);
            self.raw.try_append_view(self.block, start, len).is_ok()
        });
        if !pointed {
            self.raw.append_null();
        }
    }

    pub(super) fn finish(mut self) -> Decoded {
        self.close();
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from(self.shard)),
            Arc::new(UInt64Array::from(self.seq)),
            Arc::new(UInt32Array::from(self.rows)),
            self.lender.finish(),
            self.bad.finish(),
            Arc::new(self.raw.finish()),
        ];
        columns.extend(self.columns.into_iter().map(Texts::finish));
        let schema = schema(self.names);
        let batch = RecordBatch::try_new(schema.clone(), columns);
        assert!(batch.is_ok(), "rows fit their own columns");
        let rows = batch.unwrap_or_else(|_| RecordBatch::new_empty(schema));
        Decoded { rows, unknown_fields: self.unknown_fields }
    }
}

fn index(names: &[&str]) -> Vec<u16> {
    assert!(names.len() < usize::from(u16::MAX), "a dialect asks for fewer than 65535 columns");
    let size = (2 * names.len() + 1).next_power_of_two();
    let mut index = vec![0; size];
    for (column, name) in names.iter().enumerate() {
        let mut at = hash_bytes(name.as_bytes()) as usize & (size - 1);
        while index[at] != 0 {
            at = (at + 1) & (size - 1);
        }
        index[at] = column as u16 + 1;
    }
    index
}
