//! Letters in, rows out, as tables of text.

use arrow::csv::{ReaderBuilder, WriterBuilder};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, RecordBatch, TimestampMicrosecondArray, UInt32Array, UInt64Array, new_null_array,
};
use arrow::datatypes::{DataType, Schema, SchemaRef};

use super::ACCOUNT;
use crate::{Operator, Rules, facts};

/// A batch from lines of comma-separated values under a header; every other column is null, but
/// for the place in the log, which counts on from `first`.
pub(crate) fn read(schema: &SchemaRef, first: u64, text: &str) -> RecordBatch {
    let text: String = text.trim().lines().map(|line| line.trim().to_owned() + "\n").collect();
    let header = text.lines().next().unwrap().to_owned();
    let fields: Vec<_> = header
        .split(',')
        .map(|name| {
            let field = schema.field_with_name(name).unwrap().clone();
            // The reader knows no named zones; instants are UTC in any case.
            Arc::new(match field.data_type() {
                DataType::Timestamp(unit, _) => {
                    field.clone().with_data_type(DataType::Timestamp(*unit, None))
                }
                _ => field,
            })
        })
        .collect();
    let reader = ReaderBuilder::new(Arc::new(Schema::new(fields))).with_header(true);
    let given = reader.build(text.as_bytes()).unwrap().next().unwrap().unwrap();
    let rows = given.num_rows();
    let columns = schema.fields().iter().map(|field| {
        let name = field.name().as_str();
        let given = given.column_by_name(name).map(|column| {
            let instants = column.as_any().downcast_ref::<TimestampMicrosecondArray>();
            instants.map_or(column.clone(), |one| Arc::new(one.clone().with_timezone("UTC")))
        });
        given.unwrap_or_else(|| match name {
            "shard" | "row" | "line" => Arc::new(UInt32Array::from(vec![0; rows])) as ArrayRef,
            "seq" => Arc::new(UInt64Array::from_iter_values(first..first + rows as u64)),
            _ => new_null_array(field.data_type(), rows),
        })
    });
    RecordBatch::try_new(schema.clone(), columns.collect()).unwrap()
}

/// Some columns of a batch as comma-separated values.
pub(crate) fn show(rows: &RecordBatch, columns: &str) -> String {
    let picked: Vec<usize> =
        columns.split(',').map(|name| rows.schema().index_of(name).unwrap()).collect();
    let mut text = Vec::new();
    WriterBuilder::new()
        .with_header(false)
        .build(&mut text)
        .write(&rows.project(&picked).unwrap())
        .unwrap();
    String::from_utf8(text).unwrap()
}

pub(crate) fn lines(text: &str) -> String {
    text.trim().lines().map(|line| line.trim().to_owned() + "\n").collect()
}

fn account() -> Box<dyn Operator> {
    (ACCOUNT.open)(&Rules::default(), 0)
}

fn letters(text: &str) -> RecordBatch {
    read(&facts::letters(), 1, text)
}

const REPORT: &str = "
    kind,id,at,loan_id,lender_id,borrower_key,product,province,currency,\
    principal,interest,penalty,fee,days_past_due,amount,reverses,source
    report,e1,2026-03-01T00:00:00Z,N1,L7,b1,cash,44,CNY,100.00,20.00,5.00,1.00,47,,,";

const OWED: &str = "kind,cause,loan_id,principal,interest,penalty,fee,balance,days_past_due,bucket";
const BOOKED: &str =
    "kind,movement_id,correction,penalty,fee,interest,principal,over,before_report,suspense";

#[test]
fn a_payment_fills_penalty_fee_interest_principal() {
    let said = account().step(&letters(&format!(
        "{REPORT}
        payment,p1,2026-03-02T00:00:00Z,N1,,,,,,,,,,,10.00,,
        payment,p2,2026-03-03T00:00:00Z,N1,,,,,,,,,,,200.00,,
        payment,p0,2026-02-01T00:00:00Z,N1,,,,,,,,,,,9.00,,"
    )));
    assert_eq!(
        show(&said[0], OWED),
        lines(
            "report,e1,N1,100.00,20.00,5.00,1.00,126.00,47,31-60
            payment,p1,N1,100.00,16.00,0.00,0.00,116.00,47,31-60
            payment,p2,N1,0.00,0.00,0.00,0.00,0.00,47,31-60
            payment,p0,N1,0.00,0.00,0.00,0.00,0.00,47,31-60"
        )
    );
    assert_eq!(
        show(&said[1], BOOKED),
        lines(
            "payment,p1,false,5.00,1.00,4.00,0.00,0.00,0.00,0.00
            payment,p2,false,0.00,0.00,16.00,100.00,84.00,0.00,0.00
            payment,p0,false,0.00,0.00,0.00,0.00,0.00,9.00,0.00"
        )
    );
}

