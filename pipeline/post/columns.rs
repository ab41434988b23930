//! What each reference table holds, column by column.

use datafusion::arrow::datatypes::SchemaRef;
use recoup_operators::facts;
use recoup_operators::settle::waterfall::{CODES as WATERFALLS, FILLS, FUTURES, SWEEPS};

/// What a value must be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Text,
    /// Texts separated by `|`; empty means all.
    Texts,
    OneOf(&'static [&'static str]),
    Bucket,
    /// A decimal from zero, with at most so many digits behind the point, up to a maximum.
    Decimal {
        digits: u32,
        max: i64,
    },
    /// Such decimals separated by `|`: one for each bucket.
    ByBucket {
        max: i64,
    },
    /// Such decimals separated by `|`: one for each month.
    ByMonth,
    /// Bounds and rates, `60:0.12|:0.45`, bounds rising, the last tier without one.
    Tiers,
    /// The twelve rules of the advanced allocation in any order, separated by `|`.
    Rules,
    Money,
    Count,
    Date,
    /// Days separated by `|`.
    Dates,
}

pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
    /// Whether every row must have a value.
    pub required: bool,
}

pub struct Table {
    pub name: &'static str,
    pub schema: fn() -> SchemaRef,
    pub columns: &'static [Column],
    /// The columns that name a row, once.
    pub key: &'static [&'static str],
    /// Pairs of columns of which the first must not lie behind the second.
    pub ordered: &'static [(&'static str, &'static str)],
    /// Columns of which each row has at least one, where there are any.
    pub any_of: &'static [&'static str],
}

const fn must(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, required: true }
}

const fn may(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, required: false }
}

/// Recovery, commission and discount are fractions of one.
const FRACTION: Kind = Kind::Decimal { digits: 4, max: 1 };
/// An index is about one; a hundred is a mistake in any market.
const INDEX: Kind = Kind::Decimal { digits: 4, max: 100 };
const COMMISSIONS: Kind = Kind::ByBucket { max: 1 };
const RATE: Kind = Kind::Decimal { digits: 6, max: 1 };
const CHANNEL: Kind = Kind::OneOf(&["phone", "field", "letter", "legal", "voice", "sms"]);
const WATERFALL: Kind = Kind::OneOf(&WATERFALLS);
/// How a desk performs against the curve, which is about one.
const PERFORMANCES: Kind = Kind::ByBucket { max: 100 };

