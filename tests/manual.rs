//! The manual pages and the shells' completions in `deploy/manual`, which packages hold. They are
//! made from the description of the command line. After a change of it:
//! `UPDATE_MANUAL=1 cargo nextest run manual`.

use std::{collections::BTreeMap, fs, path::Path};

use clap::CommandFactory;
use clap_complete::{Shell, generate_to};
use raccord::cli::arguments::Arguments;

use crate::operator::binary::Directory;

/// What `clap_mangen` calls what follows the options.
const AFTER_OPTIONS: &str = "\n.SH EXTRA\n";

/// Every file, by its name.
fn made() -> BTreeMap<String, String> {
    let directory = Directory::create();
    clap_mangen::generate_to(<Arguments as CommandFactory>::command(), directory.path()).expect("the pages");
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        generate_to(shell, &mut <Arguments as CommandFactory>::command(), "raccord", directory.path())
            .expect("the completions");
    }
    let mut files = read(directory.path());
    for (name, text) in &mut files {
        if name.ends_with(".1") {
            *text = with_heading(text, if name == "raccord.1" { "ENVIRONMENT" } else { "EXIT STATUS" });
            // The columns of a file are one long word, which may break here.
            *text = text.replace(';', ";\\:").replacen("\n.SH NAME", "\n.ad l\n.SH NAME", 1);
        }
    }
    files
}

/// The page with a heading of its own for what follows the options, line by line as it is written.
fn with_heading(page: &str, heading: &str) -> String {
    let Some((before, after)) = page.split_once(AFTER_OPTIONS) else { return page.to_owned() };
    let (lines, rest) = after.split_at(after.find("\n.SH ").map_or(after.len(), |end| end + 1));
    format!("{before}\n.SH {heading}\n.nf\n{lines}.fi\n{rest}")
}

fn read(directory: &Path) -> BTreeMap<String, String> {
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    let files = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    files.map(|path| (name(&path), fs::read_to_string(&path).expect("a text"))).collect()
}

#[test]
fn the_manual_and_the_completions_are_those_of_the_command_line() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/manual");
    let made = made();
    if std::env::var_os("UPDATE_MANUAL").is_some() {
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).expect("the directory");
        for (name, text) in &made {
            fs::write(directory.join(name), text).expect("a file");
        }
    }
    let stored = read(&directory);
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&stored), names(&made), "UPDATE_MANUAL=1");
    for (name, text) in &made {
        assert!(stored[name] == *text, "{name} is of another command line: UPDATE_MANUAL=1");
    }
    assert!(made["raccord.1"].contains(".SH ENVIRONMENT\n.nf\n") && made["raccord.1"].contains("RACCORD_LISTEN"));
}

#[test]
fn the_newest_version_of_the_changes_is_the_programs() {
    let changes = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("CHANGELOG.md")).expect("the changes");
    let newest = changes.lines().find_map(|line| line.strip_prefix("## ")).expect("a version");
    assert_eq!(newest.split(' ').next(), Some(env!("CARGO_PKG_VERSION")));
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("the document");
    assert!(readme.contains(concat!("raccord:", env!("CARGO_PKG_VERSION"))), "the image's version in README.md");
}
