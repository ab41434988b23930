//! Who gets which loan.
//!
//! A case, one borrower's open loans with one lender or a single loan, goes to the desk where it
//! is worth most once the desk's bid price is paid: greatest `v − λ`, in log order, ties to the
//! lowest desk id. `v = price × performance × (1 − commission) − unit cost`, exact to the last
//! digit; λ and this shard's share of each desk's capacity are facts that `clear` says.
//!
//! A case waits where no desk is worth more than `value_min`, where the best is dearer than the
//! case, or where the best has no share left here while clear's pool still holds some. Only a
//! desk that is truly full is passed over for the next best. A desk without a capacity costs
//! nothing and takes cases at once.
//!
//! A placement lasts until the money is in, a recall, the time limit of the desk, or until
//! another desk wins by more than the switching margin. There is no clock and no chance here
//! (A1): two replicas fed the same facts place every loan alike, however they were cut (A9).

mod amounts;
mod ask;
mod bins;
mod cases;
mod choose;
pub mod columns;
pub mod core;
mod exclusions;
mod exits;
pub mod facts;
mod lane;
pub mod market;
mod moves;
pub(crate) mod says;
mod shares;
pub mod sketch;
mod snapshot;
mod terms;
#[cfg(test)]
mod tests;
mod tick;
mod turn;

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::{
    Decimal128Type, Int32Type, TimestampMicrosecondType, UInt32Type, UInt64Type,
};

use crate::facts::BUCKETS;
use crate::{LoadError, Operator, Rules, Says, Verb};
use cases::{Cases, Loans, Segments};
use columns::{Numbers, Texts, cents};
use exclusions::Exclusions;
use lane::Lane;
use market::Market;
use says::{Asked, Held, Lot, Place, Placements};
use shares::Share;
use terms::{FixedTerms, Terms};
use tick::Window;

pub use choose::admits;

/// The entry of [`crate::ALL`].
pub const VERB: Verb = Verb {
    name: "dispatch",
    about: "Gives each case to the desk where it is worth most after paying for capacity.",
    takes: crate::facts::appraised,
    says: &[
        Says { name: "held", schema: crate::facts::held },
        Says { name: "placements", schema: crate::facts::placements },
        Says { name: "demand", schema: facts::demand },
        Says { name: "lots", schema: facts::lots },
    ],
    open: |rules, shard| Box::new(Dispatch::new(rules, shard)),
};

/// One shard's cases, what it knows of desks, and its share of them.
pub struct Dispatch {
    rules: Rules,
    shard: u32,
    market: Market,
    exclusions: Exclusions,
    terms: Terms,
    lane: Lane,
    loans: Loans,
    cases: Cases,
    segments: Segments,
    fixed: FixedTerms,
    /// By number of the desk, and of the lender's quota.
    desks: Vec<Share>,
    quotas: Vec<Share>,
    /// Desks that a case has left by recall or time limit, in order.
    marks: BTreeMap<u32, Vec<u16>>,
    /// Pending recalls: the day each becomes final.
    recalls: BTreeMap<u32, i32>,
    /// Cases that wait, in the order in which they began to.
    line: Vec<u32>,
    window: Window,
    /// The window before, complete, until the next tick says it.
    closed: Option<Window>,
    /// Cases new to the market since the last round, by segment.
    arrived: BTreeMap<u32, ask::Bins>,
    /// What was said of each kind of waiting case, as a digest.
    sent: BTreeMap<String, u64>,
    lots: BTreeMap<u16, Lot>,
    /// The last day tick.
    today: Option<i32>,
    heard: Vec<(String, RecordBatch)>,
    /// Loans left with nobody by the row at hand.
    unplaced: Vec<u32>,
    held: Held,
    placements: Placements,
    asked: Vec<(Place, Asked)>,
    packed: Vec<(Place, [String; 3], Lot)>,
}

impl Dispatch {
    pub fn new(rules: &Rules, shard: u32) -> Self {
        Dispatch {
            rules: rules.clone(),
            shard,
            market: Market::default(),
            exclusions: Exclusions::default(),
            terms: Terms::default(),
            lane: Lane::new(&Market::default(), &[], rules.value_min),
            loans: Loans::default(),
            cases: Cases::default(),
            segments: Segments::default(),
            fixed: FixedTerms::default(),
            desks: Vec::new(),
            quotas: Vec::new(),
            marks: BTreeMap::new(),
            recalls: BTreeMap::new(),
            line: Vec::new(),
            window: Window::default(),
            closed: None,
            arrived: BTreeMap::new(),
            sent: BTreeMap::new(),
            lots: BTreeMap::new(),
            today: None,
            heard: Vec::new(),
            unplaced: Vec::new(),
            held: Held::new(),
            placements: Placements::new(),
            asked: Vec::new(),
            packed: Vec::new(),
        }
    }

