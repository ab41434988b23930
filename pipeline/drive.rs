//! The loop: read, step, commit.

use std::future::Future;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use recoup_operators::settle::invariants::Broken;

use crate::commit::{Backoff, Outcome, Pause, commit_group};
use crate::group::{Diverged, Group};
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
    pub bytes: usize,
    pub rows: usize,
    pub steps: usize,
    pub commits: usize,
    pub said_bytes: usize,
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
    let mut turn = Turn { messages: messages.len(), bytes, ..Turn::default() };
    for part in group.cut(&messages) {
        let began = Instant::now();
        let step = group.step(part)?;
        turn.stepping += began.elapsed();
        turn.steps += 1;
        turn.rows += step.rows;
        turn.broken.add(&step.broken);
        if step.commits.is_empty() {
            continue;
        }
        let cursors: Vec<_> = step.commits.iter().map(|one| one.cursor.clone()).collect();
        let stream = group.stage.shape.writes;
        let said = step.commits.iter().flat_map(|one| &one.said);
        turn.said_bytes += said.map(|message| message.payload.len()).sum::<usize>();
        let began = Instant::now();
        let outcomes = waiting.wait(commit_group(log, stream, step.commits, waiting))?;
        turn.committing += began.elapsed();
        for (cursor, (shard, outcome)) in cursors.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Stored { cursor_seq } => {
                    turn.commits += 1;
                    group.committed(shard, cursor, cursor_seq);
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
    }
    Ok(turn)
}
