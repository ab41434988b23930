//! How long the log keeps what nobody needs to go on: days of the intake, of what stages said to
//! each other, and of the record itself.
//!
//! The record is what left the program. A reading room that has no copy of its own starts from it,
//! so only what the older of the room's kept copies has read may go, and a room that would have to
//! read from before that place stops (A14).

use std::time::Duration;

use super::{BEFORE, Cut, marker};
use crate::log::{Log, LogError, ReadLimit};
use crate::serve;
use crate::serve::relations::Relations;
use crate::settings::Retention;
use crate::snapshot::Snapshots;

const DAY_MICROS: i64 = 86_400_000_000;
const PATIENCE: Duration = Duration::from_millis(500);
/// Rows that could not be used are kept for whoever asks what became of them.
const STAYS: &str = "refused";

impl Retention {
    /// Cuts that leave so many days of what they would take; `now` in microseconds UTC.
    pub(super) async fn spare(
        &self,
        log: &dyn Log,
        cuts: &mut [Cut],
        now: i64,
    ) -> Result<(), LogError> {
        for cut in cuts.iter_mut().filter(|cut| cut.before > 0) {
            let days = if cut.stream == "intake" { self.intake_days } else { self.between_days };
            if days == 0 {
                continue;
            }
            let young = since(log, cut.stream, now - i64::from(days) * DAY_MICROS).await?;
            if young < cut.before {
                cut.before = young;
                cut.needed_by = format!("retention of {days} days");
            }
        }
        Ok(())
    }

    /// What of the record may go; nothing where it is kept for ever.
    pub(super) async fn record(
        &self,
        log: &dyn Log,
        snapshots: &Snapshots,
        now: i64,
    ) -> Result<Vec<Cut>, LogError> {
        let mut cuts = vec![];
        for (stream, days) in [("book", self.book_days), ("statements", self.statements_days)] {
            if days == 0 {
                continue;
            }
            let kept = serve::kept_upto(snapshots, stream).await;
            let young = since(log, stream, now - i64::from(days) * DAY_MICROS).await?;
            let (before, needed_by) = match kept {
                Some(read) if read + 1 < young => (read + 1, "serve: its older copy".to_string()),
                Some(_) => (young, format!("retention of {days} days")),
                None => (0, "serve: it has kept no copy".to_string()),
            };
            for name in names() {
                let subjects = format!("{stream}.*.{name}");
                if log.last(stream, &subjects).await?.is_some() {
                    let needed_by = needed_by.clone();
                    cuts.push(Cut { stream, subjects, before, needed_by });
                }
            }
        }
        Ok(cuts)
    }
}

/// The relations that leave the program.
fn names() -> Vec<String> {
    let schemas = Relations::default().schemas();
    schemas.into_iter().map(|(name, _)| name).filter(|name| name != STAYS).collect()
}

/// Whether a reading room that has read so far finds the rest of the record.
pub async fn check(log: &dyn Log, stream: &str, read: u64) -> Result<(), LogError> {
    for name in names() {
        let subject = marker(stream, &format!("*.{name}"));
        let Some(note) = log.last(stream, &subject).await? else { continue };
        let before = note.headers.iter().find(|(name, _)| name == BEFORE);
        let before = before.and_then(|(_, before)| before.parse().ok()).unwrap_or(u64::MAX);
        if read.saturating_add(1) < before {
            return Err(LogError::Lost(format!(
                "the reading room would have to read {name} from {} of stream {stream:?}, which \
                 was trimmed before {before}; a copy that it kept later is needed",
                read + 1
            )));
        }
    }
    Ok(())
}

/// The first sequence stored at or after an instant; everything before it is older.
async fn since(log: &dyn Log, stream: &str, at: i64) -> Result<u64, LogError> {
    let state = log.state(stream).await?;
    let (mut low, mut high) = (state.first.max(1), state.last + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let mut reader = log.read(stream, &[], middle - 1).await?;
        let found = reader.next(ReadLimit { messages: 1, bytes: 1 }, PATIENCE).await?;
        match found.first() {
            Some(message) if message.seq < high && message.at < at => low = message.seq + 1,
            // Between the middle and what was found, nothing is left.
            _ => high = middle,
        }
    }
    Ok(low)
}
