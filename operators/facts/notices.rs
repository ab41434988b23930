//! What a lender decides about a loan in collection, beside what it reports of it.

/// Kinds of a notice: an exit from collection, or the way back. A record with an `event_id`, an
/// `event_time` and one of these as its `kind` is a notice, not a report: it has no amounts.
pub const NOTICES: [&str; 6] =
    ["settled", "refinanced", "withdrawn", "sold", "written_off", "reopened"];

/// Whether a kind of fact is a notice.
pub fn is_notice(kind: &str) -> bool {
    NOTICES.contains(&kind)
}
