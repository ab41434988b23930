//! What is counted of what shards say; counts and states only, never a row (A15).

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{Decimal128Type, Int64Type};
use datafusion::arrow::record_batch::RecordBatch;
use recoup_sql::Said;

/// What one shard says in a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub rows: usize,
    /// Of them, those of `refused`.
    pub refused: usize,
    /// The newest round of dispatch that it tells of.
    pub round: Option<Round>,
}

/// What is known of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// Cases that wait for capacity.
    pub waiting: i64,
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
                "rounds" => told.round = round(&one.rows).or(told.round),
                _ => {}
            }
        }
        told
    }
}

fn round(rows: &RecordBatch) -> Option<Round> {
    let last = rows.num_rows().checked_sub(1)?;
    let waiting = rows.column_by_name("waiting")?.as_primitive_opt::<Int64Type>()?.value(last);
    let gaps = rows.column_by_name("gap")?.as_primitive_opt::<Decimal128Type>()?;
    let per_millionth = 10_i128.checked_pow(u32::try_from(gaps.scale() - 6).ok()?)?;
    // Rounded up: a distance that is not zero does not look like one.
    let millionths = |row| (gaps.value(row) + per_millionth - 1).div_euclid(per_millionth);
    let gap = gaps.is_valid(last).then(|| i64::try_from(millionths(last)).ok()).flatten();
    Some(Round { waiting, gap_millionths: gap })
}
