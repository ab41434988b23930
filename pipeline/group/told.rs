//! What is counted of what shards say; counts and states only, never a row (A15).

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{Decimal128Type, Int64Type, TimestampMicrosecondType};
use datafusion::arrow::record_batch::RecordBatch;
use recoup_sql::Said;

/// What one shard says in a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub rows: usize,
    /// Of them, those of `refused`.
    pub refused: usize,
    pub decided: Decided,
    /// The newest round of dispatch that it tells of.
    pub round: Option<Round>,
}

/// Loans that were given to a desk, and those of them whose better desks were full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    pub placed: u64,
    pub spilled: u64,
}

/// What is known of a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// When its tick was posted, microseconds UTC.
    pub at: Option<i64>,
    /// Of the shares that were dealt, the part that is taken, in millionths.
    pub share_use_millionths: Option<i64>,
    /// Of the newest round that shards have reported on.
    pub reached: Option<Reached>,
}

/// What shards reached between one quotas fact and the next. Money in cents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Cases that wait for capacity.
    pub waiting: i64,
    pub value: i64,
    pub bound: i64,
    /// How far it can be from the best plan, in millionths; `None` where there is no certificate.
    pub gap_millionths: Option<i64>,
}

impl Told {
    pub(super) fn of(said: &[Said]) -> Told {
        let mut told = Told::default();
        for one in said {
            told.rows += one.rows.num_rows();
            match one.relation.as_str() {
                "refused" => told.refused += one.rows.num_rows(),
                "placements" => told.decided.add(decided(&one.rows).unwrap_or_default()),
                "rounds" => told.round = round(&one.rows).or(told.round),
                _ => {}
            }
        }
        told
    }
}

impl Decided {
    pub fn add(&mut self, more: Decided) {
        self.placed += more.placed;
        self.spilled += more.spilled;
    }
}

fn decided(rows: &RecordBatch) -> Option<Decided> {
    let statuses = rows.column_by_name("status")?.as_string_opt::<i32>()?;
    let full = rows.column_by_name("full_desks")?.as_string_opt::<i32>()?;
    let mut found = Decided::default();
    for row in (0..rows.num_rows()).filter(|row| statuses.value(*row) == "placed") {
        found.placed += 1;
        found.spilled += u64::from(full.is_valid(row) && !full.value(row).is_empty());
    }
    Some(found)
}

/// The last row is the round that was cleared just now; what it will reach is told with the next
/// one, in a row that stands before it.
fn round(rows: &RecordBatch) -> Option<Round> {
    let last = rows.num_rows().checked_sub(1)?;
    let ats = rows.column_by_name("at")?.as_primitive_opt::<TimestampMicrosecondType>()?;
    let bounds = rows.column_by_name("bound")?.as_primitive_opt::<Decimal128Type>()?;
    let waiting = rows.column_by_name("waiting")?.as_primitive_opt::<Int64Type>()?;
    let decided = rows.column_by_name("decided")?.as_primitive_opt::<Int64Type>()?;
    let reported = (0..=last).rev().find(|row| {
        bounds.value(*row) != 0 || waiting.value(*row) != 0 || decided.value(*row) != 0
    });
    let reached = |row| {
        Some(Reached {
            waiting: waiting.value(row),
            value: scaled(rows, "value", row, 2)?,
            bound: scaled(rows, "bound", row, 2)?,
            gap_millionths: scaled(rows, "gap", row, 6),
        })
    };
    Some(Round {
        at: ats.is_valid(last).then(|| ats.value(last)),
        share_use_millionths: scaled(rows, "share_use", last, 6),
        reached: reported.and_then(reached),
    })
}

/// A decimal with so many digits behind its point, as a whole number. Rounded up: a distance
/// that is not zero does not look like one.
fn scaled(rows: &RecordBatch, name: &str, row: usize, digits: i8) -> Option<i64> {
    let column = rows.column_by_name(name)?.as_primitive_opt::<Decimal128Type>()?;
    let each = 10_i128.checked_pow(u32::try_from(column.scale() - digits).ok()?)?;
    let whole = (column.value(row) + each - 1).div_euclid(each);
    column.is_valid(row).then(|| i64::try_from(whole).ok()).flatten()
}
