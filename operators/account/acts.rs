//! What a movement does to a debt.
//!
//! Money comes in (payment, payoff), is taken back (reversal, return), is paid out again
//! (chargeback, refund), or a debt changes without money: a fee is charged, debt is waived, a loan
//! is charged off. A waiver on the grounds of a settlement changes the order of what follows.

/// The kinds of movement. The numbers are those of packed histories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Act {
    #[default]
    Payment = 0,
    Reversal = 1,
    /// A reversal with the bank's code: the payment came back unpaid.
    Return = 2,
    /// The payer took it back: what is not the borrower's credit is principal again.
    Chargeback = 3,
    /// What a return costs the borrower, a penalty.
    NsfFee = 4,
    Waiver = 5,
    /// A waiver after which the loan counts as settled.
    Settlement = 6,
    ChargeOff = 7,
    /// The borrower's credit is paid out.
    Refund = 8,
    /// A third party pays the loan off.
    Payoff = 9,
}

const ALL: [Act; 10] = [
    Act::Payment,
    Act::Reversal,
    Act::Return,
    Act::Chargeback,
    Act::NsfFee,
    Act::Waiver,
    Act::Settlement,
    Act::ChargeOff,
    Act::Refund,
    Act::Payoff,
];

/// The grounds on which a waiver settles a loan.
const SETTLEMENT: &str = "settlement";

impl Act {
    /// The act of a record of this kind, given on these grounds.
    pub fn of(kind: &str, reason: Option<&str>) -> Option<Self> {
        if kind == "waiver" && reason == Some(SETTLEMENT) {
            return Some(Act::Settlement);
        }
        ALL.into_iter().find(|act| act.name() == kind)
    }

    pub fn from_code(code: u8) -> Option<Self> {
        ALL.get(usize::from(code)).copied()
    }

    pub fn code(self) -> u8 {
        self as u8
    }

    pub fn name(self) -> &'static str {
        match self {
            Act::Payment => "payment",
            Act::Reversal => "reversal",
            Act::Return => "return",
            Act::Chargeback => "chargeback",
            Act::NsfFee => "nsf_fee",
            Act::Waiver | Act::Settlement => "waiver",
            Act::ChargeOff => "charge_off",
            Act::Refund => "refund",
            Act::Payoff => "payoff",
        }
    }

    /// Money that fills a debt.
    pub fn pays(self) -> bool {
        matches!(self, Act::Payment | Act::Payoff)
    }

    /// Leaves things as if another movement had never come.
    pub fn undoes(self) -> bool {
        matches!(self, Act::Reversal | Act::Return)
    }

    /// Whether its record names another movement.
    pub fn has_target(self) -> bool {
        self.undoes() || self == Act::Chargeback
    }

    /// Whether another movement may take it back.
    pub fn may_be_undone(self) -> bool {
        !self.has_target() && self != Act::Refund
    }

    /// Whether money moves, and not only debt.
    pub fn is_money(self) -> bool {
        !matches!(self, Act::NsfFee | Act::Waiver | Act::Settlement | Act::ChargeOff)
    }
}
