//! What people ask of a month, over the Postgres wire: the same as `batch` writes to files; and an
//! agency's own report against a reading room that is up.

use std::process::Command;
use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use recoup::serve::{News, Room};

use super::{CLEARING, REMITTANCES, paid_over_three_months};
use crate::serve::clients::{psql, skip};
use crate::serve::{Open, PASSWORD, open};

const VIEWS: [(&str, &str); 4] = [
    ("statements_monthly", "month,agency_id,count,collected,commission,due,corrections"),
    ("clearing", CLEARING),
    ("suspense", "loan_id,amount,since,age"),
    ("suspense_by_age", "days,loans,amount"),
];

/// A story's relations, and what its views say, line by line.
struct Told {
    relations: Vec<(String, Vec<RecordBatch>)>,
    views: Vec<Vec<String>>,
}

async fn told() -> Told {
    let tell = || {
        let story =
            paid_over_three_months(&format!("{REMITTANCES}R1,L1,A1,CNY,2026-03-05,120.00,30.00\n"));
        let lines = |text: String| text.lines().map(str::to_owned).collect();
        let views = VIEWS.map(|(view, columns)| lines(story.sorted(view, columns)));
        let mut relations = story.0.relations.rows();
        relations.retain(|(name, _)| !VIEWS.iter().any(|(view, _)| view == name));
        relations.retain(|(name, _)| name != "decisions");
        Told { relations, views: views.to_vec() }
    };
    tokio::task::spawn_blocking(tell).await.expect("it is told")
}

/// A reading room that has read all of a story.
async fn reading(told: &Told) -> Open {
    let room = Room::new();
    let rows = told
        .relations
        .iter()
        .flat_map(|(name, batches)| batches.iter().map(|rows| (name.clone(), rows.clone())));
    room.take("book", News { rows: rows.collect(), shards: vec![], read: 1 });
    open(Arc::new(room), |_| {}).await
}

#[tokio::test(flavor = "multi_thread")]
async fn months_balances_and_suspense_are_answered_over_the_wire() {
    let told = told().await;
    assert!(told.views.iter().all(|lines| !lines.is_empty()), "every view says something");
    let open = Arc::new(reading(&told).await);
    for ((view, columns), expected) in VIEWS.into_iter().zip(&told.views) {
        let (asked, query) = (open.clone(), format!("SELECT {columns} FROM {view}"));
        let answer = tokio::task::spawn_blocking(move || {
            psql(&asked, &["\\pset format csv", "\\pset tuples_only on", &query])
        });
        let Some(answer) = answer.await.expect("it ends") else {
            return skip("psql is not installed");
        };
        let said = String::from_utf8_lossy(&answer.stdout).into_owned();
        assert!(answer.status.success(), "{view}: {}", String::from_utf8_lossy(&answer.stderr));
        let mut said: Vec<&str> = said.lines().filter(|line| line.contains(',')).collect();
        said.sort_unstable();
        assert_eq!(said, *expected, "{view}");
    }
}

const REPORT: &str = "movement_id,amount,commission\n\
    p1,100.00,20.00\np2,200.00,40.00\np3,50.00,9.99\np9,1.00,0.20\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_agency_s_report_is_compared_with_a_reading_room_that_is_up() {
    let told = told().await;
    let open = reading(&told).await;
    let folder = tempfile::tempdir().expect("a folder for a test");
    std::fs::write(folder.path().join("a1.csv"), REPORT).expect("a file for a test");
    let said = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recoup"));
        command.args(["reconcile", "--agency", "A1", "--user", "ana", "a1.csv", "--json"]);
        command.env("RECOUP_SERVE_LISTEN", open.address.to_string());
        command.env("PGPASSWORD", PASSWORD).current_dir(folder.path());
        let output = command.output().expect("it runs");
        drop(open);
        output
    });
    let said = said.await.expect("it ends");
    let errors = String::from_utf8_lossy(&said.stderr).into_owned();
    assert_eq!(said.status.code(), Some(6), "{errors}");
    let answer: serde_json::Value = serde_json::from_slice(&said.stdout).expect("JSON");
    let classes: Vec<String> = answer["movements"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| format!("{} {}", one["movement_id"], one["class"]).replace('"', ""))
        .collect();
    let expected =
        ["p1 matched", "p2 matched", "p3 different", "p4 missing_there", "p9 missing_here"];
    assert_eq!(classes, expected);
    assert_eq!(errors, "recoup: 3 of 5 movements differ, 0 lines not read\n");
}
