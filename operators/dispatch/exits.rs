//! How a case leaves collection, other than by its money coming in: by what its lender decides.
//!
//! An exit recalls the loan's placement and closes it: whatever is reported of it later, it is not
//! placed again until it is reopened. Its placements stay in the log, and money that still comes
//! counts for the last of them. With its last loan the case leaves its desk.

use super::Dispatch;
use super::cases::{NO_DESK, Status, UNPRICED};
use super::says::Place;
use super::turn::Arrival;

impl Status {
    /// The status that a lender's notice gives a loan; nothing for any other fact.
    fn of_exit(kind: &str) -> Option<Status> {
        match kind {
            "settled" => Some(Status::Settled),
            "refinanced" => Some(Status::Refinanced),
            "withdrawn" => Some(Status::Withdrawn),
            "sold" => Some(Status::Sold),
            "written_off" => Some(Status::WrittenOff),
            _ => None,
        }
    }

    /// Whether the lender has closed the loan.
    pub fn closed(self) -> bool {
        Status::of_exit(self.text()).is_some()
    }
}

impl Dispatch {
    /// Takes a row about a loan that its lender closes, or has closed. Answers whether that is all
    /// there is to do: a loan that is reopened is decided like any other.
    pub fn close_or_stay(&mut self, place: Place, loan: u32, row: &Arrival) -> bool {
        let before = self.loans.status(loan);
        if let Some(exit) = Status::of_exit(row.kind) {
            self.update(loan, row);
            if before == Status::Placed {
                self.leave(place, loan, exit);
            } else if before != exit {
                self.loans.set_status(loan, exit);
                self.say(place, loan);
            }
        } else if !before.closed() {
            return false;
        } else if row.kind == "reopened" {
            self.loans.set_status(loan, Status::New);
            return false;
        } else {
            self.update(loan, row);
        }
        // Without a price a loan takes no part in its case.
        self.loans.price.set(loan, UNPRICED);
        let case = self.loans.case[loan as usize];
        if self.cases.desk[case as usize] == NO_DESK {
            self.decide(place, case);
        }
        true
    }
}
