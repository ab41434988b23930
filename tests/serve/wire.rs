//! Who comes in, what is answered, and what is refused.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::NoTls;

use recoup::metrics::Metrics;

use super::{open, refusal, room, texts};

#[tokio::test(flavor = "multi_thread")]
async fn only_who_knows_the_password_comes_in() {
    let open = open(room(), |_| {}).await;
    assert_eq!(texts(&open.client().await, "SELECT 1").await, [[Some("1".to_owned())]]);
    for (user, password) in [("ana", "wrong horse"), ("ana", ""), ("bob", "correct horse")] {
        let mut config = open.config();
        let refused = config.user(user).password(password).connect(NoTls).await.err().unwrap();
        assert_eq!(refusal(&refused).0, "28P01", "{user}");
    }
}

/// The wire library opens a connection after an error that is not fatal: ours all are.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_answered_before_the_password() {
    let open = open(room(), |_| {}).await;
    let startup = b"\0\0\0\x13\0\x03\0\0user\0ana\0\0";
    let query = b"Q\0\0\0\x22SELECT loan_id FROM loans LIMIT 1\0";
    let wrong = b"p\0\0\0\x12SCRAM\0\0\0\0\x04oops";
    for before in [&b""[..], wrong] {
        let mut socket = TcpStream::connect(open.address).await.unwrap();
        socket.write_all(startup).await.unwrap();
        socket.write_all(before).await.unwrap();
        // The connection may be closed already.
        drop(socket.write_all(query).await);
        drop(socket.write_all(query).await);
        let mut answer = Vec::new();
        drop(socket.read_to_end(&mut answer).await);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains("FATAL"), "{answer:?}");
        assert!(!answer.contains("loan_id"), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_bound_with_their_types() {
    let open = open(room(), |_| {}).await;
    let client = open.client().await;
    let query = "SELECT loan_id, days_past_due, contactable, balance::text FROM loans \
        WHERE lender_id = $1 AND days_past_due > $2 ORDER BY loan_id";
    let prepared = client.prepare(query).await.unwrap();
    for (days, expected) in [(4, vec!["A", "B"]), (5, vec!["A"]), (47, vec![])] {
        let rows = client.query(&prepared, &[&"L1", &days]).await.unwrap();
        let loans: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(loans, expected);
    }
    let rows = client.query(&prepared, &[&"L1", &5_i32]).await.unwrap();
    assert_eq!(rows[0].get::<_, i32>(1), 47);
    assert!(rows[0].get::<_, bool>(2));
    assert_eq!(rows[0].get::<_, String>(3), "1000.10");
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_exact() {
    let open = open(room(), |_| {}).await;
    let client = open.client().await;
    for (query, expected) in [
        ("SELECT 99999999999999999.99", "99999999999999999.99"),
        ("SELECT 0.1 + 0.2", "0.3"),
        ("SELECT sum(balance) FROM loans WHERE lender_id = 'L1'", "100000000001000.09"),
        ("SELECT balance FROM loans WHERE balance < 0.31", "0.30"),
    ] {
        assert_eq!(texts(&client, query).await, [[Some(expected.to_owned())]], "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn instants_and_absent_values_read_as_such() {
    let open = open(room(), |_| {}).await;
    let client = open.client().await;
    let row = texts(&client, "SELECT event_time, due_date, score FROM loans WHERE loan_id = 'A'");
    let expected =
        [Some("2026-03-01 00:00:04.000000+00".to_owned()), Some("2026-01-13".to_owned()), None];
    assert_eq!(row.await, [expected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_tell_as_of_when_answers_are() {
    let open = open(room(), |_| {}).await;
    let client = open.client().await;
    let query = "SELECT stage, shard, as_of, lag, owner FROM recoup.shards";
    let expected = ["book", "3", "17", "3", "worker-1"].map(|text| Some(text.to_owned()));
    assert_eq!(texts(&client, query).await, [expected]);
}

const REFUSED: [&str; 49] = [
    "CREATE TABLE x (a int)",
    "CREATE TABLE x AS SELECT * FROM loans",
    "SELECT * INTO x FROM loans",
    "CREATE VIEW x AS SELECT 1",
    "CREATE SCHEMA x",
    "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
    "CREATE FUNCTION f(int) RETURNS int RETURN $1",
    "DROP TABLE loans",
    "DROP SCHEMA public CASCADE",
    "ALTER TABLE loans RENAME TO l",
    "INSERT INTO loans (loan_id) VALUES ('X')",
    "UPDATE loans SET balance = 0",
    "DELETE FROM loans",
    "TRUNCATE loans",
    "COPY (SELECT 1) TO '{file}'",
    "COPY loans TO '{file}'",
    "COPY loans TO STDOUT",
    "COPY loans FROM '/etc/passwd'",
    "EXPLAIN INSERT INTO loans (loan_id) VALUES ('X')",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}'",
    "DECLARE c CURSOR FOR SELECT * INTO x FROM loans",
    "WITH x AS (INSERT INTO loans (loan_id) VALUES ('X') RETURNING 1) SELECT * FROM x",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT pg_read_file('/etc/passwd')",
    "SET datafusion.execution.batch_size = 1",
    "SET datafusion.catalog.location = '/etc'",
    "RESET ALL",
    "PREPARE p AS DELETE FROM loans",
    "LOAD 'x'",
    "CREATE TEMPORARY TABLE x (a int)",
    "CREATE OR REPLACE VIEW loans AS SELECT 1",
    "MERGE INTO loans USING prices ON loans.loan_id = prices.loan_id WHEN MATCHED THEN DELETE",
    "GRANT ALL ON loans TO ana",
    "COPY loans TO PROGRAM 'cat'",
    "COPY loans FROM STDIN",
    "SELECT * FROM read_parquet('/etc/passwd')",
    "SELECT * FROM read_json('/etc/passwd')",
    "SELECT * FROM arrow_file('/etc/passwd')",
    "SELECT * FROM \"/etc/passwd\"",
    "SELECT * FROM 'file:///etc/passwd'",
    "SELECT pg_read_binary_file('/etc/passwd'), pg_ls_dir('/')",
    "SELECT lo_import('/etc/passwd')",
    "SET ROLE postgres",
    "SET datafusion.runtime.memory_limit = '100G'",
    "SELECT 1; DROP TABLE loans",
    "DROP TABLE loans; SELECT 1",
    "BEGIN; DELETE FROM loans; COMMIT",
    "SELECT 1; COPY (SELECT 1) TO '{file}'; SELECT 2",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_reading_is_refused() {
    let open = open(room(), |_| {}).await;
    let client = open.client().await;
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("out.csv");
    for statement in REFUSED {
        let statement = statement.replace("{file}", file.to_str().unwrap());
        let simple = client.simple_query(&statement).await;
        assert!(simple.is_err(), "simple: {statement}");
        refusal(&simple.err().unwrap());
        if !statement.contains(';') {
            let extended = client.query(&statement, &[]).await;
            assert!(extended.is_err(), "extended: {statement}");
        }
        assert!(!file.exists(), "{statement}");
    }
    let tables = "SELECT table_schema, table_name FROM information_schema.tables \
        WHERE table_schema IN ('public', 'recoup') ORDER BY 1, 2";
    let names: Vec<String> =
        texts(&client, tables).await.into_iter().map(|row| row[1].clone().unwrap()).collect();
    let expected = [
        "clearing",
        "days",
        "decisions",
        "instalments",
        "ledger",
        "loans",
        "placements",
        "prices",
        "refused",
        "remitted",
        "rounds",
        "statements",
        "statements_monthly",
        "suspense",
        "suspense_by_age",
        "shards",
    ];
    assert_eq!(names, expected);
    assert_eq!(texts(&client, "SELECT count(*) FROM loans").await, [[Some("3".to_owned())]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_may_set_what_drivers_set() {
    let open = open(room(), |_| {}).await;
    let client = open.client().await;
    for statement in [
        "SET client_encoding TO 'UTF8'",
        "SET application_name = 'x'",
        "SET statement_timeout = '5s'",
        "SET TIME ZONE 'UTC'",
        "SET DateStyle = 'ISO'",
        "SET extra_float_digits = 3",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "BEGIN",
        "SELECT 1",
        "COMMIT",
        "BEGIN READ ONLY",
        "ROLLBACK",
        "SHOW statement_timeout",
        "SHOW search_path",
        "DISCARD ALL",
        "EXPLAIN SELECT * FROM loans",
        "EXPLAIN ANALYZE SELECT count(*) FROM loans",
        "SHOW TABLES",
    ] {
        let answer = client.simple_query(statement).await;
        assert!(answer.is_ok(), "{statement}: {:?}", refusal(&answer.err().unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_are_timed_until_their_last_row() {
    let metrics = Metrics::default();
    let open = open(room(), |options| options.metrics = metrics.clone()).await;
    let client = open.client().await;
    texts(&client, "SELECT loan_id FROM loans").await;
    client.query("SELECT loan_id FROM loans", &[]).await.unwrap();
    let counted = || {
        let page = metrics.render();
        let line = "recoup_query_seconds_count{stage=\"serve\"} ";
        page.lines().find_map(|one| one.strip_prefix(line)?.parse::<u64>().ok())
    };
    while counted().is_none_or(|count| count < 2) {
        tokio::task::yield_now().await;
    }
}
