//! The strategies under Fineract's own codes.

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
