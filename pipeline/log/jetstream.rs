//! The log in a NATS server, 2.12 or newer: the only file that knows the client (A3).
//!
//! A commit is an atomic batch: its members are published under one batch id, numbered, and the
//! last one asks for the whole to be stored. Cursors and single messages are asked of the stream's
//! leader. A reader is a consumer without acknowledgements that the server may forget at any time:
//! it is created again behind the last message delivered, after a check that this message is still
//! the one we saw (A14).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::header::{HeaderName, HeaderValue};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::{ConsumerErrorKind, Info, RawMessage};
use async_nats::jetstream::{self, Context};
use async_nats::{Event, HeaderMap};
use async_trait::async_trait;
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::broker::{self, Access, Login};
use super::follow::{Delivered, FORGET, Follower, HEARTBEAT, PULL_BYTES_MAX, PULL_MESSAGES_MAX};
use super::link::{Link, Teller, link};
use super::terms::{self, Refusal};
use super::{Log, LogError, Message, Outgoing, ReadLimit, Reader, StreamState, check};

/// What the headers of a batch take of a message's bytes.
const BATCH_HEADERS_MAX: usize = 512;
/// How long servers may take to answer after one another.
const SILENCE: Duration = Duration::from_millis(500);

/// Streams in a NATS server. Clones share one connection.
#[derive(Clone)]
pub struct JetStreamLog {
    client: async_nats::Client,
    context: Context,
    replicas: usize,
    timeout: Duration,
    link: Link,
    /// What no other connection begins its batch ids with, and how many there were.
    batches: Arc<(String, AtomicU64)>,
}

impl JetStreamLog {
    /// Connects, and checks that this server can be a log.
    pub async fn connect(access: Access) -> Result<Self, LogError> {
        let (replicas, wait, urls) = (access.replicas, access.timeout, access.urls.clone());
        let (told, link) = link();
        let connecting = options(access, told).await?.connect(urls.as_slice());
        let client = match timeout(2 * wait, connecting).await {
            Ok(client) => client.map_err(|error| broker::unanswered(&urls, &error.to_string()))?,
            Err(_) => return Err(broker::unanswered(&urls, "no answer")),
        };
        let inbox = client.new_inbox();
        let unique = inbox.rsplit('.').next().unwrap_or_default().to_owned();
        let mut context = jetstream::new(client.clone());
        context.set_timeout(wait);
        let batches = Arc::new((unique, AtomicU64::new(0)));
        let log = JetStreamLog { client, context, replicas, timeout: wait, link, batches };
        log.capable()?;
        log.ask("INFO".to_owned(), &json!({})).await?.map_err(|refusal| refusal.mean("", &[]))?;
        Ok(log)
    }

    /// A server of before 2.12 would take the members of a batch one by one.
    fn capable(&self) -> Result<(), LogError> {
        let (server, new) = (self.server(), self.client.is_server_compatible(2, 12, 0));
        terms::capable(&server.server_name, &server.version, new, server.jetstream)
    }

    /// What the server we are connected to says of itself.
    pub(super) fn server(&self) -> async_nats::ServerInfo {
        self.client.server_info()
    }

    /// What every server answers to a request outside of JetStream; nothing, where none may.
    pub(super) async fn system(&self, subject: &str, payload: &Value) -> Vec<Value> {
        let (inbox, mut told) = (self.client.new_inbox(), vec![]);
        let Ok(mut answers) = self.client.subscribe(inbox.clone()).await else { return told };
        let (subject, payload) = (subject.to_owned(), payload.to_string().into());
        let sent = self.client.publish_with_reply(subject, inbox, payload).await;
        while let (Ok(()), Ok(Some(answer))) = (&sent, timeout(SILENCE, answers.next()).await) {
            match serde_json::from_slice(&answer.payload) {
                Ok(answer) => told.push(answer),
                // Nobody listens.
                Err(_) => break,
            }
        }
        told
    }

