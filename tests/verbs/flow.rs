//! A deployment from nothing to answers: `init`, `run`, `load`, `post`, `serve`, and what shows it.

use serde_json::{Value, json};

use super::lender::{AGENCIES, CURVE, LOANS, MARKET, NATIONAL_ID, PAID, PHONE, write};
use super::{Place, lines, until};

/// The same loan ids under several lenders are several loans.
fn place() -> Place {
    Place::open(&[("LOAN_KEY", "lender_loan")])
}

fn post_all(place: &Place) {
    for (name, table) in [("curve", CURVE), ("market", MARKET), ("agencies", AGENCIES)] {
        let file = place.file(&format!("{name}.csv"), table);
        let posted = lines(&place.says(&["post", name, &file, "--json"])).remove(0);
        assert_eq!((&posted["version"], &posted["stored"]), (&json!(1), &json!(true)));
    }
}

const ROWS: &str = "SELECT l.*, p.price, p.bucket AS priced_bucket \
    FROM loans l JOIN prices p ON l.loan_id = p.loan_id AND l.lender_id = p.lender_id";
const STATEMENTS: &str = "SELECT * FROM statements";
const PLACED: &str = "SELECT loan_id, lender_id, agency_id, desk_id, price, value, status \
    FROM placements";

/// The rows of a lender without its name, in one order.
fn of(place: &Place, query: &str, lender: &str) -> Vec<String> {
    let rows = place.ask(&format!("SELECT * FROM ({query}) AS q WHERE lender_id = '{lender}'"));
    let mut rows: Vec<String> = rows
        .unwrap()
        .into_iter()
        .map(|mut row| {
            row.as_object_mut().unwrap().remove("lender_id");
            row.to_string()
        })
        .collect();
    rows.sort();
    rows
}

#[test]
fn the_same_month_in_every_format_is_the_same_relations() {
    let place = place();
    post_all(&place);
    let mut working = place.start(&["run"]);
    let _reading = place.start(&["serve"]);
    for (lender, file) in write(place.folder.path()) {
        let told = lines(&place.says(&["load", file, "--lender", lender, "--json"])).remove(0);
        assert_eq!((&told["rows"], &told["parts"]), (&json!(LOANS + PAID + 1), &json!(1)));
    }
    let all = json!(4 * LOANS);
    place.asks("SELECT count(*) FROM loans", &all);
    place.asks("SELECT count(*) FROM placements WHERE status = 'placed'", &all);
    place.asks("SELECT sum(count) FROM statements", &json!(4 * PAID));
    place.drained();
    for query in [ROWS, PLACED, STATEMENTS] {
        let json = of(&place, query, "JSON");
        assert!(!json.is_empty(), "{query}");
        for lender in ["CSV", "PARQUET", "ARROW"] {
            assert_eq!(of(&place, query, lender), json, "{lender}: {query}");
        }
    }
    // LN1: 137.07 and three times 1.50, 14 days past due, score 407, province 31.
    let query = "SELECT l.balance, l.bucket, p.price FROM loans l JOIN prices p \
        ON l.loan_id = p.loan_id AND l.lender_id = p.lender_id \
        WHERE l.loan_id = 'LN1' AND l.lender_id = 'CSV'";
    let row = place.ask(query).unwrap().remove(0);
    // 141.57 x 0.6 x 0.9 x 0.7 - 2.00 = 51.513...
    assert_eq!(row, json!({ "balance": "141.57", "bucket": "1-30", "price": "51.51" }));
    a_new_curve_reprices_without_a_restart(&place);
    assert!(working.runs(), "nothing was started again");
    nothing_personal_goes_further_in_clear(&place);
    status_tells_shards_owners_lag_and_refusals(&place);
    refused_rows_open_with_the_key(&place);
    tap_shows_rows_and_hides_the_intake(&place);
    replay_shows_what_a_step_saw_knew_and_said(&place);
    working.stop();
}

