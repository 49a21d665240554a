//! Process-wide settings made at startup: memory protection, file limit, panic log.

use std::{io, panic};

use rustix::process::{DumpableBehavior, Resource, Rlimit, geteuid, getrlimit, set_dumpable_behavior, setrlimit};

/// File descriptors reserved for other things than connections: files, mails, the log, the runtime.
const RESERVED: usize = 100;

/// Protects the memory, which briefly holds passwords: no core dump is written, neither of this
/// process nor of its children, and only root may attach to the process or read its memory.
///
/// # Errors
/// Where the kernel refuses.
pub fn keep_memory_private() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Raises the limit of open files to its maximum. Returns how many connections the process has file
/// descriptors for, beside `database_connections`.
pub fn make_room_for_connections(database_connections: u32) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let files = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    let files = files.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
    let taken = RESERVED + usize::try_from(database_connections).unwrap_or(0);
    files.saturating_sub(taken).max(16)
}

/// Whether the process runs as root.
pub fn runs_as_root() -> bool {
    geteuid().is_root()
}

/// Logs a panic as one event with its request's number, instead of several lines on standard error.
pub fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, cause = panic.payload_as_str(), "a panic");
    }));
}
