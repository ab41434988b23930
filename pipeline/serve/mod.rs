//! The reading room: what left the program, as tables that can be asked.

pub mod relations;
