//! Reference data: curves, markets, agencies, desks and contracts, as files and as facts.
//!
//! A file is read against the columns of its table; every value that does not fit is named with
//! file, line, column and what was expected. A table that fits is one version: one atomic batch on
//! `loans.all.<name>`, fenced on the version before it, so that all shards hear it whole.

mod columns;
mod read;
#[cfg(test)]
mod tests;
mod values;

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;

use crate::limits::HEADERS_MAX;
use crate::log::{BATCH_MESSAGES_MAX, Log, LogError, Message, Outgoing};
use crate::rows::{self, Packing};
pub(crate) use read::line_of;

/// The stream that every shard hears.
const STREAM: &str = "loans";
const VERSION: &str = "Recoup-Version";
const DIGEST: &str = "Recoup-Digest";
/// `2/3`: this message holds the second of three parts of its version.
pub(crate) const PART: &str = "Recoup-Part";

/// A reference table that fits its columns.
#[derive(Clone, Debug)]
pub struct Reference {
    pub name: &'static str,
    /// Of its content, in hex: the same rows are the same version.
    pub digest: String,
    /// What was ignored on the way, for people.
    pub notes: Vec<String>,
    /// The columns of the table; `version` is 1 until it is posted.
    pub batch: RecordBatch,
}

impl Reference {
    /// The rows, carrying this version.
    pub fn at_version(&self, version: i64) -> Result<RecordBatch, ArrowError> {
        let versions: ArrayRef = Arc::new(Int64Array::from(vec![version; self.batch.num_rows()]));
        let mut columns = self.batch.columns().to_vec();
        columns[0] = versions;
        RecordBatch::try_new(self.batch.schema(), columns)
    }
}

/// A value in a file that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{file}{}: {what}", at(.line))]
pub struct Mistake {
    pub file: String,
    /// 0 where the whole file is meant.
    pub line: u64,
    pub what: String,
}

fn at(line: &u64) -> String {
    if *line == 0 { String::new() } else { format!(":{line}") }
}

/// A column of a table: its name, whether every row must have it, and what it holds.
pub type Told = (&'static str, bool, String);

/// The columns of a table, and those that name a row.
pub fn told(name: &str) -> Option<(Vec<Told>, &'static [&'static str])> {
    let table = columns::TABLES.iter().find(|table| table.name == name)?;
    let told =
        |column: &columns::Column| (column.name, column.required, values::expected(column.kind));
    Some((table.columns.iter().map(told).collect(), table.key))
}

/// The names of the tables that may be posted, in the order they are best read.
pub fn names() -> impl Iterator<Item = &'static str> {
    columns::TABLES.iter().map(|table| table.name)
}

/// Reads a table from the bytes of a CSV file; `file` is what mistakes call it.
pub fn parse_reference(name: &str, file: &str, bytes: &[u8]) -> Result<Reference, Vec<Mistake>> {
    let Some(table) = columns::TABLES.iter().find(|table| table.name == name) else {
        let known: Vec<_> = names().collect();
        let what = format!("there is no table \"{name}\"; there are {}", known.join(", "));
        return Err(vec![Mistake { file: file.into(), line: 0, what }]);
    };
    read::table(table, file, bytes)
}

/// Reads a table from a CSV file.
pub fn read_reference(name: &str, file: &Path) -> Result<Reference, Vec<Mistake>> {
    let shown = file.display().to_string();
    match std::fs::read(file) {
        Ok(bytes) => parse_reference(name, &shown, &bytes),
        Err(error) => {
            let what = format!("the file was not read: {error}");
            Err(vec![Mistake { file: shown, line: 0, what }])
        }
    }
}

/// What became of a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// A new version, the last of whose messages has this sequence.
    Stored { version: i64, seq: u64 },
    /// The newest version has this very content already.
    Unchanged { version: i64 },
}

/// Makes a table a fact. Refused as [`LogError::Fenced`] if somebody posted in between.
pub async fn post(log: &dyn Log, reference: &Reference) -> Result<Posted, LogError> {
    let subject = format!("{STREAM}.all.{}", reference.name);
    let newest = log.last(STREAM, &subject).await?;
    let before = newest.as_ref().map_or(0, version_of);
    if newest.as_ref().and_then(|message| header(message, DIGEST)) == Some(&reference.digest) {
        return Ok(Posted::Unchanged { version: before });
    }
    let version = before + 1;
    let expects = newest.map_or(0, |message| message.seq);
    let batch = messages(reference, &subject, version, expects, log.payload_max())?;
    match log.commit(STREAM, &batch).await {
        Ok(seq) => Ok(Posted::Stored { version, seq }),
        Err(LogError::Unavailable(cause)) => {
            // Nothing is known of the batch: the log is asked.
            let stored = log.last(STREAM, &subject).await?.filter(|message| {
                version_of(message) == version && header(message, DIGEST) == Some(&reference.digest)
            });
            stored
                .map(|message| Posted::Stored { version, seq: message.seq })
                .ok_or(LogError::Unavailable(cause))
        }
        Err(error) => Err(error),
    }
}

fn header<'a>(message: &'a Message, name: &str) -> Option<&'a String> {
    message.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

fn version_of(message: &Message) -> i64 {
    header(message, VERSION).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// One version as the messages of one batch, the first of them fenced.
fn messages(
    reference: &Reference,
    subject: &str,
    version: i64,
    expects: u64,
    payload_max: usize,
) -> Result<Vec<Outgoing>, LogError> {
    let unfit = |error: ArrowError| LogError::Unfit {
        what: format!("{} cannot be encoded: {error}", reference.name),
        hint: "check the file".into(),
    };
    let room = payload_max.saturating_sub(HEADERS_MAX);
    let table = reference.at_version(version).map_err(unfit)?;
    let payloads = rows::encode(&table, Packing::Plain, room);
    if payloads.iter().any(|payload| payload.len() > room) {
        let what = format!("a row of {}", reference.name);
        return Err(LogError::TooLarge { what, limit: room });
    }
    let count = payloads.len();
    if count > BATCH_MESSAGES_MAX {
        let what = format!("one version of {} in {count} messages", reference.name);
        return Err(LogError::TooLarge { what, limit: BATCH_MESSAGES_MAX });
    }
    let message = |(i, payload)| Outgoing {
        subject: subject.into(),
        headers: vec![
            (VERSION.into(), version.to_string()),
            (DIGEST.into(), reference.digest.clone()),
            (PART.into(), format!("{}/{count}", i + 1)),
        ],
        payload,
        rows: None,
        expects: (i == 0).then_some(expects),
    };
    Ok(payloads.into_iter().enumerate().map(message).collect())
}
