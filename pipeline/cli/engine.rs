//! What the verbs start. One function each, so that the command line stays free of engines.

mod files;
mod program;

use std::sync::Arc;

use super::Failure;
use super::batch::BatchArgs;
use super::check::CheckArgs;
use super::demo::DemoArgs;
use super::explain::ExplainArgs;
use super::load::LoadArgs;
use super::replay::ReplayArgs;
use super::run::RunArgs;
use super::serve::ServeArgs;
use super::up::UpArgs;
use crate::log::Log;
use crate::log::broker::Facts;
use crate::settings::Settings;

fn absent<T>(what: &str) -> Result<T, Failure> {
    Err(Failure::Failed(format!("{what} is not part of this build")))
}

/// The log of the settings' broker.
pub async fn connect(_settings: &Settings) -> Result<Arc<dyn Log>, Failure> {
    absent("the broker")
}

/// What the settings' broker says of itself, for `doctor`, and its clock less ours where it tells,
/// in milliseconds. A missing stream is no failure: it is just not among the facts.
pub async fn broker_facts(_settings: &Settings) -> Result<(Facts, Option<i64>), Failure> {
    absent("the broker")
}

/// Streams, and every shard's first cursor (A16).
pub async fn init(_log: &dyn Log, _settings: &Settings) -> Result<(), Failure> {
    absent("init")
}

pub async fn run(_args: RunArgs, _settings: &Settings) -> Result<(), Failure> {
    absent("run")
}

pub async fn load(_args: LoadArgs, _settings: &Settings) -> Result<(), Failure> {
    absent("load")
}

pub async fn replay(_args: &ReplayArgs, _settings: &Settings) -> Result<(), Failure> {
    absent("replay")
}

pub async fn serve(_args: ServeArgs, _settings: &Settings) -> Result<(), Failure> {
    absent("the reading room")
}

pub fn batch(args: BatchArgs, settings: &Settings) -> Result<(), Failure> {
    files::batch(&args, settings)
}

pub fn check(args: &CheckArgs, settings: &Settings) -> Result<(), Failure> {
    program::check(args, settings)
}

pub fn explain(args: &ExplainArgs, settings: &Settings) -> Result<(), Failure> {
    program::explain(args, settings)
}

pub fn demo(_args: DemoArgs, _settings: &Settings) -> Result<(), Failure> {
    absent("demo")
}

pub fn up(_args: UpArgs, _settings: &Settings) -> Result<(), Failure> {
    absent("up")
}
