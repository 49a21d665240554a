//! Reads single settings, whatever they are about.

use std::{path::PathBuf, str::FromStr};

use thiserror::Error;

/// A setting that cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{name}: {problem}")]
pub struct SettingError {
    pub name: &'static str,
    pub problem: String,
}

/// Where settings are read from. An empty value counts as unset.
pub(super) struct Source<'a> {
    pub(super) get: &'a dyn Fn(&str) -> Option<String>,
}

impl Source<'_> {
    pub(super) fn text(&self, name: &str) -> Option<String> {
        (self.get)(name).map(|value| value.trim().to_owned())
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    pub(super) fn parsed<T: FromStr>(&self, name: &'static str, wanted: &str) -> Result<Option<T>, SettingError> {
        self.text(name).map(|value| value.parse().map_err(|_| not(name, wanted, &value))).transpose()
    }

    pub(super) fn within(
        &self,
        name: &'static str,
        default: i32,
        range: std::ops::RangeInclusive<i32>,
    ) -> Result<i32, SettingError> {
        Ok(self.within_if_set(name, range)?.unwrap_or(default))
    }

    pub(super) fn within_if_set(
        &self,
        name: &'static str,
        range: std::ops::RangeInclusive<i32>,
    ) -> Result<Option<i32>, SettingError> {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        match self.parsed(name, &wanted)? {
            Some(value) if !range.contains(&value) => Err(not(name, &wanted, &value.to_string())),
            value => Ok(value),
        }
    }

    pub(super) fn directory(&self, name: &'static str) -> Result<Option<PathBuf>, SettingError> {
        match self.path(name) {
            Some(path) if !path.is_dir() => Err(not(name, "a directory that exists", &path.display().to_string())),
            path => Ok(path),
        }
    }
}

/// Whether this names the machine itself.
pub(super) fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// The error of a value that is none of what is wanted.
pub(super) fn not(name: &'static str, wanted: &str, value: &str) -> SettingError {
    SettingError { name, problem: format!("must be {wanted}, not {value:?}") }
}
