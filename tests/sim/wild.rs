//! A log in memory that behaves as networks, brokers and power supplies do.
//!
//! Every call may find nobody, may come too late to be answered, or may be the last thing that its
//! caller does. What was sent may be stored long after its sender gave up or died. A read of a
//! cursor may be one commit old, as a follower's is. Quiet, it is the log it wraps.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use recoup::log::memory::MemoryLog;
use recoup::log::{Log, LogError, Message, Outgoing, ReadLimit, Reader, StreamState};

use super::dice::Dice;

/// What a call answers whose caller dies in it.
const KILLED: &str = "the process was killed";
/// Stale reads in a row; more than a few would be another log's promise.
const STALE_MAX: u32 = 3;

struct Mood {
    dice: Dice,
    /// A fault comes once in so many calls; zero: never.
    rate: u64,
    /// Batches on their way.
    late: Vec<(String, Vec<Outgoing>)>,
    stale: u32,
    told: BTreeMap<&'static str, u64>,
}

/// Clones share the mood.
#[derive(Clone)]
pub struct WildLog {
    pub inner: MemoryLog,
    mood: Arc<Mutex<Mood>>,
    batch_messages_max: usize,
}

#[derive(Clone, Copy)]
enum Fault {
    None,
    LostBefore,
    LostAfter,
    Late,
    KilledBefore,
    KilledAfter,
    KilledLate,
}

pub fn is_killed(error: &LogError) -> bool {
    matches!(error, LogError::Unfit { what, .. } if what == KILLED)
}

fn killed() -> LogError {
    LogError::Unfit { what: KILLED.into(), hint: "start another".into() }
}

fn lost() -> LogError {
    LogError::Unavailable("no answer".into())
}

impl WildLog {
    pub fn new(inner: MemoryLog, seed: u64, batch_messages_max: usize) -> Self {
        let dice = Dice::new(seed);
        let mood = Mood { dice, rate: 0, late: vec![], stale: 0, told: BTreeMap::new() };
        WildLog { inner, mood: Arc::new(Mutex::new(mood)), batch_messages_max }
    }

    fn mood(&self) -> MutexGuard<'_, Mood> {
        self.mood.lock().unwrap()
    }

    /// From now on a fault comes once in so many calls; with zero, never, and what is on its way
    /// arrives.
    pub async fn rage(&self, rate: u64) {
        self.mood().rate = rate;
        while rate == 0 && self.deliver().await {}
    }

    /// How often what happened.
    pub fn told(&self) -> BTreeMap<&'static str, u64> {
        self.mood().told.clone()
    }

    /// Stores the oldest batch on its way, if its fences still hold.
    async fn deliver(&self) -> bool {
        let found = {
            let mut mood = self.mood();
            if mood.late.is_empty() { None } else { Some(mood.late.remove(0)) }
        };
        let Some((stream, batch)) = found else { return false };
        let stored = self.inner.commit(&stream, &batch).await.is_ok();
        let name = if stored { "late batches stored" } else { "late batches refused" };
        *self.mood().told.entry(name).or_default() += 1;
        true
    }

    /// What happens to any call.
    async fn meets(&self) -> Result<(), LogError> {
        let (arrives, fault) = {
            let mut mood = self.mood();
            if mood.rate == 0 {
                return Ok(());
            }
            let rate = mood.rate;
            let arrives = !mood.late.is_empty() && mood.dice.one_in(4);
            let fault = if mood.dice.one_in(rate * 2) {
                Some(("calls unanswered", lost()))
            } else if mood.dice.one_in(rate * 6) {
                Some(("kills in a call", killed()))
            } else {
                None
            };
            (arrives, fault)
        };
        if arrives {
            self.deliver().await;
        }
        match fault {
            None => Ok(()),
            Some((name, error)) => {
                *self.mood().told.entry(name).or_default() += 1;
                Err(error)
            }
        }
    }

    fn fate(&self) -> Fault {
        let mut mood = self.mood();
        let rate = mood.rate;
        if rate == 0 || !mood.dice.one_in(rate) {
            return Fault::None;
        }
        let (name, fault) = *mood.dice.pick(&[
            ("commits lost", Fault::LostBefore),
            ("answers lost", Fault::LostAfter),
            ("answers lost", Fault::LostAfter),
            ("commits late", Fault::Late),
            ("kills before a commit", Fault::KilledBefore),
            ("kills after a commit", Fault::KilledAfter),
            ("kills with a commit on its way", Fault::KilledLate),
        ]);
        *mood.told.entry(name).or_default() += 1;
        fault
    }

    fn reads_stale(&self, subject: &str) -> bool {
        let mut mood = self.mood();
        let rate = mood.rate;
        if rate == 0 || !subject.contains(".cursor.") || mood.stale >= STALE_MAX {
            mood.stale = 0;
            return false;
        }
        let stale = mood.dice.one_in(rate);
        if stale {
            mood.stale += 1;
            *mood.told.entry("stale cursor reads").or_default() += 1;
        }
        stale
    }

    /// The newest message of a subject before the newest.
    async fn before(&self, stream: &str, newest: Message) -> Result<Option<Message>, LogError> {
        for seq in (1..newest.seq).rev() {
            let found = self.inner.get(stream, seq).await?;
            if found.as_ref().is_some_and(|message| message.subject == newest.subject) {
                return Ok(found);
            }
        }
        Ok(Some(newest))
    }

    fn send_late(&self, stream: &str, batch: &[Outgoing]) {
        self.mood().late.push((stream.into(), batch.to_vec()));
    }
}

