//! `recoup run`: one process of workers.

use clap::{Args, ValueEnum};

use super::{Failure, block_on, engine};
use crate::settings::Settings;

/// Run stages as one process until it is told to stop
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  recoup run --roles book,close --worker 2 --of 4")]
pub struct RunArgs {
    /// What this process does
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Role::ALL)]
    pub roles: Vec<Role>,
    /// The name of this process in cursors; else `worker-` and the process id
    #[arg(long)]
    pub name: Option<String>,
    /// Which of the workers this is, counted from 1: it prefers every so manieth shard
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub worker: u32,
    /// How many workers there are
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub of: u32,
    /// Take over the memory of another program, handed over when that was stopped
    #[arg(long)]
    pub migrate: bool,
    /// Stop when standard input ends: whoever started this is gone
    #[arg(long, hide = true)]
    pub minded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    Normalize,
    Register,
    Book,
    Clear,
    Close,
    Ticker,
}

impl Role {
    pub const ALL: [Role; 6] =
        [Role::Normalize, Role::Register, Role::Book, Role::Clear, Role::Close, Role::Ticker];
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.to_possible_value();
        f.write_str(name.as_ref().map_or("", |name| name.get_name()))
    }
}

pub fn execute(args: RunArgs, settings: &Settings) -> Result<(), Failure> {
    if args.worker > args.of {
        let (worker, of) = (args.worker, args.of);
        return Err(Failure::Failed(format!("worker {worker} of {of}: there are only {of}")));
    }
    block_on(engine::run(args, settings))
}
