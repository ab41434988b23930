//! Where recoup touches the world: the command line, the log, the loop, the clock, the settings.
//!
//! What the business does is in `operators/`, what flows where in `sql/`. This room awaits, logs,
//! counts and reads settings; it decides nothing about loans or money.

pub mod cli;
pub mod doctor;
pub mod health;
pub mod ipc;
pub mod limits;
pub mod log;
pub mod metrics;
pub mod post;
pub mod settings;
pub mod status;
pub mod trace;
