//! Who may work what, on which terms: desks, agencies and contracts.
//!
//! A desk keeps its number for ever once it was seen, since placements refer to it; a desk that
//! a newer list lacks takes nothing more. All rates are millionths, all money cents.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::{Date32Type, Decimal128Type, Int32Type, Int64Type};

use super::columns::{Numbers, Texts, cents, divide_half_away, list, millionths};
use crate::facts::BUCKETS;

/// The scale of yields: performance in millionths times what commission leaves, in millionths.
pub const SCALE: i128 = 1_000_000_000_000;
/// What a bid price of one, a hundredth of a cent, is at the scale of values.
pub const BID: i128 = SCALE / 100;
const ONE: i64 = 1_000_000;

/// Somebody who can work cases.
#[derive(Clone, Debug, Default)]
pub struct Desk {
    pub id: String,
    pub agency: String,
    /// How it works: phone, field, letter, legal, voice, sms; empty where nobody says.
    pub channel: String,
    /// Which placement of a case it takes: 1 first, 2 second …; 0 any.
    pub tier: i32,
    pub group: String,
    provinces: Vec<String>,
    products: Vec<String>,
    buckets: (usize, usize),
    pub cost: i64,
    /// Cases open at one time; `None`: no limit.
    pub capacity: Option<i64>,
    pub per_round: Option<i64>,
    pub amount_max: Option<i64>,
    pub days_max: Option<i32>,
    commission: [Option<i64>; 7],
    performance: [Option<i64>; 7],
    pub present: bool,
}

/// What an agency agreed with a lender.
#[derive(Clone, Debug)]
struct Contract {
    id: String,
    from: i32,
    to: i32,
    discount: i64,
    quota: Option<i64>,
}

/// A desk's terms in a segment: worth `price × slope − cost`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub desk: u16,
    /// Performance × (1 − commission), at [`SCALE`].
    pub slope: i64,
    pub cost: i64,
    /// Millionths, after the lender's discount.
    pub commission: i64,
    /// The contract quota it counts against, by number.
    pub quota: Option<u16>,
}

/// Whether and how desks may work: reference data as last heard.
#[derive(Default)]
pub struct Market {
    pub desks: Vec<Desk>,
    by_id: BTreeMap<String, u16>,
    /// The place of each desk in the order of ids: ties go to the lowest.
    pub rank: Vec<u16>,
    pub contracted: bool,
    contracts: BTreeMap<(String, String), Vec<Contract>>,
    /// Lender and agency of each quota, by number; like desks they stay.
    pub quotas: Vec<(String, String)>,
    /// Days on which some contract begins or has ended.
    turns: Vec<i32>,
    pub agencies_heard: Option<RecordBatch>,
    pub desks_heard: Option<RecordBatch>,
    pub contracts_heard: Option<RecordBatch>,
}

impl Market {
    /// Takes a newer list. Answers whether the name is one of ours.
    pub fn hear(&mut self, name: &str, rows: &RecordBatch) -> bool {
        match name {
            "agencies" => self.agencies_heard = Some(rows.clone()),
            "desks" => self.desks_heard = Some(rows.clone()),
            "contracts" => self.contracts_heard = Some(rows.clone()),
            _ => return false,
        }
        self.compile();
        true
    }

    fn compile(&mut self) {
        for desk in &mut self.desks {
            desk.present = false;
        }
        let mut owners = Vec::new();
        if let Some(rows) = self.desks_heard.clone() {
            for row in 0..rows.num_rows() {
                owners.extend(self.read(&rows, row, "desk_id"));
            }
        }
        owners.sort();
        if let Some(rows) = self.agencies_heard.clone() {
            let ids = Texts::of(&rows, "agency_id");
            for row in 0..rows.num_rows() {
                if owners.binary_search_by(|owner| owner.as_str().cmp(ids.text(row))).is_err() {
                    self.read(&rows, row, "agency_id");
                }
            }
        }
        self.read_contracts();
        self.order();
    }

    /// The number of a desk that was seen before.
    pub fn find(&self, id: &str) -> Option<u16> {
        self.by_id.get(id).copied()
    }