    /// A consumer of what lies behind `after`, which reads the copy of one server.
    pub(super) async fn consumer(
        &self,
        stream: &str,
        filters: &[String],
        after: u64,
    ) -> Result<Consumer, LogError> {
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: after + 1 },
            ack_policy: AckPolicy::None,
            filter_subjects: filters.to_vec(),
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: FORGET,
            ..pull::Config::default()
        };
        let made = self.context.create_consumer_on_stream(config, stream).await;
        let consumer = made.map_err(|error| match error.kind() {
            ConsumerErrorKind::JetStream(error) => refusal(&error).mean(stream, &[]),
            _ => LogError::Unavailable(error.to_string()),
        })?;
        let info = consumer.cached_info();
        let cluster = info.cluster.as_ref().and_then(|cluster| cluster.leader.clone());
        let server = cluster.unwrap_or_else(|| self.server().server_name);
        let (pending, largest) = (info.num_pending, self.server().max_payload + (1 << 20));
        Ok(Consumer { server, pending, largest, consumer })
    }

    /// What the broker says of a stream, and its configuration word for word.
    pub(super) async fn info(&self, stream: &str) -> Result<Value, LogError> {
        let answer = self.ask(format!("STREAM.INFO.{stream}"), &json!({})).await?;
        answer.map_err(|refusal| refusal.mean(stream, &[]))
    }

    /// One question to the broker: no answer is an error, a refusal is an answer.
    pub(super) async fn ask(
        &self,
        subject: String,
        payload: &Value,
    ) -> Result<Result<Value, Refusal>, LogError> {
        self.link.stands(self.timeout).await;
        let request = async { Ok(self.context.request(subject, payload).await) };
        match self.link.unless_cut(request).await? {
            Ok(Response::Ok(answer)) => Ok(Ok(answer)),
            Ok(Response::Err { error }) => Ok(Err(refusal(&error))),
            Err(error) => Err(LogError::Unavailable(error.to_string())),
        }
    }

    async fn message(&self, stream: &str, wanted: Value) -> Result<Option<Message>, LogError> {
        let mut answer = match self.ask(format!("STREAM.MSG.GET.{stream}"), &wanted).await? {
            Ok(answer) => answer,
            Err(refusal) if refusal.code == terms::NO_MESSAGE => return Ok(None),
            Err(refusal) => return Err(refusal.mean(stream, &[])),
        };
        let garbled =
            |error: String| LogError::Unavailable(format!("an answer that is none: {error}"));
        let raw: RawMessage = serde_json::from_value(answer["message"].take())
            .map_err(|error| garbled(error.to_string()))?;
        let held = StreamMessage::try_from(raw).map_err(|error| garbled(error.to_string()))?;
        Ok(Some(Message {
            seq: held.sequence,
            subject: held.subject.to_string(),
            headers: told(Some(&held.headers)),
            payload: held.payload,
            rows: None,
            at: micros(held.time.unix_timestamp_nanos()),
        }))
    }

    /// The members go out in order; the first and the last are answered.
    async fn send(&self, stream: &str, batch: &[Outgoing]) -> Result<u64, LogError> {
        let (unique, count) = self.batches.as_ref();
        let id = format!("{unique}{:x}", count.fetch_add(1, Ordering::Relaxed));
        for (index, message) in batch.iter().enumerate() {
            let mut headers = wire(message);
            if batch.len() > 1 {
                headers.insert("Nats-Batch-Id", id.as_str());
                headers.insert("Nats-Batch-Sequence", (index + 1).to_string().as_str());
            }
            let (subject, payload) = (message.subject.clone(), message.payload.clone());
            let last = index + 1 == batch.len();
            if index > 0 && !last {
                let sent = self.client.publish_with_headers(subject, headers, payload);
                sent.await.map_err(|error| LogError::Unavailable(error.to_string()))?;
                continue;
            }
            if last && batch.len() > 1 {
                headers.insert("Nats-Batch-Commit", "1");
            }
            let answer = self.client.request_with_headers(subject, headers, payload).await;
            let answer = answer.map_err(|error| LogError::Unavailable(error.to_string()))?;
            if let Some(seq) = terms::stored(stream, batch, &answer.payload, last)? {
                return Ok(seq);
            }
        }
        Err(LogError::Unavailable("the batch was not answered".to_owned()))
    }
}

