//! Canonical records in, facts and refusals out.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::buffer::Buffer;
use arrow::compute::concat_batches;
use arrow::datatypes::{TimestampMicrosecondType, UInt64Type};
use arrow::util::display::array_value_to_string;

use super::{VERB, record};
use crate::decode::{Format, Part, decode};
use crate::facts;
use crate::rules::{Keys, LoanKey, Rules};
use crate::seal::{Place, SealError, unseal};

fn canonical(lender: &str, payload: &str) -> RecordBatch {
    let payload = Buffer::from(payload.as_bytes());
    let part =
        Part { seq: 41, shard: 3, lender, format: Format::Json, first_row: 0, payload: &payload };
    decode(&part, &facts::CANONICAL).rows
}

fn normalize(rules: &Rules, lender: &str, payload: &str) -> Vec<RecordBatch> {
    (VERB.open)(rules, 3).step(&canonical(lender, payload))
}

fn keys() -> Keys {
    Keys { token: [7; 32], seal: [9; 64], id: 12 }
}

/// A field as text, an instant in microseconds, a null as `-`.
fn at(batch: &RecordBatch, column: &str, row: usize) -> String {
    let column = batch.column_by_name(column).unwrap();
    if column.is_null(row) {
        return "-".into();
    }
    match column.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(instants) => instants.value(row).to_string(),
        None => array_value_to_string(column, row).unwrap(),
    }
}

const REPORT: &str = concat!(
    r#"{"event_id":"ev0000000001","event_type":"loan.delinquent","#,
    r#""event_time":"2026-03-01T00:00:04Z","lender_id":"L007","loan_id":"LN0000000001","#,
    r#""borrower_id":"B000000001","product":"cash","province":"44","principal":"3021.55","#,
    r#""interest":"112.40","penalty":"18.02","fee":"5.00","currency":"CNY","#,
    r#""days_past_due":47,"origination_date":"2025-08-11","due_date":"2026-01-13","#,
    r#""phone":"13912345678","national_id":"440101199001011234","score":612,"#,
    r#""contactable":true}"#,
);
const PAYMENT: &str = concat!(
    r#"{"payment_id":"p0000000001","loan_id":"LN0000000001","kind":"payment","#,
    r#""amount":"250.00","paid_at":"2026-03-02T08:30:00Z","channel":"bank","reverses":null}"#,
);

#[test]
fn the_examples_of_the_program_become_facts() {
    let said = normalize(&Rules::default(), "", &format!("{REPORT}\n{PAYMENT}\n"));
    let facts = &said[0];
    let row = |row: usize| -> Vec<String> {
        let names: Vec<String> =
            facts.schema().fields().iter().map(|field| field.name().clone()).collect();
        let told = names.iter().filter(|name| *name != "digest");
        told.map(|name| at(facts, name, row)).filter(|text| text != "-").collect()
    };
    assert_eq!(
        row(0).join(" "),
        "3 41 0 report ev0000000001 1772323204000000 LN0000000001 L007 B000000001 \
         d19a7ed08373262d cash 44 CNY 3021.55 112.40 18.02 5.00 47 2025-08-11 2026-01-13 \
         139****5678 cbee52a66ffc14ad 612 true intake:41:0"
    );
    assert_eq!(
        row(1).join(" "),
        "3 41 1 payment p0000000001 1772440200000000 LN0000000001 250.00 bank \
         intake:41:1"
    );
    assert_eq!(said[1].num_rows(), 0);
    // hashlib.blake2b(…, digest_size=8) over the content that digest.rs describes, and for the
    // report 0xd19a ^ 0xcbee, the beginnings of its two tokens.
    let digest = facts.column_by_name("digest").unwrap().as_primitive::<UInt64Type>();
    assert_eq!(digest.values().to_vec(), [DIGEST_OF_REPORT, DIGEST_OF_PAYMENT]);
}

const DIGEST_OF_REPORT: u64 = 0xdc67acbf0b246ace;
const DIGEST_OF_PAYMENT: u64 = 0x3bd3ef6107ac7370;

/// The report or payment with one field replaced: null where `json` is empty, else its JSON.
fn with(record: &str, field: &str, json: &str) -> String {
    let mut record: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(record).unwrap();
    if json.is_empty() {
        record.remove(field);
    } else {
        record.insert(field.into(), serde_json::from_str(json).unwrap());
    }
    serde_json::to_string(&record).unwrap()
}

