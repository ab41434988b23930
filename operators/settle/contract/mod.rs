//! What a contract between a lender and an agency says of money, beyond one rate: commission by
//! tiers, the postings of every event, and the agency's own report against ours.
//!
//! Pure functions, without memory. The stream settles under one rate per placement and takes its
//! rounding from here; the rest is for statements and for whoever checks them.

pub mod commission;
pub mod journal;

#[cfg(test)]
mod tests;
