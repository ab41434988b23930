//! Log lines of a process: fields on standard error, as text for people or JSON for machines.
//!
//! Levels: error, a human should get up; warn, unexpected and survived; info, the system changed
//! state. There is no line per message and no row in any line (A15).

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::settings::{LogFormat, LogLines};

/// Begins to write. A second call changes nothing.
pub fn start(lines: &LogLines) {
    // Libraries speak only when they have something to warn of.
    let filter = EnvFilter::new(format!("warn,recoup={}", lines.level.name()));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(std::io::stderr);
    let started = match lines.format {
        LogFormat::Text => subscriber.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    // Somebody before us, a test, has set its own: theirs stays.
    drop(started);
}
