//! Facts in, letters and refusals out.

use arrow::array::{Array, AsArray, RecordBatch, UInt64Array};
use arrow::buffer::Buffer;
use arrow::compute::concat_batches;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::util::display::array_value_to_string;

use super::VERB;
use crate::decode::{Format, Part, decode};
use crate::rules::{LoanKey, Rules};
use crate::{Operator, facts, normalize};

/// Facts of canonical lines.
fn given(lines: &[String]) -> RecordBatch {
    let payload = Buffer::from(lines.join("\n").as_bytes());
    let part = Part {
        seq: 5,
        shard: 0,
        lender: "",
        format: Format::Json,
        first_row: 0,
        payload: &payload,
    };
    let rows = decode(&part, &facts::CANONICAL).rows;
    let mut said = (normalize::VERB.open)(&Rules::default(), 0).step(&rows);
    assert_eq!(said[1].num_rows(), 0, "every line of these tests is sound");
    said.swap_remove(0)
}

fn report(id: &str, loan: &str, lender: &str, borrower: &str, principal: &str) -> String {
    format!(
        concat!(
            r#"{{"event_id":"{id}","event_time":"2026-03-01","lender_id":"{lender}","#,
            r#""loan_id":"{loan}","borrower_id":"{borrower}","principal":"{principal}","#,
            r#""interest":"0.00","penalty":"0.00","fee":"0.00","days_past_due":5,"#,
            r#""national_id":"N{borrower}"}}"#,
        ),
        borrower = borrower,
        id = id,
        lender = lender,
        loan = loan,
        principal = principal
    )
}

