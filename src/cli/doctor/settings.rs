//! The settings: whether they can be read, and those that are passed over.

use super::finding::Finding;
use crate::{
    private_files, process,
    settings::{self, Settings},
};

const ABOUT: &str = "settings";

/// Reads the settings of the environment.
///
/// # Errors
/// What is wrong with the first one that cannot be used.
pub fn read_settings() -> Result<Settings, Finding> {
    Settings::read(|name| std::env::var(name).ok())
        .map_err(|error| Finding::wrong(ABOUT, error.to_string(), "correct it; `raccord --help` explains each setting"))
}

pub(super) fn examine(settings: &Settings) -> Vec<Finding> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let unknown = settings::unknown_names(names);
    let mut findings = vec![if unknown.is_empty() {
        Finding::good(ABOUT, "all are known and can be used")
    } else {
        let found = format!("there are no such settings: {}", unknown.join(", "));
        Finding::warning(ABOUT, found, "correct the names, or unset them; `raccord --help` lists all settings")
    }];
    findings.extend(settings.unproven_databases().into_iter().map(|name| {
        let found = format!("{name}: the database's certificate is not checked");
        Finding::warning(ABOUT, found, "add ?sslmode=verify-full (and sslrootcert=… for an authority of your own)")
    }));
    findings.extend(data_directory(settings));
    findings
}

fn data_directory(settings: &Settings) -> Option<Finding> {
    let is_embedded = settings.database.is_none();
    let mode = if is_embedded && process::runs_as_root() { 0o711 } else { 0o700 };
    let path = &settings.data_dir;
    let error = private_files::check_directory(path, mode).err()?;
    let mend = "correct its owner and its mode, or name another directory";
    Some(Finding::wrong(ABOUT, format!("RACCORD_DATA_DIR: cannot use {}: {error}", path.display()), mend))
}
