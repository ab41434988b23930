//! The shards of one stage that a thread holds, and what one step of them says.
//!
//! Pure: messages in, commits out. Nothing here waits, reads a clock or touches the log; the loop
//! around it is `drive`. A thread steps its ready shards together: one run of each statement over
//! all of them, operators shard by shard, one atomic batch for all.

mod begun;
mod heard;
mod packed;
mod told;

use std::collections::BTreeMap;

use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::record_batch::RecordBatch;
use recoup_operators::memory::digest::digest;
use recoup_operators::settle::invariants::Broken;
use recoup_sql::{Memories, Said, Stage};

use crate::audit::Audit;
use crate::commit::ShardCommit;
use crate::cursor::{self, Cursor};
use crate::decoder::{Decoder, Facts};
use crate::drive::Stopped;
use crate::log::{LogError, Message};
use crate::post::PART;
use crate::rows::{self, Packing};
use heard::{announced, said_by};
use packed::packed;
pub use told::{Decided, Reached, Round, Told};

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

/// A shard whose replay did not say what its cursor says was said. Its memory is not the one that
/// spoke, so it must not speak on: what it would say next is not consistent with what was said.
#[derive(Debug, thiserror::Error)]
#[error(
    "{stage} shard {shard}: replay to {seq} gives digest {found:016x}, the cursor has \
     {expected:016x}; {}", self.mend()
)]
pub struct Diverged {
    pub stage: &'static str,
    pub shard: u32,
    pub seq: u64,
    pub found: u64,
    pub expected: u64,
    /// The program that replayed, and the one that had said it.
    pub program: u64,
    pub was: u64,
}

impl Diverged {
    fn mend(&self) -> String {
        let Diverged { program, was, .. } = self;
        if program == was {
            return "the program is the same: run it with the settings that it ran with".into();
        }
        format!(
            "the program is {program:016x}, that of the cursor {was:016x}: run the old one and \
             stop it, so that it hands over its memory, then start the new one with --migrate"
        )
    }
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
    /// Whether memory that another program handed over may be taken as it is.
    pub migrate: bool,
    decoder: Decoder,
    audit: Audit,
    /// The parts of a reference version whose last part has not been read yet.
    parts: Vec<RecordBatch>,
    /// Messages of a step that was begun by another, until its last one is read.
    held: Vec<Message>,
}

/// What one step gave.
#[derive(Default)]
pub struct Step {
    pub commits: Vec<ShardCommit>,
    /// Rows read.
    pub rows: usize,
    /// What each committing shard says, for those who count.
    pub told: BTreeMap<u32, Told>,
    /// Fields of the intake that nobody asked for.
    pub unknown_fields: u64,
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
            migrate: false,
            decoder,
            audit: Audit::default(),
            parts: vec![],
            held: vec![],
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

    /// One step over messages that [`Group::cut`] left together.
    pub fn step(&mut self, messages: &[Message]) -> Result<Step, Stopped> {
        if let [message] = messages
            && !self.whole(message)?
        {
            return Ok(Step::default());
        }
        let mut last: BTreeMap<u32, &Message> = BTreeMap::new();
        let (facts, said) = self.speak(messages, &mut last)?;
        let mut by_shard: BTreeMap<u32, Vec<Said>> = BTreeMap::new();
        for one in said {
            by_shard.entry(one.from).or_default().push(one);
        }
        let rows = facts.rows.iter().map(RecordBatch::num_rows).sum();
        let mut step = Step { rows, unknown_fields: facts.unknown_fields, ..Step::default() };
        for (number, message) in last {
            let said = by_shard.remove(&number).unwrap_or_default();
            let told = Told::of(&said);
            if let Some(commit) = self.answer(number, message, said)? {
                step.commits.push(commit);
                step.told.insert(number, told);
            }
        }
        assert!(by_shard.is_empty(), "only shards that read something say something");
        // What a replay breaks was counted when it was said.
        match step.commits.is_empty() {
            true => self.audit.watch(&self.stage),
            false => step.broken = self.audit.of(&self.stage),
        }
        Ok(step)
    }