#[async_trait]
impl Log for WildLog {
    async fn create(&self, stream: &str) -> Result<(), LogError> {
        self.inner.create(stream).await
    }

    async fn state(&self, stream: &str) -> Result<StreamState, LogError> {
        self.meets().await?;
        self.inner.state(stream).await
    }

    async fn read(
        &self,
        stream: &str,
        filters: &[String],
        after: u64,
    ) -> Result<Box<dyn Reader>, LogError> {
        self.meets().await?;
        let inner = self.inner.read(stream, filters, after).await?;
        Ok(Box::new(WildReader { inner, log: self.clone() }))
    }

    async fn last(&self, stream: &str, subject: &str) -> Result<Option<Message>, LogError> {
        self.meets().await?;
        let newest = self.inner.last(stream, subject).await?;
        match newest {
            Some(newest) if self.reads_stale(subject) => self.before(stream, newest).await,
            newest => Ok(newest),
        }
    }

    async fn get(&self, stream: &str, seq: u64) -> Result<Option<Message>, LogError> {
        self.meets().await?;
        self.inner.get(stream, seq).await
    }

    async fn commit(&self, stream: &str, batch: &[Outgoing]) -> Result<u64, LogError> {
        self.meets().await?;
        match self.fate() {
            Fault::None => self.inner.commit(stream, batch).await,
            Fault::LostBefore => Err(lost()),
            Fault::LostAfter => self.inner.commit(stream, batch).await.and_then(|_| Err(lost())),
            Fault::Late => {
                self.send_late(stream, batch);
                Err(lost())
            }
            Fault::KilledBefore => Err(killed()),
            Fault::KilledAfter => {
                self.inner.commit(stream, batch).await.and_then(|_| Err(killed()))
            }
            Fault::KilledLate => {
                self.send_late(stream, batch);
                Err(killed())
            }
        }
    }

    fn payload_max(&self) -> usize {
        self.inner.payload_max()
    }

    fn batch_messages_max(&self) -> usize {
        self.batch_messages_max
    }
}

/// Brings as few messages as it likes.
struct WildReader {
    inner: Box<dyn Reader>,
    log: WildLog,
}

#[async_trait]
impl Reader for WildReader {
    async fn next(&mut self, limit: ReadLimit, wait: Duration) -> Result<Vec<Message>, LogError> {
        self.log.meets().await?;
        let messages = {
            let mut mood = self.log.mood();
            let most = limit.messages as u64;
            if mood.rate == 0 { most } else { 1 + mood.dice.below(most) }
        };
        let limit = ReadLimit { messages: messages as usize, ..limit };
        self.inner.next(limit, wait).await
    }
}

#[tokio::test]
async fn quiet_it_keeps_the_contract() {
    use crate::log::{commits, contract, keeps};
    let log = || WildLog::new(MemoryLog::new(), 1, recoup::log::BATCH_MESSAGES_MAX);
    keeps(Arc::new(log()), contract::PROMISES).await;
    keeps(Arc::new(log()), commits::PROMISES).await;
}
