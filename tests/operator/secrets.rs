//! Where secrets must not be: in a dump, in the cluster's files and write-ahead log, in the server's log that tells every
//! statement with its values, in the portal's own log at its most talkative, and in its memory once it is done with them.

use std::{
    fs::{self, File},
    io::ErrorKind,
    os::unix::fs::FileExt,
    path::Path,
    process::Command,
};

use data_encoding::BASE64;

use super::{
    binary::{Directory, Serving, send},
    faults::health_check,
    postgres::Postgres,
};
use crate::{
    common::{PASSWORD, TestPortal},
    identity::{self, MFA, enrol},
};

/// The files under a directory in which a text stands.
fn files_with(directory: &Path, text: &str) -> Vec<String> {
    let mut grep = Command::new("grep");
    grep.args(["--recursive", "--fixed-strings", "--files-with-matches", "--binary-files=text", "-e", text]);
    let output = grep.arg(directory).output().expect("grep is installed");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// All that the process may write to, as it is now: its heap and stacks. `None` where only root may read it, and we are not.
fn memory(pid: u32) -> Option<Vec<u8>> {
    let memory = match File::open(format!("/proc/{pid}/mem")) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return None,
        opened => opened.expect("the process is there"),
    };
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("its map");
    let mut bytes = Vec::new();
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw"))) {
        let (from, to) = line.split_once(' ').and_then(|(range, _)| range.split_once('-')).expect("a range");
        let (from, to) = (u64::from_str_radix(from, 16).expect("hex"), u64::from_str_radix(to, 16).expect("hex"));
        let mut part = vec![0; usize::try_from(to - from).expect("a length")];
        if memory.read_exact_at(&mut part, from).is_ok() {
            bytes.extend(part);
        }
    }
    Some(bytes)
}

fn count_in(memory: &[u8], text: &[u8]) -> usize {
    let (first, rest) = text.split_first().expect("a text");
    let starts = memory.iter().enumerate().filter(|(_, byte)| *byte == first);
    starts.filter(|(place, _)| memory[place + 1..].starts_with(rest)).count()
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
    let shown = page.html().split("id=\"mot-de-passe\"").nth(1).and_then(|rest| rest.split("</output>").next());
    let shown = shown.and_then(|rest| rest.split_once('>')).expect("the password as it is shown").1.to_owned();
    let exported = browser.submit(&page, &format!("{account}/informations-de-connexion"), &[]).await;
    assert_eq!(exported.status, 200);
    let login = portal.text("SELECT login FROM technical_users", &[]).await;
    assert_eq!(health_check(&serving, "", &login, &first), Some(200));
    let after_the_first = memory(serving.pid());
    let reset = browser.open(&account).await;
    let summary = browser.submit(&reset, &format!("{account}/mot-de-passe"), &[]).await.location();
    let second = browser.open(&summary).await.password().expect("the new password");
    let after_the_second = memory(serving.pid());
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
    let (key, codes) = enrol(&portal, &browser).await;
    let guarded = identity::give_password(serving.browser(), &manager).await;
    guarded.post(identity::CODE, &[("code", &codes[0])]).await.location();
    let renewed = guarded.submit(&guarded.open(MFA).await, &format!("{MFA}/codes-de-secours"), &[]).await;
    let new_codes = identity::shown_codes(&renewed.page());

    postgres.sql("raccord", "CHECKPOINT");
    let dump = String::from_utf8(crate::common::pg_dump(&postgres.url("postgres", "raccord"))).expect("a text");
    let at_the_end = memory(serving.pid());
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
        ("key of the second factor", key.clone()),
        ("recovery code that served", codes[0].clone()),
        ("recovery code that was replaced", codes[1].clone()),
        ("new recovery code", new_codes[0].clone()),
    ];
    let moments = [("first display", after_the_first), ("second display", after_the_second), ("end", at_the_end)];
    for (moment, memory) in moments.iter().filter_map(|(moment, memory)| Some((moment, memory.as_ref()?))) {
        let known = portal.database_url().rsplit('/').next().expect("the database's name");
        assert!(count_in(memory, known.as_bytes()) > 0, "what must be found is found");
        for (what, secret) in &secrets {
            // Allocators write over the beginning of what is given back to them.
            let end = &secret.as_bytes()[secret.len() / 3..];
            assert_eq!(count_in(memory, end), 0, "memory after the {moment}: {what}");
        }
        let raw = data_encoding::BASE32_NOPAD.decode(key.as_bytes()).expect("base32");
        assert_eq!(count_in(memory, &raw[6..]), 0, "memory after the {moment}: raw key of the second factor");
        // In groups, as the page shows it.
        assert_eq!(count_in(memory, &shown.as_bytes()[shown.len() / 3..]), 0, "memory after the {moment}: page");
    }
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
