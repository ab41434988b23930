//! Ranges that a type cannot say.

use super::Settings;
use crate::limits;

/// Four weeks: what comes later is nobody's plan.
const HORIZON_MAX: u32 = 28 * 1_440;

/// What is out of range: the key, and a sentence about it.
pub fn ranges(settings: &Settings) -> Vec<(&'static str, String)> {
    let mut found = vec![];
    let mut must = |key, holds: bool, what: String| {
        if !holds {
            found.push((key, what));
        }
    };
    let shards = settings.shards.count;
    let shards_max = limits::SHARDS_MAX;
    must(
        "shards.count",
        (1..=shards_max).contains(&shards),
        format!("is {shards}, expected 1 to {shards_max}"),
    );
    let replicas = settings.broker.replicas;
    must(
        "broker.replicas",
        matches!(replicas, 1 | 3 | 5),
        format!("is {replicas}, expected 1, 3 or 5"),
    );
    let both = settings.broker.user.is_empty() == settings.broker.password_file.is_empty();
    must("broker.user", both, "and broker.password_file come together or not at all".into());
    must("broker.url", !settings.broker.url.is_empty(), "is empty".into());
    let messages = settings.step.messages_max;
    let messages_max = limits::STEP_MESSAGES_MAX;
    must(
        "step.messages_max",
        (1..=messages_max).contains(&messages),
        format!("is {messages}, expected 1 to {messages_max}"),
    );
    let bytes = settings.step.bytes_max;
    let (bytes_min, bytes_max) = (limits::STEP_BYTES_MIN, limits::STEP_BYTES_MAX);
    must(
        "step.bytes_max",
        (bytes_min..=bytes_max).contains(&bytes),
        format!("is {bytes}, expected {bytes_min} to {bytes_max}"),
    );
    let days = settings.settle.close_after_days;
    must(
        "settle.close_after_days",
        (0..=3_660).contains(&days),
        format!("is {days}, expected 0 to 3660"),
    );
    let value = settings.dispatch.switch_margin;
    must("dispatch.switch_margin", value >= 0, "is negative".into());
    let minutes = settings.dispatch.horizon_minutes;
    must(
        "dispatch.horizon_minutes",
        minutes <= HORIZON_MAX,
        format!("is {minutes}, expected at most {HORIZON_MAX}"),
    );
    must("snapshots.every_seconds", settings.snapshots.every_seconds > 0, "is 0".into());
    must("snapshots.url", !settings.snapshots.url.is_empty(), "is empty".into());
    must("keys.file", !settings.keys.file.is_empty(), "is empty".into());
    found
}
