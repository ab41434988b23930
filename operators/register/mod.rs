//! What each lender said of its loans, and whose loan each is.
//!
//! Facts come keyed by loan and leave as letters, addressed to the shard of the borrower.
//!
//! - **Repeats end here.** The same id again counts once, by loan and by report or movement. A
//!   copy with the same digest is dropped. Of two that differ the greater digest wins: if it is
//!   the new one, it goes on with `replaces_at`, the instant of the copy it replaces; the other is
//!   refused as `conflict`.
//! - **The borrower** is fixed by a loan's first accepted report: the person where persons join
//!   loans, else `lender/borrower`, else `lender//loan`.
//! - **A lender's own.** Where `loan_id` alone names a loan, what another lender says of it is
//!   refused as `foreign_loan`. A fact that names no lender is taken to be the loan's lender's.
//! - **Money before its loan.** The movement of a loan that nobody has reported goes on at once as
//!   `suspended`, to the shard of its `loan_id`, and is kept. When the loan's first report is
//!   accepted, its letter is followed, movement by movement in order of arrival, by `released` to
//!   that shard and the movement itself to the loan's. One that turns out to be foreign, or the
//!   lesser copy of another, is released and refused; a greater copy goes into suspense once the
//!   lesser one has been released. While a loan is unknown, copies are compared
//!   only with those that name the same lender: which of them is foreign is not known yet.
//!
//! A letter keeps the place of the fact that caused it; several may share one. `suspended` and
//! `released` letters are the movement's but for their kind: they have its lender as it was given
//! and no borrower. Money that was paid after its lender closed a loan waits in the same way until
//! the loan is opened again; only what is written off still takes it. A lender's notice of an
//! unknown loan waits for it as movements do, but in no suspense: it moves no money. A fact of any
//! other kind passes to this very shard.

mod letters;
mod loans;
mod pending;
mod seen;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, UInt64Array};

use crate::facts::{is_notice, shard};
use crate::rules::Rules;
use crate::{LoadError, Operator, Says, Verb, facts};
use letters::{Facts, From, Letter, Letters, Refusals, Stamp};
use loans::Loans;
use pending::{Pendings, Suspended};
use seen::{Seen, Verdict};

pub(crate) const VERB: Verb = Verb {
    name: "register",
    about: "Learns whose loan each is, ends repeats, keeps money whose loan is not known yet.",
    takes: facts::facts,
    says: &[
        Says { name: "letters", schema: facts::letters },
        Says { name: "refused", schema: facts::refused },
    ],
    open: |rules, shard| Box::new(Register::new(rules, shard)),
};

const CONFLICT: &str = "conflict";
const FOREIGN: &str = "foreign_loan";

struct Register {
    rules: Rules,
    shard: u32,
    loans: Loans,
    seen: Seen,
    pendings: Pendings,
    /// Copies dropped because nothing in them was new.
    repeats: u64,
}

/// What one step says.
struct Said {
    letters: Letters,
    refused: Refusals,
}

impl Register {
    fn new(rules: &Rules, shard: u32) -> Self {
        Register {
            rules: rules.clone(),
            shard,
            loans: Loans::default(),
            seen: Seen::default(),
            pendings: Pendings::default(),
            repeats: 0,
        }
    }

    fn report(&mut self, facts: &Facts, row: usize, said: &mut Said) {
        let lender = facts.lender(row);
        let loan = self.loans.row(&self.rules, lender, facts.loan_id(row));
        if self.loans.foreign(loan, lender) {
            said.refused.push(facts, row, None, FOREIGN);
            return;
        }
        let known = self.loans.known(loan);
        let Some(replaces_at) =
            self.judge(facts, row, loan, Seen::report(loan, facts.id(row)), said)
        else {
            return;
        };
        self.loans.learn(&self.rules, loan, facts, row);
        said.letters.push(self.letter(loan, row, replaces_at));
        if !known {
            self.release(facts, row, loan, said);
        }
    }

    fn movement(&mut self, facts: &Facts, row: usize, said: &mut Said) {
        let lender = facts.lender(row);
        let loan = self.loans.row(&self.rules, lender, facts.loan_id(row));
        if !self.loans.known(loan) {
            self.suspend(facts, row, loan, said);
            return;
        }
        if self.loans.foreign(loan, lender) {
            said.refused.push(facts, row, None, FOREIGN);
            return;
        }
        let key = Seen::movement(loan, facts.id(row));
        if self.comes_late(loan, facts.kind(row), facts.at(row)) && !self.seen.has(key) {
            self.suspend(facts, row, loan, said);
            return;
        }
        if let Some(replaces_at) = self.judge(facts, row, loan, key, said) {
            said.letters.push(self.letter(loan, row, replaces_at));
        }
    }

