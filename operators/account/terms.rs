//! What lenders lay down for their own loans: waterfalls, who may waive, calendars and pauses.
//!
//! The tables are kept as they were heard. A message of a version that is already known is a
//! further part of its table; any other replaces it.

use std::collections::BTreeMap;

use arrow::array::{Array, Date32Array, Decimal128Array, Int32Array, Int64Array, StringArray};
use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;

use super::letters::text;
use super::waterfalls::{Orders, Waterfalls};
use crate::facts;
use crate::settle::waterfall::{Calendar, Delinquency, Item, Pause, Ranges, delinquency, paused};

const NAMES: [&str; 4] = ["waterfalls", "authorities", "calendars", "pauses"];

/// How days past due are counted.
struct Days {
    lender: Option<String>,
    product: Option<String>,
    grace: i32,
    calendar: Calendar,
}

/// While delinquency stands still, and of which loans.
struct Still {
    lender: Option<String>,
    product: Option<String>,
    pause: Pause,
}

/// A loan as far as these tables tell loans apart.
#[derive(Clone, Copy)]
pub struct Named<'a> {
    pub loan_id: &'a str,
    pub lender: Option<&'a str>,
    pub product: Option<&'a str>,
}

/// The newest tables.
pub struct Terms {
    heard: [RecordBatch; 4],
    waterfalls: Waterfalls,
    authorities: BTreeMap<String, i64>,
    calendars: Vec<Days>,
    pauses: Vec<Still>,
    by_loan: BTreeMap<String, Vec<Still>>,
}

impl Default for Terms {
    fn default() -> Self {
        let schemas =
            [facts::waterfalls(), facts::authorities(), facts::calendars(), facts::pauses()];
        Terms {
            heard: schemas.map(RecordBatch::new_empty),
            waterfalls: Waterfalls::default(),
            authorities: BTreeMap::new(),
            calendars: Vec::new(),
            pauses: Vec::new(),
            by_loan: BTreeMap::new(),
        }
    }
}

impl Terms {
    /// Takes a table; says whether days past due may be others now.
    pub fn hear(&mut self, name: &str, rows: &RecordBatch) -> bool {
        let Some(place) = NAMES.iter().position(|known| *known == name) else { return false };
        let known = &self.heard[place];
        let version = version(rows);
        let further = version.is_some() && version == self::version(known);
        let both = if further { concat_batches(&rows.schema(), [known, rows]).ok() } else { None };
        self.heard[place] = both.unwrap_or_else(|| rows.clone());
        self.read(place);
        place >= 2
    }

    fn read(&mut self, place: usize) {
        let rows = &self.heard[place];
        match place {
            0 => self.waterfalls = Waterfalls::of(rows),
            1 => self.authorities = authorities(rows),
            2 => self.calendars = calendars(rows),
            _ => (self.pauses, self.by_loan) = pauses(rows),
        }
    }

    pub fn orders(&self, lender: Option<&str>, product: Option<&str>) -> Orders {
        self.waterfalls.orders(lender, product)
    }

    pub fn allocation(&self, lender: Option<&str>, product: Option<&str>) -> Option<String> {
        self.waterfalls.allocation(lender, product)
    }

    /// What somebody may waive at once, in cents.
    pub fn may_waive(&self, authority: &str) -> i64 {
        self.authorities.get(authority).copied().unwrap_or(0)
    }

    /// Days past due less grace and pauses, on a day.
    pub fn delinquent_days(&self, loan: Named<'_>, past_due: i32, today: i32) -> i32 {
        let none = self.calendars.is_empty() && self.pauses.is_empty() && self.by_loan.is_empty();
        if none || past_due <= 0 {
            return past_due;
        }
        let days = self.days(loan);
        let due_on = today.saturating_sub(past_due);
        let (grace, due_on) =
            days.map_or((0, due_on), |days| (days.grace, days.calendar.due_on(due_on)));
        let begins = due_on.saturating_add(grace);
        let still = paused(&self.pauses_of(loan), begins, today);
        today.saturating_sub(begins).saturating_sub(still).max(0)
    }

    /// How late a schedule is on a day.
    pub fn lateness(&self, loan: Named<'_>, items: &[Item], today: i32) -> Delinquency {
        let usual = Calendar::default();
        let (grace, calendar) =
            self.days(loan).map_or((0, &usual), |days| (days.grace, &days.calendar));
        delinquency(items, today, grace, &self.pauses_of(loan), &Ranges::default(), calendar)
    }

