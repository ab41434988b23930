//! What dispatch remembers of loans and of the cases they form, in columns.
//!
//! Ten million open cases must fit: a loan is its key and some forty bytes, a case some twenty.
//! Cases never share a loan; the loans of a case are a chain in the order they came.

use hashbrown::HashTable;

use super::amounts::{Amounts, grow};
use crate::memory::{Keys, hash_bytes};
use crate::rules::LoanKey;

/// Nobody, nothing, no next.
pub const NONE: u32 = u32::MAX;
/// No desk.
pub const NO_DESK: u16 = u16::MAX;
/// No price yet.
pub const UNPRICED: i64 = i64::MIN;

/// No instant.
pub const NEVER: i64 = i64::MIN;

/// Where a loan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    New,
    Unpriced,
    Waiting,
    Placed,
    Paid,
    Recalled,
    Expired,
    Settled,
    Refinanced,
    Withdrawn,
    Sold,
    WrittenOff,
}

impl Status {
    const EVERY: [Status; 12] = [
        Status::New,
        Status::Unpriced,
        Status::Waiting,
        Status::Placed,
        Status::Paid,
        Status::Recalled,
        Status::Expired,
        Status::Settled,
        Status::Refinanced,
        Status::Withdrawn,
        Status::Sold,
        Status::WrittenOff,
    ];

    /// As the relation `placements` writes it.
    pub fn text(self) -> &'static str {
        match self {
            Status::New | Status::Waiting => "waiting",
            Status::Unpriced => "unpriced",
            Status::Placed => "placed",
            Status::Paid => "paid",
            Status::Recalled => "recalled",
            Status::Expired => "expired",
            Status::Settled => "settled",
            Status::Refinanced => "refinanced",
            Status::Withdrawn => "withdrawn",
            Status::Sold => "sold",
            Status::WrittenOff => "written_off",
        }
    }
}

/// Loans, by row.
#[derive(Default)]
pub struct Loans {
    pub keys: Keys,
    pub case: Vec<u32>,
    pub next: Vec<u32>,
    pub segment: Vec<u32>,
    pub price: Amounts,
    pub balance: Amounts,
    pub days: Vec<i16>,
    /// The price that the last placement was decided at.
    pub decided: Amounts,
    /// When the last placement was decided; [`NEVER`] if nobody knows.
    pub placed_at: Vec<i64>,
    /// The terms of the last placement, by number; 0: never placed.
    pub terms: Vec<u32>,
    /// Placements so far, and the status in the low four bits.
    pub turn: Vec<u32>,
}

impl Loans {
    /// The row of a loan, appended if it is new.
    pub fn row(&mut self, key: &str) -> (u32, bool) {
        let (row, fresh) = self.keys.row(key);
        if fresh {
            let Loans { case, next, segment, terms, turn, .. } = self;
            for (column, first) in
                [(case, NONE), (next, NONE), (segment, NONE), (terms, 0), (turn, 0)]
            {
                grow(column);
                column.push(first);
            }
            self.price.push(UNPRICED);
            self.balance.push(0);
            self.decided.push(0);
            grow(&mut self.days);
            self.days.push(0);
            grow(&mut self.placed_at);
            self.placed_at.push(NEVER);
        }
        (row, fresh)
    }

    /// The loan's id as its lender writes it.
    pub fn id(&self, loan: u32, by: LoanKey) -> &str {
        let key = self.keys.key(loan);
        match by {
            LoanKey::Loan => key,
            LoanKey::LenderLoan => key.split_once(PART).map_or(key, |parts| parts.1),
        }
    }

    pub fn status(&self, loan: u32) -> Status {
        Status::EVERY[(self.turn[loan as usize] & 15).min(11) as usize]
    }

    pub fn set_status(&mut self, loan: u32, status: Status) {
        let turn = &mut self.turn[loan as usize];
        *turn = (*turn & !15) | status as u32;
    }

    /// How often the loan was placed.
    pub fn placement(&self, loan: u32) -> u32 {
        self.turn[loan as usize] >> 4
    }

    pub fn count_placement(&mut self, loan: u32) {
        self.turn[loan as usize] = self.turn[loan as usize].saturating_add(16);
    }

    pub fn size(&self) -> usize {
        let amounts = self.price.size() + self.balance.size() + self.decided.size();
        self.keys.size() + amounts + self.case.len() * (4 * 5 + 8 + 2)
    }
}

/// Cases, by row.
#[derive(Default)]
pub struct Cases {
    rows: HashTable<u32>,
    hash: Vec<u64>,
    pub head: Vec<u32>,
    pub desk: Vec<u16>,
    /// Bit 0: stands in the line of waiting cases. Bit 1: a recall is pending. Bit 2: some desks
    /// are closed to it.
    pub flags: Vec<u8>,
}

pub const IN_LINE: u8 = 1;
pub const RECALLING: u8 = 2;
pub const MARKED: u8 = 4;

impl Cases {
    /// The hash that names a case. Of 64 bits: two borrowers of one shard and one lender would
    /// have to meet in all of them to be dispatched together.
    pub fn name(borrower: &str, lender: &str) -> u64 {
        hash_bytes(borrower.as_bytes()).rotate_left(17) ^ hash_bytes(lender.as_bytes())
    }

    pub fn find(&self, name: u64) -> Option<u32> {
        self.rows.find(name, |row| self.hash[*row as usize] == name).copied()
    }

    /// A new case; whether it can be found by its name.
    pub fn add(&mut self, name: u64, found: bool) -> u32 {
        let row = self.head.len() as u32;
        grow(&mut self.hash);
        self.hash.push(name);
        if found {
            let hash = &self.hash;
            self.rows.insert_unique(name, row, |row| hash[*row as usize]);
        }
        grow(&mut self.head);
        grow(&mut self.desk);
        grow(&mut self.flags);
        self.head.push(NONE);
        self.desk.push(NO_DESK);
        self.flags.push(0);
        row
    }

    pub fn len(&self) -> usize {
        self.head.len()
    }

    /// Names in order of rows.
    pub fn names(&self) -> &[u64] {
        &self.hash
    }

    pub fn hash_of(&self, case: u32) -> u64 {
        self.hash[case as usize]
    }

    pub fn size(&self) -> usize {
        self.rows.capacity() * 5 + self.hash.len() * 8 + self.head.len() * 7
    }
}

/// The kinds of loan: province, product, bucket and lender, numbered as they come.
#[derive(Default)]
pub struct Segments {
    pub keys: Keys,
    pub bucket: Vec<u8>,
    /// The key being made, kept so that making one allocates nothing.
    key: String,
}

/// Parts of a segment's key; a character no province or product has.
pub const PART: char = '\u{1f}';

impl Segments {
    pub fn row(&mut self, province: &str, product: &str, bucket: usize, lender: &str) -> u32 {
        self.key.clear();
        self.key.push(char::from(b'0' + bucket.min(9) as u8));
        for part in [province, product, lender] {
            self.key.push(PART);
            self.key.push_str(part);
        }
        let (row, fresh) = self.keys.row(&self.key);
        if fresh {
            self.bucket.push(bucket.min(6) as u8);
        }
        row
    }

    /// Province, product, lender.
    pub fn parts(&self, segment: u32) -> (&str, &str, &str) {
        let mut parts = self.keys.key(segment).splitn(4, PART).skip(1);
        let mut part = || parts.next().unwrap_or("");
        (part(), part(), part())
    }

    pub fn lender(&self, segment: u32) -> &str {
        if segment == NONE { "" } else { self.parts(segment).2 }
    }
}
