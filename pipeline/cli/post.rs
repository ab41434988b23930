//! `recoup post`: a reference table becomes a fact.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Failure, block_on, engine, show};
use crate::post::{Mistake, Posted, post, read_reference};
use crate::settings::Settings;

/// So many mistakes tell what is wrong with a file.
const MISTAKES_SHOWN: usize = 20;

/// Check a table of reference data and post it as its next version
#[derive(Args)]
#[command(after_help = "Example:\n  recoup post curve curve.csv")]
pub struct PostArgs {
    /// curve, market, agencies, desks, contracts, exclusions, remittances, waterfalls, authorities,
    /// calendars or pauses
    pub name: String,
    /// A CSV file with a header
    pub file: PathBuf,
    /// Only check the file; needs no broker
    #[arg(long)]
    pub check: bool,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

pub fn execute(args: &PostArgs, settings: &Settings) -> Result<(), Failure> {
    let reference = read_reference(&args.name, &args.file).map_err(|all| mistakes(&all))?;
    for note in &reference.notes {
        eprintln!("recoup: {note}");
    }
    let rows = reference.batch.num_rows();
    if args.check {
        return answer(args, json!({ "table": reference.name, "rows": rows, "fits": true }));
    }
    let posted = block_on(async {
        let log = engine::connect(settings).await?;
        Ok(post(log.as_ref(), &reference).await?)
    })?;
    let (version, stored) = match posted {
        Posted::Stored { version, .. } => (version, true),
        Posted::Unchanged { version } => (version, false),
    };
    answer(
        args,
        json!({ "table": reference.name, "rows": rows, "version": version, "stored": stored }),
    )
}

fn answer(args: &PostArgs, said: serde_json::Value) -> Result<(), Failure> {
    if args.json {
        return show::text(&format!("{said}\n"));
    }
    let (table, rows) = (&args.name, &said["rows"]);
    let text = match (said["version"].as_i64(), said["stored"].as_bool()) {
        (Some(version), Some(true)) => format!("{table}: {rows} rows posted as version {version}"),
        (Some(version), _) => format!("{table}: nothing new since version {version}"),
        (None, _) => format!("{table}: {rows} rows fit"),
    };
    show::text(&format!("{text}\n"))
}

fn mistakes(all: &[Mistake]) -> Failure {
    let mut lines: Vec<_> = all.iter().take(MISTAKES_SHOWN).map(ToString::to_string).collect();
    if all.len() > MISTAKES_SHOWN {
        lines.push(format!("and {} more", all.len() - MISTAKES_SHOWN));
    }
    Failure::Failed(lines.join("\n"))
}
