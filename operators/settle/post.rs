//! Double entry: the lines of one booking, and what it changes on a statement.
//!
//! Debit is positive. Money comes in by the bank, or by the agency's clearing account where the
//! agency took it; it goes to the parts of the receivable, to the borrower's credit for what is
//! over, or waits. Commission is a cost of collection owed to the agency. Every booking's lines
//! sum to zero.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, Date32Builder, Decimal128Builder, Int64Builder, StringBuilder,
    new_null_array,
};
use arrow::datatypes::DataType;

use crate::account::says::{Place, money, texts};

/// A booking with all that was decided about it.
pub struct Posting<'a> {
    pub place: (u32, u64, u32),
    pub kind: &'a str,
    pub movement_id: &'a str,
    pub loan_id: Option<&'a str>,
    pub lender_id: Option<&'a str>,
    pub agency_id: &'a str,
    /// Of the deal: contract and version, rate and rounding.
    pub contract: &'a str,
    pub rule: &'a str,
    pub currency: Option<&'a str>,
    pub channel: Option<&'a str>,
    pub correction: bool,
    pub booked_on: i32,
    /// penalty, fee, interest, principal, over, before_report, suspense.
    pub money: [i128; 7],
    /// penalty + fee + interest + principal.
    pub collected: i128,
    pub commission: i128,
}

impl Posting<'_> {
    /// Whether the agency took the money in.
    fn by_agency(&self) -> bool {
        self.channel == Some("agency") && !self.agency_id.is_empty()
    }
}

/// Accounts that money goes to, in the order of [`Posting::money`].
const CREDITS: [&str; 7] = [
    "receivable_penalty",
    "receivable_fee",
    "receivable_interest",
    "receivable_principal",
    "borrower_credit",
    "before_report",
    "suspense",
];

/// Accounts that commission moves between.
const COST: &str = "collection_cost";
const PAYABLE: &str = "agency_payable";

/// The ledger of one step while it grows.
pub struct Ledger {
    place: Place,
    entry_id: StringBuilder,
    /// loan_id, lender_id, agency_id.
    ids: [StringBuilder; 3],
    account: StringBuilder,
    amount: Decimal128Builder,
    currency: StringBuilder,
    booked_on: Date32Builder,
    cause: StringBuilder,
    contract: StringBuilder,
    rule: StringBuilder,
    /// The letter whose lines are being written, and how many it has so far.
    letter: Option<(u64, u32)>,
    lines: u32,
    entry: String,
    why: String,
}

/// One line: an account and what it takes.
pub struct Entry {
    pub account: &'static str,
    pub amount: i128,
}

impl Ledger {
    pub fn new(bookings: usize) -> Self {
        let rows = bookings * 5;
        Ledger {
            place: Place::new(rows),
            entry_id: texts(rows, 28),
            ids: std::array::from_fn(|_| texts(rows, 12)),
            account: texts(rows, 18),
            amount: money(rows),
            currency: texts(rows, 3),
            booked_on: Date32Builder::with_capacity(rows),
            cause: texts(rows, 12),
            contract: texts(rows, 2),
            rule: texts(rows, 6),
            letter: None,
            lines: 0,
            entry: String::new(),
            why: String::new(),
        }
    }

    /// Writes the lines of a booking.
    pub fn post(&mut self, posting: &Posting<'_>) {
        let letter = Some((posting.place.1, posting.place.2));
        if self.letter != letter {
            self.letter = letter;
            self.lines = 0;
        }
        self.name(posting);
        let total: i128 = posting.money.iter().sum();
        let way = if posting.by_agency() { "agency_clearing" } else { "bank" };
        self.line(posting, &Entry { account: way, amount: total });
        for (account, amount) in CREDITS.into_iter().zip(posting.money) {
            self.line(posting, &Entry { account, amount: -amount });
        }
        let commission = posting.commission;
        self.line(posting, &Entry { account: COST, amount: commission });
        self.line(posting, &Entry { account: PAYABLE, amount: -commission });
    }

    /// Writes the parts that all lines of a booking share: the stem of their id and the cause.
    fn name(&mut self, posting: &Posting<'_>) {
        self.entry.clear();
        let (_, seq, row) = posting.place;
        self.entry.push_str(posting.movement_id);
        self.entry.push(':');
        write_number(&mut self.entry, seq);
        self.entry.push(':');
        write_number(&mut self.entry, u64::from(row));
        self.entry.push(':');
        self.why.clear();
        self.why.push_str(posting.movement_id);
        match posting.kind {
            "payment" | "reversal" if !posting.correction => {}
            "payment" | "reversal" => self.why.push_str(":correction"),
            other => {
                self.why.push(':');
                self.why.push_str(other);
            }
        }
    }

