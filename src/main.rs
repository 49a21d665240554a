//! Wipes the memory that it frees, and runs [`raccord::program`].

use std::{alloc::System, process::ExitCode};

use zeroizing_alloc::ZeroAlloc;

/// Wipes memory when it is freed, including the buffers of libraries: requests, responses, pages
/// and PDFs hold secrets.
#[global_allocator]
static MEMORY: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    raccord::program::main()
}
