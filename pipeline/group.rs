//! The shards of one stage that a thread holds, and what one step of them says.
//!
//! Pure: messages in, commits out. Nothing here waits, reads a clock or touches the log; the loop
//! around it is `drive`. A thread steps its ready shards together: one run of each statement over
//! all of them, operators shard by shard, one atomic batch for all.

mod heard;

use std::collections::BTreeMap;

use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::record_batch::RecordBatch;
use recoup_operators::memory::digest::digest;
use recoup_operators::settle::invariants::Broken;
use recoup_sql::{Memories, Said, Stage};

use crate::audit;
use crate::commit::ShardCommit;
use crate::cursor::{self, Cursor};
use crate::decoder::Decoder;
use crate::log::{Message, Outgoing};
use crate::post::PART;
use crate::rows::{self, Packing};
use heard::{announced, said_by};

/// What the header of a part may take of a message.
const PART_ROOM: usize = 64;

/// Who writes the cursors of a process.
#[derive(Clone, Debug)]
pub struct Owner {
    pub name: String,
    pub nonce: u64,
}

/// One shard of the group.
pub struct Shard {
    /// As committed last.
    pub cursor: Cursor,
    /// The sequence of that cursor's message: what the next one is fenced on.
    pub cursor_seq: u64,
    /// How far memory has read; behind `cursor.seq` while replaying.
    pub read: u64,
    /// Running digests of what was said, by relation and shard addressed.
    pub said: BTreeMap<String, u64>,
}

/// A shard whose replay did not say what its cursor says was said.
#[derive(Debug, thiserror::Error)]
#[error(
    "{stage} shard {shard}: replay to {seq} gives digest {found:016x}, the cursor has \
     {expected:016x}; the program or the snapshot is not the one that wrote it"
)]
pub struct Diverged {
    pub stage: &'static str,
    pub shard: u32,
    pub seq: u64,
    pub found: u64,
    pub expected: u64,
}

/// The shards of one stage on one thread.
pub struct Group {
    pub stage: Stage,
    pub memories: Memories,
    pub shards: BTreeMap<u32, Shard>,
    pub owner: Owner,
    pub packing: Packing,
    pub payload_max: usize,
    /// The most bytes of messages that one step takes.
    pub step_bytes_max: usize,
    decoder: Decoder,
    /// The parts of a reference version whose last part has not been read yet.
    parts: Vec<RecordBatch>,
}

/// What one step gave.
pub struct Step {
    pub commits: Vec<ShardCommit>,
    /// Rows read.
    pub rows: usize,
    /// What it breaks of what must hold.
    pub broken: Broken,
}

impl Group {
    pub fn new(stage: Stage, decoder: Decoder, owner: Owner, packing: Packing) -> Self {
        Group {
            stage,
            memories: Memories::default(),
            shards: BTreeMap::new(),
            owner,
            packing,
            payload_max: 900 * 1024,
            step_bytes_max: 16 * 1024 * 1024,
            decoder,
            parts: vec![],
        }
    }

    /// Takes a shard in, at the place where its memory stands.
    pub fn take(&mut self, number: u32, shard: Shard) {
        self.shards.insert(number, shard);
    }

    /// A commit is known to be stored: the next one is built on it.
    pub fn committed(&mut self, number: u32, cursor: Cursor, cursor_seq: u64) {
        if let Some(shard) = self.shards.get_mut(&number) {
            shard.cursor = cursor;
            shard.cursor_seq = cursor_seq;
        }
    }

    /// Another worker owns this shard now; it has our history.
    pub fn release(&mut self, number: u32) {
        self.shards.remove(&number);
        self.memories.close(number);
    }

    /// The subjects to read, and after which sequence.
    pub fn reads(&self) -> (Vec<String>, u64) {
        let shape = self.stage.shape;
        let (stream, main) = (shape.reads, shape.main);
        let mut filters = vec![];
        if shape.name == "normalize" {
            filters.extend(self.shards.keys().map(|n| format!("{stream}.*.*.{n}")));
        } else if shape.funnel {
            let relations = std::iter::once(&main).chain(shape.hears);
            filters.extend(relations.map(|relation| format!("{stream}.*.{relation}")));
        } else {
            filters.extend(self.shards.keys().map(|n| format!("{stream}.{n}.{main}")));
            filters.extend(shape.hears.iter().map(|name| format!("{stream}.all.{name}")));
        }
        let after = self.shards.values().map(|shard| shard.read).min().unwrap_or_default();
        (filters, after)
    }

