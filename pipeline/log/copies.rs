//! The copies of a stream, each as the server that keeps it has it.
//!
//! Replicas of a broker agree about what is new, not about what they have: a server that lost part
//! of its store comes back, takes what is new, and calls its copy current. So copies are read, one
//! by one, and compared. A consumer of one replica reads the copy of the server that it is put on;
//! where that is, the broker chooses anew each time, so it is asked until all were hit.

use std::collections::BTreeMap;
use std::time::Duration;

use recoup_operators::memory::hash_bytes;
use serde_json::Value;
use tokio::time::timeout;

use super::follow::{PULL_BYTES_MAX, PULL_MESSAGES_MAX};
use super::jetstream::{Consumer, JetStreamLog};
use super::{LogError, Message, ReadLimit};
use crate::cursor;

/// How often a consumer is made for each copy that is wanted, until it is given up: of three
/// copies one is missed by all of so many in a thousand million million tries.
const TRIES: usize = 32;
/// Sequences whose messages are digested together.
const BLOCK: u64 = 1_024;
/// How long a copy may be silent that should have more.
const SILENCE: Duration = Duration::from_secs(10);
const LIMIT: ReadLimit = ReadLimit { messages: PULL_MESSAGES_MAX, bytes: PULL_BYTES_MAX };

/// What one server has of a stream, up to a sequence that was stored when it was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copy {
    pub messages: u64,
    /// By the first sequence of each block: how many messages it has, and their digest.
    pub blocks: BTreeMap<u64, (u64, u64)>,
}

/// All copies of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    pub stream: String,
    /// By server; `None` where it did not answer.
    pub copies: BTreeMap<String, Option<Copy>>,
}

impl Copy {
    /// Takes the next message in.
    pub fn add(&mut self, message: &Message) {
        self.messages += 1;
        let block = (message.seq - 1) / BLOCK * BLOCK + 1;
        let (count, digest) = self.blocks.entry(block).or_default();
        *count += 1;
        let parts = [*digest, message.seq, cursor::digest(message)].map(u64::to_le_bytes);
        *digest = hash_bytes(&parts.concat());
    }
}

impl Copies {
    /// Servers whose copy is not what most have, with the first sequence of the first block in
    /// which it differs. Where there is no most, every copy that differs from another is one.
    pub fn odd(&self) -> Vec<(&str, u64)> {
        let whole: Vec<(&str, &Copy)> = self
            .copies
            .iter()
            .filter_map(|(server, copy)| Some((server.as_str(), copy.as_ref()?)))
            .collect();
        let same = |one: &Copy| whole.iter().filter(|(_, other)| *other == one).count();
        let Some(most) = whole.iter().max_by_key(|(_, copy)| (same(copy), copy.messages)) else {
            return vec![];
        };
        let most = most.1;
        let divided = 2 * same(most) <= whole.len();
        let differs = whole.iter().filter(|(_, copy)| *copy != most);
        let mut odd: Vec<(&str, u64)> =
            differs.map(|(server, copy)| (*server, first_difference(copy, most))).collect();
        if divided && let Some((_, first)) = odd.first().copied() {
            let others = whole.iter().filter(|(_, copy)| *copy == most);
            odd.extend(others.map(|(server, _)| (*server, first)));
        }
        odd
    }
}

fn first_difference(one: &Copy, other: &Copy) -> u64 {
    let mut all = one.blocks.keys().chain(other.blocks.keys()).copied().collect::<Vec<_>>();
    all.sort_unstable();
    let differs = |block: &u64| one.blocks.get(block) != other.blocks.get(block);
    all.into_iter().find(differs).unwrap_or_default()
}

impl JetStreamLog {
    /// Every copy of a stream, read whole. What is stored meanwhile is not looked at.
    pub async fn copies(&self, stream: &str) -> Result<Copies, LogError> {
        let info = self.info(stream).await?;
        let last = info["state"]["last_seq"].as_u64().unwrap_or_default();
        let mut found = Copies { stream: stream.to_owned(), ..Copies::default() };
        let names = servers(&info);
        let tries = TRIES * names.len().max(1);
        found.copies.extend(names.into_iter().map(|name| (name, None)));
        for _ in 0..tries {
            if !found.copies.is_empty() && found.copies.values().all(Option::is_some) {
                break;
            }
            let consumer = self.consumer(stream, &[], 0).await?;
            let unread = found.copies.get(&consumer.server).is_none_or(Option::is_none);
            if unread {
                let copy = self.copy(&consumer, last).await?;
                found.copies.insert(consumer.server, Some(copy));
            }
        }
        Ok(found)
    }

    async fn copy(&self, consumer: &Consumer, last: u64) -> Result<Copy, LogError> {
        let mut copy = Copy::default();
        if consumer.pending == 0 {
            return Ok(copy);
        }
        let mut feed = consumer.feed(LIMIT).await?;
        // A copy without its tail ends by silence.
        while let Ok(came) = timeout(SILENCE, feed.next()).await {
            let came = came.map_err(LogError::Unavailable)?;
            if came.message.seq <= last {
                copy.add(&came.message);
            }
            if came.message.seq >= last {
                break;
            }
        }
        Ok(copy)
    }

    /// A consumer that reads the leader's copy, which is also asked for cursors: then what is read
    /// and what is checked are of one copy. Where the broker will not put it there, any other.
    pub(super) async fn consumer_at_leader(
        &self,
        stream: &str,
        filters: &[String],
        after: u64,
    ) -> Result<Consumer, LogError> {
        let info = self.info(stream).await?;
        let alone = servers(&info).len() < 2;
        let mut made = self.consumer(stream, filters, after).await?;
        for _ in 0..TRIES {
            if alone || info["cluster"]["leader"].as_str() == Some(made.server.as_str()) {
                break;
            }
            made = self.consumer(stream, filters, after).await?;
        }
        Ok(made)
    }
}

/// The servers that keep copies of a stream, as its leader names them.
fn servers(info: &Value) -> Vec<String> {
    let peers = info["cluster"]["replicas"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names = peers.iter().map(|peer| &peer["name"]).chain([&info["cluster"]["leader"]]);
    names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
}
