//! What is owed, component by component, and what one movement after the other makes of it.

use super::acts::Act;
use super::history::Movement;
use super::loans::day_of;
use super::plan::Plan;
use super::waterfalls::{Orders, Standing, code, order};

/// Penalty, fee, interest, principal, over, before the first report.
pub type Parts = [i64; 6];

pub const PENALTY: usize = 0;
const PRINCIPAL: usize = 3;
/// What exceeds the debt.
pub const OVER: usize = 4;
/// Money older than the first report.
pub const BEFORE: usize = 5;

/// Whether a movement books anything, and if not, why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stands {
    #[default]
    Booked,
    /// A reversal whose payment has not come yet.
    Waiting,
    /// Another reversal of the same payment comes first.
    AlreadyReversed,
    /// Its amount is not the negative of its payment's, or a chargeback is of more.
    ReversalAmount,
    /// What it names cannot be taken back.
    ReversalTarget,
}

/// What a movement books. What a fee adds and what is paid out is negative: owed again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Booked {
    pub stands: Stands,
    pub parts: Parts,
    /// Whether its loan was charged off.
    pub recovered: bool,
    /// The waterfall.
    pub code: u8,
    /// What was owed before it, and the place of the report that says so.
    pub balance: i64,
    pub report: Option<u32>,
    /// Days past due by instalment, of a loan with a schedule.
    pub days: Option<i32>,
}

/// The debt of a stretch of movements and their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Debt {
    /// Penalty, fee, interest, principal when the stretch began.
    pub owed: [i64; 4],
    pub sum: i64,
    /// The waterfall.
    pub code: u8,
}

impl Debt {
    /// How a sum fills a debt, in order.
    pub fn fill(&self) -> Parts {
        let mut filled = [0; 6];
        let mut left = self.sum;
        for part in order(self.code) {
            filled[part] = left.clamp(0, self.owed[part].max(0));
            left -= filled[part];
        }
        filled[OVER] = left;
        filled
    }

    /// What is still owed.
    pub fn rest(&self) -> [i64; 4] {
        let filled = self.fill();
        std::array::from_fn(|i| self.owed[i].saturating_sub(filled[i]))
    }

    /// What is still owed in all.
    pub fn balance(&self) -> i64 {
        self.rest().into_iter().fold(0, i64::saturating_add)
    }

    /// Adds money; the answer is what it books.
    pub fn book(&mut self, amount: i64) -> Parts {
        let before = self.fill();
        self.sum = self.sum.saturating_add(amount);
        difference(&self.fill(), &before)
    }

    /// How an amount lies on what is still owed; nothing of it is over.
    fn cover(&self, amount: i64) -> Parts {
        let mut parts = Debt { owed: self.rest(), sum: amount, code: self.code }.fill();
        parts[OVER] = 0;
        parts
    }
}

/// What a report says is owed, and in which orders money fills it.
#[derive(Clone, Default)]
pub struct Opening {
    pub owed: [i64; 4],
    pub orders: Orders,
    pub plan: Option<Plan>,
}

/// Where in a segment the walk stands.
#[derive(Clone, Default)]
pub struct Walk {
    pub debt: Debt,
    /// The debt by instalments, if the report of the segment has a schedule; then nothing of it
    /// is in `debt` but its waterfall.
    pub plan: Option<Plan>,
    /// What went over before the stretch began.
    over: i64,
    /// The borrower's credit, from all segments.
    pub credit: i64,
    orders: Orders,
    /// How many settlements and charge-offs stand.
    settled: i32,
    charged_off: i32,
    /// The last three, when the segment began.
    started: (i64, i32, i32),
    /// Places in business order where the segment and the stretch begin.
    pub segment_start: usize,
    pub stretch_start: usize,
}

impl Walk {
    /// A report opens a segment.
    pub fn open(&mut self, at: usize, opening: Opening) {
        self.over = 0;
        self.orders = opening.orders;
        let owed = if opening.plan.is_some() { [0; 4] } else { opening.owed };
        self.debt = Debt { owed, sum: 0, code: code(opening.orders, self.standing()) };
        self.plan = opening.plan;
        self.started = (self.credit, self.settled, self.charged_off);
        self.segment_start = at;
        self.stretch_start = at;
    }

    /// The walk as it was when its segment began.
    pub fn start(&self) -> Self {
        let (credit, settled, charged_off) = self.started;
        Walk { credit, settled, charged_off, ..Walk::default() }
    }

    pub fn standing(&self) -> Standing {
        match (self.charged_off > 0, self.settled > 0) {
            (true, _) => Standing::WrittenOff,
            (false, true) => Standing::Settled,
            (false, false) => Standing::Standard,
        }
    }

