//! `batch`: files in, relations out, on a log in memory.

use std::time::Instant;

use recoup_operators::Rules;
use recoup_sql::Source;

use super::program::failure;
use crate::batch::{Batch, BatchError};
use crate::cli::Failure;
use crate::cli::batch::{BatchArgs, Format};
use crate::cli::show;
use crate::decoder::{Decoder, FORMAT, NOBODY, ROW, SOURCE};
use crate::log::Outgoing;
use crate::post;
use crate::program;
use crate::serve::relations;
use crate::settings::Settings;

impl From<BatchError> for Failure {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Program(mistakes) => failure(&mistakes),
            other => Failure::failed(other),
        }
    }
}

pub fn batch(args: &BatchArgs, settings: &Settings) -> Result<(), Failure> {
    let start = Instant::now();
    let sources = program::sources(&settings.program).map_err(|one| failure(&[one]))?;
    let lender = args.lender.clone().unwrap_or_else(|| NOBODY.into());
    let decoder = Decoder::compile(&dialects(args, settings, &lender)?);
    let decoder = decoder.map_err(|mistakes| failure(&mistakes))?;
    // One shard: the place of a fact in the log is then its place in the files.
    let rules = Rules { shards: 1, horizon_minutes: 0, ..settings.rules() };
    let mut batch = Batch::open(&rules, &sources, decoder)?;
    references(args, &mut batch)?;
    batch.round()?;
    for path in &args.intake {
        let shown = path.display().to_string();
        let format = crate::load::Format::of(path).unwrap_or(crate::load::Format::Json);
        for part in crate::load::parts(path, format).map_err(Failure::failed)? {
            let part = part.map_err(Failure::failed)?;
            let message = Outgoing {
                subject: format!("intake.{lender}.file.0"),
                headers: vec![
                    (FORMAT.into(), part.format.name().into()),
                    (SOURCE.into(), shown.clone()),
                    (ROW.into(), part.first_row.to_string()),
                ],
                payload: part.bytes,
                expects: None,
            };
            batch.publish(message, &shown, part.rows as usize)?;
        }
        batch.settle()?;
    }
    if let Some(day) = args.until {
        batch.until(i64::from(day.0))?;
    }
    batch.answer()?;
    let format = match args.format {
        Format::Csv => relations::Format::Csv,
        Format::Parquet => relations::Format::Parquet,
    };
    batch.relations.write(&args.out, format).map_err(Failure::failed)?;
    report(args, &batch, start)
}

fn dialects(args: &BatchArgs, settings: &Settings, lender: &str) -> Result<Vec<Source>, Failure> {
    let mut found = program::dialects(&settings.program).map_err(|one| failure(&[one]))?;
    if let Some(file) = &args.dialect {
        let own = program::file(std::path::Path::new(file)).map_err(|one| failure(&[one]))?;
        found.push(Source { name: format!("{lender}.sql"), text: own.text });
    }
    Ok(found)
}

/// Every reference table of the folder, in the order in which they are best read.
fn references(args: &BatchArgs, batch: &mut Batch) -> Result<(), Failure> {
    for name in post::names() {
        let file = args.reference.join(format!("{name}.csv"));
        if !file.is_file() {
            continue;
        }
        let reference = post::read_reference(name, &file).map_err(|mistakes| {
            let texts: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
            Failure::Failed(texts.join("\n"))
        })?;
        for note in &reference.notes {
            eprintln!("recoup: {note}");
        }
        batch.post(name, &reference.batch)?;
    }
    Ok(())
}

fn report(args: &BatchArgs, batch: &Batch, start: Instant) -> Result<(), Failure> {
    let seconds = start.elapsed().as_secs_f64();
    let mut counts = serde_json::Map::new();
    for name in batch.relations.names() {
        let rows = batch.relations.snapshot(name).map_or(0, |snapshot| snapshot.rows());
        counts.insert(name.into(), rows.into());
    }
    if args.json {
        let json = serde_json::json!({ "rows": counts, "seconds": seconds });
        return show::text(&format!("{json}\n"));
    }
    let mut text = String::new();
    for (name, rows) in counts {
        text += &format!("{:>12}  {name}\n", rows.as_u64().unwrap_or_default());
    }
    text += &format!("written to {} in {seconds:.1} s\n", args.out.display());
    show::text(&text)
}
