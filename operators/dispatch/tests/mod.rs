//! Dispatch by its outcomes: who holds what, and what was said of it.

mod exact;
mod limits;
mod rows;
mod stories;
mod world;
