//! What must hold of the books, looked at in every step before it is committed.
//!
//! The checks are operators' own (`settle::invariants`); here they are given what account and
//! settle said in the step. A step that breaks one is committed all the same, for the log must not
//! stop: it is counted, by the name of the invariant, and somebody is called.

use recoup_operators::settle::invariants::{Broken, broken};
use recoup_sql::Stage;

/// How often the step that a stage has just taken breaks each invariant; only `book` has books.
pub fn of(stage: &Stage) -> Broken {
    let said = |verb, relation| stage.said(verb, relation);
    match (said("account", "stamped"), said("account", "bookings"), said("settle", "ledger")) {
        (Some(stamped), Some(bookings), Some(ledger)) => broken(&stamped, &bookings, &ledger),
        _ => Broken::default(),
    }
}