    /// What the shards take from messages, and what they say of it.
    fn speak<'a>(
        &mut self,
        messages: &'a [Message],
        last: &mut BTreeMap<u32, &'a Message>,
    ) -> Result<(Facts, Vec<Said>), LogError> {
        let (facts, mut said) = match messages {
            [message] if self.heard(message).is_some() => self.hear(message, last)?,
            _ => (self.facts(messages, last)?, vec![]),
        };
        let takes = (self.stage.shape.takes)();
        let rows = concat_batches(&takes, &facts.rows).map_err(|error| LogError::TooLarge {
            what: format!("a step over {} messages ({error})", messages.len()),
            limit: self.step_bytes_max,
        })?;
        said.extend(self.stage.step(&mut self.memories, &rows));
        Ok((Facts { rows: vec![rows], ..facts }, said))
    }

    /// The step of one message, for people: what it saw and what it says. Nothing is committed.
    pub fn preview(&mut self, message: &Message) -> Result<(RecordBatch, Vec<Said>), LogError> {
        self.whole(message)?;
        let one = std::slice::from_ref(message);
        let (facts, said) = self.speak(one, &mut BTreeMap::new())?;
        let empty = || RecordBatch::new_empty((self.stage.shape.takes)());
        Ok((facts.rows.into_iter().next().unwrap_or_else(empty), said))
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
        // Where nothing is written, nobody wakes and compares.
        for one in said.iter().filter(|_| self.packing != Packing::Carried) {
            let state = shard.said.entry(format!("{}.{}", one.relation, one.to)).or_default();
            *state = digest(&one.rows, *state);
        }
        shard.read = message.seq;
        let total = total(&shard.said);
        if message.seq <= shard.cursor.seq {
            let expected = shard.cursor.said;
            if message.seq == shard.cursor.seq && total != expected {
                return Err(Diverged {
                    stage: shape.name,
                    shard: number,
                    seq: message.seq,
                    found: total,
                    expected,
                    program: self.stage.program,
                    was: shard.cursor.program,
                });
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
            why: shard.cursor.why.clone(),
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
    fn whole(&mut self, message: &Message) -> Result<bool, LogError> {
        if self.heard(message).is_none() {
            return Ok(true);
        }
        let part = message.headers.iter().find(|(name, _)| name == PART);
        let (at, of) = part.and_then(|(_, part)| part.split_once('/')).unwrap_or(("1", "1"));
        if at == "1" {
            self.parts.clear();
        }
        self.parts.extend(rows::of(message)?);
        Ok(at == of)
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
    ) -> Result<Facts, LogError> {
        let begun = self.begun(messages);
        let mut parts: BTreeMap<u32, Vec<(u32, &Message)>> = BTreeMap::new();
        for message in messages {
            let Some(number) = self.shard_of(message) else { continue };
            let Some(shard) = self.shards.get(&number) else { continue };
            if message.seq <= shard.read || begun.is_some_and(|one| one != number) {
                continue;
            }
            last.insert(number, message);
            parts.entry(number).or_default().push((self.whose(message, number), message));
        }
        let parts: Vec<(u32, &Message)> = parts.into_values().flatten().collect();
        self.decoder.facts(&parts, &(self.stage.shape.takes)())
    }

    /// Tells every shard what all hear, and gives the row that they step on.
    fn hear<'a>(
        &mut self,
        message: &'a Message,
        last: &mut BTreeMap<u32, &'a Message>,
    ) -> Result<(Facts, Vec<Said>), LogError> {
        let parts = std::mem::take(&mut self.parts);
        let (Some(name), Some(first)) = (self.heard(message), parts.first()) else {
            return Ok((Facts::default(), vec![]));
        };
        let mut rows = concat_batches(&first.schema(), &parts)
            .map_err(|error| rows::unreadable(message, &error.to_string()))?;
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
        let takes = (self.stage.shape.takes)();
        let row = announced(&takes, name, &rows, message.seq, &listeners);
        Ok((Facts { rows: vec![row], unknown_fields: 0 }, said))
    }
}

/// The digest of everything said.
pub fn total(said: &BTreeMap<String, u64>) -> u64 {
    said.values().fold(0, |all, one| all.rotate_left(9) ^ one)
}