    /// What a lender decides about a loan. It waits for the loan's first report, as movements do.
    fn notice(&mut self, facts: &Facts, row: usize, said: &mut Said) {
        let lender = facts.lender(row);
        let loan = self.loans.row(&self.rules, lender, facts.loan_id(row));
        if !self.loans.known(loan) {
            self.wait(facts, row, loan, said);
            return;
        }
        if self.loans.foreign(loan, lender) {
            said.refused.push(facts, row, None, FOREIGN);
            return;
        }
        let key = Seen::report(loan, facts.id(row));
        if let Some(replaces_at) = self.judge(facts, row, loan, key, said) {
            said.letters.push(self.letter(loan, row, replaces_at));
            self.decide(loan, facts.kind(row), facts.at(row));
            if !self.loans.closed(loan, i64::MAX - 1) {
                self.release(facts, row, loan, said);
            }
        }
    }

    /// A lender closes a loan, or opens it again. What is written off may still bring money in.
    fn decide(&mut self, loan: u32, notice: &str, at: i64) {
        match notice {
            "reopened" => self.loans.close(loan, None),
            "written_off" => {}
            _ => self.loans.close(loan, Some(at)),
        }
    }

    /// Whether money was paid after its loan was closed: it waits until the loan is open again.
    fn comes_late(&self, loan: u32, kind: &str, at: i64) -> bool {
        matches!(kind, "payment" | "payoff") && self.loans.closed(loan, at)
    }

    /// Whether a fact goes on, and the instant of the copy it replaces.
    fn judge(
        &mut self,
        facts: &Facts,
        row: usize,
        loan: u32,
        key: u64,
        said: &mut Said,
    ) -> Option<Option<i64>> {
        match self.seen.judge(key, facts.copy(row)).1 {
            Verdict::New => Some(None),
            Verdict::Repeat => {
                self.repeats += 1;
                None
            }
            Verdict::Loses => {
                said.refused.push(facts, row, self.loans.lender(loan), CONFLICT);
                None
            }
            Verdict::Wins(old) => {
                said.refused.push_copy(facts, row, self.loans.lender(loan), &old, CONFLICT);
                Some(Some(old.at))
            }
        }
    }

    /// Keeps a fact of an unknown loan, if it says anything new; answers with that, and with the
    /// lesser copy that it replaces.
    fn wait(
        &mut self,
        facts: &Facts,
        row: usize,
        loan: u32,
        said: &mut Said,
    ) -> Option<Option<Suspended>> {
        let lender = facts.lender(row);
        let key = Seen::suspended(loan, lender, facts.id(row), is_notice(facts.kind(row)));
        let (place, verdict) = self.seen.judge(key, facts.copy(row));
        match verdict {
            Verdict::New => {}
            Verdict::Wins(old) => said.refused.push_copy(facts, row, lender, &old, CONFLICT),
            Verdict::Repeat => {
                self.repeats += 1;
                return None;
            }
            Verdict::Loses => {
                said.refused.push(facts, row, None, CONFLICT);
                return None;
            }
        }
        Some(self.pendings.keep(loan, place, facts.suspended(row)))
    }

    /// Sends a movement of an unknown loan into suspense and keeps it.
    fn suspend(&mut self, facts: &Facts, row: usize, loan: u32, said: &mut Said) {
        let Some(lesser) = self.wait(facts, row, loan, said) else { return };
        let to_shard = shard(facts.loan_id(row), self.rules.shards);
        let stamp = Stamp { to_shard, borrower: None, lender: None, replaces_at: None };
        // The shard that holds suspended money remembers no copies: the lesser one leaves first.
        if let Some(lesser) = lesser
            && facts::is_money(lesser.kind())
        {
            let from = said.letters.keep(&lesser);
            said.letters.push(Letter { from, cause: row, kind: Some("released"), stamp });
        }
        // A waiver or a fee waits for its loan too, but there is nothing to put into suspense.
        if !facts::is_money(facts.kind(row)) {
            return;
        }
        said.letters.push(Letter {
            from: From::Fact(row),
            cause: row,
            kind: Some("suspended"),
            stamp,
        });
    }

