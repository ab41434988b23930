//! What everybody hears: lists of desks, days, rounds, quotas.

use arrow::array::{Array, Int64Array, ListArray, RecordBatch};
use arrow::datatypes::{Decimal128Type, Int64Type, TimestampMicrosecondType};

use super::Dispatch;
use super::cases::{IN_LINE, MARKED, NEVER, NO_DESK, NONE, RECALLING, Status};
use super::choose::paid;
use super::columns::{Numbers, Texts, Truths, cents};
use super::lane::Lane;
use super::says::Place;
use super::shares::{Grant, Room, Share};

/// Microseconds of a day.
pub const DAY: i64 = 86_400_000_000;

/// What was reached and what could have been, between one quotas fact and the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    pub round: i64,
    pub value: i128,
    /// Surplus of the cases decided, and the bid prices of the capacity there was.
    pub bound: i128,
    pub decided: i64,
    pub spilled: i64,
}

impl Dispatch {
    /// Acts on a fact that every shard hears.
    pub fn act(&mut self, place: Place, name: &str, rows: &RecordBatch) {
        match name {
            "ticks" => self.tick(place, rows),
            "quotas" => self.hear_quotas(place, rows),
            "exclusions" => self.hear_exclusions(place, rows),
            _ => self.hear_market(place, name, rows),
        }
        self.say_unplaced(place);
    }

    fn hear_market(&mut self, place: Place, name: &str, rows: &RecordBatch) {
        if !self.market.hear(name, rows) {
            return;
        }
        self.terms.clear();
        self.refresh(self.day(place));
        self.lane = Lane::new(&self.market, &self.desks, self.rules.value_min);
        // A desk may have come to an agency or a channel that some case must not go to.
        self.expel(place);
        for case in 0..self.cases.len() as u32 {
            self.consider_moving(place, case);
        }
        self.decide_line(place);
    }

    /// Learns every limit anew.
    fn refresh(&mut self, day: i32) {
        for (number, desk) in self.market.desks.iter().enumerate() {
            let capacity = if desk.present { desk.capacity } else { Some(0) };
            if self.desks.len() == number {
                self.desks.push(Share::new(capacity));
            }
            let share = &mut self.desks[number];
            share.limit(capacity, desk.per_round.is_some(), desk.amount_max);
        }
        let known = self.quotas.len();
        for number in 0..self.market.quotas.len() {
            let limit = self.market.quota(number, day);
            if self.quotas.len() == number {
                self.quotas.push(Share::new(None));
            }
            if number < known {
                self.quotas[number].limit(limit, false, None);
            }
        }
        if known < self.quotas.len() {
            // A quota that is new counts the cases that are there already.
            for case in 0..self.cases.len() as u32 {
                let desk = self.cases.desk[case as usize];
                let quota = if desk == NO_DESK { None } else { self.quota_of(case, desk) };
                if let Some(quota) = quota.filter(|quota| *quota >= known) {
                    self.quotas[quota].open += 1;
                }
            }
            for number in known..self.quotas.len() {
                let limit = self.market.quota(number, day);
                self.quotas[number].limit(limit, false, None);
            }
        }
    }

    fn tick(&mut self, place: Place, rows: &RecordBatch) {
        let kinds = Texts::of(rows, "kind");
        let numbers = Numbers::<Int64Type>::of(rows, "number");
        let ats = Numbers::<TimestampMicrosecondType>::of(rows, "at");
        for row in 0..rows.num_rows() {
            let at = ats.get(row).or(place.at);
            let place = Place { at, ..place };
            match kinds.text(row) {
                "day" => {
                    let day = numbers.get(row).or(at.map(|at| at.div_euclid(DAY))).unwrap_or(0);
                    self.pass_day(place, day.clamp(-1_000_000, 10_000_000) as i32);
                }
                "round" => self.answer_round(place, numbers.number(row)),
                _ => {}
            }
        }
    }

    /// A day begins: recalls become final, time limits end, contracts come and go.
    fn pass_day(&mut self, place: Place, day: i32) {
        let before = self.today.replace(day);
        if self.market.contracted {
            self.refresh(day);
            self.lane.hear(&self.desks);
        }
        let due: Vec<u32> =
            self.recalls.iter().filter(|(_, last)| **last <= day).map(|(case, _)| *case).collect();
        for case in due {
            self.forget_recall(case);
            self.take_back(place, case, Status::Recalled);
        }
        self.pass_limits(place, day);
        self.pass_exclusions(place, before, day);
    }

