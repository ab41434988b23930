//! `recoup up`: roles as processes that are minded, looked at, asked, and stopped together.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::lender::{LOANS, write};
use super::{ended, lines, recoup, said, start, until};

/// The processes that a process has started, by verb.
fn children(parent: u32) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let Ok(words) = fs::read_to_string(entry.path().join("cmdline")) else { continue };
        // `pid (name) state parent …`; a name may hold anything.
        let behind = stat.rsplit(')').next().unwrap_or_default();
        let its_parent = behind.split_whitespace().nth(1).and_then(|text| text.parse().ok());
        let verb = words.split('\0').find(|word| ["run", "serve"].contains(word));
        if let (Some(verb), true) = (verb, its_parent == Some(parent)) {
            let id = entry.file_name().to_string_lossy().parse().unwrap();
            found.insert(verb.to_owned(), id);
        }
    }
    found
}

/// What a page of a process answers.
fn page(address: &str, path: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    let asked = format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
    socket.write_all(asked.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

/// Where a process says that its pages are; its log is JSON, line by line.
fn pages(log: &Path) -> Option<String> {
    let text = fs::read_to_string(log).ok()?;
    let whole = &text[..text.rfind('\n')? + 1];
    let told = lines(whole);
    assert!(told.iter().all(|line| line["level"].is_string() && line["timestamp"].is_string()));
    let address = |line: &Value| line["address"].as_str().map(str::to_owned);
    told.iter().rev().find(|line| line["message"] == "metrics").and_then(address)
}

#[test]
fn a_role_that_is_killed_is_started_again_and_all_end_together() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = [
        ("SERVE_LISTEN", free.to_string()),
        ("METRICS_LISTEN", "127.0.0.1:0".to_string()),
        ("LOG_FORMAT", "json".to_string()),
    ];
    let up = start(at, &settings, &["up", "--data", "home"]);
    let told = |word: &str| {
        let text = fs::read_to_string(at.join("up.log")).unwrap();
        let (_, behind) = text.split_once(word)?;
        Some(behind.split_whitespace().next()?.to_owned())
    };
    let password = until("the line to ask with", || told("PGPASSWORD="));
    let broker = told("broker").unwrap();
    // From outside it is known by the settings that it prints.
    let settings = [("SETTINGS", told("RECOUP_SETTINGS=").unwrap())];

    let family = until("both roles", || Some(children(up.0.id())).filter(|all| all.len() == 2));
    let worker = family["run"];
    let killed = Command::new("kill").args(["-9", &worker.to_string()]).status().unwrap();
    assert!(killed.success());
    let again = until("the worker again", || {
        children(up.0.id()).get("run").copied().filter(|id| *id != worker)
    });
    assert_eq!(children(up.0.id())["serve"], family["serve"], "the other one is left alone");

    // The new one works, says that it is ready, and counts.
    write(at);
    said(&recoup(at, &settings, &["load", "month.jsonl", "--lender", "L1"]));
    fs::write(at.join("password"), &password).unwrap();
    let words = ["sql", "SELECT count(*) FROM loans", "--json", "--password-file", "password"];
    until("the loans", || {
        let (code, out, _) = ended(&recoup(at, &settings, &words));
        (code == 0 && lines(&out)[0].to_string().contains(&format!(":{LOANS}"))).then_some(())
    });
    for (role, counted) in
        [("run", "recoup_commits_total"), ("serve", "recoup_query_seconds_count")]
    {
        let address = until("the pages", || pages(&at.join(format!("home/logs/{role}.log"))));
        until("a process that is ready", || {
            page(&address, "/ready").starts_with("HTTP/1.1 200").then_some(())
        });
        assert!(page(&address, "/live").ends_with("live\n"));
        let metrics = page(&address, "/metrics");
        assert!(metrics.contains("# TYPE recoup_") && metrics.contains(counted), "{metrics}");
    }

    // Everything that the other verbs need is in the settings that it printed.
    let findings = lines(&ended(&recoup(at, &settings, &["doctor", "--json"])).1);
    let bad: Vec<_> = findings.iter().filter(|one| one["severity"] == "unsafe").collect();
    assert!(bad.is_empty() && findings.len() > 5, "{bad:?}");

    up.stop();
    for id in [again, family["serve"]] {
        assert!(!Path::new(&format!("/proc/{id}")).exists(), "{id} is left behind");
    }
    let left = TcpStream::connect(broker.strip_prefix("nats://").unwrap());
    assert!(left.is_err(), "the broker is left behind");
    // What a person set for others to read is no place for secrets.
    let text = fs::read_to_string(at.join("home/logs/run.log")).unwrap();
    assert!(!text.contains(&password));
}
