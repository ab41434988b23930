//! Reading with a library's reader that asserts.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What was read; nothing where the reader asserted, as it does where bytes contradict themselves.
pub fn guarded<T>(read: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(read)).ok()
}
