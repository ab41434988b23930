//! What one row does to a loan and its case: arrive, wait, be placed, move, leave, come back.

use super::Dispatch;
use super::cases::{IN_LINE, NEVER, NO_DESK, NONE, Status, UNPRICED};
use super::choose::{Candidate, Choice, cost, paid};
use super::market::SCALE;
use super::says::{Place, Placement};
use super::terms::Fixed;
use crate::facts::{is_movement, takes_back};
use crate::rules::LoanKey;

/// A priced row about a loan, as dispatch reads it.
pub struct Arrival<'a> {
    pub kind: &'a str,
    pub borrower: &'a str,
    pub loan: &'a str,
    pub lender: &'a str,
    pub province: &'a str,
    pub product: &'a str,
    pub bucket: usize,
    pub days: i32,
    pub balance: i64,
    pub price: Option<i64>,
}

impl Dispatch {
    /// Takes a row about a loan; answers with the loan's row in memory.
    pub fn arrive(&mut self, place: Place, row: &Arrival) -> u32 {
        let (loan, fresh) = match self.rules.loan_key {
            LoanKey::Loan => self.loans.row(row.loan),
            LoanKey::LenderLoan => {
                self.loans.row(&format!("{}{}{}", row.lender, super::cases::PART, row.loan))
            }
        };
        if fresh {
            self.join_case(loan, row);
        }
        let case = self.loans.case[loan as usize];
        if self.close_or_stay(place, loan, row) {
            return loan;
        }
        let priced_now = self.update(loan, row);
        self.mark_excluded(loan);
        let status = self.loans.status(loan);
        let placed_at_desk = self.cases.desk[case as usize] != NO_DESK;
        if row.kind == "recall" {
            let day = self.day(place);
            self.recall(place, case, day, day);
        } else if row.balance <= 0 {
            if status == Status::Placed {
                self.leave(place, loan, Status::Paid);
            } else {
                self.unplace(loan);
            }
            if self.cases.desk[case as usize] == NO_DESK {
                self.decide(place, case);
            }
        } else if status == Status::Paid && takes_back(row.kind) && self.resume(place, loan) {
            // The placement goes on as if the money had never come.
        } else if !placed_at_desk {
            self.unplace(loan);
            self.decide(place, case);
        } else if status == Status::Placed || status == Status::Waiting && !priced_now {
            if status == Status::Waiting {
                // It may have lost its price.
                self.unplace(loan);
            }
            if !is_movement(row.kind) {
                self.consider_moving(place, case);
            }
        } else {
            self.join_desk(place, loan, case);
        }
        loan
    }

    fn join_case(&mut self, loan: u32, row: &Arrival) {
        let (name, found) = self.case_name(row.borrower, row.lender);
        let known = if found { self.cases.find(name) } else { None };
        let case = known.unwrap_or_else(|| self.cases.add(name, found));
        self.loans.case[loan as usize] = case;
        let mut last = self.cases.head[case as usize];
        if last == NONE {
            self.cases.head[case as usize] = loan;
            return;
        }
        while self.loans.next[last as usize] != NONE {
            last = self.loans.next[last as usize];
        }
        self.loans.next[last as usize] = loan;
    }

    /// Writes down what the row says of its loan; answers whether it has its first price.
    pub fn update(&mut self, loan: u32, row: &Arrival) -> bool {
        let at = loan as usize;
        let balance = row.balance.max(0);
        if self.placed(loan) {
            let desk = self.fixed.get(self.loans.terms[at]).desk;
            let share = &mut self.desks[usize::from(desk)];
            share.weigh(balance.saturating_sub(self.loans.balance.get(loan)));
        }
        let priced_now = self.loans.price.get(loan) == UNPRICED && row.price.is_some();
        self.loans.balance.set(loan, balance);
        self.loans.price.set(loan, row.price.unwrap_or(UNPRICED));
        self.loans.days[at] = row.days.clamp(0, i32::from(i16::MAX)) as i16;
        self.loans.segment[at] =
            self.segments.row(row.province, row.product, row.bucket, row.lender);
        priced_now
    }

    pub fn placed(&self, loan: u32) -> bool {
        self.loans.status(loan) == Status::Placed
    }

    /// A loan is with nobody: it waits, or it has no price. That is said once, by
    /// [`Dispatch::say_unplaced`].
    pub fn unplace(&mut self, loan: u32) {
        let status = match self.loans.price.get(loan) {
            UNPRICED => Status::Unpriced,
            _ => Status::Waiting,
        };
        let before = self.loans.status(loan);
        let settled = before == Status::Paid && self.loans.balance.get(loan) == 0;
        if before != status && !settled {
            self.loans.set_status(loan, status);
            // Whoever is placed in the same breath need not be told to wait first.
            self.unplaced.push(loan);
        }
    }

