//! The room on the disk of the data directory.

use std::{path::Path, process::Command};

use super::finding::Finding;
use crate::settings::Settings;

const ABOUT: &str = "disk";

/// Free kilobytes below which something is wrong, or will be.
const LITTLE: u64 = 5 * 1024 * 1024;
const TOO_LITTLE: u64 = 512 * 1024;

pub(super) fn examine(settings: &Settings) -> Finding {
    // A directory that is not made yet will be on the disk of its parent.
    let mut path = settings.data_dir.as_path();
    while !path.exists() {
        path = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    }
    match free(path) {
        Some(kilobytes) => judge(path, kilobytes),
        None => Finding::warning(
            ABOUT,
            format!("df does not say how much is free at {}", path.display()),
            "look at it yourself",
        ),
    }
}

/// Free kilobytes, as POSIX's `df` says.
fn free(path: &Path) -> Option<u64> {
    let output = Command::new("df").arg("-Pk").arg(path).env("LC_ALL", "C").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

fn judge(path: &Path, kilobytes: u64) -> Finding {
    let gigabytes = kilobytes / 1024 / 1024;
    let found = format!("{gigabytes} GB are free at {}; the database may be on another disk", path.display());
    let mend = "make room: without it mails and an embedded database cannot be written";
    match kilobytes {
        ..TOO_LITTLE => Finding::wrong(ABOUT, found, mend),
        TOO_LITTLE..LITTLE => Finding::warning(ABOUT, found, mend),
        _ => Finding::good(ABOUT, found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::Health;

    #[test]
    fn the_disk_of_a_directory_is_measured() {
        assert!(free(&std::env::temp_dir()).is_some());
        assert_eq!(judge(Path::new("/x"), 1).health, Health::Wrong);
        assert_eq!(judge(Path::new("/x"), LITTLE).health, Health::Good);
    }
}
