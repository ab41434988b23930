//! `recoup serve`: the reading room.

use clap::Args;

use super::{Failure, block_on, engine};
use crate::settings::Settings;

/// Answer SQL over the Postgres wire, read-only, following the streams
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  recoup serve --set serve.listen=127.0.0.1:5433")]
pub struct ServeArgs {
    /// Stop when standard input ends: whoever started this is gone
    #[arg(long, hide = true)]
    pub minded: bool,
}

pub fn execute(args: ServeArgs, settings: &Settings) -> Result<(), Failure> {
    block_on(engine::serve(args, settings))
}
