//! Bookings in, books out, as tables of text.

use super::SETTLE;
use crate::account::tests::{lines, read, show};
use crate::{Operator, Rules, facts};

fn settle() -> Box<dyn Operator> {
    (SETTLE.open)(&Rules::default(), 0)
}

const HEAD: &str = "seq,kind,movement_id,loan_id,lender_id,currency,paid_at,channel,correction,\
    penalty,interest,principal,over,suspense,number,undoes,booked,agency_id,commission_rate";

fn step(settle: &mut Box<dyn Operator>, text: &str) -> [String; 2] {
    let said = settle.step(&read(&facts::attributed(), 1, &format!("{HEAD}\n{}", text.trim())));
    [
        show(&said[0], "entry_id,agency_id,account,amount,booked_on,cause"),
        show(&said[1], "kind,agency_id,day,count,collected,over,commission"),
    ]
}

#[test]
fn a_reversal_claws_back_at_the_rate_of_its_payment() {
    let mut settle = settle();
    let [ledger, changes] = step(
        &mut settle,
        "
        7,payment,p1,N1,L1,CNY,2026-03-02,agency,false,0.00,3.00,7.05,1.00,,0,,0.00,A1,0.25
        8,reversal,r1,N1,L1,CNY,2026-03-03,agency,false,0.00,-3.00,-7.05,-1.00,,1,0,0.00,A2,0.4",
    );
    assert_eq!(
        ledger,
        lines(
            "p1:7:0:0,A1,agency_clearing,11.05,2026-03-02,p1
            p1:7:0:1,A1,receivable_interest,-3.00,2026-03-02,p1
            p1:7:0:2,A1,receivable_principal,-7.05,2026-03-02,p1
            p1:7:0:3,A1,borrower_credit,-1.00,2026-03-02,p1
            p1:7:0:4,A1,collection_cost,2.51,2026-03-02,p1
            p1:7:0:5,A1,agency_payable,-2.51,2026-03-02,p1
            r1:8:0:0,A1,agency_clearing,-11.05,2026-03-03,r1
            r1:8:0:1,A1,receivable_interest,3.00,2026-03-03,r1
            r1:8:0:2,A1,receivable_principal,7.05,2026-03-03,r1
            r1:8:0:3,A1,borrower_credit,1.00,2026-03-03,r1
            r1:8:0:4,A1,collection_cost,-2.51,2026-03-03,r1
            r1:8:0:5,A1,agency_payable,2.51,2026-03-03,r1"
        )
    );
    assert_eq!(
        changes,
        lines(
            "payment,A1,2026-03-02,1,10.05,1.00,2.51
            reversal,A1,2026-03-03,1,-10.05,-1.00,-2.51"
        )
    );
}

#[test]
fn a_correction_books_the_difference_of_two_rounded_totals() {
    let mut settle = settle();
    // 0.10 at 25 % is 0.025: half a cent away from zero is 0.03. All 0.12 are 0.03 as well.
    step(
        &mut settle,
        "7,payment,p1,N1,L1,CNY,2026-03-02,,false,0.00,0.10,0.00,0.02,,0,,0.00,A1,0.25",
    );
    let row = "8,payment,p1,N1,L1,CNY,2026-03-02,,true,0.02,0.00,0.00,-0.02,,0,,0.10,A2,0.9";
    let [ledger, changes] = step(&mut settle, row);
    assert_eq!(
        ledger,
        lines(
            "p1:8:0:0,A1,receivable_penalty,-0.02,2026-03-02,p1:correction
            p1:8:0:1,A1,borrower_credit,0.02,2026-03-02,p1:correction"
        )
    );
    assert_eq!(changes, "payment,A1,2026-03-02,0,0.02,-0.02,0.00\n");
}

#[test]
fn what_concerns_a_closed_day_falls_on_the_first_open_one() {
    let mut settle = settle();
    let row = "7,payment,p1,N1,L1,CNY,2026-03-02,,false,0.00,0.00,5.00,0.00,,0,,0.00,,";
    let day = |number: i32| read(&facts::ticks(), 1, &format!("kind,number\nday,{number}"));
    // 2026-03-02 is day 20514; the tick of day 20516 leaves it open, that of 20517 closes it.
    settle.hear("day", &day(20_516));
    assert_eq!(step(&mut settle, row)[1], "payment,,2026-03-02,1,5.00,0.00,0.00\n");
    settle.hear("day", &day(20_517));
    assert_eq!(step(&mut settle, row)[1], "payment,,2026-03-03,1,5.00,0.00,0.00\n");
}

