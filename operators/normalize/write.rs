//! The facts under construction.
//!
//! Texts that a fact takes as they are, are not copied row by row: their columns pass through, cut
//! by the rows that were kept. Only what is parsed, masked or made up is built here.

use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::array::{
    Array, ArrayRef, BooleanBufferBuilder, BooleanBuilder, Date32Builder, Decimal128Builder,
    Int32Builder, StringArray, TimestampMicrosecondArray, UInt64Array, new_null_array,
};
use arrow::compute::FilterBuilder;
use arrow::record_batch::RecordBatch;

use super::digest::Content;
use super::parse;
use super::person::{Token, Tokens, mask};
use super::record::{Money, Record, Records, column};
use super::source::Sources;
use crate::facts;
use crate::texts::Texts;

/// What a record says that has no currency.
const NO_CURRENCY: &str = "XXX";

pub(super) struct Facts<'a> {
    tokens: &'a Tokens,
    kept: BooleanBufferBuilder,
    kind: Texts,
    id: Texts,
    at: Vec<i64>,
    lender: Texts,
    digest: Vec<u64>,
    person: Texts,
    currency: Texts,
    amounts: [Decimal128Builder; 4],
    days_past_due: Int32Builder,
    origination_date: Date32Builder,
    due_date: Date32Builder,
    phone_masked: Texts,
    phone_token: Texts,
    score: Int32Builder,
    contactable: BooleanBuilder,
    amount: Decimal128Builder,
    source: Texts,
    sources: Sources,
    content: Content,
    masked: Vec<u8>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(tokens: &'a Tokens, rows: usize) -> Self {
        let texts = |bytes: usize| Texts::with_capacity(rows, bytes * rows);
        let money = || Decimal128Builder::with_capacity(rows).with_data_type(facts::MONEY);
        Facts {
            tokens,
            kept: BooleanBufferBuilder::new(rows),
            kind: texts(8),
            id: texts(16),
            at: Vec::with_capacity(rows),
            lender: texts(8),
            digest: Vec::with_capacity(rows),
            person: texts(16),
            currency: texts(3),
            amounts: [money(), money(), money(), money()],
            days_past_due: Int32Builder::with_capacity(rows),
            origination_date: Date32Builder::with_capacity(rows),
            due_date: Date32Builder::with_capacity(rows),
            phone_masked: texts(11),
            phone_token: texts(16),
            score: Int32Builder::with_capacity(rows),
            contactable: BooleanBuilder::with_capacity(rows),
            amount: money(),
            source: texts(16),
            sources: Sources::default(),
            content: Content::default(),
            masked: Vec::new(),
        }
    }

    /// A row that is refused.
    pub(super) fn skip(&mut self) {
        self.kept.append(false);
    }

    pub(super) fn push(&mut self, records: &Records, row: usize, record: &Record) {
        let text = |column| records.text(column, row);
        let bytes = |column| text(column).unwrap_or_default().as_bytes();
        self.kept.append(true);
        self.kind.push(record.kind);
        self.id.push(record.id);
        self.at.push(record.at);
        self.lender.push_option(record.lender);
        // A movement that names no currency is in its loan's.
        let report = matches!(record.money, Money::Report { .. });
        let currency = text(column::CURRENCY).or(report.then_some(NO_CURRENCY));
        self.currency.push_option(currency);
        let currency = currency.unwrap_or_default();
        let (seq, at_row) = (records.seq.value(row), records.row.value(row));
        self.source.push(self.sources.name(seq, at_row));

        self.content.begin();
        self.content.text(record.kind.as_bytes());
        self.content.text(record.id.as_bytes());
        self.content.number(Some(record.at));
        self.content.text(bytes(column::LOAN_ID));
        self.content.text(record.lender.unwrap_or_default().as_bytes());
        self.content.text(bytes(column::BORROWER_ID));
        match record.money {
            Money::Report { amounts, days_past_due } => {
                self.report(records, row, currency, amounts, days_past_due);
            }
            Money::Movement(amount) => self.movement(records, row, currency, Some(amount)),
            Money::None => self.movement(records, row, currency, None),
        }
        self.content.text(bytes(column::CHANNEL));
        self.content.text(bytes(column::REVERSES));
        let grounds = [column::REASON, column::PAYER, column::AUTHORITY].map(bytes);
        let schedule = bytes(column::INSTALMENTS);
        if report && !schedule.is_empty() {
            self.content.text(schedule);
        }
        if !report && grounds.iter().any(|text| !text.is_empty()) {
            grounds.into_iter().for_each(|text| self.content.text(text));
        }
        self.digest.push(self.content.digest());
    }

    fn report(
        &mut self,
        records: &Records,
        row: usize,
        currency: &str,
        amounts: [i64; 4],
        days_past_due: i32,
    ) {
        let text = |column| records.text(column, row);
        let bytes = |column| text(column).unwrap_or_default().as_bytes();
        let person = text(column::NATIONAL_ID).map(|id| self.tokens.token(id));
        token(&mut self.person, &mut self.content, person);
        self.content.null();
        self.content.text(bytes(column::PRODUCT));
        self.content.text(bytes(column::PROVINCE));
        self.content.text(currency.as_bytes());
        for (column, amount) in self.amounts.iter_mut().zip(amounts) {
            column.append_value(i128::from(amount));
            self.content.number(Some(amount));
        }
        self.days_past_due.append_value(days_past_due);
        self.content.number(Some(days_past_due.into()));
        let origination_date = text(column::ORIGINATION_DATE).and_then(parse::day);
        self.origination_date.append_option(origination_date);
        self.content.number(origination_date.map(i64::from));
        let due_date = text(column::DUE_DATE).and_then(parse::day);
        self.due_date.append_option(due_date);
        self.content.number(due_date.map(i64::from));
        let phone = text(column::PHONE);
        match phone {
            Some(phone) => {
                mask(phone, &mut self.masked);
                self.phone_masked.push_bytes(&self.masked);
                self.content.text(&self.masked);
            }
            None => {
                self.phone_masked.push_null();
                self.content.null();
            }
        }
        let phone = phone.map(|phone| self.tokens.token(phone));
        token(&mut self.phone_token, &mut self.content, phone);
        let score = text(column::SCORE).and_then(parse::integer);
        self.score.append_option(score);
        self.content.number(score.map(i64::from));
        let contactable = match text(column::CONTACTABLE) {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        };
        self.contactable.append_option(contactable);
        let said = contactable.map_or("", |said| if said { "true" } else { "false" });
        self.content.text(said.as_bytes());
        self.amount.append_null();
        self.content.null();
    }

    /// What has no state of a loan: a movement, or a notice, which has no amount either.
    fn movement(&mut self, records: &Records, row: usize, currency: &str, amount: Option<i64>) {
        let bytes = |column| records.text(column, row).unwrap_or_default().as_bytes();
        self.person.push_null();
        self.content.null();
        self.content.text(bytes(column::PRODUCT));
        self.content.text(bytes(column::PROVINCE));
        self.content.text(currency.as_bytes());
        for column in &mut self.amounts {
            column.append_null();
        }
        self.days_past_due.append_null();
        self.origination_date.append_null();
        self.due_date.append_null();
        self.phone_masked.push_null();
        self.phone_token.push_null();
        self.score.append_null();
        self.contactable.append_null();
        // Amounts, days past due, two dates, phone, score, contactable.
        for _ in 0..10 {
            self.content.null();
        }
        self.amount.append_option(amount.map(i128::from));
        self.content.number(amount);
    }

    pub(super) fn finish(mut self, records: &Records) -> RecordBatch {
        let kept = Kept::new(BooleanArray::new(self.kept.finish(), None));
        let texts = |column: usize| kept.texts(records.texts[column]);
        let at = TimestampMicrosecondArray::from(self.at).with_timezone("UTC");
        let mut columns: Vec<ArrayRef> = vec![
            kept.rows(records.shard),
            kept.rows(records.seq),
            kept.rows(records.row),
            self.kind.finish(),
            self.id.finish(),
            Arc::new(at),
            texts(column::LOAN_ID),
            self.lender.finish(),
            Arc::new(UInt64Array::from(self.digest)),
            texts(column::BORROWER_ID),
            self.person.finish(),
            texts(column::PRODUCT),
            texts(column::PROVINCE),
            self.currency.finish(),
        ];
        columns.extend(self.amounts.iter_mut().map(|amount| Arc::new(amount.finish()) as ArrayRef));
        columns.extend([
            Arc::new(self.days_past_due.finish()) as ArrayRef,
            Arc::new(self.origination_date.finish()),
            Arc::new(self.due_date.finish()),
            self.phone_masked.finish(),
            self.phone_token.finish(),
            Arc::new(self.score.finish()),
            Arc::new(self.contactable.finish()),
            Arc::new(self.amount.finish()),
            texts(column::CHANNEL),
            texts(column::REVERSES),
            texts(column::REASON),
            texts(column::PAYER),
            texts(column::AUTHORITY),
            texts(column::INSTALMENTS),
            self.source.finish(),
        ]);
        let schema = facts::facts();
        let batch = RecordBatch::try_new(schema.clone(), columns);
        assert!(batch.is_ok(), "facts fit their own columns");
        batch.unwrap_or_else(|_| RecordBatch::new_empty(schema))
    }
}