#[test]
fn the_first_reason_that_applies() {
    let cases = [
        (REPORT, "loan_id", "", "missing_loan_id"),
        (REPORT, "loan_id", "null", "missing_loan_id"),
        (REPORT, "loan_id", r#""""#, "missing_loan_id"),
        (REPORT, "principal", "", "bad_decimal"),
        (REPORT, "interest", "1.00", "bad_decimal"),
        (REPORT, "fee", r#""1.0""#, "bad_decimal"),
        (REPORT, "fee", r#"".00""#, "bad_decimal"),
        (REPORT, "fee", r#""+1.00""#, "bad_decimal"),
        (REPORT, "fee", r#""12345678901234.00""#, "bad_decimal"),
        (REPORT, "principal", r#""-0.01""#, "negative_principal"),
        (REPORT, "days_past_due", "", "wrong_type"),
        (REPORT, "days_past_due", r#""47""#, "wrong_type"),
        (REPORT, "days_past_due", "47.0", "wrong_type"),
        (REPORT, "days_past_due", "9999999999", "wrong_type"),
        (REPORT, "event_id", "", "missing_event_id"),
        (REPORT, "event_time", "", "bad_time"),
        (REPORT, "event_time", r#""2026-02-29T00:00:00Z""#, "bad_time"),
        (PAYMENT, "loan_id", "", "missing_loan_id"),
        (PAYMENT, "amount", "250", "bad_decimal"),
        (PAYMENT, "kind", r#""gift""#, "wrong_type"),
        (PAYMENT, "kind", "", "wrong_type"),
        (PAYMENT, "kind", r#""reversal""#, "missing_reverses"),
        (PAYMENT, "amount", r#""-1.00""#, "wrong_sign"),
        (PAYMENT, "amount", r#""0.00""#, "wrong_sign"),
        (PAYMENT, "payment_id", r#""""#, "missing_payment_id"),
        (PAYMENT, "paid_at", r#""yesterday""#, "bad_time"),
    ];
    for (record, field, json, reason) in cases {
        let said = normalize(&Rules::default(), "L9", &with(record, field, json));
        assert_eq!(said[0].num_rows(), 0, "{field} {json}");
        assert_eq!(at(&said[1], "reason", 0), reason, "{field} {json}");
        assert_eq!(at(&said[1], "source", 0), "intake:41:0");
        assert_eq!(at(&said[1], "raw", 0), "-");
    }
    let reversal = with(PAYMENT, "kind", r#""reversal""#);
    let reversal = with(&reversal, "reverses", r#""p0""#);
    assert_eq!(at(&normalize(&Rules::default(), "", &reversal)[1], "reason", 0), "wrong_sign");
    let reversal = with(&reversal, "amount", r#""-250.00""#);
    assert_eq!(at(&normalize(&Rules::default(), "", &reversal)[0], "kind", 0), "reversal");
}

#[test]
fn identity_dates_score_and_contact_never_refuse() {
    let cases = [
        ("borrower_id", r#""""#, "borrower_id", "-"),
        ("product", "", "product", "-"),
        ("currency", "", "currency", "XXX"),
        ("origination_date", r#""soon""#, "origination_date", "-"),
        ("due_date", r#""2026-01-13T23:30:00-01:00""#, "due_date", "2026-01-14"),
        ("phone", r#""1391234""#, "phone_masked", "*******"),
        ("phone", r#""\u4e2d1234567""#, "phone_masked", "\u{4e2d}12****4567"),
        ("phone", "", "phone_token", "-"),
        ("national_id", "", "person", "-"),
        ("score", r#""n/a""#, "score", "-"),
        ("score", "612.5", "score", "-"),
        ("contactable", r#""perhaps""#, "contactable", "-"),
        ("contactable", "false", "contactable", "false"),
        ("lender_id", "", "lender_id", "L9"),
        ("days_past_due", "-3", "days_past_due", "-3"),
    ];
    for (field, json, column, expected) in cases {
        let said = normalize(&Rules::default(), "L9", &with(REPORT, field, json));
        assert_eq!(at(&said[0], column, 0), expected, "{field} {json}");
    }
}

#[test]
fn a_lender_is_needed_only_where_loans_are_its_own() {
    let rules = Rules { loan_key: LoanKey::LenderLoan, ..Rules::default() };
    assert_eq!(at(&normalize(&rules, "", PAYMENT)[1], "reason", 0), "missing_lender");
    assert_eq!(at(&normalize(&rules, "L9", PAYMENT)[0], "lender_id", 0), "L9");
    assert_eq!(at(&normalize(&Rules::default(), "", PAYMENT)[0], "lender_id", 0), "-");
}

#[test]
fn instants_are_strict() {
    let cases = [
        ("2026-03-01T00:00:04Z", Some(1_772_323_204_000_000)),
        ("2026-03-01t00:00:04.123456789z", Some(1_772_323_204_123_456)),
        ("2026-03-01T08:00:04+08:00", Some(1_772_323_204_000_000)),
        ("2026-02-28T23:30:04-00:30", Some(1_772_323_204_000_000)),
        ("2026-03-01", Some(1_772_323_200_000_000)),
        ("2000-02-29", Some(951_782_400_000_000)),
        ("0001-01-01", Some(-62_135_596_800_000_000)),
        ("9999-12-31T23:59:59.999999Z", Some(253_402_300_799_999_999)),
        ("0001-01-01T00:00:00+00:01", None),
        ("9999-12-31T23:59:59-00:01", None),
        ("0000-01-01", None),
        ("1900-02-29", None),
        ("2026-13-01", None),
        ("2026-03-01T24:00:00Z", None),
        ("2026-03-01T23:59:60Z", None),
        ("2026-03-01T00:00:04", None),
        ("2026-03-01 00:00:04Z", None),
        ("2026-03-01T00:00:04.Z", None),
        ("2026-03-01T00:00:04+8:00", None),
        ("2026-3-1", None),
        ("+026-03-01", None),
        ("", None),
    ];
    for (text, expected) in cases {
        assert_eq!(super::parse::instant(text), expected, "{text}");
    }
}

#[test]
fn refused_bytes_open_only_at_their_place() {
    let rules = Rules { keys: Some(keys()), ..Rules::default() };
    let line = with(REPORT, "principal", "5");
    let said = normalize(&rules, "L9", &format!("\n{line}\nbroken"));
    let raw = said[1].column_by_name("raw").unwrap().as_binary::<i32>();
    let place = |row| Place { stream: "intake", seq: 41, row };
    assert_eq!(unseal(&keys(), place(1), raw.value(0)).unwrap(), line.as_bytes());
    assert_eq!(unseal(&keys(), place(2), raw.value(1)).unwrap(), b"broken");
    let moved = unseal(&keys(), place(2), raw.value(0));
    assert_eq!(moved, Err(SealError::Broken { seq: 41, row: 2 }));
    let other = Keys { id: 13, ..keys() };
    let closed = unseal(&other, place(1), raw.value(0));
    assert_eq!(closed, Err(SealError::OtherKey { sealed: 12, ours: 13 }));
    assert_eq!(unseal(&keys(), place(1), b"abc"), Err(SealError::Broken { seq: 41, row: 1 }));
    let again = normalize(&rules, "L9", &format!("\n{line}\nbroken"));
    assert_eq!(said[1], again[1], "sealing is deterministic");
    assert!(!raw.value(0).windows(11).any(|bytes| bytes == b"13912345678"));
}

#[test]
fn tokens_depend_on_the_key() {
    let keyed = Rules { keys: Some(keys()), ..Rules::default() };
    let person = |rules: &Rules| at(&normalize(rules, "", REPORT)[0], "person", 0);
    assert_eq!(person(&Rules::default()), person(&Rules::default()));
    assert_ne!(person(&Rules::default()), person(&keyed));
    assert_eq!(person(&keyed).len(), 16);
}

/// `batch` has no key and must choose between two copies as a live run does.
#[test]
fn the_key_decides_between_no_copies_that_differ_in_anything_to_see() {
    let digest = |record: &str, key: u8| {
        let rules = Rules { keys: Some(Keys { token: [key; 32], ..keys() }), ..Rules::default() };
        let facts = normalize(&rules, "", record).remove(0);
        facts.column_by_name("digest").unwrap().as_primitive::<UInt64Type>().value(0)
    };
    // What is seen of the phone is seen by the digest too.
    let copies: Vec<String> = (0..40)
        .map(|copy| with(REPORT, "fee", &format!("\"{copy}.00\"")))
        .chain([with(REPORT, "phone", r#""15012345678""#), with(REPORT, "phone", "")])
        .collect();
    let order = |key: u8| {
        let mut order: Vec<usize> = (0..copies.len()).collect();
        order.sort_by_key(|copy| digest(&copies[*copy], key));
        order
    };
    for key in 1..20 {
        assert_eq!(order(key), order(0), "key {key}");
    }
    // What is hidden makes another copy all the same.
    for (field, other) in
        [("national_id", r#""440101199001011235""#), ("phone", r#""13987655678""#)]
    {
        assert_ne!(digest(&with(REPORT, field, other), 7), digest(REPORT, 7), "{field}");
    }
}

#[test]
fn cuts_do_not_matter() {
    let lines: Vec<String> = (0..40)
        .map(|i| match i % 5 {
            0 => PAYMENT.replace("p0000000001", &format!("p{i}")),
            1 => with(REPORT, "borrower_id", r#""""#),
            2 => with(REPORT, "fee", "1"),
            3 => "broken".into(),
            _ => with(REPORT, "lender_id", ""),
        })
        .collect();
    let rows = canonical("L9", &lines.join("\n"));
    let rules = Rules { keys: Some(keys()), ..Rules::default() };
    let whole = (VERB.open)(&rules, 3).step(&rows);
    for cut in [1, 3, 7, 16] {
        let mut operator = (VERB.open)(&rules, 3);
        let mut said: Vec<Vec<RecordBatch>> = vec![Vec::new(), Vec::new()];
        for start in (0..rows.num_rows()).step_by(cut) {
            let length = cut.min(rows.num_rows() - start);
            let step = operator.step(&rows.slice(start, length));
            said.iter_mut().zip(step).for_each(|(all, batch)| all.push(batch));
        }
        for (relation, batches) in said.iter().enumerate() {
            let joined = concat_batches(&batches[0].schema(), batches).unwrap();
            assert_eq!(joined, whole[relation], "cut by {cut}");
        }
    }
}

/// Whatever bytes come, each row is a fact or refused, and register takes what is said.
#[test]
fn mutated_records_are_facts_or_refused() {
    const BYTES: &[u8] = b"{}[]\",:\\0129.-+eEtfnZT \n\x00\x7f\xc3\xff";
    let mut seed = 0x5eed_u64;
    let mut next = |limit: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as usize % limit
    };
    let rules = Rules { keys: Some(keys()), ..Rules::default() };
    let (mut normalize, mut register) =
        ((VERB.open)(&rules, 3), (crate::register::VERB.open)(&rules, 3));
    let (mut facts_said, mut refused) = (0, 0);
    for _ in 0..2_000 {
        let mut payload = Vec::new();
        for _ in 0..10 {
            let mut line = [REPORT, PAYMENT][next(2)].as_bytes().to_vec();
            for _ in 0..next(3) {
                let at = next(line.len());
                line[at] = BYTES[next(BYTES.len())];
            }
            payload.extend_from_slice(&line);
            payload.push(b'\n');
        }
        let payload = Buffer::from(payload);
        let part = Part {
            seq: 1,
            shard: 3,
            lender: "L9",
            format: Format::Json,
            first_row: 0,
            payload: &payload,
        };
        let rows = decode(&part, &facts::CANONICAL).rows;
        let said = normalize.step(&rows);
        assert_eq!(said[0].num_rows() + said[1].num_rows(), rows.num_rows());
        facts_said += said[0].num_rows();
        refused += said[1].num_rows();
        register.step(&said[0]);
    }
    assert!(facts_said > 5_000, "{facts_said}");
    assert!(refused > 5_000, "{refused}");
}

/// Names the constants of the columns, which nothing else ties to the dialect.
#[test]
fn columns_stand_where_the_dialect_has_them() {
    use record::column::*;
    let named = [
        (EVENT_ID, "event_id"),
        (EVENT_TIME, "event_time"),
        (LENDER_ID, "lender_id"),
        (LOAN_ID, "loan_id"),
        (BORROWER_ID, "borrower_id"),
        (PRODUCT, "product"),
        (PROVINCE, "province"),
        (PRINCIPAL, "principal"),
        (PRINCIPAL + 1, "interest"),
        (PRINCIPAL + 2, "penalty"),
        (PRINCIPAL + 3, "fee"),
        (CURRENCY, "currency"),
        (DAYS_PAST_DUE, "days_past_due"),
        (ORIGINATION_DATE, "origination_date"),
        (DUE_DATE, "due_date"),
        (PHONE, "phone"),
        (NATIONAL_ID, "national_id"),
        (SCORE, "score"),
        (CONTACTABLE, "contactable"),
        (PAYMENT_ID, "payment_id"),
        (KIND, "kind"),
        (AMOUNT, "amount"),
        (PAID_AT, "paid_at"),
        (CHANNEL, "channel"),
        (REVERSES, "reverses"),
        (REASON, "reason"),
        (PAYER, "payer"),
        (AUTHORITY, "authority"),
        (INSTALMENTS, "instalments"),
    ];
    for (column, name) in named {
        assert_eq!(facts::CANONICAL[column], name);
    }
    assert_eq!(named.len(), facts::CANONICAL.len());
}

#[test]
fn a_record_no_message_could_hold_is_refused_and_stays_in_the_intake() {
    let rules = Rules { keys: Some(keys()), ..Rules::default() };
    let longest = REPORT.replace("B000000001", &"x".repeat(1_024));
    assert_eq!(normalize(&rules, "", &longest)[1].num_rows(), 0);
    for (length, sealed) in [(1_025, true), (100 << 10, true), (600 << 10, false)] {
        let payload = REPORT.replace("B000000001", &"x".repeat(length));
        let said = normalize(&rules, "", &payload);
        assert_eq!((said[0].num_rows(), said[1].num_rows()), (0, 1));
        assert_eq!(at(&said[1], "reason", 0), "too_large");
        assert_eq!(at(&said[1], "source", 0), "intake:41:0");
        let raw = said[1].column_by_name("raw").unwrap().as_binary::<i32>();
        assert_eq!(raw.is_valid(0), sealed);
    }
}
