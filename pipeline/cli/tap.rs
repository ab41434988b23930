//! `recoup tap`: the rows of a stream as they come.

use std::time::Duration;

use clap::Args;
use datafusion::arrow::record_batch::RecordBatch;

use super::{Failure, block_on, engine, one_of, show};
use crate::doctor::STREAMS;
use crate::log::{Log, LogError, Message, ReadLimit};
use crate::rows;
use crate::settings::Settings;

/// Print the rows of a stream, from now on until interrupted
#[derive(Args)]
#[command(after_help = "Example:\n  recoup tap book --subject 'book.*.placements' --json")]
pub struct TapArgs {
    /// intake, reports, loans, book or statements
    pub stream: String,
    /// Only messages of this subject; * stands for a part, > for the rest
    #[arg(long, default_value = "", hide_default_value = true)]
    pub subject: String,
    /// Begin behind this sequence; 0: with the first message
    #[arg(long, value_name = "SEQ")]
    pub after: Option<u64>,
    /// Stop at the stream's present end
    #[arg(long)]
    pub once: bool,
    /// Show the bytes of the intake, which hold personal data
    #[arg(long)]
    pub raw: bool,
    /// Print lines of JSON
    #[arg(long)]
    pub json: bool,
}

pub fn execute(args: &TapArgs, settings: &Settings) -> Result<(), Failure> {
    one_of("stream", &args.stream, &STREAMS)?;
    block_on(async {
        let log = engine::connect(settings).await?;
        tokio::select! {
            ended = follow(args, log.as_ref()) => ended,
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    })
}

async fn follow(args: &TapArgs, log: &dyn Log) -> Result<(), Failure> {
    let filter = match args.subject.as_str() {
        "" => format!("{}.>", args.stream),
        subject => subject.to_string(),
    };
    let after = match args.after {
        Some(after) => after,
        None => log.state(&args.stream).await?.last,
    };
    let end = log.last(&args.stream, &filter).await?.map_or(0, |message| message.seq);
    if args.once && end <= after {
        return Ok(());
    }
    let mut reader = log.read(&args.stream, &[filter], after).await?;
    let limit = ReadLimit { messages: 100, bytes: 16 << 20 };
    let mut unread = 0;
    loop {
        let messages = reader.next(limit, Duration::from_millis(500)).await?;
        for message in &messages {
            match batches(args, message) {
                Ok(Some(batches)) => show::text(&rows(args, message, &batches)?)?,
                Ok(None) => show::text(&bytes(args, message))?,
                Err(error) => {
                    eprintln!("recoup: {error}");
                    unread += 1;
                }
            }
        }
        if args.once && messages.last().is_some_and(|message| message.seq >= end) {
            return match unread {
                0 => Ok(()),
                _ => Err(Failure::Failed(format!("messages that do not read: {unread}"))),
            };
        }
    }
}

/// What a message holds, or `None` where that is bytes of a lender, or text of ours. Rows of ours
/// that do not read are named as a shard would that has to read them (A14), and passed over here.
fn batches(args: &TapArgs, message: &Message) -> Result<Option<Vec<RecordBatch>>, LogError> {
    let what = message.subject.split('.').nth(1).unwrap_or_default();
    match args.stream.as_str() {
        // The intake may hold Arrow too, and that is as personal as any other bytes of it.
        "intake" if !args.raw => Ok(None),
        // Text reads as Arrow that has not come yet: no batches.
        "intake" => Ok(rows::decode(&message.payload).ok().filter(|batches| !batches.is_empty())),
        _ if matches!(what, "cursor" | "trimmed") => Ok(None),
        _ => rows::of(message).map(Some),
    }
}

/// Rows for people or scripts.
fn rows(args: &TapArgs, message: &Message, batches: &[RecordBatch]) -> Result<String, Failure> {
    let mut out = String::new();
    for batch in batches {
        if args.json {
            out += &show::json_lines(batch)?;
        } else {
            out += &format!("{} at {}, {} rows\n", message.subject, message.seq, batch.num_rows());
            out += &show::batch(batch)?;
        }
    }
    Ok(out)
}

fn bytes(args: &TapArgs, message: &Message) -> String {
    let (subject, seq, count) = (&message.subject, message.seq, message.payload.len());
    let hidden = args.stream == "intake" && !args.raw;
    let text = if hidden { "".into() } else { String::from_utf8_lossy(&message.payload) };
    if args.json {
        let mut line = serde_json::json!({ "subject": subject, "seq": seq, "bytes": count });
        if !hidden {
            line["text"] = text.into();
        }
        return format!("{line}\n");
    }
    let tail = if hidden { "" } else { "\n" };
    format!("{subject} at {seq}, {count} bytes\n{}{tail}", text.trim_end())
}
