//! The loop: read, step, commit.

use std::future::Future;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use recoup_operators::settle::invariants::Broken;

use crate::commit::{Backoff, Doubts, Outcome, Pause, commit_group};
use crate::group::{Decided, Diverged, Group, Round, Step};
use crate::log::{Log, LogError, ReadLimit, Reader};

/// Why a loop ended.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Diverged(#[from] Diverged),
}

/// How a thread waits for the log. Steps run between waits, outside of any async task: DataFusion
/// would spend the task's budget and never get it back.
#[derive(Clone)]
pub enum Waiting {
    /// In this process, where nothing is ever awaited for long.
    Here,
    /// On a runtime that does the input and output.
    On(tokio::runtime::Handle),
}

impl Waiting {
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        match self {
            Waiting::Here => futures::executor::block_on(future),
            Waiting::On(handle) => handle.block_on(future),
        }
    }
}

/// In one process nothing answers later than at once: only a runtime waits before it asks again.
#[async_trait]
impl Pause for Waiting {
    async fn pause(&self, attempt: u32) {
        if let Waiting::On(_) = self {
            Backoff.pause(attempt).await;
        }
    }
}

/// What one turn did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Turn {
    pub messages: usize,
    /// When the newest of them had been stored, microseconds UTC.
    pub read_at: i64,
    pub bytes: usize,
    pub rows: usize,
    pub steps: usize,
    pub commits: usize,
    pub said_bytes: usize,
    /// Rows committed, and those of `refused` among them.
    pub said_rows: usize,
    pub refused_rows: usize,
    /// Fields of the intake that nobody asked for.
    pub unknown_fields: u64,
    /// Loans that dispatch placed.
    pub decided: Decided,
    /// The newest round of dispatch that was committed.
    pub round: Option<Round>,
    /// Commits whose answer was lost, so that the log was asked.
    pub doubtful: usize,
    /// Shards that have another owner now.
    pub fenced: usize,
    pub stepping: Duration,
    pub committing: Duration,
    /// What was broken of what must hold.
    pub broken: Broken,
}

/// One turn: what lies ready, up to `limit`, is read, stepped and committed.
pub fn turn(
    log: &dyn Log,
    waiting: &Waiting,
    reader: &mut dyn Reader,
    group: &mut Group,
    limit: ReadLimit,
    patience: Duration,
) -> Result<Turn, Stopped> {
    let messages = waiting.wait(reader.next(limit, patience))?;
    let bytes = messages.iter().map(|message| message.payload.len()).sum();
    let read_at = messages.last().map_or(0, |message| message.at);
    let mut turn = Turn { messages: messages.len(), read_at, bytes, ..Turn::default() };
    let messages = group.gather(messages);
    for part in group.cut(&messages) {
        let began = Instant::now();
        let step = group.step(part)?;
        turn.stepping += began.elapsed();
        turn.steps += 1;
        turn.rows += step.rows;
        turn.unknown_fields += step.unknown_fields;
        turn.broken.add(&step.broken);
        if !step.commits.is_empty() {
            commit(log, waiting, group, step, &mut turn)?;
        }
    }
    Ok(turn)
}

/// Stores what a step said; shards that somebody else has moved are let go.
fn commit(
    log: &dyn Log,
    waiting: &Waiting,
    group: &mut Group,
    step: Step,
    turn: &mut Turn,
) -> Result<(), Stopped> {
    let (began, doubts) = (Instant::now(), Doubts::new(waiting));
    let cursors: Vec<_> = step.commits.iter().map(|one| one.cursor.clone()).collect();
    let stream = group.stage.shape.writes;
    let said = step.commits.iter().flat_map(|one| &one.said);
    turn.said_bytes += said.map(|message| message.payload.len()).sum::<usize>();
    let outcomes = waiting.wait(commit_group(log, stream, step.commits, &doubts))?;
    turn.committing += began.elapsed();
    turn.doubtful += doubts.count();
    for (cursor, (shard, outcome)) in cursors.into_iter().zip(outcomes) {
        match outcome {
            Outcome::Stored { cursor_seq } => {
                turn.commits += 1;
                group.committed(shard, cursor, cursor_seq);
                let told = step.told.get(&shard).copied().unwrap_or_default();
                turn.said_rows += told.rows;
                turn.refused_rows += told.refused;
                turn.decided.add(told.decided);
                turn.round = told.round.or(turn.round);
            }
            Outcome::Fenced => {
                turn.fenced += 1;
                group.release(shard);
            }
            Outcome::Lost(what) => return Err(LogError::Lost(what).into()),
            Outcome::TooLarge => {
                let what = format!("a message of {stream}");
                return Err(LogError::TooLarge { what, limit: log.payload_max() }.into());
            }
        }
    }
    Ok(())
}
