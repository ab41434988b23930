//! `recoup refused`: what could not be used, why, and where it came from.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use datafusion::arrow::temporal_conversions::timestamp_us_to_datetime;
use serde_json::json;

use super::{Failure, block_on, engine, show};
use crate::refused::{Refusal, Wanted, open, read};
use crate::settings::{Settings, load_keys};

/// List rows that were refused, with reason and place; --open shows their bytes to the key's holder
#[derive(Args)]
#[command(after_help = "Example:\n  recoup refused --lender L007 --reason bad_decimal --open")]
pub struct RefusedArgs {
    /// Only rows of this lender
    #[arg(long)]
    pub lender: Option<String>,
    /// Only rows refused for this reason, as `recoup status` lists them
    #[arg(long)]
    pub reason: Option<String>,
    /// The newest so many of each stage
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    pub last: usize,
    /// Show the bytes, which hold personal data; needs the deployment's key
    #[arg(long)]
    pub open: bool,
    /// Print lines of JSON
    #[arg(long)]
    pub json: bool,
}

/// The bytes of a row, or why they stay closed.
type Opened = Option<Result<Vec<u8>, String>>;

pub fn execute(args: &RefusedArgs, settings: &Settings) -> Result<(), Failure> {
    let keys = if args.open { Some(load_keys(&settings.keys.file)?) } else { None };
    let (lender, reason) = (args.lender.clone(), args.reason.clone());
    let wanted = Wanted { lender, reason, count: args.last };
    let (found, opened) = block_on(async {
        let log = engine::connect(settings).await?;
        let found = read(log.as_ref(), &wanted).await?;
        let opened: Vec<Opened> = match &keys {
            Some(keys) => {
                let opened = open(log.as_ref(), keys, &found).await?;
                opened.into_iter().map(Some).collect()
            }
            None => found.iter().map(|_| None).collect(),
        };
        Ok((found, opened))
    })?;
    if args.json {
        let lines = found.iter().zip(&opened).map(|(one, bytes)| line(one, bytes));
        return show::text(&lines.collect::<String>());
    }
    show::text(&table(&found, &opened))
}

fn line(one: &Refusal, opened: &Opened) -> String {
    let mut line = json!({
        "stream": one.stream, "seq": one.seq, "at": instant(one.at), "lender_id": one.lender,
        "reason": one.reason, "source": one.source, "file": one.file,
    });
    match opened {
        None => {}
        Some(Err(why)) => line["closed"] = why.as_str().into(),
        Some(Ok(bytes)) => match std::str::from_utf8(bytes) {
            Ok(text) => line["text"] = text.into(),
            Err(_) => line["base64"] = STANDARD.encode(bytes).into(),
        },
    }
    format!("{line}\n")
}

fn table(found: &[Refusal], opened: &[Opened]) -> String {
    if found.is_empty() {
        return "nothing was refused\n".into();
    }
    let mut header = vec!["at", "lender", "reason", "source", "file"];
    if opened.iter().any(Option::is_some) {
        header.push("bytes");
    }
    let rows = found.iter().zip(opened).map(|(one, bytes)| {
        let (at, file) = (instant(one.at), one.file.clone());
        let mut row = vec![at, one.lender.clone(), one.reason.clone(), one.source.clone(), file];
        row.extend(bytes.as_ref().map(|bytes| match bytes {
            Ok(bytes) => String::from_utf8_lossy(bytes).replace(char::is_control, "\u{fffd}"),
            Err(why) => format!("({why})"),
        }));
        row
    });
    let count = show::counted(found.len(), "row");
    format!("{}{count}\n", show::table(&header, rows.collect(), &[]))
}

fn instant(micros: i64) -> String {
    timestamp_us_to_datetime(micros)
        .map_or_else(String::new, |at| at.and_utc().format("%Y-%m-%dT%H:%M:%SZ").to_string())
}