#[test]
fn a_contract_names_its_rounding_and_a_deal_keeps_it() {
    let mut settle = settle();
    let contracts = |rounding: &str| {
        let text = format!(
            "version,contract_id,lender_id,agency_id,valid_from,valid_to,rounding\n\
             1,C7,L1,A1,2026-01-01,2026-12-31,{rounding}"
        );
        read(&facts::contracts(), 1, &text)
    };
    settle.hear("contracts", &contracts("half_even"));
    // 2.50 at 5 % is 0.125: 0.12 to the even cent.
    let row = |seq, id, number, undoes, sign: &str| {
        format!(
            "{seq},payment,{id},N1,L1,CNY,2026-03-02,,false,0.00,0.00,{sign}2.50,0.00,,\
             {number},{undoes},0.00,A1,0.05"
        )
    };
    let commission = |changes: String| changes.trim().rsplit(',').next().unwrap().to_owned();
    let mut book = |row: &str| commission(step(&mut settle, row)[1].clone());
    assert_eq!(book(&row(7, "p1", 0, "", "")), "0.12");
    settle.hear("contracts", &read(&facts::contracts(), 1, "version,contract_id\n2,none"));
    let said = settle_rules(&mut settle, &row(8, "p2", 1, "", ""));
    assert_eq!(said, "collection_cost,0.13,default,0.050000 half_away\n");
    let said = settle_rules(&mut settle, &row(9, "r2", 2, "0", "-"));
    assert_eq!(said, "collection_cost,-0.12,C7@1,0.050000 half_even\n");
}

/// The cost lines of one row, with contract and rule.
fn settle_rules(settle: &mut Box<dyn Operator>, row: &str) -> String {
    let said = settle.step(&read(&facts::attributed(), 1, &format!("{HEAD}\n{row}")));
    let shown = show(&said[0], "account,amount,contract,rule");
    let cost = shown.lines().filter(|line| line.starts_with("collection_cost"));
    cost.map(|line| line.to_owned() + "\n").collect()
}

#[test]
fn suspense_is_in_the_books_and_on_no_statement() {
    let [ledger, changes] = step(
        &mut settle(),
        "7,suspended,p1,N1,L1,,2026-03-02,bank,false,0.00,0.00,0.00,0.00,5.00,,,0.00,,",
    );
    assert_eq!(
        ledger,
        lines(
            "p1:7:0:0,,bank,5.00,2026-03-02,p1:suspended
            p1:7:0:1,,suspense,-5.00,2026-03-02,p1:suspended"
        )
    );
    assert_eq!(changes, "");
}

#[test]
fn rows_of_one_step_are_settled_in_log_order() {
    let mut settle = settle();
    let [_, changes] = step(
        &mut settle,
        "
        8,reversal,r1,N1,L1,CNY,2026-03-03,,false,0.00,0.00,-5.00,0.00,,1,0,0.00,A2,0.4
        7,payment,p1,N1,L1,CNY,2026-03-02,,false,0.00,0.00,5.00,0.00,,0,,0.00,A1,0.2",
    );
    assert_eq!(
        changes,
        "payment,A1,2026-03-02,1,5.00,0.00,1.00\nreversal,A1,2026-03-03,1,-5.00,0.00,-1.00\n"
    );
}

#[test]
fn nulls_and_numbers_out_of_turn_are_no_accident() {
    let mut settle = settle();
    let nulls =
        read(&facts::attributed(), 1, "kind,number,undoes\n,,\npayment,4000000000,17\n,3,9");
    assert_eq!(settle.step(&nulls).len(), SETTLE.says.len());
    let saved = settle.save();
    let mut again = self::settle();
    again.load(saved.clone()).unwrap();
    assert_eq!(again.save(), saved);
    assert!(again.load(Vec::new()).is_err());
}

const PLACED: &str = "seq,kind,movement_id,loan_id,lender_id,paid_at,channel,line,\
    principal,number,agency_id,placement,commission_rate";

/// Who gets the money of N1: placed with A1 from the 2nd to the 5th, with A2 from the 10th.
fn attributed(contract: &str, paid_on: &str) -> String {
    let mut settle = settle();
    let columns = "version,lender_id,agency_id,attribution,tail_days";
    let contracts = format!("{columns}\n1,L1,A1,{contract}\n1,L1,A2,{contract}");
    settle.hear("contracts", &read(&facts::contracts(), 1, &contracts));
    let rows = format!(
        "{PLACED}
        1,placement,,N1,L1,2026-03-02,placed,,,,A1,1,0.2
        2,placement,,N1,L1,2026-03-05,recalled,,,,A1,1,0.2
        3,placement,,N1,L1,2026-03-10,placed,,,,A2,2,0.3
        4,payment,p1,N1,L1,{paid_on},bank,0,10.00,0,A2,2,0.3"
    );
    let said = settle.step(&read(&facts::attributed(), 1, &rows));
    let saved = settle.save();
    let mut again = self::settle();
    again.load(saved.clone()).unwrap();
    assert_eq!(again.save(), saved);
    show(&said[1], "agency_id,commission").trim().to_owned()
}

#[test]
fn a_contract_may_attribute_by_the_day_of_payment() {
    for (contract, paid_on, expected) in [
        ("log,", "2026-03-03", "A2,3.00"),
        ("paid_at,", "2026-03-03", "A1,2.00"),
        // Before the first placement, and between two: the first after it.
        ("paid_at,", "2026-03-01", "A1,2.00"),
        ("paid_at,", "2026-03-07", "A2,3.00"),
        ("paid_at,", "2026-03-12", "A2,3.00"),
    ] {
        assert_eq!(attributed(contract, paid_on), expected, "{contract} {paid_on}");
    }
}

