//! A schedule as a report writes it: when how much of what is due.
//!
//! `2026-02-01:1000.00:30.00|2026-03-01:1000.00:30.00` are two instalments: a day, then principal,
//! interest, penalty and fee, of which the last ones may be left out. A charge that is due before
//! its instalment names its own day behind it: `2026-02-01/2026-01-15:0.00:0.00:50.00`. No amount
//! is below zero.

use super::{Component, Item};
use crate::normalize::{day, money};

/// The components in the order in which a schedule writes them.
const WRITTEN: [Component; 4] =
    [Component::Principal, Component::Interest, Component::Penalty, Component::Fee];

/// Reads a schedule, amount by amount; nothing is what it is not.
fn read(text: &str, each: &mut dyn FnMut(Item)) -> Option<()> {
    for line in text.split('|') {
        let mut fields = line.split(':');
        let days = fields.next()?;
        let (instalment_on, due_on) = match days.split_once('/') {
            Some((instalment_on, due_on)) => (day(instalment_on)?, day(due_on)?),
            None => (day(days)?, day(days)?),
        };
        let mut components = WRITTEN.into_iter();
        for amount in fields {
            let owed = money(amount).filter(|cents| *cents >= 0)?;
            each(Item::new(instalment_on, due_on, components.next()?, owed));
        }
        if components.len() == WRITTEN.len() {
            return None;
        }
    }
    Some(())
}

/// Penalty, fee, interest and principal of all instalments; `None` where it does not read.
pub fn sums(text: &str) -> Option<[i64; 4]> {
    let mut sums = [0_i64; 4];
    read(text, &mut |item| {
        let sum = &mut sums[item.component as usize];
        *sum = sum.saturating_add(item.owed);
    })?;
    Some(sums)
}

/// What a schedule consists of, without what is nothing; nothing where it does not read.
pub fn items(text: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let whole = read(text, &mut |item| items.extend((item.owed > 0).then_some(item)));
    if whole.is_none() {
        items.clear();
    }
    items
}

/// What is open, in order of days, as a report would write it.
pub fn write(items: &[Item]) -> String {
    let mut lines: Vec<(i32, i32, [i64; 4])> = Vec::new();
    for item in items.iter().filter(|item| item.open() > 0) {
        let days = (item.instalment_on, item.due_on);
        let known = lines.iter().position(|line| (line.0, line.1) == days);
        let place = known.unwrap_or_else(|| {
            lines.push((days.0, days.1, [0; 4]));
            lines.len() - 1
        });
        let amounts = WRITTEN.iter().zip(&mut lines[place].2);
        for (_, cents) in amounts.filter(|(component, _)| **component == item.component) {
            *cents += item.open();
        }
    }
    lines.sort_unstable();
    let mut text = String::new();
    for (instalment_on, due_on, amounts) in lines {
        if !text.is_empty() {
            text.push('|');
        }
        text.push_str(&date(instalment_on));
        if due_on != instalment_on {
            text.push('/');
            text.push_str(&date(due_on));
        }
        let last = amounts.iter().rposition(|cents| *cents != 0).unwrap_or(0);
        for cents in &amounts[..=last] {
            text.push_str(&format!(":{}.{:02}", cents / 100, cents % 100));
        }
    }
    text
}

/// `2026-03-01`.
fn date(day: i32) -> String {
    let date = arrow::temporal_conversions::date32_to_datetime(day);
    date.map(|date| date.date().to_string()).unwrap_or_default()
}

/// Adds a debt to the instalment that a day falls into: the first that is not before it, else the
/// last. It is due with it, or on a day of its own.
pub fn owe(items: &mut Vec<Item>, on: i32, own: bool, component: Component, owed: i64) {
    let days = items.iter().map(|item| item.instalment_on);
    let instalment_on = days.clone().filter(|day| *day >= on).min().or(days.max()).unwrap_or(on);
    let due_on = if own { on } else { instalment_on };
    items.push(Item::new(instalment_on, due_on, component, owed));
}
