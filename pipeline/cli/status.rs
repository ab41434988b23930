//! `recoup status`: shards, owners, lag, refused.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;

use super::{Failure, block_on, engine, show};
use crate::settings::Settings;
use crate::status::{Status, read};

/// Counting refused rows reads them: no longer than this.
const COUNTING: Duration = Duration::from_secs(5);

/// Show who has which shard and why, what waits, and what was refused
#[derive(Args)]
#[command(after_help = "Example:\n  recoup status --json")]
pub struct StatusArgs {
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

pub fn execute(args: &StatusArgs, settings: &Settings) -> Result<(), Failure> {
    let status = block_on(async {
        let log = engine::connect(settings).await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_micros() as i64);
        Ok(read(log.as_ref(), settings.shards.count, now, COUNTING).await?)
    })?;
    if args.json {
        let line = serde_json::to_string(&status).map_err(Failure::failed)?;
        return show::text(&format!("{line}\n"));
    }
    show::text(&table(&status))
}

fn table(status: &Status) -> String {
    let header =
        ["stage", "shard", "owner", "why", "commits", "read", "waiting", "idle s", "trouble"];
    let rows = status.shards.iter().map(|one| {
        vec![
            one.stage.to_string(),
            one.shard.to_string(),
            one.owner.clone(),
            one.why.clone(),
            one.commits.to_string(),
            one.read.to_string(),
            one.waiting.to_string(),
            one.idle_seconds.to_string(),
            one.trouble.clone(),
        ]
    });
    let right = [false, true, false, false, true, true, true, true, false];
    let mut out = show::table(&header, rows.collect(), &right);
    let refused = &status.refused;
    let total: u64 = refused.by_reason.values().sum();
    let least = if refused.whole { "" } else { "at least " };
    out += &format!("refused: {least}{total}\n");
    for (reason, count) in &refused.by_reason {
        out += &format!("{count:>12} {reason}\n");
    }
    out
}
