//! What clear still holds of each limited thing, and how it is dealt to shards.
//!
//! `outstanding` is what was granted less what was handed back. A shard never has more than
//! that, so while the pool is not below zero the sum over shards is within the limit, whatever
//! is in flight.

/// One limited thing: a desk's capacity, or a lender's quota at an agency.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pool {
    pub capacity: Option<i64>,
    pub per_round: Option<i64>,
    pub amount_max: Option<i64>,
    pub outstanding: i64,
    pub amount_outstanding: i64,
    /// In hundredths of a cent.
    pub bid: i64,
    /// By shard: what it would like to have in hand, what it owes, what rounding owes it.
    pub reserve: Vec<i64>,
    /// What shards said they still have in hand, since the last round.
    pub kept: i64,
    /// What they handed back since then.
    pub back: i64,
    pub debt: Vec<i64>,
    pub amount_debt: Vec<i64>,
    pub carry: Vec<f64>,
    /// What was last said of it, so that only news is said.
    pub said: Option<Said>,
}

/// The part of a quotas row that stays in force until the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    pub capacity: Option<i64>,
    pub amount_max: Option<i64>,
    pub bid: i64,
    pub some_left: bool,
    pub some_amount: bool,
    pub exceeded: bool,
}

impl Pool {
    pub fn new(shards: usize) -> Self {
        Pool {
            reserve: vec![0; shards],
            debt: vec![0; shards],
            amount_debt: vec![0; shards],
            carry: vec![0.0; shards],
            ..Pool::default()
        }
    }

    /// Hears what the limit is from now on. Where there was none, nothing granted counts.
    pub fn limit(
        &mut self,
        capacity: Option<i64>,
        per_round: Option<i64>,
        amount_max: Option<i64>,
    ) {
        if capacity.is_none() {
            (self.outstanding, self.bid, self.kept, self.back) = (0, 0, 0, 0);
            self.reserve.fill(0);
            self.debt.fill(0);
        }
        if amount_max.is_none() {
            self.amount_outstanding = 0;
            self.amount_debt.fill(0);
        }
        (self.capacity, self.per_round, self.amount_max) = (capacity, per_round, amount_max);
    }

    /// A shard answers a round: what it hands back, what it wants in hand, what it has.
    pub fn answer(&mut self, shard: usize, back: i64, reserve: i64, kept: i64) {
        if self.capacity.is_none() || shard >= self.reserve.len() {
            return;
        }
        self.outstanding = self.outstanding.saturating_sub(back.max(0)).max(0);
        self.reserve[shard] = (reserve - kept.max(0)).max(0);
        self.debt[shard] = (-kept).max(0);
        self.kept = self.kept.saturating_add(kept.max(0));
        self.back = self.back.saturating_add(back.max(0));
    }

    pub fn answer_amount(&mut self, shard: usize, back: i64, kept: i64) {
        if self.amount_max.is_none() || shard >= self.reserve.len() {
            return;
        }
        self.amount_outstanding = self.amount_outstanding.saturating_sub(back.max(0)).max(0);
        self.amount_debt[shard] = kept.saturating_neg().max(0);
    }

    /// What can be given to new cases.
    pub fn left(&self) -> i64 {
        self.capacity.map_or(0, |capacity| capacity - self.outstanding)
    }

    pub fn amount_left(&self) -> i64 {
        self.amount_max.map_or(0, |most| most.saturating_sub(self.amount_outstanding))
    }

    /// What this round may deal once debts are covered: the capacity the solver sees.
    pub fn available(&self) -> Option<i64> {
        let debts: i64 = self.debt.iter().sum();
        let left = self.capacity.map(|_| (self.left() - debts).max(0))?;
        Some(self.per_round.map_or(left, |most| left.min(most)))
    }

    /// What there is until the rest of a stretch is over: what is left, what shards still have in
    /// hand, and what will be free again.
    pub fn planned(&self, freed: i64, rounds: i64) -> Option<i64> {
        let debts: i64 = self.debt.iter().sum();
        let left = self.capacity.map(|_| (self.left() - debts).max(0) + self.kept + freed)?;
        Some(self.per_round.map_or(left, |most| left.min(most.saturating_mul(rounds.max(1)))))
    }

