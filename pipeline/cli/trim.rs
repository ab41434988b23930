//! `recoup trim`: removes what nobody needs any more.

use clap::Args;
use serde_json::json;

use super::{Failure, block_on, engine, show};
use crate::settings::Settings;
use crate::trim::Cut;

/// Remove what was read for good, and cannot be replayed then
///
/// That is: records of the intake that are normalized, and facts behind every shard's verified
/// snapshots, once they are as old as the settings under [retention] say. What left the program
/// goes only where they say so. Cursors, reference tables and refused rows stay.
#[derive(Args)]
#[command(after_help = "Example:\n  recoup trim --dry-run")]
pub struct TrimArgs {
    /// Only tell what would go; it is read for that
    #[arg(long)]
    pub dry_run: bool,
    /// Print lines of JSON
    #[arg(long)]
    pub json: bool,
}

pub fn execute(args: &TrimArgs, settings: &Settings) -> Result<(), Failure> {
    let gone = block_on(engine::trim(settings, args.dry_run))?;
    if args.json {
        let line = |(cut, messages): &(Cut, u64)| {
            let Cut { stream, subjects, before, needed_by } = cut;
            let line = json!({ "stream": stream, "subjects": subjects, "before": before,
                "needed_by": needed_by, "messages": messages, "removed": !args.dry_run });
            format!("{line}\n")
        };
        return show::text(&gone.iter().map(line).collect::<String>());
    }
    let header = ["subjects", "before", "messages", "needed from there by"];
    let rows = gone.iter().map(|(cut, messages)| {
        let (before, messages) = (cut.before.to_string(), messages.to_string());
        vec![cut.subjects.clone(), before, messages, cut.needed_by.clone()]
    });
    let table = show::table(&header, rows.collect(), &[false, true, true, false]);
    let total: u64 = gone.iter().map(|(_, messages)| messages).sum();
    let what = if args.dry_run { "messages would go" } else { "messages removed" };
    show::text(&format!("{table}{total} {what}\n"))
}
