//! Rows on their way out: what was held, placed, asked for and packed in one step.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Builder, Int32Builder, Int64Builder, ListBuilder, RecordBatch,
    StringBuilder, TimestampMicrosecondBuilder, UInt32Builder, UInt64Builder,
};
use arrow::datatypes::{DataType, SchemaRef};

use super::facts::{TOTAL, VALUE};
use crate::facts::{BID, MONEY, RATE};

/// Where the fact stands that is being answered, and its own instant.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    pub shard: Option<u32>,
    pub seq: u64,
    pub row: u32,
    pub at: Option<i64>,
}

#[derive(Default)]
struct Places {
    shard: UInt32Builder,
    seq: UInt64Builder,
    row: UInt32Builder,
}

impl Places {
    fn add(&mut self, place: Place) {
        self.shard.append_option(place.shard);
        self.seq.append_value(place.seq);
        self.row.append_value(place.row);
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.shard.finish()),
            Arc::new(self.seq.finish()),
            Arc::new(self.row.finish()),
        ]
    }
}

/// A batch of exactly these columns; a mismatch is our own mistake and leaves no rows.
pub fn batch(schema: SchemaRef, columns: Vec<ArrayRef>) -> RecordBatch {
    match RecordBatch::try_new(schema.clone(), columns) {
        Ok(batch) => batch,
        Err(wrong) => panic!("an operator's own columns must match its schema: {wrong}"),
    }
}

pub fn money() -> Decimal128Builder {
    Decimal128Builder::new().with_data_type(MONEY)
}

pub fn exact(kind: DataType) -> Decimal128Builder {
    Decimal128Builder::new().with_data_type(kind)
}

pub fn instants() -> TimestampMicrosecondBuilder {
    TimestampMicrosecondBuilder::new().with_timezone("UTC")
}

/// Rows of `held`.
pub struct Held {
    places: Places,
    loan: StringBuilder,
    agency: StringBuilder,
    desk: StringBuilder,
    placement: UInt32Builder,
    commission: Decimal128Builder,
}

impl Held {
    pub fn new() -> Self {
        Held {
            places: Places::default(),
            loan: StringBuilder::new(),
            agency: StringBuilder::new(),
            desk: StringBuilder::new(),
            placement: UInt32Builder::new(),
            commission: exact(RATE),
        }
    }

    pub fn add(&mut self, place: Place, loan: &str, who: (&str, &str), placement: u32, rate: i64) {
        self.places.add(place);
        self.loan.append_value(loan);
        self.agency.append_value(who.0);
        self.desk.append_value(who.1);
        self.placement.append_value(placement);
        self.commission.append_value(i128::from(rate));
    }

    pub fn finish(&mut self) -> RecordBatch {
        let mut columns = self.places.finish();
        columns.push(Arc::new(self.loan.finish()));
        columns.push(Arc::new(self.agency.finish()));
        columns.push(Arc::new(self.desk.finish()));
        columns.push(Arc::new(self.placement.finish()));
        columns.push(Arc::new(self.commission.finish()));
        batch(crate::facts::held(), columns)
    }
}

/// A row of `placements`.
pub struct Placement<'a> {
    pub loan: &'a str,
    pub lender: &'a str,
    pub agency: &'a str,
    pub desk: &'a str,
    pub price: Option<i64>,
    pub value: Option<i128>,
    pub placed_at: Option<i64>,
    pub status: &'a str,
    pub placement: u32,
    pub commission: Option<i64>,
    pub bid: Option<i64>,
    pub second: Option<(&'a str, i128)>,
    pub full: &'a str,
    pub balance: i64,
    pub days_past_due: i32,
    pub reason: &'a str,
}

/// Rows of `placements`.
pub struct Placements {
    places: Places,
    texts: [StringBuilder; 8],
    price: Decimal128Builder,
    value: Decimal128Builder,
    placed_at: TimestampMicrosecondBuilder,
    placement: UInt32Builder,
    commission: Decimal128Builder,
    bid: Decimal128Builder,
    second: Decimal128Builder,
    at: TimestampMicrosecondBuilder,
    balance: Decimal128Builder,
    days_past_due: Int32Builder,
}

