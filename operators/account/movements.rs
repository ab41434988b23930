//! Taking reports and movements into a loan's history.
//!
//! Two roads each: what comes in business order is appended, and the state at the end of the
//! history says what it books; what comes late, replaces a copy or reverses unpacks the history
//! and folds it before and after, and every difference is said.

use arrow::array::Array;

use super::Account;
use super::acts::Act;
use super::bookings::Booking;
use super::changes::{Change, named};
use super::check::{Incoming, refuse, sound};
use super::debt::Debt;
use super::fold::Fold;
use super::history::{History, Movement, Report, Target};
use super::letters::{Letters, text};
use super::loans::Loan;
use super::plan;
use super::says::Says;
use super::waterfalls::{self, Standing};
use crate::memory::Keys;
use crate::settle::waterfall::items;

/// Room for folding, kept between letters.
#[derive(Default)]
pub struct Scratch {
    pub history: History,
    pub before: Fold,
    pub after: Fold,
    starts: Vec<u32>,
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
        let report = Report {
            at,
            id: 0..0,
            owed: letters.owed(i),
            days_past_due: match letters.days_past_due.is_valid(i) {
                true => letters.days_past_due.value(i),
                false => 0,
            },
            orders: self.terms.orders(text(letters.lender_id, i), text(letters.product, i)),
            schedule: 0..0,
            rules: 0,
        };
        let newest = !loan.reported() || at > loan.event_time;
        let plain = letters.replaces_at.is_null(i) && letters.instalments.is_null(i);
        if newest && loan.last_at <= at && plain {
            let start = loan.history.report(&report, id.as_bytes(), &[]);
            if std::mem::take(&mut loan.scheduled) {
                self.schedules.forget(row);
            }
            loan.opens(start, at, report.days_past_due);
            let code = waterfalls::code(report.orders, loan.standing);
            loan.debt = Debt { owed: report.owed, sum: 0, code };
            loan.describe(letters, i, &mut self.shared);
        } else {
            self.late_report(letters, i, row, (id, report), says);
        }
        self.history_bytes += self.loans[row as usize].history_bytes() - kept;
        self.stamp(letters, i, row, "report", says);
    }

    fn late_report(
        &mut self,
        letters: &Letters<'_>,
        i: usize,
        row: u32,
        (id, mut report): (&str, Report),
        says: &mut Says,
    ) {
        let schedule = self.schedule(letters, i, &mut report);
        let loan = &mut self.loans[row as usize];
        let history = self.scratch.unfold(loan, &self.shared);
        report.schedule = history.keep(&schedule);
        let known = history.reports.iter().position(|one| history.bytes(&one.id) == id.as_bytes());
        let place = match known {
            Some(place) if letters.replaces_at.is_valid(i) => {
                let id = history.reports[place].id.clone();
                history.reports[place] = Report { id, ..report };
                place
            }
            Some(_) => return,
            None => {
                let id = history.keep(id.as_bytes());
                history.push_report(Report { id, ..report });
                history.reports.len() - 1
            }
        };
        self.scratch.refold(loan, &self.shared);
        if self.scratch.after.newest == Some(place as u32) {
            loan.describe(letters, i, &mut self.shared);
        }
        self.keep_schedule(row);
        self.say_changes(letters, i, row, None, None, says);
    }

    pub(super) fn movement(&mut self, letters: &Letters<'_>, i: usize, act: Act, says: &mut Says) {
        if !self.name_loan(letters, i) {
            return refuse(letters, i, "missing_loan_id", says);
        }
        let kind = act.name();
        let known = self.keys.find(&self.key);
        match self.check(letters, i, act, known) {
            Ok(incoming) => {
                let row = known.unwrap_or_else(|| self.loan());
                let kept = self.loans[row as usize].history_bytes();
                self.take(letters, i, row, &incoming, says);
                self.history_bytes += self.loans[row as usize].history_bytes() - kept;
                self.stamp(letters, i, row, kind, says);
            }
            Err(why) => {
                refuse(letters, i, &why, says);
                if let Some(row) = known {
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
        let plain = incoming.act == Act::Payment && letters.replaces_at.is_null(i);
        if !(last && plain) || loan.waiting || loan.scheduled {
            return self.late_movement(letters, i, row, incoming, channel, says);
        }
        let number = self.numbered;
        self.numbered = next_number(number);
        loan.history.payment(at, incoming.id.as_bytes(), incoming.amount, number, channel);
        loan.last_at = at;
        let balance = loan.debt.balance();
        let parts = loan.debt.book(incoming.amount);
        let booking = Booking {
            kind: "payment",
            act: "payment",
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
            recovered: loan.standing == Standing::WrittenOff,
            days_past_due: Some(loan.days_at(at)),
            balance: Some(balance),
            waterfall: Some(waterfalls::name(loan.debt.code)),
            grounds: None,
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
        let history = self.scratch.unfold(loan, &self.shared);
        let place_of = |history: &History, id: &str| {
            history.movements.iter().position(|one| history.bytes(&one.id) == id.as_bytes())
        };
        let known = place_of(history, incoming.id);
        if known.is_some() && letters.replaces_at.is_null(i) {
            return;
        }
        let id = history.keep(incoming.id.as_bytes());
        let place = known.unwrap_or(history.movements.len());
        let target = match incoming.reverses {
            None => Target::None,
            // Only a movement that is here by now can be named by its place.
            Some(reverses) => match place_of(history, reverses) {
                Some(payment) => Target::Known(payment as u32),
                None => Target::Awaited(history.keep(reverses.as_bytes())),
            },
        };
        let Incoming { at, amount, act, .. } = *incoming;
        let mut movement = Movement { at, id, amount, number: self.numbered, channel, act, target };
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
        self.scratch.refold(loan, &self.shared);
        self.keep_schedule(row);
        self.say_changes(letters, i, row, Some(place), replaced, says);
    }

    /// A report's schedule, packed, and the allocation that is laid down for such loans.
    fn schedule(&mut self, letters: &Letters<'_>, i: usize, report: &mut Report) -> Vec<u8> {
        let schedule = text(letters.instalments, i).map(|text| plan::pack(&items(text)));
        let schedule = schedule.unwrap_or_default();
        if !schedule.is_empty() {
            let (lender, product) = (text(letters.lender_id, i), text(letters.product, i));
            let rules = self.terms.allocation(lender, product);
            report.rules = rules.map_or(0, |rules| self.shared.row(&rules).0 + 1);
        }
        schedule
    }

    /// Keeps what the fold left of a loan's schedule.
    fn keep_schedule(&mut self, row: u32) {
        let loan = &mut self.loans[row as usize];
        let items = &self.scratch.after.items;
        if loan.scheduled || items.is_some() {
            loan.scheduled = items.is_some();
            self.schedules.keep(row, items);
        }
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

    /// Money of a loan that nobody has reported: in suspense, or out of it.
    pub(super) fn suspense(&self, letters: &Letters<'_>, i: usize, sign: i64, says: &mut Says) {
        let incoming = match sound(letters, i, None) {
            Ok(incoming) => incoming,
            // What was refused on its way in needs no release.
            Err(why) if sign > 0 => return refuse(letters, i, why, says),
            Err(_) => return,
        };
        let booking = Booking {
            kind: if sign > 0 { "suspended" } else { "released" },
            act: if sign > 0 { "suspended" } else { "released" },
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
            recovered: false,
            days_past_due: None,
            balance: None,
            waterfall: None,
            grounds: None,
        };
        says.bookings.push(letters, i, &booking);
    }
}

impl Scratch {
    /// Unpacks a loan's history and folds it as it was.
    pub fn unfold(&mut self, loan: &Loan, texts: &Keys) -> &mut History {
        let read = loan.history.unpack(&mut self.history);
        assert!(read.is_some(), "a history that account packed can be unpacked");
        self.before.run(&self.history, texts);
        &mut self.history
    }

    /// Folds the changed history and packs it again.
    fn refold(&mut self, loan: &mut Loan, texts: &Keys) {
        self.after.run(&self.history, texts);
        loan.history.pack(&self.history, &mut self.starts);
        if let Some(newest) = self.after.newest {
            let report = &self.history.reports[newest as usize];
            loan.opens(self.starts[newest as usize], report.at, report.days_past_due);
        }
        loan.debt = self.after.debt;
        loan.last_at = self.after.last_at;
        loan.waiting = self.after.waiting;
        loan.standing = self.after.standing;
    }
}

fn next_number(number: u32) -> u32 {
    assert!(number < u32::MAX - 1, "a shard numbers fewer than 2^32 movements");
    number + 1
}