    /// Time limits of desks end.
    fn pass_limits(&mut self, place: Place, day: i32) {
        if !self.market.desks.iter().any(|desk| desk.days_max.is_some()) {
            return;
        }
        for case in 0..self.cases.len() as u32 {
            let desk = self.cases.desk[case as usize];
            let limit = self.market.desks.get(usize::from(desk)).and_then(|desk| desk.days_max);
            let (Some(limit), Some(since)) = (limit, self.placed_on(case)) else { continue };
            if i64::from(since) + i64::from(limit) <= i64::from(day) {
                self.forget_recall(case);
                self.take_back(place, case, Status::Expired);
            }
        }
    }

    /// The day a case came to its desk.
    fn placed_on(&self, case: u32) -> Option<i32> {
        let mut first: Option<i64> = None;
        let mut loan = self.cases.head[case as usize];
        while loan != NONE {
            let at = self.loans.placed_at[loan as usize];
            if self.placed(loan) && at != NEVER {
                first = Some(first.map_or(at, |first| first.min(at)));
            }
            loan = self.loans.next[loan as usize];
        }
        first.and_then(|at| i32::try_from(at.div_euclid(DAY)).ok())
    }

    /// Asks for a case back: from `pending_on` it neither moves nor grows, on `final_on` it
    /// leaves its desk and is decided again, elsewhere. A case with nobody is not recalled.
    pub fn recall(&mut self, place: Place, case: u32, pending_on: i32, final_on: i32) {
        if self.cases.desk[case as usize] == NO_DESK {
            return;
        }
        if final_on <= self.day(place).max(pending_on) {
            self.take_back(place, case, Status::Recalled);
            return;
        }
        self.cases.flags[case as usize] |= RECALLING;
        self.recalls.insert(case, final_on);
    }

    /// A recall is over.
    pub fn forget_recall(&mut self, case: u32) {
        self.recalls.remove(&case);
        self.cases.flags[case as usize] &= !RECALLING;
    }

    /// A case leaves its desk for good, and is decided again.
    pub fn take_back(&mut self, place: Place, case: u32, status: Status) {
        let desk = self.cases.desk[case as usize];
        if desk == NO_DESK {
            return;
        }
        let mut loan = self.cases.head[case as usize];
        while loan != NONE {
            if self.placed(loan) {
                self.leave(place, loan, status);
                self.unplace(loan);
            }
            loan = self.loans.next[loan as usize];
        }
        self.marks.entry(case).or_default().push(desk);
        self.cases.flags[case as usize] |= MARKED;
        self.decide(place, case);
    }

    /// Hears bid prices and its shares; whoever waits is decided anew.
    fn hear_quotas(&mut self, place: Place, rows: &RecordBatch) {
        self.close_window(place);
        let kinds = Texts::of(rows, "kind");
        let names = ["desk_id", "lender_id", "agency_id"].map(|name| Texts::of(rows, name));
        let rounds = Numbers::<Int64Type>::of(rows, "round");
        let whole = |name| Numbers::<Int64Type>::of(rows, name);
        let (capacities, pools) = (whole("capacity"), whole("pool_left"));
        let amount = |name| Numbers::<Decimal128Type>::of(rows, name);
        let (most, left, bids) = (amount("amount_max"), amount("amount_left"), amount("bid_price"));
        let exceeded = Truths::of(rows, "exceeded");
        let mut round = self.window.round;
        for row in 0..rows.num_rows() {
            round = rounds.get(row).unwrap_or(round);
            let grant = Grant {
                capacity: capacities.get(row),
                amount_max: cents(most.get(row)),
                amount_pool: left.number(row) > 0,
                bid: cents(bids.get(row)).unwrap_or(0).max(0),
                share: dealt(rows, "shares", row, self.shard),
                amount: dealt(rows, "amounts", row, self.shard),
                pool_left: pools.number(row),
                exceeded: exceeded.holds(row),
            };
            let share = if kinds.text(row) == "contract" {
                let pair = (names[1].text(row), names[2].text(row));
                let known =
                    self.market.quotas.iter().position(|(l, a)| (l.as_str(), a.as_str()) == pair);
                known.map(|known| &mut self.quotas[known])
            } else {
                let known = self.market.find(names[0].text(row));
                known.map(|known| &mut self.desks[usize::from(known)])
            };
            if let Some(share) = share {
                share.grant(&grant);
            }
        }
        self.lane.hear(&self.desks);
        self.window = Window { round, ..Window::default() };
        for share in &self.desks {
            let there = i128::from(share.left.max(0) + share.back);
            self.window.bound += paid(share.bid) * there;
        }
        self.decide_line(place);
    }

