//! What a changed history says: by how much each booking changed.
//!
//! A movement that stands now and did not before is booked; one that stood and does not any more
//! is withdrawn whole; one whose parts moved is corrected by the difference.

use super::bookings::Booking;
use super::debt::{Booked, Parts, Stands, difference};
use super::history::{Movement, Target};
use super::letters::{Letters, text};
use super::loans::{Loan, NO_TEXT, day_of};
use super::movements::Scratch;
use super::says::Says;
use super::waterfalls;
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

/// What one row of bookings says beside its movement.
struct Row {
    kind: &'static str,
    correction: bool,
    booked: i64,
    /// Whether the letter is this movement's, and says on what grounds.
    own: bool,
}

impl Change<'_> {
    /// Says by how much the booking of one movement changed.
    pub fn say(&mut self, place: usize, says: &mut Says) {
        let scratch = self.scratch;
        let after = scratch.after.booked[place];
        let was = scratch.before.booked.get(place).copied();
        let then = was.filter(|was| was.stands == Stands::Booked);
        let now = (after.stands == Stands::Booked).then_some(after);
        let movement = &scratch.history.movements[place];
        let own = self.own == Some(place);
        let replaced = if own { self.replaced.take() } else { None };
        match (then, now) {
            (None, Some(now)) => self.first(movement, &now, own, says),
            (Some(then), None) => {
                let old = replaced.as_ref().unwrap_or(movement);
                self.withdraw(old, &then, says);
            }
            (Some(then), Some(now)) => match replaced {
                Some(old) => {
                    self.withdraw(&old, &then, says);
                    self.first(movement, &now, own, says);
                }
                None => self.correct(movement, &then, &now, says),
            },
            (None, None) => {}
        }
        let why = reason(after.stands);
        if let Some(why) = why
            && (own || was.is_none_or(|was| was.stands != after.stands))
        {
            let place = place_of(self.letters, self.i);
            let lender = named(self.shared, self.loan.lender);
            let id = self.scratch.history.str(&movement.id);
            let source = if own { text(self.letters.source, self.i) } else { None };
            says.refused.push(place, lender, why, source.unwrap_or(id));
        }
    }

    fn first(&mut self, movement: &Movement, now: &Booked, own: bool, says: &mut Says) {
        let row = Row { kind: movement.act.name(), correction: false, booked: 0, own };
        self.push(movement, now, &now.parts, &row, says);
    }

    fn withdraw(&mut self, old: &Movement, then: &Booked, says: &mut Says) {
        let taken = then.parts.map(|part| -part);
        let booked = collected(&then.parts);
        let row = Row { kind: "withdrawn", correction: true, booked, own: false };
        self.push(old, then, &taken, &row, says);
    }

    /// What moved, moved by a difference; what is income now and was receivable, or the other way
    /// round, leaves one and enters the other.
    fn correct(&mut self, movement: &Movement, then: &Booked, now: &Booked, says: &mut Says) {
        let kind = movement.act.name();
        let row = Row { kind, correction: true, booked: collected(&then.parts), own: false };
        if then.recovered != now.recovered {
            self.push(movement, then, &then.parts.map(|part| -part), &row, says);
            self.push(movement, now, &now.parts, &Row { booked: 0, ..row }, says);
        } else if then.parts != now.parts {
            self.push(movement, now, &difference(&now.parts, &then.parts), &row, says);
        }
    }

    fn push(
        &mut self,
        movement: &Movement,
        booked: &Booked,
        parts: &Parts,
        row: &Row,
        says: &mut Says,
    ) {
        let history = &self.scratch.history;
        let payment = match movement.target {
            Target::Known(payment) => history.movements.get(payment as usize),
            _ => None,
        };
        // Money leaves by the way it came.
        let channel = payment.map_or(movement.channel, |payment| payment.channel);
        // What takes a waiver or a fee back is booked where that was.
        let undone = payment.map(|payment| payment.act).filter(|act| !act.is_money());
        let act = undone.filter(|_| movement.act.undoes()).unwrap_or(movement.act);
        let report = booked.report.map(|report| &history.reports[report as usize]);
        let reported = report.map(|report| {
            let passed = day_of(movement.at).saturating_sub(day_of(report.at)).max(0);
            report.days_past_due.saturating_add(passed)
        });
        let days = booked.days.or(reported);
        let grounds = [self.letters.reason, self.letters.payer, self.letters.authority];
        let grounds = grounds.into_iter().find_map(|column| text(column, self.i));
        let booking = Booking {
            kind: row.kind,
            act: act.name(),
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
            correction: row.correction,
            parts: *parts,
            suspense: 0,
            line: self.line,
            number: Some(movement.number),
            undoes: payment.map(|payment| payment.number),
            booked: row.booked,
            recovered: booked.recovered,
            days_past_due: days,
            balance: Some(booked.balance),
            waterfall: Some(waterfalls::name(booked.code)),
            grounds: grounds.filter(|_| row.own),
        };
        self.line += 1;
        says.bookings.push(self.letters, self.i, &booking);
    }
}

fn reason(stands: Stands) -> Option<&'static str> {
    match stands {
        Stands::Booked | Stands::Waiting => None,
        Stands::AlreadyReversed => Some("already_reversed"),
        Stands::ReversalAmount => Some("reversal_amount"),
        Stands::ReversalTarget => Some("reversal_target"),
    }
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
