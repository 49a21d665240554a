//! Raccord: the portal on which the principal manager of a structure creates the technical users
//! that connect its information systems to the platform's API.
//!
//! See `docs/architecture.md`. Imports only point down: [`web`] and [`cli`] are the interfaces for
//! people and programs, `pdf` and [`mail`] produce documents and mails, [`db`] holds every SQL
//! statement, and [`domain`] the rules.

pub mod cli;
pub mod db;
pub mod domain;
pub mod embedded_postgres;
mod french;
#[cfg(any(test, fuzzing))]
#[path = "../tests/fuzz/checks.rs"]
pub mod fuzzing;
mod identity_provider;
pub mod mail;
mod pdf;
pub mod private_files;
pub mod process;
pub mod program;
mod secret_keys;
pub mod server;
pub mod settings;
pub mod web;
pub mod work_queue;
