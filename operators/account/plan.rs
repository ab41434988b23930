//! A debt by instalments, and what one movement after the other makes of it.
//!
//! Of a loan whose report has a schedule a payment is not a sum that fills components: where it
//! goes depends on the day, on what is due by then and on the loan's waterfall. So each movement
//! is allocated in its turn over what is still open. A loan without a schedule never comes here.

use std::rc::Rc;

use super::acts::Act;
use super::debt::{OVER, PENALTY, Parts};
use super::history::{Read, put_signed, put_unsigned};
use super::waterfalls;
use crate::settle::waterfall::{Advanced, Allocation, Component, Item, Strategy, by_code, owe};

const COMPONENTS: [Component; 4] =
    [Component::Penalty, Component::Fee, Component::Interest, Component::Principal];

/// What is owed by instalment.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub items: Vec<Item>,
    /// The rules of the advanced allocation, which the report fixed.
    advanced: Rc<Advanced>,
}

impl Plan {
    /// A schedule as a history keeps it, and the text of its advanced allocation.
    pub fn open(schedule: &[u8], rules: &str) -> Self {
        Plan {
            items: unpack(schedule).unwrap_or_default(),
            advanced: Rc::new(Advanced::read(rules)),
        }
    }

    /// What is still owed: penalty, fee, interest, principal.
    pub fn rest(&self) -> [i64; 4] {
        let mut rest = [0_i64; 4];
        for item in &self.items {
            let part = &mut rest[item.component as usize];
            *part = part.saturating_add(item.open());
        }
        rest
    }

    /// Days since the earliest unpaid instalment was due.
    pub fn days_past_due(&self, day: i32) -> i32 {
        let open = self.items.iter().filter(|item| item.open() > 0);
        let earliest = open.map(|item| item.instalment_on).min().unwrap_or(day);
        day.saturating_sub(earliest).max(0)
    }

    /// What a movement of its own books; reversals are not. Money that is paid out comes from the
    /// borrower's credit first.
    pub fn take(&mut self, act: Act, (amount, day): (i64, i32), code: u8, credit: i64) -> Parts {
        match act {
            Act::Chargeback | Act::Refund => {
                let over = credit.clamp(0, (-amount).max(0));
                let principal = -amount - over;
                self.owe(day, Component::Principal, principal);
                [0, 0, 0, -principal, -over, 0]
            }
            Act::NsfFee => {
                owe(&mut self.items, day, true, Component::Penalty, amount);
                let mut parts = [0; 6];
                parts[PENALTY] = -amount;
                parts
            }
            Act::Waiver | Act::Settlement => {
                let mut parts = self.pay(act, (amount, day), code);
                parts[OVER] = 0;
                parts
            }
            Act::ChargeOff => {
                let mut parts = self.clone().pay(act, (amount, day), code);
                parts[OVER] = 0;
                parts
            }
            Act::Payment | Act::Payoff | Act::Reversal | Act::Return => {
                self.pay(act, (amount, day), code)
            }
        }
    }

    fn pay(&mut self, act: Act, (amount, day): (i64, i32), code: u8) -> Parts {
        let strategy = self.strategy(act, code);
        let went = strategy.allocate(&mut self.items, day, amount);
        let Allocation { penalty, fee, interest, principal, over } = went;
        [penalty, fee, interest, principal, over, 0]
    }

    fn strategy(&self, act: Act, code: u8) -> Strategy {
        let named = by_code(waterfalls::name(code));
        named.unwrap_or_else(|| self.advanced.of(act.name()))
    }

    /// What an earlier movement booked is owed again, in the instalment of this day. A fee that is
    /// taken back lowers what is open of it; where it is paid by now, it is the borrower's.
    pub fn reopen(&mut self, day: i32, booked: &Parts) -> Parts {
        let mut parts = booked.map(|part| -part);
        for (part, component) in COMPONENTS.into_iter().enumerate() {
            if booked[part] >= 0 {
                self.owe(day, component, booked[part]);
            } else {
                let lowered = self.lower(component, -booked[part]);
                parts[OVER] += parts[part] - lowered;
                parts[part] = lowered;
            }
        }
        parts
    }

    fn owe(&mut self, day: i32, component: Component, owed: i64) {
        if owed > 0 {
            owe(&mut self.items, day, false, component, owed);
        }
    }

    /// Takes a component off what is open, the last instalment first; answers with how much.
    fn lower(&mut self, component: Component, most: i64) -> i64 {
        let mut left = most;
        let mut items: Vec<&mut Item> = self.items.iter_mut().collect();
        items.retain(|item| item.component == component);
        items.sort_by_key(|item| std::cmp::Reverse(item.instalment_on));
        for item in items {
            let taken = item.open().min(left);
            item.owed -= taken;
            left -= taken;
        }
        most - left
    }
}

/// Set where an item is due on a day of its own, not with its instalment.
const OWN_DAY: u8 = 16;

/// A schedule in few bytes: for every item its day as a difference from the one before, its
/// component, its own day if it has one, and its amount.
pub fn pack(items: &[Item]) -> Vec<u8> {
    let (mut bytes, mut before) = (Vec::new(), 0);
    for item in items {
        let own = if item.due_on == item.instalment_on { 0 } else { OWN_DAY };
        put_signed(&mut bytes, i64::from(item.instalment_on) - before);
        bytes.push(own | item.component as u8);
        if own != 0 {
            put_signed(&mut bytes, i64::from(item.due_on) - i64::from(item.instalment_on));
        }
        put_unsigned(&mut bytes, item.owed.unsigned_abs());
        before = i64::from(item.instalment_on);
    }
    bytes
}

fn unpack(bytes: &[u8]) -> Option<Vec<Item>> {
    let (mut items, mut before) = (Vec::new(), 0_i64);
    let mut read = Read { bytes, at: 0 };
    while read.at < bytes.len() {
        before = before.checked_add(read.signed()?)?;
        let tag = read.byte()?;
        let own = if tag & OWN_DAY != 0 { read.signed()? } else { 0 };
        let instalment_on = i32::try_from(before).ok()?;
        let due_on = i32::try_from(before.checked_add(own)?).ok()?;
        let component = *COMPONENTS.get(usize::from(tag & !OWN_DAY))?;
        let owed = i64::try_from(read.unsigned()?).ok()?;
        items.push(Item::new(instalment_on, due_on, component, owed));
    }
    Some(items)
}
