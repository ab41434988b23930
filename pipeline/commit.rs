//! The only lock: storing what shards said together with where they stand (A5, A10).
//!
//! One atomic batch holds the messages of every ready shard of a thread and, last, one cursor for
//! each, fenced by the cursor it was built on. A refused batch stored nothing: the cursors are read
//! again, shards that somebody else has moved are dropped, the others are sent once more.
//!
//! A doubtful answer is asked, never guessed. The cursor on the stream's leader is ours: it was
//! stored. It is the one we built on: nothing was stored, send again. It is another: we are fenced.
//! That a late batch arrives after all does no harm, for only one of them meets its fence, and both
//! say the same.
//!
//! What exceeds one batch goes out in several. A shard that alone exceeds one is stored in parts:
//! each but the last carries a cursor that still stands before the step, with `sent` messages of it
//! stored and `until` where the step ends. Who finds such a cursor takes exactly the messages of
//! (`seq`, `until`] as one step, which says the same again, and commits the whole; what is `sent`
//! is skipped here.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tracing::{debug, warn};

use crate::cursor::{self, Cursor};
use crate::log::{BATCH_BYTES_MAX, Log, LogError, Outgoing, size};

/// How often a leader may show a cursor older than the one we built on before it counts as lost.
const BEHIND_MAX: u32 = 8;

/// What one shard wants stored.
pub struct ShardCommit {
    pub shard: u32,
    pub cursor_subject: String,
    /// The sequence of the cursor it was built on.
    pub expects: u64,
    /// That cursor.
    pub from: Cursor,
    /// Where the shard stands afterwards; its `sent` and `until` are zero.
    pub cursor: Cursor,
    /// Everything the step said, in order.
    pub said: Vec<Outgoing>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of it is stored; the shard's cursor has this sequence now.
    Stored { cursor_seq: u64 },
    /// Somebody else has moved the cursor; what is stored is theirs.
    Fenced,
    /// A single message exceeds what the broker takes.
    TooLarge,
    /// The cursor we built on is gone (A16).
    Lost(String),
}

/// How long to wait before asking again.
#[async_trait]
pub trait Pause: Send + Sync {
    async fn pause(&self, attempt: u32);
    /// Is told of each commit whose answer was lost or doubtful, so that the log is asked.
    fn doubted(&self) {}
}

/// Twice as long each time, from 25 ms to 2 s.
pub struct Backoff;

#[async_trait]
impl Pause for Backoff {
    async fn pause(&self, attempt: u32) {
        let wait = Duration::from_millis(25 << attempt.min(7)).min(Duration::from_secs(2));
        tokio::time::sleep(wait).await;
    }
}

/// Pauses as another does, and counts the doubts.
pub struct Doubts<'a> {
    pause: &'a dyn Pause,
    count: AtomicUsize,
}

impl<'a> Doubts<'a> {
    pub fn new(pause: &'a dyn Pause) -> Self {
        Doubts { pause, count: AtomicUsize::new(0) }
    }

    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Pause for Doubts<'_> {
    async fn pause(&self, attempt: u32) {
        self.pause.pause(attempt).await;
    }

