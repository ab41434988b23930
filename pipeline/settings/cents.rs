//! Money in the settings file: a text with two decimals, an integer of cents inside.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

pub fn serialize<S: Serializer>(cents: &i64, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&show(*cents))
}

pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<i64, D::Error> {
    let text = String::deserialize(input)?;
    parse(&text).ok_or_else(|| {
        D::Error::custom(format!(
            "\"{text}\" is not an amount with two decimals, such as \"10.00\""
        ))
    })
}

fn show(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.unsigned_abs() / 100, cents.unsigned_abs() % 100)
}

fn parse(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, part) = digits.split_once('.')?;
    let numeric = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 13 || part.len() != 2 || !numeric(whole) || !numeric(part)
    {
        return None;
    }
    let cents: i64 = whole.parse::<i64>().ok()? * 100 + part.parse::<i64>().ok()?;
    Some(sign * cents)
}
