//! The advanced allocation: twelve rules in any order per kind of movement.

use super::Component::{Fee, Interest, Penalty, Principal};
use super::Timing::{Due, InAdvance, PastDue};
use super::{Component, Future, Group, Strategy, Sweep, Timing};

/// The rules by name, in the usual order: past due, due, in advance; penalty, fee, interest,
/// principal in each.
pub const RULES: [&str; 12] = [
    "past_due_penalty",
    "past_due_fee",
    "past_due_interest",
    "past_due_principal",
    "due_penalty",
    "due_fee",
    "due_interest",
    "due_principal",
    "in_advance_penalty",
    "in_advance_fee",
    "in_advance_interest",
    "in_advance_principal",
];
pub const SWEEPS: [&str; 2] = ["horizontal", "vertical"];
pub const FUTURES: [&str; 3] = ["next", "last", "spread"];
/// The movements that may have rules of their own: those that fill a debt.
pub const FILLS: [&str; 4] = ["payment", "payoff", "waiver", "charge_off"];

/// How one kind of movement is allocated.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    /// Nothing: every kind that has no row of its own.
    kind: Option<String>,
    rules: Vec<(Timing, Component)>,
    future: Future,
}

/// The whole of it. Its text is what a loan's memory keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advanced {
    sweep: Sweep,
    rows: Vec<Row>,
}

impl Advanced {
    pub fn new(sweep: Sweep) -> Self {
        Advanced { sweep, rows: Vec::new() }
    }

    /// Lays down how a kind of movement is allocated, or all that have no row of their own. Rules
    /// that are not named are the usual ones.
    pub fn lay(&mut self, kind: Option<&str>, rules: &str, future: Future) {
        let rules = rules.split('|').filter_map(rule).collect();
        self.rows.push(Row { kind: kind.map(str::to_owned), rules, future });
    }

    /// As [`Advanced::write`] wrote it.
    pub fn read(text: &str) -> Self {
        let mut lines = text.split(';');
        let mut read = Advanced::new(sweep(lines.next().unwrap_or_default()));
        for line in lines {
            let mut fields = line.splitn(3, ':').map(str::trim);
            let mut field = || fields.next().unwrap_or_default();
            let (kind, future, rules) = (field(), field(), field());
            read.lay((!kind.is_empty()).then_some(kind), rules, self::future(future));
        }
        read
    }

    pub fn write(&self) -> String {
        let mut text = SWEEPS[self.sweep as usize].to_owned();
        for row in &self.rows {
            let rules: Vec<&str> = row.rules.iter().map(|(t, c)| RULES[place(*t, *c)]).collect();
            let kind = row.kind.as_deref().unwrap_or_default();
            text += &format!(";{kind}:{}:{}", FUTURES[row.future as usize], rules.join("|"));
        }
        text
    }

    /// The strategy of a kind of movement.
    pub fn of(&self, kind: &str) -> Strategy {
        let row = |kind: Option<&str>| self.rows.iter().find(|row| row.kind.as_deref() == kind);
        let row = row(Some(kind)).or_else(|| row(None));
        let future = row.map_or(Future::Next, |row| row.future);
        let rules = row.map(|row| row.rules.clone()).filter(|rules| !rules.is_empty());
        let mut groups: Vec<Group> = Vec::new();
        for (timing, component) in rules.unwrap_or_else(usual) {
            // Swept horizontally, all rules of one timing belong together, as in Fineract.
            let known = match self.sweep {
                Sweep::Horizontal => groups.iter_mut().find(|one| one.timings == [timing]),
                Sweep::Vertical => None,
            };
            match known {
                Some(known) => known.components.push(component),
                None => {
                    groups.push(Group { timings: vec![timing], components: vec![component] });
                }
            }
        }
        Strategy { groups, late: None, sweep: self.sweep, future, own_days: false }
    }
}

const TIMINGS: [Timing; 3] = [PastDue, Due, InAdvance];
const COMPONENTS: [Component; 4] = [Penalty, Fee, Interest, Principal];

fn place(timing: Timing, component: Component) -> usize {
    4 * timing as usize + component as usize
}

fn rule(name: &str) -> Option<(Timing, Component)> {
    let place = RULES.iter().position(|rule| *rule == name.trim())?;
    Some((TIMINGS[place / 4], COMPONENTS[place % 4]))
}

fn usual() -> Vec<(Timing, Component)> {
    RULES.iter().filter_map(|name| rule(name)).collect()
}

pub fn sweep(name: &str) -> Sweep {
    if name == SWEEPS[1] { Sweep::Vertical } else { Sweep::Horizontal }
}

pub fn future(name: &str) -> Future {
    match FUTURES.iter().position(|future| *future == name) {
        Some(1) => Future::Last,
        Some(2) => Future::Spread,
        _ => Future::Next,
    }
}