    /// The day a row is decided on: the last day tick, or its own where no days are posted.
    fn day(&self, place: Place) -> i32 {
        let own = place.at.and_then(|at| i32::try_from(at.div_euclid(tick::DAY)).ok());
        self.today.or(own).unwrap_or(0)
    }

    fn say_held(&mut self, place: Place, loan: u32) {
        let terms = self.fixed.get(self.loans.terms[loan as usize]);
        let who = self.market.who(terms.desk);
        let id = self.loans.id(loan, self.rules.loan_key);
        self.held.add(place, id, who, self.loans.placement(loan), terms.commission);
    }
}

impl Operator for Dispatch {
    fn step(&mut self, facts: &RecordBatch) -> Vec<RecordBatch> {
        let text = |name| Texts::of(facts, name);
        let (kinds, borrowers, loans) = (text("kind"), text("borrower_key"), text("loan_id"));
        let (lenders, provinces, products) = (text("lender_id"), text("province"), text("product"));
        let buckets = text("bucket");
        let shards = Numbers::<UInt32Type>::of(facts, "shard");
        let seqs = Numbers::<UInt64Type>::of(facts, "seq");
        let rows = Numbers::<UInt32Type>::of(facts, "row");
        let ats = Numbers::<TimestampMicrosecondType>::of(facts, "at");
        let times = Numbers::<TimestampMicrosecondType>::of(facts, "event_time");
        let days = Numbers::<Int32Type>::of(facts, "days_past_due");
        let balances = Numbers::<Decimal128Type>::of(facts, "balance");
        let prices = Numbers::<Decimal128Type>::of(facts, "price");
        for row in 0..facts.num_rows() {
            let place = Place {
                shard: shards.get(row),
                seq: seqs.number(row),
                row: rows.number(row),
                at: ats.get(row).or(times.get(row)),
            };
            let Some(loan) = loans.get(row) else {
                for (name, rows) in std::mem::take(&mut self.heard) {
                    self.act(place, &name, &rows);
                }
                continue;
            };
            let dpd = days.number(row);
            let named = BUCKETS.iter().position(|name| *name == buckets.text(row));
            let arrival = turn::Arrival {
                kind: kinds.text(row),
                borrower: borrowers.text(row),
                loan,
                lender: lenders.text(row),
                province: provinces.text(row),
                product: products.text(row),
                bucket: named.unwrap_or_else(|| crate::facts::bucket(dpd)),
                days: dpd,
                balance: cents(balances.get(row)).unwrap_or(0),
                price: cents(prices.get(row)),
            };
            let known = self.arrive(place, &arrival);
            self.say_unplaced(place);
            self.say_held(place, known);
        }
        let demand = says::demand(&std::mem::take(&mut self.asked));
        let lots = says::lots(&std::mem::take(&mut self.packed));
        vec![self.held.finish(), self.placements.finish(), demand, lots]
    }

    fn hear(&mut self, name: &str, rows: &RecordBatch) {
        if matches!(name, "ticks" | "quotas" | "exclusions")
            || matches!(name, "agencies" | "desks" | "contracts")
        {
            self.heard.push((name.to_string(), rows.clone()));
        }
    }

    fn save(&self) -> Vec<RecordBatch> {
        self.saved()
    }

    fn load(&mut self, tables: Vec<RecordBatch>) -> Result<(), LoadError> {
        self.restore(&tables).ok_or(LoadError {
            operator: "dispatch",
            what: format!("{} tables do not read as its memory", tables.len()),
        })
    }

    fn size(&self) -> usize {
        let shares = (self.desks.len() + self.quotas.len()) * size_of::<Share>();
        let sides = self.marks.len() * 48 + self.recalls.len() * 16 + self.line.len() * 4;
        let kinds = self.segments.keys.size() + self.terms.size();
        self.loans.size() + self.cases.size() + shares + sides + kinds + self.sent.len() * 64
    }
}