    /// An act that changes how the loan stands begins or is taken back.
    pub fn stand(&mut self, act: Act, change: i32, i: usize) {
        match act {
            Act::Settlement => self.settled += change,
            Act::ChargeOff => self.charged_off += change,
            _ => return,
        }
        self.restart(i);
        self.debt.code = code(self.orders, self.standing());
    }

    /// What is still owed.
    pub fn rest(&self) -> [i64; 4] {
        self.plan.as_ref().map_or_else(|| self.debt.rest(), Plan::rest)
    }

    /// What is still owed in all.
    pub fn balance(&self) -> i64 {
        match &self.plan {
            Some(plan) => plan.rest().into_iter().fold(0, i64::saturating_add),
            None => self.debt.balance(),
        }
    }

    /// What is still owed, as one debt.
    pub fn end(&self) -> Debt {
        match &self.plan {
            Some(plan) => Debt { owed: plan.rest(), ..self.debt },
            None => self.debt,
        }
    }

    /// What a movement of its own books; reversals are not.
    pub fn take(&mut self, one: &Movement, i: usize) -> Parts {
        let (act, amount) = (one.act, one.amount);
        let parts = match (&mut self.plan, act) {
            (Some(plan), _) => {
                let paid = (amount, day_of(one.at));
                let parts = plan.take(act, paid, self.debt.code, self.credit);
                self.over += parts[OVER];
                parts
            }
            (None, Act::Chargeback | Act::Refund) => self.pay_out(-amount, i),
            (None, Act::NsfFee) => self.charge(amount, i),
            (None, Act::Waiver | Act::Settlement) => self.waive(amount, i),
            (None, Act::ChargeOff) => self.debt.cover(amount),
            (None, _) => self.debt.book(amount),
        };
        self.credit += parts[OVER];
        self.stand(act, 1, i);
        parts
    }

    /// What is filled so far is no debt any more; a new stretch begins behind `i`.
    fn restart(&mut self, i: usize) {
        self.over += self.debt.fill()[OVER];
        self.debt.owed = self.debt.rest();
        self.debt.sum = 0;
        self.stretch_start = i + 1;
    }

    /// Money goes back: the borrower's credit first, the rest is principal again.
    fn pay_out(&mut self, amount: i64, i: usize) -> Parts {
        self.restart(i);
        let credit = self.credit.clamp(0, amount.max(0));
        self.over -= credit;
        let principal = amount - credit;
        self.debt.owed[PRINCIPAL] = self.debt.owed[PRINCIPAL].saturating_add(principal);
        [0, 0, 0, -principal, -credit, 0]
    }

    fn charge(&mut self, amount: i64, i: usize) -> Parts {
        self.restart(i);
        self.debt.owed[PENALTY] = self.debt.owed[PENALTY].saturating_add(amount);
        [-amount, 0, 0, 0, 0, 0]
    }

    fn waive(&mut self, amount: i64, i: usize) -> Parts {
        self.restart(i);
        let parts = self.debt.cover(amount);
        self.debt.owed = std::array::from_fn(|part| self.debt.owed[part] - parts[part]);
        parts
    }

    /// A reversal from beyond the segment: what its payment booked is owed again. A fee that is
    /// taken back lowers the debt; where it is paid by now, it is the borrower's.
    pub fn reopen(&mut self, i: usize, day: i32, booked: &Parts) -> Parts {
        self.restart(i);
        if let Some(plan) = &mut self.plan {
            let parts = plan.reopen(day, booked);
            self.over += parts[OVER];
            return parts;
        }
        let mut parts = booked.map(|part| -part);
        for (part, taken) in parts.iter_mut().enumerate().take(OVER) {
            let owed = self.debt.owed[part];
            let most = if booked[part] < 0 { owed.max(0) } else { i64::MAX };
            let kept = (*taken).min(most);
            self.debt.owed[part] = owed.saturating_sub(kept);
            *taken = kept;
        }
        let lowered: i64 = parts[..OVER].iter().sum();
        let wanted: i64 = booked[..OVER].iter().map(|part| -part).sum();
        parts[OVER] += wanted - lowered;
        self.over += parts[OVER];
        parts
    }

    /// What changed since an earlier state of the same segment.
    pub fn changed_since(&self, before: &Walk) -> Parts {
        let mut parts = [0; 6];
        let rests = self.rest().into_iter().zip(before.rest());
        for (part, (now, then)) in parts.iter_mut().zip(rests) {
            *part = then - now;
        }
        parts[OVER] = self.over + self.debt.fill()[OVER] - before.over - before.debt.fill()[OVER];
        parts
    }
}

/// What changed from one set of parts to another.
pub fn difference(now: &Parts, then: &Parts) -> Parts {
    std::array::from_fn(|i| now[i] - then[i])
}
