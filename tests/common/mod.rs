//! The harness of all tests: a portal over a database of its own, browsers and programs that visit
//! it, and readers of what they get. The benchmark uses it too.

// Each user of the harness uses a part of it.
#![allow(dead_code, unused_imports)]

mod age;
mod browser;
mod changes;
mod cluster;
mod mails;
mod makers;
mod page;
mod pdf;
mod portal;
mod program;
pub mod provider;
mod readings;
mod routes;
mod services;

pub use age::AgeIdentity;
pub use browser::{Answer, Browser, Call, LOST, Server};
pub use cluster::{Database, pg_dump, pgdata_holds};
pub use makers::{ANNE, BRUNO, DIRECTORY, PASSWORD, Person, Structure};
pub use page::Page;
pub use pdf::text_of_pdf;
pub use portal::{KEY_FILE, TestPortal, accept_offer, acceptance};
pub use program::{Account, HEALTH, MEMBERSHIPS, Program, SEARCH, TOKEN, cpro_account};
pub use readings::{EventRow, MailRow};
pub use routes::{at_home, calls_of_every_kind};
pub use services::{INTROSPECT, REVOKE, Takes, TestService, form, new_signing_key};

use std::{
    fs,
    future::Future,
    path::{Path, PathBuf},
};

/// All files in a directory, and below it.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory").flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Runs `count` futures at once, on all threads of the test.
pub async fn together<F>(count: usize, make: impl Fn(usize) -> F) -> Vec<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let tasks: Vec<_> = (0..count).map(|number| tokio::spawn(make(number))).collect();
    let mut outputs = Vec::with_capacity(count);
    for task in tasks {
        outputs.push(task.await.expect("the task does not panic"));
    }
    outputs
}