/// Every loan that the curve touches, and no other.
fn a_new_curve_reprices_without_a_restart(place: &Place) {
    let prices = || {
        let query = "SELECT lender_id, loan_id, bucket, balance, price FROM prices \
            ORDER BY lender_id, loan_id";
        place.ask(query).unwrap()
    };
    let before = prices();
    let file = place.file("curve.csv", CURVE.replace("0.6000,2.00", "0.5000,2.00"));
    let posted = lines(&place.says(&["post", "curve", &file, "--json"])).remove(0);
    assert_eq!(posted["version"], 2);
    let again = lines(&place.says(&["post", "curve", &file, "--json"])).remove(0);
    assert_eq!((&again["version"], &again["stored"]), (&json!(2), &json!(false)));
    // 141.57 x 0.5 x 0.9 x 0.7 - 2.00 = 42.594...
    let query = "SELECT price FROM prices WHERE loan_id = 'LN1' AND lender_id = 'CSV'";
    place.asks(query, &json!("42.59"));
    place.drained();
    let after = until("the room to be at the end", || {
        let lag = place.ask("SELECT max(lag) AS lag FROM recoup.shards")?;
        (lag[0]["lag"].to_string().trim_matches('"') == "0").then(prices)
    });
    assert_eq!(after.len(), before.len());
    let mut repriced = 0;
    for (old, new) in before.iter().zip(&after) {
        assert_eq!(old["balance"], new["balance"], "{new}");
        let touched = new["bucket"] == "1-30";
        assert_eq!(old["price"] != new["price"], touched, "{old} {new}");
        repriced += usize::from(touched);
    }
    assert!(repriced > LOANS, "loans of all four lenders: {repriced}");
    let wrong = place.file("wrong.csv", "product,bucket,recovery_rate\ncash,31-60,high\n");
    let (code, _, errors) = super::ended(&place.run(&["post", "curve", &wrong]));
    assert_eq!(code, 1);
    assert!(errors.contains("wrong.csv:1: column handling_cost is missing"), "{errors}");
}

fn status_tells_shards_owners_lag_and_refusals(place: &Place) {
    let status = place.status();
    let shards = status["shards"].as_array().unwrap();
    let of = |stage: &str| shards.iter().filter(|one| one["stage"] == stage).count();
    let counts = ["normalize", "register", "book", "clear", "close"].map(of);
    assert_eq!(counts, [4, 2, 2, 1, 1]);
    for shard in shards.iter().filter(|one| one["stage"] == "book") {
        assert!(shard["owner"].as_str().unwrap().starts_with("worker-"), "{shard}");
        assert!(shard["commits"].as_u64().unwrap() > 0, "{shard}");
    }
    assert_eq!(status["refused"]["by_reason"], json!({ "bad_decimal": 4 }));
    let table = place.says(&["status"]);
    for words in ["stage", "owner", "waiting", "normalize", "worker-", "refused: 4"] {
        assert!(table.contains(words), "{words}: {table}");
    }
}

fn refused_rows_open_with_the_key(place: &Place) {
    let closed = lines(&place.says(&["refused", "--json"]));
    assert_eq!(closed.len(), 4);
    assert!(closed.iter().all(|one| one.get("text").is_none()));
    let of = |lender: &str| -> Value {
        let words = ["refused", "--lender", lender, "--open", "--json"];
        let mut found = lines(&place.says(&words));
        assert_eq!(found.len(), 1);
        found.remove(0)
    };
    let files = [("JSON", "month.jsonl"), ("CSV", "month.csv"), ("ARROW", "month.arrow")];
    for (lender, file) in files {
        let one = of(lender);
        assert_eq!((&one["reason"], &one["file"]), (&json!("bad_decimal"), &json!(file)));
        let row: usize =
            one["source"].as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap();
        let text = one["text"].as_str().unwrap();
        assert!(text.contains("12,5"), "{text}");
        if lender == "JSON" {
            let whole = std::fs::read_to_string(place.folder.path().join(file)).unwrap();
            assert_eq!(whole.lines().nth(row - 1), Some(text), "the very line of the file");
        }
    }
    let table = place.says(&["refused", "--reason", "bad_decimal"]);
    assert!(table.contains("month.csv") && table.contains("4 rows"), "{table}");
    assert!(!table.contains("12,5"), "{table}");
    // Another key opens nothing and does not fail.
    let key = place.file("other.key", format!("{}\n", "5a".repeat(64)));
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600);
    std::fs::set_permissions(place.folder.path().join(&key), mode).unwrap();
    let set = format!("keys.file={key}");
    let closed = lines(&place.says(&["refused", "--open", "--json", "--set", &set]));
    assert!(closed.iter().all(|one| one["closed"].as_str().unwrap().contains("sealed under key")));
    // The secret itself in the environment wins over the file, and is not shown.
    let secret = std::fs::read_to_string(place.folder.path().join(".recoup/key")).unwrap();
    let with = |secret: &str| {
        let settings = [&place.settings[..], &[("KEY", secret.to_string())]].concat();
        let words = ["refused", "--open", "--json", "--set", &set];
        super::ended(&super::recoup(place.folder.path(), &settings, &words))
    };
    let (code, opened, _) = with(secret.trim());
    assert!(code == 0 && opened.matches("12,5").count() >= 3, "{opened}");
    let (code, _, errors) = with("5ecret");
    assert_eq!((code, errors.contains("5ecret")), (4, false), "{errors}");
    assert!(errors.contains("RECOUP_KEY must hold 64 bytes"), "{errors}");
}

