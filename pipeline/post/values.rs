//! One value of a reference table: from text, or why not.

use datafusion::arrow::array::types::Date32Type;
use datafusion::arrow::compute::kernels::cast_utils::Parser;
use recoup_operators::facts::BUCKETS;
use recoup_operators::settle::waterfall::RULES;

use super::columns::Kind;

/// A value that fits its column.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub enum Cell {
    Null,
    Text(String),
    /// A number, scaled by ten to the digits of its column where it has some.
    Number(i128),
    /// Days since 1970-01-01.
    Day(i32),
    /// By index, so that buckets compare in their order.
    Bucket(usize),
}

/// Reads a value; the error is what was expected of it.
pub fn parse(kind: Kind, text: &str) -> Result<Cell, String> {
    match kind {
        Kind::Text => plain(text),
        Kind::Texts => {
            let fits = text.split('|').all(|one| !one.trim().is_empty());
            if fits { plain(text) } else { Err("names separated by |, none empty".into()) }
        }
        Kind::OneOf(names) => match names.contains(&text) {
            true => Ok(Cell::Text(text.into())),
            false => Err(format!("one of {}", names.join(", "))),
        },
        Kind::Bucket => BUCKETS
            .iter()
            .position(|bucket| *bucket == text)
            .map(Cell::Bucket)
            .ok_or_else(|| format!("one of {}", BUCKETS.join(", "))),
        Kind::Decimal { digits, max } => decimal(text, digits)
            .filter(|value| *value <= i128::from(max) * 10_i128.pow(digits))
            .map(Cell::Number)
            .ok_or_else(|| format!("a decimal from 0 to {max}, at most {digits} digits")),
        Kind::ByBucket { max } => by_bucket(text, max),
        Kind::ByMonth => match text.split('|').all(|one| below(one, 1)) {
            true => Ok(Cell::Text(text.into())),
            false => Err("decimals from 0 to 1 separated by |, one for each month".into()),
        },
        Kind::Tiers => tiers(text),
        Kind::Rules => rules(text),
        Kind::Dates => match text.split('|').all(|day| parse(Kind::Date, day).is_ok()) {
            true => Ok(Cell::Text(text.into())),
            false => Err("days such as 2026-03-01, separated by |".into()),
        },
        Kind::Money => decimal(text, 2)
            .filter(|cents| *cents < 10_i128.pow(15))
            .map(Cell::Number)
            .ok_or_else(|| "an amount of money, not negative, at most 2 digits".into()),
        Kind::Count => text
            .parse::<u32>()
            .ok()
            .filter(|count| *count <= i32::MAX as u32 && text.bytes().all(|b| b.is_ascii_digit()))
            .map(|count| Cell::Number(count.into()))
            .ok_or_else(|| "a whole number, not negative".into()),
        Kind::Date => Some(text)
            .filter(|text| text.len() == 10)
            .and_then(Date32Type::parse)
            .map(Cell::Day)
            .ok_or_else(|| "a date such as 2026-03-01".into()),
    }
}

/// What a column holds, for people.
pub fn expected(kind: Kind) -> String {
    match kind {
        Kind::Text => "a text".into(),
        Kind::Texts => "names separated by |; empty: all".into(),
        Kind::ByBucket { max } => {
            format!(
                "{} decimals from 0 to {max} separated by |, one for each bucket",
                BUCKETS.len()
            )
        }
        // What fits nothing is told what would.
        kind => parse(kind, "\u{1}").err().unwrap_or_default(),
    }
}

/// Tiers, each a bound and a rate of at most 6 digits; only the last has no bound.
fn tiers(text: &str) -> Result<Cell, String> {
    let parts: Vec<_> = text.split('|').map(|tier| tier.split_once(':')).collect();
    let last = parts.len() - 1;
    let mut below = -1;
    for (at, part) in parts.iter().enumerate() {
        let bound = part.map(|(bound, _)| bound.parse::<i64>().ok());
        let rate = part.and_then(|(_, rate)| decimal(rate, 6)).filter(|rate| *rate <= 1_000_000);
        let rises = match (part, bound.flatten()) {
            (Some((bound, _)), None) => bound.is_empty() && at == last,
            (_, Some(bound)) => std::mem::replace(&mut below, bound) < bound,
            (None, None) => false,
        };
        if rate.is_none() || !rises {
            return Err("tiers such as 60:0.12|120:0.20|:0.45, bounds rising".into());
        }
    }
    Ok(Cell::Text(text.into()))
}

/// The twelve rules, each once.
fn rules(text: &str) -> Result<Cell, String> {
    let mut given: Vec<&str> = text.split('|').collect();
    let mut all = RULES.to_vec();
    given.sort_unstable();
    all.sort_unstable();
    match given == all {
        true => Ok(Cell::Text(text.into())),
        false => Err(format!("these twelve in any order, separated by |: {}", RULES.join(", "))),
    }
}

fn plain(text: &str) -> Result<Cell, String> {
    match text.chars().any(char::is_control) {
        true => Err("a text without control characters".into()),
        false => Ok(Cell::Text(text.into())),
    }
}

fn by_bucket(text: &str, max: i64) -> Result<Cell, String> {
    let buckets = BUCKETS.len();
    let count = text.split('|').count();
    if count != buckets {
        return Err(format!("{buckets} values separated by |, one for each bucket, not {count}"));
    }
    match text.split('|').all(|one| below(one, max)) {
        true => Ok(Cell::Text(text.into())),
        false => {
            Err(format!("{buckets} decimals from 0 to {max} separated by |, at most 6 digits each"))
        }
    }
}

fn below(text: &str, max: i64) -> bool {
    decimal(text.trim(), 6).is_some_and(|value| value <= i128::from(max) * 1_000_000)
}

/// A decimal that is not negative, scaled; more digits than its column keeps must be zeros.
fn decimal(text: &str, digits: u32) -> Option<i128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let numeric = |text: &str| {
        !text.is_empty() && text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !numeric(whole) || !numeric(part) {
        return None;
    }
    let kept = part.len().min(digits as usize);
    if part[kept..].bytes().any(|byte| byte != b'0') {
        return None;
    }
    let scaled = format!("{whole}{:0<width$}", &part[..kept], width = digits as usize);
    scaled.parse().ok()
}
