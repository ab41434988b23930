//! The verb as people run it: files in, books written, an agency's report against them.

use std::path::Path;
use std::process::{Command, Output};

use super::{AGENCIES, payment, report, reversal};

fn recoup(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recoup"));
    command.current_dir(folder).args(words).output().expect("it runs")
}

/// Books of one agency: three payments, of which one came back.
fn books() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder for a test");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("a file for a test");
    };
    std::fs::create_dir(folder.path().join("reference")).expect("a folder for a test");
    write("reference/agencies.csv", AGENCIES);
    write("reference/curve.csv", super::story::CURVE);
    write("reference/market.csv", super::story::MARKET);
    let reports = [report("N1", "2026-01-30T08:00:00Z", "1000.00")];
    write("a.jsonl", &reports.join("\n"));
    let money = [
        payment("N1", "p1", "2026-02-01T08:00:00Z", "100.00"),
        payment("N1", "p2", "2026-02-02T08:00:00Z", "50.00"),
        payment("N1", "p3", "2026-02-03T08:00:00Z", "30.00"),
        reversal("N1", "r2", "2026-02-04T08:00:00Z", "50.00", "p2"),
    ];
    write("b.jsonl", &money.join("\n"));
    let said = recoup(
        folder.path(),
        &["batch", "--intake", "a.jsonl", "b.jsonl", "--reference", "reference", "--out", "out"],
    );
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    folder
}

const REPORT: &str = "movement_id,amount,commission,note\n\
    p1,100.00,20.00,\n\
    p3,30.00,6.01,ours says 6.00\n\
    r2,-50.00,-10.00,\n\
    p9,12.00,2.40,nobody knows it\n\
    p4,many,1.00,\n";

#[test]
fn a_report_that_differs_is_listed_line_by_line_and_exits_with_six() {
    let folder = books();
    std::fs::write(folder.path().join("a1.csv"), REPORT).expect("a file for a test");
    let words = ["reconcile", "--agency", "A1", "--batch", "out", "a1.csv", "--json"];
    let said = recoup(folder.path(), &words);
    assert_eq!(said.status.code(), Some(6), "{}", String::from_utf8_lossy(&said.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&said.stdout).expect("JSON");
    let classes: Vec<String> = answer["movements"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| format!("{} {}", one["movement_id"], one["class"]).replace('"', ""))
        .collect();
    let expected =
        ["p1 matched", "p2 missing_there", "p3 different", "p9 missing_here", "r2 matched"];
    assert_eq!(classes, expected);
    let different = &answer["movements"][2];
    assert_eq!(different["ours"]["commission"], "6.00");
    assert_eq!(different["theirs"]["commission"], "6.01");
    assert_eq!(different["lines"][0], 3);
    assert_eq!(answer["sums"]["matched"]["count"], 2);
    assert_eq!(answer["sums"]["matched"]["ours"]["amount"], "50.00");
    assert_eq!(answer["sums"]["missing_here"]["theirs"]["amount"], "12.00");
    assert_eq!(answer["unread"][0]["line"], 6);
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    assert_eq!(text, "recoup: 3 of 5 movements differ, 1 line not read\n");
}

#[test]
fn a_report_that_agrees_is_no_failure() {
    let folder = books();
    let report = "payment_id,amount,commission\np1,100.00,20.00\np2,50.00,10.00\n";
    std::fs::write(folder.path().join("a1.csv"), report).expect("a file for a test");
    let days = ["--from", "2026-02-01", "--to", "2026-02-02"];
    let words = ["reconcile", "--agency", "A1", "--batch", "out", "a1.csv"];
    let said = recoup(folder.path(), &[&words[..], &days[..]].concat());
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert_eq!(said.status.code(), Some(0), "{text}");
    assert!(text.contains("matched"), "{text}");
    // Another agency has none of it.
    let said = recoup(folder.path(), &["reconcile", "--agency", "A2", "--batch", "out", "a1.csv"]);
    assert_eq!(said.status.code(), Some(6));
}
