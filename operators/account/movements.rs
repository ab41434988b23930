//! Taking reports and movements into a loan's history.
//!
//! Two roads each: what comes in business order is appended, and the state at the end of the
//! history says what it books; what comes late, replaces a copy or reverses unpacks the history
//! and folds it before and after, and every difference is said.

use arrow::array::Array;

use super::Account;
use super::changes::{Change, named, place_of};
use super::fold::{Debt, Fold};
use super::history::{History, Movement, Report, Target};
use super::letters::{Letters, text};
use super::loans::{Loan, NO_TEXT, day_of};
use super::says::{Booking, Says};

/// Money dated this many days after the newest day tick is not believed.
const FUTURE_DAYS_MAX: i32 = 366;

/// Room for folding, kept between letters.
#[derive(Default)]
pub struct Scratch {
    pub history: History,
    pub before: Fold,
    pub after: Fold,
    starts: Vec<u32>,
}

/// A movement as its letter brings it.
struct Incoming<'a> {
    id: &'a str,
    at: i64,
    amount: i64,
    reverses: Option<&'a str>,
}

impl Account {
    pub(super) fn report(&mut self, letters: &Letters<'_>, i: usize, says: &mut Says) {
        let named = self.name_loan(letters, i);
        let (id, at) = (text(letters.id, i), letters.at(i));
        let (Some(id), Some(at), true) = (id, at, named) else {
            let why = match (named, id) {
                (false, _) => "missing_loan_id",
                (_, None) => "missing_event_id",
                _ => "missing_event_time",
            };
            return refuse(letters, i, why, says);
        };
        let row = self.loan();
        let loan = &mut self.loans[row as usize];
        let kept = loan.history_bytes();
        let owed = letters.owed(i);
        let days =
            if letters.days_past_due.is_valid(i) { letters.days_past_due.value(i) } else { 0 };
        let newest = !loan.reported() || at > loan.event_time;
        if newest && loan.last_at <= at && letters.replaces_at.is_null(i) {
            let start = loan.history.report(at, id.as_bytes(), &owed, days);
            loan.opens(start, at, days);
            loan.debt = Debt { owed, sum: 0 };
            loan.describe(letters, i, &mut self.shared);
        } else {
            self.late_report(letters, i, row, (id, at, owed, days), says);
        }
        self.history_bytes += self.loans[row as usize].history_bytes() - kept;
        self.stamp(letters, i, row, "report", says);
    }

    fn late_report(
        &mut self,
        letters: &Letters<'_>,
        i: usize,
        row: u32,
        (id, at, owed, days_past_due): (&str, i64, [i64; 4], i32),
        says: &mut Says,
    ) {
        let loan = &mut self.loans[row as usize];
        let history = self.scratch.unfold(loan);
        let known = history.reports.iter().position(|one| history.bytes(&one.id) == id.as_bytes());
        let place = match known {
            Some(place) if letters.replaces_at.is_valid(i) => {
                let id = history.reports[place].id.clone();
                history.reports[place] = Report { at, id, owed, days_past_due };
                place
            }
            Some(_) => return,
            None => {
                let id = history.keep(id);
                history.push_report(Report { at, id, owed, days_past_due });
                history.reports.len() - 1
            }
        };
        self.scratch.refold(loan);
        if self.scratch.after.newest == Some(place as u32) {
            loan.describe(letters, i, &mut self.shared);
        }
        self.say_changes(letters, i, row, None, None, says);
    }

    pub(super) fn movement(
        &mut self,
        letters: &Letters<'_>,
        i: usize,
        reversal: bool,
        says: &mut Says,
    ) {
        if !self.name_loan(letters, i) {
            return refuse(letters, i, "missing_loan_id", says);
        }
        let kind = if reversal { "reversal" } else { "payment" };
        match self.check(letters, i, reversal) {
            Ok(incoming) => {
                let row = self.loan();
                let kept = self.loans[row as usize].history_bytes();
                self.take(letters, i, row, &incoming, says);
                self.history_bytes += self.loans[row as usize].history_bytes() - kept;
                self.stamp(letters, i, row, kind, says);
            }
            Err(why) => {
                refuse(letters, i, why, says);
                if let Some(row) = self.keys.find(&self.key) {
                    self.stamp(letters, i, row, kind, says);
                }
            }
        }
    }