    /// Agency and desk by name; empty for nobody.
    pub fn who(&self, desk: u16) -> (&str, &str) {
        self.desks.get(usize::from(desk)).map_or(("", ""), |desk| (&desk.agency, &desk.id))
    }

    /// The number of a desk, new or old.
    pub fn intern(&mut self, id: &str, agency: &str) -> Option<u16> {
        if let Some(known) = self.by_id.get(id) {
            return Some(*known);
        }
        let number = u16::try_from(self.desks.len()).ok().filter(|number| *number < u16::MAX)?;
        self.desks.push(Desk { id: id.into(), agency: agency.into(), ..Desk::default() });
        self.by_id.insert(id.into(), number);
        Some(number)
    }

    fn read(&mut self, rows: &RecordBatch, row: usize, id: &str) -> Option<String> {
        let text = |name: &str| Texts::of(rows, name).text(row).to_string();
        let (id, agency) = (text(id), text("agency_id"));
        if id.is_empty() {
            return None;
        }
        let number = self.intern(&id, &agency)?;
        let bound = |name: &str, open: usize| {
            let text = text(name);
            if text.is_empty() { Some(open) } else { BUCKETS.iter().position(|b| *b == text) }
        };
        // A bound that is no bucket admits none: (1, 0) is empty.
        let buckets = match (bound("bucket_min", 0), bound("bucket_max", 6)) {
            (Some(low), Some(high)) => (low, high),
            _ => (1, 0),
        };
        let money = |name: &str| cents(Numbers::<Decimal128Type>::of(rows, name).get(row));
        let whole = |name: &str| Numbers::<Int64Type>::of(rows, name).get(row);
        let small = |name: &str| Numbers::<Int32Type>::of(rows, name).get(row);
        self.desks[usize::from(number)] = Desk {
            id,
            agency: agency.clone(),
            channel: text("channel"),
            tier: small("tier").unwrap_or(0).max(0),
            group: text("agency_group"),
            provinces: sorted(&text("provinces")),
            products: sorted(&text("products")),
            buckets,
            cost: money("unit_cost").unwrap_or(0),
            capacity: whole("capacity").map(|capacity| capacity.max(0)),
            per_round: whole("capacity_per_round").map(|capacity| capacity.max(0)),
            amount_max: money("amount_max").map(|amount| amount.max(0)),
            days_max: small("days_max"),
            commission: by_bucket(&text("commission_by_bucket")),
            performance: by_bucket(&text("perf_by_bucket")),
            present: true,
        };
        Some(agency)
    }

    fn read_contracts(&mut self) {
        let Some(rows) = self.contracts_heard.clone() else { return };
        self.contracted = rows.num_rows() > 0;
        self.contracts.clear();
        self.turns.clear();
        let ids = Texts::of(&rows, "contract_id");
        let (lenders, agencies) = (Texts::of(&rows, "lender_id"), Texts::of(&rows, "agency_id"));
        let froms = Numbers::<Date32Type>::of(&rows, "valid_from");
        let tos = Numbers::<Date32Type>::of(&rows, "valid_to");
        let discounts = Numbers::<Decimal128Type>::of(&rows, "discount");
        let quotas = Numbers::<Int64Type>::of(&rows, "quota");
        for row in 0..rows.num_rows() {
            let pair = (lenders.text(row).to_string(), agencies.text(row).to_string());
            let contract = Contract {
                id: ids.text(row).into(),
                from: froms.get(row).unwrap_or(i32::MIN),
                to: tos.get(row).unwrap_or(i32::MAX),
                discount: cents(discounts.get(row)).unwrap_or(0),
                quota: quotas.get(row).map(|quota| quota.max(0)),
            };
            self.turns.extend([contract.from, contract.to.saturating_add(1)]);
            if contract.quota.is_some() && self.quotas.len() < usize::from(u16::MAX) {
                self.intern_quota(&pair.0, &pair.1);
            }
            self.contracts.entry(pair).or_default().push(contract);
        }
        for contracts in self.contracts.values_mut() {
            contracts.sort_by(|a, b| a.id.cmp(&b.id));
        }
        self.turns.sort_unstable();
        self.turns.dedup();
    }

