//! `recoup doctor`: what is unsafe, and how to mend it.

use clap::Args;

use super::{Failure, block_on, engine, show};
use crate::doctor::{Finding, Severity, examine, examine_copies, examine_settings};
use crate::settings::Settings;

/// Look for what is unsafe about settings, key and broker; exits with 5 if anything is
#[derive(Args)]
#[command(after_help = "Example:\n  recoup doctor --replicas")]
pub struct DoctorArgs {
    /// Read every copy of every stream, and compare them: not while `recoup trim` runs
    #[arg(long)]
    pub replicas: bool,
    /// One line of JSON per finding
    #[arg(long)]
    pub json: bool,
}

pub fn execute(args: &DoctorArgs, settings: &Settings) -> Result<(), Failure> {
    let (mut findings, mut reached) = match block_on(engine::broker_facts(settings)) {
        Ok((facts, offset)) => (examine(settings, &facts, offset), Ok(())),
        Err(failure) => (examine_settings(settings), Err(failure)),
    };
    if args.replicas && reached.is_ok() {
        match block_on(engine::copies(settings)) {
            Ok(copies) => findings.extend(copies.iter().flat_map(examine_copies)),
            Err(failure) => reached = Err(failure),
        }
    }
    show::text(&if args.json { lines(&findings)? } else { table(&findings) })?;
    reached?;
    match findings.iter().filter(|one| one.severity == Severity::Unsafe).count() {
        0 => Ok(()),
        1 => Err(Failure::Broker("one thing is unsafe".into())),
        count => Err(Failure::Broker(format!("{count} things are unsafe"))),
    }
}

fn lines(findings: &[Finding]) -> Result<String, Failure> {
    let lines: Result<Vec<_>, _> = findings.iter().map(serde_json::to_string).collect();
    Ok(lines.map_err(Failure::failed)?.join("\n") + "\n")
}

fn table(findings: &[Finding]) -> String {
    let name = |severity| match severity {
        Severity::Fine => "fine",
        Severity::Warning => "warning",
        Severity::Unsafe => "UNSAFE",
    };
    let mut out = String::new();
    for one in findings {
        out += &format!("{:8} {:15} {}\n", name(one.severity), one.about, one.found);
        if !one.mend.is_empty() {
            out += &format!("{:24} → {}\n", "", one.mend);
        }
    }
    out
}