#[test]
fn after_the_tail_of_a_recall_money_counts_for_nobody() {
    for (tail, paid_on, expected) in [
        ("", "2026-05-01", "A1,2.00"),
        ("30", "2026-04-04", "A1,2.00"),
        ("30", "2026-04-05", ",0.00"),
    ] {
        let mut settle = settle();
        let contracts = format!("version,lender_id,agency_id,tail_days\n1,L1,A1,{tail}");
        settle.hear("contracts", &read(&facts::contracts(), 1, &contracts));
        let rows = format!(
            "{PLACED}
            1,placement,,N1,L1,2026-03-02,placed,,,,A1,1,0.2
            2,placement,,N1,L1,2026-03-05,recalled,,,,A1,1,0.2
            3,payment,p1,N1,L1,{paid_on},bank,0,10.00,0,A1,1,0.2"
        );
        let said = settle.step(&read(&facts::attributed(), 1, &rows));
        assert_eq!(show(&said[1], "agency_id,commission").trim(), expected, "{tail} {paid_on}");
    }
}

/// The commission of some payments on N1 under a contract, line by line.
fn commissions(columns: &str, contract: &str, rows: &str) -> String {
    let mut settle = settle();
    let contracts = format!("version,contract_id,lender_id,agency_id,{columns}\n{contract}");
    settle.hear("contracts", &read(&facts::contracts(), 1, &contracts));
    settle.hear("desks", &read(&facts::desks(), 1, "version,desk_id,channel\n1,D2,legal"));
    let head = "kind,movement_id,loan_id,lender_id,currency,paid_at,channel,line,principal,number,\
        undoes,agency_id,desk_id,placement,commission_rate,days_past_due,balance";
    let said = settle.step(&read(&facts::attributed(), 1, &format!("{head}\n{}", rows.trim())));
    let saved = settle.save();
    let mut again = self::settle();
    again.load(saved.clone()).unwrap();
    assert_eq!(again.save(), saved);
    show(&said[1], "commission,vat").replace('\n', " ").trim().to_owned()
}

#[test]
fn tiers_look_at_the_loan_as_it_was_paid_or_as_it_was_placed() {
    let rows = "
        placement,,N1,L1,,2026-03-02,placed,,,,,A1,D1,1,0.2,45,900.00
        payment,p1,N1,L1,CNY,2026-03-20,bank,0,10.00,0,,A1,D1,1,0.2,63,700.00
        payment,p2,N1,L1,CNY,2026-09-20,bank,0,10.00,1,,A1,D1,1,0.2,250,90.00
        reversal,r1,N1,L1,CNY,2026-09-21,bank,0,-10.00,2,0,A1,D1,1,0.2,251,80.00";
    for (terms, expected) in [
        ("60:0.1|120:0.2|:0.3,days_past_due,payment,,", "2.00,0.00 3.00,0.00 -2.00,0.00"),
        ("60:0.1|120:0.2|:0.3,,placement,,", "1.00,0.00 1.00,0.00 -1.00,0.00"),
        ("100:0.4|:0.25,balance,,,", "2.50,0.00 4.00,0.00 -2.50,0.00"),
        ("100:0.4|:0.25,balance,placement,,0.06", "2.50,0.15 2.50,0.15 -2.50,-0.15"),
        (",,,0.05,", "2.00,0.00 2.00,0.00 -2.00,0.00"),
    ] {
        let columns = "tiers,tiers_by,tiers_at,litigation_rate,vat_rate";
        let contract = format!("1,C1,L1,A1,{terms}");
        assert_eq!(commissions(columns, &contract, rows), expected, "{terms}");
    }
    // The same with a desk that goes to court.
    let legal = rows.replace("D1", "D2");
    let found = commissions("litigation_rate", "1,C1,L1,A1,0.05", &legal);
    assert_eq!(found, "2.50,0.00 2.50,0.00 -2.50,0.00");
}

#[test]
fn a_contract_bounds_commission_and_may_round_the_sum_of_a_day() {
    let rows = "
        payment,p1,N1,L1,CNY,2026-03-20,bank,0,2.50,0,,A1,D1,1,0.05,63,700.00
        payment,p2,N1,L1,CNY,2026-03-20,bank,0,2.50,1,,A1,D1,1,0.05,63,700.00
        payment,p3,N1,L1,CNY,2026-03-21,bank,0,90.00,2,,A1,D1,1,0.05,63,700.00
        reversal,r1,N1,L1,CNY,2026-03-22,bank,0,-2.50,3,0,A1,D1,1,0.05,63,700.00";
    for (terms, expected) in [
        ("line,,", "0.13,0.00 0.13,0.00 4.50,0.00 -0.13,0.00"),
        ("sum,,", "0.13,0.00 0.12,0.00 4.50,0.00 -0.13,0.00"),
        ("line,1.00,3.00", "1.00,0.00 1.00,0.00 3.00,0.00 -1.00,0.00"),
    ] {
        let columns = "rounding_of,commission_min,commission_max";
        let contract = format!("1,C1,L1,A1,{terms}");
        assert_eq!(commissions(columns, &contract, rows), expected, "{terms}");
    }
}
