//! The memory of account: one row per loan.
//!
//! The newest report's own words, the debt it opened with the movements since, and the packed
//! history. Texts that many loans share are kept once.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Int32Array, Int64Array, StringArray, UInt8Array,
    UInt32Array,
};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;

use super::debt::Debt;
use super::history::{History, Packed};
use super::letters::{Letters, text};
use super::says::{View, batch};
use super::terms::{Named, Terms};
use super::waterfalls::Standing;
use crate::memory::Keys;

/// The row of no text.
pub const NO_TEXT: u32 = u32::MAX;
/// No day, no score, no report.
const NO_DAY: i32 = i32::MIN;
const NO_REPORT: u32 = u32::MAX;

/// A loan. Texts are rows of the shard's texts.
pub struct Loan {
    pub history: Packed,
    /// What the newest report says and the movements after it.
    pub debt: Debt,
    /// Instant of the newest report.
    pub event_time: i64,
    /// Instant of the last movement in business order.
    pub last_at: i64,
    /// Where the newest report starts in the history.
    newest: u32,
    pub lender: u32,
    borrower: u32,
    borrower_key: u32,
    pub product: u32,
    pub province: u32,
    pub currency: u32,
    phone_masked: u32,
    days_past_due: i32,
    originated_on: i32,
    due_on: i32,
    score: i32,
    /// 0 unknown, 1 no, 2 yes.
    contactable: u8,
    /// Whether a reversal waits for its payment.
    pub waiting: bool,
    pub standing: Standing,
    /// Whether the newest report has a schedule.
    pub scheduled: bool,
}

impl Default for Loan {
    fn default() -> Self {
        Loan {
            history: Packed::default(),
            debt: Debt::default(),
            event_time: i64::MIN,
            last_at: i64::MIN,
            newest: NO_REPORT,
            lender: NO_TEXT,
            borrower: NO_TEXT,
            borrower_key: NO_TEXT,
            product: NO_TEXT,
            province: NO_TEXT,
            currency: NO_TEXT,
            phone_masked: NO_TEXT,
            days_past_due: 0,
            originated_on: NO_DAY,
            due_on: NO_DAY,
            score: NO_DAY,
            contactable: 0,
            waiting: false,
            standing: Standing::Standard,
            scheduled: false,
        }
    }
}

const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;

/// The UTC day of an instant.
pub fn day_of(at: i64) -> i32 {
    at.div_euclid(MICROSECONDS_PER_DAY) as i32
}

impl Loan {
    pub fn reported(&self) -> bool {
        self.newest != NO_REPORT
    }

    /// A report became the newest: where it starts, and what it says of the debt's age.
    pub fn opens(&mut self, start: u32, event_time: i64, days_past_due: i32) {
        self.newest = start;
        self.event_time = event_time;
        self.days_past_due = days_past_due;
    }

    /// Takes over a report's own words.
    pub fn describe(&mut self, letters: &Letters<'_>, i: usize, shared: &mut Keys) {
        let mut keep = |value: Option<&str>| value.map_or(NO_TEXT, |value| shared.row(value).0);
        self.lender = keep(text(letters.lender_id, i));
        self.borrower = keep(text(letters.borrower_id, i));
        self.borrower_key = keep(text(letters.borrower_key, i));
        self.product = keep(text(letters.product, i));
        self.province = keep(text(letters.province, i));
        self.currency = keep(text(letters.currency, i));
        self.phone_masked = keep(text(letters.phone_masked, i));
        let day = |column: &arrow::array::Date32Array| {
            if column.is_valid(i) { column.value(i) } else { NO_DAY }
        };
        self.originated_on = day(letters.origination_date);
        self.due_on = day(letters.due_date);
        self.score = if letters.score.is_valid(i) { letters.score.value(i) } else { NO_DAY };
        self.contactable = match letters.contactable.is_valid(i) {
            false => 0,
            true => 1 + u8::from(letters.contactable.value(i)),
        };
    }

    /// Days past due as of a day: what was reported, and the days since then.
    pub fn days_past_due(&self, day: Option<i32>) -> i32 {
        let passed = day.map_or(0, |day| day.saturating_sub(day_of(self.event_time)).max(0));
        self.days_past_due.saturating_add(passed)
    }

