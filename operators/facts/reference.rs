//! Reference tables: what everybody hears of prices, desks and contracts.

use arrow::datatypes::DataType::{Date32, Int32, Int64, Utf8};
use arrow::datatypes::{DataType, SchemaRef};

use super::{MONEY, RATE, schema};

/// `loans.all.curve`. The last four are for the discounted price: recovery month by month, what of
/// it goes to who collects, what a month of work costs, and the discount rate of a month.
pub fn curve() -> SchemaRef {
    schema(vec![
        ("version", Int64),
        ("product", Utf8),
        ("bucket", Utf8),
        ("recovery_rate", DataType::Decimal128(9, 4)),
        ("handling_cost", MONEY),
        ("months", Utf8),
        ("commission_rate", RATE),
        ("servicing_cost", MONEY),
        ("discount_rate", RATE),
    ])
}

/// `loans.all.market`.
pub fn market() -> SchemaRef {
    schema(vec![
        ("version", Int64),
        ("province", Utf8),
        ("product", Utf8),
        ("idx", DataType::Decimal128(9, 4)),
    ])
}

/// `loans.all.agencies`. Lists are `|`-separated; empty means all. `capacity` null: no limit.
pub fn agencies() -> SchemaRef {
    schema(vec![
        ("version", Int64),
        ("agency_id", Utf8),
        ("provinces", Utf8),
        ("products", Utf8),
        ("bucket_min", Utf8),
        ("bucket_max", Utf8),
        ("unit_cost", MONEY),
        ("capacity", Int64),
        ("commission_by_bucket", Utf8),
        ("perf_by_bucket", Utf8),
    ])
}

/// `loans.all.desks`: the columns of an agency, and what makes a desk of its own.
/// An agency without desks is one desk of the same id.
pub fn desks() -> SchemaRef {
    schema(vec![
        ("version", Int64),
        ("desk_id", Utf8),
        ("agency_id", Utf8),
        // phone, field, letter, legal, voice, sms
        ("channel", Utf8),
        ("tier", Int32),
        ("agency_group", Utf8),
        ("provinces", Utf8),
        ("products", Utf8),
        ("bucket_min", Utf8),
        ("bucket_max", Utf8),
        ("unit_cost", MONEY),
        ("capacity", Int64),
        ("capacity_per_round", Int64),
        ("amount_max", MONEY),
        ("days_max", Int32),
        ("commission_by_bucket", Utf8),
        ("perf_by_bucket", Utf8),
    ])
}

/// `loans.all.exclusions`: who must not get which case. A rule names a loan, a borrower of a
/// lender, or a lender; and a desk, or an agency with all of its desks, or a channel with all
/// desks that work by it, of that agency or of all.
pub fn exclusions() -> SchemaRef {
    schema(vec![
        ("version", Int64),
        ("exclusion_id", Utf8),
        ("lender_id", Utf8),
        ("borrower_id", Utf8),
        ("loan_id", Utf8),
        ("agency_id", Utf8),
        ("desk_id", Utf8),
        ("channel", Utf8),
        // complaint, conflict, order or other
        ("reason", Utf8),
        ("valid_from", Date32),
        ("valid_to", Date32),
    ])
}

/// `loans.all.contracts`. `discount` is a fraction off the agency's commission for this lender;
/// `quota` the cases of this lender that the agency may hold at once.
pub fn contracts() -> SchemaRef {
    schema(vec![
        ("version", Int64),
        ("contract_id", Utf8),
        ("lender_id", Utf8),
        ("agency_id", Utf8),
        ("valid_from", Date32),
        ("valid_to", Date32),
        ("discount", RATE),
        ("quota", Int64),
        // `log` (default) or `paid_at`
        ("attribution", Utf8),
        // `half_away` (default) or `half_even`
        ("rounding", Utf8),
        // `net` (default) or `gross`
        ("remittance", Utf8),
        ("tail_days", Int32),
        // commission by days past due or by balance instead of the placement's rate:
        // `60:0.12|120:0.20|:0.45`, bounds inclusive, the last without one
        ("tiers", Utf8),
        // `days_past_due` (default) or `balance`
        ("tiers_by", Utf8),
        // `payment` (default) or `placement`
        ("tiers_at", Utf8),
        // least and most commission of a movement
        ("commission_min", MONEY),
        ("commission_max", MONEY),
        // added to the rate where the desk is a legal one
        ("litigation_rate", RATE),
        ("vat_rate", RATE),
        // `line` (default): each movement is rounded; `sum`: those of a deal and day together
        ("rounding_of", Utf8),
    ])
}

/// `loans.all.waterfalls`: the order in which money fills what is owed, by Fineract's codes.
/// An empty lender or product means all; the row that names more wins.
pub fn waterfalls() -> SchemaRef {
    schema(vec![
        ("version", Int64),
        ("lender_id", Utf8),
        ("product", Utf8),
        ("standard", Utf8),
        // once a settlement was waived
        ("settled", Utf8),
        // once charged off
        ("written_off", Utf8),
        // of the advanced allocation, for loans with a schedule. Of a row that names a movement
        // (payment, payoff, waiver, charge_off) only rules and future count, for that movement.
        ("movement", Utf8),
        // `horizontal` (default) or `vertical`
        ("sweep", Utf8),
        // the twelve rules in order, `past_due_penalty|past_due_fee|…`
        ("rules", Utf8),
        // where early money goes: `next` (default), `last` or `spread`
        ("future", Utf8),
    ])
}

/// `loans.all.authorities`: who may waive how much at once.
pub fn authorities() -> SchemaRef {
    schema(vec![("version", Int64), ("authority_id", Utf8), ("waiver_max", MONEY)])
}

/// `loans.all.calendars`: how days past due are counted. An empty lender or product means all.
/// `holidays` are days, `|`-separated.
pub fn calendars() -> SchemaRef {
    schema(vec![
        ("version", Int64),
        ("lender_id", Utf8),
        ("product", Utf8),
        ("grace_days", Int32),
        // yes: what is due on a weekend is due on the business day after it
        ("weekends_off", Utf8),
        ("holidays", Utf8),
    ])
}

/// `loans.all.pauses`: while a loan's delinquency stands still. An empty loan means all of the
/// lender and product, as for a public emergency; `resumed_on` empty: until further notice.
pub fn pauses() -> SchemaRef {
    schema(vec![
        ("version", Int64),
        ("lender_id", Utf8),
        ("product", Utf8),
        ("loan_id", Utf8),
        ("paused_on", Date32),
        ("resumed_on", Date32),
    ])
}
