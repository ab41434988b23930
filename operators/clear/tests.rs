//! Clear is tested together with dispatch, in the small world of `operators/dispatch/tests/`:
//! what it promises is kept by both of them.
