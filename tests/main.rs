//! One integration binary: linking the engine once is enough.

mod tidy;
