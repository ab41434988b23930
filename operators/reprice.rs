//! What money that comes in month by month is worth today.
//!
//! The default price of a loan is one multiplication and lives in SQL. The discounted one needs a
//! sum over months, which SQL has no plain words for; this is that sum, and nothing else of the
//! price: index, score and rounding stay where users change them.
//!
//! Exact but for the division by powers of the discount, which keeps 28 digits; no float.

use rust_decimal::{Decimal, RoundingStrategy};

/// Digits behind the point of rates: `RATE` in `facts`.
const RATE_DIGITS: u32 = 6;
/// Digits behind the point of a present value.
pub const VALUE_DIGITS: u32 = 12;

/// What a month of collecting costs: rates in millionths, money in cents.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Of what comes in, how much goes to who collects it.
    pub commission: i128,
    /// What a month of work costs, whatever comes in.
    pub servicing: i128,
    /// For a month.
    pub discount: i128,
}

/// The shares of a balance that come in, month by month, in millionths; `None` where the text is
/// not decimals separated by `|`.
pub fn months(text: &str) -> Option<Vec<i128>> {
    let share = |one: &str| {
        let mut share = Decimal::from_str_exact(one.trim()).ok()?;
        share.rescale(RATE_DIGITS);
        Some(share.mantissa())
    };
    text.split('|').map(share).collect()
}

/// The sum over months of (balance x share x (1 - commission) - servicing) / (1 + discount)^month,
/// in units of 10^-12. Work stops after the last month that brings in more than it costs. `None`
/// where a number is beyond what can be held.
pub fn present_value(balance: i128, months: &[i128], terms: &Terms) -> Option<i128> {
    let rate = |millionths| Decimal::try_from_i128_with_scale(millionths, RATE_DIGITS).ok();
    let money = |cents| Decimal::try_from_i128_with_scale(cents, 2).ok();
    let kept = Decimal::ONE.checked_sub(rate(terms.commission)?)?;
    let (balance, servicing) = (money(balance)?, money(terms.servicing)?);
    let growth = Decimal::ONE.checked_add(rate(terms.discount)?)?;
    let net = |share: &i128| {
        let gross = balance.checked_mul(rate(*share)?)?;
        gross.checked_mul(kept)?.checked_sub(servicing)
    };
    let nets: Vec<Decimal> = months.iter().map(net).collect::<Option<_>>()?;
    let worth = nets.iter().rposition(|net| *net > Decimal::ZERO).map_or(0, |last| last + 1);
    let mut value = Decimal::ZERO;
    for net in nets[..worth].iter().rev() {
        value = value.checked_add(*net)?.checked_div(growth)?;
    }
    let half_away = RoundingStrategy::MidpointAwayFromZero;
    let mut value = value.round_dp_with_strategy(VALUE_DIGITS, half_away);
    value.rescale(VALUE_DIGITS);
    (value.scale() == VALUE_DIGITS).then(|| value.mantissa())
}
