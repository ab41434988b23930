//! The independent model: what every movement books, from the set of facts alone.
//!
//! Slow and plain on purpose. It walks whole lists of events again for every question, keeps no
//! sums, and shares no code with the operators.

use std::collections::BTreeMap;

use crate::flow::Letter;

/// Penalty, fee, interest, principal, over, before the first report.
pub type Parts = [i64; 6];

/// What the model says of one loan.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// What each standing movement books.
    pub booked: BTreeMap<String, Parts>,
    /// Penalty, fee, interest, principal still owed.
    pub owed: [i64; 4],
}

/// What can happen within a segment.
#[derive(Clone)]
enum Event {
    Pay { id: String, amount: i64 },
    Undo { payment: String },
    Reopen { parts: Parts },
}

/// Debt and money over after some events, counted coin by coin through the components.
fn after(start: [i64; 4], events: &[Event]) -> [i64; 5] {
    let mut state = [start[0], start[1], start[2], start[3], 0];
    let undone: Vec<&String> = events
        .iter()
        .filter_map(|event| if let Event::Undo { payment } = event { Some(payment) } else { None })
        .collect();
    for event in events {
        match event {
            Event::Pay { id, amount } if !undone.contains(&id) => {
                let mut left = *amount;
                for debt in state.iter_mut().take(4) {
                    let taken = left.min((*debt).max(0));
                    *debt -= taken;
                    left -= taken;
                }
                state[4] += left;
            }
            Event::Reopen { parts } => {
                for (debt, part) in state.iter_mut().zip(parts).take(4) {
                    *debt += part;
                }
                state[4] -= parts[4];
            }
            _ => {}
        }
    }
    state
}

/// The facts of one loan, each once, in no order that matters.
pub fn truth(facts: &[Letter]) -> Truth {
    let mut reports: Vec<&Letter> = facts.iter().filter(|fact| fact.kind == "report").collect();
    reports.sort_by_key(|report| (report.at, report.id.clone()));
    let payments: BTreeMap<&String, &Letter> = facts
        .iter()
        .filter(|fact| fact.kind == "payment")
        .map(|payment| (&payment.id, payment))
        .collect();
    let movements = standing(facts, &payments);
    let segment_of = |at: i64| reports.iter().filter(|report| report.at < at).count();
    let when = |one: &Letter| match one.reverses.as_ref().and_then(|id| payments.get(id)) {
        Some(payment) if (one.at, &one.id) < (payment.at, &payment.id) => {
            (payment.at, payment.id.clone(), 1)
        }
        _ => (one.at, one.id.clone(), 0),
    };
    let mut order: Vec<&Letter> = movements;
    order.sort_by_key(|one| when(one));
    let mut truth = Truth::default();
    let mut events: BTreeMap<usize, Vec<Event>> = BTreeMap::new();
    for one in order {
        let own = segment_of(when(one).0);
        let home = one.reverses.as_ref().map(|id| segment_of(when(payments[id]).0));
        if own == 0 {
            truth.booked.insert(one.id.clone(), [0, 0, 0, 0, 0, one.amount]);
            continue;
        }
        let segment = events.entry(own).or_default();
        let start = reports[own - 1].owed;
        let before = after(start, segment);
        segment.push(match (&one.reverses, home) {
            (None, _) => Event::Pay { id: one.id.clone(), amount: one.amount },
            (Some(payment), Some(home)) if home == own => Event::Undo { payment: payment.clone() },
            (Some(payment), _) => Event::Reopen { parts: truth.booked[payment] },
        });
        let now = after(start, segment);
        let mut parts = [0; 6];
        for i in 0..4 {
            parts[i] = before[i] - now[i];
        }
        parts[4] = now[4] - before[4];
        if let Some(Event::Reopen { parts: reopened }) = segment.last() {
            parts[5] = -reopened[5];
        }
        truth.booked.insert(one.id.clone(), parts);
    }
    if let Some(newest) = reports.last() {
        let events = events.remove(&reports.len()).unwrap_or_default();
        let state = after(newest.owed, &events);
        truth.owed = [state[0], state[1], state[2], state[3]];
    }
    truth
}

/// Payments, and of the fitting reversals of each payment the first in business order.
fn standing<'a>(facts: &'a [Letter], payments: &BTreeMap<&String, &Letter>) -> Vec<&'a Letter> {
    let fits = |one: &&Letter| {
        let payment = one.reverses.as_ref().and_then(|id| payments.get(id));
        payment.is_some_and(|payment| payment.amount == -one.amount)
    };
    let mut standing: Vec<&Letter> = facts.iter().filter(|fact| fact.kind == "payment").collect();
    for id in payments.keys() {
        let reversals = facts.iter().filter(|fact| fact.kind == "reversal");
        let own = reversals.filter(|fact| fact.reverses.as_ref() == Some(id)).filter(fits);
        standing.extend(own.min_by_key(|one| (one.at, one.id.clone())));
    }
    standing
}

/// Commission on what a movement collected: halves go away from zero.
pub fn commission(collected: i64, rate: i64) -> i64 {
    let product = i128::from(collected) * i128::from(rate);
    let sign = if product < 0 { -1 } else { 1 };
    ((product.abs() + 500_000) / 1_000_000 * sign) as i64
}
