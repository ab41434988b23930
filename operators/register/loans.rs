//! What is known of each loan: whose it is, and where it lives.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int64Type};

use super::letters::Facts;
use super::pending::table;
use crate::facts;
use crate::memory::Keys;
use crate::rules::{LoanKey, Rules};
use crate::texts::Texts;

/// No lender named yet, or no borrower known yet.
const NONE: u32 = u32::MAX;
/// No instant: the loan is open.
const OPEN: i64 = i64::MAX;

/// Row *i* of every column belongs to loan *i*. A loan that only movements have named has a row,
/// and no borrower.
#[derive(Default)]
pub(super) struct Loans {
    keys: Keys,
    lenders: Keys,
    borrowers: Keys,
    lender: Vec<u32>,
    borrower: Vec<u32>,
    shard: Vec<u32>,
    /// Since when the lender has closed the loan; [`OPEN`] if it has not.
    closed_at: Vec<i64>,
    /// The key being made, kept so that making one allocates nothing.
    key: String,
    /// Whether a loan is known only together with its lender.
    of_lender: bool,
}

impl Loans {
    /// The row of a loan, which is new if nobody has named it before.
    #[inline]
    pub(super) fn row(&mut self, rules: &Rules, lender: Option<&str>, loan_id: &str) -> u32 {
        self.of_lender = rules.loan_key == LoanKey::LenderLoan;
        let (loan, new) = if self.of_lender {
            // The length in front keeps `a/b` of `c` apart from `a` of `b/c`.
            let lender = lender.unwrap_or_default();
            self.key.clear();
            self.key.push_str(&lender.len().to_string());
            self.key.push(':');
            self.key.push_str(lender);
            self.key.push('/');
            self.key.push_str(loan_id);
            self.keys.row(&self.key)
        } else {
            self.keys.row(loan_id)
        };
        if new {
            self.lender.push(NONE);
            self.borrower.push(NONE);
            self.shard.push(0);
            self.closed_at.push(OPEN);
        }
        loan
    }

    /// Whether a report of the loan was accepted.
    pub(super) fn known(&self, loan: u32) -> bool {
        self.borrower[loan as usize] != NONE
    }

    /// Whether the lender has closed the loan by an instant.
    pub(super) fn closed(&self, loan: u32, at: i64) -> bool {
        self.closed_at[loan as usize] <= at
    }

    /// The lender closes the loan, or opens it again.
    pub(super) fn close(&mut self, loan: u32, at: Option<i64>) {
        self.closed_at[loan as usize] = at.unwrap_or(OPEN);
    }

    /// Whether somebody speaks of another lender's loan.
    pub(super) fn foreign(&self, loan: u32, lender: Option<&str>) -> bool {
        if self.of_lender || !self.known(loan) {
            return false;
        }
        match (self.lender(loan), lender) {
            (Some(ours), Some(theirs)) => ours != theirs,
            _ => false,
        }
    }

    pub(super) fn lender(&self, loan: u32) -> Option<&str> {
        self.lender_row(loan).map(|lender| self.lenders.key(lender))
    }

    pub(super) fn lender_row(&self, loan: u32) -> Option<u32> {
        let lender = self.lender[loan as usize];
        (lender != NONE).then_some(lender)
    }

    pub(super) fn lender_name(&self, lender: u32) -> &str {
        self.lenders.key(lender)
    }

    pub(super) fn borrower(&self, loan: u32) -> u32 {
        self.borrower[loan as usize]
    }

    pub(super) fn borrower_key(&self, borrower: u32) -> &str {
        self.borrowers.key(borrower)
    }

    /// The shard of the loan's borrower.
    pub(super) fn shard(&self, loan: u32) -> u32 {
        self.shard[loan as usize]
    }

    /// Takes from an accepted report what is not known yet: the lender, and once for ever the
    /// borrower.
    #[inline]
    pub(super) fn learn(&mut self, rules: &Rules, loan: u32, facts: &Facts, row: usize) {
        let place = loan as usize;
        let lender = facts.lender(row);
        if self.lender[place] == NONE
            && let Some(lender) = lender
        {
            self.lender[place] = self.lenders.row(lender).0;
        }
        if self.borrower[place] != NONE {
            return;
        }
        self.key.clear();
        match facts.person(row) {
            Some(person) if rules.person_joins => self.key.push_str(person),
            _ => {
                self.key.push_str(lender.unwrap_or_default());
                self.key.push('/');
                match facts.borrower_id(row) {
                    Some(borrower) => self.key.push_str(borrower),
                    None => {
                        self.key.push('/');
                        self.key.push_str(facts.loan_id(row));
                    }
                }
            }
        }
        self.borrower[place] = self.borrowers.row(&self.key).0;
        self.shard[place] = facts::shard(&self.key, rules.shards);
    }

    pub(super) fn save(&self) -> RecordBatch {
        let count = self.keys.len();
        let named = |keys: &Keys, rows: &[u32]| {
            let mut texts = Texts::with_capacity(count, 8 * count);
            for row in rows {
                texts.push_option((*row != NONE).then(|| keys.key(*row)));
            }
            texts.finish()
        };
        table(vec![
            ("loan", Arc::new(self.keys.save()) as ArrayRef),
            ("lender", named(&self.lenders, &self.lender)),
            ("borrower_key", named(&self.borrowers, &self.borrower)),
            ("closed_at", Arc::new(Int64Array::from(self.closed_at.clone()))),
        ])
    }

    pub(super) fn load(saved: &RecordBatch, rules: &Rules) -> Result<Self, &'static str> {
        let texts = |name: &str| -> Result<&StringArray, &'static str> {
            let column = saved.column_by_name(name).ok_or("a column of loans is missing")?;
            if column.data_type() != &DataType::Utf8 {
                return Err("a column of loans is no text");
            }
            Ok(column.as_string())
        };
        let (loan, lender, borrower) = (texts("loan")?, texts("lender")?, texts("borrower_key")?);
        let closed_at = saved.column_by_name("closed_at").ok_or("a column of loans is missing")?;
        let closed_at =
            closed_at.as_primitive_opt::<Int64Type>().ok_or("an instant of loans is no number")?;
        let mut loans = Loans {
            closed_at: closed_at.values().to_vec(),
            keys: Keys::load(loan),
            of_lender: rules.loan_key == LoanKey::LenderLoan,
            ..Loans::default()
        };
        if loans.keys.len() != loan.len() {
            return Err("a loan stands twice");
        }
        for row in 0..loan.len() {
            let of = |keys: &mut Keys, texts: &StringArray| match texts.is_null(row) {
                true => NONE,
                false => keys.row(texts.value(row)).0,
            };
            loans.lender.push(of(&mut loans.lenders, lender));
            loans.borrower.push(of(&mut loans.borrowers, borrower));
            let known = !borrower.is_null(row);
            let shard = known.then(|| facts::shard(borrower.value(row), rules.shards));
            loans.shard.push(shard.unwrap_or(0));
        }
        Ok(loans)
    }

    pub(super) fn size(&self) -> usize {
        self.keys.size()
            + self.lenders.size()
            + self.borrowers.size()
            + 4 * (self.lender.capacity() + self.borrower.capacity() + self.shard.capacity())
            + 8 * self.closed_at.capacity()
    }
}
