//! A statement takes no more than it may, and its end ends it.

use std::time::{Duration, Instant};

use tokio_postgres::NoTls;

use super::{open, refusal, room, texts};

/// Some 10^13 rows: hours, if nobody ends it.
const RUNAWAY: &str = "SELECT count(*) FROM generate_series(1, 3000) a, \
    generate_series(1, 3000) b, generate_series(1, 1000000) c WHERE a.value + b.value > c.value";

/// Some 10^10 pairs of equal keys, of which no row comes.
const BARREN: &str = "SELECT count(*) FROM generate_series(1, 200000) a \
    JOIN generate_series(1, 200000) b ON a.value % 2 = b.value % 2 AND a.value + b.value < 0";

/// Some 10^12 rows, said.
const ENDLESS: &str =
    "SELECT a.value FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";

#[tokio::test(flavor = "multi_thread")]
async fn a_runaway_statement_ends_in_time_and_others_are_answered_meanwhile() {
    let open = open(room(), |options| options.statement_timeout = Duration::from_secs(4)).await;
    let (slow, quick) = (open.client().await, open.client().await);
    let running = tokio::spawn(async move { (slow.simple_query(RUNAWAY).await, slow) });
    for _ in 0..5 {
        let answer = texts(&quick, "SELECT count(*) FROM loans").await;
        assert_eq!(answer, [[Some("3".to_owned())]]);
    }
    assert!(!running.is_finished(), "nobody waits for another's query");
    let (ended, slow) = running.await.unwrap();
    let (code, message) = refusal(&ended.err().unwrap());
    assert_eq!((code.as_str(), message.contains("timeout")), ("57014", true), "{message}");
    assert_eq!(texts(&slow, "SELECT 1").await, [[Some("1".to_owned())]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_shorten_its_time_but_not_lengthen_it() {
    let open = open(room(), |options| options.statement_timeout = Duration::from_secs(5)).await;
    let client = open.client().await;
    for (own, least, most) in [("200ms", 0, 4_900), ("1h", 4_900, 60_000), ("0", 4_900, 60_000)] {
        client.simple_query(&format!("SET statement_timeout = '{own}'")).await.unwrap();
        for extended in [false, true] {
            let began = Instant::now();
            let ended = match extended {
                false => client.simple_query(RUNAWAY).await.map(drop),
                true => client.query(RUNAWAY, &[]).await.map(drop),
            };
            assert_eq!(refusal(&ended.unwrap_err()).0, "57014", "{own}");
            let took = began.elapsed().as_millis();
            assert!(least <= took && took < most, "{own}: {took} ms");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_calls_off_its_statement() {
    let open = open(room(), |_| {}).await;
    let client = open.client().await;
    let cancel = client.cancel_token();
    for query in [RUNAWAY, BARREN, ENDLESS] {
        let began = Instant::now();
        let (ended, ()) = tokio::join!(client.simple_query(query), async {
            // Calling off is a message to whatever runs then: it is sent until something did.
            while began.elapsed() < Duration::from_millis(500) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            cancel.cancel_query(NoTls).await.unwrap();
        });
        assert_eq!(refusal(&ended.err().unwrap()).0, "57014");
        assert!(began.elapsed() < Duration::from_secs(18), "{:?}", began.elapsed());
    }
    assert_eq!(texts(&client, "SELECT 1").await, [[Some("1".to_owned())]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_no_more_rows_than_it_may() {
    let open = open(room(), |options| options.rows_max = 10_000).await;
    let client = open.client().await;
    let allowed = client.simple_query("SELECT * FROM generate_series(1, 10000)").await;
    assert!(allowed.is_ok());
    let refused = client.simple_query("SELECT * FROM generate_series(1, 10001)").await;
    let (code, message) = refusal(&refused.err().unwrap());
    assert_eq!((code.as_str(), message.contains("more than 10000 rows")), ("54000", true));
    assert_eq!(
        texts(&client, "SELECT count(*) FROM generate_series(1, 50000)").await,
        [[Some("50000".to_owned())]],
        "what is counted is not said"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_holds_no_more_memory_than_it_may() {
    let open = open(room(), |options| options.memory_bytes_max = 8 << 20).await;
    let client = open.client().await;
    let query =
        "SELECT value FROM generate_series(1, 20000000) ORDER BY value % 1000 LIMIT 3000000";
    let refused = client.simple_query(query).await;
    assert_eq!(refusal(&refused.err().unwrap()).0, "53200");
    assert_eq!(texts(&client, "SELECT count(*) FROM loans").await, [[Some("3".to_owned())]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_room_does_not_open_to_other_machines() {
    let options = recoup::serve::Options {
        listen: "0.0.0.0:0".parse().unwrap(),
        ..recoup::serve::Options::default()
    };
    let refused = recoup::serve::bind(&options).unwrap_err().to_string();
    assert!(refused.contains("this machine only"), "{refused}");
}
