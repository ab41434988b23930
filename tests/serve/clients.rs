//! The clients that people use, as they are: psql and psycopg.
//!
//! On a machine without them these tests say so and pass; in CI they must be there.

use std::path::PathBuf;
use std::process::{Command, Output};

use super::{Open, PASSWORD, open, room};

/// Says why a test is skipped; in CI that is a failure.
pub fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "{reason}");
    println!("skipped: {reason}");
}

pub fn psql(open: &Open, commands: &[&str]) -> Option<Output> {
    let mut psql = Command::new("psql");
    psql.args(["-X", "-h", "127.0.0.1", "-p", &open.address.port().to_string()]);
    psql.args(["-U", "ana", "-d", "recoup", "-v", "ON_ERROR_STOP=1"]);
    psql.env("PGPASSWORD", PASSWORD).env("PAGER", "cat");
    for command in commands {
        psql.args(["-c", command]);
    }
    psql.output().ok()
}

async fn with_psql(commands: &'static [&'static str]) -> Option<String> {
    let open = open(room(), |_| {}).await;
    let output = tokio::task::spawn_blocking(move || psql(&open, commands)).await.unwrap();
    let Some(output) = output else {
        skip("psql is not installed");
        return None;
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{commands:?}: {errors}{said}");
    Some(said)
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_lists_relations() {
    for commands in [&["\\d"], &["\\dt"]] {
        let Some(said) = with_psql(commands).await else { return };
        for name in ["ledger", "loans", "placements", "prices", "refused", "statements"] {
            assert!(said.contains(&format!(" public | {name} ")), "{commands:?}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_describes_a_relation() {
    let Some(said) = with_psql(&["\\d loans"]).await else { return };
    for (column, kind) in [
        ("loan_id", "text"),
        ("balance", "numeric"),
        ("days_past_due", "integer"),
        ("due_date", "date"),
        ("contactable", "boolean"),
        ("event_time", "timestamp with time zone"),
    ] {
        let line = said.lines().find(|line| line.trim_start().starts_with(column));
        assert!(line.is_some_and(|line| line.contains(kind)), "{column} {kind}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_asks_questions() {
    let Some(said) = with_psql(&[
        "\\d recoup.shards",
        "\\l",
        "\\dn",
        "SELECT lender_id, count(*) AS loans, sum(balance) AS balance FROM loans \
         GROUP BY 1 ORDER BY 1",
        "BEGIN",
    ])
    .await
    else {
        return;
    };
    assert!(said.contains("L2        |     1 |               0.30"), "{said}");
    assert!(said.contains("as_of"), "{said}");
}

/// A Python with psycopg: made once, beside the test's own build.
fn python() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("psycopg");
    let python = folder.join("bin/python");
    let has = || Command::new(&python).args(["-c", "import psycopg"]).output();
    if has().is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    let run = |program: &PathBuf, args: &[&str]| {
        Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
    };
    let made = run(&"python3".into(), &["-m", "venv", folder.to_str()?])
        && run(&python, &["-m", "pip", "install", "--quiet", "psycopg[binary]==3.*"]);
    made.then_some(python)
}

const PSYCOPG: &str = r#"
import decimal, psycopg, sys
with psycopg.connect(sys.argv[1]) as connection:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT loan_id, balance, days_past_due, due_date FROM loans "
            "WHERE lender_id = %s AND days_past_due < %s", ("L1", 40))
        print(cursor.fetchall())
        for _ in range(8):  # from the sixth on, psycopg prepares on the server
            cursor.execute("SELECT price FROM prices WHERE loan_id = %s", ("A",))
            assert cursor.fetchone() == (decimal.Decimal("250.03"),)
        try:
            cursor.execute("DELETE FROM loans")
        except psycopg.errors.ReadOnlySqlTransaction as error:
            print("refused:", error)
    connection.rollback()
    with connection.cursor(name="many") as cursor:
        cursor.execute("SELECT loan_id FROM loans ORDER BY loan_id")
        print([row[0] for row in cursor.fetchmany(2)], cursor.fetchall())
"#;

#[tokio::test(flavor = "multi_thread")]
async fn psycopg_binds_parameters_prepares_and_holds_cursors() {
    let open = open(room(), |_| {}).await;
    let output = tokio::task::spawn_blocking(move || {
        let port = open.address.port();
        let dsn = format!("host=127.0.0.1 port={port} user=ana dbname=recoup");
        let python = python()?;
        let mut command = Command::new(python);
        command.args(["-c", PSYCOPG, &dsn]).env("PGPASSWORD", PASSWORD).output().ok()
    });
    let Some(output) = output.await.unwrap() else {
        return skip("no Python with psycopg, and none could be made");
    };
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}{said}");
    let lines: Vec<&str> = said.lines().collect();
    let row = "[('B', Decimal('99999999999999.99'), 5, datetime.date(2026, 2, 13))]";
    assert_eq!(lines[0], row);
    assert!(lines[1].starts_with("refused: DELETE is refused"), "{said}");
    assert_eq!(lines[2], "['A', 'B'] [('C',)]");
}