    /// Says who was left with nobody by what has just been done.
    pub fn say_unplaced(&mut self, place: Place) {
        for loan in std::mem::take(&mut self.unplaced) {
            if matches!(self.loans.status(loan), Status::Waiting | Status::Unpriced) {
                let reason = self.reason(loan, self.day(place));
                self.say_why(place, loan, Why { reason, ..Why::default() });
            }
        }
    }

    /// Decides a case that is with nobody. It is placed, or it stands in line.
    pub fn decide(&mut self, place: Place, case: u32) {
        let day = self.day(place);
        let amount = self.amount(case);
        if self.cases.flags[case as usize] & IN_LINE == 0 && amount > 0 {
            self.count_arrival(case);
        }
        let (ranked, choice) = match self.plain(case, day) {
            Some(plain) => match self.choose_fast(plain) {
                Some(desk) => {
                    let ranked = self.candidates(case, day);
                    let choice = Choice::of(&ranked, desk);
                    (ranked, choice)
                }
                None => Default::default(),
            },
            None => {
                let ranked = self.candidates(case, day);
                let choice = self.choose(&ranked, amount, None);
                (ranked, choice)
            }
        };
        if choice.taken.is_some() {
            self.put(place, case, &ranked, &choice);
            return;
        }
        let flags = &mut self.cases.flags[case as usize];
        if *flags & IN_LINE == 0 && amount > 0 {
            *flags |= IN_LINE;
            self.line.push(case);
        }
    }

    /// Outstanding amount of a case's open priced loans.
    pub fn amount(&self, case: u32) -> i64 {
        let mut sum = 0_i64;
        let mut loan = self.cases.head[case as usize];
        while loan != NONE {
            if self.open(loan) {
                sum = sum.saturating_add(self.loans.balance.get(loan));
            }
            loan = self.loans.next[loan as usize];
        }
        sum
    }

    /// Places a whole case at the chosen desk.
    pub fn put(&mut self, place: Place, case: u32, ranked: &[Candidate], choice: &Choice) {
        let Some(at) = choice.taken else { return };
        let taken = ranked[at];
        let best = ranked[0].net.max(0);
        let old = self.cases.desk[case as usize];
        if old != NO_DESK {
            self.vacate(case, old);
        }
        self.occupy(case, taken.desk);
        self.window.value += taken.value;
        self.window.bound += best;
        self.window.decided += 1;
        self.window.spilled += i64::from(at > 0);
        self.lots.entry(taken.desk).or_default().cases += 1;
        let full: Vec<&str> =
            choice.full.iter().map(|d| self.market.desks[usize::from(*d)].id.as_str()).collect();
        let full = full.join("|");
        let second = ranked.get(at + 1).map(|candidate| candidate.desk);
        let mut loan = self.cases.head[case as usize];
        while loan != NONE {
            if self.open(loan) {
                self.place_loan(place, loan, taken.desk, second, &full);
            }
            loan = self.loans.next[loan as usize];
        }
    }

    /// Gives one loan of a case to the case's desk, and says why.
    pub fn place_loan(
        &mut self,
        place: Place,
        loan: u32,
        desk: u16,
        second: Option<u16>,
        full: &str,
    ) {
        let (row, day) = (loan as usize, self.day(place));
        let segment = self.loans.segment[row];
        let bucket = usize::from(self.segments.bucket[segment as usize]);
        let lender = self.segments.lender(segment);
        let Some(offer) = self.market.terms(desk, lender, bucket, day) else { return };
        if self.placed(loan) {
            let old = self.fixed.get(self.loans.terms[row]).desk;
            self.desks[usize::from(old)].weigh(-self.loans.balance.get(loan));
        }
        self.loans.terms[row] = self.fixed.number(Fixed {
            desk,
            commission: offer.commission,
            slope: offer.slope,
            cost: offer.cost,
        });
        self.loans.decided.set(loan, self.loans.price.get(loan));
        self.loans.placed_at[row] = place.at.unwrap_or(NEVER);
        self.loans.count_placement(loan);
        self.loans.set_status(loan, Status::Placed);
        let balance = self.loans.balance.get(loan);
        self.desks[usize::from(desk)].weigh(balance);
        let lot = self.lots.entry(desk).or_default();
        lot.loans += 1;
        lot.outstanding += i128::from(balance);
        lot.price += i128::from(self.loans.price.get(loan));
        lot.weighted_days += i128::from(balance) * i128::from(self.loans.days[row]);
        let second = second.and_then(|desk| Some((desk, self.worth(loan, desk, day)?)));
        self.say_why(place, loan, Why { second, full, reason: "" });
    }

