//! The log's promises, kept by every log.
//!
//! [`contract`] is what any log keeps, [`commits`] what commits over it keep, also where answers
//! are lost and reads are stale ([`faulty`]). [`broker`] is about a real server: restarts, streams
//! that are not fit, history that was cut.

mod broker;
pub mod commits;
pub mod contract;
mod cuts;
mod faulty;
mod loads;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use recoup::log::broker::Access;
use recoup::log::jetstream::JetStreamLog;
use recoup::log::memory::MemoryLog;
use recoup::log::{Log, Message, Outgoing, ReadLimit, matches};
use recoup::server::{Server, ServerPlan};
use tempfile::TempDir;

/// One promise: checked on a log, in a stream of its own.
pub type Promise = (&'static str, fn(Arc<dyn Log>, String) -> BoxFuture<'static, ()>);

/// Lists async functions as promises, named by themselves.
macro_rules! promises {
    ($($name:ident),+ $(,)?) => {
        &[$((stringify!($name), |log, stream| Box::pin($name(log, stream)))),+]
    };
}
use promises;

/// Checks each promise in a stream of its own; a failing one is the last that is printed.
pub async fn keeps(log: Arc<dyn Log>, promises: &[Promise]) {
    for (name, promise) in promises {
        eprintln!("promise {name}");
        promise(log.clone(), (*name).to_owned()).await;
    }
}

/// A server over a folder that goes with it.
pub struct World {
    pub folder: TempDir,
    pub server: Option<Server>,
    pub port: u16,
}

impl World {
    pub async fn start() -> World {
        // In memory where that is possible: an atomic batch waits for the disk, even of a test.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let mut world = World { folder, server: None, port: 0 };
        world.up().await;
        world
    }

    /// Starts the server again over the same data, at the same address.
    pub async fn up(&mut self) {
        let port = (self.port != 0).then_some(self.port);
        let data = self.folder.path().join("data");
        let server = Server::start(&ServerPlan { data, port, sync_always: false }).await.unwrap();
        self.port = server.port();
        self.server = Some(server);
    }

    /// Kills the server.
    pub fn down(&mut self) {
        self.server = None;
    }

    pub async fn log(&self) -> JetStreamLog {
        let url = format!("nats://127.0.0.1:{}", self.port);
        JetStreamLog::connect(Access::to(&url)).await.unwrap()
    }
}

pub fn text(subject: &str, payload: &str) -> Outgoing {
    Outgoing {
        subject: subject.to_owned(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        ..Outgoing::default()
    }
}

pub fn fenced(subject: &str, payload: &str, expects: u64) -> Outgoing {
    Outgoing { expects: Some(expects), ..text(subject, payload) }
}

/// Long enough for anything that comes at all.
pub const SOON: Duration = Duration::from_secs(10);
pub const WIDE: ReadLimit = ReadLimit { messages: 10_000, bytes: 8 << 20 };

/// Everything a stream holds on these subjects.
pub async fn all(log: &dyn Log, stream: &str, filters: &[&str]) -> Vec<Message> {
    let last = log.state(stream).await.unwrap().last;
    let mut reader = log.read(stream, &[], 0).await.unwrap();
    let mut found: Vec<Message> = Vec::new();
    while found.last().map_or(0, |message| message.seq) < last {
        found.extend(reader.next(WIDE, SOON).await.unwrap());
    }
    found.retain(|message| {
        filters.is_empty() || filters.iter().any(|filter| matches(filter, &message.subject))
    });
    found
}

pub fn payloads(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| String::from_utf8(message.payload.to_vec()).unwrap()).collect()
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    keeps(Arc::new(MemoryLog::new()), contract::PROMISES).await;
    keeps(Arc::new(MemoryLog::new()), commits::PROMISES).await;
}

#[tokio::test]
async fn jetstream_keeps_the_contract() {
    let world = World::start().await;
    keeps(Arc::new(world.log().await), contract::PROMISES).await;
    keeps(Arc::new(world.log().await), commits::PROMISES).await;
}
