//! `recoup post`: a reference table becomes a fact.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Failure, block_on, engine, one_of, show};
use crate::post::{Mistake, Posted, Told, names, post, read_reference, told};
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
    /// A CSV file with a header; without one, the table's columns are told
    pub file: Option<PathBuf>,
    /// Only check the file; needs no broker
    #[arg(long)]
    pub check: bool,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

pub fn execute(args: &PostArgs, settings: &Settings) -> Result<(), Failure> {
    one_of("table", &args.name, &names().collect::<Vec<_>>())?;
    let Some(file) = &args.file else { return columns(args) };
    let reference = read_reference(&args.name, file).map_err(|all| mistakes(&all))?;
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

/// What a file of this table must hold.
fn columns(args: &PostArgs) -> Result<(), Failure> {
    let Some((columns, key)) = told(&args.name) else { return Ok(()) };
    if args.json {
        let line = |(column, required, holds): &Told| {
            let key = key.contains(column);
            let line =
                json!({ "column": column, "required": required, "key": key, "holds": holds });
            format!("{line}\n")
        };
        return show::text(&columns.iter().map(line).collect::<String>());
    }
    let rows = columns.into_iter().map(|(column, required, holds)| {
        let needed = if required { "yes" } else { "" };
        vec![column.to_owned(), needed.to_owned(), holds]
    });
    let table = show::table(&["column", "required", "holds"], rows.collect(), &[]);
    show::text(&format!("{table}one row for each {}\n", key.join(", ")))
}

fn answer(args: &PostArgs, said: serde_json::Value) -> Result<(), Failure> {
    if args.json {
        return show::text(&format!("{said}\n"));
    }
    let table = &args.name;
    let counted = show::counted(said["rows"].as_u64().unwrap_or_default() as usize, "row");
    let text = match (said["version"].as_i64(), said["stored"].as_bool()) {
        (Some(version), Some(true)) => format!("{table}: {counted} posted as version {version}"),
        (Some(version), _) => format!("{table}: nothing new since version {version}"),
        (None, _) => format!("{table}: {counted} in order"),
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
