//! What a movement must have before it may touch a loan, and why it may not.

use std::borrow::Cow;

use super::Account;
use super::acts::Act;
use super::changes::place_of;
use super::letters::{Letters, text};
use super::loans::{NO_TEXT, day_of};
use super::says::Says;
use crate::facts;

/// Money dated this many days after the newest day tick is not believed.
const FUTURE_DAYS_MAX: i32 = 366;

/// Currencies whose smallest coin is a whole one.
const WITHOUT_CENTS: [&str; 16] = [
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV",
    "XAF", "XOF", "XPF",
];

/// A movement as its letter brings it.
pub struct Incoming<'a> {
    pub act: Act,
    pub id: &'a str,
    pub at: i64,
    pub amount: i64,
    pub reverses: Option<&'a str>,
}

impl Account {
    /// What a movement must have before it may touch a loan, which may be known by its row.
    pub(super) fn check<'a>(
        &self,
        letters: &Letters<'a>,
        i: usize,
        act: Act,
        known: Option<u32>,
    ) -> Result<Incoming<'a>, Cow<'static, str>> {
        let incoming = sound(letters, i, Some(act))?;
        if self.day.is_some_and(|day| day_of(incoming.at) > day.saturating_add(FUTURE_DAYS_MAX)) {
            return Err("future_dated".into());
        }
        if matches!(act, Act::Waiver | Act::Settlement) {
            self.may_waive(text(letters.authority, i).unwrap_or_default(), incoming.amount)?;
        }
        let currency = known.map(|row| self.loans[row as usize].currency);
        let currency = currency.filter(|row| *row != NO_TEXT);
        let own = currency.map(|row| self.shared.key(row));
        let said = text(letters.currency, i);
        match (own, said) {
            // `XXX` is no currency: what names none is in that of the loan.
            (Some(own), Some(other)) if own != other && own != "XXX" && other != "XXX" => {
                Err("wrong_currency".into())
            }
            _ if [own, said].into_iter().flatten().any(|one| WITHOUT_CENTS.contains(&one))
                && incoming.amount % 100 != 0 =>
            {
                Err("too_many_decimals".into())
            }
            _ => Ok(incoming),
        }
    }

    /// A waiver is refused above what its authority may waive at once; the reason names the rule.
    fn may_waive(&self, authority: &str, amount: i64) -> Result<(), Cow<'static, str>> {
        let most = self.terms.may_waive(authority);
        if amount <= most {
            return Ok(());
        }
        Err(format!("beyond_authority:{authority}:{}.{:02}", most / 100, most % 100).into())
    }
}

/// A movement whose own words make sense. Of money in suspense it is not known what it does.
pub fn sound<'a>(
    letters: &Letters<'a>,
    i: usize,
    act: Option<Act>,
) -> Result<Incoming<'a>, &'static str> {
    let id = text(letters.id, i).ok_or("missing_payment_id")?;
    let at = letters.at(i).ok_or("missing_paid_at")?;
    let amount = letters.amount(i).ok_or("bad_amount")?;
    let back = act.is_some_and(|act| facts::takes_back(act.name()));
    let named = act.is_some_and(Act::has_target);
    let reverses = text(letters.reverses, i).filter(|_| act.is_none() || named);
    match amount {
        0 => Err("zero_amount"),
        ..0 if act.is_some() && !back => Err("negative_amount"),
        1.. if back => Err("reversal_amount"),
        _ if named && reverses.is_none() => Err("missing_reverses"),
        _ => Ok(Incoming { act: act.unwrap_or_default(), id, at, amount, reverses }),
    }
}

pub fn refuse(letters: &Letters<'_>, i: usize, why: &str, says: &mut Says) {
    let source = text(letters.source, i).or(text(letters.id, i)).unwrap_or_default();
    says.refused.push(place_of(letters, i), text(letters.lender_id, i), why, source);
}