    /// Sends what waited for a loan: out of suspense, then to the loan.
    fn release(&mut self, facts: &Facts, row: usize, loan: u32, said: &mut Said) {
        let to_shard = shard(facts.loan_id(row), self.rules.shards);
        for (number, movement) in self.pendings.release(loan) {
            if self.comes_late(loan, movement.kind(), movement.copy.at) {
                self.pendings.keep(loan, number, movement);
                continue;
            }
            let lender = movement.lender();
            let stamp = Stamp { to_shard, borrower: None, lender: None, replaces_at: None };
            let from = said.letters.keep(&movement);
            let notice = is_notice(movement.kind());
            if !notice && facts::is_money(movement.kind()) {
                said.letters.push(Letter { from, cause: row, kind: Some("released"), stamp });
            }
            let copy = movement.copy;
            if self.loans.foreign(loan, lender) {
                said.refused.push_copy(facts, row, lender, &copy, FOREIGN);
                continue;
            }
            let key = match notice {
                true => Seen::report(loan, movement.id()),
                false => Seen::movement(loan, movement.id()),
            };
            let replaces_at = match self.seen.judge(key, copy).1 {
                Verdict::New => None,
                Verdict::Repeat => continue,
                Verdict::Loses => {
                    let lender = lender.or(self.loans.lender(loan));
                    said.refused.push_copy(facts, row, lender, &copy, CONFLICT);
                    continue;
                }
                Verdict::Wins(old) => {
                    let lender = self.loans.lender(loan);
                    said.refused.push_copy(facts, row, lender, &old, CONFLICT);
                    Some(old.at)
                }
            };
            let Letter { stamp, .. } = self.letter(loan, row, replaces_at);
            said.letters.push(Letter { from, cause: row, kind: None, stamp });
            if notice {
                self.decide(loan, movement.kind(), copy.at);
                // What a notice before this one held back again is free now.
                if !self.loans.closed(loan, i64::MAX - 1) {
                    self.release(facts, row, loan, said);
                }
            }
        }
    }

    /// A letter about a known loan.
    fn letter(&self, loan: u32, row: usize, replaces_at: Option<i64>) -> Letter {
        let stamp = Stamp {
            to_shard: self.loans.shard(loan),
            borrower: Some(self.loans.borrower(loan)),
            lender: self.loans.lender_row(loan),
            replaces_at,
        };
        Letter { from: From::Fact(row), cause: row, kind: None, stamp }
    }
}

impl Operator for Register {
    fn step(&mut self, batch: &RecordBatch) -> Vec<RecordBatch> {
        let facts = Facts::of(batch);
        let rows = batch.num_rows();
        let mut said = Said { letters: Letters::new(rows), refused: Refusals::default() };
        for row in 0..rows {
            match facts.kind(row) {
                "report" => self.report(&facts, row, &mut said),
                kind if facts::is_movement(kind) => self.movement(&facts, row, &mut said),
                kind if is_notice(kind) => self.notice(&facts, row, &mut said),
                _ => {
                    let stamp = Stamp { to_shard: self.shard, ..Stamp::default() };
                    said.letters.push(Letter {
                        from: From::Fact(row),
                        cause: row,
                        kind: None,
                        stamp,
                    });
                }
            }
        }
        vec![said.letters.finish(batch, &self.loans), said.refused.finish()]
    }

    fn save(&self) -> Vec<RecordBatch> {
        let repeats = UInt64Array::from(vec![self.repeats]);
        let counts = pending::table(vec![("repeats", Arc::new(repeats))]);
        vec![self.loans.save(), self.seen.save(), self.pendings.save(), counts]
    }

    fn load(&mut self, tables: Vec<RecordBatch>) -> Result<(), LoadError> {
        let failed = |what: &str| LoadError { operator: VERB.name, what: what.into() };
        let [loans, seen, pendings, counts] = tables.as_slice() else {
            return Err(failed("four tables are expected"));
        };
        self.loans = Loans::load(loans, &self.rules).map_err(failed)?;
        self.seen = Seen::load(seen).map_err(failed)?;
        self.pendings = Pendings::load(pendings).map_err(failed)?;
        let repeats = counts.columns().first().and_then(|column| column.as_any().downcast_ref());
        let repeats: &UInt64Array = repeats.ok_or(failed("counts have no repeats"))?;
        if repeats.len() != 1 {
            return Err(failed("counts have one row"));
        }
        self.repeats = repeats.value(0);
        Ok(())
    }

    fn size(&self) -> usize {
        self.loans.size() + self.seen.size() + self.pendings.size()
    }
}
