//! The words in which shards and clear speak of waiting cases: bins of prices, kinds of cases.
//!
//! Sketches steer the solver; no decision rests on them.

use super::cases::PART;

pub use super::bins::{bin, floor};

const LENDER_END: char = '\u{1d}';
const LOANS: char = '\u{1e}';

/// Writes the kind of a case.
pub fn write(lender: &str, loans: &[&str], left: &[&str], barred: &[&str]) -> String {
    let (loans, left) = (loans.join(&LOANS.to_string()), left.join("|"));
    format!("{lender}{LENDER_END}{loans}{LENDER_END}{left}{LENDER_END}{}", barred.join("|"))
}

/// A kind of case as read: lender, loans as (bucket, province, product), desks left, desks barred.
pub struct CaseKind<'a> {
    pub lender: &'a str,
    pub loans: Vec<(usize, &'a str, &'a str)>,
    pub left: Vec<&'a str>,
    pub barred: Vec<&'a str>,
}

/// Reads what [`write`] wrote; anything else reads as a case nobody may take.
pub fn read(text: &str) -> CaseKind<'_> {
    let mut parts = text.splitn(4, LENDER_END);
    let lender = parts.next().unwrap_or("");
    let loans = parts.next().unwrap_or("").split(LOANS).filter_map(|loan| {
        let mut parts = loan.splitn(3, PART);
        let bucket = parts.next()?.parse().ok()?;
        Some((bucket, parts.next()?, parts.next()?))
    });
    let left = super::columns::list(parts.next().unwrap_or(""));
    let barred = super::columns::list(parts.next().unwrap_or(""));
    CaseKind { lender, loans: loans.collect(), left: left.collect(), barred: barred.collect() }
}