    fn doubted(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Messages that are stored together with one fenced message, or not at all. Whose it is shows in
/// the payload of the fenced one: it must differ from every other writer's.
pub struct Member {
    pub said: Vec<Outgoing>,
    pub fence: Outgoing,
}

/// Stores what a group of shards said; answers for each in the order given. An error means that a
/// person must act; then nothing is known of the shards but what their cursors say.
pub async fn commit_group(
    log: &dyn Log,
    stream: &str,
    group: Vec<ShardCommit>,
    pause: &dyn Pause,
) -> Result<Vec<(u32, Outcome)>, LogError> {
    let mut open = group.into_iter().map(Open::new).collect::<Vec<_>>();
    loop {
        let parts = fill(&open, log.batch_messages_max());
        if parts.is_empty() {
            break;
        }
        let members = parts.iter().map(|part| member(&open[part.index], part)).collect();
        let outcomes = store(log, stream, members, pause).await?;
        for (part, outcome) in parts.iter().zip(outcomes) {
            open[part.index].note(part, outcome);
        }
    }
    let answer = |open: Open| (open.commit.shard, open.outcome.unwrap_or(Outcome::TooLarge));
    Ok(open.into_iter().map(answer).collect())
}

/// Stores members, all of them in one batch; answers for each in the order given.
pub async fn store(
    log: &dyn Log,
    stream: &str,
    members: Vec<Member>,
    pause: &dyn Pause,
) -> Result<Vec<Outcome>, LogError> {
    let mut outcomes = vec![None; members.len()];
    let mut waiting = VecDeque::from([(0..members.len()).collect::<Vec<_>>()]);
    let mut attempt: u32 = 0;
    while let Some(mut sent) = waiting.pop_front() {
        if sent.is_empty() {
            continue;
        }
        match log.commit(stream, &batch(&members, &sent)).await {
            Ok(last) => {
                for (behind, index) in sent.iter().rev().enumerate() {
                    outcomes[*index] = Some(Outcome::Stored { cursor_seq: last - behind as u64 });
                }
            }
            Err(LogError::TooLarge { .. }) if sent.len() > 1 => {
                let rest = sent.split_off(sent.len() / 2);
                waiting.extend([sent, rest]);
            }
            Err(LogError::TooLarge { what, limit }) => {
                warn!(stream, what, limit, "message too large");
                outcomes[sent[0]] = Some(Outcome::TooLarge);
            }
            Err(error @ (LogError::Fenced { .. } | LogError::Unavailable(_))) => {
                // Aloud where it lasts: a broker that is full or away is waited for without end.
                if attempt.is_power_of_two() {
                    warn!(stream, %error, attempt, "commit in doubt, asking again");
                }
                if matches!(error, LogError::Unavailable(_)) {
                    pause.doubted();
                }
                let (count, mut again) = (sent.len(), Vec::new());
                for index in sent {
                    outcomes[index] = settle(log, stream, &members[index].fence, pause).await?;
                    if outcomes[index].is_none() {
                        again.push(index);
                    }
                }
                // Nobody was fenced: either nothing is known yet, or a fence was read too early.
                if again.len() == count {
                    pause.pause(attempt).await;
                }
                attempt += 1;
                waiting.push_back(again);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or(Outcome::TooLarge)).collect())
}

/// Asks the leader what became of a fenced message; `None`: it was not stored, and may be sent
/// again.
async fn settle(
    log: &dyn Log,
    stream: &str,
    fence: &Outgoing,
    pause: &dyn Pause,
) -> Result<Option<Outcome>, LogError> {
    let expects = fence.expects.unwrap_or(0);
    let (mut attempt, mut behind) = (0, 0);
    loop {
        match log.last(stream, &fence.subject).await {
            Ok(found) => {
                let seq = found.as_ref().map_or(0, |message| message.seq);
                if seq == expects {
                    return Ok(None);
                }
                if seq > expects {
                    let ours = found.is_some_and(|message| message.payload == fence.payload);
                    let stored = Outcome::Stored { cursor_seq: seq };
                    return Ok(Some(if ours { stored } else { Outcome::Fenced }));
                }
                // We read it at `expects` once. The answer is stale, or history is lost.
                behind += 1;
                if behind == BEHIND_MAX {
                    return Ok(Some(Outcome::Lost(gone(stream, fence, seq))));
                }
            }
            Err(LogError::Unavailable(cause)) => {
                debug!(stream, subject = fence.subject, cause, "cursor not answered");
            }
            Err(error) => return Err(error),
        }
        pause.pause(attempt).await;
        attempt += 1;
    }
}

fn gone(stream: &str, fence: &Outgoing, seq: u64) -> String {
    if seq == 0 {
        return cursor::absent(stream, &fence.subject).to_string();
    }
    let (subject, expects) = (&fence.subject, fence.expects.unwrap_or(0));
    format!("the cursor on {subject} went back from {expects} to {seq}")
}

/// The messages of these members, then their fenced ones.
fn batch(members: &[Member], sent: &[usize]) -> Vec<Outgoing> {
    let said = sent.iter().flat_map(|index| &members[*index].said);
    let fences = sent.iter().map(|index| &members[*index].fence);
    said.chain(fences).cloned().collect()
}

/// A shard on its way: how many of its messages are stored, and on what the next ones build.
struct Open {
    commit: ShardCommit,
    sent: usize,
    expects: u64,
    outcome: Option<Outcome>,
}

/// So many messages of an open shard.
struct Part {
    index: usize,
    messages: usize,
}

impl Open {
    fn new(commit: ShardCommit) -> Self {
        let sent = usize::try_from(commit.from.sent).unwrap_or(usize::MAX);
        let mut open = Open { sent, expects: commit.expects, commit, outcome: None };
        let (from, cursor) = (&open.commit.from, &open.commit.cursor);
        if sent > open.commit.said.len() || (sent > 0 && cursor.seq != from.until) {
            open.outcome = Some(Outcome::Lost(format!(
                "{} messages of the step ({}, {}] are stored, but the step ({}, {}] says {}: \
                 it is not the program or not the input that began it",
                from.sent,
                from.seq,
                from.until,
                from.seq,
                cursor.seq,
                open.commit.said.len()
            )));
        }
        open
    }

    fn rest(&self) -> &[Outgoing] {
        &self.commit.said[self.sent..]
    }

    fn note(&mut self, part: &Part, outcome: Outcome) {
        self.sent += part.messages;
        match outcome {
            Outcome::Stored { cursor_seq } if self.sent < self.commit.said.len() => {
                self.expects = cursor_seq;
            }
            // The last part is the one with the shard's new cursor, even if it said nothing more.
            outcome => self.outcome = Some(outcome),
        }
    }
}

/// What of the open shards goes into the next batch: whole shards, or the beginning of one that
/// no batch can hold.
fn fill(open: &[Open], messages_max: usize) -> Vec<Part> {
    let (mut parts, mut messages, mut bytes) = (Vec::new(), 0, 0);
    for (index, shard) in open.iter().enumerate() {
        if shard.outcome.is_some() {
            continue;
        }
        let rest = shard.rest();
        // A cursor is some hundreds of bytes; its names are a setting, so it is measured.
        let own = shard.commit.cursor.encode().len() + 2 * shard.commit.cursor_subject.len() + 512;
        let total = own + rest.iter().map(size).sum::<usize>();
        let fits = |messages, bytes| messages <= messages_max && bytes <= BATCH_BYTES_MAX;
        if fits(messages + rest.len() + 1, bytes + total) {
            parts.push(Part { index, messages: rest.len() });
            (messages, bytes) = (messages + rest.len() + 1, bytes + total);
        } else if parts.is_empty() {
            let mut taken = own;
            let begin = rest.iter().enumerate().take_while(|(count, message)| {
                taken += size(message);
                *count == 0 || fits(count + 2, taken)
            });
            return vec![Part { index, messages: begin.count() }];
        }
    }
    parts
}

fn member(open: &Open, part: &Part) -> Member {
    let ShardCommit { cursor_subject, from, cursor, .. } = &open.commit;
    let said = open.rest()[..part.messages].to_vec();
    let sent = open.sent + part.messages;
    let cursor = if sent == open.commit.said.len() {
        cursor.clone()
    } else {
        Cursor {
            seq: from.seq,
            sent: sent as u64,
            until: cursor.seq,
            input_digest: from.input_digest,
            said: from.said,
            ..cursor.clone()
        }
    };
    let fence = Outgoing {
        subject: cursor_subject.clone(),
        headers: Vec::new(),
        payload: cursor.encode(),
        rows: None,
        expects: Some(open.expects),
    };
    Member { said, fence }
}
