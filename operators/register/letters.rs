//! Facts read, letters and refusals written.
//!
//! Most facts become a letter as they are, so columns pass through: untouched where every fact
//! goes on, cut by a mask where some do not, and gathered row by row only where movements come out
//! of suspense.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, Decimal128Array, RecordBatch,
    StringArray, TimestampMicrosecondArray, UInt32Array, UInt64Array, new_null_array,
};
use arrow::compute::{filter_record_batch, interleave_record_batch, take};
use arrow::datatypes::{
    DataType, Decimal128Type, TimestampMicrosecondType, UInt32Type, UInt64Type,
};

use super::loans::Loans;
use super::pending::{self, Suspended, TEXTS};
use super::seen::Copy;
use crate::facts;
use crate::texts::Texts;

/// The facts of a batch.
pub(super) struct Facts<'a> {
    shard: &'a UInt32Array,
    seq: &'a UInt64Array,
    row: &'a UInt32Array,
    kind: &'a StringArray,
    id: &'a StringArray,
    at: &'a TimestampMicrosecondArray,
    loan_id: &'a StringArray,
    lender: &'a StringArray,
    digest: &'a UInt64Array,
    borrower_id: &'a StringArray,
    person: &'a StringArray,
    amount: &'a Decimal128Array,
    source: &'a StringArray,
    /// Those of [`TEXTS`], in that order.
    texts: Vec<&'a StringArray>,
}

impl<'a> Facts<'a> {
    pub(super) fn of(batch: &'a RecordBatch) -> Self {
        let column = |name: &str| {
            let Some(column) = batch.column_by_name(name) else {
                panic!("register takes facts, and these have no {name}");
            };
            column
        };
        Facts {
            shard: column("shard").as_primitive::<UInt32Type>(),
            seq: column("seq").as_primitive::<UInt64Type>(),
            row: column("row").as_primitive::<UInt32Type>(),
            kind: column("kind").as_string(),
            id: column("id").as_string(),
            at: column("at").as_primitive::<TimestampMicrosecondType>(),
            loan_id: column("loan_id").as_string(),
            lender: column("lender_id").as_string(),
            digest: column("digest").as_primitive::<UInt64Type>(),
            borrower_id: column("borrower_id").as_string(),
            person: column("person").as_string(),
            amount: column("amount").as_primitive::<Decimal128Type>(),
            source: column("source").as_string(),
            texts: TEXTS.iter().map(|name| column(name).as_string()).collect(),
        }
    }

    pub(super) fn kind(&self, row: usize) -> &'a str {
        text(self.kind, row).unwrap_or_default()
    }

    pub(super) fn id(&self, row: usize) -> &'a str {
        text(self.id, row).unwrap_or_default()
    }

    pub(super) fn at(&self, row: usize) -> i64 {
        self.at.value(row)
    }

    pub(super) fn loan_id(&self, row: usize) -> &'a str {
        text(self.loan_id, row).unwrap_or_default()
    }

    pub(super) fn lender(&self, row: usize) -> Option<&'a str> {
        text(self.lender, row)
    }

    pub(super) fn borrower_id(&self, row: usize) -> Option<&'a str> {
        text(self.borrower_id, row)
    }

    pub(super) fn person(&self, row: usize) -> Option<&'a str> {
        text(self.person, row)
    }

    /// Where the record stood in the intake: what `source` says of it, else where the fact stands.
    pub(super) fn copy(&self, row: usize) -> Copy {
        let named = text(self.source, row).and_then(place);
        let (seq, at_row) = named.unwrap_or((self.seq.value(row), self.row.value(row)));
        Copy { digest: self.digest.value(row), at: self.at.value(row), seq, row: at_row }
    }

    /// A movement, taken out of the batch.
    pub(super) fn suspended(&self, row: usize) -> Suspended {
        let mut said = [None; TEXTS.len()];
        for (said, texts) in said.iter_mut().zip(&self.texts) {
            *said = text(texts, row);
        }
        Suspended::new(self.copy(row), self.amount.value(row), said)
    }
}

#[inline]
fn text(texts: &StringArray, row: usize) -> Option<&str> {
    texts.is_valid(row).then(|| texts.value(row))
}

/// The place that `intake:41:7` names.
#[inline]
fn place(source: &str) -> Option<(u64, u32)> {
    let (seq, rest) = number(source.as_bytes().strip_prefix(b"intake:")?)?;
    let (row, rest) = number(rest.strip_prefix(b":")?)?;
    rest.is_empty().then_some((seq, u32::try_from(row).ok()?))
}