impl Placements {
    pub fn new() -> Self {
        Placements {
            places: Places::default(),
            texts: std::array::from_fn(|_| StringBuilder::new()),
            price: money(),
            value: money(),
            placed_at: instants(),
            placement: UInt32Builder::new(),
            commission: exact(RATE),
            bid: exact(BID),
            second: money(),
            at: instants(),
            balance: money(),
            days_past_due: Int32Builder::new(),
        }
    }

    pub fn add(&mut self, place: Place, row: &Placement) {
        self.places.add(place);
        let [loan, lender, agency, desk, status, second, full, reason] = &mut self.texts;
        loan.append_value(row.loan);
        lender.append_value(row.lender);
        agency.append_value(row.agency);
        desk.append_value(row.desk);
        status.append_value(row.status);
        second.append_option(row.second.map(|second| second.0));
        full.append_option((!row.full.is_empty()).then_some(row.full));
        reason.append_option((!row.reason.is_empty()).then_some(row.reason));
        self.price.append_option(row.price.map(i128::from));
        self.value.append_option(row.value);
        self.placed_at.append_option(row.placed_at);
        self.placement.append_value(row.placement);
        self.commission.append_option(row.commission.map(i128::from));
        self.bid.append_option(row.bid.map(i128::from));
        self.second.append_option(row.second.map(|second| second.1));
        self.at.append_option(place.at);
        self.balance.append_value(i128::from(row.balance));
        self.days_past_due.append_value(row.days_past_due);
    }

    pub fn finish(&mut self) -> RecordBatch {
        let mut columns = self.places.finish();
        let texts = self.texts.each_mut().map(|text| Arc::new(text.finish()) as ArrayRef);
        let [loan, lender, agency, desk, status, second, full, reason] = texts;
        columns.extend([loan, lender, agency, desk]);
        columns.push(Arc::new(self.price.finish()));
        columns.push(Arc::new(self.value.finish()));
        columns.push(Arc::new(self.placed_at.finish()));
        columns.push(status);
        columns.push(Arc::new(self.placement.finish()));
        columns.push(Arc::new(self.commission.finish()));
        columns.push(Arc::new(self.bid.finish()));
        columns.push(second);
        columns.push(Arc::new(self.second.finish()));
        columns.push(full);
        columns.push(Arc::new(self.at.finish()));
        columns.push(Arc::new(self.balance.finish()));
        columns.push(Arc::new(self.days_past_due.finish()));
        columns.push(reason);
        batch(crate::facts::placements(), columns)
    }
}

/// A row of `demand`; what does not belong to its kind stays out.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub kind: &'static str,
    pub round: Option<i64>,
    pub texts: [Option<String>; 4],
    pub lists: [Option<Vec<i64>>; 4],
    pub outstanding: Option<i128>,
    pub handed_back: Option<i64>,
    pub amount: Option<(i128, i128)>,
    pub share: Option<(i64, i64)>,
    pub counts: Option<(i64, i64, i64)>,
    pub reached: Option<(i128, i128)>,
    pub freed: Option<i64>,
    pub nowhere: Option<i64>,
}

