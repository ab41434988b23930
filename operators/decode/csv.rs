//! CSV: a header line, then a record per line; quoted fields may hold line breaks.
//!
//! A record that does not fit the header is refused alone. Where such a record spans several
//! lines, an open quote may have swallowed good ones: only its first line is refused, and reading
//! goes on with the next. What is read twice that way is bounded by a multiple of the payload.

use csv_core::{ReadRecordResult, Reader};
use memchr::memchr;

use super::table::{Kind, Name, Table};

const BAD: &str = "bad_csv";
/// No more than this many times its own length is a payload read again after open quotes.
const REREAD_FACTOR: usize = 4;

/// One record as the reader leaves it: unquoted bytes, and where each field ends.
struct Fields {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
}

pub(super) fn read(table: &mut Table) {
    let payload = table.payload();
    let start = if payload.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut reader = Reader::new();
    let mut fields = Fields { bytes: vec![0; 1024], ends: vec![0; 64], count: 0 };
    let Some(after) = next(&mut reader, payload, start, &mut fields) else { return };
    let header: Vec<Name> = (0..fields.count).map(|i| table.name(fields.get(i))).collect();
    // `line` is always the number of line breaks before `at`.
    let (mut at, mut line) = (after, breaks(&payload[start..after]));
    let mut reread = REREAD_FACTOR * payload.len();
    while let Some(mut end) = next(&mut reader, payload, at, &mut fields) {
        let mut raw = content(payload, at, end);
        let row = line + breaks(&payload[at..raw.start]);
        if fields.count == header.len() && fields.utf8() {
            take(table, &header, &fields);
            table.accept(row, raw);
        } else {
            if let Some(length) = memchr(b'\n', &payload[raw.clone()])
                && reread >= raw.len()
            {
                reread -= raw.len();
                end = raw.start + length + 1;
                raw = content(payload, raw.start, end);
            }
            table.refuse(BAD, row, Some(raw));
        }
        line += breaks(&payload[at..end]);
        at = end;
    }
}

impl Fields {
    fn get(&self, field: usize) -> &[u8] {
        let start = if field == 0 { 0 } else { self.ends[field - 1] };
        &self.bytes[start..self.ends[field]]
    }

    fn utf8(&self) -> bool {
        (0..self.count).all(|field| std::str::from_utf8(self.get(field)).is_ok())
    }
}

fn take(table: &mut Table, header: &[Name], fields: &Fields) {
    table.begin();
    for (field, name) in header.iter().enumerate() {
        match (name, fields.get(field)) {
            (Name::Column(column), b"") => table.set_null(*column),
            (Name::Column(column), text) => table.set_copied(*column, kind(text), text),
            (Name::Expected, _) => {}
            (Name::Unknown, _) => table.unknown(),
        }
    }
}

/// CSV has no types: an integer is what looks like one, and money is always a text.
fn kind(text: &[u8]) -> Kind {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let whole = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    if whole { Kind::Integer } else { Kind::Text }
}

/// Reads the record at `at`; answers where the next one begins.
fn next(reader: &mut Reader, payload: &[u8], at: usize, fields: &mut Fields) -> Option<usize> {
    reader.reset();
    let (mut at, mut written, mut count) = (at, 0, 0);
    loop {
        let (result, read, wrote, ended) = reader.read_record(
            &payload[at..],
            &mut fields.bytes[written..],
            &mut fields.ends[count..],
        );
        at += read;
        written += wrote;
        count += ended;
        match result {
            ReadRecordResult::OutputFull => fields.bytes.resize(2 * fields.bytes.len(), 0),
            ReadRecordResult::OutputEndsFull => fields.ends.resize(2 * fields.ends.len(), 0),
            ReadRecordResult::InputEmpty => {}
            ReadRecordResult::Record => {
                fields.count = count;
                return Some(at);
            }
            ReadRecordResult::End => return None,
        }
    }
}

/// A record's bytes without the line breaks around it.
fn content(payload: &[u8], mut start: usize, mut end: usize) -> std::ops::Range<usize> {
    while start < end && matches!(payload[start], b'\n' | b'\r') {
        start += 1;
    }
    while start < end && matches!(payload[end - 1], b'\n' | b'\r') {
        end -= 1;
    }
    start..end
}

fn breaks(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}
