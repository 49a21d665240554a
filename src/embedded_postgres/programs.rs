//! Finds `PostgreSQL`'s programs, and runs them as the cluster's owner.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::{getegid, geteuid};

use super::error::{At, EmbeddedPostgresError, Result};

/// The user and group that the server runs as and that own its files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    pub uid: u32,
    pub gid: u32,
}

impl Owner {
    /// The current user; for root, the owner of the existing cluster, else user `postgres`.
    pub(super) fn find(cluster: &Path) -> Result<Self> {
        let current = Self::current();
        if current.uid != 0 {
            return Ok(current);
        }
        match Self::of(cluster) {
            Ok(owner) if owner.uid != 0 => Ok(owner),
            _ => Self::postgres().ok_or(EmbeddedPostgresError::NoUserForRoot),
        }
    }

    /// Not read from `/proc/self`, which belongs to root for a process that is not dumpable.
    fn current() -> Self {
        Self { uid: geteuid().as_raw(), gid: getegid().as_raw() }
    }

    fn of(path: &Path) -> Result<Self> {
        let meta = fs::metadata(path).at(path)?;
        Ok(Self { uid: meta.uid(), gid: meta.gid() })
    }

    fn postgres() -> Option<Self> {
        let users = fs::read_to_string("/etc/passwd").ok()?;
        let mut fields = users.lines().find_map(|line| line.strip_prefix("postgres:"))?.split(':').skip(1);
        Some(Self { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    }

    /// A command that runs as this user with a clean environment: the server must not inherit the
    /// portal's secrets, a `PGPORT`, or a working directory that it cannot enter.
    pub(super) fn command(self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C.UTF-8").current_dir("/");
        // Its own process group: Ctrl-C in the terminal must reach the portal alone, which stops
        // the database last.
        command.stdin(Stdio::null()).process_group(0);
        if Self::current().uid == 0 {
            // For root, `uid` also drops the supplementary groups.
            command.uid(self.uid).gid(self.gid);
        }
        command
    }
}

/// The directory that holds `initdb`, `pg_ctl` and `postgres`.
#[derive(Debug)]
pub(super) struct Programs(PathBuf);

/// A program to run.
pub(super) struct Call<'a> {
    pub name: &'static str,
    pub args: &'a [&'a str],
    /// On its standard input.
    pub input: &'a str,
}

impl Programs {
    /// `pg_bin`; else Debian's (the version that created the cluster, else the newest); else the
    /// programs on `PATH`.
    pub(super) fn find(pg_bin: Option<&Path>, cluster_version: Option<&str>) -> Result<Self> {
        let complete = |bin: &PathBuf| ["initdb", "pg_ctl", "postgres"].iter().all(|name| bin.join(name).is_file());
        if let Some(bin) = pg_bin {
            let bin = std::path::absolute(bin).at(bin)?;
            return if complete(&bin) { Ok(Self(bin)) } else { Err(EmbeddedPostgresError::NotABinDirectory(bin)) };
        }
        let debian = debian_versions(cluster_version)
            .into_iter()
            .map(|version| format!("/usr/lib/postgresql/{version}/bin").into());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = debian.chain(std::env::split_paths(&path)).find(complete);
        found.map(Self).ok_or(EmbeddedPostgresError::NotInstalled)
    }

    /// Runs a program to its end. Its output goes to the file `output`: the server that `pg_ctl`
    /// starts would keep a pipe open.
    pub(super) fn run(&self, owner: Owner, Call { name, args, input }: Call<'_>, output: &Path) -> Result<()> {
        let file = File::create(output).at(output)?;
        let mut command = owner.command(self.0.join(name));
        command.args(args).stdin(Stdio::piped()).stdout(file.try_clone().at(output)?).stderr(file);
        let mut child = command.spawn().at(&self.0.join(name))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that fails early does not read its input. Its exit code says more than the
            // broken pipe.
            let _ = stdin.write_all(input.as_bytes());
        }
        if child.wait().at(&self.0.join(name))?.success() {
            return Ok(());
        }
        Err(EmbeddedPostgresError::Program { program: name, output: last_lines(output) })
    }
}

/// Debian's installed versions: the cluster's own version first, then the newest first.
fn debian_versions(cluster_version: Option<&str>) -> Vec<u32> {
    let entries = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    versions.sort_by_key(|version| (cluster_version == Some(version.to_string().as_str()), *version));
    versions.reverse();
    versions
}

/// The last lines of a log, joined into one for an error message.
pub(super) fn last_lines(log: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(5)..].join(" | ")
}
