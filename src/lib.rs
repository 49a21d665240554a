//! Raccord: the portal on which the principal manager of a structure creates the technical users
//! that connect its information systems to the platform's API.
//!
//! `docs/architecture.md` has the picture. Arrows only go down: [`web`] and [`cli`] speak to people
//! and machines, [`pdf`] and [`mail`] make bytes, [`db`] holds every SQL statement, [`domain`] the
//! rules.

pub mod cli;
pub mod db;
pub mod domain;
pub mod embedded_postgres;
pub mod french;
#[cfg(any(test, fuzzing))]
#[path = "../tests/fuzz/checks.rs"]
pub mod fuzzing;
pub mod hashing;
pub mod mail;
pub mod pdf;
pub mod process;
pub mod secret_keys;
pub mod server;
pub mod settings;
pub mod web;
