//! When a placed case moves, and when it grows.

use super::Dispatch;
use super::cases::{NO_DESK, NONE, RECALLING};
use super::choose::cost;
use super::says::Place;

impl Dispatch {
    /// A new loan joins its case's desk, if that may take it; else it waits.
    pub fn join_desk(&mut self, place: Place, loan: u32, case: u32) {
        let desk = self.cases.desk[case as usize];
        let day = self.day(place);
        let segment = self.loans.segment[loan as usize];
        let balance = self.loans.balance.get(loan);
        let recalling = self.cases.flags[case as usize] & RECALLING != 0;
        let share = &self.desks[usize::from(desk)];
        let fits = share.amount_max.is_none() || balance <= share.amount_left && !share.frozen;
        let eligible = self.open(loan)
            && !recalling
            && fits
            && self
                .terms
                .find(&self.market, &self.segments, segment, day)
                .iter()
                .any(|offer| offer.desk == desk);
        if eligible {
            self.place_loan(place, loan, desk, None, "");
        } else {
            self.unplace(loan);
        }
    }

    /// Moves a placed case where another desk wins by more than the switching margin. Where none
    /// does, the case's waiting loans join it, if the desk may now take every one of its loans.
    ///
    /// A case is moved whole: while one of its placed loans has lost its price, all of it stays.
    pub fn consider_moving(&mut self, place: Place, case: u32) {
        let desk = self.cases.desk[case as usize];
        if desk == NO_DESK || self.cases.flags[case as usize] & RECALLING != 0 {
            return;
        }
        let day = self.day(place);
        let Some(standing) = self.standing(case, desk, day) else { return };
        let whole = self.whole(case, desk, day);
        let here = whole.map_or(standing, |whole| whole.max(standing));
        let margin = cost(i128::from(self.rules.switch_margin));
        let mut ranked = self.candidates(case, day);
        ranked.retain(|candidate| candidate.desk != desk && candidate.net - here > margin);
        let choice = self.choose(&ranked, self.amount(case), Some(desk));
        if choice.taken.is_some() {
            self.put(place, case, &ranked, &choice);
        } else if whole.is_some() {
            self.join_waiting(place, case);
        }
    }

    fn join_waiting(&mut self, place: Place, case: u32) {
        let mut loan = self.cases.head[case as usize];
        while loan != NONE {
            if self.open(loan) && !self.placed(loan) {
                self.join_desk(place, loan, case);
            }
            loan = self.loans.next[loan as usize];
        }
    }
}
