//! Money through the whole program: what is refused and why, whom late money counts for, and what
//! every ledger line names.

use datafusion::arrow::util::display::array_value_to_string;
use recoup::batch::Batch;
use recoup::decoder::Decoder;
use recoup::log::Outgoing;
use recoup::post::parse_reference;
use recoup_operators::Rules;
use recoup_sql::shipped;

const CURVE: &str = "product,bucket,recovery_rate,handling_cost\n\
    cash,31-60,0.5000,10.00\ncash,61-90,0.5000,10.00\ncash,91-180,0.5000,10.00\n";
const MARKET: &str = "province,product,idx\n44,cash,1.0000\n";
const AGENCIES: &str = "agency_id,provinces,products,bucket_min,bucket_max,unit_cost,capacity,\
    commission_by_bucket,perf_by_bucket\n\
    A1,,cash,1-30,361+,0.00,,0.1|0.1|0.1|0.1|0.1|0.1|0.1,1|1|1|1|1|1|1\n";

/// The program with some reference tables.
pub(super) fn open(tables: &[(&str, &str)]) -> Batch {
    let rules = Rules { shards: 1, ..Rules::default() };
    let mut batch = Batch::open(&rules, &shipped(), Decoder::default()).expect("it compiles");
    for (name, text) in [("curve", CURVE), ("market", MARKET)].iter().chain(tables) {
        let reference = parse_reference(name, name, text.as_bytes()).expect("it fits");
        batch.post(name, &reference.batch).expect("it is heard");
    }
    batch
}

/// Publishes lines as one file.
pub(super) fn publish(batch: &mut Batch, file: &str, lines: &str) {
    let lines: String = lines.trim().lines().map(|line| line.trim().to_owned() + "\n").collect();
    let count = lines.lines().count();
    let message = Outgoing {
        subject: "intake.-.file.0".into(),
        payload: lines.into_bytes().into(),
        headers: vec![("Recoup-Row".into(), "1".into())],
        ..Outgoing::default()
    };
    batch.publish(message, file, count).expect("it is read");
    batch.settle().expect("it settles");
}

/// Some columns of a relation, a line for each row.
pub(super) fn table(batch: &Batch, relation: &str, columns: &[&str]) -> Vec<String> {
    let Some(found) = batch.relations.snapshot(relation) else { return vec![] };
    let mut lines = vec![];
    for rows in found.batches() {
        for row in 0..rows.num_rows() {
            let cell = |name: &&str| {
                let column = rows.column_by_name(name).unwrap_or_else(|| panic!("no {name}"));
                array_value_to_string(column, row).expect("it shows")
            };
            lines.push(columns.iter().map(cell).collect::<Vec<_>>().join(","));
        }
    }
    lines.sort();
    lines
}

fn report(lender: &str, loan: &str, at: &str, currency: &str) -> String {
    format!(
        "{{\"event_id\":\"e-{loan}-{at}\",\"event_time\":\"{at}\",\"lender_id\":\"{lender}\",\
         \"loan_id\":\"{loan}\",\"borrower_id\":\"B{loan}\",\"product\":\"cash\",\
         \"province\":\"44\",\"principal\":\"1000.00\",\"interest\":\"0.00\",\
         \"penalty\":\"0.00\",\"fee\":\"0.00\",\"currency\":\"{currency}\",\
         \"days_past_due\":47,\"score\":600}}"
    )
}

fn movement(id: &str, loan: &str, kind: &str, amount: &str, at: &str, more: &str) -> String {
    format!(
        "{{\"payment_id\":\"{id}\",\"loan_id\":\"{loan}\",\"kind\":\"{kind}\",\
         \"amount\":\"{amount}\",\"paid_at\":\"{at}\"{more}}}"
    )
}

