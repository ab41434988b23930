//! The fuzzer: libFuzzer over one target, which the variable FUZZ_TARGET names.
//!
//! `./x fuzz json 600` builds and runs it; `README.md` tells how.

#![no_main]
// The macro makes the function that libFuzzer calls, and a target stops where something is wrong.
#![allow(unsafe_code, clippy::expect_used, clippy::unwrap_used)]

mod targets;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use targets::{ALL, Target};

static TARGET: OnceLock<Target> = OnceLock::new();

fuzz_target!(
    init: {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        let found = ALL.iter().find(|(known, _)| *known == name);
        let Some((_, target)) = found else {
            let known: Vec<_> = ALL.iter().map(|(known, _)| *known).collect();
            panic!("FUZZ_TARGET is one of {}", known.join(", "));
        };
        let _ = TARGET.set(*target);
        // Readers of others assert where bytes contradict themselves; we catch that, and only what
        // nobody catches is a finding.
        if std::env::var("FUZZ_LOUD").is_err() {
            std::panic::set_hook(Box::new(|_| {}));
        }
    },
    |bytes: &[u8]| {
        if let Some(target) = TARGET.get() {
            target(bytes);
        }
    }
);
