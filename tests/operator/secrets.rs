//! Where secrets must not be: in a dump, in the cluster's files and write-ahead log, in the server's log that tells every
//! statement with its values, in the portal's own log at its most talkative.

use std::{path::Path, process::Command};

use data_encoding::BASE64;

use super::{
    binary::{Directory, Serving, send},
    faults::health_check,
    postgres::Postgres,
};
use crate::common::{PASSWORD, TestPortal};

/// The files under a directory in which a text stands.
fn files_with(directory: &Path, text: &str) -> Vec<String> {
    let mut grep = Command::new("grep");
    grep.args(["--recursive", "--fixed-strings", "--files-with-matches", "--binary-files=text", "-e", text]);
    let output = grep.arg(directory).output().expect("grep is installed");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_dump_no_file_and_no_log_holds_a_secret() {
    let talkative = [
        "log_statement=all",
        "log_min_duration_statement=0",
        "log_parameter_max_length=-1",
        "log_parameter_max_length_on_error=-1",
        "log_min_error_statement=debug5",
        "wal_level=logical",
        "wal_compression=off",
    ];
    let postgres = Postgres::start(&talkative);
    let portal = TestPortal::over(&postgres.url("raccord", "raccord")).await;
    let (manager, structure) = portal.manager().await;
    let directory = Directory::create();
    let settings = [("DATABASE_URL", portal.database_url()), ("RACCORD_LOG", "trace")];
    let serving = Serving::start(&directory, &["serve"], &settings);
    let browser = portal.sign_in(serving.browser(), &manager).await;
    let (id, page, first) = portal.create_and_show(&browser, structure.id, "ERP").await;
    let account = format!("/utilisateurs-techniques/{id}");
    let nonce = page.field("nonce");
    let exported = browser.submit(&page, &format!("{account}/informations-de-connexion"), &[]).await;
    assert_eq!(exported.status, 200);
    let login = portal.text("SELECT login FROM technical_users", &[]).await;
    assert_eq!(health_check(&serving, "", &login, &first), Some(200));
    let reset = browser.open(&account).await;
    let summary = browser.submit(&reset, &format!("{account}/mot-de-passe"), &[]).await.location();
    let second = browser.open(&summary).await.password().expect("the new password");
    let token = token(&serving, &login, &second);
    // A failure tells as little: a wrong password, a value that no column takes.
    let wrong = "faux mot de passe de quinze signes";
    browser.post("/connexion", &[("identifiant", &manager.login), ("mot-de-passe", wrong)]).await;
    assert_eq!(health_check(&serving, "", &login, wrong), Some(401));
    let calendar = browser.post("/activites/echeances", &[]).await.body_text();
    let at = calendar.find("/calendrier/").expect("a link") + "/calendrier/".len();
    let calendar = calendar[at..].split('"').next().expect("its secret").to_owned();
    serving.get(&format!("/calendrier/{calendar}")).expect("an answer");
    let cookie = browser.cookies().into_values().next().expect("a session");

    postgres.sql("raccord", "CHECKPOINT");
    let dump = String::from_utf8(crate::common::pg_dump(&postgres.url("postgres", "raccord"))).expect("a text");
    let own_log = serving.stop();
    let places = postgres.data().parent().expect("its home");
    // What must be found is found: the search is no blind one.
    assert!(dump.contains(&login) && own_log.contains("answered") && postgres.log().contains(&login));
    assert!(
        files_with(places, &login).iter().any(|file| file.contains("pg_wal")),
        "the login stands in the log of writes"
    );
    let secrets = [
        ("first password", first.clone()),
        ("second password", second.clone()),
        ("cpro-account of the first", BASE64.encode(format!("{login}:{first}").as_bytes())),
        ("cpro-account of the second", BASE64.encode(format!("{login}:{second}").as_bytes())),
        ("a person's password", PASSWORD.to_owned()),
        ("a wrong password", wrong.to_owned()),
        ("session", cookie),
        ("token", token),
        ("nonce", nonce),
        ("calendar", calendar),
    ];
    for (what, secret) in secrets {
        assert!(secret.len() > 12, "{what}");
        // As it is, as a form sends it, and as PostgreSQL writes bytes.
        let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for text in [secret.clone(), form, data_encoding::HEXLOWER.encode(secret.as_bytes())] {
            assert!(!dump.contains(&text), "the dump holds it: {what}");
            assert!(!own_log.contains(&text), "the portal's log holds it: {what}");
            assert_eq!(files_with(places, &text), [""; 0], "{what}");
            assert_eq!(files_with(directory.path(), &text), [""; 0], "mails or logs: {what}");
        }
    }
}

fn token(serving: &Serving, login: &str, password: &str) -> String {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("grant_type", "client_credentials"), ("client_id", login), ("client_secret", password)])
        .finish();
    let request = format!(
        "POST /api/oauth/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}",
        body.len()
    );
    let (status, _, body) = send(serving.address, &request).expect("an answer");
    assert_eq!(status, 200, "{body}");
    let json: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    json["access_token"].as_str().expect("a token").to_owned()
}