/// Rows of `demand`.
pub fn demand(rows: &[(Place, Asked)]) -> RecordBatch {
    let mut places = Places::default();
    let (mut kind, mut at, mut round) = (StringBuilder::new(), instants(), Int64Builder::new());
    let mut texts: [StringBuilder; 4] = std::array::from_fn(|_| StringBuilder::new());
    let mut lists: [ListBuilder<Int64Builder>; 4] =
        std::array::from_fn(|_| ListBuilder::new(Int64Builder::new()));
    let mut totals: [Decimal128Builder; 3] = std::array::from_fn(|_| exact(TOTAL));
    let mut values: [Decimal128Builder; 2] = std::array::from_fn(|_| exact(VALUE));
    let mut wholes: [Int64Builder; 8] = std::array::from_fn(|_| Int64Builder::new());
    for (place, row) in rows {
        places.add(*place);
        kind.append_value(row.kind);
        at.append_option(place.at);
        round.append_option(row.round);
        for (text, value) in texts.iter_mut().zip(&row.texts) {
            text.append_option(value.as_deref());
        }
        for (list, value) in lists.iter_mut().zip(&row.lists) {
            list.append_option(value.as_ref().map(|list| list.iter().map(|n| Some(*n))));
        }
        let totals_of = [row.outstanding, row.amount.map(|a| a.0), row.amount.map(|a| a.1)];
        for (total, value) in totals.iter_mut().zip(totals_of) {
            total.append_option(value);
        }
        for (sum, value) in
            values.iter_mut().zip([row.reached.map(|r| r.0), row.reached.map(|r| r.1)])
        {
            sum.append_option(value);
        }
        let counts = row.counts;
        let numbers = [
            row.handed_back,
            row.share.map(|share| share.0),
            row.share.map(|share| share.1),
            counts.map(|counts| counts.0),
            counts.map(|counts| counts.1),
            counts.map(|counts| counts.2),
            row.freed,
            row.nowhere,
        ];
        for (whole, value) in wholes.iter_mut().zip(numbers) {
            whole.append_option(value);
        }
    }
    let mut columns = places.finish();
    columns.extend([Arc::new(kind.finish()) as ArrayRef, Arc::new(at.finish())]);
    columns.push(Arc::new(round.finish()));
    let [segment, desk, lender, agency] = texts.map(|mut text| Arc::new(text.finish()) as ArrayRef);
    columns.push(segment);
    columns.extend(lists.map(|mut list| Arc::new(list.finish()) as ArrayRef));
    let [outstanding, back, kept] = totals.map(|mut total| Arc::new(total.finish()) as ArrayRef);
    let [handed, reserve, left, decided, waiting, spilled, freed, nowhere] =
        wholes.map(|mut whole| Arc::new(whole.finish()) as ArrayRef);
    columns.extend([outstanding, desk, lender, agency, handed, back, kept, reserve, left]);
    columns.extend([decided, waiting, spilled]);
    columns.extend(values.map(|mut sum| Arc::new(sum.finish()) as ArrayRef));
    columns.extend([freed, nowhere]);
    batch(super::facts::demand(), columns)
}

/// What a desk received since the last round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lot {
    pub cases: i64,
    pub loans: i64,
    pub outstanding: i128,
    pub price: i128,
    pub weighted_days: i128,
}

/// Rows of `lots`: lot, desk, agency and sums.
pub fn lots(rows: &[(Place, [String; 3], Lot)]) -> RecordBatch {
    let mut places = Places::default();
    let mut at = instants();
    let mut texts: [StringBuilder; 3] = std::array::from_fn(|_| StringBuilder::new());
    let mut wholes: [Int64Builder; 2] = std::array::from_fn(|_| Int64Builder::new());
    let mut totals: [Decimal128Builder; 3] = std::array::from_fn(|_| exact(TOTAL));
    let mut average = exact(DataType::Decimal128(18, 2));
    for (place, names, lot) in rows {
        places.add(*place);
        at.append_option(place.at);
        for (text, name) in texts.iter_mut().zip(names) {
            text.append_value(name);
        }
        wholes[0].append_value(lot.cases);
        wholes[1].append_value(lot.loans);
        for (total, sum) in totals.iter_mut().zip([lot.outstanding, lot.price, lot.weighted_days]) {
            total.append_value(sum);
        }
        average.append_option(
            (lot.outstanding > 0).then(|| {
                super::columns::divide_half_away(lot.weighted_days * 100, lot.outstanding)
            }),
        );
    }
    let mut columns = places.finish();
    let [lot, desk, agency] = texts.map(|mut text| Arc::new(text.finish()) as ArrayRef);
    columns.extend([lot, Arc::new(at.finish()), desk, agency]);
    columns.extend(wholes.map(|mut whole| Arc::new(whole.finish()) as ArrayRef));
    columns.extend(totals.map(|mut total| Arc::new(total.finish()) as ArrayRef));
    columns.push(Arc::new(average.finish()));
    batch(super::facts::lots(), columns)
}
