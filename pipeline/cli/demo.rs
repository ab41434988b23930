//! `recoup demo`: a broker, real data, and the whole road.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, engine};
use crate::settings::Settings;

/// Start a broker of its own and stream 30,000 real accounts through six months
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  recoup demo --once")]
pub struct DemoArgs {
    /// Stop when everything is settled, and print totals
    #[arg(long)]
    pub once: bool,
    /// Where broker, snapshots and key are kept; started again, the demo continues there
    #[arg(long, default_value = ".recoup/demo", value_name = "DIR")]
    pub data: PathBuf,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

pub fn execute(args: DemoArgs, settings: &Settings) -> Result<(), Failure> {
    engine::demo(args, settings)
}
