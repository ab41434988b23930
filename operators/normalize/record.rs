//! One row of the canonical dialect, read strictly, or the first reason to refuse it.

use arrow::array::{Array, AsArray, BinaryViewArray, StringArray, UInt32Array, UInt64Array};
use arrow::datatypes::{UInt32Type, UInt64Type};
use arrow::record_batch::RecordBatch;

use super::parse;
use crate::facts::{self, is_notice};
use crate::settle::waterfall::sums;

/// The columns of the canonical dialect, by their place in [`facts::CANONICAL`].
pub(super) mod column {
    pub(crate) const EVENT_ID: usize = 0;
    pub(crate) const EVENT_TIME: usize = 1;
    pub(crate) const LENDER_ID: usize = 2;
    pub(crate) const LOAN_ID: usize = 3;
    pub(crate) const BORROWER_ID: usize = 4;
    pub(crate) const PRODUCT: usize = 5;
    pub(crate) const PROVINCE: usize = 6;
    pub(crate) const PRINCIPAL: usize = 7;
    pub(crate) const CURRENCY: usize = 11;
    pub(crate) const DAYS_PAST_DUE: usize = 12;
    pub(crate) const ORIGINATION_DATE: usize = 13;
    pub(crate) const DUE_DATE: usize = 14;
    pub(crate) const PHONE: usize = 15;
    pub(crate) const NATIONAL_ID: usize = 16;
    pub(crate) const SCORE: usize = 17;
    pub(crate) const CONTACTABLE: usize = 18;
    pub(crate) const PAYMENT_ID: usize = 19;
    pub(crate) const KIND: usize = 20;
    pub(crate) const AMOUNT: usize = 21;
    pub(crate) const PAID_AT: usize = 22;
    pub(crate) const CHANNEL: usize = 23;
    pub(crate) const REVERSES: usize = 24;
    pub(crate) const REASON: usize = 25;
    pub(crate) const PAYER: usize = 26;
    pub(crate) const AUTHORITY: usize = 27;
    pub(crate) const INSTALMENTS: usize = 28;
}

/// The columns before those of the dialect: shard, seq, row, lender, bad, raw.
const FIRST: usize = 6;

/// The most bytes that the texts of one record may have together, and that one of them may have
/// that is no schedule of instalments. Further on some are written more than once in a row, and a
/// row must fit a message of the log; a step's rows, two gigabytes a column.
const TEXTS_MAX: usize = 64 << 10;
const TEXT_MAX: usize = 1 << 10;

/// The rows of a batch.
pub(super) struct Records<'a> {
    pub(super) shard: &'a UInt32Array,
    pub(super) seq: &'a UInt64Array,
    pub(super) row: &'a UInt32Array,
    pub(super) raw: &'a BinaryViewArray,
    pub(super) texts: Vec<&'a StringArray>,
    lender: &'a StringArray,
    bad: &'a StringArray,
}

/// What a row says, as far as it decides something.
pub(super) struct Record<'a> {
    pub(super) kind: &'a str,
    pub(super) id: &'a str,
    pub(super) at: i64,
    pub(super) lender: Option<&'a str>,
    pub(super) money: Money,
}

pub(super) enum Money {
    /// Principal, interest, penalty and fee in cents, and the days past due.
    Report { amounts: [i64; 4], days_past_due: i32 },
    /// The amount in cents.
    Movement(i64),
    /// None: a lender's notice about a loan.
    None,
}

impl<'a> Records<'a> {
    pub(super) fn of(batch: &'a RecordBatch) -> Self {
        let columns = batch.columns();
        assert!(
            columns.len() == FIRST + facts::CANONICAL.len(),
            "normalize takes the canonical columns"
        );
        Records {
            shard: columns[0].as_primitive::<UInt32Type>(),
            seq: columns[1].as_primitive::<UInt64Type>(),
            row: columns[2].as_primitive::<UInt32Type>(),
            lender: columns[3].as_string(),
            bad: columns[4].as_string(),
            raw: columns[5].as_binary_view(),
            texts: columns[FIRST..].iter().map(|texts| texts.as_string()).collect(),
        }
    }

