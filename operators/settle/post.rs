//! Double entry: the lines of one booking.
//!
//! Debit is positive. Money comes in by the bank, or by the agency's clearing account where the
//! agency took it; it goes to the parts of the receivable, to income once the loan was charged
//! off, to the borrower's credit for what is over, or waits. Debt that changes without money has
//! an account for its reason. Commission is a cost of collection owed to the agency, with VAT
//! where there is any. Every booking's lines sum to zero, and each names the event, the contract
//! and the rule that it follows from.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Decimal128Array, UInt32Array, UInt64Array};

use super::deals::Deal;
use crate::facts;
use crate::texts::Texts;

/// A booking with all that was decided about it.
pub struct Posting<'a> {
    pub place: (u32, u64, u32),
    pub kind: &'a str,
    /// What the movement is, where its kind is `withdrawn`.
    pub act: &'a str,
    pub movement_id: &'a str,
    pub loan_id: Option<&'a str>,
    pub lender_id: Option<&'a str>,
    pub deal: &'a Deal,
    pub currency: Option<&'a str>,
    pub channel: Option<&'a str>,
    pub correction: bool,
    /// Whether the loan was charged off before.
    pub recovered: bool,
    pub waterfall: &'a str,
    /// The bank's code, the payer or the authority.
    pub grounds: Option<&'a str>,
    pub booked_on: i32,
    /// penalty, fee, interest, principal, over, before_report, suspense.
    pub money: [i128; 7],
    /// penalty + fee + interest + principal.
    pub collected: i128,
    pub commission: i128,
    pub vat: i128,
}

impl Posting<'_> {
    /// Whether money moved, and not only debt.
    pub fn is_money(&self) -> bool {
        facts::is_money(self.act)
    }

    /// By how much what the agency holds for the lender changes.
    pub fn held(&self) -> i128 {
        if self.by_agency() { self.money.iter().sum() } else { 0 }
    }

    /// Whether the agency took the money. A third party pays the creditor.
    fn by_agency(&self) -> bool {
        let agency = self.channel == Some("agency") && !self.deal.agency.is_empty();
        agency && self.act != "payoff" && self.is_money()
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

/// What comes in after a charge-off.
const INCOME: &str = "recovery_income";
const COST: &str = "collection_cost";
const PAYABLE: &str = "agency_payable";
const VAT: &str = "input_vat";

/// One line: an account, what it takes, and the rule that says so.
#[derive(Clone, Copy, Default)]
struct Line<'a> {
    account: &'static str,
    amount: i128,
    rule: &'a str,
}

/// The most lines of a booking: where money comes from, seven parts, three of commission.
const LINES_MAX: usize = 11;

/// The ledger of one step while it grows.
pub struct Ledger {
    shard: Vec<u32>,
    seq: Vec<u64>,
    row: Vec<u32>,
    entry_id: Texts,
    /// loan_id, lender_id, agency_id.
    ids: [Texts; 3],
    account: Texts,
    amount: Vec<i128>,
    currency: Texts,
    booked_on: Vec<i32>,
    cause: Texts,
    contract: Texts,
    rule: Texts,
    /// The letter whose lines are being written, and how many it has so far.
    letter: Option<(u64, u32)>,
    lines: u32,
    entry: String,
    why: String,
}

