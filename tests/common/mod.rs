//! What journeys stand on: a portal over a database of its own, browsers that visit it, and readers
//! for what they get.

// A harness offers more than the journeys of the day use.
#![allow(dead_code, unused_imports)]

mod browser;
mod cluster;
mod makers;
mod page;
mod pdf;
mod portal;

pub use browser::{Answer, Browser, Call, LOST, Server};
pub use cluster::{pg_dump, pgdata_holds, server_options};
pub use makers::{PASSWORD, Person, Structure};
pub use page::Page;
pub use pdf::text_of_pdf;
pub use portal::TestPortal;

use std::{
    fs,
    future::Future,
    path::{Path, PathBuf},
};

/// A route's path with an id that is the manager's own, and a token that is nobody's.
pub fn at_home(path: &str, account: i64, structure: i64) -> String {
    let id = if path.starts_with("/utilisateurs-techniques") { account } else { structure };
    path.replace("{id}", &id.to_string()).replace("{token}", "aucune")
}

/// All files in a directory, and below it.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory").flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Runs `count` futures at the same moment, on every thread that the test has.
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
