//! Every limit, derived in one place and asserted when the program is built (A12).

use recoup_operators::decode;

use crate::log::BATCH_MESSAGES_MAX;

/// The broker's default ceiling on one message; its own answer at connecting counts.
pub const PAYLOAD_DEFAULT: usize = 1 << 20;

/// What headers and the broker's framing may take of a message.
pub const HEADERS_MAX: usize = 4 << 10;

/// The most bytes one commit can hold, on a broker with the default ceiling.
pub const COMMIT_BYTES_MAX: usize = BATCH_MESSAGES_MAX * (PAYLOAD_DEFAULT - HEADERS_MAX);

/// A commit holds one cursor for each shard of a thread, beside what they say.
/// The broker accepts no more than 1,000 messages in a batch: a quarter may be cursors.
pub const SHARDS_MAX: u32 = (BATCH_MESSAGES_MAX / 4) as u32;

/// What one read may bring; a pull of the broker's client asks for no more.
pub const STEP_MESSAGES_MAX: usize = 16_384;

/// One message must always fit a step.
pub const STEP_BYTES_MIN: usize = PAYLOAD_DEFAULT;

/// A step's facts are held twice while it runs, its rows a few times more: so that what a step
/// says still fits one commit.
pub const STEP_BYTES_MAX: usize = 256 << 20;

/// Rows of one step: few bytes may be many rows, and a row takes some hundred bytes however short
/// its record is. One message is one step at least.
pub const STEP_ROWS_MAX: usize = 1 << 17;

/// Rows of one reference table; one version is one commit.
pub const REFERENCE_ROWS_MAX: usize = 1_000_000;

/// Takeover of a silent shard waits this long: a stream leader may be silent for 7.5 s.
pub const SILENT_SECONDS: u64 = 15;

/// How long one commit may stay without an answer before the log is asked what happened.
pub const COMMIT_TIMEOUT_MS: u64 = 5_000;

const _: () = {
    assert!(SHARDS_MAX >= 64, "a cluster has 64 shards");
    assert!(STEP_BYTES_MIN < STEP_BYTES_MAX, "a step holds at least one message");
    assert!(STEP_BYTES_MAX * 3 < COMMIT_BYTES_MAX, "three times a step's bytes fit a commit");
    assert!(decode::ROWS_MAX <= STEP_ROWS_MAX, "one message of columns is one step");
    assert!(decode::UNFOLDED_BYTES_MAX < STEP_BYTES_MAX, "what a bomb may become fits a step");
    assert!(STEP_BYTES_MAX < u32::MAX as usize, "a row number of a message fits 32 bits");
    assert!(SILENT_SECONDS * 1_000 > 2 * COMMIT_TIMEOUT_MS, "a slow commit is not a silent shard");
    assert!(HEADERS_MAX < PAYLOAD_DEFAULT, "a message has room for its payload");
};