/// The digits at the beginning, and what follows them.
#[inline]
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    let mut length = 0;
    while let Some(digit @ b'0'..=b'9') = bytes.get(length) {
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        length += 1;
    }
    (length > 0).then_some((value, &bytes[length..]))
}

/// What a letter is made of: a fact of this step, or a movement that was kept.
#[derive(Clone, Copy)]
pub(super) enum From {
    Fact(usize),
    Kept(usize),
}

/// What register adds to a fact.
#[derive(Clone, Copy, Default)]
pub(super) struct Stamp {
    pub(super) to_shard: u32,
    pub(super) borrower: Option<u32>,
    /// Where the fact names no lender.
    pub(super) lender: Option<u32>,
    pub(super) replaces_at: Option<i64>,
}

pub(super) struct Letter {
    pub(super) from: From,
    /// The row of the fact that caused it.
    pub(super) cause: usize,
    /// Where it is not the kind of what it is made of.
    pub(super) kind: Option<&'static str>,
    pub(super) stamp: Stamp,
}

/// The letters of one step.
pub(super) struct Letters {
    letters: Vec<Letter>,
    kept: Vec<Suspended>,
}

impl Letters {
    pub(super) fn new(rows: usize) -> Self {
        Letters { letters: Vec::with_capacity(rows), kept: Vec::new() }
    }

    #[inline]
    pub(super) fn push(&mut self, letter: Letter) {
        self.letters.push(letter);
    }

    /// Takes in a movement that letters will be made of.
    pub(super) fn keep(&mut self, movement: &Suspended) -> From {
        self.kept.push(movement.clone());
        From::Kept(self.kept.len() - 1)
    }

    pub(super) fn finish(self, batch: &RecordBatch, loans: &Loans) -> RecordBatch {
        let bodies = if self.kept.is_empty() { self.cut(batch) } else { self.gather(batch) };
        let schema = facts::letters();
        let mut columns = bodies.columns().to_vec();
        let place = |name: &str| facts::facts().index_of(name).unwrap_or(usize::MAX);
        let (kind, lender) = (place("kind"), place("lender_id"));
        assert!(kind < columns.len() && lender < columns.len(), "facts have a kind and a lender");
        self.kinds(&mut columns[kind]);
        self.lenders(&mut columns[lender], loans);
        columns.extend(self.stamps(loans));
        let letters = RecordBatch::try_new(schema.clone(), columns);
        assert!(letters.is_ok(), "letters fit their own columns");
        letters.unwrap_or_else(|_| RecordBatch::new_empty(schema))
    }

    /// Bodies where each is a fact of this step, in order and at most once.
    fn cut(&self, batch: &RecordBatch) -> RecordBatch {
        if self.letters.len() == batch.num_rows() {
            return batch.clone();
        }
        let mut goes = BooleanBufferBuilder::new(batch.num_rows());
        goes.append_n(batch.num_rows(), false);
        for letter in &self.letters {
            goes.set_bit(letter.cause, true);
        }
        let cut = filter_record_batch(batch, &BooleanArray::new(goes.finish(), None));
        assert!(cut.is_ok(), "a mask is as long as its batch");
        cut.unwrap_or_else(|_| batch.clone())
    }

    /// Bodies where some were kept from earlier; all stand where their cause stands.
    fn gather(&self, batch: &RecordBatch) -> RecordBatch {
        let kept = pending::batch(&self.kept.iter().collect::<Vec<_>>());
        let from: Vec<(usize, usize)> = self
            .letters
            .iter()
            .map(|letter| match letter.from {
                From::Fact(row) => (0, row),
                From::Kept(row) => (1, row),
            })
            .collect();
        let gathered = interleave_record_batch(&[batch, &kept], &from);
        assert!(gathered.is_ok(), "kept movements have the columns of facts");
        let gathered = gathered.unwrap_or_else(|_| batch.clone());
        let causes: UInt32Array = self.letters.iter().map(|letter| letter.cause as u32).collect();
        let mut columns = gathered.columns().to_vec();
        // Shard, seq and row: the place of a letter is its cause's.
        for place in 0..3 {
            let taken = take(batch.column(place), &causes, None);
            assert!(taken.is_ok(), "a cause is a row of this batch");
            columns[place] = taken.unwrap_or_else(|_| Arc::clone(&columns[place]));
        }
        let placed = RecordBatch::try_new(gathered.schema(), columns);
        placed.unwrap_or(gathered)
    }

