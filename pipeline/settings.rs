//! Settings: numbers, names and places, never components (A13).
//!
//! One commented file, `deploy/settings.toml`, is the list of every key and its default; a test
//! holds it equal to [`Settings::default`]. A user's file overrides it, the environment overrides
//! the file, `--set` overrides both. What is not on the list is refused, with the nearest name.

mod cents;
mod check;
mod defaults;
mod keys;
mod layers;
#[cfg(test)]
mod tests;

use std::path::Path;

use recoup_operators::rules::{Case, LoanKey, Rules};
use serde::{Deserialize, Serialize};

pub use keys::{KeyError, load_keys, make_key_file};

/// The commented file with every default: what `recoup init --print-settings` shows.
pub const SHIPPED: &str = include_str!("../deploy/settings.toml");

/// The file read where neither `--settings` nor `RECOUP_SETTINGS` names one, if it is there.
pub const FILE: &str = "recoup.toml";

/// Everything a user may set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub broker: Broker,
    pub shards: Shards,
    pub loan: Loan,
    pub borrower: Borrower,
    pub dispatch: Dispatch,
    pub settle: Settle,
    pub step: Step,
    pub keys: KeyFile,
    pub snapshots: Snapshots,
    pub retention: Retention,
    pub limits: Limits,
    pub program: Program,
    pub serve: Serve,
    pub metrics: MetricsRoom,
    pub log: LogLines,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Broker {
    pub url: String,
    pub credentials: String,
    pub user: String,
    pub password_file: String,
    pub tls: bool,
    pub replicas: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shards {
    pub count: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loan {
    pub key: LoanIdentity,
}

/// [`LoanKey`] as the file writes it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoanIdentity {
    Loan,
    LenderLoan,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Borrower {
    pub person_joins: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dispatch {
    pub case: CaseUnit,
    /// In cents.
    #[serde(with = "cents")]
    pub value_min: i64,
    /// In cents.
    #[serde(with = "cents")]
    pub switch_margin: i64,
    pub horizon_minutes: u32,
}

/// [`Case`] as the file writes it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseUnit {
    Borrower,
    Loan,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settle {
    pub close_after_days: i32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub messages_max: usize,
    pub bytes_max: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    pub file: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshots {
    pub url: String,
    pub every_seconds: u64,
}

/// For how many days `recoup trim` spares what it could remove.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    pub intake_days: u32,
    pub between_days: u32,
    /// Of the record; zero: for ever.
    pub book_days: u32,
    pub statements_days: u32,
}

/// What load may grow to; zero: as it likes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub memory_bytes: u64,
    pub ahead_messages: u64,
    pub lines_per_second: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    pub pricing: Pricing,
    pub folder: String,
    pub dialects: String,
}

/// Which of the shipped pricing files applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pricing {
    #[default]
    Plain,
    Discounted,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Serve {
    pub listen: String,
    pub users_file: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsRoom {
    pub listen: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogLines {
    pub format: LogFormat,
    pub level: Level,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }
}

/// A mistake in the settings: where it stands, and what was expected there.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct SettingsError {
    pub place: String,
    pub what: String,
}

/// Where settings come from, least important first.
pub struct Sources<'a> {
    /// Must exist, unless `None`.
    pub file: Option<&'a Path>,
    /// The whole environment; only `RECOUP_SECTION_KEY` is looked at.
    pub environment: &'a [(String, String)],
    /// Each `section.key=value`.
    pub set: &'a [String],
}

impl Settings {
    /// The settings that apply, every mistake found on the way, or both lists' better half:
    /// settings only where there is no mistake.
    pub fn read(sources: &Sources<'_>) -> Result<Settings, Vec<SettingsError>> {
        layers::read(sources)
    }

    /// What operators decide by. Without keys: `batch` on a user's own files has none.
    pub fn rules(&self) -> Rules {
        Rules {
            shards: self.shards.count,
            loan_key: match self.loan.key {
                LoanIdentity::Loan => LoanKey::Loan,
                LoanIdentity::LenderLoan => LoanKey::LenderLoan,
            },
            person_joins: self.borrower.person_joins,
            case: match self.dispatch.case {
                CaseUnit::Borrower => Case::Borrower,
                CaseUnit::Loan => Case::Loan,
            },
            value_min: self.dispatch.value_min,
            switch_margin: self.dispatch.switch_margin,
            horizon_minutes: self.dispatch.horizon_minutes,
            close_after_days: self.settle.close_after_days,
            keys: None,
        }
    }

    /// The rules of a deployment: with the secret of tokens and sealed bytes.
    pub fn rules_with_keys(&self) -> Result<Rules, KeyError> {
        Ok(Rules { keys: Some(load_keys(&self.keys.file)?), ..self.rules() })
    }
}
