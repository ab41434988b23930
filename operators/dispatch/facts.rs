//! The columns of the market: what shards ask for, what clear answers, how far from the best.
//!
//! Exact sums of value are kept with 14 digits: a price has two and a yield twelve.

use std::sync::Arc;

use arrow::datatypes::DataType::{Boolean, Int32, Int64, UInt32, UInt64, Utf8};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::facts::{BID, MONEY, instant};

/// Sums of value, exact: cents times 10^12.
pub const VALUE: DataType = DataType::Decimal128(38, 14);
/// Sums of money over many loans.
pub const TOTAL: DataType = DataType::Decimal128(38, 2);
/// A gap: a fraction with nine digits.
pub const GAP: DataType = DataType::Decimal128(18, 9);

/// A list of whole numbers in one field.
pub fn numbers() -> DataType {
    DataType::List(Arc::new(Field::new("item", Int64, true)))
}

fn schema(columns: Vec<(&str, DataType)>) -> SchemaRef {
    let place = [("shard", UInt32), ("seq", UInt64), ("row", UInt32)];
    Arc::new(Schema::new(
        place
            .into_iter()
            .chain(columns)
            .map(|(name, kind)| Field::new(name, kind, true))
            .collect::<Vec<_>>(),
    ))
}

/// `book.*.demand`: the answer of a shard to a round tick.
///
/// Kinds: `segment`, the waiting cases of one kind of case, as sorted bins of prices with counts
/// and exact sums, replacing what this shard said of that kind before (no bins: none are left);
/// `arrived`, in the same form, those that came to the market since the last round;
/// `desk` and `contract`, what is handed back and what is kept; `window`, what was reached and
/// what could have been under the bid prices of `round` (the newest row of a round counts).
pub fn demand() -> SchemaRef {
    schema(vec![
        ("kind", Utf8),
        ("at", instant()),
        // the round of the quotas that the window was decided by
        ("round", Int64),
        // the kind of case, as `dispatch` and `clear` agree to write it
        ("segment", Utf8),
        ("bins", numbers()),
        ("counts", numbers()),
        ("sums", numbers()),
        // of cases of several loans: the sums of prices of the first loan, the second …
        ("parts", numbers()),
        // outstanding amount of the waiting cases of this kind
        ("outstanding", TOTAL),
        ("desk_id", Utf8),
        ("lender_id", Utf8),
        ("agency_id", Utf8),
        ("handed_back", Int64),
        ("amount_back", TOTAL),
        // below zero: more stands than was granted
        ("amount_kept", TOTAL),
        // the working reserve asked for, and what is still in hand of it
        ("reserve", Int64),
        ("kept", Int64),
        ("decided", Int64),
        ("waiting", Int64),
        ("spilled", Int64),
        ("value", VALUE),
        ("bound", VALUE),
        // cases that left the desk since the last round
        ("freed", Int64),
        // waiting cases that nobody may take, or that are worth too little to anybody
        ("nowhere", Int64),
    ])
}

/// `loans.all.quotas`: bid prices, and each shard's new share of what the pool held.
///
/// One row per desk, or per lender and agency whose contract has a quota, where something is
/// new; a desk without a row keeps its bid price and is dealt nothing.
pub fn quotas() -> SchemaRef {
    schema(vec![
        // desk or contract
        ("kind", Utf8),
        ("round", Int64),
        ("at", instant()),
        ("desk_id", Utf8),
        ("lender_id", Utf8),
        ("agency_id", Utf8),
        // what clear knew the limit to be; null: none
        ("capacity", Int64),
        ("amount_max", MONEY),
        ("bid_price", BID),
        // by shard: what is added to its share
        ("shares", numbers()),
        // by shard: what is added to its share of the outstanding amount, in cents
        ("amounts", numbers()),
        // what the pool still holds; a case whose best desk has some left waits for it
        ("pool_left", Int64),
        ("amount_left", TOTAL),
        // more is placed than a lowered capacity allows: nothing may be spent
        ("exceeded", Boolean),
    ])
}

/// What clear says of every round, for people and plots. The newest row of a round counts.
pub fn rounds() -> SchemaRef {
    schema(vec![
        ("kind", Utf8),
        ("round", Int64),
        ("at", instant()),
        // exact, over the shards that have answered
        ("value", VALUE),
        ("bound", VALUE),
        ("gap", GAP),
        ("decided", Int64),
        ("waiting", Int64),
        ("spilled", Int64),
        ("answered", Int64),
        // shards that had not answered when the round was closed
        ("silent", Utf8),
        // what the solver expected of its sketches, and the evaluations it took
        ("expected_gap", GAP),
        ("evaluations", Int64),
        // where the round fell back on less than its best, and why
        ("note", Utf8),
        // places at desks with a limit, and how many of them are taken
        ("places", Int64),
        ("taken", Int64),
        // cases that came in the running stretch, that were expected by now, and still are
        ("arrived", Int64),
        ("expected", Int64),
        ("forecast", Int64),
        // the part of the bound that is the price of places kept for later
        ("held_back", VALUE),
        // of the shares that were dealt, the part that was taken
        ("share_use", GAP),
        // waiting cases that nobody may take, or that are worth too little to anybody
        ("nowhere", Int64),
    ])
}

/// What one desk received in one round, per shard: one package when summed over shards.
pub fn lots() -> SchemaRef {
    schema(vec![
        ("lot_id", Utf8),
        ("at", instant()),
        ("desk_id", Utf8),
        ("agency_id", Utf8),
        ("cases", Int64),
        ("loans", Int64),
        ("outstanding", TOTAL),
        ("price", TOTAL),
        // sum of outstanding times days past due; over outstanding it is the weighted average
        ("weighted_days", TOTAL),
        ("days_past_due", DataType::Decimal128(18, 2)),
    ])
}

/// Of saved memory: columns without a place in the log.
pub fn table(columns: Vec<(&str, DataType)>) -> SchemaRef {
    Arc::new(Schema::new(
        columns.into_iter().map(|(name, kind)| Field::new(name, kind, true)).collect::<Vec<_>>(),
    ))
}

/// A column of 32-bit numbers in a saved table.
pub const SMALL: DataType = Int32;
