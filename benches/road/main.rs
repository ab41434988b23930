//! How fast the whole road is, measured from outside: the program as its users run it.
//!
//! Runs the `recoup` that was built beside it, in a folder of its own, on a broker of its own.

// A rate is offered by waiting, and another process is looked at now and then.
#![allow(clippy::disallowed_methods)]

mod deployment;
mod offered;
mod publisher;
mod records;
mod through;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::{Parser, Subcommand};

type Answer<T> = Result<T, Box<dyn std::error::Error>>;

/// Benches of the whole road; build everything first: `cargo build --release --workspace`
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Files in, all relations out, no broker
    Batch {
        #[arg(long, default_value_t = 1_000_000)]
        records: u64,
    },
    /// Lines of JSON in large messages: publisher, server and worker share the machine
    Lines {
        #[arg(long, default_value_t = 1_000_000)]
        records: u64,
    },
    /// One record a message, published without waiting for answers
    Singles {
        #[arg(long, default_value_t = 300_000)]
        records: u64,
    },
    /// From publish to committed placement, at a rate that is offered
    Latency {
        #[arg(long, default_value_t = 20_000)]
        rate: u64,
        #[arg(long, default_value_t = 20)]
        seconds: u64,
        /// Records a message
        #[arg(long, default_value_t = 20)]
        lines: u64,
    },
    /// What a lender waits for its placements while another one loads a large file
    Flood {
        #[arg(long, default_value_t = 3_000_000)]
        records: u64,
        /// How many messages the load may be ahead, zero for any number
        #[arg(long, default_value_t = 64)]
        ahead: u64,
    },
    /// Bytes of a worker's memory per loan
    Memory {
        #[arg(long, default_value_t = 1_000_000)]
        loans: u64,
    },
}

fn main() -> Answer<()> {
    match Args::parse().what {
        What::Batch { records } => batch(records),
        What::Lines { records } => through::lines(records),
        What::Singles { records } => through::singles(records),
        What::Latency { rate, seconds, lines } => offered::latency(rate, seconds, lines),
        What::Flood { records, ahead } => offered::flood(records, ahead),
        What::Memory { loans } => through::memory(loans),
    }
}

fn batch(records: u64) -> Answer<()> {
    let folder = tempfile::tempdir()?;
    let intake = folder.path().join("intake.jsonl");
    write(&intake, records, records::mix)?;
    let reference = folder.path().join("reference");
    std::fs::create_dir(&reference)?;
    for (name, text) in records::references() {
        std::fs::write(reference.join(format!("{name}.csv")), text)?;
    }
    let bytes = intake.metadata()?.len();
    let began = Instant::now();
    let mut child = Command::new(deployment::recoup()?)
        .args(["batch", "--json", "--intake", "intake.jsonl", "--reference", "reference"])
        .args(["--out", "out"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .spawn()?;
    let usage = deployment::watch(&mut child)?;
    let seconds = began.elapsed().as_secs_f64();
    println!("{records} records, {} MB, to all relations", bytes / 1_000_000);
    println!("{seconds:.2} s: {:.0} records/s", records as f64 / seconds);
    println!("processor {:.2} s, peak memory {} MB", usage.seconds, usage.peak >> 20);
    Ok(())
}

/// Writes records `0..count` to a file.
fn write(
    file: &Path,
    count: u64,
    one: fn(u64, &mut std::io::BufWriter<std::fs::File>) -> std::io::Result<()>,
) -> Answer<()> {
    let mut out = std::io::BufWriter::new(std::fs::File::create(file)?);
    for i in 0..count {
        one(i, &mut out)?;
    }
    std::io::Write::flush(&mut out)?;
    Ok(())
}
