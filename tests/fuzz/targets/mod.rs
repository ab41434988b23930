//! What is fuzzed: a function for each parser and decoder of ours. It takes any bytes, and panics
//! where something that must hold does not.
//!
//! The fuzzer (`tests/fuzz/main.rs`) calls one of them with bytes that it learns to choose; an
//! ordinary test calls all of them with what was kept of that (`tests/fuzz/corpora`).

mod intake;
mod ours;
mod texts;
mod words;

pub type Target = fn(&[u8]);

/// By name; each has a folder of that name among the corpora.
pub const ALL: &[(&str, Target)] = &[
    ("json", intake::json),
    ("csv", intake::csv),
    ("arrow", intake::arrow),
    ("record", intake::record),
    ("sealed", texts::sealed),
    ("terms", texts::terms),
    ("rows", ours::rows),
    ("cursor", ours::cursor),
    ("snapshot", ours::snapshot),
    ("memory", ours::memory),
    ("archive", ours::archive),
    ("room", ours::room),
    ("settings", words::settings),
    ("reference", words::reference),
    ("users", words::users),
    ("scram", words::scram),
    ("dialect", words::dialect),
    ("program", words::program),
    ("files", words::files),
];
