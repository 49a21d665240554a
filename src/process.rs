//! What the process asks of the kernel and of the runtime when it starts.

use std::{io, panic};

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// File descriptors that are kept for other things than visitors: files, mails, the log, the
/// runtime.
const RESERVED: usize = 100;

/// Keeps the memory, which holds passwords for moments, off the disks and from other processes: no
/// core dump is written (and none of a child's), and nobody but root may attach to the process or
/// read its memory.
///
/// # Errors
/// Where the kernel refuses.
pub fn keep_memory_private() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Raises the limit of open files to the most that the process may have, and says how many
/// connections of visitors there is room for beside `database_connections`.
pub fn make_room_for_connections(database_connections: u32) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let files = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    let files = files.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
    let taken = RESERVED + usize::try_from(database_connections).unwrap_or(0);
    files.saturating_sub(taken).max(16)
}

/// Tells a panic as one event of the log, with its request's number, where it would be lines of
/// standard error between events.
pub fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, cause = panic.payload_as_str(), "a panic");
    }));
}