    /// As reference tables tell loans apart.
    pub fn named<'a>(&self, loan_id: &'a str, shared: &'a Keys) -> Named<'a> {
        let named = |row: u32| (row != NO_TEXT).then(|| shared.key(row));
        Named { loan_id, lender: named(self.lender), product: named(self.product) }
    }

    /// The business day: of the newest report, or of the newest tick after it.
    pub fn today(&self, day: Option<i32>) -> i32 {
        day_of(self.event_time).max(day.unwrap_or(i32::MIN))
    }

    /// Days past due less grace and pauses, as of a day.
    pub fn delinquent_days(
        &self,
        loan_id: &str,
        shared: &Keys,
        day: Option<i32>,
        terms: &Terms,
    ) -> i32 {
        let loan = self.named(loan_id, shared);
        terms.delinquent_days(loan, self.days_past_due(day), self.today(day))
    }

    /// Days past due at an instant after the newest report.
    pub fn days_at(&self, at: i64) -> i32 {
        self.days_past_due(Some(day_of(at)))
    }

    pub fn view<'a>(
        &'a self,
        loan_id: &'a str,
        shared: &'a Keys,
        day: Option<i32>,
        terms: &Terms,
    ) -> View<'a> {
        let named = |row: u32| (row != NO_TEXT).then(|| shared.key(row));
        let given = |value: i32| (value != NO_DAY).then_some(value);
        View {
            loan_id,
            borrower_key: named(self.borrower_key),
            lender_id: named(self.lender),
            borrower_id: named(self.borrower),
            product: named(self.product),
            province: named(self.province),
            currency: named(self.currency),
            phone_masked: named(self.phone_masked),
            event_id: self.history.id_at(self.newest),
            event_time: self.event_time,
            owed: self.debt.rest(),
            days_past_due: self.days_past_due(day),
            delinquent_days: self.delinquent_days(loan_id, shared, day, terms),
            origination_date: given(self.originated_on),
            due_date: given(self.due_on),
            score: given(self.score),
            contactable: match self.contactable {
                0 => None,
                known => Some(known == 2),
            },
            late: None,
        }
    }

    /// The rows of its texts.
    pub fn texts(&self) -> [u32; 7] {
        [
            self.lender,
            self.borrower,
            self.borrower_key,
            self.product,
            self.province,
            self.currency,
            self.phone_masked,
        ]
    }

    pub fn history_bytes(&self) -> usize {
        self.history.bytes.capacity()
    }
}

/// Every loan as a table. Instants are plain numbers here: the smallest means none.
pub fn save(keys: &Keys, loans: &[Loan]) -> RecordBatch {
    let longs = |of: fn(&Loan) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(loans.iter().map(of)))
    };
    let ids = |of: fn(&Loan) -> u32| -> ArrayRef {
        Arc::new(UInt32Array::from_iter_values(loans.iter().map(of)))
    };
    let ints = |of: fn(&Loan) -> i32| -> ArrayRef {
        Arc::new(Int32Array::from_iter_values(loans.iter().map(of)))
    };
    let bytes = |of: fn(&Loan) -> u8| -> ArrayRef {
        Arc::new(UInt8Array::from_iter_values(loans.iter().map(of)))
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("loan", Arc::new(keys.save())),
        (
            "history",
            Arc::new(BinaryArray::from_iter_values(
                loans.iter().map(|loan| loan.history.bytes.as_slice()),
            )),
        ),
        ("penalty", longs(|loan| loan.debt.owed[0])),
        ("fee", longs(|loan| loan.debt.owed[1])),
        ("interest", longs(|loan| loan.debt.owed[2])),
        ("principal", longs(|loan| loan.debt.owed[3])),
        ("sum", longs(|loan| loan.debt.sum)),
        ("event_time", longs(|loan| loan.event_time)),
        ("last_at", longs(|loan| loan.last_at)),
        ("newest", ids(|loan| loan.newest)),
        ("lender", ids(|loan| loan.lender)),
        ("borrower", ids(|loan| loan.borrower)),
        ("borrower_key", ids(|loan| loan.borrower_key)),
        ("product", ids(|loan| loan.product)),
        ("province", ids(|loan| loan.province)),
        ("currency", ids(|loan| loan.currency)),
        ("phone_masked", ids(|loan| loan.phone_masked)),
        ("days_past_due", ints(|loan| loan.days_past_due)),
        ("originated_on", ints(|loan| loan.originated_on)),
        ("due_on", ints(|loan| loan.due_on)),
        ("score", ints(|loan| loan.score)),
        ("contactable", bytes(|loan| loan.contactable)),
        ("waiting", Arc::new(BooleanArray::from_iter(loans.iter().map(|loan| Some(loan.waiting))))),
        ("waterfall", bytes(|loan| loan.debt.code)),
        ("standing", bytes(|loan| loan.standing as u8)),
        (
            "scheduled",
            Arc::new(BooleanArray::from_iter(loans.iter().map(|loan| Some(loan.scheduled)))),
        ),
    ];
    table(columns)
}

