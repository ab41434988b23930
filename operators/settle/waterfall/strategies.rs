//! The strategies under Fineract's own codes, and the orders for loans that left the standard.

use super::Component::{Fee, Interest, Penalty, Principal};
use super::Timing::{Due, InAdvance, PastDue};
use super::{Component, Future, Group, Strategy, Sweep, Timing};

const ANY: [Timing; 3] = [PastDue, Due, InAdvance];
const SO_FAR: [Timing; 2] = [PastDue, Due];

fn group(timings: &[Timing], components: &[Component]) -> Group {
    Group { timings: timings.to_vec(), components: components.to_vec() }
}

fn plain(components: [Component; 4]) -> Strategy {
    strategy(vec![group(&ANY, &components)])
}

fn strategy(groups: Vec<Group>) -> Strategy {
    let (sweep, future) = (Sweep::Horizontal, Future::Next);
    Strategy { groups, late: None, sweep, future, own_days: true }
}

/// The codes that may be named.
pub const CODES: [&str; 10] = [
    "mifos-standard-strategy",
    "creocore-strategy",
    "heavensfamily-strategy",
    "interest-principal-penalties-fees-order-strategy",
    "principal-interest-penalties-fees-order-strategy",
    "early-repayment-strategy",
    "rbi-india-strategy",
    "due-penalty-fee-interest-principal-in-advance-principal-penalty-fee-interest-strategy",
    "due-penalty-interest-principal-fee-in-advance-penalty-interest-principal-fee-strategy",
    "advanced-payment-allocation-strategy",
];

/// By code, the order in which a debt without instalments is filled: all of it is past due. 0 is
/// the penalty, 1 the fee, 2 interest, 3 principal.
pub const ORDERS: [[usize; 4]; 10] = [
    [0, 1, 2, 3],
    [0, 1, 2, 3],
    [3, 2, 1, 0],
    [2, 3, 0, 1],
    [3, 2, 0, 1],
    [2, 3, 0, 1],
    [0, 1, 2, 3],
    [0, 1, 2, 3],
    [0, 2, 3, 1],
    [0, 1, 2, 3],
];

/// The strategy of a code; `advanced-payment-allocation-strategy` is made by [`Advanced`].
pub fn by_code(code: &str) -> Option<Strategy> {
    Some(match code {
        "mifos-standard-strategy" | "creocore-strategy" => {
            plain([Penalty, Fee, Interest, Principal])
        }
        "interest-principal-penalties-fees-order-strategy" => {
            plain([Interest, Principal, Penalty, Fee])
        }
        "principal-interest-penalties-fees-order-strategy" => {
            plain([Principal, Interest, Penalty, Fee])
        }
        "heavensfamily-strategy" => plain([Principal, Interest, Fee, Penalty]),
        // Early money pays principal only; what is due, interest before principal.
        "early-repayment-strategy" => strategy(vec![
            group(&SO_FAR, &[Interest, Principal, Penalty, Fee]),
            group(&[InAdvance], &[Principal]),
        ]),
        // Where anything is overdue: all charges and interest of it before any principal.
        "rbi-india-strategy" => Strategy {
            late: Some(vec![group(&SO_FAR, &[Penalty, Fee, Interest]), group(&ANY, &[Principal])]),
            ..plain([Penalty, Fee, Interest, Principal])
        },
        "due-penalty-fee-interest-principal-in-advance-principal-penalty-fee-interest-strategy" => {
            strategy(vec![
                group(&SO_FAR, &[Penalty, Fee, Interest, Principal]),
                group(&[InAdvance], &[Principal, Penalty, Fee, Interest]),
            ])
        }
        "due-penalty-interest-principal-fee-in-advance-penalty-interest-principal-fee-strategy" => {
            strategy(vec![
                group(&SO_FAR, &[Penalty, Interest, Principal, Fee]),
                group(&[InAdvance], &[Penalty, Interest, Principal, Fee]),
            ])
        }
        _ => return None,
    })
}

/// Whether a loan is still carried as it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Standard,
    /// A settlement was agreed: what was promised is principal first, charges are waived last.
    Settled,
    /// Written off: every recovery counts against principal, then interest, then charges.
    WrittenOff,
}

/// The order of a loan by its standing.
pub fn by_standing(standing: Standing) -> Strategy {
    match standing {
        Standing::Standard => plain([Penalty, Fee, Interest, Principal]),
        Standing::Settled => plain([Principal, Interest, Fee, Penalty]),
        Standing::WrittenOff => plain([Principal, Interest, Penalty, Fee]),
    }
}

/// The advanced allocation: twelve rules in any order per kind of transaction.
#[derive(Clone, Debug, Default)]
pub struct Advanced {
    pub sweep: Sweep,
    /// Kind of transaction, its rules and where its early money goes; `DEFAULT` is the fallback.
    pub rules: Vec<KindRules>,
}

/// A kind of transaction, its rules in order, and where its early money goes.
pub type KindRules = (String, Vec<(Timing, Component)>, Future);

impl Advanced {
    /// The usual order: past due, due, in advance; penalty, fee, interest, principal in each.
    pub fn usual() -> Vec<(Timing, Component)> {
        ANY.into_iter()
            .flat_map(|timing| [Penalty, Fee, Interest, Principal].map(|part| (timing, part)))
            .collect()
    }

    /// The strategy of a kind of transaction.
    pub fn of(&self, kind: &str) -> Strategy {
        let found = |name: &str| self.rules.iter().find(|rule| rule.0 == name);
        let usual = Advanced::usual();
        let (rules, future) = match found(kind).or_else(|| found("DEFAULT")) {
            Some((_, rules, future)) => (rules, *future),
            None => (&usual, Future::Next),
        };
        let mut groups: Vec<Group> = Vec::new();
        for (timing, component) in rules {
            // Swept horizontally, all rules of one timing belong together, as in Fineract.
            let known = match self.sweep {
                Sweep::Horizontal => groups.iter_mut().find(|one| one.timings == [*timing]),
                Sweep::Vertical => None,
            };
            match known {
                Some(known) => known.components.push(*component),
                None => groups.push(group(&[*timing], &[*component])),
            }
        }
        Strategy { groups, late: None, sweep: self.sweep, future, own_days: false }
    }
}
