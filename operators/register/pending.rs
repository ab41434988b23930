//! Movements that wait for their loan.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, RecordBatch, TimestampMicrosecondArray, UInt32Array,
    UInt64Array, new_null_array,
};
use arrow::datatypes::{
    DataType, Decimal128Type, Field, Schema, TimestampMicrosecondType, UInt32Type, UInt64Type,
};

use super::seen::Copy;
use crate::facts;
use crate::texts::Texts;

/// The texts a movement may have, of the columns of a fact.
pub(super) const TEXTS: [&str; 14] = [
    "kind",
    "id",
    "loan_id",
    "lender_id",
    "borrower_id",
    "product",
    "province",
    "currency",
    "channel",
    "reverses",
    "reason",
    "payer",
    "authority",
    "source",
];
const KIND: usize = 0;
const ID: usize = 1;
const LENDER_ID: usize = 3;

/// A movement taken out of its batch.
#[derive(Clone, Debug)]
pub(super) struct Suspended {
    pub(super) copy: Copy,
    pub(super) amount: i128,
    /// Of each of [`TEXTS`] its length plus one in four bytes, zero for null, then its bytes: one
    /// allocation for all.
    packed: Box<[u8]>,
}

impl Suspended {
    pub(super) fn new(copy: Copy, amount: i128, texts: [Option<&str>; TEXTS.len()]) -> Self {
        let length: usize = texts.iter().flatten().map(|text| text.len()).sum();
        let mut packed = Vec::with_capacity(4 * TEXTS.len() + length);
        for text in texts {
            let length = text.map_or(0, |text| text.len() as u32 + 1);
            packed.extend_from_slice(&length.to_le_bytes());
            packed.extend_from_slice(text.unwrap_or_default().as_bytes());
        }
        Suspended { copy, amount, packed: packed.into_boxed_slice() }
    }

    pub(super) fn texts(&self) -> [Option<&str>; TEXTS.len()] {
        let mut rest = &self.packed[..];
        TEXTS.map(|_| {
            let (length, after) = rest.split_first_chunk()?;
            let length = u32::from_le_bytes(*length) as usize;
            let (text, after) = after.split_at_checked(length.saturating_sub(1))?;
            rest = after;
            if length == 0 { None } else { std::str::from_utf8(text).ok() }
        })
    }

    pub(super) fn id(&self) -> &str {
        self.texts()[ID].unwrap_or_default()
    }

    pub(super) fn kind(&self) -> &str {
        self.texts()[KIND].unwrap_or_default()
    }

    pub(super) fn lender(&self) -> Option<&str> {
        self.texts()[LENDER_ID]
    }
}

/// By loan, then by the number of the id: in order of arrival.
#[derive(Default)]
pub(super) struct Pendings {
    waiting: BTreeMap<(u32, u32), Suspended>,
}

impl Pendings {
    /// Keeps a movement; answers with the copy that it replaces, if there is one.
    pub(super) fn keep(&mut self, loan: u32, id: u32, movement: Suspended) -> Option<Suspended> {
        self.waiting.insert((loan, id), movement)
    }