/// The phone numbers and ids of the month, nowhere but in the intake; the key, nowhere at all.
fn nothing_personal_goes_further_in_clear(place: &Place) {
    let raw = place.says(&["tap", "intake", "--after", "0", "--once", "--raw"]);
    assert!(raw.contains(PHONE) && raw.contains(NATIONAL_ID), "they did come in");
    let key = std::fs::read_to_string(place.folder.path().join(".recoup/key")).unwrap();
    let clean = |what: &str, text: &str| {
        assert!(!text.is_empty(), "{what}");
        for secret in [PHONE, NATIONAL_ID, &key[..128]] {
            assert!(!text.contains(secret), "{what} shows {secret}");
        }
    };
    for stream in ["reports", "loans", "book", "statements"] {
        clean(stream, &place.says(&["tap", stream, "--after", "0", "--once", "--json"]));
    }
    for log in ["run.log", "serve.log"] {
        let text = std::fs::read_to_string(place.folder.path().join(log)).unwrap();
        clean(log, &text);
        // Fields in text for people; `ups` reads them as JSON.
        assert!(text.lines().any(|line| line.contains(" INFO ") && line.contains('=')), "{text}");
    }
    let shown = place.ask("SELECT phone_masked FROM loans WHERE loan_id = 'LN1' LIMIT 1").unwrap();
    assert_eq!(shown[0]["phone_masked"], "139****0001");
}

fn tap_shows_rows_and_hides_the_intake(place: &Place) {
    let words = ["tap", "book", "--subject", "book.*.prices", "--after", "0", "--once", "--json"];
    let prices = lines(&place.says(&words));
    assert!(prices.len() >= 4 * LOANS, "{}", prices.len());
    assert!(prices.iter().all(|row| row["price"].is_string() || row["price"].is_null()));
    let words = ["tap", "intake", "--subject", "intake.JSON.>", "--after", "0", "--once"];
    let hidden = place.says(&words);
    assert!(hidden.starts_with("intake.JSON.file.") && !hidden.contains("LN1"), "{hidden}");
    let raw = place.says(&[&words[..], &["--raw"]].concat());
    assert!(raw.contains("\"loan_id\":\"LN1\""), "{raw}");
}

fn replay_shows_what_a_step_saw_knew_and_said(place: &Place) {
    let words = ["tap", "loans", "--subject", "loans.*.letters", "--after", "0", "--once"];
    let taps = place.says(&words);
    // `loans.1.letters at 17, 60 rows`, then its table.
    let head = taps.lines().find(|line| line.contains(".letters at ")).unwrap();
    let shard = head.split('.').nth(1).unwrap();
    let seq = head.split(" at ").nth(1).unwrap().split(',').next().unwrap();
    let words = ["replay", "book", "--shard", shard, "--seq", seq];
    let told = place.says(&words);
    for part in ["saw loans.", "knew ", "said loans to ", "said prices to "] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let rows = lines(&place.says(&[&words[..], &["--json"]].concat()));
    let of = |relation: &str| rows.iter().filter(|row| row["relation"] == relation).count();
    assert!(of("saw") > 0 && of("prices") > 0 && of("loans") > 0);
    let loan = rows.iter().find(|row| row["relation"] == "prices").unwrap();
    let (loan, price) = (&loan["row"]["loan_id"], &loan["row"]["price"]);
    let told = place.says(&[&words[..], &["--loan", loan.as_str().unwrap()]].concat());
    assert!(told.contains(&format!("priced at {}", price.as_str().unwrap())), "{told}");
    let words = ["replay", "book", "--shard", "2", "--seq", seq];
    let (code, _, errors) = super::ended(&place.run(&words));
    assert_eq!((code, errors.contains("shards 0 to 1, not 2")), (1, true), "{errors}");
    let words = ["replay", "book", "--shard", shard, "--seq", "999999"];
    let (code, _, errors) = super::ended(&place.run(&words));
    assert_eq!(code, 1, "{errors}");
}