    fn take(
        &mut self,
        letters: &Letters<'_>,
        i: usize,
        row: u32,
        incoming: &Incoming<'_>,
        says: &mut Says,
    ) {
        let channel = text(letters.channel, i).map_or(0, |name| self.shared.row(name).0 + 1);
        let loan = &mut self.loans[row as usize];
        let at = incoming.at;
        let last = at > loan.last_at && at > loan.event_time && loan.reported();
        let plain = incoming.reverses.is_none() && letters.replaces_at.is_null(i);
        if !(last && plain) || loan.waiting {
            return self.late_movement(letters, i, row, incoming, channel, says);
        }
        let number = self.numbered;
        self.numbered = next_number(number);
        loan.history.payment(at, incoming.id.as_bytes(), incoming.amount, number, channel);
        loan.last_at = at;
        let parts = loan.debt.book(incoming.amount);
        let booking = Booking {
            kind: "payment",
            movement_id: incoming.id,
            reverses: None,
            loan_id: text(letters.loan_id, i),
            lender_id: named(&self.shared, loan.lender).or(text(letters.lender_id, i)),
            currency: named(&self.shared, loan.currency).or(text(letters.currency, i)),
            paid_at: Some(at),
            channel: text(letters.channel, i),
            correction: false,
            parts,
            suspense: 0,
            line: 0,
            number: Some(number),
            undoes: None,
            booked: 0,
        };
        says.bookings.push(letters, i, &booking);
    }

    fn late_movement(
        &mut self,
        letters: &Letters<'_>,
        i: usize,
        row: u32,
        incoming: &Incoming<'_>,
        channel: u32,
        says: &mut Says,
    ) {
        let loan = &mut self.loans[row as usize];
        let history = self.scratch.unfold(loan);
        let place_of = |history: &History, id: &str| {
            history.movements.iter().position(|one| history.bytes(&one.id) == id.as_bytes())
        };
        let known = place_of(history, incoming.id);
        if known.is_some() && letters.replaces_at.is_null(i) {
            return;
        }
        let id = history.keep(incoming.id);
        let place = known.unwrap_or(history.movements.len());
        let target = match incoming.reverses {
            None => Target::None,
            // Only a movement that is here by now can be named by its place.
            Some(reverses) => match place_of(history, reverses) {
                Some(payment) => Target::Known(payment as u32),
                None => Target::Awaited(history.keep(reverses)),
            },
        };
        let (at, amount) = (incoming.at, incoming.amount);
        let mut movement = Movement { at, id, amount, number: self.numbered, channel, target };
        let replaced = match known {
            Some(known) => {
                movement.number = history.movements[known].number;
                Some(std::mem::replace(&mut history.movements[known], movement))
            }
            None => {
                self.numbered = next_number(self.numbered);
                history.push_movement(movement);
                None
            }
        };
        for at in 0..history.movements.len() {
            if let Target::Awaited(id) = &history.movements[at].target
                && history.bytes(id) == incoming.id.as_bytes()
            {
                history.movements[at].target = Target::Known(place as u32);
            }
        }
        self.scratch.refold(loan);
        self.say_changes(letters, i, row, Some(place), replaced, says);
    }

    fn say_changes(
        &self,
        letters: &Letters<'_>,
        i: usize,
        row: u32,
        own: Option<usize>,
        replaced: Option<Movement>,
        says: &mut Says,
    ) {
        let mut change = Change {
            letters,
            i,
            loan: &self.loans[row as usize],
            shared: &self.shared,
            scratch: &self.scratch,
            own,
            replaced,
            line: 0,
        };
        if let Some(own) = own {
            change.say(own, says);
        }
        for place in &self.scratch.after.order {
            if Some(*place as usize) != own {
                change.say(*place as usize, says);
            }
        }
    }

