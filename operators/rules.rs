//! The numbers that operators decide by.
//!
//! Plain data, made by the shell from the settings file and fixed for the life of a process.
//! Money is in cents.

/// What is dispatched at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// One borrower's open loans with one lender.
    Borrower,
    /// A single loan.
    Loan,
}

/// What makes a loan one loan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoanKey {
    /// `loan_id` is unique in the deployment.
    Loan,
    /// `loan_id` is unique within its lender.
    LenderLoan,
}

/// Everything an operator may be told at birth.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Number of shards of the deployment, fixed at `init`.
    pub shards: u32,
    pub loan_key: LoanKey,
    /// Whether a person (token of the national id) joins loans across lenders.
    pub person_joins: bool,
    pub case: Case,
    /// A case is placed only where its value exceeds this, in cents.
    pub value_min: i64,
    /// By how much another desk must win before a placed case moves, in cents.
    pub switch_margin: i64,
    /// Capacity that is free must last to the end of the running stretch of so many minutes,
    /// counted from midnight UTC; 0: only for what waits.
    pub horizon_minutes: u32,
    /// Days after which a statement day closes.
    pub close_after_days: i32,
    /// Keys for tokens and for sealing refused bytes; `None` in `batch` on a user's own files.
    pub keys: Option<Keys>,
}

/// Secrets of the intake. Never printed.
#[derive(Clone)]
pub struct Keys {
    /// Key of the HMAC-SHA-256 tokens of phone and national id.
    pub token: [u8; 32],
    /// Key of AES-SIV (CMAC, 256 bit in two halves) that seals refused bytes.
    pub seal: [u8; 64],
    /// Names the key in a sealed fact.
    pub id: u32,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys {{ id: {}, .. }}", self.id)
    }
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            shards: 8,
            loan_key: LoanKey::Loan,
            person_joins: false,
            case: Case::Borrower,
            value_min: 0,
            switch_margin: 1_000,
            horizon_minutes: 0,
            close_after_days: 3,
            keys: None,
        }
    }
}