#[test]
fn money_that_cannot_be_right_is_refused_with_its_reason_and_kept() {
    let mut batch =
        open(&[("agencies", AGENCIES), ("authorities", "authority_id,waiver_max\nlead,200.00\n")]);
    let on = "2026-03-02T00:00:00Z";
    let pay = |id: &str, amount: &str, more: &str| movement(id, "N1", "payment", amount, on, more);
    let back = r#","reverses":"p0""#;
    publish(
        &mut batch,
        "march.jsonl",
        &[
            report("L1", "N1", "2026-03-01T00:00:00Z", "CNY"),
            report("L1", "J1", "2026-03-01T00:00:00Z", "JPY"),
            pay("p0", "10.00", ""),
            pay("p1", "10.00", r#","currency":"EUR""#),
            pay("p2", "10.001", ""),
            pay("p3", "0.00", ""),
            pay("p4", "12345678901234.00", ""),
            movement("p5", "J1", "payment", "10.50", on, ""),
            movement("p6", "J1", "payment", "10.00", on, ""),
            movement("r0", "N1", "reversal", "-10.00", on, back),
            movement("r1", "N1", "reversal", "-10.00", on, back),
            movement("r2", "N1", "reversal", "-7.00", on, r#","reverses":"nobody""#),
            movement("w1", "N1", "waiver", "200.01", on, r#","authority":"lead""#),
            movement("w2", "N1", "waiver", "1.00", on, ""),
            movement("y1", "N1", "payoff", "1.00", on, ""),
            movement("c1", "N1", "chargeback", "-1.00", on, ""),
        ]
        .join("\n"),
    );
    assert_eq!(
        table(&batch, "refused", &["reason", "source"]),
        [
            "already_reversed,march.jsonl:11",
            "bad_decimal,march.jsonl:5",
            "bad_decimal,march.jsonl:7",
            "beyond_authority:lead:200.00,march.jsonl:13",
            "missing_authority,march.jsonl:14",
            "missing_payer,march.jsonl:15",
            "missing_reverses,march.jsonl:16",
            "too_many_decimals,march.jsonl:8",
            "wrong_currency,march.jsonl:4",
            "wrong_sign,march.jsonl:6",
        ]
    );
    // The reversal of a payment that nobody has seen waits: it is neither booked nor refused.
    let booked = table(&batch, "ledger", &["cause"]);
    assert!(!booked.iter().any(|cause| cause.starts_with("r2")), "{booked:?}");
    publish(&mut batch, "april.jsonl", &movement("nobody", "N1", "payment", "7.00", on, ""));
    let booked = table(&batch, "ledger", &["cause"]);
    assert!(booked.iter().any(|cause| cause.starts_with("r2")), "{booked:?}");
    // Where days pass, money from beyond any calendar is refused too.
    batch.until(20_520).expect("days pass");
    let far = movement("p9", "N1", "payment", "1.00", "2028-03-02T00:00:00Z", "");
    publish(&mut batch, "may.jsonl", &far);
    let refused = table(&batch, "refused", &["reason", "source"]);
    assert!(refused.contains(&"future_dated,may.jsonl:1".to_owned()), "{refused:?}");
}

/// Who got the money of N1 that is read after A1 lost it on 2026-03-08, by agency and commission.
fn after_a_recall(attribution: &str, tail: &str, paid_at: &str) -> Vec<String> {
    let desks = "desk_id,agency_id,bucket_min,bucket_max,unit_cost,days_max,\
        commission_by_bucket,perf_by_bucket\n\
        D1,A1,1-30,361+,0.00,7,0.1|0.1|0.1|0.1|0.1|0.1|0.1,1|1|1|1|1|1|1\n\
        D2,A2,1-30,361+,0.00,,0.4|0.4|0.4|0.4|0.4|0.4|0.4,1|1|1|1|1|1|1\n";
    let agencies =
        format!("{AGENCIES}A2,,cash,1-30,361+,0.00,,0.4|0.4|0.4|0.4|0.4|0.4|0.4,1|1|1|1|1|1|1\n");
    let contracts = format!(
        "contract_id,lender_id,agency_id,attribution,tail_days\n\
         C1,L1,A1,{attribution},{tail}\nC2,L1,A2,{attribution},{tail}\n"
    );
    let mut batch = open(&[("agencies", &agencies), ("desks", desks), ("contracts", &contracts)]);
    publish(&mut batch, "one.jsonl", &report("L1", "N1", "2026-03-01T00:00:00Z", "CNY"));
    // 2026-03-12: A1's seven days are over, and A2 has it.
    batch.until(20_524).expect("days pass");
    publish(&mut batch, "two.jsonl", &movement("p1", "N1", "payment", "100.00", paid_at, ""));
    let lines = table(&batch, "statements", &["agency_id", "collected", "commission"]);
    lines.into_iter().filter(|line| !line.contains(",0.00,0.00")).collect()
}

#[test]
fn late_money_counts_for_whom_the_contract_says() {
    for (attribution, tail, paid_at, expected) in [
        ("log", "", "2026-03-04T00:00:00Z", "A2,100.00,40.00"),
        ("paid_at", "", "2026-03-04T00:00:00Z", "A1,100.00,10.00"),
        ("paid_at", "", "2026-03-10T00:00:00Z", "A2,100.00,40.00"),
        ("paid_at", "", "2026-02-20T00:00:00Z", ""),
    ] {
        let found = after_a_recall(attribution, tail, paid_at);
        assert_eq!(found.join(" "), expected, "{attribution} {paid_at}");
    }
}

/// N1 is with A1 for seven days and with nobody after them; who gets what is paid later.
fn tail(days: &str, paid_at: &str) -> Vec<String> {
    let desks = "desk_id,agency_id,bucket_min,bucket_max,unit_cost,days_max,\
        commission_by_bucket,perf_by_bucket\n\
        D1,A1,1-30,361+,0.00,7,0.1|0.1|0.1|0.1|0.1|0.1|0.1,1|1|1|1|1|1|1\n";
    let contracts = format!("contract_id,lender_id,agency_id,tail_days\nC1,L1,A1,{days}\n");
    let mut batch = open(&[("agencies", AGENCIES), ("desks", desks), ("contracts", &contracts)]);
    publish(&mut batch, "one.jsonl", &report("L1", "N1", "2026-03-01T00:00:00Z", "CNY"));
    batch.until(20_524).expect("days pass");
    publish(&mut batch, "two.jsonl", &movement("p1", "N1", "payment", "100.00", paid_at, ""));
    table(&batch, "statements", &["agency_id", "collected", "commission"])
}

#[test]
fn money_after_a_placement_counts_until_its_tail_is_over() {
    // A1's seven days are over on 2026-03-08.
    assert_eq!(tail("", "2026-06-01T00:00:00Z"), ["A1,100.00,10.00"]);
    assert_eq!(tail("10", "2026-03-18T12:00:00Z"), ["A1,100.00,10.00"]);
    assert_eq!(tail("10", "2026-03-19T00:00:00Z"), [",100.00,0.00"]);
}

#[test]
fn every_ledger_line_names_its_event_contract_and_rule() {
    let contracts = "contract_id,lender_id,agency_id,tiers,vat_rate\nC1,L1,A1,60:0.12|:0.2,0.06\n";
    let mut batch = open(&[("agencies", AGENCIES), ("contracts", contracts)]);
    let paid =
        movement("p1", "N1", "payment", "100.00", "2026-03-02T00:00:00Z", r#","channel":"agency""#);
    let report = report("L1", "N1", "2026-03-01T00:00:00Z", "CNY");
    let back = r#","reverses":"p1","reason":"R01""#;
    let back = movement("r1", "N1", "return", "-100.00", "2026-03-09T00:00:00Z", back);
    publish(&mut batch, "one.jsonl", &[report, paid, back].join("\n"));
    let named = ["cause", "account", "amount", "contract", "rule"];
    assert_eq!(
        table(&batch, "ledger", &named),
        [
            "p1,agency_clearing,100.00,C1@1,paid to agency",
            "p1,agency_payable,-12.72,C1@1,0.120000 half_away",
            "p1,collection_cost,12.00,C1@1,0.120000 half_away",
            "p1,input_vat,0.72,C1@1,vat 0.060000",
            "p1,receivable_principal,-100.00,C1@1,mifos-standard-strategy",
            "r1:return,agency_clearing,-100.00,C1@1,R01",
            "r1:return,agency_payable,12.72,C1@1,0.120000 half_away",
            "r1:return,collection_cost,-12.00,C1@1,0.120000 half_away",
            "r1:return,input_vat,-0.72,C1@1,vat 0.060000",
            "r1:return,receivable_principal,100.00,C1@1,mifos-standard-strategy",
        ]
    );
}

#[test]
fn days_past_due_go_on_and_grace_and_pauses_stop_delinquency_only() {
    let calendars = "lender_id,product,grace_days,weekends_off\nL1,,5,no\n";
    let pauses = "lender_id,loan_id,paused_on,resumed_on\nL1,N1,2026-03-05,2026-03-09\n";
    let mut batch = open(&[("agencies", AGENCIES), ("calendars", calendars), ("pauses", pauses)]);
    let lines = ["L1,N1", "L1,N2", "L2,N3"].map(|pair| {
        let (lender, loan) = pair.split_once(',').expect("a pair");
        report(lender, loan, "2026-03-01T00:00:00Z", "CNY")
    });
    publish(&mut batch, "one.jsonl", &lines.join("\n"));
    let days = ["loan_id", "days_past_due", "delinquent_days", "bucket"];
    assert_eq!(
        table(&batch, "loans", &days),
        ["N1,47,42,31-60", "N2,47,42,31-60", "N3,47,47,31-60"]
    );
    // 2026-03-16.
    batch.until(20_528).expect("days pass");
    assert_eq!(
        table(&batch, "loans", &days),
        ["N1,62,53,31-60", "N2,62,57,31-60", "N3,62,62,61-90"]
    );
}

#[test]
fn a_waterfall_is_chosen_by_lender_and_product() {
    let waterfalls = "lender_id,product,standard\n\
        ,,principal-interest-penalties-fees-order-strategy\nL2,,mifos-standard-strategy\n";
    let mut batch = open(&[("agencies", AGENCIES), ("waterfalls", waterfalls)]);
    let mut lines = vec![];
    for (lender, loan) in [("L1", "N1"), ("L2", "N2")] {
        let owed = report(lender, loan, "2026-03-01T00:00:00Z", "CNY");
        lines.push(owed.replace(r#""penalty":"0.00""#, r#""penalty":"30.00""#));
        lines.push(movement("p1", loan, "payment", "50.00", "2026-03-02T00:00:00Z", ""));
    }
    publish(&mut batch, "one.jsonl", &lines.join("\n"));
    assert_eq!(
        table(&batch, "loans", &["loan_id", "principal", "penalty"]),
        ["N1,950.00,30.00", "N2,980.00,0.00"]
    );
}