    /// A loan leaves its desk; with its last loan the case does.
    pub fn leave(&mut self, place: Place, loan: u32, status: Status) {
        let row = loan as usize;
        let case = self.loans.case[row];
        let desk = self.cases.desk[case as usize];
        self.desks[usize::from(desk)].weigh(-self.loans.balance.get(loan));
        self.loans.set_status(loan, status);
        self.say(place, loan);
        let mut other = self.cases.head[case as usize];
        while other != NONE {
            if self.placed(other) {
                return;
            }
            other = self.loans.next[other as usize];
        }
        self.vacate(case, desk);
    }

    fn vacate(&mut self, case: u32, desk: u16) {
        self.cases.desk[case as usize] = NO_DESK;
        let share = &mut self.desks[usize::from(desk)];
        share.free();
        self.window.bound += paid(share.bid);
        self.lane.free(&self.market, desk, share);
        if let Some(quota) = self.quota_of(case, desk) {
            self.quotas[quota].free();
        }
    }

    fn occupy(&mut self, case: u32, desk: u16) {
        self.cases.desk[case as usize] = desk;
        self.desks[usize::from(desk)].spend();
        if let Some(quota) = self.quota_of(case, desk) {
            self.quotas[quota].spend();
        }
    }

    /// The quota that a case counts against at a desk.
    pub fn quota_of(&self, case: u32, desk: u16) -> Option<usize> {
        if self.market.quotas.is_empty() {
            return None;
        }
        let head = self.cases.head[case as usize];
        let lender = self.segments.lender(*self.loans.segment.get(head as usize)?);
        let agency = &self.market.desks[usize::from(desk)].agency;
        self.market.quotas.iter().position(|(l, a)| l == lender && a == agency)
    }

    /// Debt reopened by a reversal goes on where it was, unless its case is elsewhere by now, or
    /// may not go there again.
    fn resume(&mut self, place: Place, loan: u32) -> bool {
        let row = loan as usize;
        let case = self.loans.case[row];
        let desk = self.fixed.get(self.loans.terms[row]).desk;
        let now = self.cases.desk[case as usize];
        if desk == NO_DESK || now != NO_DESK && now != desk || self.is_closed(place, case, desk) {
            return false;
        }
        if now == NO_DESK {
            self.occupy(case, desk);
        }
        self.loans.set_status(loan, Status::Placed);
        self.desks[usize::from(desk)].weigh(self.loans.balance.get(loan));
        self.say(place, loan);
        true
    }

    /// Says where a loan stands now.
    pub fn say(&mut self, place: Place, loan: u32) {
        self.say_why(place, loan, Why::default());
    }

    fn say_why(&mut self, place: Place, loan: u32, why: Why) {
        let row = loan as usize;
        let status = self.loans.status(loan);
        let name = |desk: u16| self.market.desks[usize::from(desk)].id.as_str();
        let nobody = matches!(status, Status::New | Status::Unpriced | Status::Waiting)
            || self.loans.placement(loan) == 0;
        let terms = self.fixed.get(if nobody { 0 } else { self.loans.terms[row] });
        let price = if nobody { self.loans.price.get(loan) } else { self.loans.decided.get(loan) };
        let value = i128::from(price) * i128::from(terms.slope) - cost(i128::from(terms.cost));
        let placed = terms.desk != NO_DESK;
        let placed_at = self.loans.placed_at[row];
        let (agency, desk) = self.market.who(terms.desk);
        let lender = self.segments.lender(self.loans.segment[row]);
        let text = Placement {
            loan: self.loans.id(loan, self.rules.loan_key),
            lender,
            agency,
            desk,
            price: (price != UNPRICED).then_some(price),
            value: placed.then(|| rounded(value)),
            placed_at: (placed && placed_at != NEVER).then_some(placed_at),
            status: status.text(),
            placement: self.loans.placement(loan),
            commission: placed.then_some(terms.commission),
            bid: placed.then(|| self.desks[usize::from(terms.desk)].bid),
            second: why.second.map(|(desk, value)| (name(desk), rounded(value))),
            full: why.full,
            balance: self.loans.balance.get(loan),
            days_past_due: i32::from(self.loans.days[row]),
            reason: why.reason,
        };
        self.placements.add(place, &text);
    }
}

/// Why a loan is where it is: the next best desk and its worth there, who was full, and what it
/// waits for.
#[derive(Default)]
struct Why<'a> {
    second: Option<(u16, i128)>,
    full: &'a str,
    reason: &'a str,
}

/// A value in cents, half away from zero.
pub fn rounded(value: i128) -> i128 {
    super::columns::divide_half_away(value, SCALE)
}
