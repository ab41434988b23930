//! Where it touches the world.

pub mod serve;
