//! Every integration test, in one binary: linking the engine once is enough.

mod serve;
