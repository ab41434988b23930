//! The independent model: what every movement books, from the set of facts alone.
//!
//! Slow and plain on purpose. It walks whole lists of events again for every question, keeps no
//! sums, and shares no code with the operators.

use std::collections::{BTreeMap, BTreeSet};

use crate::flow::{DAY, Letter};

/// Penalty, fee, interest, principal, over, before the first report.
pub type Parts = [i64; 6];

/// What the model says of one loan.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// What each standing movement books.
    pub booked: BTreeMap<String, Parts>,
    /// Those that came after a charge-off, or take back what did.
    pub recovered: BTreeSet<String>,
    /// Penalty, fee, interest, principal still owed.
    pub owed: [i64; 4],
}

/// What can happen within a segment.
#[derive(Clone)]
enum Event<'a> {
    /// Anything that is not a reversal.
    Act(&'a Letter),
    Undo(&'a Letter),
    /// A movement of an earlier segment is undone on a day: what it booked.
    Reopen {
        of: &'a Letter,
        parts: Parts,
        on: i32,
    },
}

/// Debts by day, money over, and how many settlements and charge-offs stand.
#[derive(Clone, Default)]
struct State {
    /// In the order of days. A loan without a schedule has one day.
    due: Vec<(i32, [i64; 4])>,
    over: i64,
    settled: i32,
    off: i32,
}

impl State {
    fn order(&self) -> [usize; 4] {
        match (self.off > 0, self.settled > 0) {
            (true, _) => [3, 2, 0, 1],
            (false, true) => [3, 2, 1, 0],
            _ => [0, 1, 2, 3],
        }
    }

    fn begin(report: &Letter, like: State) -> Self {
        let mut due = report.schedule.clone();
        due.retain(|line| line.1 != [0; 4]);
        if due.is_empty() {
            due.push((0, report.owed));
        }
        State { due, over: 0, ..like }
    }

    fn debts(&self) -> [i64; 4] {
        std::array::from_fn(|part| self.due.iter().map(|line| line.1[part]).sum())
    }

    /// A debt that comes up on a day is due with the first instalment from then on, or the last.
    fn add(&mut self, on: i32, part: usize, cents: i64) {
        let place = self.due.iter().position(|line| line.0 >= on);
        let place = place.unwrap_or(self.due.len().max(1) - 1);
        if self.due.is_empty() {
            self.due.push((on, [0; 4]));
        }
        self.due[place].1[part] += cents;
    }

    /// Takes coins off the debts, day by day and component by component; what is left of them.
    fn pay(&mut self, mut coins: i64) -> i64 {
        let order = self.order();
        for (_, debts) in &mut self.due {
            for part in order {
                let taken = coins.min(debts[part].max(0));
                debts[part] -= taken;
                coins -= taken;
            }
        }
        coins
    }

    /// Gives up debt of a kind, that of the last day first; how much there was.
    fn drop(&mut self, part: usize, most: i64) -> i64 {
        let mut left = most;
        for (_, debts) in self.due.iter_mut().rev() {
            let lower = left.min(debts[part].max(0));
            debts[part] -= lower;
            left -= lower;
        }
        most - left
    }

    fn act(&mut self, one: &Letter, credit_before: i64) {
        let on = one.at.div_euclid(DAY) as i32;
        match one.kind {
            "payment" | "payoff" => self.over += self.pay(one.amount),
            "nsf_fee" => self.add(on, 0, one.amount),
            "waiver" => {
                self.pay(one.amount);
                self.settled += i32::from(one.reason == Some("settlement"));
            }
            "charge_off" => self.off += 1,
            _ => {
                let credit = (credit_before + self.over).max(0).min(-one.amount);
                self.over -= credit;
                self.add(on, 3, -one.amount - credit);
            }
        }
    }

    fn reopen(&mut self, of: &Letter, parts: &Parts, on: i32) {
        self.settled -= i32::from(of.reason == Some("settlement"));
        if of.kind == "charge_off" {
            self.off -= 1;
            return;
        }
        self.over -= parts[4];
        for i in 0..4 {
            if parts[i] >= 0 {
                self.add(on, i, parts[i]);
            } else {
                // A fee is taken back: what was paid of it is the borrower's.
                let lower = self.drop(i, -parts[i]);
                self.over += -parts[i] - lower;
            }
        }
    }
}

/// The state after some events of a segment.
fn after(start: &State, credit_before: i64, events: &[Event]) -> State {
    let mut state = start.clone();
    let undone: Vec<&str> = events
        .iter()
        .filter_map(
            |event| if let Event::Undo(one) = event { one.reverses.as_deref() } else { None },
        )
        .collect();
    for event in events {
        match event {
            Event::Act(one) if !undone.contains(&one.id.as_str()) => state.act(one, credit_before),
            Event::Reopen { of, parts, on } => state.reopen(of, parts, *on),
            _ => {}
        }
    }
    state
}

/// The facts of one loan, each once, in no order that matters.
pub fn truth(facts: &[Letter]) -> Truth {
    let mut reports: Vec<&Letter> = facts.iter().filter(|fact| fact.kind == "report").collect();
    reports.sort_by_key(|report| (report.at, report.id.clone()));
    let named: BTreeMap<&String, &Letter> =
        facts.iter().filter(|fact| fact.kind != "report").map(|one| (&one.id, one)).collect();
    let target = |one: &Letter| one.reverses.as_ref().and_then(|id| named.get(id)).copied();
    let segment_of = |at: i64| reports.iter().filter(|report| report.at < at).count();
    let when = |one: &Letter| match target(one) {
        Some(of) if (one.at, &one.id) < (of.at, &of.id) => (of.at, of.id.clone(), 1),
        _ => (one.at, one.id.clone(), 0),
    };
    let mut order: Vec<&Letter> = standing(facts, &named);
    order.sort_by_key(|one| when(one));
    let mut truth = Truth::default();
    let mut here: (usize, State, i64, Vec<Event>) = (0, State::default(), 0, Vec::new());
    for one in order {
        let own = segment_of(when(one).0);
        if own != here.0 {
            let end = after(&here.1, here.2, &here.3);
            let credit = truth.booked.values().map(|parts| parts[4]).sum();
            let start = State::begin(reports[own - 1], end);
            here = (own, start, credit, Vec::new());
        }
        let (_, start, credit, events) = &mut here;
        let before = after(start, *credit, events);
        let home = target(one).map(|of| segment_of(when(of).0));
        let undoes = matches!(one.kind, "reversal" | "return");
        let of = target(one).filter(|_| undoes);
        events.push(match (of, home) {
            (Some(_), Some(home)) if home == own => Event::Undo(one),
            (Some(of), _) => {
                let on = one.at.div_euclid(DAY) as i32;
                Event::Reopen { of, parts: truth.booked[&of.id], on }
            }
            _ => Event::Act(one),
        });
        let now = after(start, *credit, events);
        let written_off = match target(one) {
            Some(of) => truth.recovered.contains(&of.id),
            None => before.off > 0,
        };
        let parts = parts(one, of, (own, &before, &now), &truth);
        truth.booked.insert(one.id.clone(), parts);
        if own > 0 && written_off {
            truth.recovered.insert(one.id.clone());
        }
    }
    if let Some(newest) = reports.last() {
        let (own, start, credit, events) = &here;
        let end = after(start, *credit, events);
        truth.owed = if *own == reports.len() { end.debts() } else { newest.owed };
    }
    truth
}

/// What one movement books: the difference that it makes.
fn parts(
    one: &Letter,
    of: Option<&Letter>,
    (own, before, now): (usize, &State, &State),
    truth: &Truth,
) -> Parts {
    let undone = of.map(|of| truth.booked[&of.id]);
    if own == 0 {
        let money = !matches!(one.kind, "nsf_fee" | "waiver" | "charge_off");
        let own = [0, 0, 0, 0, 0, if money { one.amount } else { 0 }];
        return undone.map_or(own, |parts| parts.map(|part| -part));
    }
    let mut parts = [0; 6];
    let (then, later) = (before.debts(), now.debts());
    (0..4).for_each(|i| parts[i] = then[i] - later[i]);
    parts[4] = now.over - before.over;
    if let Some(undone) = undone {
        parts[5] = -undone[5];
        if of.is_some_and(|of| of.kind == "charge_off") {
            (0..4).for_each(|i| parts[i] -= undone[i]);
        }
    }
    if one.kind == "charge_off" {
        // What is charged off stays owed; it leaves the books.
        let mut rest = before.clone();
        rest.pay(one.amount);
        let rest = rest.debts();
        (0..4).for_each(|i| parts[i] = then[i] - rest[i]);
    }
    parts
}

/// What stands by itself, and of what fits to take each back the first in business order.
fn standing<'a>(facts: &'a [Letter], named: &BTreeMap<&String, &Letter>) -> Vec<&'a Letter> {
    let backs = ["reversal", "return", "chargeback"];
    let fits = |one: &&Letter| {
        let Some(of) = one.reverses.as_ref().and_then(|id| named.get(id)) else { return false };
        let pays = matches!(of.kind, "payment" | "payoff");
        let other = matches!(of.kind, "nsf_fee" | "waiver" | "charge_off");
        match one.kind {
            "chargeback" => pays && -one.amount <= of.amount,
            _ => (pays || other) && of.amount == -one.amount,
        }
    };
    let own = |fact: &&Letter| fact.kind != "report" && !backs.contains(&fact.kind);
    let mut standing: Vec<&Letter> = facts.iter().filter(own).collect();
    for id in named.keys() {
        let against = facts.iter().filter(|fact| backs.contains(&fact.kind));
        let against = against.filter(|fact| fact.reverses.as_ref() == Some(id)).filter(fits);
        standing.extend(against.min_by_key(|one| (one.at, one.id.clone())));
    }
    standing
}

/// Commission on what a movement collected: halves go away from zero.
pub fn commission(collected: i64, rate: i64) -> i64 {
    let product = i128::from(collected) * i128::from(rate);
    let sign = if product < 0 { -1 } else { 1 };
    ((product.abs() + 500_000) / 1_000_000 * sign) as i64
}
