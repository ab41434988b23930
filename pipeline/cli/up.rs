//! `recoup up`: every role on one machine.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, engine};
use crate::settings::Settings;

/// Start a broker, every role and the reading room on this machine, and mind them
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  recoup up --data /var/lib/recoup")]
pub struct UpArgs {
    /// Where broker, snapshots and key are kept
    #[arg(long, default_value = ".recoup/up", value_name = "DIR")]
    pub data: PathBuf,
    /// Use the broker of the settings instead of starting one
    #[arg(long)]
    pub no_broker: bool,
}

pub fn execute(args: UpArgs, settings: &Settings) -> Result<(), Failure> {
    engine::up(args, settings)
}
