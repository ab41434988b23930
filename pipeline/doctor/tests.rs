//! Judgments on brokers that differ from a fit one in one thing each.

use super::{BrokerFacts, STREAMS, Severity, StreamFacts, examine};
use crate::settings::Settings;

fn fit() -> BrokerFacts {
    let stream = |name: &str| StreamFacts {
        name: name.into(),
        replicas: 3,
        current_replicas: 3,
        atomic_publish: true,
        on_disk: true,
        keeps_all: true,
        discard_new: true,
    };
    BrokerFacts {
        version: "2.15.1".into(),
        jetstream: true,
        authenticated: true,
        encrypted: true,
        payload_max: 1 << 20,
        sync_always: Some(true),
        store_bytes: 10,
        store_bytes_max: 100,
        clock_offset_ms: Some(12),
        streams: STREAMS.map(stream).into(),
    }
}

fn settings(folder: &std::path::Path) -> Settings {
    let mut settings = Settings::default();
    settings.broker.url = "nats://broker.example:4222".into();
    settings.broker.replicas = 3;
    settings.keys.file = folder.join("key").display().to_string();
    settings.snapshots.url = folder.join("snapshots").display().to_string();
    crate::settings::make_key_file(&folder.join("key")).expect("a key for a test");
    settings
}

#[test]
fn fit_deployment_has_nothing_to_mend() {
    let folder = tempfile::tempdir().expect("a folder for a test");
    for finding in examine(&settings(folder.path()), &fit()) {
        assert_eq!(finding.severity, Severity::Fine, "{finding:?}");
        assert_eq!(finding.mend, "");
    }
}

#[test]
fn each_unsafe_thing_is_named_once_and_can_be_mended() {
    type Spoil = fn(&mut Settings, &mut BrokerFacts);
    let cases: [(Spoil, Severity, &str); 16] = [
        (|_, b| b.version = "2.11.9".into(), Severity::Unsafe, "2.11.9"),
        (|_, b| b.version = "unheard".into(), Severity::Unsafe, "unheard"),
        (|_, b| b.jetstream = false, Severity::Unsafe, "JetStream is off"),
        (|_, b| b.sync_always = Some(false), Severity::Unsafe, "power cut"),
        (|_, b| b.sync_always = None, Severity::Warning, "does not say"),
        (|_, b| b.authenticated = false, Severity::Unsafe, "anybody"),
        (|_, b| b.encrypted = false, Severity::Unsafe, "not encrypted"),
        (|_, b| b.clock_offset_ms = Some(-3_600_000), Severity::Unsafe, "-3600 s"),
        (|_, b| b.store_bytes = 81, Severity::Warning, "81 %"),
        (|_, b| b.store_bytes = 99, Severity::Unsafe, "99 %"),
        (|_, b| drop(b.streams.remove(3)), Severity::Unsafe, "stream book is missing"),
        (|_, b| b.streams[0].atomic_publish = false, Severity::Unsafe, "atomic"),
        (|_, b| b.streams[0].keeps_all = false, Severity::Unsafe, "removes"),
        (|_, b| b.streams[1].replicas = 1, Severity::Unsafe, "the settings ask for 3"),
        (|_, b| b.streams[1].current_replicas = 2, Severity::Unsafe, "2 of 3"),
        (|s, _| s.serve.listen = "0.0.0.0:5433".into(), Severity::Warning, "other machines"),
    ];
    for (spoil, severity, words) in cases {
        let folder = tempfile::tempdir().expect("a folder for a test");
        let (mut settings, mut broker) = (settings(folder.path()), fit());
        spoil(&mut settings, &mut broker);
        let findings = examine(&settings, &broker);
        let found: Vec<_> = findings.iter().filter(|one| one.severity != Severity::Fine).collect();
        assert_eq!(found.len(), 1, "{words}: {found:?}");
        assert_eq!(found[0].severity, severity, "{words}");
        assert!(found[0].found.contains(words), "{words}: {found:?}");
        assert!(!found[0].mend.is_empty());
    }
}

#[test]
fn one_machine_is_warned_not_refused() {
    let folder = tempfile::tempdir().expect("a folder for a test");
    let mut settings = settings(folder.path());
    settings.broker.url = "nats://127.0.0.1:4222".into();
    settings.broker.replicas = 1;
    let mut broker = fit();
    broker.authenticated = false;
    broker.encrypted = false;
    for stream in &mut broker.streams {
        stream.replicas = 1;
        stream.current_replicas = 1;
    }
    let findings = examine(&settings, &broker);
    assert!(findings.iter().all(|one| one.severity != Severity::Unsafe), "{findings:?}");
    assert!(findings.iter().any(|one| one.severity == Severity::Warning));
}
