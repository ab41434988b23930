//! `recoup explain`: what flows where, and how.

use clap::Args;

use super::{Failure, engine};
use crate::settings::Settings;

/// Print the flow from stream to stream and the plan of each statement
#[derive(Args)]
#[command(after_help = "Example:\n  recoup explain book")]
pub struct ExplainArgs {
    /// Only this stage: normalize, register, book, clear or close
    pub stage: Option<String>,
    /// Only the flow, without plans
    #[arg(long)]
    pub flow: bool,
}

pub fn execute(args: &ExplainArgs, settings: &Settings) -> Result<(), Failure> {
    engine::explain(args, settings)
}
