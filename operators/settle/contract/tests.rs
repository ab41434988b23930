//! Commission and journal: worked numbers of the commission oracle and the
//! postings that belong to it.

use super::commission::{Basis, Paid, Rounding, Schedule, Settled, Tier};
use super::commission::{round_half_away, round_half_even};
use super::journal::{Event, Payee, journal, waive};

/// Up to 60 days 12 %, 61-120 20 %, 121-360 30 %, over 360 45 %; halves to even, per line.
fn contract() -> Schedule {
    let tier = |up_to, rate| Tier { up_to, rate };
    Schedule {
        tiers: vec![
            tier(Some(60), 120_000),
            tier(Some(120), 200_000),
            tier(Some(360), 300_000),
            tier(None, 450_000),
        ],
        rounding: Rounding::HalfEven,
        ..Schedule::default()
    }
}

fn lines() -> Vec<Paid> {
    let paid = |amount, days_past_due| Paid { amount, days_past_due, ..Paid::default() };
    let creditor = Paid { to_creditor: true, ..paid(7_777, 400) };
    vec![paid(100_000, 45), paid(33_333, 95), paid(25_001, 200), creditor]
}

#[test]
fn d_com_tiers_by_days_past_due() {
    let contract = contract();
    let each: Vec<i64> = lines().iter().map(|line| contract.commission(line)).collect();
    assert_eq!(each, [12_000, 6_667, 7_500, 3_500]);
    assert_eq!(lines().iter().map(|line| line.amount).sum::<i64>(), 166_111);
    assert_eq!(contract.settle(&lines()).commission, 29_667);
    let per_sum = Schedule { per_sum: true, ..contract };
    assert_eq!(per_sum.settle(&lines()).commission, 29_667);
}

#[test]
fn d_com_a_return_is_clawed_back_and_the_rest_remitted() {
    // P2 returns; its loan is older by now, its terms are not.
    let mut lines = lines();
    lines.push(Paid { amount: -33_333, days_past_due: 95, ..Paid::default() });
    assert_eq!(contract().commission(&lines[4]), -6_667);
    let net = contract().settle(&lines);
    let settled = Settled { held: 125_001, commission: 23_000, ..Settled::default() };
    assert_eq!(net, Settled { remits: 102_001, ..settled });
    let gross = Schedule { gross: true, ..contract() }.settle(&lines);
    assert_eq!(gross, Settled { remits: 125_001, pays: 23_000, ..settled });
}

#[test]
fn minimum_maximum_litigation_vat_and_balance() {
    let flat = Schedule { tiers: vec![Tier { up_to: None, rate: 100_000 }], ..Schedule::default() };
    let bounded = Schedule { minimum: 500, maximum: Some(2_000), ..flat.clone() };
    let paid = |amount| Paid { amount, ..Paid::default() };
    let commissions =
        [1_000, 10_000, 50_000, -1_000, 0].map(|cents| bounded.commission(&paid(cents)));
    assert_eq!(commissions, [500, 1_000, 2_000, -500, 0]);
    let court = Schedule { litigation: 100_000, ..flat.clone() };
    let litigated = Paid { litigated: true, ..paid(10_000) };
    assert_eq!((court.commission(&litigated), court.commission(&paid(10_000))), (2_000, 1_000));
    let taxed = Schedule { vat: 60_000, ..flat }.settle(&[paid(10_000)]);
    assert_eq!((taxed.commission, taxed.vat, taxed.remits), (1_000, 60, 8_940));
    let by_balance = Schedule {
        basis: Basis::Balance,
        tiers: vec![
            Tier { up_to: Some(100_000), rate: 400_000 },
            Tier { up_to: None, rate: 250_000 },
        ],
        ..Schedule::default()
    };
    let small = Paid { balance: 100_000, ..paid(1_000) };
    let large = Paid { balance: 100_001, ..paid(1_000) };
    assert_eq!((by_balance.commission(&small), by_balance.commission(&large)), (400, 250));
}