/// Columns as a table of a snapshot.
pub fn table(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    batch(&schema, columns.into_iter().map(|(_, column)| column).collect())
}

/// A column of a snapshot.
pub fn loaded<'a, A: Array + 'static>(table: &'a RecordBatch, name: &str) -> Result<&'a A, String> {
    let column = table.column_by_name(name).ok_or_else(|| format!("column {name} is missing"))?;
    column.as_any().downcast_ref().ok_or_else(|| {
        let found: &DataType = column.data_type();
        format!("column {name} has type {found}")
    })
}

/// The inverse of [`save`].
pub fn load(table: &RecordBatch) -> Result<(Keys, Vec<Loan>), String> {
    let keys = Keys::load(loaded::<StringArray>(table, "loan")?);
    let histories: &BinaryArray = loaded(table, "history")?;
    let long = |name| loaded::<Int64Array>(table, name).map(Int64Array::values);
    let id = |name| loaded::<UInt32Array>(table, name).map(UInt32Array::values);
    let int = |name| loaded::<Int32Array>(table, name).map(Int32Array::values);
    let owed = [long("penalty")?, long("fee")?, long("interest")?, long("principal")?];
    let (sum, event_time, last_at) = (long("sum")?, long("event_time")?, long("last_at")?);
    let (newest, lender, borrower) = (id("newest")?, id("lender")?, id("borrower")?);
    let (borrower_key, product) = (id("borrower_key")?, id("product")?);
    let (province, currency, phone) = (id("province")?, id("currency")?, id("phone_masked")?);
    let (days, originated, due) = (int("days_past_due")?, int("originated_on")?, int("due_on")?);
    let score = int("score")?;
    let contactable: &UInt8Array = loaded(table, "contactable")?;
    let waiting: &BooleanArray = loaded(table, "waiting")?;
    let scheduled: &BooleanArray = loaded(table, "scheduled")?;
    let (codes, standing): (&UInt8Array, &UInt8Array) =
        (loaded(table, "waterfall")?, loaded(table, "standing")?);
    if keys.len() != table.num_rows() {
        return Err("two rows have the same loan".to_owned());
    }
    let mut scratch = History::default();
    let mut loans = Vec::with_capacity(table.num_rows());
    for i in 0..table.num_rows() {
        let history = Packed::load(histories.value(i), &mut scratch)
            .ok_or_else(|| format!("row {i} has a history that cannot be read"))?;
        loans.push(Loan {
            history,
            debt: Debt { owed: owed.map(|part| part[i]), sum: sum[i], code: codes.value(i) },
            event_time: event_time[i],
            last_at: last_at[i],
            newest: newest[i],
            lender: lender[i],
            borrower: borrower[i],
            borrower_key: borrower_key[i],
            product: product[i],
            province: province[i],
            currency: currency[i],
            phone_masked: phone[i],
            days_past_due: days[i],
            originated_on: originated[i],
            due_on: due[i],
            score: score[i],
            contactable: contactable.value(i),
            waiting: waiting.value(i),
            standing: Standing::from_code(standing.value(i)),
            scheduled: scheduled.value(i),
        });
    }
    Ok((keys, loans))
}