#[async_trait]
impl Log for JetStreamLog {
    async fn create(&self, stream: &str) -> Result<(), LogError> {
        self.capable()?;
        let wanted = terms::wanted(stream, self.replicas);
        match self.ask(format!("STREAM.CREATE.{stream}"), &wanted).await? {
            Ok(info) => terms::fit(stream, &info["config"]),
            // It is there and not quite what we would have made: it may do.
            Err(refusal) if refusal.code == terms::NAME_TAKEN => {
                terms::fit(stream, &self.info(stream).await?["config"])
            }
            Err(refusal) => Err(refusal.mean(stream, &[])),
        }
    }

    async fn state(&self, stream: &str) -> Result<StreamState, LogError> {
        self.capable()?;
        let answer = self.info(stream).await?;
        terms::fit(stream, &answer["config"])?;
        let info = serde_json::from_value::<Info>(answer)
            .map_err(|error| LogError::Unavailable(error.to_string()))?;
        let created = i64::try_from(info.created.unix_timestamp_nanos()).unwrap_or_default();
        let last = info.state.last_sequence;
        // A stream that never held anything says that it begins at zero.
        let first = if info.state.messages == 0 { last + 1 } else { info.state.first_sequence };
        let (bytes, messages) = (info.state.bytes, info.state.messages);
        Ok(StreamState { created, first, last, bytes, messages })
    }

    async fn read(
        &self,
        stream: &str,
        filters: &[String],
        after: u64,
    ) -> Result<Box<dyn Reader>, LogError> {
        let created = self.state(stream).await?.created;
        Ok(Box::new(Follower::new(self.clone(), stream, filters, created, after)))
    }

    async fn last(&self, stream: &str, subject: &str) -> Result<Option<Message>, LogError> {
        self.message(stream, json!({ "last_by_subj": subject })).await
    }

    async fn get(&self, stream: &str, seq: u64) -> Result<Option<Message>, LogError> {
        // The broker takes zero for "not said".
        if seq == 0 {
            return Ok(None);
        }
        self.message(stream, json!({ "seq": seq })).await
    }

    async fn commit(&self, stream: &str, batch: &[Outgoing]) -> Result<u64, LogError> {
        check(stream, batch, self.payload_max())?;
        self.capable()?;
        // What is sent to a lost connection waits in the client and arrives late; do not begin.
        if self.client.connection_state() != State::Connected {
            return Err(LogError::Unavailable("not connected".to_owned()));
        }
        let answer = self.link.unless_cut(async {
            let late = LogError::Unavailable("no answer to a commit".to_owned());
            timeout(2 * self.timeout, self.send(stream, batch)).await.unwrap_or(Err(late))
        });
        match answer.await {
            // Nobody listens on the subject: the stream may be missing.
            Err(LogError::Unavailable(cause)) if cause.contains("no responders") => {
                self.state(stream).await.and(Err(LogError::Unavailable(cause)))
            }
            answer => answer,
        }
    }

    fn payload_max(&self) -> usize {
        self.server().max_payload.saturating_sub(BATCH_HEADERS_MAX)
    }
}

/// A consumer, the server whose copy it reads, and how many messages that copy has for it.
pub(super) struct Consumer {
    pub server: String,
    pub pending: u64,
    /// A message larger than a pull would never come.
    largest: usize,
    consumer: jetstream::consumer::PullConsumer,
}

