//! The SQL program: what is wrong with it is said well, and what a user changes takes effect.

mod instalments;
mod money;

use recoup::batch::Batch;
use recoup::decoder::Decoder;
use recoup::log::Outgoing;
use recoup::post::parse_reference;
use recoup_operators::Rules;
use recoup_sql::stages::discounted;
use recoup_sql::{Dialect, Source, shipped};

const REPORT: &str = concat!(
    r#"{"event_id":"e1","event_type":"loan.delinquent","event_time":"2026-03-01T00:00:04Z","#,
    r#""lender_id":"L1","loan_id":"LN1","borrower_id":"B1","product":"cash","province":"44","#,
    r#""principal":"1000.00","interest":"0.00","penalty":"0.00","fee":"0.00","#,
    r#""currency":"CNY","days_past_due":47,"score":600,"contactable":true}"#,
);

/// The shipped program with one text put in place of another.
fn changed(from: &str, to: &str) -> Vec<Source> {
    let mut sources = shipped();
    let place = sources.iter_mut().find(|source| source.text.contains(from));
    let place = place.unwrap_or_else(|| panic!("no file has {from:?}"));
    place.text = place.text.replacen(from, to, 1);
    sources
}

#[test]
fn the_shipped_program_compiles() {
    assert_eq!(recoup_sql::compile::check(&shipped(), &Rules::default()), vec![]);
}

#[test]
fn a_mistake_names_file_line_column_text_and_hint() {
    // What is changed, into what; then file, line, what is said and what is hinted.
    let table = [
        (
            "i.balance * c.recovery_rate",
            "i.balanse * c.recovery_rate",
            "40_reprice.sql",
            "balanse",
            "",
        ),
        (
            "FROM stamped\nWHERE",
            "FROM stampd\nWHERE",
            "30_account.sql",
            "no relation stampd",
            "did you mean stamped?",
        ),
        ("account('letters')", "acount('letters')", "30_account.sql", "no verb acount", "account"),
        ("dispatch('priced')", "dispatch('prised')", "50_dispatch.sql", "prised", "priced"),
        (
            "dispatch('priced', 'demand')",
            "dispatch('priced', 'demands')",
            "50_dispatch.sql",
            "does not say demands",
            "demand",
        ),
        (
            "INSERT INTO book.ledger",
            "INSERT INTO loans.ledger",
            "60_settle.sql",
            "writes book",
            "book.ledger",
        ),
        (
            "CREATE VIEW held AS",
            "CREATE VIEW priced AS",
            "50_dispatch.sql",
            "already a relation priced",
            "another name",
        ),
        (
            "END\n        - c.handling_cost",
            "EN\n        - c.handling_cost",
            "40_reprice.sql",
            "",
            "semicolon",
        ),
        (
            "i.days_past_due,\n",
            "",
            "40_reprice.sql",
            "needs the column days_past_due",
            "days_past_due",
        ),
    ];
    for (from, to, file, what, hint) in table {
        let found = recoup_sql::compile::check(&changed(from, to), &Rules::default());
        let mistake = found.first().unwrap_or_else(|| panic!("{to:?} is not noticed"));
        let shown = mistake.to_string();
        let place =
            if mistake.what.contains("needs the column") { "50_dispatch.sql" } else { file };
        assert_eq!(mistake.file, place, "{shown}");
        assert!(mistake.line > 0 && mistake.column > 0, "{shown}");
        assert!(mistake.what.contains(what), "{shown}");
        assert!(mistake.hint.contains(hint) && !mistake.hint.is_empty(), "{shown}");
        assert!(!mistake.text.is_empty(), "{shown}");
    }
}

#[test]
fn what_is_no_function_of_its_arguments_is_refused() {
    for (function, hint) in [
        ("now()", "time is a column"),
        ("CURRENT_DATE", "time is a column"),
        ("random()", "hash of the fact"),
        ("uuid()", "hash of the fact"),
    ] {
        let to = format!("i.event_time,\n    CAST({function} AS VARCHAR) AS told,");
        let found = recoup_sql::compile::check(&changed("i.event_time,", &to), &Rules::default());
        let mistake = found.first().unwrap_or_else(|| panic!("{function} is let through"));
        assert!(mistake.what.contains("another answer each time"), "{mistake}");
        assert!(mistake.hint.contains(hint), "{mistake}");
        assert_eq!(mistake.file, "40_reprice.sql");
    }
}

/// The price of the one loan, under a program.
fn price(sources: &[Source]) -> (String, usize) {
    let rules = Rules { shards: 2, ..Rules::default() };
    let mut batch = Batch::open(&rules, sources, Decoder::default()).expect("it compiles");
    let curve = "product,bucket,recovery_rate,handling_cost\ncash,31-60,0.5000,10.00\n";
    let market = "province,product,idx\n44,cash,1.0000\n";
    for (name, text) in [("curve", curve), ("market", market)] {
        let reference = parse_reference(name, name, text.as_bytes()).expect("it fits");
        batch.post(name, &reference.batch).expect("it is heard");
    }
    let message = Outgoing {
        subject: "intake.-.file.0".into(),
        payload: REPORT.as_bytes().to_vec().into(),
        ..Outgoing::default()
    };
    batch.publish(message, "one.jsonl", 1).expect("it is read");
    batch.settle().expect("it settles");
    let prices = batch.relations.snapshot("prices").expect("there are prices");
    let rows = prices.batches().next().expect("there is one");
    let column = rows.column_by_name("price").expect("it has a price");
    let shown = datafusion::arrow::util::display::array_value_to_string(column, 0);
    let refused = batch.relations.snapshot("refused").map_or(0, |all| all.rows());
    (shown.expect("it shows"), refused)
}

