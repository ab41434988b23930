//! JSON: lines, an array, or one object.
//!
//! Plain records go through [`Scan`], which is quick and takes only what it is sure of; whatever it
//! hands back is read by serde_json, which has the last word on what is JSON.

use std::fmt;
use std::ops::Range;

use memchr::memchr;
use serde::Deserializer as _;
use serde::de::{Deserialize, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use super::scan::Scan;
use super::table::{Kind, Name, Table};

const BAD: &str = "bad_json";

pub(super) fn read(table: &mut Table) {
    let payload = table.payload();
    let start = if payload.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let first = payload[start..].iter().find(|byte| !blank(**byte));
    if first == Some(&b'[')
        && let Some(records) = elements(payload, start)
    {
        let mut scan = Scan::new(table.columns());
        for (row, record) in records.into_iter().enumerate() {
            if scan.object(table, payload, record.start) == Some(record.end) {
                table.accept(row, record);
            } else {
                read_slowly(table, payload, row, record);
            }
        }
        return;
    }
    lines(table, payload, start);
}

/// One record per line; where the first is not one, the payload may be a single object.
fn lines(table: &mut Table, payload: &[u8], start: usize) {
    // One fast check of everything spares one for every record; where a record somewhere is no
    // UTF-8, each is checked by itself, so that it costs only its own.
    let clean = std::str::from_utf8(payload).is_ok();
    let mut scan = Scan::new(table.columns());
    let mut unread = true;
    let (mut at, mut line) = (start, 0);
    while at < payload.len() {
        if let Some(end) = scan.object(table, payload, at)
            && (clean || std::str::from_utf8(&payload[at..end]).is_ok())
            && let Some(next) = next_line(payload, end)
        {
            table.accept(line, at..end);
            unread = false;
            at = next;
            line += 1;
            continue;
        }
        let end = memchr(b'\n', &payload[at..]).map_or(payload.len(), |length| at + length);
        let record = trim(payload, at..end);
        if !record.is_empty() {
            if unread && end < payload.len() && single(payload, record.start) {
                read_slowly(table, payload, line, trim(payload, at..payload.len()));
                return;
            }
            unread = false;
            read_slowly(table, payload, line, record);
        }
        at = end + 1;
        line += 1;
    }
}

/// Where the next line begins, if nothing but blanks is left on this one.
fn next_line(payload: &[u8], mut at: usize) -> Option<usize> {
    while let Some(byte) = payload.get(at) {
        match byte {
            b'\n' => break,
            b' ' | b'\t' | b'\r' => at += 1,
            _ => return None,
        }
    }
    Some(at + 1)
}

/// Whether everything from here on is one JSON object over several lines.
fn single(payload: &[u8], start: usize) -> bool {
    if payload[start] != b'{' {
        return false;
    }
    let mut reader = Deserializer::from_slice(&payload[start..]);
    IgnoredAny::deserialize(&mut reader).is_ok() && reader.end().is_ok()
}

/// The elements of one JSON array that holds at least one object.
fn elements(payload: &[u8], start: usize) -> Option<Vec<Range<usize>>> {
    let text = std::str::from_utf8(&payload[start..]).ok()?;
    let mut reader = Deserializer::from_str(text);
    let found = reader.deserialize_seq(Elements { payload }).ok()?;
    reader.end().ok()?;
    found.iter().any(|element| payload[element.start] == b'{').then_some(found)
}

struct Elements<'a> {
    payload: &'a [u8],
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = Vec<Range<usize>>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while let Some(element) = seq.next_element::<&RawValue>()? {
            found.push(place(self.payload, element.get()));
        }
        Ok(found)
    }
}

/// Reads one record by serde_json.
fn read_slowly(table: &mut Table, payload: &[u8], row: usize, at: Range<usize>) {
    table.begin();
    let read = std::str::from_utf8(&payload[at.clone()]).is_ok_and(|text| {
        let mut reader = Deserializer::from_str(text);
        let record = Record { table, payload };
        reader.deserialize_map(record).is_ok() && reader.end().is_ok()
    });
    if read {
        table.accept(row, at);
    } else {
        table.refuse(BAD, row, Some(at));
    }
}

struct Record<'t, 'a> {
    table: &'t mut Table<'a>,
    payload: &'t [u8],
}

impl<'de> Visitor<'de> for Record<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Key { table: self.table })? {
            let value = map.next_value::<&RawValue>()?.get();
            match name {
                Name::Column(column) => field(self.table, self.payload, column, value)
                    .map_err(serde::de::Error::custom)?,
                Name::Expected => {}
                Name::Unknown => self.table.unknown(),
            }
        }
        Ok(())
    }
}

/// A key, answered by what the table calls it.
struct Key<'t, 'a> {
    table: &'t Table<'a>,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Name;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Name, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Name, E> {
        Ok(self.table.name(key.as_bytes()))
    }
}

/// Puts a value, given as its JSON text, into its column.
fn field(
    table: &mut Table,
    payload: &[u8],
    column: usize,
    value: &str,
) -> Result<(), serde_json::Error> {
    let at = place(payload, value);
    match value.as_bytes().first() {
        None | Some(b'n') => table.set_null(column),
        Some(b'"') if memchr(b'\\', value.as_bytes()).is_none() => {
            table.set(column, Kind::Text, at.start + 1..at.end - 1);
        }
        Some(b'"') => {
            let text: String = serde_json::from_str(value)?;
            table.set_copied(column, Kind::Text, text.as_bytes());
        }
        Some(b'{' | b'[') => table.set(column, Kind::Nested, at),
        Some(b't' | b'f') => table.set(column, Kind::Bool, at),
        Some(_) => {
            let whole = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
            table.set(column, if whole { Kind::Integer } else { Kind::Number }, at);
        }
    }
    Ok(())
}

/// Where a text borrowed from the payload stands in it.
fn place(payload: &[u8], text: &str) -> Range<usize> {
    let start = (text.as_ptr() as usize).wrapping_sub(payload.as_ptr() as usize);
    assert!(start <= payload.len(), "a raw value is borrowed from the payload");
    start..start + text.len()
}

fn blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn trim(payload: &[u8], at: Range<usize>) -> Range<usize> {
    let (mut start, mut end) = (at.start, at.end);
    while start < end && blank(payload[start]) {
        start += 1;
    }
    while start < end && blank(payload[end - 1]) {
        end -= 1;
    }
    start..end
}
