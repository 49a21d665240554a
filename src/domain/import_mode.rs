//! Whether an import is tried or carried out.

/// Whether an import changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Load,
    /// Everything is tried, and nothing kept.
    DryRun,
}

impl Mode {
    /// As the argument `--dry-run` says.
    #[must_use]
    pub fn of(dry_run: bool) -> Self {
        if dry_run { Self::DryRun } else { Self::Load }
    }
}
