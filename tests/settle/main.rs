//! Account, settle and close together: to the cent, whatever the order of events.
//!
//! `flow` runs the three verbs over letters as the stage does, with placements given. `naive` is
//! an independent model that knows nothing of arrival. `SEED=8841 cargo test -p recoup-operators
//! --test settle` repeats one run; `HISTORIES=100000` makes it longer.

// A test says what it expects, and stops where that fails.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::disallowed_methods)]

mod flow;
mod lendingclub;
mod naive;
mod order;
mod random;
