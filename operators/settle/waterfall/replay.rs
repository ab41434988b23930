//! Reverse and replay: a schedule's transactions in date order, as if undone ones had never come.
//! The stream does this in `account`; here it is done plainly, for the outside cases.

use super::{Allocation, Component, Item, Strategy, owe};

/// What a transaction does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Money in, allocated by the strategy of this name (`DEFAULT`, or a kind of its own).
    Payment(&'static str),
    /// Money taken back by the bank or paid out to the borrower: what was over goes first, the
    /// rest is principal again, due with the instalment it falls into.
    PaidOut,
    /// A charge: penalty or fee, due on the day it is made.
    Charge(Component),
}

/// One transaction of a loan. Days count from 1970-01-01, money is in cents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    pub on: i32,
    pub kind: Kind,
    pub amount: i64,
    pub undone: bool,
}

/// A schedule after its transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    pub items: Vec<Item>,
    /// Where each transaction went; nothing for an undone one.
    pub allocations: Vec<Allocation>,
    /// The borrower's credit.
    pub over: i64,
}

impl Replay {
    pub fn open(&self) -> i64 {
        self.items.iter().map(Item::open).sum()
    }

    /// What is still owed with an instalment.
    pub fn open_on(&self, instalment_on: i32) -> i64 {
        let own = self.items.iter().filter(|item| item.instalment_on == instalment_on);
        own.map(Item::open).sum()
    }
}

/// Plays transactions in date order over a schedule; equal days keep their order.
pub fn replay(
    schedule: &[Item],
    transactions: &[Transaction],
    strategy: impl Fn(&str) -> Strategy,
) -> Replay {
    let mut after = Replay { items: schedule.to_vec(), ..Replay::default() };
    after.allocations = vec![Allocation::default(); transactions.len()];
    let mut order: Vec<usize> = (0..transactions.len()).collect();
    order.sort_by_key(|at| transactions[*at].on);
    for at in order {
        let one = &transactions[at];
        if one.undone {
            continue;
        }
        match one.kind {
            Kind::Payment(name) => {
                let went = strategy(name).allocate(&mut after.items, one.on, one.amount);
                after.over += went.over;
                after.allocations[at] = went;
            }
            Kind::PaidOut => {
                let over = after.over.min(one.amount);
                after.over -= over;
                let principal = one.amount - over;
                if principal > 0 {
                    owe(&mut after.items, one.on, false, Component::Principal, principal);
                }
                after.allocations[at] = Allocation { principal, over, ..Allocation::default() };
            }
            Kind::Charge(component) => {
                owe(&mut after.items, one.on, true, component, one.amount);
            }
        }
    }
    after
}