#[test]
fn a_lender_with_other_columns_has_a_dialect() {
    let place = Place::open(&[("PROGRAM_DIALECTS", "dialects")]);
    place.file(
        "dialects/BANK.card.sql",
        "SELECT acct || '-' || asof AS event_id, asof || 'T00:00:00Z' AS event_time,\n\
         acct AS loan_id, holder AS borrower_id, 'cash' AS product, '44' AS province,\n\
         bill AS principal, '0.00' AS interest, '0.00' AS penalty, '0.00' AS fee,\n\
         'TWD' AS currency, CAST(30 * CAST(late AS INT) AS VARCHAR) AS days_past_due\nFROM raw\n",
    );
    post_all(&place);
    place.says(&["check"]);
    let again = place.says(&["init"]);
    assert!(again.contains("stays as it is") && again.contains("2 shards are ready"), "{again}");
    // The number of shards is fixed: nobody works, or prepares, with another.
    for (count, words) in [("1", "more shards than 1"), ("3", "fewer shards than 3")] {
        let set = format!("shards.count={count}");
        for verb in ["run", "init"] {
            let (code, _, errors) = super::ended(&place.run(&[verb, "--set", &set]));
            assert_eq!((code, errors.contains(words)), (5, true), "{verb} {count}: {errors}");
        }
    }
    let _tapping = place.start(&["tap", "book", "--subject", "book.*.prices", "--json"]);
    let working = place.start(&["run"]);
    let _reading = place.start(&["serve"]);
    let file = place.file("cards.csv", "acct,holder,asof,bill,late\nC7,H1,2026-03-01,250.00,2\n");
    let words = ["load", &file, "--lender", "BANK", "--dialect", "card"];
    assert_eq!(place.says(&words), "cards.csv: 1 row in 1 part\n");
    place.asks("SELECT price FROM prices WHERE loan_id = 'C7'", &json!("115.00"));
    let row = place.ask("SELECT lender_id, days_past_due, bucket, balance FROM loans").unwrap();
    let wanted = json!({ "lender_id": "BANK", "days_past_due": 60, "bucket": "31-60",
        "balance": "250.00" });
    assert_eq!(row, [wanted]);
    let shards = "SELECT count(*) FROM recoup.shards WHERE stage = 'book' AND as_of > 0";
    place.asks(shards, &json!(2));
    until("no lag", || {
        let lag = place.ask("SELECT max(lag) AS lag FROM recoup.shards")?;
        (lag[0]["lag"].to_string().trim_matches('"') == "0").then_some(())
    });
    let refused = place.run(&["sql", "DELETE FROM loans"]);
    assert_eq!(super::ended(&refused).0, 1);
    a_lender_publishes_records_itself(&place);
    // Who taps sees rows as they come.
    until("rows of the tap", || {
        let seen = std::fs::read_to_string(place.folder.path().join("tap.log")).ok()?;
        ["C7", "S1", "S2", "S3"].iter().all(|loan| seen.contains(loan)).then_some(())
    });
    working.stop();
}

/// One record a message, and loans and their money mixed in one.
fn a_lender_publishes_records_itself(place: &Place) {
    let report = |loan: &str| {
        json!({ "event_id": format!("e{loan}"), "event_time": "2026-03-01T00:00:00Z",
            "loan_id": loan, "borrower_id": format!("B{loan}"), "product": "cash",
            "province": "44", "principal": "100.00", "interest": "0.00", "penalty": "0.00",
            "fee": "0.00", "currency": "CNY", "days_past_due": 40 })
        .to_string()
    };
    let payment = |loan: &str| {
        json!({ "payment_id": format!("p{loan}"), "loan_id": loan, "kind": "payment",
            "amount": "25.00", "paid_at": "2026-03-02T08:30:00Z" })
        .to_string()
    };
    let mixed = [report("S2"), payment("S1"), report("S3"), payment("S3")].join("\n");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = async_nats::connect(format!("nats://127.0.0.1:{}", place.world.port)).await;
        let context = async_nats::jetstream::new(client.unwrap());
        for (n, text) in [(0, report("S1")), (3, mixed)] {
            let sent = context.publish(format!("intake.SHOP.json.{n}"), text.into()).await;
            sent.unwrap().await.unwrap();
        }
    });
    let query = "SELECT sum(balance) FROM loans WHERE lender_id = 'SHOP'";
    place.asks(query, &json!("250.00"));
}