    /// Lets go of what waits for a loan, each under the number of its id.
    pub(super) fn release(&mut self, loan: u32) -> Vec<(u32, Suspended)> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let places: Vec<(u32, u32)> =
            self.waiting.range((loan, 0)..=(loan, u32::MAX)).map(|(place, _)| *place).collect();
        let taken = places.into_iter().map(|place| (place.1, self.waiting.remove(&place)));
        taken.filter_map(|(id, movement)| Some((id, movement?))).collect()
    }

    pub(super) fn save(&self) -> RecordBatch {
        let places = || self.waiting.keys();
        let movements: Vec<&Suspended> = self.waiting.values().collect();
        let loan: UInt32Array = places().map(|(loan, _)| *loan).collect();
        let id: UInt32Array = places().map(|(_, id)| *id).collect();
        let mut columns = vec![("waits_for", Arc::new(loan) as ArrayRef), ("number", Arc::new(id))];
        let saved = batch(&movements);
        let schema = saved.schema();
        columns.extend(
            schema
                .fields()
                .iter()
                .zip(saved.columns())
                .map(|(field, column)| (field.name().as_str(), Arc::clone(column))),
        );
        table(columns)
    }

    pub(super) fn load(saved: &RecordBatch) -> Result<Self, &'static str> {
        let column =
            |name: &str| saved.column_by_name(name).ok_or("a column of movements is missing");
        const OTHER: &str = "a column of movements has another type";
        let loan = column("waits_for")?.as_primitive_opt::<UInt32Type>().ok_or(OTHER)?;
        let number = column("number")?.as_primitive_opt::<UInt32Type>().ok_or(OTHER)?;
        let digest = column("digest")?.as_primitive_opt::<UInt64Type>().ok_or(OTHER)?;
        let seq = column("seq")?.as_primitive_opt::<UInt64Type>().ok_or(OTHER)?;
        let row = column("row")?.as_primitive_opt::<UInt32Type>().ok_or(OTHER)?;
        let at = column("at")?.as_primitive_opt::<TimestampMicrosecondType>().ok_or(OTHER)?;
        let amount = column("amount")?.as_primitive_opt::<Decimal128Type>().ok_or(OTHER)?;
        let mut texts = Vec::new();
        for name in TEXTS {
            texts.push(column(name)?.as_string_opt::<i32>().ok_or(OTHER)?);
        }
        let mut pendings = Pendings::default();
        for i in 0..saved.num_rows() {
            let copy = Copy {
                digest: digest.value(i),
                at: at.value(i),
                seq: seq.value(i),
                row: row.value(i),
            };
            let mut said = [None; TEXTS.len()];
            for (said, texts) in said.iter_mut().zip(&texts) {
                *said = texts.is_valid(i).then(|| texts.value(i));
            }
            let movement = Suspended::new(copy, amount.value(i), said);
            pendings.keep(loan.value(i), number.value(i), movement);
        }
        Ok(pendings)
    }

    pub(super) fn size(&self) -> usize {
        let each = size_of::<((u32, u32), Suspended)>();
        self.waiting.values().map(|movement| each + movement.packed.len()).sum()
    }
}

/// Movements as a batch of facts, at the places where they were read.
pub(super) fn batch(movements: &[&Suspended]) -> RecordBatch {
    let rows = movements.len();
    let mut texts = TEXTS.map(|_| Texts::with_capacity(rows, 8 * rows));
    for movement in movements {
        for (column, text) in texts.iter_mut().zip(movement.texts()) {
            column.push_option(text);
        }
    }
    let mut texts = texts.map(|column| Some(column.finish()));
    let copies = || movements.iter().map(|movement| movement.copy);
    let schema = facts::facts();
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        let text = TEXTS.iter().position(|name| name == field.name());
        if let Some(text) = text.and_then(|text| texts[text].take()) {
            return text;
        }
        match field.name().as_str() {
            "seq" => Arc::new(copies().map(|copy| copy.seq).collect::<UInt64Array>()),
            "row" => Arc::new(copies().map(|copy| copy.row).collect::<UInt32Array>()),
            "digest" => Arc::new(copies().map(|copy| copy.digest).collect::<UInt64Array>()),
            "at" => {
                let at = TimestampMicrosecondArray::from_iter_values(copies().map(|copy| copy.at));
                Arc::new(at.with_timezone("UTC"))
            }
            "amount" => {
                let cents = movements.iter().map(|movement| movement.amount);
                let amounts = Decimal128Array::from_iter_values(cents);
                Arc::new(amounts.with_data_type(facts::MONEY))
            }
            _ => new_null_array(field.data_type(), rows),
        }
    });
    let columns = columns.collect();
    let batch = RecordBatch::try_new(schema.clone(), columns);
    assert!(batch.is_ok(), "movements fit the columns of facts");
    batch.unwrap_or_else(|_| RecordBatch::new_empty(schema))
}

/// A table of memory, as it is saved.
pub(super) fn table(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, column)| Field::new(*name, DataType::clone(column.data_type()), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns);
    assert!(batch.is_ok(), "the columns of one memory are equally long");
    batch.unwrap_or_else(|_| RecordBatch::new_empty(schema))
}
