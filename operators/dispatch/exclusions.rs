//! Who must not get which case: after a complaint, where interests conflict, by a court's order.
//!
//! A rule names a loan, a borrower with a lender, or a whole lender; and a desk, or an agency
//! with all of its desks, or a channel with all desks that work by it: a borrower who must not be
//! called, a lender who wants no machine's voice. It holds from day to day. Unlike other terms it
//! also ends a placement: a case at a desk that is closed to it from now on is taken back at once,
//! and decided again.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::Date32Type;

use super::Dispatch;
use super::cases::{Cases, MARKED, NO_DESK, NONE, PART, Status};
use super::columns::{Numbers, Texts};
use super::market::Desk;
use super::says::Place;
use crate::rules::{Case, LoanKey};

/// What is closed, and when.
#[derive(Clone, Debug)]
struct Rule {
    agency: String,
    desk: String,
    channel: String,
    from: i32,
    to: i32,
}

impl Rule {
    fn bars(&self, desk: &Desk, day: i32) -> bool {
        let fits = |asked: &String, has: &String| asked.is_empty() || asked == has;
        let named = [&self.desk, &self.agency, &self.channel].iter().any(|name| !name.is_empty());
        let fits = fits(&self.desk, &desk.id)
            && (fits(&self.agency, &desk.agency) || !self.desk.is_empty())
            && fits(&self.channel, &desk.channel);
        named && fits && self.from <= day && day <= self.to
    }
}

/// Rules by what they are about.
#[derive(Default)]
pub struct Exclusions {
    pub heard: Option<RecordBatch>,
    rules: Vec<Rule>,
    loans: BTreeMap<String, Vec<u32>>,
    borrowers: BTreeMap<u64, Vec<u32>>,
    lenders: BTreeMap<String, Vec<u32>>,
}

impl Exclusions {
    /// Takes a newer list.
    pub fn hear(&mut self, rows: &RecordBatch, loan_key: LoanKey) {
        *self = Exclusions { heard: Some(rows.clone()), ..Exclusions::default() };
        let [lenders, borrowers, loans] =
            ["lender_id", "borrower_id", "loan_id"].map(|name| Texts::of(rows, name));
        let [agencies, desks, channels] =
            ["agency_id", "desk_id", "channel"].map(|name| Texts::of(rows, name));
        let froms = Numbers::<Date32Type>::of(rows, "valid_from");
        let tos = Numbers::<Date32Type>::of(rows, "valid_to");
        for row in 0..rows.num_rows() {
            let (lender, borrower, loan) =
                (lenders.text(row), borrowers.text(row), loans.text(row));
            let number = self.rules.len() as u32;
            self.rules.push(Rule {
                agency: agencies.text(row).into(),
                desk: desks.text(row).into(),
                channel: channels.text(row).into(),
                from: froms.get(row).unwrap_or(i32::MIN),
                to: tos.get(row).unwrap_or(i32::MAX),
            });
            if !loan.is_empty() {
                let key = match loan_key {
                    LoanKey::Loan => loan.to_string(),
                    LoanKey::LenderLoan => format!("{lender}{PART}{loan}"),
                };
                self.loans.entry(key).or_default().push(number);
            } else if !borrower.is_empty() {
                let name = Cases::name(&format!("{lender}/{borrower}"), lender);
                self.borrowers.entry(name).or_default().push(number);
            } else if !lender.is_empty() {
                self.lenders.entry(lender.to_string()).or_default().push(number);
            }
        }
    }

    /// Whether a rule begins or has ended between two days.
    fn turns(&self, before: i32, day: i32) -> bool {
        let turned = |turn: i32| before < turn && turn <= day;
        self.rules.iter().any(|rule| turned(rule.from) || turned(rule.to.saturating_add(1)))
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

impl Dispatch {
    /// Hears rules; who stands where it may not stand any more is taken back.
    pub fn hear_exclusions(&mut self, place: Place, rows: &arrow::array::RecordBatch) {
        self.exclusions.hear(rows, self.rules.loan_key);
        for loan in 0..self.loans.case.len() as u32 {
            self.mark_excluded(loan);
        }
        self.expel(place);
        self.decide_line(place);
    }

    /// Marks the case of a loan that some rule is about.
    pub fn mark_excluded(&mut self, loan: u32) {
        if self.exclusions.is_empty() {
            return;
        }
        let case = self.loans.case[loan as usize];
        let lender = self.segments.lender(self.loans.segment[loan as usize]);
        let known = self.exclusions.loans.contains_key(self.loans.keys.key(loan))
            || self.exclusions.borrowers.contains_key(&self.cases.hash_of(case))
            || self.exclusions.lenders.contains_key(lender);
        if known {
            self.cases.flags[case as usize] |= MARKED;
        }
    }

    /// A day has begun: rules may have come or gone.
    pub fn pass_exclusions(&mut self, place: Place, before: Option<i32>, day: i32) {
        if self.exclusions.turns(before.unwrap_or(i32::MIN), day) {
            self.expel(place);
            self.decide_line(place);
        }
    }

    /// Takes back whoever stands at a desk that is closed to it.
    pub fn expel(&mut self, place: Place) {
        if self.exclusions.is_empty() {
            return;
        }
        let day = self.day(place);
        for case in 0..self.cases.len() as u32 {
            let desk = self.cases.desk[case as usize];
            if desk != NO_DESK && self.is_excluded(case, desk, day) {
                self.forget_recall(case);
                self.take_back(place, case, Status::Recalled);
            }
        }
    }

    /// Whether a rule closes a desk to a case.
    pub fn is_excluded(&self, case: u32, desk: u16, day: i32) -> bool {
        if self.exclusions.is_empty() || self.cases.flags[case as usize] & MARKED == 0 {
            return false;
        }
        let desk = &self.market.desks[usize::from(desk)];
        let rules = &self.exclusions;
        let bars = |numbers: Option<&Vec<u32>>| {
            numbers.into_iter().flatten().any(|one| rules.rules[*one as usize].bars(desk, day))
        };
        let mut loan = self.cases.head[case as usize];
        if bars(rules.borrowers.get(&self.cases.hash_of(case))) {
            return true;
        }
        while loan != NONE {
            let lender = self.segments.lender(self.loans.segment[loan as usize]);
            let key = self.loans.keys.key(loan);
            if bars(rules.loans.get(key)) || bars(rules.lenders.get(lender)) {
                return true;
            }
            loan = self.loans.next[loan as usize];
        }
        false
    }

    /// Desks that are closed to a case by a rule, by id.
    pub fn excluded_ids(&self, case: u32, day: i32) -> Vec<&str> {
        let barred = |desk: &usize| self.is_excluded(case, *desk as u16, day);
        let known = (0..self.market.desks.len()).filter(barred);
        known.map(|desk| self.market.desks[desk].id.as_str()).collect()
    }

    /// The name that rules about a borrower know a case by.
    pub fn case_name(&self, borrower: &str, lender: &str) -> (u64, bool) {
        (Cases::name(borrower, lender), self.rules.case == Case::Borrower)
    }
}
