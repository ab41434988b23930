//! How a broker is reached, and what it tells about itself.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use datafusion::arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use serde_json::{Value, json};

use super::jetstream::JetStreamLog;
use super::{LogError, terms};

/// How to reach a NATS server and as whom. Not printable: it holds secrets.
#[derive(Clone)]
pub struct Access {
    /// Servers of one cluster, `nats://host:port` or `tls://host:port`.
    pub urls: Vec<String>,
    /// The name this connection shows on the server.
    pub name: String,
    pub login: Login,
    pub tls: Tls,
    /// Copies of each stream that `create` asks for: 1, 3 or 5.
    pub replicas: usize,
    /// How long an answer may take before it counts as lost.
    pub timeout: Duration,
}

/// As whom.
#[derive(Clone)]
pub enum Login {
    Nobody,
    /// A `.creds` file: a signed user and its key.
    File(PathBuf),
    User {
        name: String,
        password: String,
    },
    Token(String),
}

/// How the road is sealed. A `tls://` address seals it as well.
#[derive(Clone, Default)]
pub struct Tls {
    pub required: bool,
    /// Root certificates beside the system's own.
    pub roots: Option<PathBuf>,
    /// Certificate and key by which the server knows us.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl Access {
    /// The server at this address, without a login.
    pub fn to(url: &str) -> Self {
        Access {
            urls: vec![url.to_owned()],
            name: "recoup".to_owned(),
            login: Login::Nobody,
            tls: Tls::default(),
            replicas: 1,
            timeout: Duration::from_secs(5),
        }
    }
}

/// What `doctor` looks at.
#[derive(Clone, Debug)]
pub struct Facts {
    pub server: String,
    pub version: String,
    pub cluster: Option<String>,
    /// Addresses of the servers that a client may fail over to.
    pub peers: Vec<String>,
    pub payload_max: usize,
    pub storage_used: u64,
    /// The account's limit, else the server's; `None` where neither is told.
    pub storage_max: Option<u64>,
    /// By server; only those that were allowed to tell.
    pub syncs: Vec<(String, Sync)>,
    pub streams: Vec<StreamFacts>,
}

/// When the server syncs what it acknowledged to its disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    Always,
    Every(Duration),
    #[default]
    /// Only the system account may ask; look into the server's configuration.
    Untold,
}

/// How one stream is kept.
#[derive(Clone, Debug)]
pub struct StreamFacts {
    pub name: String,
    pub replicas: usize,
    /// Copies that are up to date, the leader's included.
    pub current: usize,
    pub messages: u64,
    pub bytes: u64,
    /// Why the stream is not fit, if it is not.
    pub unfit: Option<String>,
}

impl JetStreamLog {
    /// What the broker tells about itself and about these streams.
    pub async fn facts(&self, streams: &[&str]) -> Result<Facts, LogError> {
        let answer = self.ask("INFO".to_owned(), &json!({})).await?;
        let account = answer.map_err(|refusal| refusal.mean("", &[]))?;
        let server = self.server();
        // Answered to the system account only; others hear that nobody listens.
        let all = self.system("$SYS.REQ.SERVER.PING.JSZ", &json!({ "config": true })).await;
        let told = all.iter().find(|told| told["server"]["name"] == server.server_name.as_str());
        let told = told.or(all.first());
        // The account's own limit counts; without one, the server's.
        let limit = account["limits"]["max_storage"].as_u64().filter(|limit| *limit > 0);
        let ask = |name: &str| told.and_then(|told| told["data"].pointer(name)?.as_u64());
        let (storage_used, storage_max) = match limit {
            Some(limit) => (account["storage"].as_u64().unwrap_or_default(), Some(limit)),
            None => (ask("/storage").unwrap_or_default(), ask("/config/max_storage")),
        };
        let mut kept = Vec::new();
        for name in streams {
            match self.ask(format!("STREAM.INFO.{name}"), &json!({})).await? {
                Ok(info) => kept.push(stream(name, &info)),
                // A missing stream is just not among the facts.
                Err(refusal) if refusal.code == terms::NO_STREAM => {}
                Err(refusal) => return Err(refusal.mean(name, &[])),
            }
        }
        Ok(Facts {
            server: server.server_name,
            version: server.version,
            cluster: server.cluster,
            peers: server.connect_urls,
            payload_max: server.max_payload,
            storage_used,
            storage_max,
            syncs: all.iter().map(told_sync).collect(),
            streams: kept,
        })
    }
}

impl JetStreamLog {
    /// Removes what lies before a sequence on subjects that match; answers how many messages went.
    pub async fn remove(&self, stream: &str, subjects: &str, before: u64) -> Result<u64, LogError> {
        let wanted = json!({ "filter": subjects, "seq": before });
        let answer = self.ask(format!("STREAM.PURGE.{stream}"), &wanted).await?;
        let answer = answer.map_err(|refusal| refusal.mean(stream, &[]))?;
        Ok(answer["purged"].as_u64().unwrap_or_default())
    }

    /// The server's clock less ours, in milliseconds, as its answer about a stream tells it; half
    /// of the way there and back is taken off. `None` where it does not tell.
    pub async fn clock_offset_ms(&self, stream: &str) -> Option<i64> {
        let asked = micros();
        let info = self.info(stream).await.ok()?;
        let answered = micros();
        let told = string_to_timestamp_nanos(info["ts"].as_str()?).ok()? / 1_000;
        Some((told - asked.midpoint(answered)) / 1_000)
    }
}

/// Our clock, microseconds UTC.
fn micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or_default()
}

/// A password in an address is not for showing.
pub(super) fn unanswered(urls: &[String], cause: &str) -> LogError {
    let shown = urls.iter().map(|url| url.rsplit('@').next().unwrap_or_default());
    LogError::Unavailable(format!("{}: {cause}", shown.collect::<Vec<_>>().join(", ")))
}

fn told_sync(told: &Value) -> (String, Sync) {
    let (name, config) = (&told["server"]["name"], &told["data"]["config"]);
    (name.as_str().unwrap_or_default().to_owned(), sync(config))
}

fn sync(config: &Value) -> Sync {
    match (config["sync_always"].as_bool(), config["sync_interval"].as_u64()) {
        (Some(true), _) => Sync::Always,
        (_, Some(nanos)) => Sync::Every(Duration::from_nanos(nanos)),
        _ => Sync::Untold,
    }
}

fn stream(name: &str, info: &Value) -> StreamFacts {
    let peers = info["cluster"]["replicas"].as_array().map(Vec::as_slice).unwrap_or_default();
    let flag = |peer: &Value, name: &str| peer[name].as_bool().unwrap_or(false);
    let current = peers.iter().filter(|peer| flag(peer, "current") && !flag(peer, "offline"));
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    StreamFacts {
        name: name.to_owned(),
        replicas: number(&info["config"]["num_replicas"]) as usize,
        current: 1 + current.count(),
        messages: number(&info["state"]["messages"]),
        bytes: number(&info["state"]["bytes"]),
        unfit: terms::fit(name, &info["config"]).err().map(|error| error.to_string()),
    }
}
