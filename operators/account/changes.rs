//! What a changed history says: by how much each booking changed.
//!
//! A movement that stands now and did not before is booked; one that stood and does not any more
//! is withdrawn whole; one whose parts moved is corrected by the difference.

use super::fold::{Parts, Standing};
use super::history::{Movement, Target};
use super::letters::{Letters, text};
use super::loans::{Loan, NO_TEXT};
use super::movements::Scratch;
use super::says::{Booking, Says};
use crate::memory::Keys;

/// A loan whose history changed at a letter.
pub struct Change<'a> {
    pub letters: &'a Letters<'a>,
    pub i: usize,
    pub loan: &'a Loan,
    pub shared: &'a Keys,
    pub scratch: &'a Scratch,
    /// Place of the letter's own movement, and the copy that it replaced.
    pub own: Option<usize>,
    pub replaced: Option<Movement>,
    pub line: u32,
}

impl Change<'_> {
    /// Says by how much the booking of one movement changed.
    pub fn say(&mut self, place: usize, says: &mut Says) {
        let scratch = self.scratch;
        let (standing, now) = scratch.after.booked[place];
        let was = scratch.before.booked.get(place).copied();
        let then =
            was.filter(|(standing, _)| *standing == Standing::Booked).map(|(_, parts)| parts);
        let now = (standing == Standing::Booked).then_some(now);
        let movement = &scratch.history.movements[place];
        let own = self.own == Some(place);
        let replaced = if own { self.replaced.take() } else { None };
        match (then, now) {
            (None, Some(now)) => self.push(movement, None, &now, 0, says),
            (Some(then), None) => {
                let old = replaced.as_ref().unwrap_or(movement);
                self.withdraw(old, &then, says);
            }
            (Some(then), Some(now)) => match replaced {
                Some(old) => {
                    self.withdraw(&old, &then, says);
                    self.push(movement, None, &now, 0, says);
                }
                None if then != now => {
                    let delta = super::fold::difference(&now, &then);
                    let kind = Some(if is_reversal(movement) { "reversal" } else { "payment" });
                    self.push(movement, kind, &delta, collected(&then), says);
                }
                None => {}
            },
            (None, None) => {}
        }
        let why = reason(standing);
        if let Some(why) = why
            && (own || was.is_none_or(|(was, _)| was != standing))
        {
            let place = place_of(self.letters, self.i);
            let lender = named(self.shared, self.loan.lender);
            let id = self.scratch.history.str(&movement.id);
            let source = if own { text(self.letters.source, self.i) } else { None };
            says.refused.push(place, lender, why, source.unwrap_or(id));
        }
    }

    fn withdraw(&mut self, old: &Movement, then: &Parts, says: &mut Says) {
        let taken = then.map(|part| -part);
        self.push(old, Some("withdrawn"), &taken, collected(then), says);
    }

    /// One row of bookings; without a kind it is the movement's first.
    fn push(
        &mut self,
        movement: &Movement,
        kind: Option<&str>,
        parts: &Parts,
        booked: i64,
        says: &mut Says,
    ) {
        let history = &self.scratch.history;
        let first = if is_reversal(movement) { "reversal" } else { "payment" };
        let payment = match movement.target {
            Target::Known(payment) => history.movements.get(payment as usize),
            _ => None,
        };
        // Money leaves by the way it came.
        let channel = payment.map_or(movement.channel, |payment| payment.channel);
        let booking = Booking {
            kind: kind.unwrap_or(first),
            movement_id: history.str(&movement.id),
            reverses: match &movement.target {
                Target::None => None,
                Target::Known(_) => payment.map(|payment| history.str(&payment.id)),
                Target::Awaited(id) => Some(history.str(id)),
            },
            loan_id: text(self.letters.loan_id, self.i),
            lender_id: named(self.shared, self.loan.lender)
                .or(text(self.letters.lender_id, self.i)),
            currency: named(self.shared, self.loan.currency)
                .or(text(self.letters.currency, self.i)),
            paid_at: Some(movement.at),
            channel: channel.checked_sub(1).map(|row| self.shared.key(row)),
            correction: kind.is_some(),
            parts: *parts,
            suspense: 0,
            line: self.line,
            number: Some(movement.number),
            undoes: payment.map(|payment| payment.number),
            booked,
        };
        self.line += 1;
        says.bookings.push(self.letters, self.i, &booking);
    }
}

fn reason(standing: Standing) -> Option<&'static str> {
    match standing {
        Standing::Booked | Standing::Waiting => None,
        Standing::AlreadyReversed => Some("already_reversed"),
        Standing::ReversalAmount => Some("reversal_amount"),
        Standing::ReversalTarget => Some("reversal_target"),
    }
}

fn is_reversal(movement: &Movement) -> bool {
    movement.target != Target::None
}

fn collected(parts: &Parts) -> i64 {
    parts[..4].iter().sum()
}

pub fn named(shared: &Keys, row: u32) -> Option<&str> {
    (row != NO_TEXT).then(|| shared.key(row))
}

pub fn place_of(letters: &Letters<'_>, i: usize) -> (u32, u64, u32) {
    (letters.shard.value(i), letters.seq.value(i), letters.row.value(i))
}
