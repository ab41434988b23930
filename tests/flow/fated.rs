//! A log under which a worker may be killed, paused, kept waiting or deceived.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use recoup::log::{Log, LogError, Message, Outgoing, ReadLimit, Reader, StreamState};
use tokio::sync::watch;

/// What may happen to a log under a worker.
#[derive(Default)]
pub struct Fate {
    /// Nothing answers any more, and nothing will: the process is gone.
    pub dead: AtomicBool,
    /// Commits that are still let through; then the process is gone.
    pub commits_left: Option<AtomicU64>,
    /// Answers of commits that will be lost.
    pub lose: AtomicU64,
    /// The stream whose commits wait, and the word that lets them go.
    pub paused: Option<(String, watch::Sender<bool>)>,
    /// How many commits have come to wait there.
    pub waiting: AtomicU64,
    /// The most messages that one commit may have.
    pub batch_messages_max: Option<usize>,
    /// The stream that cannot be read until the word is given.
    pub shut: Option<(String, watch::Sender<bool>)>,
    /// Where a stream begins, as if what was before had been trimmed.
    pub trimmed: Option<(String, u64)>,
}

/// A log and its fate; clones share both.
#[derive(Clone)]
pub struct Fated {
    pub inner: Arc<dyn Log>,
    pub fate: Arc<Fate>,
}

impl Fated {
    pub fn new(inner: Arc<dyn Log>, fate: Fate) -> Fated {
        Fated { inner, fate: Arc::new(fate) }
    }

    pub fn kill(&self) {
        self.fate.dead.store(true, Ordering::SeqCst);
    }

    fn alive(&self) -> Result<(), LogError> {
        match self.fate.dead.load(Ordering::SeqCst) {
            true => Err(LogError::Unfit { what: "killed".into(), hint: "start again".into() }),
            false => Ok(()),
        }
    }
}

/// Waits for a word, if this stream is the one that waits.
async fn word(held: &Option<(String, watch::Sender<bool>)>, stream: &str) {
    if let Some((name, sender)) = held
        && name == stream
    {
        let _ = sender.subscribe().wait_for(|given| *given).await;
    }
}

struct FatedReader {
    inner: Box<dyn Reader>,
    log: Fated,
    stream: String,
}

#[async_trait]
impl Reader for FatedReader {
    async fn next(&mut self, limit: ReadLimit, wait: Duration) -> Result<Vec<Message>, LogError> {
        word(&self.log.fate.shut, &self.stream).await;
        self.log.alive()?;
        self.inner.next(limit, wait).await
    }
}

#[async_trait]
impl Log for Fated {
    async fn create(&self, stream: &str) -> Result<(), LogError> {
        self.inner.create(stream).await
    }

    async fn state(&self, stream: &str) -> Result<StreamState, LogError> {
        self.alive()?;
        let mut state = self.inner.state(stream).await?;
        if let Some((name, first)) = &self.fate.trimmed
            && name == stream
        {
            state.first = *first;
        }
        Ok(state)
    }

    async fn read(
        &self,
        stream: &str,
        filters: &[String],
        after: u64,
    ) -> Result<Box<dyn Reader>, LogError> {
        self.alive()?;
        let inner = self.inner.read(stream, filters, after).await?;
        Ok(Box::new(FatedReader { inner, log: self.clone(), stream: stream.into() }))
    }

    async fn last(&self, stream: &str, subject: &str) -> Result<Option<Message>, LogError> {
        self.alive()?;
        self.inner.last(stream, subject).await
    }

    async fn get(&self, stream: &str, seq: u64) -> Result<Option<Message>, LogError> {
        self.alive()?;
        self.inner.get(stream, seq).await
    }

    async fn commit(&self, stream: &str, batch: &[Outgoing]) -> Result<u64, LogError> {
        self.alive()?;
        if self.fate.paused.as_ref().is_some_and(|(name, _)| name == stream) {
            self.fate.waiting.fetch_add(1, Ordering::SeqCst);
            word(&self.fate.paused, stream).await;
        }
        let one_less = |left: u64| left.checked_sub(1);
        if let Some(left) = &self.fate.commits_left
            && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_err()
        {
            self.kill();
            self.alive()?;
        }
        let stored = self.inner.commit(stream, batch).await?;
        if self.fate.lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
            return Err(LogError::Unavailable("the answer was lost".into()));
        }
        Ok(stored)
    }

    fn payload_max(&self) -> usize {
        self.inner.payload_max()
    }

    fn batch_messages_max(&self) -> usize {
        self.fate.batch_messages_max.unwrap_or_else(|| self.inner.batch_messages_max())
    }
}
