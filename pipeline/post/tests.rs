//! Reference files that fit, and every way not to.

use datafusion::arrow::array::AsArray;
use datafusion::arrow::array::types::Int64Type;
use datafusion::arrow::util::pretty::pretty_format_batches;

use super::{PART, Posted, Reference, parse_reference, post};
use crate::log::Log;
use crate::log::memory::MemoryLog;

#[test]
fn fitting_files_become_typed_rows() {
    let curve = "product,bucket,handling_cost,recovery_rate,note\n\
                 cash, 31-60 ,12.5,0.31,x\n\
                 cash,361+,0,0.04000,y\n";
    let reference = parse_reference("curve", "curve.csv", curve.as_bytes()).expect("fit");
    assert_eq!(reference.notes, ["curve.csv: column note is ignored"]);
    let batch = reference.at_version(3).expect("rows");
    let expected = [
        "+---------+---------+--------+---------------+---------------+",
        "| version | product | bucket | recovery_rate | handling_cost |",
        "+---------+---------+--------+---------------+---------------+",
        "| 3       | cash    | 31-60  | 0.3100        | 12.50         |",
        "| 3       | cash    | 361+   | 0.0400        | 0.00          |",
        "+---------+---------+--------+---------------+---------------+",
    ];
    let told = ["months", "commission_rate", "servicing_cost", "discount_rate"];
    assert!(told.iter().all(|name| batch.column_by_name(name).expect("a column").is_null(0)));
    let batch = batch.project(&[0, 1, 2, 3, 4]).expect("five columns");
    assert_eq!(pretty_format_batches(&[batch]).expect("table").to_string(), expected.join("\n"));

    let contracts = "contract_id,lender_id,agency_id,valid_from,valid_to,discount,quota\n\
                     C1,L1,A1,2026-01-01,,0.05,\n";
    let reference = parse_reference("contracts", "c.csv", contracts.as_bytes()).expect("fit");
    assert!(reference.batch.column_by_name("valid_to").expect("column").is_null(0));
    assert!(reference.batch.column_by_name("attribution").expect("column").is_null(0));
}

#[test]
fn the_same_rows_have_the_same_digest() {
    let digest = |text: &str| parse_reference("market", "m", text.as_bytes()).expect("fit").digest;
    let one = digest("province,product,idx\n44,cash,1.05\n");
    assert_eq!(one, digest("\u{feff}idx,product,province,x\n1.0500,cash,44,\n"));
    assert_ne!(one, digest("province,product,idx\n44,cash,1.06\n"));
}

/// A table, its file, and what is wrong with it.
const BROKEN: [(&str, &str, &[&str]); 10] = [
    (
        "curves",
        "",
        &["f.csv: there is no table \"curves\"; there are curve, market, agencies, desks, \
           contracts, waterfalls, authorities, calendars, pauses, exclusions, remittances"],
    ),
    ("market", "province,idx\n", &["f.csv:1: column product is missing"]),
    (
        "exclusions",
        "exclusion_id,lender_id,channel,reason\nE1,L1,voice,order\nE2,L1,,order\n",
        &["f.csv:3: expected one of agency_id, desk_id, channel"],
    ),
    ("market", "province,product,idx,idx\n", &["f.csv:1: column idx appears twice"]),
    (
        "market",
        "province,product,idx\n44,cash,-1\n44,cash\n44,,1\n44,cash,1.00001\n",
        &[
            "f.csv:2: idx \"-1\": expected a decimal from 0 to 100, at most 4 digits",
            "f.csv:3: 2 values, expected 3 as in the header",
            "f.csv:4: product \"\": expected a value",
            "f.csv:5: idx \"1.00001\": expected a decimal from 0 to 100, at most 4 digits",
            "f.csv:5: province, product 44, cash stands on line 2 already",
        ],
    ),
    (
        "curve",
        "product,bucket,recovery_rate,handling_cost\ncash,1-31,1.2,1.234\n",
        &[
            "f.csv:2: bucket \"1-31\": expected one of 0, 1-30, 31-60, 61-90, 91-180, 181-360, \
             361+",
            "f.csv:2: handling_cost \"1.234\": expected an amount of money, not negative, at most \
             2 digits",
            "f.csv:2: recovery_rate \"1.2\": expected a decimal from 0 to 1, at most 4 digits",
        ],
    ),
    (
        "agencies",
        "agency_id,unit_cost,bucket_min,bucket_max,capacity,commission_by_bucket,perf_by_bucket\n\
         A1,5,61-90,1-30,x,0.1|0.2,1|1|1|1|1|1|1\n\
         A2,5,,,-3,0|0|0|0|0|0|1.1,1|1|1|1|1|1|1\n",
        &[
            "f.csv:2: bucket_min 61-90 lies behind bucket_max 1-30",
            "f.csv:2: capacity \"x\": expected a whole number, not negative",
            "f.csv:2: commission_by_bucket \"0.1|0.2\": expected 7 values separated by |, one for \
             each bucket, not 2",
            "f.csv:3: capacity \"-3\": expected a whole number, not negative",
            "f.csv:3: commission_by_bucket \"0|0|0|0|0|0|1.1\": expected 7 decimals from 0 to 1 \
             separated by |, at most 6 digits each",
        ],
    ),
    (
        "contracts",
        "contract_id,lender_id,agency_id,valid_from,valid_to,attribution\n\
         C1,L1,A1,2026-02-30,,log\n\
         C2,L1,A1,2026-03-02,2026-03-01,when\n",
        &[
            "f.csv:2: valid_from \"2026-02-30\": expected a date such as 2026-03-01",
            "f.csv:3: attribution \"when\": expected one of log, paid_at",
            "f.csv:3: valid_from 2026-03-02 lies behind valid_to 2026-03-01",
        ],
    ),
    (
        "contracts",
        "contract_id,lender_id,agency_id,tiers,commission_min,commission_max\n\
         C1,L1,A1,60:0.12|120:0.2|:0.45,1.00,2.00\n\
         C2,L1,A1,60:0.12|30:0.2,,\n\
         C3,L1,A1,:0.12|60:0.2,,\n\
         C4,L1,A1,60:1.2,3.00,2.00\n",
        &[
            "f.csv:3: tiers \"60:0.12|30:0.2\": expected tiers such as 60:0.12|120:0.20|:0.45, \
             bounds rising",
            "f.csv:4: tiers \":0.12|60:0.2\": expected tiers such as 60:0.12|120:0.20|:0.45, \
             bounds rising",
            "f.csv:5: commission_min 300 lies behind commission_max 200",
            "f.csv:5: tiers \"60:1.2\": expected tiers such as 60:0.12|120:0.20|:0.45, bounds \
             rising",
        ],
    ),
    (
        "calendars",
        "lender_id,grace_days,weekends_off,holidays\nL1,3,maybe,2026-01-01|new year\n",
        &[
            "f.csv:2: holidays \"2026-01-01|new year\": expected days such as 2026-03-01, \
             separated by |",
            "f.csv:2: weekends_off \"maybe\": expected one of yes, no",
        ],
    ),
];