    fn kinds(&self, column: &mut ArrayRef) {
        if self.letters.iter().all(|letter| letter.kind.is_none()) {
            return;
        }
        let own = column.as_string::<i32>();
        let mut kinds = Texts::with_capacity(self.letters.len(), 9 * self.letters.len());
        for (row, letter) in self.letters.iter().enumerate() {
            kinds.push_option(letter.kind.or(text(own, row)));
        }
        *column = kinds.finish();
    }

    /// Names the loan's lender where the fact named none.
    fn lenders(&self, column: &mut ArrayRef, loans: &Loans) {
        if column.null_count() == 0 {
            return;
        }
        let own = column.as_string::<i32>();
        let mut lenders = Texts::with_capacity(self.letters.len(), 8 * self.letters.len());
        for (row, letter) in self.letters.iter().enumerate() {
            let of_loan = letter.stamp.lender.map(|lender| loans.lender_name(lender));
            lenders.push_option(text(own, row).or(of_loan));
        }
        *column = lenders.finish();
    }

    /// The columns borrower_key, to_shard and replaces_at.
    fn stamps(&self, loans: &Loans) -> [ArrayRef; 3] {
        let count = self.letters.len();
        let mut borrowers = Texts::with_capacity(count, 16 * count);
        for letter in &self.letters {
            match letter.stamp.borrower {
                Some(borrower) => borrowers.push(loans.borrower_key(borrower)),
                None => borrowers.push_null(),
            }
        }
        let to_shard = self.letters.iter().map(|letter| letter.stamp.to_shard);
        let replaces_at = if self.letters.iter().all(|letter| letter.stamp.replaces_at.is_none()) {
            new_null_array(&facts::instant(), count)
        } else {
            let at = self.letters.iter().map(|letter| letter.stamp.replaces_at);
            Arc::new(at.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        };
        [borrowers.finish(), Arc::new(UInt32Array::from_iter_values(to_shard)), replaces_at]
    }
}

/// The facts of one step that could not be used. Their bytes stay sealed in the intake: `source`
/// says where.
pub(super) struct Refusals {
    shard: Vec<u32>,
    seq: Vec<u64>,
    row: Vec<u32>,
    lender: Texts,
    reason: Texts,
    source: Texts,
}

impl Default for Refusals {
    fn default() -> Self {
        let texts = || Texts::with_capacity(0, 0);
        Refusals {
            shard: Vec::new(),
            seq: Vec::new(),
            row: Vec::new(),
            lender: texts(),
            reason: texts(),
            source: texts(),
        }
    }
}

impl Refusals {
    /// Refuses a fact of this step: its own lender's, or the loan's where it names none.
    pub(super) fn push(&mut self, facts: &Facts, row: usize, of_loan: Option<&str>, reason: &str) {
        let lender = facts.lender(row).or(of_loan);
        match text(facts.source, row) {
            Some(source) => self.add(facts, row, lender, source, reason),
            None => self.push_copy(facts, row, lender, &facts.copy(row), reason),
        }
    }

    /// Refuses a copy that came before, because of a fact of this step.
    pub(super) fn push_copy(
        &mut self,
        facts: &Facts,
        cause: usize,
        lender: Option<&str>,
        copy: &Copy,
        reason: &str,
    ) {
        let source = format!("intake:{}:{}", copy.seq, copy.row);
        self.add(facts, cause, lender, &source, reason);
    }

    fn add(
        &mut self,
        facts: &Facts,
        cause: usize,
        lender: Option<&str>,
        source: &str,
        reason: &str,
    ) {
        self.shard.push(facts.shard.value(cause));
        self.seq.push(facts.seq.value(cause));
        self.row.push(facts.row.value(cause));
        self.lender.push_option(lender);
        self.reason.push(reason);
        self.source.push(source);
    }

    pub(super) fn finish(self) -> RecordBatch {
        let rows = self.seq.len();
        let schema = facts::refused();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from(self.shard)),
            Arc::new(UInt64Array::from(self.seq)),
            Arc::new(UInt32Array::from(self.row)),
            self.lender.finish(),
            self.reason.finish(),
            self.source.finish(),
            new_null_array(&DataType::Binary, rows),
        ];
        let refused = RecordBatch::try_new(schema.clone(), columns);
        assert!(refused.is_ok(), "refusals fit their own columns");
        refused.unwrap_or_else(|_| RecordBatch::new_empty(schema))
    }
}