    /// What a movement must have before it may touch a loan.
    fn check<'a>(
        &self,
        letters: &Letters<'a>,
        i: usize,
        reversal: bool,
    ) -> Result<Incoming<'a>, &'static str> {
        let incoming = sound(letters, i, reversal)?;
        if self.day.is_some_and(|day| day_of(incoming.at) > day.saturating_add(FUTURE_DAYS_MAX)) {
            return Err("future_dated");
        }
        let known = self.keys.find(&self.key).map(|row| self.loans[row as usize].currency);
        let own = known.filter(|row| *row != NO_TEXT).map(|row| self.shared.key(row));
        match (own, text(letters.currency, i)) {
            // `XXX` is no currency: what names none is in that of the loan.
            (Some(own), Some(other)) if own != other && own != "XXX" && other != "XXX" => {
                Err("wrong_currency")
            }
            _ => Ok(incoming),
        }
    }

    /// Money of a loan that nobody has reported: in suspense, or out of it.
    pub(super) fn suspense(&self, letters: &Letters<'_>, i: usize, sign: i64, says: &mut Says) {
        let reversal = text(letters.reverses, i).is_some();
        let incoming = match sound(letters, i, reversal) {
            Ok(incoming) => incoming,
            // What was refused on its way in needs no release.
            Err(why) if sign > 0 => return refuse(letters, i, why, says),
            Err(_) => return,
        };
        let booking = Booking {
            kind: if sign > 0 { "suspended" } else { "released" },
            movement_id: incoming.id,
            reverses: incoming.reverses,
            loan_id: text(letters.loan_id, i),
            lender_id: text(letters.lender_id, i),
            currency: text(letters.currency, i),
            paid_at: Some(incoming.at),
            channel: text(letters.channel, i),
            correction: false,
            parts: [0; 6],
            suspense: sign * incoming.amount,
            line: 0,
            number: None,
            undoes: None,
            booked: 0,
        };
        says.bookings.push(letters, i, &booking);
    }
}

impl Scratch {
    /// Unpacks a loan's history and folds it as it was.
    fn unfold(&mut self, loan: &Loan) -> &mut History {
        let read = loan.history.unpack(&mut self.history);
        assert!(read.is_some(), "a history that account packed can be unpacked");
        self.before.run(&self.history);
        &mut self.history
    }

    /// Folds the changed history and packs it again.
    fn refold(&mut self, loan: &mut Loan) {
        self.after.run(&self.history);
        loan.history.pack(&self.history, &mut self.starts);
        if let Some(newest) = self.after.newest {
            let report = &self.history.reports[newest as usize];
            loan.opens(self.starts[newest as usize], report.at, report.days_past_due);
        }
        loan.debt = self.after.debt;
        loan.last_at = self.after.last_at;
        loan.waiting = self.after.waiting;
    }
}

/// A movement whose own words make sense.
fn sound<'a>(
    letters: &Letters<'a>,
    i: usize,
    reversal: bool,
) -> Result<Incoming<'a>, &'static str> {
    let id = text(letters.id, i).ok_or("missing_payment_id")?;
    let at = letters.at(i).ok_or("missing_paid_at")?;
    let amount = letters.amount(i).ok_or("bad_amount")?;
    let reverses = text(letters.reverses, i).filter(|_| reversal);
    match amount {
        0 => Err("zero_amount"),
        ..0 if !reversal => Err("negative_amount"),
        1.. if reversal => Err("reversal_amount"),
        _ if reversal && reverses.is_none() => Err("missing_reverses"),
        _ => Ok(Incoming { id, at, amount, reverses }),
    }
}

/// What went to the lender: penalty, fee, interest, principal.
fn next_number(number: u32) -> u32 {
    assert!(number < u32::MAX - 1, "a shard numbers fewer than 2^32 movements");
    number + 1
}

fn refuse(letters: &Letters<'_>, i: usize, why: &'static str, says: &mut Says) {
    let source = text(letters.source, i).or(text(letters.id, i)).unwrap_or_default();
    says.refused.push(place_of(letters, i), text(letters.lender_id, i), why, source);
}
