//! Judgments on brokers that differ from a fit one in one thing each.

use std::time::Duration;

use super::{STREAMS, Severity, examine, examine_copies};
use crate::log::Message;
use crate::log::broker::{Facts, StreamFacts, Sync};
use crate::log::copies::{Copies, Copy};
use crate::settings::Settings;

const TWO_MINUTES: Duration = Duration::from_secs(120);

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
        syncs: ["n1", "n2", "n3"].map(|name| (name.into(), Sync::Always)).into(),
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
    let cases: [(Spoil, Severity, &str); 14] = [
        (|_, b, _| b.version = "2.11.9".into(), Severity::Unsafe, "2.11.9"),
        (|_, b, _| b.version = "unheard".into(), Severity::Unsafe, "unheard"),
        (
            |_, b, _| b.syncs[1].1 = Sync::Every(TWO_MINUTES),
            Severity::Unsafe,
            "n2 syncs every 120 s",
        ),
        (|_, b, _| b.syncs[2].1 = Sync::Untold, Severity::Warning, "2 of 3 servers"),
        (|_, b, _| b.syncs.clear(), Severity::Warning, "0 of 3 servers"),
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

/// A copy of five thousand messages, but for those whose sequence is left out.
fn copy(lost: impl Fn(u64) -> bool) -> Copy {
    let mut copy = Copy::default();
    for seq in (1..=5_000).filter(|seq| !lost(*seq)) {
        let payload = format!("{seq}").into();
        let subject = "loans.0.letters".to_string();
        copy.add(&Message { seq, subject, headers: vec![], payload, rows: None, at: 0 });
    }
    copy
}

#[test]
fn a_copy_that_lost_messages_is_named_with_the_place() {
    let whole = || Some(copy(|_| false));
    let copies = |third: Option<Copy>| Copies {
        stream: "loans".into(),
        copies: [("n1", whole()), ("n2", whole()), ("n3", third)]
            .map(|(name, copy)| (name.to_string(), copy))
            .into(),
    };
    let fine = examine_copies(&copies(whole()));
    assert_eq!((fine.len(), fine[0].severity), (1, Severity::Fine), "{fine:?}");
    for (third, words) in [
        (Some(copy(|seq| seq == 3_000)), "n3 has 4999 of 5000 messages of stream loans"),
        (Some(copy(|seq| seq > 4_990)), "from 4097 on"),
        (Some(copy(|seq| seq < 4_990)), "from 1 on"),
        (Some(copy(|_| true)), "n3 has 0 of 5000"),
        (None, "n3 does not show its copy"),
    ] {
        let found = examine_copies(&copies(third));
        assert_eq!((found.len(), found[0].severity), (1, Severity::Unsafe), "{found:?}");
        assert!(found[0].found.contains(words), "{words}: {found:?}");
        assert!(!found[0].mend.is_empty());
    }
    // As many, but not the same.
    let mut other = copy(|seq| seq == 2_000);
    other.add(&Message {
        seq: 2_000,
        subject: "x".into(),
        headers: vec![],
        payload: "".into(),
        rows: None,
        at: 0,
    });
    let found = examine_copies(&copies(Some(other)));
    assert!(found[0].found.contains("n3 has 5000 of 5000"), "{found:?}");
    // Two of two, and nobody knows which is right: both are named.
    let mut two = copies(Some(copy(|seq| seq == 7)));
    two.copies.remove("n1");
    assert_eq!(examine_copies(&two).len(), 2);
}
