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
    /// Where each key ends, counted from where its block of keys begins.
    ends: Vec<u32>,
    blocks: Vec<usize>,
    rows: HashTable<u32>,
}

/// Keys of one block, a power of two, and what one key may take: a block ends below 4 GiB.
const BLOCK: usize = 1 << 11;
const KEY_BYTES_MAX: usize = (1 << 21) - 1;

impl Keys {
    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The key of a row.
    #[inline]
    pub fn key(&self, row: u32) -> &str {
        key_of(&self.texts, &self.ends, &self.blocks, row)
    }

    /// The row of a key.
    pub fn find(&self, key: &str) -> Option<u32> {
        self.rows.find(hash(key), |row| self.key(*row) == key).copied()
    }

    /// The row of a key, appended if it is new; the answer says which.
    pub fn row(&mut self, key: &str) -> (u32, bool) {
        if let Some(row) = self.find(key) {
            return (row, false);
        }
        assert!(self.ends.len() < u32::MAX as usize, "a shard holds fewer than 2^32 keys");
        assert!(key.len() <= KEY_BYTES_MAX, "no record has texts of more than 64 KiB");
        let row = self.ends.len() as u32;
        if self.ends.len().is_multiple_of(BLOCK) {
            self.blocks.push(self.texts.len());
        }
        self.texts.push_str(key);
        let block = self.blocks[self.blocks.len() - 1];
        self.ends.push((self.texts.len() - block) as u32);
        let Keys { texts, ends, blocks, rows } = self;
        rows.insert_unique(hash(key), row, |row| hash(key_of(texts, ends, blocks, *row)));
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
        let ends = 4 * self.ends.capacity() + 8 * self.blocks.capacity();
        self.texts.capacity() + ends + 5 * self.rows.capacity()
    }
}

fn key_of<'a>(texts: &'a str, ends: &[u32], blocks: &[usize], row: u32) -> &'a str {
    let row = row as usize;
    let block = blocks[row / BLOCK];
    let start = if row.is_multiple_of(BLOCK) { 0 } else { ends[row - 1] };
    &texts[block + start as usize..block + ends[row] as usize]
}

fn hash(key: &str) -> u64 {
    hash_bytes(key.as_bytes())
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