#[test]
fn late_money_and_reversals_correct_what_was_booked() {
    let said = account().step(&letters(&format!(
        "{REPORT}
        payment,p2,2026-03-03T00:00:00Z,N1,,,,,,,,,,,10.00,,
        payment,p1,2026-03-02T00:00:00Z,N1,,,,,,,,,,,6.00,,
        reversal,r1,2026-03-04T00:00:00Z,N1,,,,,,,,,,,-6.00,p1,
        report,e2,2026-03-05T00:00:00Z,N1,L7,b1,cash,44,CNY,100.00,15.00,0.00,0.00,51,,,
        reversal,r2,2026-03-06T00:00:00Z,N1,,,,,,,,,,,-10.00,p2,
        reversal,r3,2026-03-07T00:00:00Z,N1,,,,,,,,,,,-10.00,p2,file:7"
    )));
    assert_eq!(
        show(&said[1], BOOKED),
        lines(
            "payment,p2,false,5.00,1.00,4.00,0.00,0.00,0.00,0.00
            payment,p1,false,5.00,1.00,0.00,0.00,0.00,0.00,0.00
            payment,p2,true,-5.00,-1.00,6.00,0.00,0.00,0.00,0.00
            reversal,r1,false,0.00,0.00,-6.00,0.00,0.00,0.00,0.00
            reversal,r2,false,0.00,0.00,-10.00,0.00,0.00,0.00,0.00"
        )
    );
    assert_eq!(show(&said[2], "seq,reason,source"), "7,already_reversed,file:7\n");
    let last = show(&said[0], OWED).lines().last().unwrap().to_owned();
    assert_eq!(last, "reversal,r3,N1,100.00,25.00,0.00,0.00,125.00,51,31-60");
}

#[test]
fn a_reversal_may_come_before_its_payment() {
    let said = account().step(&letters(&format!(
        "{REPORT}
        reversal,r1,2026-03-04T00:00:00Z,N1,,,,,,,,,,,-6.00,p1,
        payment,p1,2026-03-02T00:00:00Z,N1,,,,,,,,,,,6.00,,"
    )));
    assert_eq!(
        show(&said[1], "seq,line,movement_id,undoes,correction,penalty,fee"),
        "3,0,p1,,false,5.00,1.00\n3,1,r1,1,false,-5.00,-1.00\n"
    );
}

#[test]
fn bad_money_is_refused_with_a_reason() {
    let mut account = account();
    account.hear("day", &read(&facts::ticks(), 1, "kind,number\nday,20518"));
    let said = account.step(&letters(&format!(
        "{REPORT}
        payment,p1,2026-03-02T00:00:00Z,N1,,,,,,,,,,,0.00,,f:1
        payment,p2,2026-03-02T00:00:00Z,N1,,,,,,,,,,,-1.00,,f:2
        payment,p3,2026-03-02T00:00:00Z,N1,,,,,EUR,,,,,,1.00,,f:3
        payment,p4,2027-09-02T00:00:00Z,N1,,,,,,,,,,,1.00,,f:4
        payment,p5,,N1,,,,,,,,,,,1.00,,f:5
        payment,p6,2026-03-02T00:00:00Z,N1,,,,,,,,,,,99999999999999.00,,f:6
        payment,,2026-03-02T00:00:00Z,N1,,,,,,,,,,,1.00,,f:7
        reversal,r1,2026-03-02T00:00:00Z,N1,,,,,,,,,,,-1.00,,f:8
        reversal,r2,2026-03-02T00:00:00Z,N1,,,,,,,,,,,1.00,p9,f:9
        report,,2026-03-02T00:00:00Z,N1,,,,,,,,,,,,,f:10
        payment,p7,2026-03-02T00:00:00Z,,,,,,,,,,,,1.00,,f:11"
    )));
    assert_eq!(said[1].num_rows(), 0);
    assert_eq!(
        show(&said[2], "reason,source"),
        lines(
            "zero_amount,f:1
            negative_amount,f:2
            wrong_currency,f:3
            future_dated,f:4
            missing_paid_at,f:5
            bad_amount,f:6
            missing_payment_id,f:7
            missing_reverses,f:8
            reversal_amount,f:9
            missing_event_id,f:10
            missing_loan_id,f:11"
        )
    );
}

#[test]
fn money_of_an_unknown_loan_waits_in_suspense() {
    let said = account().step(&letters(
        "kind,id,at,loan_id,lender_id,amount
        suspended,p1,2026-03-02T00:00:00Z,N1,L7,10.00
        released,p1,2026-03-02T00:00:00Z,N1,L7,10.00",
    ));
    assert_eq!(said[0].num_rows(), 0);
    assert_eq!(
        show(&said[1], BOOKED),
        "suspended,p1,false,0.00,0.00,0.00,0.00,0.00,0.00,10.00\n\
         released,p1,false,0.00,0.00,0.00,0.00,0.00,0.00,-10.00\n"
    );
}