    fn pauses_of(&self, loan: Named<'_>) -> Vec<Pause> {
        let own = self.by_loan.get(loan.loan_id);
        let all = self.pauses.iter().chain(own.into_iter().flatten());
        let fits = all.filter(|still| fits(&still.lender, &still.product, loan));
        fits.map(|still| still.pause).collect()
    }

    /// Of the calendars that fit a loan, the one that names more.
    fn days(&self, loan: Named<'_>) -> Option<&Days> {
        let named =
            |row: &&Days| 2 * u8::from(row.product.is_some()) + u8::from(row.lender.is_some());
        self.calendars.iter().filter(|row| fits(&row.lender, &row.product, loan)).max_by_key(named)
    }

    pub fn save(&self) -> Vec<RecordBatch> {
        self.heard.to_vec()
    }

    pub fn load(tables: &[RecordBatch]) -> Self {
        let mut terms = Terms::default();
        for (place, table) in tables.iter().enumerate().take(NAMES.len()) {
            terms.heard[place] = table.clone();
            terms.read(place);
        }
        terms
    }
}

fn fits(lender: &Option<String>, product: &Option<String>, loan: Named<'_>) -> bool {
    let one = |own: &Option<String>, given: Option<&str>| {
        own.as_deref().is_none_or(|own| Some(own) == given)
    };
    one(lender, loan.lender) && one(product, loan.product)
}

fn version(rows: &RecordBatch) -> Option<i64> {
    let column: &Int64Array = rows.column_by_name("version")?.as_any().downcast_ref()?;
    (!column.is_empty() && column.is_valid(0)).then(|| column.value(0))
}

fn typed<'a, A: Array + 'static>(rows: &'a RecordBatch, name: &str) -> Option<&'a A> {
    rows.column_by_name(name).and_then(|column| column.as_any().downcast_ref())
}

fn owned(rows: &RecordBatch, name: &str, i: usize) -> Option<String> {
    typed::<StringArray>(rows, name).and_then(|column| text(column, i)).map(str::to_owned)
}

fn authorities(rows: &RecordBatch) -> BTreeMap<String, i64> {
    let limits: Option<&Decimal128Array> = typed(rows, "waiver_max");
    let limit = |i| limits.filter(|column| column.is_valid(i)).map_or(0, |column| column.value(i));
    (0..rows.num_rows())
        .filter_map(|i| {
            let cents = i64::try_from(limit(i)).unwrap_or(i64::MAX);
            Some((owned(rows, "authority_id", i)?, cents))
        })
        .collect()
}

fn calendars(rows: &RecordBatch) -> Vec<Days> {
    let graces: Option<&Int32Array> = typed(rows, "grace_days");
    (0..rows.num_rows())
        .map(|i| Days {
            lender: owned(rows, "lender_id", i),
            product: owned(rows, "product", i),
            grace: graces.filter(|column| column.is_valid(i)).map_or(0, |column| column.value(i)),
            calendar: Calendar {
                weekends_off: owned(rows, "weekends_off", i).as_deref() == Some("yes"),
                holidays: owned(rows, "holidays", i)
                    .map(|days| days.split('|').filter_map(day).collect())
                    .unwrap_or_default(),
            },
        })
        .collect()
}

fn pauses(rows: &RecordBatch) -> (Vec<Still>, BTreeMap<String, Vec<Still>>) {
    let (mut all, mut by_loan) = (Vec::new(), BTreeMap::<String, Vec<Still>>::new());
    let (from, to): (Option<&Date32Array>, _) =
        (typed(rows, "paused_on"), typed::<Date32Array>(rows, "resumed_on"));
    let at = |column: Option<&Date32Array>, i: usize| {
        column.filter(|column| column.is_valid(i)).map(|column| column.value(i))
    };
    for i in 0..rows.num_rows() {
        let Some(from) = at(from, i) else { continue };
        let pause = Pause { from, to: at(to, i).unwrap_or(i32::MAX) };
        let (lender, product) = (owned(rows, "lender_id", i), owned(rows, "product", i));
        let still = Still { lender, product, pause };
        match owned(rows, "loan_id", i) {
            Some(loan) => by_loan.entry(loan).or_default().push(still),
            None => all.push(still),
        }
    }
    (all, by_loan)
}

/// Days since 1970-01-01 of `2026-03-01`.
fn day(text: &str) -> Option<i32> {
    crate::normalize::day(text.trim())
}
