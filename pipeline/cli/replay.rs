//! `recoup replay`: one step again, in words.

use clap::Args;
use recoup_sql::stages::STAGES;

use super::{Failure, block_on, engine, one_of};
use crate::settings::Settings;

/// Show what one step saw, knew and said
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  recoup replay book --shard 3 --seq 4711 --loan LN0000000042")]
pub struct ReplayArgs {
    /// normalize, register, book, clear or close
    pub stage: String,
    #[arg(long)]
    pub shard: u32,
    /// The input sequence that the step read
    #[arg(long)]
    pub seq: u64,
    /// Only what became of this loan, in words
    #[arg(long, value_name = "LOAN_ID", conflicts_with = "json")]
    pub loan: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

pub fn execute(args: &ReplayArgs, settings: &Settings) -> Result<(), Failure> {
    let names: Vec<_> = STAGES.iter().map(|shape| shape.name).collect();
    one_of("stage", &args.stage, &names)?;
    block_on(engine::replay(args, settings))
}