    /// Ends the window of the last quotas: whoever still waits could have had its surplus.
    fn close_window(&mut self, place: Place) {
        let day = self.day(place);
        let mut window = self.window;
        for at in 0..self.line.len() {
            let case = self.line[at];
            if self.waits(case) {
                window.bound += self.surplus(case, day);
            }
        }
        self.closed = Some(window);
    }

    /// What a waiting case could bring beyond the bid price of the best desk.
    pub fn surplus(&mut self, case: u32, day: i32) -> i128 {
        match self.plain(case, day) {
            Some(plain) => self.lane.surplus(plain),
            None => self.candidates(case, day).first().map_or(0, |best| best.net.max(0)),
        }
    }

    /// Whether a case in line still waits for a desk.
    pub fn waits(&self, case: u32) -> bool {
        self.cases.desk[case as usize] == NO_DESK && self.amount(case) > 0
    }

    /// Decides whoever waits: first who would lose most by going to the next best, of equals
    /// who has waited longest. Closes the gaps in the line.
    pub fn decide_line(&mut self, place: Place) {
        let day = self.day(place);
        let mut line = std::mem::take(&mut self.line);
        line.retain(|case| {
            let waits = self.waits(*case);
            if !waits {
                self.cases.flags[*case as usize] &= !IN_LINE;
            }
            waits
        });
        let mut order: Vec<(i128, u32)> = Vec::with_capacity(line.len());
        for (number, case) in line.iter().enumerate() {
            // Places only grow fewer here: whoever finds none now finds none later.
            if let Some(plain) = self.plain(*case, day)
                && self.choose_fast(plain).is_none()
            {
                continue;
            }
            let amount = self.amount(*case);
            let mut ranked = self.candidates(*case, day);
            // Whoever is full has no say in who goes first.
            ranked.retain(|candidate| self.room(candidate, amount, None) != Room::Full);
            let net = |at: usize| ranked.get(at).map_or(0, |candidate| candidate.net.max(0));
            order.push((net(1) - net(0), number as u32));
        }
        order.sort_unstable();
        // The working reserve is for cases that arrive, not for those that were asked for.
        let used = |shares: &[Share]| shares.iter().map(|share| share.used).collect::<Vec<_>>();
        let before = [used(&self.desks), used(&self.quotas)];
        // Who still waits keeps the place in line: the flag stands, and the line is kept.
        for (_, number) in order {
            self.decide(place, line[number as usize]);
        }
        for (shares, used) in [&mut self.desks, &mut self.quotas].into_iter().zip(before) {
            for (share, used) in shares.iter_mut().zip(used) {
                share.used = used;
            }
        }
        line.retain(|case| {
            let waits = self.cases.desk[*case as usize] == NO_DESK;
            if !waits {
                self.cases.flags[*case as usize] &= !IN_LINE;
            }
            waits
        });
        line.append(&mut self.line);
        self.line = line;
    }
}

/// This shard's part of a list by shard.
fn dealt(rows: &RecordBatch, name: &str, row: usize, shard: u32) -> i64 {
    let Some(column) = rows.column_by_name(name) else { return 0 };
    let Some(lists) = column.as_any().downcast_ref::<ListArray>() else { return 0 };
    if lists.is_null(row) {
        return 0;
    }
    let list = lists.value(row);
    let Some(numbers) = list.as_any().downcast_ref::<Int64Array>() else { return 0 };
    let at = shard as usize;
    if at < numbers.len() && !numbers.is_null(at) { numbers.value(at) } else { 0 }
}
