//! `raccord doctor` and `raccord stats`.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::{
    binary::{Directory, raccord, run},
    postgres::Postgres,
};
use crate::common::{KEY_FILE, TestPortal, provider::Provider};

/// What `doctor` finds with these settings: its exit code, and each finding as « about health ».
pub fn examine(settings: &[(&str, &str)]) -> (i32, Vec<(String, String)>) {
    let (code, told, errors) = run(&mut raccord(&["doctor", "--json"], settings));
    assert_eq!(errors, "");
    let findings: Value = serde_json::from_str(&told).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let findings = findings.as_array().expect("a list");
    let said = |one: &Value| format!("{} {}", text(&one["found"]), text(&one["mend"]));
    (
        code,
        findings.iter().map(|one| (format!("{} {}", text(&one["about"]), text(&one["health"])), said(one))).collect(),
    )
}

#[track_caller]
pub fn assert_found(findings: &[(String, String)], kind: &str, says: &str) {
    assert!(findings.iter().any(|(found, said)| found == kind && said.contains(says)), "{kind} {says}: {findings:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_what_is_wrong_and_says_how_to_mend_it() {
    let portal = TestPortal::start().await;
    let directory = Directory::create();
    let data = directory.path().join("data");
    let data = data.to_str().expect("text");
    let keys = directory.path().join("secret.key");
    let keys = keys.to_str().expect("text");
    let base = [("DATABASE_URL", portal.database_url()), ("RACCORD_DATA_DIR", data), ("RACCORD_SECRET_KEY_FILE", keys)];
    let with = |more: &[(&'static str, &'static str)]| examine(&[&base[..], more].concat());
    let (code, findings) = with(&[]);
    assert_eq!(code, 0, "{findings:#?}");
    for (kind, says) in [
        ("settings ok", "all are known"),
        ("database ok", "PostgreSQL 1"),
        ("database ok", "schema is that of this version"),
        ("roles warning", "owns the tables"),
        ("key file warning", "is not there yet"),
        ("mail warning", "set RACCORD_SMTP_URL"),
        ("mail ok", "0 mails wait"),
        ("clock ok", "this machine's"),
        ("TLS ok", "http://127.0.0.1:8080"),
        ("disk ok", "GB are free"),
    ] {
        assert_found(&findings, kind, says);
    }
    assert!(!std::path::Path::new(keys).exists() && !std::path::Path::new(data).exists(), "it makes nothing");

    let (code, findings) = with(&[
        ("RACCORD_LISTNE", "1"),
        ("RACCORD_SMTP_URL", "smtp://127.0.0.1:9"),
        ("RACCORD_PUBLIC_URL", "http://raccord.example"),
        ("RACCORD_DATABASE_CONNECTIONS", "900"),
        ("RACCORD_TLS_CERT", "/nonexistent"),
        ("RACCORD_TLS_KEY", "/nonexistent"),
    ]);
    assert_eq!(code, 3);
    for (kind, says) in [
        ("settings warning", "RACCORD_LISTNE"),
        ("mail wrong", "does not take mails"),
        ("TLS warning", "without TLS"),
        ("TLS wrong", "RACCORD_TLS_CERT"),
        ("database wrong", "raise max_connections"),
    ] {
        assert_found(&findings, kind, says);
    }

    let provider = Provider::start("").await;
    let settings = provider.settings(&[]);
    let (code, findings) = examine(&[&base[..], &settings].concat());
    assert_eq!(code, 0, "{findings:#?}");
    assert_found(&findings, "identity provider ok", &provider.url);
    let away = provider.settings(&[("RACCORD_OIDC_ISSUER", "http://127.0.0.1:9")]);
    assert_found(&examine(&[&base[..], &away].concat()).1, "identity provider wrong", "does not answer");
    let none = provider.settings(&[("RACCORD_OIDC_CLIENT_SECRET_FILE", "/nonexistent")]);
    let (code, findings) = examine(&[&base[..], &none].concat());
    assert_eq!(code, 3);
    assert_found(&findings, "identity provider wrong", "RACCORD_OIDC_CLIENT_SECRET_FILE");

    let (code, findings) = with(&[("RACCORD_PASSWORD_LIFETIME_DAYS", "never")]);
    assert_eq!((code, findings.len()), (3, 1));
    assert_found(&findings, "settings wrong", "RACCORD_PASSWORD_LIFETIME_DAYS");
    let (code, findings) = examine(&[("DATABASE_URL", "postgres://raccord:geheim@127.0.0.1:9/raccord"), base[1]]);
    assert_eq!(code, 3);
    assert_found(&findings, "database wrong", "cannot be reached");
    assert!(findings.iter().all(|(_, said)| !said.contains("geheim")), "{findings:#?}");
    let (code, told, _) = run(&mut raccord(&["doctor"], &base));
    assert!(code == 0 && told.contains("warning  key file") && told.contains("0 wrong"), "{told}");
}

/// The end of the certificate is read, whatever authority made it.
#[test]
fn the_doctor_says_when_the_certificate_expires() {
    let directory = Directory::create();
    let path = |name: &str| directory.path().join(name).to_str().expect("text").to_owned();
    let (certificate, key) = (path("cert.pem"), path("key.pem"));
    for (days, kind, says) in [("40", "TLS ok", "expires in 39 days"), ("9", "TLS warning", "SIGHUP")] {
        let made = std::process::Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
            .args(["-subj", "/CN=raccord.example", "-days", days, "-out", &certificate, "-keyout", &key])
            .output()
            .expect("openssl is installed");
        assert!(made.status.success(), "{made:?}");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("a mode");
        let data = path("data");
        let settings =
            [("RACCORD_DATA_DIR", data.as_str()), ("RACCORD_TLS_CERT", &certificate), ("RACCORD_TLS_KEY", &key)];
        let (code, findings) = examine(&settings);
        assert_eq!(code, 0, "{findings:#?}");
        assert_found(&findings, kind, says);
        assert_found(&findings, "database warning", "not made yet");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_knows_a_key_file_that_is_not_the_database_s() {
    let portal = TestPortal::start().await;
    portal.anne_and_bruno().await;
    portal.account(1).await;
    let directory = Directory::create();
    let other = directory.file("other.key", b"");
    let path = other.to_str().expect("text");
    let look = |path: &str| examine(&[("DATABASE_URL", portal.database_url()), ("RACCORD_SECRET_KEY_FILE", path)]);
    assert_found(&look(KEY_FILE.1).1, "key file ok", "has all keys");
    let (code, findings) = look(path);
    assert_eq!(code, 3);
    assert_found(&findings, "key file wrong", "mode must be 0600");
    std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    assert_found(&look(path).1, "key file wrong", "it holds no keys");
    let key = data_encoding::BASE64URL_NOPAD.encode(&[7; 32]);
    directory.file("other.key", format!("elsewhere:{key}\n").as_bytes());
    assert_found(&look(path).1, "key file wrong", "lacks keys");
    std::fs::remove_file(&other).expect("a file");
    assert_found(&look(path).1, "key file wrong", "is missing");
    assert!(!other.exists());
}

#[test]
fn the_doctor_tells_the_role_that_serves_from_the_owner() {
    let postgres = Postgres::start(&[]);
    postgres.sql("postgres", "CREATE ROLE portal LOGIN");
    let (owner, serving) = (postgres.url("raccord", "raccord"), postgres.url("portal", "raccord"));
    let both = [("DATABASE_URL", serving.as_str()), ("RACCORD_MIGRATION_URL", owner.as_str())];
    let directory = Directory::create();
    let data = ("RACCORD_DATA_DIR", directory.path().to_str().expect("text"));
    let (_, findings) = examine(&[both[0], both[1], data]);
    assert_found(&findings, "database warning", "`raccord migrate`");
    assert_found(&findings, "roles warning", "sees no tables yet");
    assert_eq!(run(&mut raccord(&["migrate"], &both)).0, 0);
    let (_, findings) = examine(&[both[0], both[1], data]);
    assert_found(&findings, "roles ok", "portal serves, and owns nothing");
    assert_found(&findings, "roles ok", "raccord, the owner, can connect");
    postgres.sql("raccord", "REVOKE INSERT ON sessions FROM portal; REVOKE INSERT (id_hash) ON sessions FROM portal");
    assert_found(&examine(&[both[0], both[1], data]).1, "roles wrong", "lacks rights");
    let superuser = postgres.url("postgres", "raccord");
    assert_found(&examine(&[("DATABASE_URL", &superuser), data]).1, "roles wrong", "is a superuser");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_counted() {
    let portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Camille", 2).await;
    portal.signed_in(&manager).await;
    let account = portal.technical_user(&structures[0], &manager).await;
    portal.expire_in(account, "10 days").await;
    let settings = [("DATABASE_URL", portal.database_url())];
    let (code, told, errors) = run(&mut raccord(&["stats", "--json"], &settings));
    assert_eq!(code, 0, "{errors}");
    let numbers: Value = serde_json::from_str(&told).expect("JSON");
    for (name, number) in [
        ("people", 1),
        ("people_signed_in_30_days", 1),
        ("open_sessions", 1),
        ("structures_managed", 2),
        ("structures_without_manager", 0),
        ("technical_users", 1),
        ("technical_users_expiring_60_days", 1),
        ("technical_users_never_called", 1),
        ("calls_accepted_today", 0),
        ("mails_waiting", 0),
    ] {
        assert_eq!(numbers[name], number, "{name}: {told}");
    }
    let (code, told, _) = run(&mut raccord(&["stats"], &settings));
    assert!(code == 0 && told.contains("\npeople:") && told.contains("database bytes:"), "{told}");
}
