//! Small formats of ours: sealed bytes, and the texts in which reference data and shards speak.

use recoup_operators::dispatch::{columns, sketch};
use recoup_operators::reprice;
use recoup_operators::rules::Keys;
use recoup_operators::seal::{Place, seal, unseal};
use recoup_operators::settle::contract::commission::{Basis, tiers};
use recoup_operators::settle::waterfall::by_code;

/// Nothing opens but what was sealed at this place, and that always does.
pub fn sealed(bytes: &[u8]) {
    let keys = Keys { token: [1; 32], seal: [2; 64], id: 3 };
    let place = Place { stream: "intake", seq: 7, row: 2 };
    assert!(unseal(&keys, place, bytes).is_err(), "nobody sealed these bytes");
    let closed = seal(&keys, place, bytes);
    assert_eq!(unseal(&keys, place, &closed).as_deref(), Ok(bytes));
    let at = bytes.first().map_or(0, |byte| usize::from(*byte)) % closed.len();
    let mut flipped = closed;
    flipped[at] ^= 1;
    assert!(unseal(&keys, place, &flipped).is_err(), "byte {at} was flipped");
}

/// Tiers, waterfalls, cash by month, lists, rates and kinds of cases.
pub fn terms(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for basis in [Basis::DaysPastDue, Basis::Balance] {
        let tiers = tiers(&text, basis);
        assert!(tiers.iter().all(|tier| tier.rate >= 0), "a rate below zero pays the lender");
    }
    let _ = by_code(&text);
    let _ = reprice::months(&text);
    let _ = columns::millionths(&text);
    let list: Vec<&str> = columns::list(&text).collect();
    let kind = sketch::read(&text);
    let written = sketch::write(kind.lender, &[], &list, &kind.left);
    assert_eq!(sketch::read(&written).lender, kind.lender);
}