    /// The number of a lender's quota at an agency.
    pub fn intern_quota(&mut self, lender: &str, agency: &str) -> usize {
        let found = self.quotas.iter().position(|(l, a)| l == lender && a == agency);
        found.unwrap_or_else(|| {
            self.quotas.push((lender.into(), agency.into()));
            self.quotas.len() - 1
        })
    }

    fn order(&mut self) {
        self.rank = vec![0; self.desks.len()];
        for (place, number) in self.by_id.values().enumerate() {
            self.rank[usize::from(*number)] = place as u16;
        }
    }

    /// Which contracts are in force changes only between epochs.
    pub fn epoch(&self, day: i32) -> u32 {
        self.turns.partition_point(|turn| *turn <= day) as u32
    }

    fn contract(&self, lender: &str, agency: &str, day: i32) -> Option<&Contract> {
        // Only the look-up needs owned texts: pairs are few.
        let found = self.contracts.get(&(lender.to_string(), agency.to_string()))?;
        found.iter().find(|contract| contract.from <= day && day <= contract.to)
    }

    /// The quota in force, by number; `None`: no limit.
    pub fn quota(&self, number: usize, day: i32) -> Option<i64> {
        let (lender, agency) = self.quotas.get(number)?;
        if !self.contracted {
            return None;
        }
        self.contract(lender, agency, day)?.quota
    }

    /// Every desk that may take a loan of this kind, ordered by desk id.
    pub fn offers(
        &self,
        lender: &str,
        province: &str,
        product: &str,
        bucket: usize,
        day: i32,
    ) -> Vec<Offer> {
        let admits = |list: &Vec<String>, one: &str| {
            list.is_empty() || list.binary_search_by(|item| item.as_str().cmp(one)).is_ok()
        };
        let mut offers = Vec::new();
        for number in self.by_id.values() {
            let desk = &self.desks[usize::from(*number)];
            let fits = desk.present
                && desk.buckets.0 <= bucket
                && bucket <= desk.buckets.1
                && admits(&desk.provinces, province)
                && admits(&desk.products, product);
            if !fits {
                continue;
            }
            if self.contracted && self.contract(lender, &desk.agency, day).is_none() {
                continue;
            }
            offers.extend(self.terms(*number, lender, bucket, day));
        }
        offers
    }

    /// A desk's terms in a bucket whether or not it may take new cases there.
    pub fn terms(&self, number: u16, lender: &str, bucket: usize, day: i32) -> Option<Offer> {
        let desk = self.desks.get(usize::from(number))?;
        let commission = *desk.commission.get(bucket)?;
        let performance = *desk.performance.get(bucket)?;
        let (commission, performance) = (commission?, performance?);
        let contract = self.contracted.then(|| self.contract(lender, &desk.agency, day)).flatten();
        let commission = contract.map_or(commission, |contract| {
            let left = i128::from(commission) * i128::from(ONE - contract.discount);
            divide_half_away(left, i128::from(ONE)) as i64
        });
        let slope = performance.checked_mul(ONE - commission)?;
        let quota = contract.and_then(|contract| contract.quota).and_then(|_| {
            let found = self.quotas.iter().position(|(l, a)| l == lender && *a == desk.agency);
            found.and_then(|found| u16::try_from(found).ok())
        });
        Some(Offer { desk: number, slope, cost: desk.cost, commission, quota })
    }
}

fn sorted(text: &str) -> Vec<String> {
    let mut items: Vec<String> = list(text).map(str::to_string).collect();
    items.sort();
    items
}

/// Seven rates; an entry that is no number, or absent, leaves its bucket unserved.
fn by_bucket(text: &str) -> [Option<i64>; 7] {
    let mut rates = [None; 7];
    for (rate, part) in rates.iter_mut().zip(text.split('|')) {
        *rate = millionths(part).filter(|rate| (0..=1_000 * ONE).contains(rate));
    }
    rates
}
