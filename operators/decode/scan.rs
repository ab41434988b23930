//! The quick way through a plain JSON object.
//!
//! Takes an object whose keys and texts have no escapes and whose values are not nested, in bytes
//! that its caller knows to be UTF-8, and nothing else: at the first doubt it answers `None` and
//! serde_json decides. What it takes is JSON by the letter, so both ways agree (tests hold them
//! together).
//!
//! Records of one lender name their fields in one order, so after each field the one that
//! followed it last time is tried first.

use super::table::{Kind, Name, Table};

/// A guess that never fits.
const NONE: u16 = u16::MAX;

pub(super) struct Scan {
    /// The column that followed each column last time; the last entry is the start of a record.
    /// A field that is not a column leaves the place where it was found.
    next: Vec<u16>,
}

impl Scan {
    pub(super) fn new(columns: usize) -> Self {
        Scan { next: vec![NONE; columns + 1] }
    }

    /// Reads the object at `at` into the table's slots; answers where it ends.
    pub(super) fn object(&mut self, table: &mut Table, payload: &[u8], at: usize) -> Option<usize> {
        if payload.get(at) != Some(&b'{') {
            return None;
        }
        table.begin();
        let mut last = self.next.len() - 1;
        let mut at = blanks(payload, at + 1);
        if payload.get(at) == Some(&b'}') {
            return Some(at + 1);
        }
        loop {
            let (name, end) = self.key(table, payload, at, last)?;
            at = blanks(payload, end);
            if payload.get(at) != Some(&b':') {
                return None;
            }
            at = blanks(payload, at + 1);
            at = value(table, payload, at, name)?;
            if let Name::Column(column) = name {
                last = column;
            }
            at = blanks(payload, at);
            match payload.get(at) {
                Some(b',') => at = blanks(payload, at + 1),
                Some(b'}') => return Some(at + 1),
                _ => return None,
            }
        }
    }

    /// The key at `at`, with its quotes.
    #[inline]
    fn key(
        &mut self,
        table: &Table,
        payload: &[u8],
        at: usize,
        last: usize,
    ) -> Option<(Name, usize)> {
        if payload.get(at) != Some(&b'"') {
            return None;
        }
        let start = at + 1;
        let guess = self.next[last];
        if guess != NONE {
            let key = table.key(usize::from(guess));
            let end = start + key.len();
            if payload.get(start..end) == Some(key) && payload.get(end) == Some(&b'"') {
                return Some((Name::Column(usize::from(guess)), end + 1));
            }
        }
        let end = text(payload, start)?;
        let name = table.name(&payload[start..end]);
        if let Name::Column(column) = name {
            self.next[last] = column as u16;
        }
        Some((name, end + 1))
    }
}

/// Reads a value; answers where it ends.
#[inline]
fn value(table: &mut Table, payload: &[u8], at: usize, name: Name) -> Option<usize> {
    let (kind, field, end) = match *payload.get(at)? {
        b'"' => {
            let end = text(payload, at + 1)?;
            (Some(Kind::Text), at + 1..end, end + 1)
        }
        b'n' => (None, at..at, word(payload, at, b"null")?),
        b't' => (Some(Kind::Bool), at..at + 4, word(payload, at, b"true")?),
        b'f' => (Some(Kind::Bool), at..at + 5, word(payload, at, b"false")?),
        b'-' | b'0'..=b'9' => {
            let (kind, end) = number(payload, at)?;
            (Some(kind), at..end, end)
        }
        _ => return None,
    };
    match (name, kind) {
        (Name::Column(column), Some(kind)) => table.set(column, kind, field),
        (Name::Column(column), None) => table.set_null(column),
        (Name::Expected, _) => {}
        (Name::Unknown, _) => table.unknown(),
    }
    Some(end)
}

#[inline]
fn blanks(payload: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t') = payload.get(at) {
        at += 1;
    }
    at
}

fn word(payload: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    let end = at + word.len();
    (payload.get(at..end)? == word).then_some(end)
}

/// Where the text that begins at `at` meets its quote; `None` where it has an escape or a control
/// character first. Eight bytes at a time: a byte is special where subtraction borrows.
#[inline]
fn text(payload: &[u8], mut at: usize) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    while let Some(chunk) = payload.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * u64::from(b'"'));
        let slash = word ^ (ONES * u64::from(b'\\'));
        let special = (quote.wrapping_sub(ONES) & !quote)
            | (slash.wrapping_sub(ONES) & !slash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        let special = special & HIGH;
        if special != 0 {
            // The lowest hit is exact; a borrow can only make false ones above it.
            at += special.trailing_zeros() as usize / 8;
            return (payload[at] == b'"').then_some(at);
        }
        at += 8;
    }
    loop {
        match *payload.get(at)? {
            b'"' => return Some(at),
            b'\\' | 0..=0x1f => return None,
            _ => at += 1,
        }
    }
}

/// A number as JSON writes it; answers its kind and where it ends.
fn number(payload: &[u8], at: usize) -> Option<(Kind, usize)> {
    let start = if payload[at] == b'-' { at + 1 } else { at };
    let mut end = digits(payload, start);
    if end == start || (payload[start] == b'0' && end > start + 1) {
        return None;
    }
    let mut kind = Kind::Integer;
    if payload.get(end) == Some(&b'.') {
        let fraction = digits(payload, end + 1);
        if fraction == end + 1 {
            return None;
        }
        (kind, end) = (Kind::Number, fraction);
    }
    if let Some(b'e' | b'E') = payload.get(end) {
        let signed = matches!(payload.get(end + 1), Some(b'+' | b'-'));
        let start = end + 1 + usize::from(signed);
        let exponent = digits(payload, start);
        if exponent == start {
            return None;
        }
        (kind, end) = (Kind::Number, exponent);
    }
    Some((kind, end))
}

#[inline]
fn digits(payload: &[u8], mut at: usize) -> usize {
    while let Some(b'0'..=b'9') = payload.get(at) {
        at += 1;
    }
    at
}