    /// A text; an empty one is none.
    #[inline]
    pub(super) fn text(&self, column: usize, row: usize) -> Option<&'a str> {
        let texts = self.texts[column];
        if texts.is_null(row) {
            return None;
        }
        let text = texts.value(row);
        (!text.is_empty()).then_some(text)
    }

    /// The record's lender, else the subject's.
    #[inline]
    pub(super) fn lender(&self, row: usize) -> Option<&'a str> {
        let named = || (!self.lender.is_null(row)).then(|| self.lender.value(row));
        self.text(column::LENDER_ID, row).or_else(named)
    }

    #[inline]
    pub(super) fn read(&self, row: usize, lender_needed: bool) -> Result<Record<'a>, &'a str> {
        if !self.bad.is_null(row) {
            return Err(self.bad.value(row));
        }
        if self.is_too_large(row) {
            return Err("too_large");
        }
        if self.text(column::LOAN_ID, row).is_none() {
            return Err("missing_loan_id");
        }
        let record = if !self.texts[column::PAYMENT_ID].is_null(row) {
            self.movement(row)?
        } else if let Some(kind) = self.text(column::KIND, row).filter(|kind| is_notice(kind)) {
            self.notice(row, kind)?
        } else {
            self.report(row)?
        };
        if lender_needed && record.lender.is_none() {
            return Err("missing_lender");
        }
        Ok(record)
    }

    fn is_too_large(&self, row: usize) -> bool {
        let mut all = 0;
        for (column, texts) in self.texts.iter().enumerate() {
            let length = texts.value_length(row) as usize;
            if length > TEXT_MAX && column != column::INSTALMENTS {
                return true;
            }
            all += length;
        }
        all > TEXTS_MAX
    }

    fn report(&self, row: usize) -> Result<Record<'a>, &'a str> {
        let mut amounts = [0; 4];
        for (place, amount) in amounts.iter_mut().enumerate() {
            let text = self.text(column::PRINCIPAL + place, row);
            *amount = text.and_then(parse::money).ok_or("bad_decimal")?;
        }
        if amounts[0] < 0 {
            return Err("negative_principal");
        }
        let days = self.text(column::DAYS_PAST_DUE, row);
        let days_past_due = days.and_then(parse::integer).ok_or("wrong_type")?;
        let id = self.text(column::EVENT_ID, row).ok_or("missing_event_id")?;
        let at = self.text(column::EVENT_TIME, row);
        let at = at.and_then(parse::instant).ok_or("bad_time")?;
        if let Some(schedule) = self.text(column::INSTALMENTS, row) {
            let [principal, interest, penalty, fee] = amounts;
            let sums = sums(schedule).ok_or("bad_instalments")?;
            if sums != [penalty, fee, interest, principal] {
                return Err("instalments_sum");
            }
        }
        Ok(Record {
            kind: "report",
            id,
            at,
            lender: self.lender(row),
            money: Money::Report { amounts, days_past_due },
        })
    }

    /// What a lender decides about a loan: an id, an instant, and what it is.
    fn notice(&self, row: usize, kind: &'a str) -> Result<Record<'a>, &'a str> {
        let id = self.text(column::EVENT_ID, row).ok_or("missing_event_id")?;
        let at = self.text(column::EVENT_TIME, row);
        Ok(Record {
            kind,
            id,
            at: at.and_then(parse::instant).ok_or("bad_time")?,
            lender: self.lender(row),
            money: Money::None,
        })
    }

    fn movement(&self, row: usize) -> Result<Record<'a>, &'a str> {
        let amount = self.text(column::AMOUNT, row);
        let amount = amount.and_then(parse::money).ok_or("bad_decimal")?;
        let kind = self.text(column::KIND, row).ok_or("wrong_type")?;
        let given = |column| self.text(column, row).is_some();
        match kind {
            "reversal" | "return" | "chargeback" if !given(column::REVERSES) => {
                return Err("missing_reverses");
            }
            "payoff" if !given(column::PAYER) => return Err("missing_payer"),
            "waiver" if !given(column::AUTHORITY) => return Err("missing_authority"),
            _ if !facts::is_movement(kind) => return Err("wrong_type"),
            _ if facts::takes_back(kind) && amount >= 0 => return Err("wrong_sign"),
            _ if !facts::takes_back(kind) && amount <= 0 => return Err("wrong_sign"),
            _ => {}
        }
        let id = self.text(column::PAYMENT_ID, row).ok_or("missing_payment_id")?;
        let at = self.text(column::PAID_AT, row);
        Ok(Record {
            kind,
            id,
            at: at.and_then(parse::instant).ok_or("bad_time")?,
            lender: self.lender(row),
            money: Money::Movement(amount),
        })
    }
}
