//! A column of amounts in cents, four bytes each.
//!
//! Ten million open cases must fit, and hardly a loan is worth more than twenty million. What
//! does not fit four bytes stands in a list of its own, so every amount is kept whole.

use std::collections::BTreeMap;

use super::cases::UNPRICED;

/// No price yet.
const NOTHING: i32 = i32::MIN;
/// Look in the list.
const ELSEWHERE: i32 = i32::MIN + 1;

/// Amounts by row.
#[derive(Default)]
pub struct Amounts {
    small: Vec<i32>,
    large: BTreeMap<u32, i64>,
}

impl Amounts {
    #[inline]
    pub fn get(&self, row: u32) -> i64 {
        match self.small[row as usize] {
            NOTHING => UNPRICED,
            ELSEWHERE => self.large.get(&row).copied().unwrap_or(0),
            small => i64::from(small),
        }
    }

    pub fn set(&mut self, row: u32, amount: i64) {
        let small = match i32::try_from(amount) {
            Ok(small) if small > ELSEWHERE => small,
            _ if amount == UNPRICED => NOTHING,
            _ => ELSEWHERE,
        };
        let before = std::mem::replace(&mut self.small[row as usize], small);
        if small == ELSEWHERE {
            self.large.insert(row, amount);
        } else if before == ELSEWHERE {
            self.large.remove(&row);
        }
    }

    pub fn push(&mut self, amount: i64) {
        grow(&mut self.small);
        self.small.push(0);
        self.set(self.small.len() as u32 - 1, amount);
    }

    /// Every amount, by row.
    pub fn save(&self) -> impl Iterator<Item = i64> {
        (0..self.small.len() as u32).map(|row| self.get(row))
    }

    pub fn load(amounts: Vec<i64>) -> Self {
        let mut loaded = Amounts::default();
        amounts.into_iter().for_each(|amount| loaded.push(amount));
        loaded
    }

    pub fn size(&self) -> usize {
        self.small.len() * 4 + self.large.len() * 24
    }
}

/// Makes room by an eighth where a column is full: doubling would leave half of it unused.
pub fn grow<T>(column: &mut Vec<T>) {
    if column.len() == column.capacity() {
        column.reserve_exact(column.len() / 8 + 64);
    }
}