#[test]
fn three_regimes_of_real_fees_can_be_said() {
    // Lending Club's fees: nothing, about one percent, 17 to 50 percent of what is recovered.
    for rate in [0, 10_000, 180_000, 501_400] {
        let one = Schedule { tiers: vec![Tier { up_to: None, rate }], ..Schedule::default() };
        let paid = Paid { amount: 10_000, ..Paid::default() };
        assert_eq!(one.commission(&paid), rate / 100);
    }
}

#[test]
fn halves_round_by_their_rule() {
    for (numerator, away, even) in
        [(2_125, 213, 212), (2_135, 214, 214), (-2_125, -213, -212), (2_124, 212, 212), (0, 0, 0)]
    {
        assert_eq!(round_half_away(numerator, 10), away, "{numerator}");
        assert_eq!(round_half_even(numerator, 10), even, "{numerator}");
    }
}

#[test]
fn every_event_has_its_accounts() {
    let agency = Payee::Agency;
    let payment = Event::Payment { payee: agency, parts: [0, 0, 10_000, 90_000], over: 0 };
    assert_eq!(
        journal(&payment),
        [
            ("agency_clearing", 100_000),
            ("receivable_interest", -10_000),
            ("receivable_principal", -90_000)
        ]
    );
    let direct = Event::Payment { payee: Payee::Creditor, parts: [0, 0, 0, 7_777], over: 0 };
    assert_eq!(journal(&direct), [("bank", 7_777), ("receivable_principal", -7_777)]);
    let back = Event::Return { payee: agency, parts: [0, 0, 0, 33_333], over: 0 };
    assert_eq!(journal(&back), [("agency_clearing", -33_333), ("receivable_principal", 33_333)]);
    assert_eq!(
        journal(&Event::ClawBack { amount: 6_667 }),
        [("agency_payable", 6_667), ("collection_cost", -6_667)]
    );
    assert_eq!(
        journal(&Event::Remittance { held: 125_001, commission: 23_000 }),
        [("bank", 102_001), ("agency_payable", 23_000), ("agency_clearing", -125_001)]
    );
    assert_eq!(
        journal(&Event::Recovery { payee: agency, amount: 5_000 }),
        [("agency_clearing", 5_000), ("recovery_income", -5_000)]
    );
    assert_eq!(
        journal(&Event::ReturnFee { amount: 2_500 }),
        [("receivable_fee", 2_500), ("fee_income", -2_500)]
    );
}

#[test]
fn agency_clearing_is_what_was_collected_less_returned_and_remitted() {
    let pay = |cents| Event::Payment { payee: Payee::Agency, parts: [0, 0, 0, cents], over: 0 };
    let events = [
        pay(100_000),
        pay(33_333),
        pay(25_001),
        Event::Commission { amount: 29_667 },
        Event::Return { payee: Payee::Agency, parts: [0, 0, 0, 33_333], over: 0 },
        Event::ClawBack { amount: 6_667 },
        Event::Remittance { held: 125_001, commission: 23_000 },
    ];
    let balance = |account: &str| -> i64 {
        let lines = events.iter().flat_map(journal);
        lines.filter(|line| line.0 == account).map(|line| line.1).sum()
    };
    assert_eq!(balance("agency_clearing"), 0);
    assert_eq!(balance("agency_payable"), 0);
    assert_eq!(balance("bank"), 102_001);
    assert_eq!(balance("collection_cost"), 23_000);
}

#[test]
fn f_co_charge_off_after_a_payment() {
    // Fineract `LoanChargeOff`, line 25: 1,000, 250 paid, charged off.
    let off = Event::ChargeOff { parts: [0, 0, 0, 75_000] };
    assert_eq!(journal(&off), [("bad_debt", 75_000), ("receivable_principal", -75_000)]);
}

#[test]
fn a_waiver_needs_authority() {
    let waiver = waive([5_000, 5_000, 10_000, 0], 20_000, "team-lead").unwrap();
    let lines = journal(&waiver);
    assert_eq!(lines[0], ("waiver_cost", 20_000));
    let refused = waive([5_000, 5_000, 10_001, 0], 20_000, "team-lead").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "waiver of 20001 cents exceeds the authority of 20000 cents (rule team-lead)"
    );
}
