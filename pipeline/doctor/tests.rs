//! Judgments on brokers that differ from a fit one in one thing each.

use std::time::Duration;

use super::{STREAMS, Severity, examine};
use crate::log::broker::{Facts, StreamFacts, Sync};
use crate::settings::Settings;

fn fit() -> Facts {
    let stream = |name: &str| StreamFacts {
        name: name.into(),
        replicas: 3,
        current: 3,
        messages: 0,
        bytes: 0,
        unfit: None,
    };
    Facts {
        server: "broker-1".into(),
        version: "2.15.1".into(),
        cluster: Some("recoup".into()),
        peers: vec![],
        payload_max: 1 << 20,
        storage_used: 10,
        storage_max: Some(100),
        sync: Sync::Always,
        streams: STREAMS.map(stream).into(),
    }
}

fn settings(folder: &std::path::Path) -> Settings {
    let mut settings = Settings::default();
    settings.broker.url = "nats://broker.example:4222".into();
    settings.broker.replicas = 3;
    settings.broker.credentials = "recoup.creds".into();
    settings.broker.tls = true;
    settings.keys.file = folder.join("key").display().to_string();
    settings.snapshots.url = folder.join("snapshots").display().to_string();
    crate::settings::make_key_file(&folder.join("key")).expect("a key for a test");
    settings
}

#[test]
fn fit_deployment_has_nothing_to_mend() {
    let folder = tempfile::tempdir().expect("a folder for a test");
    for finding in examine(&settings(folder.path()), &fit(), Some(12)) {
        assert_eq!(finding.severity, Severity::Fine, "{finding:?}");
        assert_eq!(finding.mend, "");
    }
}

#[test]
fn each_unsafe_thing_is_named_once_and_can_be_mended() {
    type Spoil = fn(&mut Settings, &mut Facts, &mut i64);
    let cases: [(Spoil, Severity, &str); 13] = [
        (|_, b, _| b.version = "2.11.9".into(), Severity::Unsafe, "2.11.9"),
        (|_, b, _| b.version = "unheard".into(), Severity::Unsafe, "unheard"),
        (|_, b, _| b.sync = Sync::Every(Duration::from_secs(120)), Severity::Unsafe, "120 s"),
        (|_, b, _| b.sync = Sync::Untold, Severity::Warning, "does not say"),
        (|s, _, _| s.broker.credentials = String::new(), Severity::Unsafe, "anybody"),
        (|s, _, _| s.broker.tls = false, Severity::Unsafe, "need not be encrypted"),
        (|_, _, clock| *clock = -3_600_000, Severity::Unsafe, "-3600 s"),
        (|_, b, _| b.storage_used = 81, Severity::Warning, "81 %"),
        (|_, b, _| b.storage_used = 99, Severity::Unsafe, "99 %"),
        (|_, b, _| drop(b.streams.remove(3)), Severity::Unsafe, "stream book is missing"),
        (|_, b, _| b.streams[0].unfit = Some("no batches".into()), Severity::Unsafe, "no batches"),
        (|_, b, _| b.streams[1].replicas = 1, Severity::Unsafe, "the settings ask for 3"),
        (|_, b, _| b.streams[1].current = 2, Severity::Unsafe, "2 of 3"),
    ];
    for (spoil, severity, words) in cases {
        let folder = tempfile::tempdir().expect("a folder for a test");
        let (mut settings, mut broker) = (settings(folder.path()), fit());
        let mut clock = 0;
        spoil(&mut settings, &mut broker, &mut clock);
        let findings = examine(&settings, &broker, Some(clock));
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
    settings.broker.credentials = String::new();
    settings.broker.tls = false;
    settings.serve.listen = "0.0.0.0:5433".into();
    let mut broker = fit();
    for stream in &mut broker.streams {
        stream.replicas = 1;
        stream.current = 1;
    }
    let findings = examine(&settings, &broker, None);
    assert!(findings.iter().all(|one| one.severity != Severity::Unsafe), "{findings:?}");
    assert!(findings.iter().any(|one| one.severity == Severity::Warning));
}
