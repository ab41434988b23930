//! Which ids were seen, and which copy of each counts.
//!
//! An id is kept as a 64-bit hash of itself, its loan and its scope: a report's ids are apart from
//! a movement's. Some forty bytes each, in columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array, UInt64Array};
use arrow::datatypes::{ArrowPrimitiveType, Int64Type, UInt32Type, UInt64Type};
use hashbrown::HashTable;

use super::pending::table;
use crate::memory::hash_bytes;

/// One copy of what an id names: its content, its instant, and where it stood in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) digest: u64,
    pub(super) at: i64,
    pub(super) seq: u64,
    pub(super) row: u32,
}

/// What becomes of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    New,
    /// The same content again.
    Repeat,
    /// It replaces this one.
    Wins(Copy),
    Loses,
}

#[derive(Default)]
pub(super) struct Seen {
    keys: Vec<u64>,
    digest: Vec<u64>,
    at: Vec<i64>,
    seq: Vec<u64>,
    row: Vec<u32>,
    index: HashTable<u32>,
}

impl Seen {
    pub(super) fn report(loan: u32, id: &str) -> u64 {
        scoped(0, loan, hash_bytes(id.as_bytes()))
    }

    pub(super) fn movement(loan: u32, id: &str) -> u64 {
        scoped(1, loan, hash_bytes(id.as_bytes()))
    }

    /// While its loan is unknown, a movement's id is also its lender's.
    /// A notice's ids are apart from a movement's here too.
    pub(super) fn suspended(loan: u32, lender: Option<&str>, id: &str, notice: bool) -> u64 {
        let lender = lender.map_or(0, |lender| hash_bytes(lender.as_bytes()));
        let scope = if notice { 4 } else { 2 };
        scoped(scope, loan, scoped(3, loan, lender) ^ hash_bytes(id.as_bytes()))
    }

    /// Whether an id was seen.
    pub(super) fn has(&self, key: u64) -> bool {
        self.index.find(key, |place| self.keys[*place as usize] == key).is_some()
    }

    /// Compares a copy with the one that counts, if there is one, and keeps the greater; answers
    /// with the number of the id and the verdict.
    #[inline]
    pub(super) fn judge(&mut self, key: u64, copy: Copy) -> (u32, Verdict) {
        let keys = &self.keys;
        if let Some(found) = self.index.find(key, |place| keys[*place as usize] == key) {
            return (*found, self.compare(*found as usize, copy));
        }
        let place = self.append(key, copy);
        (place, Verdict::New)
    }

    fn append(&mut self, key: u64, copy: Copy) -> u32 {
        assert!(self.keys.len() < u32::MAX as usize, "a shard holds fewer than 2^32 ids");
        let place = self.keys.len() as u32;
        self.keys.push(key);
        self.digest.push(copy.digest);
        self.at.push(copy.at);
        self.seq.push(copy.seq);
        self.row.push(copy.row);
        let keys = &self.keys;
        self.index.insert_unique(key, place, |place| keys[*place as usize]);
        place
    }

    fn compare(&mut self, place: usize, copy: Copy) -> Verdict {
        if copy.digest == self.digest[place] {
            return Verdict::Repeat;
        }
        if copy.digest < self.digest[place] {
            return Verdict::Loses;
        }
        let old = Copy {
            digest: self.digest[place],
            at: self.at[place],
            seq: self.seq[place],
            row: self.row[place],
        };
        self.digest[place] = copy.digest;
        self.at[place] = copy.at;
        self.seq[place] = copy.seq;
        self.row[place] = copy.row;
        Verdict::Wins(old)
    }

    pub(super) fn save(&self) -> RecordBatch {
        table(vec![
            ("key", Arc::new(UInt64Array::from(self.keys.clone())) as ArrayRef),
            ("digest", Arc::new(UInt64Array::from(self.digest.clone()))),
            ("at", Arc::new(Int64Array::from(self.at.clone()))),
            ("seq", Arc::new(UInt64Array::from(self.seq.clone()))),
            ("row", Arc::new(UInt32Array::from(self.row.clone()))),
        ])
    }

    pub(super) fn load(saved: &RecordBatch) -> Result<Self, &'static str> {
        let keys = column::<UInt64Type>(saved, "key")?;
        let digest = column::<UInt64Type>(saved, "digest")?;
        let at = column::<Int64Type>(saved, "at")?;
        let seq = column::<UInt64Type>(saved, "seq")?;
        let row = column::<UInt32Type>(saved, "row")?;
        let mut seen = Seen::default();
        for place in 0..keys.len() {
            let copy =
                Copy { digest: digest[place], at: at[place], seq: seq[place], row: row[place] };
            if seen.judge(keys[place], copy).1 != Verdict::New {
                return Err("an id stands twice");
            }
        }
        Ok(seen)
    }

    pub(super) fn size(&self) -> usize {
        (4 * 8 + 4) * self.keys.capacity() + 5 * self.index.capacity()
    }
}

fn scoped(scope: u8, loan: u32, hash: u64) -> u64 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&hash.to_le_bytes());
    bytes[8..12].copy_from_slice(&loan.to_le_bytes());
    bytes[12] = scope;
    hash_bytes(&bytes)
}

/// A column of numbers in a saved table.
fn column<'a, T: ArrowPrimitiveType>(
    saved: &'a RecordBatch,
    name: &str,
) -> Result<&'a [T::Native], &'static str> {
    let column = saved.column_by_name(name).ok_or("a column of ids is missing")?;
    let numbers = column.as_primitive_opt::<T>().ok_or("a column of ids has another type")?;
    Ok(numbers.values())
}
