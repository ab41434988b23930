//! `recoup check`: whether settings, program and dialects compile.

use clap::Args;

use super::{Failure, engine};
use crate::settings::Settings;

/// Compile settings, SQL program and dialects; needs no broker. A mistake exits with 3
#[derive(Args)]
#[command(after_help = "Example:\n  recoup check --set program.folder=my-sql")]
pub struct CheckArgs {
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

pub fn execute(args: &CheckArgs, settings: &Settings) -> Result<(), Failure> {
    engine::check(args, settings)
}