#[test]
fn every_column_says_what_it_holds() {
    for name in super::names() {
        let (columns, key) = super::told(name).expect("a table");
        assert!(!key.is_empty() && columns.len() >= key.len(), "{name}");
        assert!(columns.iter().all(|(_, _, holds)| !holds.is_empty()), "{name}: {columns:?}");
    }
}

#[test]
fn every_mistake_is_named() {
    for (name, text, expected) in BROKEN {
        let mistakes = parse_reference(name, "f.csv", text.as_bytes()).expect_err(text);
        let mistakes: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(mistakes, expected);
    }
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let mistakes = parse_reference("market", "f.csv", b"province,product,idx\n\xff,cash,1\n");
    let mistakes = mistakes.expect_err("not UTF-8");
    assert_eq!(mistakes[0].to_string(), "f.csv:2: expected UTF-8 text");
}

fn market(idx: &str) -> Reference {
    let text = format!("province,product,idx\n44,cash,{idx}\n");
    parse_reference("market", "f.csv", text.as_bytes()).expect("fit")
}

#[tokio::test]
async fn a_table_is_posted_once_and_counted() {
    let log = MemoryLog::new();
    log.create("loans").await.expect("created");
    let stored = |version, seq| Posted::Stored { version, seq };
    assert_eq!(post(&log, &market("1.00")).await.expect("posted"), stored(1, 1));
    let again = post(&log, &market("1.0000")).await.expect("posted");
    assert_eq!(again, Posted::Unchanged { version: 1 });
    assert_eq!(post(&log, &market("1.10")).await.expect("posted"), stored(2, 2));
    // An earlier content is a new version too.
    assert_eq!(post(&log, &market("1.00")).await.expect("posted"), stored(3, 3));
    let message = log.last("loans", "loans.all.market").await.expect("asked").expect("there");
    let rows = crate::rows::decode(&message.payload).expect("rows");
    let versions = rows[0].column_by_name("version").expect("version").as_primitive::<Int64Type>();
    assert_eq!(versions.values(), &[3]);
}

#[tokio::test]
async fn a_large_table_is_one_batch_of_several_messages() {
    let log = MemoryLog::new();
    log.create("loans").await.expect("created");
    let rows: String = (0..60_000).map(|i| format!("province {i},cash,1.5\n")).collect();
    let text = format!("province,product,idx\n{rows}");
    let reference = parse_reference("market", "f.csv", text.as_bytes()).expect("fit");
    let posted = post(&log, &reference).await.expect("posted");
    let Posted::Stored { version: 1, seq } = posted else { panic!("{posted:?}") };
    assert!(seq > 1);
    let mut count = 0;
    for part in 1..=seq {
        let message = log.get("loans", part).await.expect("asked").expect("there");
        let told = message.headers.iter().find(|(name, _)| name == PART).expect("a part");
        assert_eq!(told.1, format!("{part}/{seq}"));
        let batches = crate::rows::decode(&message.payload).expect("rows");
        count += batches.iter().map(|batch| batch.num_rows()).sum::<usize>();
    }
    assert_eq!(count, 60_000);
    let again = post(&log, &reference).await.expect("posted");
    assert_eq!(again, Posted::Unchanged { version: 1 });
}
