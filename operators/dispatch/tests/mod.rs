//! Dispatch by its outcomes: who holds what, and what was said of it.

mod exact;
mod exits;
mod falls;
mod feed;
mod limits;
mod stories;
mod world;
