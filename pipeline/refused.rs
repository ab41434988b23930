//! Rows that could not be used, read from the log again, and their bytes for who holds the key.
//!
//! What normalize refused carries its bytes, sealed. What a later stage refused (a conflict, a
//! foreign loan) names its place in the intake, and the intake still has the record until it is
//! trimmed. Both are opened only with the deployment's key (A15).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use bytes::Bytes;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::record_batch::RecordBatch;
use recoup_operators::rules::Keys;
use recoup_operators::seal::{Place, unseal};

use crate::decoder::{FORMAT, ROW, SOURCE};
use crate::log::{Log, LogError, Message, ReadLimit};
use crate::rows;

const INTAKE: &str = "intake";
/// The streams whose stages refuse rows.
const STREAMS: [&str; 4] = ["reports", "loans", "book", "statements"];
const LIMIT: ReadLimit = ReadLimit { messages: 1_000, bytes: 16 << 20 };
const PATIENCE: Duration = Duration::from_millis(500);

/// Which rows are asked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub lender: Option<String>,
    pub reason: Option<String>,
    /// The newest so many of each stream.
    pub count: usize,
}

/// A row that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Where it was said, and when: a stream, a sequence, microseconds UTC.
    pub stream: &'static str,
    pub seq: u64,
    pub at: i64,
    pub lender: String,
    pub reason: String,
    pub source: String,
    /// The bytes, sealed; none where the stage that refused it never had them.
    pub sealed: Option<Vec<u8>>,
    /// The file it came from, where the intake still knows it.
    pub file: String,
}

/// The refused rows that are wanted, in the order of each stream.
pub async fn read(log: &dyn Log, wanted: &Wanted) -> Result<Vec<Refusal>, LogError> {
    let mut all = vec![];
    for stream in STREAMS {
        let subjects = format!("{stream}.*.refused");
        let end = log.last(stream, &subjects).await?.map_or(0, |message| message.seq);
        let mut reader = log.read(stream, &[subjects], 0).await?;
        let mut found: Vec<Refusal> = vec![];
        let mut read = 0;
        while read < end {
            let messages = reader.next(LIMIT, PATIENCE).await?;
            read = messages.last().map_or(read, |last| last.seq);
            for message in &messages {
                for rows in rows::of(message)? {
                    found.extend(refusals(stream, message, &rows, wanted));
                }
            }
            found.drain(..found.len().saturating_sub(wanted.count));
        }
        all.extend(found);
    }
    let mut messages = Intake::default();
    for one in &mut all {
        if let Some((seq, _)) = place(&one.source) {
            one.file = messages.get(log, seq).await?.map_or(String::new(), |held| held.file());
        }
    }
    Ok(all)
}

fn refusals(
    stream: &'static str,
    message: &Message,
    rows: &RecordBatch,
    wanted: &Wanted,
) -> Vec<Refusal> {
    let text = |name: &str, row: usize| {
        let column = rows.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        let column = column.filter(|column| column.is_valid(row));
        column.map(|column| column.value(row).to_string()).unwrap_or_default()
    };
    let raw = rows.column_by_name("raw").and_then(|column| column.as_binary_opt::<i32>());
    let all = (0..rows.num_rows()).map(|row| Refusal {
        stream,
        seq: message.seq,
        at: message.at,
        lender: text("lender_id", row),
        reason: text("reason", row),
        source: text("source", row),
        sealed: raw.filter(|raw| raw.is_valid(row)).map(|raw| raw.value(row).to_vec()),
        file: String::new(),
    });
    let fits = |one: &String, asked: &Option<String>| asked.as_ref().is_none_or(|name| name == one);
    all.filter(|one| fits(&one.lender, &wanted.lender) && fits(&one.reason, &wanted.reason))
        .collect()
}

/// `intake:41:7` as sequence and row.
fn place(source: &str) -> Option<(u64, u32)> {
    let (stream, place) = source.split_once(':')?;
    let (seq, row) = place.split_once(':')?;
    (stream == INTAKE).then_some((seq.parse().ok()?, row.parse().ok()?))
}

/// The bytes of refused rows, in their order: what was sealed, else the record in the intake.
/// An error is a sentence for people: another key, or a record that is no longer there.
pub async fn open(
    log: &dyn Log,
    keys: &Keys,
    all: &[Refusal],
) -> Result<Vec<Result<Vec<u8>, String>>, LogError> {
    let mut messages = Intake::default();
    let mut opened = vec![];
    for one in all {
        let Some((seq, row)) = place(&one.source) else {
            opened.push(Err(format!("{} is no record of the intake", one.source)));
            continue;
        };
        let bytes = match &one.sealed {
            Some(sealed) => {
                unseal(keys, Place { stream: INTAKE, seq, row }, sealed).map_err(|e| e.to_string())
            }
            None => match messages.get(log, seq).await? {
                Some(held) => held.record(row).ok_or_else(|| {
                    format!("message {seq} of the intake holds columns; `recoup tap` shows them")
                }),
                None => Err(format!("the intake no longer has message {seq}")),
            },
        };
        opened.push(bytes);
    }
    Ok(opened)
}

/// Messages of the intake, each asked for once.
#[derive(Default)]
struct Intake(BTreeMap<u64, Option<Held>>);

struct Held {
    headers: Vec<(String, String)>,
    payload: Bytes,
}

impl Intake {
    async fn get(&mut self, log: &dyn Log, seq: u64) -> Result<Option<&Held>, LogError> {
        if let Entry::Vacant(place) = self.0.entry(seq) {
            let message = log.get(INTAKE, seq).await?;
            let held = message.map(|Message { headers, payload, .. }| Held { headers, payload });
            place.insert(held);
        }
        Ok(self.0.get(&seq).and_then(Option::as_ref))
    }
}

impl Held {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn file(&self) -> String {
        self.header(SOURCE).unwrap_or_default().to_string()
    }

    /// The line on which the record of a row begins; none where the message has no lines.
    fn record(&self, row: u32) -> Option<Vec<u8>> {
        let first: u32 = self.header(ROW).and_then(|first| first.parse().ok()).unwrap_or_default();
        if self.header(FORMAT) == Some("arrow") {
            return None;
        }
        let at = row.checked_sub(first)? as usize;
        let line = self.payload.split(|byte| *byte == b'\n').nth(at)?;
        Some(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
    }
}
