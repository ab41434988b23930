//! What this shard may still spend of a limited thing: a desk's capacity, a lender's quota.
//!
//! A share is a ceiling that only its shard lowers. Granted less handed back is what clear counts
//! as outstanding here, and it never is less than what stands here: placed, unspent and to be
//! handed back together. So the sum over shards cannot exceed what clear's pool held.

/// One limited thing, as one shard sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// `None`: no limit, nothing is counted.
    pub capacity: Option<i64>,
    /// Unspent. Below zero only where a reversal resumed a placement.
    pub left: i64,
    /// Given up here, handed back at the next round.
    pub back: i64,
    /// Cases of this shard that stand there.
    pub open: i64,
    /// Spent since the last round tick: the working reserve of the next.
    pub used: i64,
    /// Cases that left since the last round tick, where there is a limit.
    pub freed: i64,
    /// In hundredths of a cent.
    pub bid: i64,
    /// Clear's pool still holds some: a case may wait for it.
    pub pool: bool,
    /// A lowered limit: nothing is spent until clear has dealt by the new one.
    pub frozen: bool,
    /// New cases are dealt by the round: nothing is kept over a tick.
    pub by_round: bool,
    /// Ceiling on the outstanding amount, and what of it this shard may still place, in cents.
    pub amount_max: Option<i64>,
    pub amount_left: i64,
    pub amount_back: i64,
    /// Outstanding amount of the cases that stand there.
    pub amount_open: i64,
    /// The pool still holds some of the amount.
    pub amount_pool: bool,
}

/// Whether a case may be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    Open,
    /// Not here and now, but the pool has some.
    Later,
    Full,
}

impl Share {
    /// A limit nobody has dealt of yet: everything is still in the pool.
    pub fn new(capacity: Option<i64>) -> Self {
        Share { capacity, pool: capacity != Some(0), ..Share::default() }
    }

    /// Hears what the limit is from now on.
    pub fn limit(&mut self, capacity: Option<i64>, by_round: bool, amount_max: Option<i64>) {
        let lowered = |new: Option<i64>, old: Option<i64>| match (new, old) {
            (Some(new), Some(old)) => new < old,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if lowered(capacity, self.capacity) || lowered(amount_max, self.amount_max) {
            self.frozen = true;
            self.give_up();
        }
        // Cases placed while there was no limit, or no ceiling, count from now on: as debt.
        if self.capacity.is_none() && capacity.is_some() {
            self.left -= self.open;
        }
        if self.capacity.is_some() && capacity.is_none() {
            // Whatever was granted is void, as are the debts.
            (self.left, self.back, self.used) = (0, 0, 0);
        }
        if self.amount_max.is_none() && amount_max.is_some() {
            self.amount_left = -self.amount_open;
        }
        if self.amount_max.is_some() && amount_max.is_none() {
            (self.amount_left, self.amount_back) = (0, 0);
        }
        if capacity.is_some() && capacity != self.capacity {
            self.pool = capacity.is_some_and(|limit| limit > 0);
        }
        if amount_max != self.amount_max {
            self.amount_pool = amount_max.is_some_and(|limit| limit > 0);
        }
        self.frozen &= capacity.is_some() || amount_max.is_some();
        (self.capacity, self.by_round, self.amount_max) = (capacity, by_round, amount_max);
        if capacity.is_none() {
            self.bid = 0;
        }
    }

    fn give_up(&mut self) {
        if self.left > 0 {
            self.back += std::mem::take(&mut self.left);
        }
        if self.amount_left > 0 {
            self.amount_back += std::mem::take(&mut self.amount_left);
        }
    }

    /// Whether a case with this outstanding amount has room.
    pub fn room(&self, amount: i64) -> Room {
        let cases = self.capacity.is_none() || self.left > 0 && !self.frozen;
        let weight = self.amount_max.is_none_or(|_| amount <= self.amount_left && !self.frozen);
        if cases && weight {
            return Room::Open;
        }
        let later = (cases || self.pool)
            && (weight || self.amount_pool && self.amount_max.is_some_and(|most| amount <= most));
        if later { Room::Later } else { Room::Full }
    }

    /// A case is placed, or resumed.
    pub fn spend(&mut self) {
        self.open += 1;
        if self.capacity.is_some() {
            self.left -= 1;
            self.used += 1;
        }
    }

    /// A case leaves. What it frees may be spent here again, unless the limit was lowered.
    pub fn free(&mut self) {
        self.open -= 1;
        if self.capacity.is_none() {
            return;
        }
        self.freed += 1;
        if self.left >= 0 && (self.frozen || self.by_round) {
            self.back += 1;
        } else {
            self.left += 1;
        }
    }

    /// The outstanding amount of placed cases changes.
    pub fn weigh(&mut self, amount: i64) {
        self.amount_open = self.amount_open.saturating_add(amount);
        if self.amount_max.is_none() {
            return;
        }
        self.amount_left = self.amount_left.saturating_sub(amount);
        if self.frozen && self.amount_left > 0 {
            self.amount_back += std::mem::take(&mut self.amount_left);
        }
    }

    /// Answers a round tick: what is handed back, what was used, what is kept.
    pub fn tick(&mut self) -> (i64, i64, i64) {
        let reserve = if self.by_round || self.frozen { 0 } else { self.used };
        let beyond = (self.left - reserve).max(0);
        self.left -= beyond;
        let back = std::mem::take(&mut self.back) + beyond;
        self.used = 0;
        (back, reserve, self.left)
    }

    /// The unspent part of the amount, handed back whole, and the debt that remains.
    pub fn tick_amount(&mut self) -> (i64, i64) {
        let beyond = self.amount_left.max(0);
        self.amount_left -= beyond;
        (std::mem::take(&mut self.amount_back).saturating_add(beyond), self.amount_left)
    }

    /// Hears a round's quotas.
    pub fn grant(&mut self, quoted: &Grant) {
        let known = (quoted.capacity, quoted.amount_max) == (self.capacity, self.amount_max);
        if self.capacity.is_some() && quoted.capacity.is_some() {
            (self.bid, self.pool) = (quoted.bid, quoted.pool_left > 0);
            self.left += quoted.share;
        }
        if self.amount_max.is_some() && quoted.amount_max.is_some() {
            self.amount_left = self.amount_left.saturating_add(quoted.amount);
            self.amount_pool = quoted.amount_pool;
        }
        self.frozen = quoted.exceeded || !known;
        if self.frozen {
            self.give_up();
        }
    }
}

/// What one row of quotas says to one shard.
pub struct Grant {
    pub capacity: Option<i64>,
    pub amount_max: Option<i64>,
    pub amount_pool: bool,
    pub bid: i64,
    pub share: i64,
    pub amount: i64,
    pub pool_left: i64,
    pub exceeded: bool,
}
