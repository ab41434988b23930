//! Waterfalls by name: in what order a payment fills what is owed, instalment by instalment.
//!
//! A lender names one of Fineract's strategies by its own code. A strategy is a list of groups,
//! each saying which timings it covers and in what order it pays components there. It sweeps
//! horizontally (every component of one instalment, then the next) or vertically (one component
//! of every instalment, then the next component). Early money goes to the next instalment, the
//! last one, or is spread evenly.
//!
//! A loan whose report has a schedule (`schedule`) is paid this way by `account/plan.rs`.
//! Everything here is a pure function of a schedule and dates. No money is ever over while
//! anything is owed.

mod advanced;
mod delinquency;
#[cfg(test)]
mod replay;
mod schedule;
mod strategies;

#[cfg(test)]
mod tests;

pub use self::advanced::{Advanced, FILLS, FUTURES, RULES, SWEEPS, future, sweep};
pub use self::delinquency::{Calendar, Delinquency, Pause, Ranges, delinquency, paused};
#[cfg(test)]
pub use self::replay::{Kind, Replay, Transaction, replay};
pub use self::schedule::{items, owe, sums, write};
pub use self::strategies::{CODES, ORDERS, by_code};

/// What a debt consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    Penalty,
    Fee,
    Interest,
    Principal,
}

/// How the day of a payment lies to the day something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    PastDue,
    Due,
    InAdvance,
}

/// Where early money goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Future {
    #[default]
    Next,
    Last,
    /// The same to each future instalment.
    Spread,
}

/// How a strategy walks over instalments and components.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sweep {
    #[default]
    Horizontal,
    Vertical,
}

/// One thing owed within an instalment. Days count from 1970-01-01, money is in cents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// The day its instalment is due; instalments are told apart by it.
    pub instalment_on: i32,
    /// The day it is due itself: a charge may be due before its instalment.
    pub due_on: i32,
    pub component: Component,
    pub owed: i64,
    pub paid: i64,
}

impl Item {
    pub fn new(instalment_on: i32, due_on: i32, component: Component, owed: i64) -> Self {
        Item { instalment_on, due_on, component, owed, paid: 0 }
    }

    pub fn open(&self) -> i64 {
        self.owed - self.paid
    }
}

/// Which timings are paid together, and in what order of components.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub timings: Vec<Timing>,
    pub components: Vec<Component>,
}

/// An order of payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strategy {
    pub groups: Vec<Group>,
    /// Takes the place of `groups` where anything is past due.
    pub late: Option<Vec<Group>>,
    pub sweep: Sweep,
    pub future: Future,
    /// Charges count by their own day, not by that of their instalment.
    pub own_days: bool,
}

/// Where one payment went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocation {
    pub penalty: i64,
    pub fee: i64,
    pub interest: i64,
    pub principal: i64,
    /// Beyond all debt: the borrower's.
    pub over: i64,
}

impl Allocation {
    fn add(&mut self, component: Component, cents: i64) {
        match component {
            Component::Penalty => self.penalty += cents,
            Component::Fee => self.fee += cents,
            Component::Interest => self.interest += cents,
            Component::Principal => self.principal += cents,
        }
    }
}

/// The order in which whatever a strategy leaves open is paid.
const REST: [Component; 4] =
    [Component::Penalty, Component::Fee, Component::Interest, Component::Principal];

impl Strategy {
    /// Fills what is owed with a payment made on a day.
    pub fn allocate(&self, items: &mut [Item], paid_on: i32, amount: i64) -> Allocation {
        let mut pour = Pour { items, left: amount.max(0), allocation: Allocation::default() };
        let late = pour
            .items
            .iter()
            .any(|item| item.open() > 0 && self.timing(item, paid_on) == Timing::PastDue);
        let groups = self.late.as_ref().filter(|_| late).unwrap_or(&self.groups);
        for group in groups {
            let covered = |item: &Item| group.timings.contains(&self.timing(item, paid_on));
            let early = group.timings == [Timing::InAdvance];
            let future = if early { self.future } else { Future::Next };
            match self.sweep {
                Sweep::Horizontal => pour.fill(&covered, &group.components, future),
                Sweep::Vertical => {
                    for component in &group.components {
                        pour.fill(&covered, &[*component], future);
                    }
                }
            }
        }
        pour.fill(&|_| true, &REST, Future::Next);
        pour.allocation.over = pour.left;
        pour.allocation
    }

    fn timing(&self, item: &Item, paid_on: i32) -> Timing {
        let due_on = if self.own_days { item.due_on } else { item.instalment_on };
        match due_on.cmp(&paid_on) {
            std::cmp::Ordering::Less => Timing::PastDue,
            std::cmp::Ordering::Equal => Timing::Due,
            std::cmp::Ordering::Greater => Timing::InAdvance,
        }
    }
}

/// A payment being poured over a schedule.
struct Pour<'a> {
    items: &'a mut [Item],
    left: i64,
    allocation: Allocation,
}

impl Pour<'_> {
    /// Pays the covered items, one instalment after the other or the same to each.
    fn fill(&mut self, covered: &dyn Fn(&Item) -> bool, order: &[Component], future: Future) {
        loop {
            let instalments = self.open_instalments(covered, order, future);
            if self.left == 0 || instalments.is_empty() {
                return;
            }
            let count = instalments.len() as i64;
            // The same to each, rounded; the last takes what rounding left.
            let share = match future {
                Future::Spread => ((self.left + count / 2) / count).max(1),
                Future::Next | Future::Last => self.left,
            };
            for instalment in instalments {
                let most = share.min(self.left);
                self.pay(covered, order, instalment, most);
            }
        }
    }

    /// The instalments that still have something open among the covered items, in order.
    fn open_instalments(
        &self,
        covered: &dyn Fn(&Item) -> bool,
        order: &[Component],
        future: Future,
    ) -> Vec<i32> {
        let open = self
            .items
            .iter()
            .filter(|item| item.open() > 0 && order.contains(&item.component) && covered(item));
        let mut days: Vec<i32> = open.map(|item| item.instalment_on).collect();
        days.sort_unstable();
        days.dedup();
        if future == Future::Last {
            days.reverse();
        }
        days
    }

    fn pay(
        &mut self,
        covered: &dyn Fn(&Item) -> bool,
        order: &[Component],
        instalment: i32,
        mut most: i64,
    ) {
        for component in order {
            for item in self.items.iter_mut() {
                if item.instalment_on != instalment || item.component != *component {
                    continue;
                }
                if !covered(item) {
                    continue;
                }
                let cents = most.min(item.open()).max(0);
                item.paid += cents;
                most -= cents;
                self.left -= cents;
                self.allocation.add(*component, cents);
            }
        }
    }
}
