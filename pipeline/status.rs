//! Where every shard stands, as the log tells it.
//!
//! The cursors are the only record of progress (A7): owner, commits and place are read from them,
//! what waits from the streams they read.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{Array, AsArray};
use futures::future::try_join_all;
use recoup_sql::stages::{STAGES, Shape};
use serde::{Deserialize, Serialize};

use crate::log::{Log, LogError, Message, ReadLimit, StreamState};
use crate::rows;
use crate::wake;

/// What of a cursor is told; the rest is for recovery.
#[derive(Deserialize)]
struct Place {
    owner: String,
    #[serde(default)]
    why: String,
    number: u64,
    seq: u64,
}

/// One shard of one stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    pub stage: &'static str,
    pub shard: u32,
    /// Who has it; empty: nobody.
    pub owner: String,
    /// How it came to its owner, or to be nobody's.
    pub why: String,
    pub commits: u64,
    /// The input sequence read to.
    pub read: u64,
    /// At most so many messages wait: some of them are for other shards.
    pub waiting: u64,
    /// Seconds since the cursor moved.
    pub idle_seconds: i64,
    /// What is wrong; empty: nothing.
    pub trouble: String,
}

/// Rows of `refused` by reason, as far as they were counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Refused {
    pub by_reason: BTreeMap<String, u64>,
    /// Whether all of them were counted in time.
    pub whole: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    pub shards: Vec<Standing>,
    pub refused: Refused,
}

/// Asks the log. `now` is the asker's clock, microseconds UTC.
pub async fn read(
    log: &dyn Log,
    shards: u32,
    now: i64,
    budget: Duration,
) -> Result<Status, LogError> {
    let mut standings = vec![];
    for stage in STAGES {
        let input = log.state(stage.reads).await?;
        // Side by side: whether anything waits takes a moment to tell where nothing does.
        let shards = 0..wake::shards_of(stage, shards, wake::INTAKE_SUBJECTS);
        let asked = shards.map(|shard| standing(log, stage, shard, &input, now));
        standings.extend(try_join_all(asked).await?);
    }
    let refused = refused(log, budget).await?;
    Ok(Status { shards: standings, refused })
}

async fn standing(
    log: &dyn Log,
    stage: &Shape,
    shard: u32,
    input: &StreamState,
    now: i64,
) -> Result<Standing, LogError> {
    let subject = format!("{}.cursor.{}.{shard}", stage.writes, stage.name);
    let mut answer = Standing {
        stage: stage.name,
        shard,
        owner: String::new(),
        why: String::new(),
        commits: 0,
        read: 0,
        waiting: 0,
        idle_seconds: 0,
        trouble: String::new(),
    };
    let Some(message) = log.last(stage.writes, &subject).await? else {
        answer.trouble = "no cursor: lost history, or `recoup init` has not run".into();
        return Ok(answer);
    };
    let Ok(place) = serde_json::from_slice::<Place>(&message.payload) else {
        answer.trouble = format!("message {} is not a cursor", message.seq);
        return Ok(answer);
    };
    let mut last = input.last;
    if place.seq > last {
        // The stream may have grown since it was asked.
        last = log.state(stage.reads).await?.last;
    }
    if place.seq > last {
        answer.trouble = format!("stream {} ends at {last}", stage.reads);
    }
    answer.owner = place.owner;
    answer.why = match place.why.as_str() {
        "" if answer.owner.is_empty() => "nobody has taken it yet".into(),
        _ => place.why,
    };
    answer.commits = place.number;
    answer.read = place.seq;
    if place.seq < input.last && wake::waits(log, stage, shard, place.seq).await? {
        answer.waiting = input.last.saturating_sub(place.seq);
    }
    answer.idle_seconds = (now - message.at).max(0) / 1_000_000;
    Ok(answer)
}

/// Counts refused rows of every stream that has some, within the budget.
async fn refused(log: &dyn Log, budget: Duration) -> Result<Refused, LogError> {
    let began = Instant::now();
    let mut counted = Refused { whole: true, ..Refused::default() };
    for stream in ["reports", "loans", "book", "statements"] {
        let filters = [format!("{stream}.*.refused")];
        let end = log.last(stream, &filters[0]).await?.map_or(0, |message| message.seq);
        if end == 0 {
            continue;
        }
        let mut reader = log.read(stream, &filters, 0).await?;
        let limit = ReadLimit { messages: 1_000, bytes: 16 << 20 };
        loop {
            if began.elapsed() > budget {
                counted.whole = false;
                return Ok(counted);
            }
            let messages = reader.next(limit, Duration::from_millis(200)).await?;
            let done = messages.last().is_some_and(|last| last.seq >= end);
            for message in &messages {
                count(message, &mut counted.by_reason)?;
            }
            if done {
                break;
            }
        }
    }
    Ok(counted)
}

fn count(message: &Message, by_reason: &mut BTreeMap<String, u64>) -> Result<(), LogError> {
    for batch in rows::of(message)? {
        let Some(reasons) = batch.column_by_name("reason").and_then(|c| c.as_string_opt::<i32>())
        else {
            continue;
        };
        for row in 0..reasons.len() {
            let reason = if reasons.is_null(row) { "" } else { reasons.value(row) };
            *by_reason.entry(reason.to_string()).or_default() += 1;
        }
    }
    Ok(())
}
