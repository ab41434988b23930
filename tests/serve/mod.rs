//! The reading room from outside: its relations, and its answers to the clients people use.

mod relations;
