//! Commission by contract, and what is remitted.
//!
//! A schedule has tiers by days past due or by balance, a minimum and a maximum, an addition for
//! litigated loans and VAT; it names its rounding and whether it rounds each line or the sum. A
//! line that is taken back is computed under its own terms, so it claws back to the cent.

/// Millionths: all rates are whole numbers of them.
const ONE: i128 = 1_000_000;

/// What a tier is chosen by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Basis {
    #[default]
    DaysPastDue,
    /// The balance, in cents.
    Balance,
}

/// Where halves go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rounding {
    #[default]
    HalfAway,
    HalfEven,
}

impl Rounding {
    /// A product of cents and millionths, in cents.
    pub fn cents(self, product: i128) -> i128 {
        if product == 0 {
            return 0;
        }
        match self {
            Rounding::HalfAway => round_half_away(product, ONE),
            Rounding::HalfEven => round_half_even(product, ONE),
        }
    }
}

/// Rounds a fraction to a whole number, halves away from zero.
pub fn round_half_away(numerator: i128, denominator: i128) -> i128 {
    // Almost all money fits into 64 bits, where division is a fraction of the work.
    let small = (i64::try_from(numerator.abs()), i64::try_from(denominator));
    if let (Ok(size), Ok(by)) = small
        && let Some(sum) = size.checked_add(by / 2)
    {
        let rounded = i128::from(sum / by);
        return if numerator < 0 { -rounded } else { rounded };
    }
    let half = denominator / 2;
    if numerator >= 0 {
        (numerator + half) / denominator
    } else {
        -((half - numerator) / denominator)
    }
}

/// Rounds a fraction to a whole number, halves to the even neighbor.
pub fn round_half_even(numerator: i128, denominator: i128) -> i128 {
    let below = numerator.div_euclid(denominator);
    let twice = 2 * numerator.rem_euclid(denominator);
    match twice.cmp(&denominator) {
        std::cmp::Ordering::Less => below,
        std::cmp::Ordering::Greater => below + 1,
        std::cmp::Ordering::Equal => below + (below & 1),
    }
}

/// A rate up to and including a bound; the last tier has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    pub up_to: Option<i64>,
    pub rate: i64,
}

/// How a contract pays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    pub basis: Basis,
    pub tiers: Vec<Tier>,
    /// Least and most for a line, in cents.
    pub minimum: i64,
    pub maximum: Option<i64>,
    /// Added to the rate of a litigated loan, in millionths.
    pub litigation: i64,
    /// VAT on commission, in millionths.
    pub vat: i64,
    pub rounding: Rounding,
    /// Rounds the sum of all lines instead of each.
    pub per_sum: bool,
    /// The agency remits all it collected and is paid its commission apart.
    pub gross: bool,
}

/// Money that a commission is due on, with its loan as it was then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paid {
    /// Negative where it is taken back.
    pub amount: i64,
    pub days_past_due: i64,
    pub balance: i64,
    pub litigated: bool,
    /// The creditor got it, not the agency.
    pub to_creditor: bool,
}

/// What a period comes to, in cents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// What the agency holds of the creditor's money.
    pub held: i64,
    pub commission: i64,
    pub vat: i64,
    /// What the agency sends.
    pub remits: i64,
    /// What the creditor pays the agency apart.
    pub pays: i64,
}

/// `60:0.12|120:0.20|:0.45`: bounds in days or, by balance, in whole units of money. Bounds come
/// out in days or cents; what cannot be read is left out.
pub fn tiers(text: &str, basis: Basis) -> Vec<Tier> {
    let unit = if basis == Basis::Balance { 100 } else { 1 };
    text.split('|')
        .filter_map(|tier| {
            let (bound, rate) = tier.split_once(':')?;
            let up_to = match bound.trim() {
                "" => None,
                bound => Some(bound.parse::<i64>().ok()?.saturating_mul(unit)),
            };
            Some(Tier { up_to, rate: millionths(rate.trim())? })
        })
        .collect()
}

/// Millionths of a decimal with at most six digits.
fn millionths(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 6 || whole.len() > 3 {
        return None;
    }
    let parsed = format!("{whole}{part:0<6}").parse::<i64>().ok()?;
    (parsed >= 0).then_some(parsed)
}

impl Schedule {
    fn rate(&self, paid: &Paid) -> i64 {
        self.rate_of(0, paid)
    }

    /// The rate of a tier, or without tiers the one given, and what litigation adds.
    pub fn rate_of(&self, given: i64, paid: &Paid) -> i64 {
        let by = match self.basis {
            Basis::DaysPastDue => paid.days_past_due,
            Basis::Balance => paid.balance,
        };
        let tier = self.tiers.iter().find(|tier| tier.up_to.is_none_or(|bound| by <= bound));
        let none = if self.tiers.is_empty() { given } else { 0 };
        let rate = tier.map_or(none, |tier| tier.rate);
        if paid.litigated { rate + self.litigation } else { rate }
    }

    /// Commission before rounding, in cents times millionths, within its bounds.
    fn raw(&self, paid: &Paid) -> i128 {
        self.bounded(i128::from(paid.amount) * i128::from(self.rate(paid)))
    }

    /// A product of cents and millionths within the least and the most commission.
    pub fn bounded(&self, product: i128) -> i128 {
        let most = self.maximum.map_or(i128::MAX, |most| i128::from(most) * ONE);
        let least = (i128::from(self.minimum) * ONE).min(most);
        match product.signum() {
            0 => 0,
            sign => sign * product.abs().clamp(least, most),
        }
    }

    /// Commission of one line, rounded.
    pub fn commission(&self, paid: &Paid) -> i64 {
        self.rounding.cents(self.raw(paid)) as i64
    }

    /// What a period of lines comes to.
    pub fn settle(&self, lines: &[Paid]) -> Settled {
        let held = lines.iter().filter(|line| !line.to_creditor).map(|line| line.amount).sum();
        let commission = if self.per_sum {
            self.rounding.cents(lines.iter().map(|line| self.raw(line)).sum()) as i64
        } else {
            lines.iter().map(|line| self.commission(line)).sum()
        };
        let vat = self.rounding.cents(i128::from(commission) * i128::from(self.vat)) as i64;
        let due = commission + vat;
        let (remits, pays) = if self.gross { (held, due) } else { (held - due, 0) };
        Settled { held, commission, vat, remits, pays }
    }
}
