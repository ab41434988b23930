//! Days past due and days delinquent, kept apart.
//!
//! Past-due days run from the earliest unpaid due day and nothing stops them. Delinquent days
//! begin after the grace and stand still while a pause is in force. By instalment there is no
//! grace: each instalment's own days decide the range its open amount falls into.

use super::Item;

/// A pause, from the day it begins to the day it ends or is resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    pub from: i32,
    pub to: i32,
}

/// A lender's business days: what is due on another day is due on the next one.
#[derive(Clone, Debug, Default)]
pub struct Calendar {
    pub weekends_off: bool,
    pub holidays: Vec<i32>,
}

impl Calendar {
    /// The business day that something due on a day is due on.
    pub fn due_on(&self, mut day: i32) -> i32 {
        while self.off(day) {
            day += 1;
        }
        day
    }

    fn off(&self, day: i32) -> bool {
        // 1970-01-01 was a Thursday: counting from Monday, day 0 is 3.
        let weekend = self.weekends_off && (day + 3).rem_euclid(7) >= 5;
        weekend || self.holidays.contains(&day)
    }
}

/// Upper ends of delinquency ranges, in days; the last range is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges(pub Vec<i32>);

impl Default for Ranges {
    /// 1-3, 4-30, 31-60, 61-90, 91-120, 121-150, 151-180, 181-240, 241+.
    fn default() -> Self {
        Ranges(vec![3, 30, 60, 90, 120, 150, 180, 240])
    }
}

impl Ranges {
    /// The range of a number of days, from 1; 0: none.
    pub fn of(&self, days: i32) -> usize {
        if days <= 0 { 0 } else { 1 + self.0.iter().filter(|end| days > **end).count() }
    }

    /// `4-30`, `241+`, or `none`.
    pub fn name(&self, range: usize) -> String {
        let Some(place) = range.checked_sub(1) else { return "none".to_owned() };
        let from =
            place.checked_sub(1).and_then(|before| self.0.get(before)).map_or(1, |end| end + 1);
        self.0.get(place).map_or_else(|| format!("{from}+"), |end| format!("{from}-{end}"))
    }
}

/// How late a loan is on a business date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delinquency {
    pub amount: i64,
    /// The earliest unpaid due day.
    pub past_due_on: Option<i32>,
    /// The first day of delinquency: the earliest unpaid due day and the grace.
    pub delinquent_on: Option<i32>,
    pub delinquent_days: i32,
    pub past_due_days: i32,
    pub range: usize,
    /// Open amounts by range, instalment by instalment; entry 0 is what is in none.
    pub by_range: Vec<i64>,
}

/// How late a schedule is on a business date.
pub fn delinquency(
    items: &[Item],
    today: i32,
    grace: i32,
    pauses: &[Pause],
    ranges: &Ranges,
    calendar: &Calendar,
) -> Delinquency {
    let mut answer = Delinquency { by_range: vec![0; ranges.0.len() + 2], ..Default::default() };
    let mut earliest: Option<i32> = None;
    for item in items.iter().filter(|item| item.open() > 0) {
        let due_on = calendar.due_on(item.instalment_on);
        if due_on >= today {
            continue;
        }
        answer.amount += item.open();
        earliest = Some(earliest.map_or(due_on, |day| day.min(due_on)));
        let days = today.saturating_sub(due_on) - paused(pauses, due_on, today);
        answer.by_range[ranges.of(days)] += item.open();
    }
    if let Some(due_on) = earliest {
        let begins = due_on.saturating_add(grace);
        answer.past_due_on = Some(due_on);
        answer.delinquent_on = Some(begins);
        answer.past_due_days = today.saturating_sub(due_on);
        answer.delinquent_days = (today - begins - paused(pauses, begins, today)).max(0);
        answer.range = ranges.of(answer.delinquent_days);
    }
    answer
}

/// Days that pauses stood still between two days. The day a pause begins still counts.
pub fn paused(pauses: &[Pause], from: i32, today: i32) -> i32 {
    pauses.iter().map(|pause| pause.to.min(today).saturating_sub(pause.from.max(from)).max(0)).sum()
}
