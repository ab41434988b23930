//! `recoup completions`: for shells.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Failure, show};

/// Print the completions of a shell
#[derive(Args)]
#[command(after_help = "Example:\n  recoup completions bash")]
pub struct CompletionsArgs {
    pub shell: Shell,
}

pub fn execute(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut out = vec![];
    clap_complete::generate(args.shell, &mut Cli::command(), "recoup", &mut out);
    show::text(&String::from_utf8_lossy(&out))
}