    /// Deals whole cases: debts first, then what the waiting cases ask for by largest
    /// remainder, then working reserves.
    pub fn deal(&mut self, asked: &[f64]) -> Vec<i64> {
        let shards = self.reserve.len();
        let mut shares = std::mem::replace(&mut self.debt, vec![0; shards]);
        let reserve = std::mem::replace(&mut self.reserve, vec![0; shards]);
        (self.kept, self.back) = (0, 0);
        if self.capacity.is_none() {
            return vec![0; shards];
        }
        self.outstanding += shares.iter().sum::<i64>();
        let left = self.left().max(0);
        let there = self.per_round.map_or(left, |most| left.min(most));
        let dealt = by_largest_remainder(asked, there, &mut self.carry);
        let mut rest = there - dealt.iter().sum::<i64>();
        for shard in 0..shards {
            let extra = reserve[shard].min(rest).max(0);
            rest -= extra;
            shares[shard] += dealt[shard] + extra;
            self.outstanding += dealt[shard] + extra;
        }
        shares
    }

    /// Deals the amount in proportion to what is asked.
    pub fn deal_amount(&mut self, asked: &[f64]) -> Option<Vec<i64>> {
        self.amount_max?;
        let shards = self.reserve.len();
        let mut shares = std::mem::replace(&mut self.amount_debt, vec![0; shards]);
        for debt in &shares {
            self.amount_outstanding = self.amount_outstanding.saturating_add(*debt);
        }
        let left = self.amount_left().max(0);
        let total: f64 = asked.iter().sum();
        let mut rest = left;
        for shard in 0..shards {
            let part =
                if total > left as f64 { asked[shard] / total * left as f64 } else { asked[shard] };
            let part = (part.clamp(0.0, 9e18) as i64).min(rest);
            let part = if total <= left as f64 { part.saturating_add(1).min(rest) } else { part };
            rest -= part;
            shares[shard] = shares[shard].saturating_add(part);
            self.amount_outstanding = self.amount_outstanding.saturating_add(part);
        }
        Some(shares)
    }

    /// What is to be said of it now.
    pub fn state(&self) -> Said {
        Said {
            capacity: self.capacity,
            amount_max: self.amount_max,
            bid: self.bid,
            some_left: self.left() > 0,
            some_amount: self.amount_left() > 0,
            exceeded: self.capacity.is_some() && self.left() < 0
                || self.amount_max.is_some() && self.amount_left() < 0,
        }
    }
}

/// Whole parts of `there` in proportion to what is asked, never more than asked for (rounded
/// up). What rounding withholds is remembered and counts next time.
fn by_largest_remainder(asked: &[f64], there: i64, carry: &mut [f64]) -> Vec<i64> {
    let total: f64 = asked.iter().sum();
    if total <= 0.0 || there <= 0 {
        return vec![0; asked.len()];
    }
    let up = |wish: f64| {
        let whole = wish.min(9e15) as i64;
        if wish - whole as f64 > 1e-9 { whole + 1 } else { whole }
    };
    let all: i64 = asked.iter().map(|wish| up(*wish)).sum();
    if all <= there {
        carry.fill(0.0);
        return asked.iter().map(|wish| up(*wish)).collect();
    }
    let scale = (there as f64 / total).min(1.0);
    let mut shares: Vec<i64> = asked.iter().map(|wish| (wish * scale) as i64).collect();
    let mut rest = there - shares.iter().sum::<i64>();
    let mut order: Vec<usize> = (0..asked.len()).filter(|shard| asked[*shard] > 1e-9).collect();
    let part = |shard: usize| asked[shard] * scale - (asked[shard] * scale) as i64 as f64;
    let claim: Vec<f64> = (0..asked.len()).map(|shard| part(shard) + carry[shard]).collect();
    order.sort_by(|a, b| claim[*b].total_cmp(&claim[*a]).then(a.cmp(b)));
    for shard in order {
        carry[shard] = claim[shard].min(1.0);
        if rest > 0 && shares[shard] < up(asked[shard]) {
            shares[shard] += 1;
            rest -= 1;
            carry[shard] = (claim[shard] - 1.0).max(-1.0);
        }
    }
    shares
}
