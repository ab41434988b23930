//! Where it touches the world.

pub mod log;
pub mod serve;
