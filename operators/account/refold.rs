//! Now and then, all facts of a loan folded from nothing.
//!
//! What is owed comes from the state at the end of a history, booked letter by letter as it came.
//! It must be what a fold of the same facts in business order says, whatever the order of arrival.
//! Of one letter in sixty-four both are said, and whoever audits the step compares them. Which
//! letters these are follows from their place in the log alone, so a replay says the same.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, StringBuilder};

use super::Account;
use super::letters::Letters;
use super::says::{Place, Says};
use crate::facts::MONEY;

/// One letter in so many, a power of two.
const ONE_IN: u64 = 64;

/// Whether a letter is in the sample: rows of one message, and messages of one row, alike.
pub fn sampled(letters: &Letters<'_>, i: usize) -> bool {
    let (seq, row) = (letters.seq.value(i), u64::from(letters.row.value(i)));
    seq.wrapping_mul(31).wrapping_add(row).is_multiple_of(ONE_IN)
}

impl Account {
    /// Folds the loan of a letter that was just stamped from nothing.
    pub(super) fn refold(&mut self, letters: &Letters<'_>, i: usize, row: u32, says: &mut Says) {
        self.scratch.unfold(&self.loans[row as usize], &self.shared);
        let owed = self.scratch.before.debt.rest();
        says.refolded.push(letters, i, self.loan_id(row), owed);
    }
}

/// What account says of the sample, column by column.
pub struct Refolded {
    place: Place,
    loan_id: StringBuilder,
    /// Penalty, fee, interest, principal.
    owed: [Vec<i128>; 4],
}

impl Default for Refolded {
    fn default() -> Self {
        let (loan_id, owed) = (StringBuilder::new(), Default::default());
        Refolded { place: Place::new(0), loan_id, owed }
    }
}

impl Refolded {
    fn push(&mut self, letters: &Letters<'_>, i: usize, loan_id: &str, owed: [i64; 4]) {
        self.place.letter(letters, i);
        self.loan_id.append_value(loan_id);
        self.owed.iter_mut().zip(owed).for_each(|(part, cents)| part.push(i128::from(cents)));
    }

    pub fn finish(mut self) -> Vec<ArrayRef> {
        let mut columns = self.place.finish();
        columns.push(Arc::new(self.loan_id.finish()));
        columns.extend(
            self.owed.map(|cents| {
                Arc::new(Decimal128Array::from(cents).with_data_type(MONEY)) as ArrayRef
            }),
        );
        columns
    }
}