impl Ledger {
    pub fn new(bookings: usize) -> Self {
        let rows = bookings * 5;
        let texts = |bytes: usize| Texts::with_capacity(rows, rows * bytes);
        Ledger {
            shard: Vec::with_capacity(rows),
            seq: Vec::with_capacity(rows),
            row: Vec::with_capacity(rows),
            entry_id: texts(20),
            ids: [texts(12), texts(4), texts(4)],
            account: texts(18),
            amount: Vec::with_capacity(rows),
            currency: texts(3),
            booked_on: Vec::with_capacity(rows),
            cause: texts(12),
            contract: texts(8),
            rule: texts(24),
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
        let mut lines = [Line::default(); LINES_MAX];
        let count = lines_of(posting, &mut lines);
        if count > 0 {
            self.write(posting, &lines[..count]);
        }
    }

    fn write(&mut self, posting: &Posting<'_>, lines: &[Line<'_>]) {
        self.name(posting);
        let (shard, seq, row) = posting.place;
        let rows = self.seq.len() + lines.len();
        self.shard.resize(rows, shard);
        self.seq.resize(rows, seq);
        self.row.resize(rows, row);
        self.booked_on.resize(rows, posting.booked_on);
        let stem = self.entry.len();
        for line in lines {
            write_number(&mut self.entry, u64::from(self.lines));
            self.lines += 1;
            self.entry_id.push(&self.entry);
            self.entry.truncate(stem);
            self.account.push(line.account);
            self.amount.push(line.amount);
            self.rule.push(line.rule);
        }
        let ids = [posting.loan_id, posting.lender_id, Some(posting.deal.agency.as_str())];
        for (column, id) in self.ids.iter_mut().zip(ids) {
            column.push_times(id, lines.len());
        }
        self.currency.push_times(posting.currency, lines.len());
        self.cause.push_times(Some(&self.why), lines.len());
        self.contract.push_times(Some(&posting.deal.contract), lines.len());
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
            "withdrawn" => self.why.push_str(":withdrawn"),
            _ if posting.correction => self.why.push_str(":correction"),
            other => {
                self.why.push(':');
                self.why.push_str(other);
            }
        }
    }

    pub fn finish(self) -> Vec<ArrayRef> {
        let amounts = Decimal128Array::from(self.amount).with_data_type(facts::MONEY);
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from(self.shard)),
            Arc::new(UInt64Array::from(self.seq)),
            Arc::new(UInt32Array::from(self.row)),
            self.entry_id.finish(),
        ];
        columns.extend(self.ids.map(Texts::finish));
        columns.push(self.account.finish());
        columns.push(Arc::new(amounts));
        columns.push(self.currency.finish());
        columns.push(Arc::new(Date32Array::from(self.booked_on)));
        columns.push(self.cause.finish());
        columns.push(self.contract.finish());
        columns.push(self.rule.finish());
        columns
    }
}

/// The lines of a booking, those of zero left out; how many there are.
fn lines_of<'a>(posting: &'a Posting<'a>, lines: &mut [Line<'a>; LINES_MAX]) -> usize {
    let mut count = 0;
    let mut add = |account: &'static str, amount: i128, rule: &'a str| {
        if amount != 0 {
            lines[count] = Line { account, amount, rule };
            count += 1;
        }
    };
    let total: i128 = posting.money.iter().sum();
    let (from, why) = source(posting);
    // What is written off is in no account any more that debt could leave or enter.
    if posting.recovered && !posting.is_money() {
        let over = posting.money[4];
        add(from, over, posting.grounds.unwrap_or(why));
        add(CREDITS[4], -over, posting.act);
        return count;
    }
    add(from, total, posting.grounds.unwrap_or(why));
    for (place, (account, amount)) in CREDITS.into_iter().zip(posting.money).enumerate() {
        let income = posting.recovered && place < 4;
        let rule = if place < 5 { posting.waterfall } else { account };
        add(if income { INCOME } else { account }, -amount, rule);
    }
    let deal = posting.deal;
    add(COST, posting.commission, &deal.rule);
    add(VAT, posting.vat, &deal.vat_rule);
    add(PAYABLE, -posting.commission - posting.vat, &deal.rule);
    count
}

/// Where the other side of a booking is, and by what rule.
fn source(posting: &Posting<'_>) -> (&'static str, &'static str) {
    match posting.act {
        "waiver" => ("waiver_cost", "waiver"),
        "charge_off" => ("bad_debt", "charge_off"),
        "nsf_fee" => ("fee_income", "nsf_fee"),
        _ if posting.by_agency() => ("agency_clearing", "paid to agency"),
        _ => ("bank", "paid to creditor"),
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
