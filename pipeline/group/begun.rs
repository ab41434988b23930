//! Where steps are cut, and steps that another owner has begun and not finished.
//!
//! A step that says more than one batch can hold is stored in parts. Who finds such a shard must
//! take exactly the messages of (`seq`, `until`] as one step, or what is stored already would not
//! be the beginning of what it says. Other shards of the group may stand anywhere within that
//! range, and a read may end there: so the begun shard steps over its range alone and first, when
//! all of it has been read; then the others pass over it as if it were not there.

use super::Group;
use crate::decoder::weight;
use crate::limits::STEP_ROWS_MAX;
use crate::log::Message;

impl Group {
    /// Takes what was read and answers with what may be stepped now: messages of a step that was
    /// begun by another are held until its last one is there.
    pub fn gather(&mut self, messages: Vec<Message>) -> Vec<Message> {
        // A reader that was opened again brings what is held once more.
        let newest = self.held.last().map_or(0, |message| message.seq);
        self.held.extend(messages.into_iter().filter(|message| message.seq > newest));
        let begun = || self.shards.values().map(|one| &one.cursor).filter(|one| one.sent > 0);
        let until = begun().map(|cursor| cursor.until).max().unwrap_or_default();
        if self.held.last().is_none_or(|message| message.seq >= until) {
            return std::mem::take(&mut self.held);
        }
        let from = begun().map(|cursor| cursor.seq).min().unwrap_or_default();
        let ready = self.held.partition_point(|message| message.seq <= from);
        self.held.drain(..ready).collect()
    }

    /// The same, but only what stands at or before a sequence; the rest is held.
    pub fn gather_until(&mut self, messages: Vec<Message>, bound: u64) -> Vec<Message> {
        let newest = self.held.last().map_or(0, |message| message.seq);
        self.held.extend(messages.into_iter().filter(|message| message.seq > newest));
        let ready = self.held.partition_point(|message| message.seq <= bound);
        self.held.drain(..ready).collect()
    }

    /// How many sequences the shard that is furthest behind has to replay; none where a step was
    /// begun and not finished, which is for whoever owns the shard.
    pub fn behind(&self) -> u64 {
        let cursors = || self.shards.values().map(|shard| &shard.cursor);
        if cursors().any(|cursor| cursor.sent > 0) {
            return 0;
        }
        let bound = cursors().map(|cursor| cursor.seq).min().unwrap_or_default();
        let read = self.shards.values().map(|shard| shard.read).min().unwrap_or_default();
        bound.saturating_sub(read)
    }

    /// Cuts messages into steps: a fact that all hear is alone, no step goes across the place that
    /// a shard must be replayed to, and a begun step comes before its messages come for others.
    /// A step has room for so many rows and bytes, as its messages unfold to.
    pub fn cut<'a>(&self, messages: &'a [Message]) -> Vec<&'a [Message]> {
        let stops: Vec<u64> =
            self.shards.values().flat_map(|shard| [shard.cursor.seq, shard.cursor.until]).collect();
        let begun = self.begun_steps(messages);
        let mut steps = vec![];
        let (mut start, mut bytes, mut rows) = (0, 0, 0);
        for (i, message) in messages.iter().enumerate() {
            let alone = self.heard(message).is_some();
            let begins = || begun.iter().filter(|(from, _)| *from == i);
            if (alone || begins().next().is_some()) && start < i {
                steps.push(&messages[start..i]);
                (start, bytes, rows) = (i, 0, 0);
            }
            steps.extend(begins().map(|(_, step)| *step));
            let weight = weight(message);
            (bytes, rows) = (bytes + weight.bytes, rows + weight.rows);
            let full = bytes >= self.step_bytes_max || rows >= STEP_ROWS_MAX;
            let stop = stops.contains(&message.seq) && self.replays();
            if alone || stop || full {
                steps.push(&messages[start..=i]);
                (start, bytes, rows) = (i + 1, 0, 0);
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

    /// The messages of begun steps, and where each begins. A fact that all hear is alone anyway.
    fn begun_steps<'a>(&self, messages: &'a [Message]) -> Vec<(usize, &'a [Message])> {
        let cursors = self.shards.values().map(|shard| &shard.cursor);
        let steps = cursors.filter(|cursor| cursor.sent > 0).filter_map(|cursor| {
            let from = messages.partition_point(|message| message.seq <= cursor.seq);
            let to = messages.partition_point(|message| message.seq <= cursor.until);
            let step = messages.get(from..to)?;
            let last = step.last()?;
            let whole = last.seq == cursor.until && self.heard(last).is_none();
            whole.then_some((from, step))
        });
        steps.collect()
    }

    /// The shard whose begun step exactly these messages are.
    pub(super) fn begun(&self, messages: &[Message]) -> Option<u32> {
        let (first, last) = (messages.first()?, messages.last()?);
        let found = self.shards.iter().find(|(_, shard)| {
            let cursor = &shard.cursor;
            cursor.sent > 0 && first.seq > cursor.seq && last.seq == cursor.until
        });
        found.map(|(number, _)| *number)
    }
}
