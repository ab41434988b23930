//! The program `recoup`: its command line is `pipeline/cli/`.

use std::process::ExitCode;

/// Batches are allocated and freed by the thousand; this allocator minds it least.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    recoup::cli::main(std::env::args_os())
}