    fn line(&mut self, posting: &Posting<'_>, entry: &Entry) {
        if entry.amount == 0 {
            return;
        }
        let (shard, seq, row) = posting.place;
        self.place.push(shard, seq, row);
        let stem = self.entry.len();
        write_number(&mut self.entry, u64::from(self.lines));
        self.lines += 1;
        self.entry_id.append_value(&self.entry);
        self.entry.truncate(stem);
        let ids = [posting.loan_id, posting.lender_id, Some(posting.agency_id)];
        for (column, id) in self.ids.iter_mut().zip(ids) {
            column.append_option(id);
        }
        self.account.append_value(entry.account);
        self.amount.append_value(entry.amount);
        self.currency.append_option(posting.currency);
        self.booked_on.append_value(posting.booked_on);
        self.cause.append_value(&self.why);
        let commission = entry.account == COST || entry.account == PAYABLE;
        self.rule.append_option(commission.then_some(posting.rule));
        let named = commission && !posting.contract.is_empty();
        self.contract.append_option(named.then_some(posting.contract));
    }

    pub fn finish(mut self) -> Vec<ArrayRef> {
        let mut columns = self.place.finish();
        columns.push(Arc::new(self.entry_id.finish()));
        columns.extend(self.ids.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.push(Arc::new(self.account.finish()));
        columns.push(Arc::new(self.amount.finish()));
        columns.push(Arc::new(self.currency.finish()));
        columns.push(Arc::new(self.booked_on.finish()));
        columns.push(Arc::new(self.cause.finish()));
        columns.push(Arc::new(self.contract.finish()));
        columns.push(Arc::new(self.rule.finish()));
        columns
    }
}

/// Writes a number in decimal. Ids are written for every line, and formatting is slow.
fn write_number(text: &mut String, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    digits[at..].iter().for_each(|digit| text.push(char::from(*digit)));
}

/// What changes on statements in one step.
pub struct Lines {
    place: Place,
    /// kind, lender_id, agency_id.
    texts: [StringBuilder; 3],
    day: Date32Builder,
    currency: StringBuilder,
    count: Int64Builder,
    /// collected, penalty, fee, interest, principal, over, commission.
    money: [Decimal128Builder; 7],
    held: Decimal128Builder,
}

impl Lines {
    pub fn new(rows: usize) -> Self {
        Lines {
            place: Place::new(rows),
            texts: std::array::from_fn(|_| texts(rows, 8)),
            day: Date32Builder::with_capacity(rows),
            currency: texts(rows, 3),
            count: Int64Builder::with_capacity(rows),
            money: std::array::from_fn(|_| money(rows)),
            held: money(rows),
        }
    }

    pub fn push(&mut self, posting: &Posting<'_>) {
        let (shard, seq, row) = posting.place;
        self.place.push(shard, seq, row);
        let texts = [Some(posting.kind), posting.lender_id, Some(posting.agency_id)];
        for (column, value) in self.texts.iter_mut().zip(texts) {
            column.append_option(value);
        }
        self.day.append_value(posting.booked_on);
        self.currency.append_option(posting.currency);
        self.count.append_value(match posting.kind {
            "withdrawn" => -1,
            _ => i64::from(!posting.correction),
        });
        let [penalty, fee, interest, principal, over, ..] = posting.money;
        let parts = [posting.collected, penalty, fee, interest, principal, over];
        for (column, part) in self.money.iter_mut().zip(parts) {
            column.append_value(part);
        }
        self.money[6].append_value(posting.commission);
        let total = posting.money.iter().sum();
        self.held.append_value(if posting.by_agency() { total } else { 0 });
    }

    pub fn finish(mut self) -> Vec<ArrayRef> {
        let mut columns = self.place.finish();
        columns.extend(self.texts.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.push(Arc::new(self.day.finish()));
        columns.push(Arc::new(self.currency.finish()));
        columns.push(Arc::new(self.count.finish()));
        columns.extend(self.money.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        let rows = self.held.len();
        columns.push(Arc::new(self.held.finish()));
        columns.push(new_null_array(&crate::facts::MONEY, rows));
        columns.push(new_null_array(&DataType::Boolean, rows));
        columns
    }
}
