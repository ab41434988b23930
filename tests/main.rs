//! Every integration test, in one binary: linking the engine once is enough.

// A test says what it expects, and stops where that fails.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod serve;
mod tidy;