pub const TABLES: &[Table] = &[
    Table {
        name: "curve",
        schema: facts::curve,
        columns: &[
            must("product", Kind::Text),
            must("bucket", Kind::Bucket),
            must("recovery_rate", FRACTION),
            must("handling_cost", Kind::Money),
            may("months", Kind::ByMonth),
            may("commission_rate", Kind::Decimal { digits: 6, max: 1 }),
            may("servicing_cost", Kind::Money),
            may("discount_rate", Kind::Decimal { digits: 6, max: 1 }),
        ],
        key: &["product", "bucket"],
        ordered: &[],
        any_of: &[],
    },
    Table {
        name: "market",
        schema: facts::market,
        columns: &[must("province", Kind::Text), must("product", Kind::Text), must("idx", INDEX)],
        key: &["province", "product"],
        ordered: &[],
        any_of: &[],
    },
    Table {
        name: "agencies",
        schema: facts::agencies,
        columns: &[
            must("agency_id", Kind::Text),
            may("provinces", Kind::Texts),
            may("products", Kind::Texts),
            may("bucket_min", Kind::Bucket),
            may("bucket_max", Kind::Bucket),
            must("unit_cost", Kind::Money),
            may("capacity", Kind::Count),
            must("commission_by_bucket", COMMISSIONS),
            must("perf_by_bucket", PERFORMANCES),
        ],
        key: &["agency_id"],
        ordered: &[("bucket_min", "bucket_max")],
        any_of: &[],
    },
    Table {
        name: "desks",
        schema: facts::desks,
        columns: &[
            must("desk_id", Kind::Text),
            must("agency_id", Kind::Text),
            may("channel", CHANNEL),
            may("tier", Kind::Count),
            may("agency_group", Kind::Text),
            may("provinces", Kind::Texts),
            may("products", Kind::Texts),
            may("bucket_min", Kind::Bucket),
            may("bucket_max", Kind::Bucket),
            must("unit_cost", Kind::Money),
            may("capacity", Kind::Count),
            may("capacity_per_round", Kind::Count),
            may("amount_max", Kind::Money),
            may("days_max", Kind::Count),
            must("commission_by_bucket", COMMISSIONS),
            must("perf_by_bucket", PERFORMANCES),
        ],
        key: &["desk_id"],
        ordered: &[("bucket_min", "bucket_max")],
        any_of: &[],
    },
    Table {
        name: "contracts",
        schema: facts::contracts,
        columns: &[
            must("contract_id", Kind::Text),
            must("lender_id", Kind::Text),
            must("agency_id", Kind::Text),
            may("valid_from", Kind::Date),
            may("valid_to", Kind::Date),
            may("discount", Kind::Decimal { digits: 6, max: 1 }),
            may("quota", Kind::Count),
            may("attribution", Kind::OneOf(&["log", "paid_at"])),
            may("rounding", Kind::OneOf(&["half_away", "half_even"])),
            may("remittance", Kind::OneOf(&["net", "gross"])),
            may("tail_days", Kind::Count),
            may("tiers", Kind::Tiers),
            may("tiers_by", Kind::OneOf(&["days_past_due", "balance"])),
            may("tiers_at", Kind::OneOf(&["payment", "placement"])),
            may("commission_min", Kind::Money),
            may("commission_max", Kind::Money),
            may("litigation_rate", RATE),
            may("vat_rate", RATE),
            may("rounding_of", Kind::OneOf(&["line", "sum"])),
        ],
        key: &["contract_id"],
        ordered: &[("valid_from", "valid_to"), ("commission_min", "commission_max")],
        any_of: &[],
    },
    Table {
        name: "waterfalls",
        schema: facts::waterfalls,
        columns: &[
            may("lender_id", Kind::Text),
            may("product", Kind::Text),
            may("standard", WATERFALL),
            may("settled", WATERFALL),
            may("written_off", WATERFALL),
            may("movement", Kind::OneOf(&FILLS)),
            may("sweep", Kind::OneOf(&SWEEPS)),
            may("rules", Kind::Rules),
            may("future", Kind::OneOf(&FUTURES)),
        ],
        key: &["lender_id", "product", "movement"],
        ordered: &[],
        any_of: &[],
    },
    Table {
        name: "authorities",
        schema: facts::authorities,
        columns: &[must("authority_id", Kind::Text), must("waiver_max", Kind::Money)],
        key: &["authority_id"],
        ordered: &[],
        any_of: &[],
    },
    Table {
        name: "calendars",
        schema: facts::calendars,
        columns: &[
            may("lender_id", Kind::Text),
            may("product", Kind::Text),
            may("grace_days", Kind::Count),
            may("weekends_off", Kind::OneOf(&["yes", "no"])),
            may("holidays", Kind::Dates),
        ],
        key: &["lender_id", "product"],
        ordered: &[],
        any_of: &[],
    },
    Table {
        name: "pauses",
        schema: facts::pauses,
        columns: &[
            may("lender_id", Kind::Text),
            may("product", Kind::Text),
            may("loan_id", Kind::Text),
            must("paused_on", Kind::Date),
            may("resumed_on", Kind::Date),
        ],
        key: &["lender_id", "product", "loan_id", "paused_on"],
        ordered: &[("paused_on", "resumed_on")],
        any_of: &[],
    },
    Table {
        name: "exclusions",
        schema: facts::exclusions,
        columns: &[
            must("exclusion_id", Kind::Text),
            must("lender_id", Kind::Text),
            may("borrower_id", Kind::Text),
            may("loan_id", Kind::Text),
            may("agency_id", Kind::Text),
            may("desk_id", Kind::Text),
            may("channel", CHANNEL),
            must("reason", Kind::OneOf(&["complaint", "conflict", "order", "other"])),
            may("valid_from", Kind::Date),
            may("valid_to", Kind::Date),
        ],
        key: &["exclusion_id"],
        ordered: &[("valid_from", "valid_to")],
        any_of: &["agency_id", "desk_id", "channel"],
    },
    Table {
        name: "remittances",
        schema: facts::remittances,
        columns: &[
            must("remittance_id", Kind::Text),
            must("lender_id", Kind::Text),
            must("agency_id", Kind::Text),
            must("currency", Kind::Text),
            must("received_on", Kind::Date),
            must("amount", Kind::Money),
            may("withheld", Kind::Money),
            may("paid", Kind::Money),
        ],
        key: &["remittance_id"],
        ordered: &[],
        any_of: &[],
    },
];
