//! How fast a load may go, so that one lender's flood does not starve the records of another.
//!
//! A stage reads its stream in order (A4): whatever somebody sends waits behind all that a load has
//! published before. So a load waits while more messages than a limit wait before any stage, and
//! goes at no more than so many lines a second. Where nobody reads, the log takes what it is given:
//! a load that finds every cursor standing still does not wait for them.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use recoup_sql::stages::{STAGES, Shape};

use crate::cursor;
use crate::limits::SILENT_SECONDS;
use crate::log::{Log, LogError};
use crate::wake::{INTAKE_SUBJECTS, shards_of};

const LOOK: Duration = Duration::from_millis(50);

/// What a load is held to; zero: nothing.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub ahead_messages: u64,
    pub lines_per_second: u64,
    pub shards: u32,
    /// How long cursors must stand still before nobody is waited for.
    pub silent: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let silent = Duration::from_secs(SILENT_SECONDS);
        Pace { ahead_messages: 0, lines_per_second: 0, shards: 0, silent }
    }
}

impl Pace {
    /// How long after its beginning a load that has published so many lines may go on.
    pub fn due(&self, lines: u64) -> Option<Duration> {
        let millis = lines.saturating_mul(1_000).checked_div(self.lines_per_second)?;
        Some(Duration::from_millis(millis))
    }
}

/// What a load has published, and when it last saw somebody read.
pub struct Gate {
    pace: Pace,
    began: Instant,
    lines: u64,
    place: u64,
    moved: Instant,
}

impl Gate {
    pub fn new(pace: Pace) -> Self {
        let now = Instant::now();
        Gate { pace, began: now, lines: 0, place: 0, moved: now }
    }

    /// Ends when so many more lines may be published.
    pub async fn pass(&mut self, log: &dyn Log, lines: u64) -> Result<(), LogError> {
        let Pace { ahead_messages, shards, silent, .. } = self.pace;
        if let Some(after) = self.pace.due(self.lines) {
            tokio::time::sleep_until((self.began + after).into()).await;
        }
        self.lines += lines;
        if ahead_messages == 0 {
            return Ok(());
        }
        loop {
            let (waiting, place) = ahead(log, shards).await?;
            if place != self.place {
                (self.place, self.moved) = (place, Instant::now());
            }
            if waiting <= ahead_messages || self.moved.elapsed() >= silent {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// The most messages that wait before any stage, and a number that changes when anybody reads.
async fn ahead(log: &dyn Log, shards: u32) -> Result<(u64, u64), LogError> {
    let stages = STAGES.iter().filter(|shape| !shape.funnel);
    let found = try_join_all(stages.map(|shape| waiting(log, shape, shards))).await?;
    let most = found.iter().map(|(waiting, _)| *waiting).max().unwrap_or_default();
    Ok((most, found.iter().map(|(_, read)| read).sum()))
}

/// The same of one stage: how far behind its slowest shard is, of whomever the messages are.
pub async fn waiting(log: &dyn Log, shape: &Shape, shards: u32) -> Result<(u64, u64), LogError> {
    let shards = 0..shards_of(shape, shards, INTAKE_SUBJECTS);
    let found = try_join_all(shards.map(|shard| before(log, shape, shard))).await?;
    let most = found.iter().map(|(waiting, _)| *waiting).max().unwrap_or_default();
    Ok((most, found.iter().map(|(_, read)| read).sum()))
}

async fn before(log: &dyn Log, shape: &Shape, shard: u32) -> Result<(u64, u64), LogError> {
    let place = cursor::subject(shape.writes, shape.name, shard);
    let (_, cursor) = cursor::read(log, shape.writes, &place).await?;
    let (stream, main) = (shape.reads, shape.main);
    let subject = match shape.name {
        "normalize" => format!("{stream}.*.*.{shard}"),
        _ => format!("{stream}.{shard}.{main}"),
    };
    let newest = log.last(stream, &subject).await?.map_or(0, |message| message.seq);
    Ok((newest.saturating_sub(cursor.seq), cursor.seq))
}
