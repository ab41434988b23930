//! Where it touches the world.

pub mod commit;
pub mod cursor;
pub mod load;
pub mod log;
pub mod server;
