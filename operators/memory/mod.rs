//! Keyed columnar memory: a hash index from key to row number over growable columns.
//!
//! Look-ups go by hash, iteration always by row, so order is deterministic.
//! An operator keeps one [`Keys`] per kind of thing it remembers and plain `Vec` columns beside it;
//! row *i* of every column belongs to key *i*.

mod chunk;
pub mod digest;
pub mod table;
#[cfg(test)]
mod tests;

use arrow::array::{Array, StringArray};
use hashbrown::HashTable;

/// Texts with a row number each, in the order they came.
#[derive(Default)]
pub struct Keys {
    texts: String,
    ends: Vec<usize>,
    places: HashTable<Place>,
}

/// Where a key is. Its hash stands beside it: who looks for another key, and a table that grows,
/// need not read the text, which is far away.
#[derive(Clone, Copy)]
struct Place {
    hash: u32,
    row: u32,
}

impl Keys {
    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The key of a row.
    pub fn key(&self, row: u32) -> &str {
        let row = row as usize;
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.texts[start..self.ends[row]]
    }

    /// The row of a key.
    pub fn find(&self, key: &str) -> Option<u32> {
        self.find_hashed(key, hash(key))
    }

    fn find_hashed(&self, key: &str, hash: u32) -> Option<u32> {
        let same = |place: &Place| place.hash == hash && self.key(place.row) == key;
        self.places.find(spread(hash), same).map(|place| place.row)
    }

    /// The row of a key, appended if it is new; the answer says which.
    pub fn row(&mut self, key: &str) -> (u32, bool) {
        let hash = hash(key);
        if let Some(row) = self.find_hashed(key, hash) {
            return (row, false);
        }
        assert!(self.ends.len() < u32::MAX as usize, "a shard holds fewer than 2^32 keys");
        let row = self.ends.len() as u32;
        self.texts.push_str(key);
        self.ends.push(self.texts.len());
        let place = Place { hash, row };
        self.places.insert_unique(spread(hash), place, |place| spread(place.hash));
        (row, true)
    }

    /// Every key, by row.
    pub fn save(&self) -> StringArray {
        StringArray::from_iter_values((0..self.len()).map(|row| self.key(row as u32)))
    }

    pub fn load(keys: &StringArray) -> Self {
        let mut loaded = Keys::default();
        for row in 0..keys.len() {
            loaded.row(keys.value(row));
        }
        loaded
    }

    /// Bytes in use.
    pub fn size(&self) -> usize {
        self.texts.capacity() + 8 * self.ends.capacity() + 9 * self.places.capacity()
    }
}

fn hash(key: &str) -> u32 {
    (hash_bytes(key.as_bytes()) >> 32) as u32
}

/// A table picks its place by the lowest bits of a hash and tells neighbours apart by the highest.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A fixed, fast hash of bytes: the same in every process, so that nothing depends on a seed.
/// Eight bytes at a time, multiply and fold.
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = K ^ bytes.len() as u64;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        state = fold(state ^ u64::from_le_bytes(word), K);
    }
    let mut last = [0; 8];
    let rest = chunks.remainder();
    last[..rest.len()].copy_from_slice(rest);
    fold(state ^ u64::from_le_bytes(last), K)
}

fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    (wide as u64) ^ ((wide >> 64) as u64)
}
