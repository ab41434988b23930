//! Every test that needs more than one room. One binary, so that the engine is linked once.

mod log;
mod serve;
