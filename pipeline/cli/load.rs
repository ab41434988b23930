//! `recoup load`: files into the intake.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, block_on, engine};
use crate::settings::Settings;

/// Publish files to the intake in large messages; started again, it goes on where it stopped
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  recoup load june.jsonl.gz --lender L007")]
pub struct LoadArgs {
    /// JSON lines, CSV, Parquet or Arrow files, by their ending
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Whose files these are
    #[arg(long)]
    pub lender: String,
    /// The dialect that reads them: a file of that name, else the canonical one
    #[arg(long)]
    pub dialect: Option<String>,
    /// Print one line of JSON per file instead of a progress bar
    #[arg(long)]
    pub json: bool,
}

pub fn execute(args: LoadArgs, settings: &Settings) -> Result<(), Failure> {
    block_on(engine::load(args, settings))
}
