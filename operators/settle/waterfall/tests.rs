//! Outside cases: numbers of Apache Fineract's own feature files (commit 4198b0bc, Apache-2.0),
//! `LoanRepayment`, `LoanDelinquency` and `Loan`, named as in the issue that asked for them.

use super::Component::{Fee, Interest, Penalty, Principal};
use super::{
    Advanced, Allocation, Calendar, Component, Future, Item, Kind, Pause, Ranges, Replay, Strategy,
    Sweep, Transaction, by_code, delinquency, items, replay, sums, write,
};

/// Days since 1970-01-01 of a day in 2023.
fn day(month: usize, day: i32) -> i32 {
    const BEFORE: [i32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    19_358 + BEFORE[month - 1] + day - 1
}

fn pays(on: i32, euros: i64) -> Transaction {
    Transaction { on, kind: Kind::Payment("DEFAULT"), amount: euros * 100, undone: false }
}

fn charge(on: i32, component: Component, euros: i64) -> Transaction {
    Transaction { on, kind: Kind::Charge(component), amount: euros * 100, undone: false }
}

fn paid_out(on: i32, euros: i64) -> Transaction {
    Transaction { on, kind: Kind::PaidOut, amount: euros * 100, undone: false }
}

/// Equal parts of principal, and of interest where there is any.
fn parts(days: &[i32], principal: i64, interest: i64) -> Vec<Item> {
    let part = |on: &i32| {
        [Item::new(*on, *on, Principal, principal), Item::new(*on, *on, Interest, interest)]
    };
    days.iter().flat_map(part).filter(|item| item.owed > 0).collect()
}

fn due_in_advance() -> Strategy {
    by_code("due-penalty-fee-interest-principal-in-advance-principal-penalty-fee-interest-strategy")
        .unwrap()
}

/// Penalty, fee, interest, principal, over in whole units.
fn went(allocation: &Allocation) -> [i64; 5] {
    let Allocation { penalty, fee, interest, principal, over } = *allocation;
    [penalty, fee, interest, principal, over].map(|cents| {
        assert_eq!(cents % 100, 0);
        cents / 100
    })
}

fn months() -> [i32; 3] {
    [day(2, 1), day(3, 1), day(4, 1)]
}

/// Charges are known from the day they are due, or before: `added` of them before the payment.
fn play(schedule: &[Item], transactions: &[Transaction]) -> Replay {
    replay(schedule, transactions, |_| due_in_advance())
}

#[test]
fn f_w1_due_penalty_fee_and_principal() {
    let (penalty, fee) = (charge(day(2, 1), Penalty, 50), charge(day(2, 1), Fee, 50));
    let after = play(&parts(&months(), 100_000, 0), &[penalty, fee, pays(day(2, 1), 500)]);
    assert_eq!(went(&after.allocations[2]), [50, 50, 0, 400, 0]);
    assert_eq!(after.open(), 260_000);
    assert_eq!(after.open_on(day(2, 1)), 60_000);
}

#[test]
fn f_w2_due_penalty_and_principal_in_advance() {
    let after = play(
        &parts(&months(), 100_000, 0),
        &[charge(day(1, 15), Penalty, 50), pays(day(1, 15), 500)],
    );
    assert_eq!(went(&after.allocations[1]), [50, 0, 0, 450, 0]);
    assert_eq!(after.open(), 255_000);
}

/// 30 interest a month; penalties due 15 and 20 January, a fee due 20 January.
fn f_w3(undone: bool) -> Replay {
    let mut schedule = parts(&months(), 100_000, 3_000);
    schedule.push(Item::new(day(2, 1), day(1, 15), Penalty, 5_000));
    schedule.push(Item::new(day(2, 1), day(1, 20), Penalty, 5_000));
    schedule.push(Item::new(day(2, 1), day(1, 20), Fee, 5_000));
    play(&schedule, &[Transaction { undone, ..pays(day(1, 15), 1_180) }])
}

#[test]
fn f_w3_a_whole_instalment_in_advance() {
    let after = f_w3(false);
    assert_eq!(went(&after.allocations[0]), [100, 50, 30, 1_000, 0]);
    assert_eq!(after.open(), 206_000);
    assert_eq!(after.items.iter().map(|item| item.owed).sum::<i64>(), 324_000);
    assert_eq!(after.items.iter().map(|item| item.paid).sum::<i64>(), 118_000);
}

#[test]
fn f_w4_an_undone_payment_leaves_everything_owed() {
    let after = f_w3(true);
    assert_eq!(after.allocations[0], Allocation::default());
    assert_eq!(after.open(), 324_000);
}

#[test]
fn f_w_more_money_in_advance() {
    // Lines 1321, 1346 and 1501: early money pays the next part; a due part, then the next; a
    // penalty due later waits behind early principal.
    let schedule = parts(&months(), 100_000, 0);
    let after = play(&schedule, &[pays(day(1, 10), 1_000)]);
    assert_eq!((after.open_on(day(2, 1)), after.open()), (0, 200_000));
    let after = play(&schedule, &[pays(day(2, 1), 1_500)]);
    assert_eq!((after.open_on(day(2, 1)), after.open_on(day(3, 1))), (0, 50_000));
    let mut schedule = schedule;
    schedule.push(Item::new(day(2, 1), day(1, 15), Penalty, 5_000));
    schedule.push(Item::new(day(2, 1), day(1, 20), Penalty, 5_000));
    let after = play(&schedule, &[pays(day(1, 15), 500)]);
    assert_eq!(went(&after.allocations[0]), [50, 0, 0, 450, 0]);
    assert_eq!(after.open_on(day(2, 1)), 60_000);
}

#[test]
fn f_w_penalty_interest_principal_fee_in_advance() {
    // Line 2527 (UC11): a fee due 1 February stands behind principal; a penalty comes first.
    let code =
        "due-penalty-interest-principal-fee-in-advance-penalty-interest-principal-fee-strategy";
    let strategy = by_code(code).unwrap();
    let mut schedule = parts(&[day(2, 1)], 100_000, 0);
    schedule.push(Item::new(day(2, 1), day(2, 1), Fee, 2_000));
    schedule.push(Item::new(day(2, 1), day(1, 28), Penalty, 2_000));
    let undone = Transaction { undone: true, ..pays(day(1, 10), 1_020) };
    let transactions = [undone, pays(day(1, 28), 520), pays(day(1, 30), 520)];
    let after = replay(&schedule, &transactions, |_| strategy.clone());
    assert_eq!(went(&after.allocations[1]), [20, 0, 0, 500, 0]);
    assert_eq!(went(&after.allocations[2]), [0, 20, 0, 500, 0]);
    assert_eq!(after.open(), 0);
}

#[test]
fn f_cb_a_chargeback_is_principal_again() {
    let transactions = [
        charge(day(1, 10), Fee, 10),
        pays(day(1, 15), 500),
        charge(day(1, 18), Penalty, 25),
        paid_out(day(1, 18), 500),
        pays(day(1, 21), 500),
    ];
    let schedule = parts(&[day(2, 1)], 100_000, 0);
    let until = |count: usize| play(&schedule, &transactions[..count]);
    let principal = |after: &Replay| -> i64 {
        let own = after.items.iter().filter(|item| item.component == Principal);
        own.map(Item::open).sum()
    };
    assert_eq!(went(&until(2).allocations[1]), [0, 10, 0, 490, 0]);
    assert_eq!(principal(&until(2)), 51_000);
    assert_eq!(principal(&until(4)), 101_000);
    let after = until(5);
    assert_eq!(went(&after.allocations[4]), [25, 0, 0, 475, 0]);
    assert_eq!(after.open(), 53_500);
    let owed = |component: Component| -> i64 {
        let own = after.items.iter().filter(|item| item.component == component);
        own.map(|item| item.owed).sum()
    };
    assert_eq!((owed(Principal), owed(Fee) + owed(Penalty)), (150_000, 3_500));
}

fn advanced(sweep: Sweep) -> Advanced {
    let mut advanced = Advanced::new(sweep);
    advanced.lay(None, "", Future::Next);
    advanced.lay(Some("REFUND"), "", Future::Spread);
    advanced
}

#[test]
fn f_re_early_money_spread_evenly() {
    let days = [day(9, 1), day(9, 16), day(10, 1), day(10, 16)];
    let spread = Advanced::read("horizontal;:spread:");
    let transactions = [pays(day(9, 1), 100), pays(day(9, 10), 150)];
    let after = replay(&parts(&days, 10_000, 0), &transactions, |kind| spread.of(kind));
    assert_eq!(days.map(|on| after.open_on(on)), [0, 5_000, 5_000, 5_000]);
    assert_eq!(after.open(), 15_000);
}

#[test]
fn f_rr_reverse_and_replay() {
    let days = [day(1, 1), day(1, 16), day(1, 31), day(2, 15)];
    let schedule = parts(&days, 12_500, 0);
    let refund = Transaction { kind: Kind::Payment("REFUND"), ..pays(day(1, 2), 400) };
    let transactions = [
        Transaction { undone: true, ..pays(day(1, 1), 125) },
        refund,
        pays(day(1, 4), 50),
        pays(day(1, 16), 125),
        paid_out(day(1, 18), 75),
    ];
    let rules = advanced(Sweep::Horizontal);
    let open = |transactions: &[Transaction]| {
        let after = replay(&schedule, transactions, |kind| rules.of(kind));
        (days.map(|on| after.open_on(on)), after.over)
    };
    assert_eq!(open(&transactions[..1]), ([12_500; 4], 0));
    assert_eq!(open(&transactions[..2]), ([0, 3_333, 3_333, 3_334], 0));
    assert_eq!(open(&transactions[..3]), ([0, 0, 1_666, 3_334], 0));
    assert_eq!(open(&transactions[..4]), ([0; 4], 7_500));
    assert_eq!(open(&transactions), ([0; 4], 0));
    // The refund is undone: what was credit is principal again, in the part of 31 January.
    let mut transactions = transactions.to_vec();
    transactions[1].undone = true;
    assert_eq!(open(&transactions), ([0, 7_500, 20_000, 12_500], 0));
    transactions.push(pays(day(1, 31), 275));
    assert_eq!(open(&transactions), ([0, 0, 0, 12_500], 0));
}

#[test]
fn f_aa_charge_after_maturity_and_money_over() {
    // `Loan`, C2942 and C2943: 1,020 owed in advance, 1,120 paid, either sweep.
    let days = [day(9, 1), day(9, 16), day(10, 1), day(10, 16)];
    for sweep in [Sweep::Horizontal, Sweep::Vertical] {
        let mut schedule = parts(&days, 25_000, 0);
        schedule.push(Item::new(day(10, 17), day(10, 17), Penalty, 2_000));
        let after = replay(&schedule, &[pays(day(9, 1), 1_120)], |kind| advanced(sweep).of(kind));
        assert_eq!(went(&after.allocations[0]), [20, 0, 0, 1_000, 100]);
        assert_eq!((after.open(), after.over), (0, 10_000));
    }
}

#[test]
fn sweeps_differ_where_money_is_short() {
    // Two parts past due, 100 principal and 10 interest each; 115 come.
    let schedule = parts(&[day(1, 1), day(2, 1)], 10_000, 1_000);
    let paid = |sweep| {
        let after = replay(&schedule, &[pays(day(3, 1), 115)], |kind| advanced(sweep).of(kind));
        went(&after.allocations[0])
    };
    assert_eq!(paid(Sweep::Horizontal), [0, 0, 15, 100, 0]);
    assert_eq!(paid(Sweep::Vertical), [0, 0, 20, 95, 0]);
}

#[test]
fn every_code_pays_in_its_own_order() {
    // One part past due with 10 of everything; 25 come.
    let schedule: Vec<Item> = [Penalty, Fee, Interest, Principal]
        .map(|component| Item::new(day(1, 1), day(1, 1), component, 1_000))
        .to_vec();
    let cases = [
        ("mifos-standard-strategy", [10, 10, 5, 0, 0]),
        ("creocore-strategy", [10, 10, 5, 0, 0]),
        ("interest-principal-penalties-fees-order-strategy", [5, 0, 10, 10, 0]),
        ("principal-interest-penalties-fees-order-strategy", [5, 0, 10, 10, 0]),
        ("heavensfamily-strategy", [0, 5, 10, 10, 0]),
        ("early-repayment-strategy", [5, 0, 10, 10, 0]),
        ("rbi-india-strategy", [10, 10, 5, 0, 0]),
    ];
    for (code, expected) in cases {
        let strategy = by_code(code).unwrap();
        let mut items = schedule.clone();
        assert_eq!(went(&strategy.allocate(&mut items, day(1, 9), 2_500)), expected, "{code}");
        // No money is over while anything is owed, early or late.
        for on in [day(1, 1) - 9, day(1, 9)] {
            let mut items = schedule.clone();
            assert_eq!(strategy.allocate(&mut items, on, 4_100).over, 100, "{code}");
        }
    }
    assert!(by_code("no-such-strategy").is_none());
}

/// 1,000 in four parts of 250 from 1 October 2023, every 15 days.
fn october() -> Vec<Item> {
    parts(&[day(10, 1), day(10, 16), day(10, 31), day(11, 15)], 25_000, 0)
}

fn late(today: i32, pauses: &[Pause]) -> (i64, i32, i32, usize) {
    let ranges = Ranges::default();
    let late = delinquency(&october(), today, 3, pauses, &ranges, &Calendar::default());
    assert_eq!(late.delinquent_on, Some(day(10, 4)));
    (late.amount / 100, late.delinquent_days, late.past_due_days, late.range)
}

#[test]
fn f_dpd_pause_and_grace() {
    let pause = [Pause { from: day(10, 6), to: day(10, 30) }];
    assert_eq!(late(day(10, 2), &[]), (250, 0, 1, 0));
    assert_eq!(late(day(10, 4), &[]), (250, 0, 3, 0));
    assert_eq!(late(day(10, 5), &[]), (250, 1, 4, 1));
    assert_eq!(late(day(10, 6), &pause), (250, 2, 5, 1));
    assert_eq!(late(day(10, 30), &pause), (500, 2, 29, 1));
    assert_eq!(late(day(10, 31), &pause), (500, 3, 30, 1));
}

#[test]
fn f_dpd_resume() {
    let days = |today, pause: Pause| {
        let (amount, delinquent, past_due, _) = late(today, &[pause]);
        (amount, delinquent, past_due)
    };
    let from = day(10, 15);
    assert_eq!(days(from, Pause { from, to: day(10, 30) }), (250, 11, 14));
    assert_eq!(days(day(10, 26), Pause { from, to: day(10, 25) }), (500, 12, 25));
}

#[test]
fn f_dpd_instalments() {
    let ranges = Ranges::default();
    let by_range = |today| {
        delinquency(&october(), today, 0, &[], &ranges, &Calendar::default()).by_range[..5].to_vec()
    };
    assert_eq!(by_range(day(11, 16)), [0, 25_000, 25_000, 50_000, 0]);
    assert_eq!(by_range(day(12, 16)), [0, 0, 0, 50_000, 50_000]);
}

#[test]
fn what_is_due_on_a_day_off_is_due_on_the_next_business_day() {
    // 1 October 2023 was a Sunday; 2 October a holiday here.
    let calendar = Calendar { weekends_off: true, holidays: vec![day(10, 2)] };
    assert_eq!(calendar.due_on(day(10, 1)), day(10, 3));
    assert_eq!(calendar.due_on(day(10, 4)), day(10, 4));
    let late = delinquency(&october(), day(10, 5), 0, &[], &Ranges::default(), &calendar);
    assert_eq!((late.past_due_days, late.range), (2, 1));
}

#[test]
fn a_schedule_reads_as_it_is_written() {
    let text = "2023-02-01:1000.00:30.00|2023-02-01/2023-01-15:0.00:0.00:50.00|2023-03-01:7.00";
    assert_eq!(sums(text), Some([5_000, 0, 3_000, 100_700]));
    let read = items(text);
    assert_eq!(read[2], Item::new(day(2, 1), day(1, 15), Penalty, 5_000));
    // In order of days: an own day comes before its instalment's.
    let written = "2023-02-01/2023-01-15:0.00:0.00:50.00|2023-02-01:1000.00:30.00|2023-03-01:7.00";
    assert_eq!(write(&read), written);
    assert_eq!(items(written).len(), 4);
    for wrong in [
        "",
        "2023-02-01",
        "2023-02-01:",
        "2023-02-01:1.0",
        "2023-02-01:-1.00",
        "2023-02-30:1.00",
        "soon:1.00",
        "2023-02-01:1.00|",
        "2023-02-01:1.00:1.00:1.00:1.00:1.00",
    ] {
        assert_eq!(sums(wrong), None, "{wrong}");
        assert_eq!(items(wrong), []);
    }
}

#[test]
fn an_allocation_reads_as_it_is_written() {
    let mut advanced = Advanced::new(Sweep::Vertical);
    advanced.lay(None, "in_advance_fee|past_due_principal", Future::Last);
    advanced.lay(Some("payoff"), "", Future::Spread);
    let text = "vertical;:last:in_advance_fee|past_due_principal;payoff:spread:";
    assert_eq!(advanced.write(), text);
    assert_eq!(Advanced::read(text), advanced);
}
