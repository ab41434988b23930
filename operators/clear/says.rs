//! Rows of quotas and rounds on their way out.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Int64Builder, ListBuilder, RecordBatch, StringBuilder, UInt32Builder,
    UInt64Builder,
};

use crate::dispatch::facts::{GAP, TOTAL, VALUE, quotas, rounds};
use crate::dispatch::says::{Place, batch, exact, instants, money};

use super::pool::Said;
use crate::facts::BID;

/// A row of `quotas`.
pub struct Quota {
    pub kind: &'static str,
    pub round: i64,
    pub desk: Option<String>,
    pub lender: Option<String>,
    pub agency: String,
    pub said: Said,
    pub shares: Vec<i64>,
    pub amounts: Option<Vec<i64>>,
    pub left: i64,
    pub amount_left: i64,
}

fn places(rows: impl Iterator<Item = Place>) -> Vec<ArrayRef> {
    let (mut shard, mut seq, mut row) =
        (UInt32Builder::new(), UInt64Builder::new(), UInt32Builder::new());
    for place in rows {
        shard.append_option(place.shard);
        seq.append_value(place.seq);
        row.append_value(place.row);
    }
    vec![Arc::new(shard.finish()), Arc::new(seq.finish()), Arc::new(row.finish())]
}

pub fn say_quotas(rows: &[(Place, Quota)]) -> RecordBatch {
    let mut at = instants();
    let mut texts: [StringBuilder; 4] = std::array::from_fn(|_| StringBuilder::new());
    let mut wholes: [Int64Builder; 3] = std::array::from_fn(|_| Int64Builder::new());
    let (mut most, mut bid, mut amount_left) = (money(), exact(BID), exact(TOTAL));
    let mut lists: [ListBuilder<Int64Builder>; 2] =
        std::array::from_fn(|_| ListBuilder::new(Int64Builder::new()));
    let mut exceeded = BooleanBuilder::new();
    for (place, row) in rows {
        at.append_option(place.at);
        let names = [Some(row.kind), row.desk.as_deref(), row.lender.as_deref(), Some(&row.agency)];
        for (text, name) in texts.iter_mut().zip(names) {
            text.append_option(name);
        }
        wholes[0].append_value(row.round);
        wholes[1].append_option(row.said.capacity);
        wholes[2].append_value(row.left);
        most.append_option(row.said.amount_max.map(i128::from));
        bid.append_value(i128::from(row.said.bid));
        amount_left.append_value(i128::from(row.amount_left));
        lists[0].append_value(row.shares.iter().map(|share| Some(*share)));
        lists[1].append_option(row.amounts.as_ref().map(|list| list.iter().map(|n| Some(*n))));
        exceeded.append_value(row.said.exceeded);
    }
    let mut columns = places(rows.iter().map(|row| row.0));
    let [kind, desk, lender, agency] = texts.map(|mut text| Arc::new(text.finish()) as ArrayRef);
    let [round, capacity, left] = wholes.map(|mut whole| Arc::new(whole.finish()) as ArrayRef);
    columns.extend([kind, round, Arc::new(at.finish()), desk, lender, agency, capacity]);
    columns.extend([Arc::new(most.finish()) as ArrayRef, Arc::new(bid.finish())]);
    columns.extend(lists.map(|mut list| Arc::new(list.finish()) as ArrayRef));
    columns.extend([left, Arc::new(amount_left.finish()), Arc::new(exceeded.finish())]);
    batch(quotas(), columns)
}

/// What is known of a round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    pub round: i64,
    pub at: Option<i64>,
    pub value: i128,
    pub bound: i128,
    /// Decided, waiting, spilled.
    pub counts: [i64; 3],
    pub answered: i64,
    pub silent: String,
    pub expected: i128,
    pub evaluations: i64,
    pub note: String,
    /// Cases of the stretch so far, thought to have come, and still to come.
    pub forecast: Option<[i64; 3]>,
    /// At desks with a limit: places there are, places taken, and shares that were unspent.
    pub places: [i64; 3],
    pub nowhere: i64,
    /// Bid prices of what the pools kept: a part of the bound.
    pub kept: i128,
}

/// The certificate: the share of the bound that was not reached, rounded up to nine digits.
pub fn gap(value: i128, bound: i128) -> Option<i128> {
    if bound <= 0 {
        return None;
    }
    // Bring both into 90 bits, so that the product with 10^9 fits.
    let shift = (128 - bound.leading_zeros()).saturating_sub(90);
    let (missed, whole) = ((bound - value) >> shift, (bound >> shift).max(1));
    Some((missed * 1_000_000_000 + whole - 1) / whole)
}

pub fn say_rounds(rows: &[(Place, Report)]) -> RecordBatch {
    let mut at = instants();
    let (mut kind, mut silent, mut note) =
        (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
    let mut values = [exact(VALUE), exact(VALUE)];
    let mut gaps = [exact(GAP), exact(GAP)];
    let mut wholes: [Int64Builder; 6] = std::array::from_fn(|_| Int64Builder::new());
    let mut more: [Int64Builder; 6] = std::array::from_fn(|_| Int64Builder::new());
    let (mut held_back, mut share_use) = (exact(VALUE), exact(GAP));
    for (_, row) in rows {
        kind.append_value("round");
        at.append_option(row.at);
        values[0].append_value(row.value);
        values[1].append_value(row.bound);
        gaps[0].append_option(gap(row.value, row.bound));
        gaps[1].append_value(row.expected);
        let [decided, waiting, spilled] = row.counts;
        let numbers = [row.round, decided, waiting, spilled, row.answered, row.evaluations];
        for (whole, number) in wholes.iter_mut().zip(numbers) {
            whole.append_value(number);
        }
        let [there, taken, unspent] = row.places;
        let [arrived, due, rest] = [0, 1, 2].map(|at| row.forecast.map(|forecast| forecast[at]));
        let numbers = [Some(there), Some(taken), arrived, due, rest, Some(row.nowhere)];
        for (whole, number) in more.iter_mut().zip(numbers) {
            whole.append_option(number);
        }
        held_back.append_value(row.kept);
        let dealt = i128::from(taken) + i128::from(unspent);
        let used = || (i128::from(taken) * 1_000_000_000 + dealt / 2) / dealt;
        share_use.append_option((dealt > 0).then(used));
        silent.append_value(&row.silent);
        note.append_value(&row.note);
    }
    let mut columns = places(rows.iter().map(|row| row.0));
    let [round, decided, waiting, spilled, answered, evaluations] =
        wholes.map(|mut whole| Arc::new(whole.finish()) as ArrayRef);
    let [value, bound] = values.map(|mut sum| Arc::new(sum.finish()) as ArrayRef);
    let [gap, expected] = gaps.map(|mut gap| Arc::new(gap.finish()) as ArrayRef);
    columns.extend([Arc::new(kind.finish()) as ArrayRef, round, Arc::new(at.finish())]);
    columns.extend([value, bound, gap, decided, waiting, spilled, answered]);
    columns.extend([Arc::new(silent.finish()) as ArrayRef, expected, evaluations]);
    columns.push(Arc::new(note.finish()));
    let [there, taken, arrived, due, rest, nowhere] =
        more.map(|mut whole| Arc::new(whole.finish()) as ArrayRef);
    columns.extend([there, taken, arrived, due, rest]);
    columns.extend([held_back, share_use].map(|mut one| Arc::new(one.finish()) as ArrayRef));
    columns.push(nowhere);
    batch(rounds(), columns)
}