fn payment(id: &str, loan: &str, lender: &str, amount: &str) -> String {
    format!(
        concat!(
            r#"{{"payment_id":"{id}","loan_id":"{loan}","lender_id":"{lender}","#,
            r#""kind":"payment","amount":"{amount}","paid_at":"2026-03-02"}}"#,
        ),
        amount = amount,
        id = id,
        lender = lender,
        loan = loan
    )
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

fn shown(batch: &RecordBatch, columns: &[&str]) -> Vec<String> {
    let row = |row| columns.iter().map(|name| at(batch, name, row)).collect::<Vec<_>>().join(" ");
    (0..batch.num_rows()).map(row).collect()
}

/// Row, kind, id, lender, borrower of each letter.
fn letters(batch: &RecordBatch) -> Vec<String> {
    shown(batch, &["row", "kind", "id", "lender_id", "borrower_key"])
}

fn refused(batch: &RecordBatch) -> Vec<String> {
    shown(batch, &["row", "reason", "source", "lender_id"])
}

fn step(rules: &Rules, lines: &[String]) -> Vec<RecordBatch> {
    (VERB.open)(rules, 0).step(&given(lines))
}

#[test]
fn a_payment_learns_its_lender_and_borrower() {
    let lines = [report("e1", "A", "L1", "B1", "10.00"), payment("p1", "A", "", "1.00")];
    let said = step(&Rules::default(), &lines);
    assert_eq!(letters(&said[0]), ["0 report e1 L1 L1/B1", "1 payment p1 L1 L1/B1"]);
    let to = facts::shard("L1/B1", 8).to_string();
    assert_eq!(shown(&said[0], &["to_shard"]), [to.clone(), to]);
    assert_eq!(said[1].num_rows(), 0);
}

#[test]
fn the_borrower_is_fixed_by_the_first_report() {
    let lines = [
        report("e1", "A", "L1", "B1", "10.00"),
        report("e2", "A", "L1", "B2", "10.00"),
        report("e3", "C", "L1", "", "10.00"),
        report("e4", "D", "", "", "10.00"),
    ];
    let keys = shown(&step(&Rules::default(), &lines)[0], &["borrower_key"]);
    assert_eq!(keys, ["L1/B1", "L1/B1", "L1//C", "//D"]);
    let joined = Rules { person_joins: true, ..Rules::default() };
    let other = [report("e1", "A", "L1", "B1", "1.00"), report("e1", "C", "L2", "B1", "1.00")];
    let keys = shown(&step(&joined, &other)[0], &["borrower_key"]);
    assert_eq!(keys[0].len(), 16);
    assert_eq!(keys[0], keys[1]);
}

#[test]
fn the_same_id_again_counts_once() {
    let lines = [
        report("e1", "A", "L1", "B1", "10.00"),
        report("e1", "A", "L1", "B1", "10.00"),
        // The same ids, of another loan and of a movement.
        report("e1", "C", "L1", "B1", "10.00"),
        payment("e1", "A", "L1", "1.00"),
        payment("e1", "A", "L1", "1.00"),
    ];
    let said = step(&Rules::default(), &lines);
    assert_eq!(
        letters(&said[0]),
        ["0 report e1 L1 L1/B1", "2 report e1 L1 L1/B1", "3 payment e1 L1 L1/B1"]
    );
    assert_eq!(said[1].num_rows(), 0);
}

#[test]
fn of_two_that_differ_the_greater_digest_wins() {
    let first = payment("p1", "A", "", "1.00");
    let second = payment("p1", "A", "", "2.00").replace("03-02", "03-03");
    let known = report("e1", "A", "L1", "B1", "10.00");
    let digest =
        |line: &String| at(&given(std::slice::from_ref(line)), "digest", 0).parse::<u64>().unwrap();
    let (less, more) = match digest(&first) < digest(&second) {
        true => (first, second),
        false => (second, first),
    };
    let rising = step(&Rules::default(), &[known.clone(), less.clone(), more.clone()]);
    assert_eq!(rising[0].num_rows(), 3);
    assert_eq!(at(&rising[0], "replaces_at", 1), "-");
    assert_eq!(at(&rising[0], "replaces_at", 2), at(&rising[0], "at", 1));
    assert_eq!(refused(&rising[1]), ["2 conflict intake:5:1 L1"]);
    let falling = step(&Rules::default(), &[known, more, less]);
    assert_eq!(falling[0].num_rows(), 2);
    assert_eq!(refused(&falling[1]), ["2 conflict intake:5:2 L1"]);
}

#[test]
fn a_refused_copy_is_named_by_its_place_in_the_intake() {
    let lines: Vec<String> =
        ["1.00", "2.00"].iter().map(|amount| payment("p1", "A", "", amount)).collect();
    let facts = given(&lines);
    let mut columns = facts.columns().to_vec();
    columns[1] = std::sync::Arc::new(UInt64Array::from(vec![77, 78]));
    let facts = RecordBatch::try_new(facts.schema(), columns).unwrap();
    let said = (VERB.open)(&Rules::default(), 0).step(&facts);
    let place = shown(&said[1], &["seq", "source"]);
    assert!(place == ["78 intake:5:0"] || place == ["78 intake:5:1"], "{place:?}");
}

#[test]
fn what_another_lender_says_of_a_loan_is_refused() {
    let lines = [
        report("e1", "A", "L1", "B1", "10.00"),
        report("e2", "A", "L2", "B1", "10.00"),
        payment("p1", "A", "L2", "1.00"),
        payment("p1", "A", "L1", "1.00"),
    ];
    let said = step(&Rules::default(), &lines);
    assert_eq!(letters(&said[0]), ["0 report e1 L1 L1/B1", "3 payment p1 L1 L1/B1"]);
    assert_eq!(refused(&said[1]), ["1 foreign_loan intake:5:1 L2", "2 foreign_loan intake:5:2 L2"]);
    let own = Rules { loan_key: LoanKey::LenderLoan, ..Rules::default() };
    let said = step(&own, &lines);
    assert_eq!(
        letters(&said[0]),
        [
            "0 report e1 L1 L1/B1",
            "1 report e2 L2 L2/B1",
            "2 payment p1 L2 L2/B1",
            "3 payment p1 L1 L1/B1"
        ]
    );
}

#[test]
fn money_before_its_loan_waits_in_suspense() {
    let lines = [
        payment("p2", "A", "L2", "7.00"),
        payment("p1", "A", "", "1.00"),
        payment("p1", "A", "", "1.00"),
        payment("p3", "A", "L1", "3.00"),
        report("e1", "A", "L1", "B1", "10.00"),
        payment("p1", "A", "", "1.00"),
    ];
    let said = step(&Rules::default(), &lines);
    assert_eq!(
        letters(&said[0]),
        [
            "0 suspended p2 L2 -",
            "1 suspended p1 - -",
            "3 suspended p3 L1 -",
            "4 report e1 L1 L1/B1",
            "4 released p2 L2 -",
            "4 released p1 - -",
            "4 payment p1 L1 L1/B1",
            "4 released p3 L1 -",
            "4 payment p3 L1 L1/B1",
        ]
    );
    assert_eq!(refused(&said[1]), ["4 foreign_loan intake:5:0 L2"]);
    let suspense = facts::shard("A", 8).to_string();
    for row in [0, 1, 2, 4, 5, 7] {
        assert_eq!(at(&said[0], "to_shard", row), suspense);
    }
    assert_eq!(shown(&said[0], &["amount"])[4..], ["7.00", "1.00", "1.00", "3.00", "3.00"]);
}

#[test]
fn a_greater_copy_takes_the_place_of_one_in_suspense() {
    let amounts = ["1.00", "2.00", "3.00", "4.00", "5.00", "6.00"];
    let mut lines: Vec<String> =
        amounts.iter().map(|amount| payment("p1", "A", "", amount)).collect();
    lines.push(report("e1", "A", "L1", "B1", "10.00"));
    let said = step(&Rules::default(), &lines);
    let suspended = letters(&said[0]).iter().filter(|row| row.contains("suspended")).count();
    let released = letters(&said[0]).iter().filter(|row| row.contains("released")).count();
    let paid = letters(&said[0]).iter().filter(|row| row.contains(" payment ")).count();
    assert_eq!((released, paid), (suspended, 1));
    assert_eq!(said[1].num_rows(), 5, "all but one are refused");
}

#[test]
fn a_replaced_copy_does_not_stay_in_suspense() {
    // Both orders of two copies with one id, before and after their loan appears.
    let mut copies = [payment("p1", "A", "", "1.00"), payment("p1", "A", "", "2.00")];
    for _ in 0..2 {
        copies.reverse();
        let mut lines = copies.to_vec();
        lines.push(report("e1", "A", "L1", "B1", "10.00"));
        let said = step(&Rules::default(), &lines);
        let mut inside = 0_i64;
        let mut account = (crate::account::ACCOUNT.open)(&Rules::default(), 0);
        let booked = account.step(&said[0]).swap_remove(1);
        for row in 0..booked.num_rows() {
            inside += at(&booked, "suspense", row).replace('.', "").parse::<i64>().unwrap();
            let kind = at(&booked, "kind", row);
            assert!(kind != "suspended" || (100..=200).contains(&inside), "two copies: {inside}");
        }
        assert_eq!(inside, 0, "{:?}", letters(&said[0]));
    }
}

#[test]
fn a_refused_copy_that_names_no_lender_is_its_loans_lenders() {
    let amounts = ["1.00", "2.00", "3.00", "4.00"];
    let mut lines = vec![payment("p1", "A", "", "9.00"), payment("p1", "A", "L1", "8.00")];
    lines.push(report("e1", "A", "L1", "B1", "10.00"));
    lines.extend(amounts.iter().map(|amount| payment("p1", "A", "", amount)));
    let said = step(&Rules::default(), &lines);
    let lenders = shown(&said[1], &["reason", "lender_id"]);
    assert_eq!(lenders, vec!["conflict L1"; 5]);
}

#[test]
fn a_fact_of_another_kind_passes_to_this_shard() {
    let facts = given(&[report("e1", "A", "L1", "B1", "10.00")]);
    let mut columns = facts.columns().to_vec();
    columns[3] = std::sync::Arc::new(arrow::array::StringArray::from(vec!["curve"]));
    let facts = RecordBatch::try_new(facts.schema(), columns).unwrap();
    let said = (VERB.open)(&Rules::default(), 6).step(&facts);
    assert_eq!(shown(&said[0], &["kind", "to_shard", "borrower_key"]), ["curve 6 -"]);
}

fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// A stream in which everything happens: repeats, conflicts, foreigners, early money.
fn story(seed: &mut u64, length: usize) -> RecordBatch {
    let lines: Vec<String> = (0..length)
        .map(|_| {
            let loan = format!("A{}", next(seed) % 20);
            let lender = ["L1", "L1", "L1", "L2", ""][next(seed) as usize % 5];
            let id = format!("i{}", next(seed) % 8);
            let amount = format!("{}.00", 1 + next(seed) % 2);
            if next(seed).is_multiple_of(3) {
                report(&id, &loan, lender, "B", &amount)
            } else {
                payment(&id, &loan, lender, &amount)
            }
        })
        .collect();
    given(&lines)
}

fn awake(rules: &Rules, tables: Vec<RecordBatch>) -> Box<dyn Operator> {
    let mut operator = (VERB.open)(rules, 0);
    operator.load(tables).unwrap();
    operator
}

#[test]
fn neither_cuts_nor_snapshots_matter() {
    let mut seed = 4_711;
    for loan_key in [LoanKey::Loan, LoanKey::LenderLoan] {
        for _ in 0..12 {
            let rules = Rules { loan_key, ..Rules::default() };
            let facts = story(&mut seed, 400);
            let mut one = (VERB.open)(&rules, 0);
            let whole = one.step(&facts);
            let mut cut = (VERB.open)(&rules, 0);
            let mut said: Vec<Vec<RecordBatch>> = vec![Vec::new(), Vec::new()];
            let mut start = 0;
            while start < facts.num_rows() {
                let length = (1 + next(&mut seed) as usize % 40).min(facts.num_rows() - start);
                let step = cut.step(&facts.slice(start, length));
                said.iter_mut().zip(step).for_each(|(all, batch)| all.push(batch));
                start += length;
                if next(&mut seed).is_multiple_of(3) {
                    cut = awake(&rules, cut.save());
                }
            }
            for (relation, batches) in said.iter().enumerate() {
                let joined = concat_batches(&batches[0].schema(), batches).unwrap();
                assert_eq!(joined, whole[relation]);
            }
            assert_eq!(one.save(), cut.save());
            assert!(one.size() > 0);
        }
    }
}

#[test]
fn suspense_comes_out_even() {
    let mut seed = 99;
    for _ in 0..20 {
        let said = (VERB.open)(&Rules::default(), 0).step(&story(&mut seed, 300));
        // By loan, id and lender: what went in is what came out, and nothing twice.
        let mut inside = std::collections::BTreeMap::new();
        for row in 0..said[0].num_rows() {
            let key = ["loan_id", "id", "lender_id"].map(|name| at(&said[0], name, row));
            let amount = at(&said[0], "amount", row);
            match at(&said[0], "kind", row).as_str() {
                "suspended" => assert_eq!(inside.insert(key, amount), None),
                "released" => assert_eq!(inside.remove(&key), Some(amount)),
                _ => {}
            }
        }
    }
}

#[test]
fn a_snapshot_that_does_not_fit_is_named() {
    let saved = (VERB.open)(&Rules::default(), 0).save();
    for tables in [vec![], saved[..3].to_vec(), saved.iter().rev().cloned().collect()] {
        let mut fresh = (VERB.open)(&Rules::default(), 0);
        assert!(fresh.load(tables).unwrap_err().to_string().starts_with("snapshot of register: "));
    }
}
