//! The command line: one file per verb, each with its arguments and one call.
//!
//! Arguments are parsed into plain structs and settings are read in one place; what a verb does is
//! elsewhere. Exit codes are part of the interface: see [`Failure`].

mod backup;
mod batch;
mod check;
mod completions;
mod demo;
mod doctor;
mod engine;
mod explain;
mod init;
mod load;
mod post;
mod reconcile;
mod refused;
mod replay;
mod run;
mod serve;
mod show;
mod sql;
mod status;
mod tap;
#[cfg(test)]
mod tests;
mod trim;
mod up;

use std::ffi::OsString;
use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::log::LogError;
use crate::settings::{FILE, KeyError, Settings, SettingsError, Sources};

const ABOUT: &str = "\
A stream processor for loans that are past due.

Exit codes: 0 done; 1 failed; 2 usage; 3 a mistake in the program (SQL); 4 a mistake in the
settings; 5 the broker is unfit or out of reach; 6 what was compared differs.";

const EXAMPLE: &str = "Example:\n  recoup demo --once";

#[derive(Parser)]
#[command(name = "recoup", version, about = ABOUT, after_help = EXAMPLE, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// Settings file; else RECOUP_SETTINGS, else recoup.toml where there is one
    #[arg(long, global = true, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Override a setting: section.key=value; may be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Init(init::InitArgs),
    Run(run::RunArgs),
    Load(load::LoadArgs),
    Post(post::PostArgs),
    Batch(batch::BatchArgs),
    Check(check::CheckArgs),
    Explain(explain::ExplainArgs),
    Tap(tap::TapArgs),
    Status(status::StatusArgs),
    Replay(replay::ReplayArgs),
    Refused(refused::RefusedArgs),
    Doctor(doctor::DoctorArgs),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    Trim(trim::TrimArgs),
    Sql(sql::SqlArgs),
    Reconcile(reconcile::ReconcileArgs),
    Demo(demo::DemoArgs),
    Up(up::UpArgs),
    Serve(serve::ServeArgs),
    Completions(completions::CompletionsArgs),
}

/// Why a verb did not do its work, by exit code. Usage mistakes, code 2, are clap's.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// 1
    #[error("{0}")]
    Failed(String),
    /// 3: the SQL program.
    #[error("{0}")]
    Program(String),
    /// 4
    #[error("{0}")]
    Settings(String),
    /// 5: unfit or out of reach.
    #[error("{0}")]
    Broker(String),
    /// 6: two sides were compared, and are not the same.
    #[error("{0}")]
    Differs(String),
}

impl Failure {
    pub fn code(&self) -> u8 {
        match self {
            Failure::Failed(_) => 1,
            Failure::Program(_) => 3,
            Failure::Settings(_) => 4,
            Failure::Broker(_) => 5,
            Failure::Differs(_) => 6,
        }
    }

    /// Anything with a sentence about itself, as a plain failure.
    pub fn failed(cause: impl std::fmt::Display) -> Failure {
        Failure::Failed(cause.to_string())
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Unavailable(_) | LogError::Unfit { .. } => Failure::Broker(error.to_string()),
            _ => Failure::Failed(error.to_string()),
        }
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Failure::Settings(error.to_string())
    }
}

impl From<Vec<SettingsError>> for Failure {
    fn from(mistakes: Vec<SettingsError>) -> Self {
        let lines: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
        Failure::Settings(lines.join("\n"))
    }
}

/// The whole program: arguments in, exit code out.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(asked) => {
            // Help and version are answers; their code is 0, that of usage mistakes 2.
            let code = if asked.use_stderr() { 2 } else { 0 };
            return asked.print().map_or(ExitCode::FAILURE, |()| ExitCode::from(code));
        }
    };
    match execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            for line in failure.to_string().lines() {
                eprintln!("recoup: {line}");
            }
            ExitCode::from(failure.code())
        }
    }
}

fn execute(cli: Cli) -> Result<(), Failure> {
    // These answer without settings, so that mistakes in them keep nobody from mending them.
    match &cli.verb {
        Verb::Completions(args) => return completions::execute(args),
        Verb::Init(args) if args.print_settings => return init::print_settings(),
        _ => {}
    }
    let settings = read_settings(cli.settings, &cli.set)?;
    crate::trace::start(&settings.log);
    match cli.verb {
        Verb::Init(args) => init::execute(&args, &settings),
        Verb::Run(args) => run::execute(args, &settings),
        Verb::Load(args) => load::execute(args, &settings),
        Verb::Post(args) => post::execute(&args, &settings),
        Verb::Batch(args) => batch::execute(args, &settings),
        Verb::Check(args) => check::execute(&args, &settings),
        Verb::Explain(args) => explain::execute(&args, &settings),
        Verb::Tap(args) => tap::execute(&args, &settings),
        Verb::Status(args) => status::execute(&args, &settings),
        Verb::Replay(args) => replay::execute(&args, &settings),
        Verb::Refused(args) => refused::execute(&args, &settings),
        Verb::Doctor(args) => doctor::execute(&args, &settings),
        Verb::Backup(args) => backup::back_up(&args, &settings),
        Verb::Restore(args) => backup::restore(&args, &settings),
        Verb::Trim(args) => trim::execute(&args, &settings),
        Verb::Sql(args) => sql::execute(&args, &settings),
        Verb::Reconcile(args) => reconcile::execute(&args, &settings),
        Verb::Demo(args) => demo::execute(args, &settings),
        Verb::Up(args) => up::execute(args, &settings),
        Verb::Serve(args) => serve::execute(args, &settings),
        Verb::Completions(args) => completions::execute(&args),
    }
}

fn read_settings(file: Option<PathBuf>, set: &[String]) -> Result<Settings, Failure> {
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let file = file
        .or_else(|| std::env::var_os("RECOUP_SETTINGS").map(PathBuf::from))
        .or_else(|| Some(PathBuf::from(FILE)).filter(|file| file.is_file()));
    let sources = Sources { file: file.as_deref(), environment: &environment, set };
    Ok(Settings::read(&sources)?)
}

/// Refuses a name that is not one of these.
fn one_of(what: &str, name: &str, names: &[&str]) -> Result<(), Failure> {
    if names.contains(&name) {
        return Ok(());
    }
    let names = names.join(", ");
    Err(Failure::Failed(format!("there is no {what} {name}; there are {names}")))
}

/// Runs what awaits, on a runtime of its own. Steps never run inside it: they have plain threads.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(Failure::failed)?.block_on(work)
}
