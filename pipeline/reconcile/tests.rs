//! Reports read well, badly and not at all; our side from files and from a room.

use super::{Scope, booked, cents, from_files, from_room, money, query, read_report};

#[test]
fn a_report_is_read_line_by_line_and_every_bad_line_is_named() {
    let report = "\u{feff}date,payment_id, amount ,commission\n\
        2026-03-02,p1,60.00,12.00\n\
        2026-03-02,\"p,2\",40,8.5\n\
        2026-03-03,p3,9.999,1.80\n\
        2026-03-03,p4,9.00\n\
        \n\
        2026-03-03,,9.00,1.80\n\
        2026-03-04,p6,-1.00,many\n";
    let (entries, bad) = read_report("a.csv", report.as_bytes()).expect("a header");
    let read: Vec<_> = entries
        .iter()
        .map(|entry| (entry.movement_id.as_str(), entry.amount, entry.commission, entry.line))
        .collect();
    assert_eq!(read, [("p1", 6_000, 1_200, 2), ("p,2", 4_000, 850, 3)]);
    let bad: Vec<String> = bad.iter().map(ToString::to_string).collect();
    assert_eq!(
        bad,
        [
            "a.csv:4: amount \"9.999\": expected an amount such as 12.30",
            "a.csv:5: 3 values, expected 4 as in the header",
            "a.csv:7: movement_id \"\": expected a value",
            "a.csv:8: commission \"many\": expected an amount such as 12.30",
        ]
    );
    let missing = read_report("a.csv", b"movement_id,commission\n").expect_err("no amount");
    assert_eq!(missing.to_string(), "a.csv:1: column amount is missing");
}

#[test]
fn cents_are_read_and_written() {
    for (text, read) in [
        ("0.00", Some(0)),
        ("-12.3", Some(-1_230)),
        ("7", Some(700)),
        ("1.234", None),
        ("", None),
        ("-", None),
        ("1e3", None),
        (".5", None),
    ] {
        assert_eq!(cents(text), read, "{text}");
    }
    assert_eq!((money(-5), money(123_456)), ("-0.05".to_owned(), "1234.56".to_owned()));
}

#[test]
fn an_entry_belongs_to_the_movement_that_its_id_names() {
    let entry = booked("bank:77:p1:41:7:0", "agency_clearing", 100).expect("money");
    assert_eq!((entry.movement_id.as_str(), entry.amount), ("bank:77:p1", 100));
    let entry = booked("p1:41:7:3", "collection_cost", 20).expect("commission");
    assert_eq!((entry.amount, entry.commission), (0, 20));
    assert_eq!(booked("p1:41:7:1", "receivable_principal", -100), None);
    assert_eq!(booked("p1", "bank", 1), None);
}

#[test]
fn our_side_is_of_one_agency_and_some_days() {
    let folder = tempfile::tempdir().expect("a folder for a test");
    let ledger = "entry_id,loan_id,lender_id,agency_id,account,amount,currency,booked_on,cause\n\
        p1:1:0:0,N1,L1,A1,agency_clearing,10.00,CNY,2026-03-01,p1\n\
        p1:1:0:1,N1,L1,A1,collection_cost,2.00,CNY,2026-03-01,p1\n\
        p2:2:0:0,N1,L1,A2,bank,10.00,CNY,2026-03-01,p2\n\
        p3:3:0:0,N1,L1,A1,bank,10.00,CNY,2026-04-01,p3\n\
        R1:4:0:0,,L1,A1,bank,8.00,CNY,2026-03-01,R1\n";
    std::fs::write(folder.path().join("ledger.csv"), ledger).expect("a file for a test");
    let scope = |from: Option<&str>, to: Option<&str>| Scope {
        agency: "A1".into(),
        from: from.map(Into::into),
        to: to.map(Into::into),
    };
    let ids = |scope: &Scope| -> Vec<String> {
        let entries = from_files(folder.path(), scope).expect("a ledger");
        entries.into_iter().map(|entry| entry.movement_id).collect()
    };
    assert_eq!(ids(&scope(None, None)), ["p1", "p1", "p3"]);
    assert_eq!(ids(&scope(Some("2026-03-02"), None)), ["p3"]);
    assert_eq!(ids(&scope(None, Some("2026-03-31"))), ["p1", "p1"]);
    assert!(from_files(&folder.path().join("none"), &scope(None, None)).is_err());
}

#[test]
fn a_room_is_asked_for_the_same() {
    let scope = Scope { agency: "O'Neil".into(), from: Some("2026-03-01".into()), to: None };
    let query = query(&scope);
    assert!(query.ends_with("AND agency_id = 'O''Neil' AND booked_on >= DATE '2026-03-01'"));
    let row = |cells: [&str; 3]| cells.map(|cell| Some(cell.to_owned())).to_vec();
    let rows = [row(["p1:1:0:0", "bank", "10.00"]), vec![None, None, None]];
    let entries = from_room(&rows);
    assert_eq!((entries.len(), entries[0].amount), (1, 1_000));
}