    /// Cuts messages into steps: a fact that all hear is alone, and no step goes across the place
    /// that a shard must be replayed to.
    pub fn cut<'a>(&self, messages: &'a [Message]) -> Vec<&'a [Message]> {
        let stops: Vec<u64> =
            self.shards.values().flat_map(|shard| [shard.cursor.seq, shard.cursor.until]).collect();
        let mut steps = vec![];
        let (mut start, mut bytes) = (0, 0);
        for (i, message) in messages.iter().enumerate() {
            bytes += message.payload.len();
            let alone = self.heard(message).is_some();
            if alone && start < i {
                steps.push(&messages[start..i]);
                start = i;
            }
            let stop = stops.contains(&message.seq) && self.replays();
            if alone || stop || bytes >= self.step_bytes_max {
                steps.push(&messages[start..=i]);
                (start, bytes) = (i + 1, 0);
            }
        }
        if start < messages.len() {
            steps.push(&messages[start..]);
        }
        steps
    }

    fn replays(&self) -> bool {
        self.shards.values().any(|s| s.read < s.cursor.seq || s.cursor.sent > 0)
    }

    /// One step over messages that [`Group::cut`] left together.
    pub fn step(&mut self, messages: &[Message]) -> Result<Step, Diverged> {
        if let [message] = messages
            && !self.whole(message)
        {
            return Ok(Step { commits: vec![], rows: 0, broken: Broken::default() });
        }
        let mut last: BTreeMap<u32, &Message> = BTreeMap::new();
        let (facts, mut by_shard) = self.speak(messages, &mut last);
        let rows = facts.num_rows();
        let mut commits = vec![];
        for (number, message) in last {
            let said = by_shard.remove(&number).unwrap_or_default();
            commits.extend(self.answer(number, message, said)?);
        }
        assert!(by_shard.is_empty(), "only shards that read something say something");
        let broken = if commits.is_empty() { Broken::default() } else { audit::of(&self.stage) };
        Ok(Step { commits, rows, broken })
    }

    /// What the shards take from messages, and what each says of it.
    fn speak<'a>(
        &mut self,
        messages: &'a [Message],
        last: &mut BTreeMap<u32, &'a Message>,
    ) -> (RecordBatch, BTreeMap<u32, Vec<Said>>) {
        let (facts, mut said) = match messages {
            [message] if self.heard(message).is_some() => self.hear(message, last),
            _ => (self.facts(messages, last), vec![]),
        };
        said.extend(self.stage.step(&mut self.memories, &facts));
        let mut by_shard: BTreeMap<u32, Vec<Said>> = BTreeMap::new();
        for one in said {
            by_shard.entry(one.from).or_default().push(one);
        }
        (facts, by_shard)
    }

    /// The step of one message, for people: what it saw and what it says. Nothing is committed.
    pub fn preview(&mut self, message: &Message) -> (RecordBatch, Vec<Said>) {
        self.whole(message);
        let (facts, said) = self.speak(std::slice::from_ref(message), &mut BTreeMap::new());
        (facts, said.into_values().flatten().collect())
    }

    /// What a shard commits for its part of a step; nothing while it is replaying.
    fn answer(
        &mut self,
        number: u32,
        message: &Message,
        said: Vec<Said>,
    ) -> Result<Option<ShardCommit>, Diverged> {
        let shape = self.stage.shape;
        let Some(shard) = self.shards.get_mut(&number) else { return Ok(None) };
        for one in &said {
            let state = shard.said.entry(format!("{}.{}", one.relation, one.to)).or_default();
            *state = digest(&one.rows, *state);
        }
        shard.read = message.seq;
        let total = shard.said.values().fold(0_u64, |all, one| all.rotate_left(9) ^ one);
        if message.seq <= shard.cursor.seq {
            let expected = shard.cursor.said;
            if message.seq == shard.cursor.seq && total != expected {
                let (stage, seq) = (shape.name, message.seq);
                return Err(Diverged { stage, shard: number, seq, found: total, expected });
            }
            return Ok(None);
        }
        let mut outgoing = vec![];
        for one in said {
            let to = if shape.to_all { "all".to_string() } else { one.to.to_string() };
            let subject = format!("{}.{to}.{}", shape.writes, one.relation);
            outgoing.extend(packed(&subject, &one.rows, self.packing, self.payload_max));
        }
        let cursor = Cursor {
            stage: shape.name.into(),
            shard: number,
            owner: self.owner.name.clone(),
            nonce: self.owner.nonce,
            number: shard.cursor.number + 1,
            seq: message.seq,
            input_digest: cursor::digest(message),
            said: total,
            program: self.stage.program,
            sent: 0,
            until: 0,
            input_created: shard.cursor.input_created,
        };
        Ok(Some(ShardCommit {
            shard: number,
            cursor_subject: cursor::subject(shape.writes, shape.name, number),
            expects: shard.cursor_seq,
            from: shard.cursor.clone(),
            cursor,
            said: outgoing,
        }))
    }

    /// The name of the fact that all shards hear, if this message carries one.
    fn heard(&self, message: &Message) -> Option<&'static str> {
        let relation = message.subject.rsplit('.').next()?;
        self.stage.shape.hears.iter().find(|name| **name == relation).copied()
    }

    /// Keeps the rows of a fact that all hear; whether it is whole now. The parts of a version are
    /// one atomic batch, and no cursor stands between them.
    fn whole(&mut self, message: &Message) -> bool {
        if self.heard(message).is_none() {
            return true;
        }
        let part = message.headers.iter().find(|(name, _)| name == PART);
        let (at, of) = part.and_then(|(_, part)| part.split_once('/')).unwrap_or(("1", "1"));
        if at == "1" {
            self.parts.clear();
        }
        self.parts.extend(rows::decode(&message.payload).unwrap_or_default());
        at == of
    }

    fn shard_of(&self, message: &Message) -> Option<u32> {
        if self.stage.shape.funnel {
            return Some(0);
        }
        let at = if self.stage.shape.name == "normalize" { 3 } else { 1 };
        message.subject.split('.').nth(at)?.parse().ok()
    }

    /// Whose rows a message has: where a stage is a funnel, `shard` says which shard said them.
    fn whose(&self, message: &Message, number: u32) -> u32 {
        let said_by = message.subject.split('.').nth(1).and_then(|token| token.parse().ok());
        said_by.filter(|_| self.stage.shape.funnel).unwrap_or(number)
    }

    /// The rows of messages, sorted by shard and within one by place.
    fn facts<'a>(
        &self,
        messages: &'a [Message],
        last: &mut BTreeMap<u32, &'a Message>,
    ) -> RecordBatch {
        let takes = (self.stage.shape.takes)();
        let mut parts: BTreeMap<u32, Vec<RecordBatch>> = BTreeMap::new();
        for message in messages {
            let Some(number) = self.shard_of(message) else { continue };
            let Some(shard) = self.shards.get(&number) else { continue };
            if message.seq <= shard.read {
                continue;
            }
            last.insert(number, message);
            let whose = self.whose(message, number);
            parts.entry(number).or_default().extend(self.decoder.rows(message, whose, &takes));
        }
        let parts: Vec<RecordBatch> = parts.into_values().flatten().collect();
        concat_batches(&takes, &parts).unwrap_or_else(|_| RecordBatch::new_empty(takes))
    }

    /// Tells every shard what all hear, and gives the row that they step on.
    fn hear<'a>(
        &mut self,
        message: &'a Message,
        last: &mut BTreeMap<u32, &'a Message>,
    ) -> (RecordBatch, Vec<Said>) {
        let takes = (self.stage.shape.takes)();
        let Some(name) = self.heard(message) else {
            return (RecordBatch::new_empty(takes), vec![]);
        };
        let parts = std::mem::take(&mut self.parts);
        let Some(first) = parts.first() else { return (RecordBatch::new_empty(takes), vec![]) };
        let rows = concat_batches(&first.schema(), &parts);
        let mut rows = rows.unwrap_or_else(|_| first.clone());
        if self.stage.shape.funnel {
            rows = said_by(&rows, self.whose(message, 0));
        }
        self.stage.refer(name, &rows);
        let mut said = vec![];
        let mut listeners = vec![];
        for (number, shard) in &self.shards {
            if message.seq <= shard.read {
                continue;
            }
            last.insert(*number, message);
            self.memories.hear(*number, name, &rows);
            listeners.push(*number);
            if *number == 0 && self.stage.shape.echoes.contains(&name) {
                said.push(Said { from: 0, to: 0, relation: name.into(), rows: rows.clone() });
            }
        }
        (announced(&takes, name, &rows, message.seq, &listeners), said)
    }
}

/// Rows as messages of at most what the log takes, subject and headers included. Who hears them all
/// at once must know where they end.
fn packed(
    subject: &str,
    rows: &RecordBatch,
    packing: Packing,
    payload_max: usize,
) -> Vec<Outgoing> {
    let room = payload_max.saturating_sub(subject.len() + PART_ROOM);
    let payloads = rows::encode(rows, packing, room);
    let of = payloads.len();
    let part = |at: usize| match of {
        1 => vec![],
        _ => vec![(PART.to_string(), format!("{at}/{of}"))],
    };
    let parts = payloads.into_iter().zip(1..);
    let message = |(payload, at)| Outgoing {
        subject: subject.into(),
        headers: part(at),
        payload,
        expects: None,
    };
    parts.map(message).collect()
}
