//! The stages: which files, which stream in, which stream out.
//!
//! Every stage reads exactly one stream and writes exactly one (A4).

use datafusion::arrow::datatypes::SchemaRef;
use recoup_operators::facts;

/// A SQL file: its name and its text.
#[derive(Clone, Debug)]
pub struct Source {
    pub name: String,
    pub text: String,
}

/// What the program must say of a stage before its SQL is read.
pub struct Shape {
    pub name: &'static str,
    pub reads: &'static str,
    pub writes: &'static str,
    /// The relation whose rows are the step's facts; its columns.
    pub main: &'static str,
    pub takes: fn() -> SchemaRef,
    /// Relations that every shard of the stage hears, each alone in its step.
    pub hears: &'static [&'static str],
    /// Where the stream has the main relation: of each shard, or all shards into this one stage.
    pub funnel: bool,
    /// What is heard that shard 0 says again, for those who read only this stage's stream.
    pub echoes: &'static [&'static str],
    /// Whether what is said is for every shard of the stream's readers.
    pub to_all: bool,
    /// File names, in the order in which they are read.
    pub files: &'static [&'static str],
    /// Whether the stage has memory, and so must be recovered.
    pub remembers: bool,
}

/// The stages in the order in which facts travel.
pub const STAGES: &[Shape] = &[
    Shape {
        name: "normalize",
        reads: "intake",
        writes: "reports",
        main: "canonical",
        takes: facts::canonical,
        hears: &[],
        funnel: false,
        echoes: &[],
        to_all: false,
        files: &["10_normalize.sql"],
        remembers: false,
    },
    Shape {
        name: "register",
        reads: "reports",
        writes: "loans",
        main: "facts",
        takes: facts::facts,
        hears: &[],
        funnel: false,
        echoes: &[],
        to_all: false,
        files: &["20_register.sql"],
        remembers: true,
    },
    Shape {
        name: "book",
        reads: "loans",
        writes: "book",
        main: "letters",
        takes: facts::letters,
        hears: &[
            "curve",
            "market",
            "agencies",
            "desks",
            "contracts",
            "remittances",
            "waterfalls",
            "authorities",
            "calendars",
            "pauses",
            "exclusions",
            "ticks",
            "quotas",
        ],
        funnel: false,
        echoes: &["agencies", "desks", "contracts", "remittances"],
        to_all: false,
        files: &["30_account.sql", "40_reprice.sql", "50_dispatch.sql", "60_settle.sql"],
        remembers: true,
    },
    Shape {
        name: "clear",
        reads: "book",
        writes: "loans",
        main: "demand",
        takes: recoup_operators::dispatch::facts::demand,
        hears: &["agencies", "desks", "contracts", "ticked"],
        funnel: true,
        echoes: &[],
        to_all: true,
        files: &["70_clear.sql"],
        remembers: true,
    },
    Shape {
        name: "close",
        reads: "book",
        writes: "statements",
        main: "lines",
        takes: facts::lines,
        hears: &["remittances", "ticked"],
        funnel: true,
        echoes: &[],
        to_all: false,
        files: &["80_close.sql"],
        remembers: true,
    },
];

/// The columns of a relation.
pub type Columns = fn() -> SchemaRef;

/// Reference tables that SQL may join, with their columns.
pub const REFERENCES: &[(&str, Columns)] = &[
    ("curve", facts::curve),
    ("market", facts::market),
    ("agencies", facts::agencies),
    ("desks", facts::desks),
    ("contracts", facts::contracts),
    ("waterfalls", facts::waterfalls),
    ("authorities", facts::authorities),
    ("calendars", facts::calendars),
    ("pauses", facts::pauses),
    ("exclusions", facts::exclusions),
];

/// The stage of a name.
pub fn shape(name: &str) -> Option<&'static Shape> {
    STAGES.iter().find(|shape| shape.name == name)
}

/// Columns that a relation must have because somebody downstream takes it.
pub fn promised(stream: &str, relation: &str) -> Option<SchemaRef> {
    match (stream, relation) {
        ("reports", "facts") => Some(facts::facts()),
        ("loans", "letters") => Some(facts::letters()),
        ("loans", "quotas") => Some(recoup_operators::dispatch::facts::quotas()),
        ("book", "demand") => Some(recoup_operators::dispatch::facts::demand()),
        ("book", "lines") => Some(facts::lines()),
        ("book", "ticked") => Some(facts::ticked()),
        ("statements", "statements") => Some(facts::statements()),
        ("statements", "days") => Some(facts::days()),
        ("statements", "remitted") => Some(facts::remitted()),
        (_, "ledger") => Some(facts::ledger()),
        (_, "refused") => Some(facts::refused()),
        _ => None,
    }
}

/// The full form of the price, which a setting puts in the place of the plain one.
pub fn discounted() -> Source {
    let text = include_str!("40_reprice.discounted.sql");
    Source { name: "40_reprice.sql".into(), text: text.into() }
}

/// The program that ships with recoup.
pub fn shipped() -> Vec<Source> {
    let files = [
        ("10_normalize.sql", include_str!("10_normalize.sql")),
        ("20_register.sql", include_str!("20_register.sql")),
        ("30_account.sql", include_str!("30_account.sql")),
        ("40_reprice.sql", include_str!("40_reprice.sql")),
        ("50_dispatch.sql", include_str!("50_dispatch.sql")),
        ("60_settle.sql", include_str!("60_settle.sql")),
        ("70_clear.sql", include_str!("70_clear.sql")),
        ("80_close.sql", include_str!("80_close.sql")),
        ("90_answers.sql", include_str!("90_answers.sql")),
    ];
    files.map(|(name, text)| Source { name: name.into(), text: text.into() }).into()
}
