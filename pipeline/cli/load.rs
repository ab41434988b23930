//! `recoup load`: files into the intake.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, block_on, engine};
use crate::load::Format;
use crate::settings::Settings;

/// Publish files to the intake in large messages; started again, it goes on where it stopped
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  recoup load june.jsonl --lender L007")]
pub struct LoadArgs {
    /// JSON lines, CSV, Parquet or Arrow files, by their ending
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Whose files these are
    #[arg(long)]
    pub lender: String,
    /// Which of the lender's dialects reads them: <lender>.<NAME>.sql, else <lender>.sql, else the
    /// canonical one
    #[arg(long, value_name = "NAME")]
    pub dialect: Option<String>,
    /// What the files hold, where their endings do not tell
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Print one line of JSON per file instead of a progress bar
    #[arg(long)]
    pub json: bool,
}

pub fn execute(args: LoadArgs, settings: &Settings) -> Result<(), Failure> {
    block_on(engine::load(args, settings))
}
