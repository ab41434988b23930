//! Every test that needs more than one room. One binary, so that the engine is linked once.

// A test says what it expects, and stops where that fails.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod close;
mod flow;
mod hostile;
mod log;
mod program;
mod serve;
mod sim;
mod slt;
mod tidy;
mod verbs;
