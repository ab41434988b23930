//! A JSON array over several lines, which would be cut into lines that are no records.

use std::io::{self, BufRead};

use super::parts::RECORD_BYTES_MAX;

const HINT: &str = "one JSON array over several lines, and records are read line by line: turn it \
                    into lines with `jq -c '.[]' FILE`";

/// An error where a text is an array that does not end on the line where it begins. A line of more
/// bytes than a record may have is left to whoever cuts it.
pub fn refuse_spread(text: impl BufRead) -> io::Result<()> {
    let mut text = text.take(RECORD_BYTES_MAX as u64);
    if !text.fill_buf()?.trim_ascii_start().starts_with(b"[") {
        return Ok(());
    }
    let mut line = Vec::new();
    while line.trim_ascii().is_empty() && text.read_until(b'\n', &mut line)? > 0 {}
    match text.limit() == 0 || line.trim_ascii().ends_with(b"]") {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::InvalidData, HINT)),
    }
}
