//! Files that other users of the machine could read: the start is refused, and created ones are
//! private.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::{
    binary::{Directory, Serving, raccord, run},
    smtp::make_certificate,
};
use crate::common::TestPortal;

/// A valid line of the key file.
const KEY: &[u8] = b"a:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
}

/// The one line with which `serve` refuses to start.
fn refusal(database: &str, directory: &Directory) -> String {
    refusal_with(directory, &[("DATABASE_URL", database)])
}

/// As [`refusal`], with settings of one's own.
fn refusal_with(directory: &Directory, more: &[(&str, &str)]) -> String {
    let data = directory.path().to_str().expect("a path of text");
    let settings = [&[("RACCORD_DATA_DIR", data), ("RACCORD_LISTEN", "127.0.0.1:0")], more].concat();
    // A start that is not refused would serve until it is killed.
    let command = &mut raccord(&["serve"], &settings);
    let mut limited = std::process::Command::new("timeout");
    limited.arg("20").arg(command.get_program()).args(command.get_args()).env_clear();
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let (code, _, log) = run(&mut limited);
    assert!(code == 1 || code == 2, "{code}: {log}");
    let lines: Vec<&str> = log.lines().filter(|line| line.starts_with("RACCORD_")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    lines[0].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_that_others_can_read_stops_the_start_with_one_line_that_names_it() {
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let file = directory.file("secret.key", KEY);
    for mode in [0o644, 0o640, 0o604, 0o620, 0o602] {
        set_mode(&file, mode);
        let line = refusal(portal.database_url(), &directory);
        assert!(line.starts_with("RACCORD_SECRET_KEY_FILE: "), "{line}");
        assert!(line.contains(file.to_str().expect("text")) && line.contains("0600"), "{line}");
    }
    for mode in [0o600, 0o400] {
        set_mode(&file, mode);
        Serving::start(&directory, &["serve"], &[("DATABASE_URL", portal.database_url())]).stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_that_others_can_read_stops_the_start_with_one_line_that_names_it() {
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    for mode in [0o755, 0o750, 0o707, 0o722] {
        set_mode(directory.path(), mode);
        let line = refusal(portal.database_url(), &directory);
        assert!(line.starts_with("RACCORD_DATA_DIR: ") && line.contains("0700"), "{line}");
        assert!(line.contains(directory.path().to_str().expect("text")), "{line}");
    }
    set_mode(directory.path(), 0o700);
    Serving::start(&directory, &["serve"], &[("DATABASE_URL", portal.database_url())]).stop();
}

/// Only root can give a file away.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_of_another_user_stops_the_start() {
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let file = directory.file("secret.key", KEY);
    set_mode(&file, 0o600);
    if chown(&file, Some(65_534), None).is_err() {
        eprintln!("SKIPPED: only root can change a file's owner");
        return;
    }
    let line = refusal(portal.database_url(), &directory);
    assert!(line.starts_with("RACCORD_SECRET_KEY_FILE: ") && line.contains("65534"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_that_the_portal_creates_is_private() {
    let portal = TestPortal::start().await;
    let parent = Directory::create();
    let data = parent.path().join("new/data");
    let settings = [("DATABASE_URL", portal.database_url()), ("RACCORD_DATA_DIR", data.to_str().expect("text"))];
    portal.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
    let (code, _, log) = run(&mut raccord(&["demo"], &settings));
    assert_eq!(code, 0, "{log}");
    assert_eq!(fs::metadata(&data).expect("the data directory").mode() & 0o777, 0o700);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tls_key_that_others_can_read_stops_the_start_and_one_of_the_services_group_does_not() {
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let (certificate, key) = make_certificate(directory.path(), "portail");
    let settings = [
        ("DATABASE_URL", portal.database_url()),
        ("RACCORD_TLS_CERT", certificate.as_str()),
        ("RACCORD_TLS_KEY", &key),
    ];
    for mode in [0o644, 0o604, 0o620, 0o602] {
        set_mode(Path::new(&key), mode);
        let line = refusal_with(&directory, &settings);
        assert!(line.starts_with("RACCORD_TLS_KEY: ") && line.contains(&key) && line.contains("0600"), "{line}");
    }
    for mode in [0o600, 0o640] {
        set_mode(Path::new(&key), mode);
        let (serving, start) = (Serving::spawn(&directory, &["serve"], &settings), Instant::now());
        while !serving.log().contains("Raccord is ready") {
            assert!(start.elapsed() < Duration::from_mins(1), "{}", serving.log());
            thread::sleep(Duration::from_millis(50));
        }
        serving.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_that_others_can_replace_stops_the_start() {
    let portal = TestPortal::start().await;
    let (directory, keys) = (Directory::create(), Directory::create());
    let file = keys.file("secret.key", KEY);
    set_mode(&file, 0o600);
    let (certificate, tls_key) = make_certificate(keys.path(), "portail");
    set_mode(Path::new(&tls_key), 0o600);
    let path = file.to_str().expect("text");
    let secret = [("DATABASE_URL", portal.database_url()), ("RACCORD_SECRET_KEY_FILE", path)];
    let tls = [
        ("DATABASE_URL", portal.database_url()),
        ("RACCORD_TLS_CERT", certificate.as_str()),
        ("RACCORD_TLS_KEY", &tls_key),
    ];
    for mode in [0o777, 0o770, 0o722] {
        set_mode(keys.path(), mode);
        for (settings, name) in [(secret.as_slice(), "RACCORD_SECRET_KEY_FILE: "), (&tls, "RACCORD_TLS_KEY: ")] {
            let line = refusal_with(&directory, settings);
            let names_it = line.contains(keys.path().to_str().expect("text"));
            assert!(line.starts_with(name) && names_it && line.contains("others could replace"), "{line}");
        }
    }
    // A sticky directory keeps others from replacing what is not theirs.
    for mode in [0o755, 0o1777] {
        set_mode(keys.path(), mode);
        Serving::start(&directory, &["serve"], &secret).stop();
    }
    set_mode(keys.path(), 0o700);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_mails_that_others_can_read_or_that_is_a_link_stops_the_start() {
    let portal = TestPortal::start().await;
    let (directory, elsewhere) = (Directory::create(), Directory::create());
    let mails = directory.path().join("mails");
    fs::create_dir(&mails).expect("a directory");
    for mode in [0o777, 0o755, 0o722] {
        set_mode(&mails, mode);
        let line = refusal(portal.database_url(), &directory);
        assert!(line.starts_with("RACCORD_DATA_DIR: ") && line.contains("0700"), "{line}");
        assert!(line.contains(mails.to_str().expect("text")), "{line}");
    }
    fs::remove_dir(&mails).expect("removed");
    std::os::unix::fs::symlink(elsewhere.path(), &mails).expect("a link");
    let line = refusal(portal.database_url(), &directory);
    assert!(line.starts_with("RACCORD_DATA_DIR: ") && line.contains("must be a directory"), "{line}");
    fs::remove_file(&mails).expect("removed");
    fs::create_dir(&mails).expect("a directory");
    set_mode(&mails, 0o700);
    Serving::start(&directory, &["serve"], &[("DATABASE_URL", portal.database_url())]).stop();
}