impl Consumer {
    /// What it brings, at most so much ahead of us.
    pub(super) async fn feed(&self, limit: ReadLimit) -> Result<Feed, LogError> {
        let stream = self.consumer.stream();
        let stream = stream
            .max_messages_per_batch(limit.messages.clamp(1, PULL_MESSAGES_MAX))
            .max_bytes_per_batch(limit.bytes.min(PULL_BYTES_MAX).max(self.largest))
            .heartbeat(HEARTBEAT)
            .expires(6 * HEARTBEAT)
            .messages()
            .await;
        Ok(Feed(stream.map_err(|error| LogError::Unavailable(error.to_string()))?))
    }
}

/// What a consumer brings.
pub(super) struct Feed(pull::Stream);

impl Feed {
    /// The next message; an error means that the consumer is of no more use.
    pub(super) async fn next(&mut self) -> Result<Delivered, String> {
        let Some(came) = self.0.next().await else { return Err("ended".to_owned()) };
        let came = came.map_err(|error| error.to_string())?;
        let info = came.info().map_err(|error| error.to_string())?;
        let (seq, count, pending) = (info.stream_sequence, info.consumer_sequence, info.pending);
        let message = Message {
            seq,
            subject: came.subject.to_string(),
            headers: told(came.headers.as_ref()),
            payload: came.payload.clone(),
            rows: None,
            at: micros(info.published.unix_timestamp_nanos()),
        };
        Ok(Delivered { message, count, pending })
    }
}

async fn options(access: Access, told: Teller) -> Result<async_nats::ConnectOptions, LogError> {
    let unfit = |what: String| LogError::Unfit { what, hint: "mend the setting".to_owned() };
    let mut options = async_nats::ConnectOptions::new()
        .name(access.name)
        .request_timeout(Some(access.timeout))
        .require_tls(access.tls.required)
        .event_callback(move |event| {
            note(&told, &event);
            std::future::ready(())
        })
        .reconnect_delay_callback(|attempts| {
            Duration::from_millis(1_000.min(20 << attempts.min(6)))
        });
    if let Some(roots) = access.tls.roots {
        options = options.add_root_certificates(roots);
    }
    if let Some((certificate, key)) = access.tls.client {
        options = options.add_client_certificate(certificate, key);
    }
    match access.login {
        Login::Nobody => Ok(options),
        Login::User { name, password } => Ok(options.user_and_password(name, password)),
        Login::Token(token) => Ok(options.token(token)),
        Login::File(path) => {
            let shown = path.display().to_string();
            let read = options.credentials_file(path).await;
            read.map_err(|error| unfit(format!("credentials {shown}: {error}")))
        }
    }
}

fn note(told: &Teller, event: &Event) {
    match event {
        Event::Connected => told.up(),
        Event::Disconnected => told.down(),
        _ => {}
    }
    tracing::debug!(%event, "broker");
}

fn refusal(error: &jetstream::Error) -> Refusal {
    Refusal { code: error.error_code().0, said: error.to_string() }
}

/// The headers of a message, with its fence.
fn wire(message: &Outgoing) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &message.headers {
        // `check` has let no other name pass.
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            headers.append(name, value);
        }
    }
    if let Some(expects) = message.expects {
        headers.insert("Nats-Expected-Last-Subject-Sequence", expects.to_string().as_str());
    }
    headers
}

/// The headers that a publisher gave, by name; the broker's own are left out.
fn told(headers: Option<&HeaderMap>) -> Vec<(String, String)> {
    let mut told = Vec::new();
    for (name, values) in headers.into_iter().flat_map(HeaderMap::iter) {
        let name: &str = name.as_ref();
        if !name.starts_with("Nats-") {
            told.extend(values.iter().map(|value| (name.to_owned(), value.as_str().to_owned())));
        }
    }
    told.sort();
    told
}

fn micros(nanos: i128) -> i64 {
    i64::try_from(nanos / 1_000).unwrap_or_default()
}
