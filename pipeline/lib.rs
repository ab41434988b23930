//! Where recoup touches the world: the command line, the log, the loop, the clock, the settings.
//!
//! What the business does is in `operators/`, what flows where in `sql/`. This room awaits, logs,
//! counts and reads settings; it decides nothing about loans or money.

pub mod audit;
pub mod backup;
pub mod batch;
pub mod cli;
pub mod commit;
pub mod crew;
pub mod cursor;
pub mod decoder;
pub mod doctor;
pub mod drive;
pub mod group;
pub mod health;
pub mod limits;
pub mod load;
pub mod log;
pub mod metrics;
pub mod post;
pub mod program;
pub mod reconcile;
pub mod refused;
pub mod rows;
pub mod serve;
pub mod server;
pub mod settings;
pub mod snapshot;
pub mod status;
pub mod ticker;
pub mod trace;
pub mod trim;
pub mod wake;
pub mod worker;
