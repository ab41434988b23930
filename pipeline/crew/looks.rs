//! Whether streams still are as the program needs them, looked at while it works.
//!
//! A person may edit, purge or remove a stream under running workers. What is read and written next
//! shows most of it, but not all, and not where nothing comes. So every few seconds each shard we
//! hold is checked as if it woke: its input must be the stream it read, whole behind its place
//! (A14), and both streams must be fit.

use std::collections::BTreeSet;
use std::time::Instant;

use recoup_sql::stages::Shape;
use tracing::warn;

use super::Duty;
use crate::cursor;
use crate::log::LogError;
use crate::worker::Worker;

/// When streams were looked at last, and whether something was wrong then.
pub struct Looks {
    at: Instant,
    doubted: bool,
}

impl Looks {
    pub fn new() -> Looks {
        Looks { at: Instant::now(), doubted: false }
    }

    /// Looks, if it is time to. A leader that was just elected may be behind for a moment: only
    /// what two looks show is so.
    pub async fn look(&mut self, worker: &Worker, duty: &Duty) -> Result<(), LogError> {
        if self.at.elapsed() < worker.tempo.streams {
            return Ok(());
        }
        self.at = Instant::now();
        match streams(worker, duty).await {
            Ok(()) => self.doubted = false,
            Err(LogError::Unavailable(_)) => {}
            Err(error) if self.doubted => return Err(error),
            Err(error) => {
                warn!(%error, "a stream is not as it should be, looking once more");
                self.doubted = true;
            }
        }
        Ok(())
    }
}

async fn streams(worker: &Worker, duty: &Duty) -> Result<(), LogError> {
    let mut written = BTreeSet::new();
    for shape in duty.stages.iter().copied() {
        for shard in (0..duty.shards_of(shape)).filter(|s| worker.board.holds(shape.name, *s)) {
            written.insert(shape.writes);
            place(worker, shape, shard).await?;
        }
    }
    for stream in written {
        worker.log.state(stream).await?;
    }
    Ok(())
}

async fn place(worker: &Worker, shape: &Shape, shard: u32) -> Result<(), LogError> {
    let (log, subject) = (worker.log.as_ref(), cursor::subject(shape.writes, shape.name, shard));
    let (_, cursor) = cursor::read(log, shape.writes, &subject).await?;
    cursor::check_place(log, shape.reads, &cursor).await
}