/// Writes a token to its column, and has it break ties in the digest.
fn token(texts: &mut Texts, content: &mut Content, token: Option<Token>) {
    match token {
        Some(token) => {
            texts.push_bytes(&token);
            content.tie(&token);
        }
        None => texts.push_null(),
    }
}

/// The rows that were kept of a batch.
struct Kept {
    filter: Option<arrow::compute::FilterPredicate>,
}

impl Kept {
    fn new(mask: BooleanArray) -> Self {
        if mask.true_count() == mask.len() {
            return Kept { filter: None };
        }
        Kept { filter: Some(FilterBuilder::new(&mask).optimize().build()) }
    }

    fn rows<T: Array + Clone + 'static>(&self, array: &T) -> ArrayRef {
        let Some(filter) = &self.filter else { return Arc::new(array.clone()) };
        let kept = filter.filter(array);
        assert!(kept.is_ok(), "a mask is as long as its batch");
        kept.unwrap_or_else(|_| new_null_array(array.data_type(), 0))
    }

    /// As [`Kept::rows`]; empty texts become null.
    fn texts(&self, array: &StringArray) -> ArrayRef {
        let offsets = array.value_offsets();
        let empty = |row: usize| offsets[row] == offsets[row + 1] && array.is_valid(row);
        if !(0..array.len()).any(empty) {
            return self.rows(array);
        }
        let texts = array.iter().map(|text| text.filter(|text| !text.is_empty()));
        self.rows(&texts.collect::<StringArray>())
    }
}
