//! `recoup batch`: the whole program over files, without a broker.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Failure, engine};
use crate::settings::Settings;

/// Run the program over files and write every relation; needs no broker
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  recoup batch --intake june.jsonl --reference reference \
                        --out june --until 2026-06-30")]
pub struct BatchArgs {
    /// Intake files, read in the order given
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub intake: Vec<PathBuf>,
    /// A folder with curve.csv, market.csv, agencies.csv, and any other table that `recoup post`
    /// takes
    #[arg(long, value_name = "DIR")]
    pub reference: PathBuf,
    /// The folder to write to
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    pub format: Format,
    /// Let every day pass up to this one; or a date for each intake file, to pass behind it
    #[arg(long, value_name = "DATE", num_args = 1..)]
    pub until: Vec<Day>,
    /// Whose files these are, where their records do not say
    #[arg(long)]
    pub lender: Option<String>,
    /// The dialect that reads them: the NAME of <lender>.<NAME>.sql, or a file; else the lender's
    /// own, else the canonical one
    #[arg(long, value_name = "NAME|FILE")]
    pub dialect: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Csv,
    Parquet,
}

/// A date, as days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub i32);

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use datafusion::arrow::temporal_conversions::date32_to_datetime;
        match date32_to_datetime(self.0) {
            Some(instant) => write!(f, "{}", instant.date()),
            None => write!(f, "{}", self.0),
        }
    }
}

impl std::str::FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        use datafusion::arrow::array::types::Date32Type;
        use datafusion::arrow::compute::kernels::cast_utils::Parser;
        Some(text)
            .filter(|text| text.len() == 10)
            .and_then(Date32Type::parse)
            .map(Day)
            .ok_or_else(|| "expected a date such as 2026-06-30".into())
    }
}

pub fn execute(args: BatchArgs, settings: &Settings) -> Result<(), Failure> {
    let (dates, files) = (args.until.len(), args.intake.len());
    if dates > 1 && dates != files {
        let what = format!("--until has {dates} dates for {files} intake files: one, or one each");
        return Err(Failure::Settings(what));
    }
    engine::batch(args, settings)
}
