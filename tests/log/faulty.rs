//! A log that loses answers and reads stale, as networks and followers do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use recoup::commit::Pause;
use recoup::log::{Log, LogError, Message, Outgoing, Reader, StreamState};

/// What happens to the next commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// The batch never arrived; nobody answers.
    LostBefore,
    /// It was stored; nobody answers.
    LostAfter,
    /// It was stored; nobody answers, and the next read is one commit late.
    Stale,
    /// A person must act: what ends a process in mid-flight.
    Stop,
}

/// Takes one fault per commit from a list, then none.
pub struct FaultyLog {
    inner: Arc<dyn Log>,
    plan: Mutex<Vec<Fault>>,
    stale: Mutex<BTreeMap<String, Option<Message>>>,
}

impl FaultyLog {
    pub fn new(inner: Arc<dyn Log>, faults: &[Fault]) -> Self {
        let plan = faults.iter().rev().copied().collect();
        FaultyLog { inner, plan: Mutex::new(plan), stale: Mutex::default() }
    }
}

#[async_trait]
impl Log for FaultyLog {
    async fn create(&self, stream: &str) -> Result<(), LogError> {
        self.inner.create(stream).await
    }

    async fn state(&self, stream: &str) -> Result<StreamState, LogError> {
        self.inner.state(stream).await
    }

    async fn read(
        &self,
        stream: &str,
        filters: &[String],
        after: u64,
    ) -> Result<Box<dyn Reader>, LogError> {
        self.inner.read(stream, filters, after).await
    }

    async fn last(&self, stream: &str, subject: &str) -> Result<Option<Message>, LogError> {
        tokio::task::yield_now().await;
        let stale = self.stale.lock().unwrap().remove(subject);
        match stale {
            Some(message) => Ok(message),
            None => self.inner.last(stream, subject).await,
        }
    }

    async fn get(&self, stream: &str, seq: u64) -> Result<Option<Message>, LogError> {
        self.inner.get(stream, seq).await
    }

    async fn commit(&self, stream: &str, batch: &[Outgoing]) -> Result<u64, LogError> {
        tokio::task::yield_now().await;
        let lost = || Err(LogError::Unavailable("the answer was lost".to_owned()));
        let fault = self.plan.lock().unwrap().pop().unwrap_or(Fault::None);
        match fault {
            Fault::None => self.inner.commit(stream, batch).await,
            Fault::LostBefore => lost(),
            Fault::LostAfter => self.inner.commit(stream, batch).await.and_then(|_| lost()),
            Fault::Stop => Err(LogError::Unfit { what: "stopped".into(), hint: "start".into() }),
            Fault::Stale => {
                for fenced in batch.iter().filter(|message| message.expects.is_some()) {
                    let late = self.inner.last(stream, &fenced.subject).await?;
                    self.stale.lock().unwrap().insert(fenced.subject.clone(), late);
                }
                self.inner.commit(stream, batch).await.and_then(|_| lost())
            }
        }
    }

    fn payload_max(&self) -> usize {
        self.inner.payload_max()
    }
}

/// Does not wait: another task's turn.
pub struct Turn;

#[async_trait]
impl Pause for Turn {
    async fn pause(&self, _attempt: u32) {
        tokio::task::yield_now().await;
    }
}

/// Waits as little as a real server needs.
pub struct Short;

#[async_trait]
impl Pause for Short {
    async fn pause(&self, _attempt: u32) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