#[test]
fn reference_facts_touch_the_loans_they_reprice() {
    let mut account = account();
    account.step(&letters(
        "kind,id,at,loan_id,product,province,days_past_due
        report,e1,2026-03-01T00:00:00Z,N1,cash,44,47
        report,e2,2026-03-01T00:00:00Z,N2,cash,31,10
        report,e3,2026-03-02T00:00:00Z,N3,car,44,60",
    ));
    let mut hear = |name: &str, schema: SchemaRef, text: &str| {
        account.hear(name, &read(&schema, 1, text));
        let said = account.step(&letters(&format!("kind\n{name}")));
        show(&said[0], "kind,cause,loan_id,days_past_due,bucket")
    };
    let curve = "version,product,bucket,recovery_rate,handling_cost";
    let first = format!("{curve}\n1,cash,31-60,0.1,5.00\n1,car,31-60,0.1,5.00");
    assert_eq!(
        hear("curve", facts::curve(), &first),
        "curve,curve,,,\ntouched,curve,N1,47,31-60\ntouched,curve,N3,60,31-60\n"
    );
    // The same rates again touch nothing; one that changed and one that went away do.
    assert_eq!(hear("curve", facts::curve(), &first), "curve,curve,,,\n");
    let second = format!("{curve}\n2,cash,1-30,0.2,5.00\n2,car,31-60,0.1,5.00");
    assert_eq!(
        hear("curve", facts::curve(), &second),
        "curve,curve,,,\ntouched,curve,N1,47,31-60\ntouched,curve,N2,10,1-30\n"
    );
    assert_eq!(
        hear("market", facts::market(), "version,province,product,idx\n1,44,cash,1.1"),
        "market,market,,,\ntouched,market,N1,47,31-60\n"
    );
    // The day after: 2026-03-03 is day 20515. A day that has passed does not come back.
    let day = "kind,number\nday,20515";
    assert_eq!(
        hear("day", facts::ticks(), day),
        "day,day,,,\ntouched,day,N1,49,31-60\ntouched,day,N2,12,1-30\ntouched,day,N3,61,61-90\n"
    );
    assert_eq!(hear("day", facts::ticks(), day), "day,day,,,\n");
    assert_eq!(hear("round", facts::ticks(), "kind,number\nround,3"), "round,round,,,\n");
}

#[test]
fn touched_loans_have_places_of_their_own() {
    let mut account = account();
    account.step(&letters(
        "kind,id,at,loan_id,product,province,days_past_due
        report,e1,2026-03-01T00:00:00Z,N1,cash,44,47
        report,e2,2026-03-01T00:00:00Z,N2,cash,44,47",
    ));
    account.step(&letters("kind,id,at,loan_id,amount\nsuspended,p1,2026-03-02T00:00:00Z,N9,1.00"));
    account.hear("day", &read(&facts::ticks(), 1, "kind,number\nday,20515"));
    let said = account.step(&read(&facts::letters(), 9, "kind\nday"));
    assert_eq!(
        show(&said[0], "shard,seq,row,kind,loan_id"),
        "0,9,0,day,\n0,9,1,touched,N1\n0,9,2,touched,N2\n"
    );
}

#[test]
fn nulls_everywhere_are_no_accident() {
    let kinds = ["report", "payment", "reversal", "suspended", "released", "curve", "person_link"];
    let fields = "id,at,loan_id,amount,reverses,replaces_at";
    let values = ["x", "2026-03-02T00:00:00Z", "N1", "1.00", "x", "2026-03-02T00:00:00Z"];
    let mut text = format!("kind,{fields}\n");
    for mask in 0..64 {
        for kind in kinds {
            text.push_str(kind);
            for (i, value) in values.iter().enumerate() {
                text.push(',');
                text.push_str(if mask >> i & 1 == 1 { value } else { "" });
            }
            text.push('\n');
        }
    }
    let rows = letters(&text);
    let mut account = account();
    let said = account.step(&rows);
    assert_eq!(said.len(), ACCOUNT.says.len());
    let null = letters("kind,id\n,");
    assert_eq!(account.step(&null)[0].num_rows(), 1);
    let saved = account.save();
    let mut again = self::account();
    again.load(saved.clone()).unwrap();
    assert_eq!(again.save(), saved);
}

#[test]
fn a_snapshot_that_does_not_fit_is_named() {
    let mut saved = account().save();
    saved.pop();
    let error = account().load(saved).unwrap_err().to_string();
    assert_eq!(error, "snapshot of account: 7 tables instead of 8");
}