/// Why the one loan is where it is, in words.
fn why(batch: &mut Batch) -> String {
    batch.answer().expect("it answers");
    let decisions = batch.relations.snapshot("decisions").expect("there are decisions");
    let rows = decisions.batches().next().expect("there is one");
    let column = rows.column_by_name("why").expect("it says why");
    datafusion::arrow::util::display::array_value_to_string(column, 0).expect("it shows")
}

#[test]
fn every_decision_says_why_and_a_complaint_makes_another_one() {
    let rules = Rules { shards: 2, ..Rules::default() };
    let mut batch = Batch::open(&rules, &shipped(), Decoder::default()).expect("it compiles");
    let rate = |rate: &str| [rate; 7].join("|");
    let agency = |name: &str, cost: &str, capacity: &str, commission: &str, perf: &str| {
        format!("{name},44,cash,0,361+,{cost},{capacity},{},{}\n", rate(commission), rate(perf))
    };
    let agencies = [
        "agency_id,provinces,products,bucket_min,bucket_max,unit_cost,capacity,\
         commission_by_bucket,perf_by_bucket\n"
            .to_string(),
        agency("A", "2.00", "", "0.25", "0.12"),
        agency("B", "0.00", "0", "0.35", "0.15"),
        agency("bot", "0.50", "", "0", "0.06"),
    ];
    let tables = [
        ("curve", "product,bucket,recovery_rate,handling_cost\ncash,31-60,1.0000,0.00\n".into()),
        ("market", "province,product,idx\n44,cash,1.0000\n".into()),
        ("agencies", agencies.concat()),
    ];
    for (name, text) in tables {
        let reference = parse_reference(name, name, text.as_bytes()).expect("it fits");
        batch.post(name, &reference.batch).expect("it is heard");
    }
    let payload = REPORT.as_bytes().to_vec().into();
    let message = Outgoing { subject: "intake.-.file.0".into(), payload, ..Outgoing::default() };
    batch.publish(message, "one.jsonl", 1).expect("it is read");
    batch.settle().expect("it settles");
    assert_eq!(
        why(&mut batch),
        "with A of A, where it is worth 88.00 at a price of 1000.00; next best is bot with 59.50; \
         a place there costs nothing; better but full: B"
    );
    let rule = "exclusion_id,lender_id,loan_id,agency_id,reason\nE1,L1,LN1,A,complaint\n";
    let rule = parse_reference("exclusions", "e.csv", rule.as_bytes()).expect("it fits");
    batch.post("exclusions", &rule.batch).expect("it is heard");
    batch.settle().expect("it settles");
    assert_eq!(
        why(&mut batch),
        "with bot of bot, where it is worth 59.50 at a price of 1000.00; a place there costs \
         nothing; better but full: B"
    );
}

#[test]
fn a_user_changes_one_statement_without_touching_rust() {
    assert_eq!(price(&shipped()), ("490.00".into(), 0));
    let halved = changed("i.balance * c.recovery_rate * i.idx", "i.balance * 0.25 * i.idx");
    assert_eq!(price(&halved), ("240.00".into(), 0));
}

/// What follows downstream does not depend on which price is chosen.
#[test]
fn both_pricing_files_differ_in_nothing_but_the_price() {
    let plain = shipped().into_iter().find(|source| source.name == "40_reprice.sql");
    let beside = |text: &str| {
        let (_, text) = text.split_once("CREATE VIEW indexed").expect("a view of the index");
        let (before, price) = text.split_once("    CAST(\n").expect("a price");
        let (_, after) = price.split_once("AS DECIMAL(18, 2)) AS price").expect("its end");
        format!("{before}{after}")
    };
    let (plain, full) = (plain.expect("a plain price").text, discounted().text);
    assert_eq!(beside(&plain), beside(&full));
    assert_ne!(plain, full);
}

#[test]
fn a_row_that_cannot_be_computed_has_no_price_and_is_refused_alone() {
    let broken = changed("i.balance * c.recovery_rate * i.idx", "i.balance / (i.score - 600)");
    let (price, refused) = price(&broken);
    assert_eq!((price.as_str(), refused > 0), ("", true));
}

#[test]
fn a_dialect_names_what_it_does_not_know() {
    let source = |text: &str| Source { name: "bank.sql".into(), text: text.into() };
    let dialect =
        Dialect::compile(&source("SELECT acct AS loan_id, \"Bill\" AS principal FROM raw"));
    assert_eq!(dialect.ok().map(|one| one.columns), Some(vec!["Bill".into(), "acct".into()]));
    for (text, what) in [
        ("SELECT acct AS loan FROM raw", "loan is no column of the canonical record"),
        ("SELECT acct AS loan_id FROM row", "row"),
        ("DROP TABLE raw", "one SELECT"),
        ("SELECT now() AS event_time FROM raw", "another answer"),
    ] {
        let mistake = Dialect::compile(&source(text)).err().unwrap_or_else(|| panic!("{text}"));
        assert!(mistake.to_string().contains(what), "{mistake}");
    }
}
