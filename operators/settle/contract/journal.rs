//! Every event of money in double entry: which accounts it debits and which it credits.
//!
//! Debit is positive; the lines of an event sum to zero. The ledger of settle writes what the
//! stream brings; the events here are those that a contract or an officer adds to it: other ways
//! of paying, returns and their fees, waivers, charge-off and what comes after it, remittance.

/// Penalty, fee, interest, principal, in cents.
pub type Parts = [i64; 4];

const RECEIVABLE: [&str; 4] =
    ["receivable_penalty", "receivable_fee", "receivable_interest", "receivable_principal"];

/// Who took a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payee {
    Agency,
    Creditor,
    /// Another lender pays the loan off; the money goes to the creditor's bank.
    ThirdParty,
}

impl Payee {
    fn account(self) -> &'static str {
        match self {
            Payee::Agency => "agency_clearing",
            Payee::Creditor | Payee::ThirdParty => "bank",
        }
    }
}

/// Something that moves money or debt. Amounts are in cents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Payment {
        payee: Payee,
        parts: Parts,
        over: i64,
    },
    /// A payment comes back: reversal, return or chargeback, with the bank's reason code.
    Return {
        payee: Payee,
        parts: Parts,
        over: i64,
    },
    /// What a return costs the borrower.
    ReturnFee {
        amount: i64,
    },
    Commission {
        amount: i64,
    },
    ClawBack {
        amount: i64,
    },
    /// The agency sends what it holds, less its commission where it is paid net.
    Remittance {
        held: i64,
        commission: i64,
    },
    /// The creditor pays commission apart.
    PayAgency {
        commission: i64,
    },
    /// Debt given up, within somebody's authority.
    Waiver {
        parts: Parts,
    },
    ChargeOff {
        parts: Parts,
    },
    /// Money on a debt that has been charged off.
    Recovery {
        payee: Payee,
        amount: i64,
    },
    /// The borrower's credit is paid out.
    Refund {
        amount: i64,
    },
    Suspended {
        amount: i64,
    },
    Released {
        amount: i64,
    },
}

/// One line: an account and what it takes.
pub type Line = (&'static str, i64);

/// The lines of an event. What is zero is left out.
pub fn journal(event: &Event) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    match *event {
        Event::Payment { payee, parts, over } => money_in(&mut lines, payee, parts, over, 1),
        Event::Return { payee, parts, over } => money_in(&mut lines, payee, parts, over, -1),
        Event::ReturnFee { amount } => {
            lines.extend([("receivable_fee", amount), ("fee_income", -amount)]);
        }
        Event::Commission { amount } => {
            lines.extend([("collection_cost", amount), ("agency_payable", -amount)]);
        }
        Event::ClawBack { amount } => {
            lines.extend([("agency_payable", amount), ("collection_cost", -amount)]);
        }
        Event::Remittance { held, commission } => lines.extend([
            ("bank", held - commission),
            ("agency_payable", commission),
            ("agency_clearing", -held),
        ]),
        Event::PayAgency { commission } => {
            lines.extend([("agency_payable", commission), ("bank", -commission)]);
        }
        Event::Waiver { parts } => give_up(&mut lines, "waiver_cost", parts),
        Event::ChargeOff { parts } => give_up(&mut lines, "bad_debt", parts),
        Event::Recovery { payee, amount } => {
            lines.extend([(payee.account(), amount), ("recovery_income", -amount)]);
        }
        Event::Refund { amount } => lines.extend([("borrower_credit", amount), ("bank", -amount)]),
        Event::Suspended { amount } => lines.extend([("bank", amount), ("suspense", -amount)]),
        Event::Released { amount } => lines.extend([("bank", -amount), ("suspense", amount)]),
    }
    lines.retain(|(_, amount)| *amount != 0);
    assert!(lines.iter().map(|line| line.1).sum::<i64>() == 0, "an event's lines sum to zero");
    lines
}

fn money_in(lines: &mut Vec<Line>, payee: Payee, parts: Parts, over: i64, sign: i64) {
    let total: i64 = parts.iter().sum::<i64>() + over;
    lines.push((payee.account(), sign * total));
    lines.extend(RECEIVABLE.into_iter().zip(parts.map(|part| -sign * part)));
    lines.push(("borrower_credit", -sign * over));
}

fn give_up(lines: &mut Vec<Line>, cost: &'static str, parts: Parts) {
    lines.push((cost, parts.iter().sum()));
    lines.extend(RECEIVABLE.into_iter().zip(parts.map(|part| -part)));
}

/// A waiver above somebody's authority, with the rule that stops it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("waiver of {amount} cents exceeds the authority of {limit} cents (rule {rule})")]
pub struct BeyondAuthority {
    pub amount: i64,
    pub limit: i64,
    pub rule: String,
}

/// A waiver within a limit of authority; refused above it.
pub fn waive(parts: Parts, limit: i64, rule: &str) -> Result<Event, BeyondAuthority> {
    let amount: i64 = parts.iter().sum();
    if amount > limit {
        return Err(BeyondAuthority { amount, limit, rule: rule.to_owned() });
    }
    Ok(Event::Waiver { parts })
}
