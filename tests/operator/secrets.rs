//! Secrets stand nowhere in a dump, in PostgreSQL's files, write-ahead log and most detailed log,
//! in the portal's most detailed log, nor in its memory once they are used.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    os::unix::fs::FileExt,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use data_encoding::BASE64URL_NOPAD;

use super::{
    binary::{Directory, Serving, raccord, run, send},
    faults::health_check,
    postgres::Postgres,
};
use crate::{
    common::{Browser, HEALTH, PASSWORD, Page, Person, TestPortal, TestService, cpro_account, form},
    identity::{self, MFA, enrol},
};

/// The files under a directory in which a text stands.
fn files_with(directory: &Path, text: &str) -> Vec<String> {
    let mut grep = Command::new("grep");
    grep.args(["--recursive", "--fixed-strings", "--files-with-matches", "--binary-files=text", "-e", text]);
    let output = grep.arg(directory).output().expect("grep is installed");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// The writable memory of the process: heap and stacks, one byte for each empty page. `None` where
/// this user may not read it: the portal forbids that to its own user.
fn memory(pid: u32) -> Option<Vec<u8>> {
    const PAGE: usize = 4096;
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
            for page in part.chunks(PAGE) {
                bytes.extend_from_slice(if page == &[0; PAGE][..page.len()] { &[0] } else { page });
            }
        }
        bytes.push(0);
    }
    Some(bytes)
}

fn holds(memory: &[u8], text: &[u8]) -> bool {
    let (first, rest) = text.split_first().expect("a text");
    memory.iter().enumerate().any(|(place, byte)| byte == first && memory[place + 1..].starts_with(rest))
}

/// How long a secret may stay in memory after the last byte of the answer has arrived: on a busy
/// machine, the client may be ahead of the portal.
const LET_GO: Duration = Duration::from_secs(10);

/// Searches the portal's memory until it holds none of these secrets, for [`LET_GO`] at most.
pub(super) fn assert_memory_without(serving: &Serving, known: &str, moment: &str, secrets: &[(&str, &[u8])]) {
    let start = Instant::now();
    loop {
        // The search takes seconds: what counts is when the portal was looked at.
        let looked_at = start.elapsed();
        let Some(memory) = memory(serving.pid()) else {
            eprintln!("SKIPPED: only root may search the portal's memory ({moment})");
            return;
        };
        assert!(holds(&memory, known.as_bytes()), "what must be found is found");
        // The allocator overwrites the beginning of freed memory, and the checksum at a password's
        // end can be computed again: the middle is searched for.
        let part = |secret: &'_ [u8]| secret.len() / 3..secret.len() - secret.len() / 6;
        let held = secrets.iter().filter(|(_, secret)| holds(&memory, &secret[part(secret)]));
        let held: Vec<_> = held.map(|(what, _)| *what).collect();
        if held.is_empty() {
            return;
        }
        eprintln!("memory after the {moment}, {looked_at:?} later: {held:?}");
        assert!(looked_at < LET_GO, "memory after the {moment}: {held:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Settings with which PostgreSQL logs every statement with its values.
pub(super) const TALKATIVE: [&str; 7] = [
    "log_statement=all",
    "log_min_duration_statement=0",
    "log_parameter_max_length=-1",
    "log_parameter_max_length_on_error=-1",
    "log_min_error_statement=debug5",
    "wal_level=logical",
    "wal_compression=off",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_dump_no_file_and_no_log_holds_a_secret() {
    let postgres = Postgres::start(&TALKATIVE);
    let portal = TestPortal::over(&postgres.url("raccord", "raccord")).await;
    let (manager, structure) = portal.manager().await;
    let directory = Directory::create();
    let settings = [("DATABASE_URL", portal.database_url()), ("RACCORD_LOG", "trace")];
    let serving = Serving::start(&directory, &["serve"], &settings);
    let browser = portal.sign_in(serving.browser(), &manager).await;
    let (id, page, first) = portal.create_and_show(&browser, structure.id, "ERP").await;
    let account = format!("/utilisateurs-techniques/{id}");
    let nonce = page.field("nonce");
    let shown = as_shown(&page);
    let exported = browser.submit(&page, &format!("{account}/informations-de-connexion"), &[]).await;
    assert_eq!(exported.status, 200);
    let login = portal.login_of(id).await;
    assert_eq!(health_check(&serving, "", &login, &first), Some(200));
    let known = portal.database_url().rsplit('/').next().expect("the database's name");
    let first_account = cpro_account(&login, &first);
    let cookie = browser.cookies().into_values().next().expect("a session");
    // As tower-sessions keeps it: the cookie can be made from it again.
    let session_id = BASE64URL_NOPAD.decode(cookie.as_bytes()).expect("a session's id");
    let at_first = [
        ("first password", first.as_bytes()),
        ("its cpro-account", first_account.as_bytes()),
        // In groups, as the page shows it.
        ("first password as shown", shown.as_bytes()),
        ("a person's password", PASSWORD.as_bytes()),
        ("session", cookie.as_bytes()),
        ("session in binary", &session_id),
        ("nonce", nonce.as_bytes()),
    ];
    let idle = [
        stay(&serving, &health_check_request(&first_account)),
        stay(&serving, &token_request(&login, &first, "keep-alive")),
        // Answered at once, without a look into the database.
        stay(&serving, &style_request(&page, &browser)),
    ];
    let (signed_in, other_cookie) = sign_in_and_stay(&serving, &manager.login);
    let meanwhile = [&at_first[..], &[("other session", other_cookie.as_bytes())]].concat();
    assert_memory_without(&serving, known, "first display", &meanwhile);
    drop((idle, signed_in));
    let reset = browser.open(&account).await;
    let summary = browser.submit(&reset, &format!("{account}/mot-de-passe"), &[]).await.location();
    let second = browser.open(&summary).await.password().expect("the new password");
    let at_second = [&at_first[..], &[("second password", second.as_bytes())]].concat();
    assert_memory_without(&serving, known, "second display", &at_second);
    let token = token(&serving, &login, &second);
    let service = added_service(&portal, &directory);
    let signed = signed_token(&serving, &login, &second, &service);
    // A failure tells as little: a wrong password, a value that no column takes.
    let wrong = "faux mot de passe de quinze signes";
    browser.post("/connexion", &[("identifiant", &manager.login), ("mot-de-passe", wrong)]).await;
    assert_eq!(health_check(&serving, "", &login, wrong), Some(401));
    let calendar = fetched_calendar(&serving, &browser).await;
    let link = followed_link(&portal, &serving, &manager).await;
    let (key, codes) = enrol(&portal, &browser).await;
    let guarded = identity::give_password(serving.browser(), &manager).await;
    guarded.post(identity::CODE, &[("code", &codes[0])]).await.location();
    let renewed = guarded.submit(&guarded.open(MFA).await, &format!("{MFA}/codes-de-secours"), &[]).await;
    let new_codes = identity::shown_codes(&renewed.page());

    postgres.sql("raccord", "CHECKPOINT");
    let dump = String::from_utf8(crate::common::pg_dump(&postgres.url("postgres", "raccord"))).expect("a text");
    let secrets = [
        ("first password", first.clone()),
        ("second password", second.clone()),
        ("cpro-account of the first", first_account.clone()),
        ("cpro-account of the second", cpro_account(&login, &second)),
        ("a person's password", PASSWORD.to_owned()),
        ("a wrong password", wrong.to_owned()),
        ("session", cookie.clone()),
        ("token", token),
        ("secret of a service", service.secret.clone()),
        ("signed token", signed),
        ("nonce", nonce.clone()),
        ("calendar", calendar),
        ("link of a mail", link),
        ("key of the second factor", key.clone()),
        ("recovery code that served", codes[0].clone()),
        ("recovery code that was replaced", codes[1].clone()),
        ("new recovery code", new_codes[0].clone()),
    ];
    let raw = data_encoding::BASE32_NOPAD.decode(key.as_bytes()).expect("base32");
    let mut at_the_end: Vec<_> = secrets.iter().map(|(what, secret)| (*what, secret.as_bytes())).collect();
    at_the_end.push(("session in binary", &session_id));
    at_the_end.extend([("raw key of the second factor", &raw[..]), ("first password as shown", shown.as_bytes())]);
    assert_memory_without(&serving, known, "end", &at_the_end);
    let own_log = serving.stop();
    assert!(own_log.contains("answered") && dump.contains(&login), "the search itself works");
    assert_nowhere(&postgres, &directory, &[("the dump", &dump), ("the portal's log", &own_log)], (&login, &secrets));
}

/// Searches texts, PostgreSQL's files and the portal's directory for secrets. What is `known` to
/// stand in the log of writes must be found there.
pub(super) fn assert_nowhere(
    postgres: &Postgres,
    directory: &Directory,
    texts: &[(&str, &str)],
    (known, secrets): (&str, &[(&str, String)]),
) {
    let places = postgres.data().parent().expect("its home");
    assert!(postgres.log().contains(known));
    assert!(files_with(places, known).iter().any(|file| file.contains("pg_wal")), "it stands in the log of writes");
    for (what, secret) in secrets {
        assert!(secret.len() > 12, "{what}");
        // As it is, as a form sends it, and as PostgreSQL writes bytes.
        let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for text in [secret.clone(), form, data_encoding::HEXLOWER.encode(secret.as_bytes())] {
            for (place, content) in texts {
                assert!(!content.contains(&text), "{place} holds it: {what}");
            }
            assert_eq!(files_with(places, &text), [""; 0], "{what}");
            assert_eq!(files_with(directory.path(), &text), [""; 0], "mails or logs: {what}");
        }
    }
}

/// A session's id as the program computes with it, in both orders of its bytes.
fn raw_ids(cookie: &str) -> [Vec<u8>; 2] {
    let id = data_encoding::BASE64URL_NOPAD.decode(cookie.as_bytes()).expect("base64url");
    assert_eq!(id.len(), 16);
    let reversed = id.iter().rev().copied().collect();
    [id, reversed]
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_seconds_after_the_last_connection_no_session_id_is_in_memory() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let directory = Directory::create();
    let serving = Serving::start(&directory, &["serve"], &[("DATABASE_URL", portal.database_url())]);
    let mut secrets = Vec::new();
    for label in ["ERP", "Paie"] {
        let browser = portal.sign_in(serving.browser(), &manager).await;
        portal.create_and_show(&browser, structure.id, label).await;
        for path in ["/activites", "/mon-compte", "/aucune", "/mon-compte/demandes-de-rattachement"] {
            browser.get(path).await;
        }
        secrets.push(browser.cookies().into_values().next().expect("a session"));
    }
    let gone = portal.sign_in(serving.browser(), &manager).await;
    secrets.push(gone.cookies().into_values().next().expect("a session"));
    gone.post("/deconnexion", &[]).await.location();
    let known = portal.database_url().split(['/', '?']).find(|part| part.starts_with("test_")).expect("its database");
    let raw: Vec<[Vec<u8>; 2]> = secrets.iter().map(|cookie| raw_ids(cookie)).collect();
    let texts = secrets.iter().map(|cookie| ("cookie", cookie.as_bytes()));
    let ids = raw.iter().flat_map(|[id, reversed]| [("id", &id[..]), ("reversed id", &reversed[..])]);
    let named: Vec<_> = texts.chain(ids).collect();
    assert_memory_without(&serving, known, "last connection", &named);
}

/// Makes a call and keeps the connection open.
fn stay(serving: &Serving, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(serving.address).expect("a connection");
    stream.write_all(request.as_bytes()).expect("it takes the request");
    let mut start = [0; 12];
    stream.read_exact(&mut start).expect("an answer");
    assert_eq!(&start, b"HTTP/1.1 200");
    stream
}

/// The secret of a new calendar that was asked for once.
async fn fetched_calendar(serving: &Serving, browser: &Browser) -> String {
    let page = browser.post("/activites/echeances", &[]).await.body_text();
    let at = page.find("/calendrier/").expect("a link") + "/calendrier/".len();
    let secret = page[at..].split('"').next().expect("its secret").to_owned();
    serving.get(&format!("/calendrier/{secret}")).expect("an answer");
    secret
}

/// The secret of a link to choose a password, which was followed and not used.
async fn followed_link(portal: &TestPortal, serving: &Serving, person: &Person) -> String {
    let link = portal.invitation(person).await;
    let (status, _, _) = serving.get(&link).expect("an answer");
    assert_eq!(status, 200);
    link.rsplit('/').next().expect("its secret").to_owned()
}

fn health_check_request(account: &str) -> String {
    format!("GET {HEALTH} HTTP/1.1\r\nHost: x\r\ncpro-account: {account}\r\n\r\n")
}

/// The page's style sheet, as a browser that is signed in asks for it.
fn style_request(page: &Page, browser: &Browser) -> String {
    let mut links = page.html().split("href=\"").filter_map(|rest| rest.split('"').next());
    let style = links.find(|link| link.starts_with("/static/")).expect("its style");
    let (name, cookie) = browser.cookies().into_iter().next().expect("a session");
    format!("GET {style} HTTP/1.1\r\nHost: x\r\nCookie: {name}={cookie}\r\n\r\n")
}

/// The password of the récapitulatif with the marks between its groups.
fn as_shown(page: &Page) -> String {
    let shown = page.html().split("id=\"mot-de-passe\"").nth(1).and_then(|rest| rest.split("</output>").next());
    shown.and_then(|rest| rest.split_once('>')).expect("the password as it is shown").1.to_owned()
}

/// Signs in and stays; gives the session's cookie, too.
fn sign_in_and_stay(serving: &Serving, login: &str) -> (TcpStream, String) {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("identifiant", login), ("mot-de-passe", PASSWORD)])
        .finish();
    let request = format!(
        "POST /connexion HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: same-origin\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(serving.address).expect("a connection");
    stream.write_all(request.as_bytes()).expect("it takes the request");
    let (mut head, mut byte) = (String::new(), [0]);
    while !head.ends_with("\r\n\r\n") {
        stream.read_exact(&mut byte).expect("an answer");
        head.push(char::from(byte[0]));
    }
    let cookie = head.split("et-cookie: ").nth(1).and_then(|rest| rest.split(['=', ';']).nth(1)).expect("a session");
    (stream, cookie.to_owned())
}

fn token_request(login: &str, password: &str, connection: &str) -> String {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("grant_type", "client_credentials"), ("client_id", login), ("client_secret", password)])
        .finish();
    format!(
        "POST /api/oauth/token HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}",
        body.len()
    )
}

/// A service that the operator added, with the key file of the process that serves.
fn added_service(portal: &TestPortal, directory: &Directory) -> TestService {
    let keys = directory.path().join("secret.key");
    let keys = keys.to_str().expect("a path of text");
    let audience = "https://api.example/factures";
    let settings = [("DATABASE_URL", portal.database_url()), ("RACCORD_SECRET_KEY_FILE", keys)];
    let (code, told, errors) =
        run(&mut raccord(&["service", "add", "factures", "--audience", audience, "--jwt"], &settings));
    assert_eq!(code, 0, "{errors}");
    let said = |name: &str| told.lines().find_map(|line| line.strip_prefix(name)).expect("a line").to_owned();
    TestService {
        name: "factures".into(),
        client_id: said("id: "),
        secret: said("secret: "),
        audience: audience.into(),
    }
}

/// A signed token that a service was shown, and asked about.
fn signed_token(serving: &Serving, login: &str, password: &str, service: &TestService) -> String {
    let post = |path: &str, fields: &[(&str, &str)]| {
        let body = form(fields);
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}",
            body.len()
        );
        let (status, _, body) = send(serving.address, &request).expect("an answer");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<serde_json::Value>(&body).expect("JSON")
    };
    let client = [("client_id", login), ("client_secret", password)];
    let asked = [("grant_type", "client_credentials"), ("resource", service.audience.as_str())];
    let answer = post("/api/oauth/token", &[client, asked].concat());
    let token = answer["access_token"].as_str().expect("a token").to_owned();
    let own = [("client_id", service.client_id.as_str()), ("client_secret", service.secret.as_str())];
    let question = [("token", token.as_str())];
    assert_eq!(post("/api/oauth/introspect", &[&own[..], &question].concat())["active"], true);
    token
}

fn token(serving: &Serving, login: &str, password: &str) -> String {
    let (status, _, body) = send(serving.address, &token_request(login, password, "close")).expect("an answer");
    assert_eq!(status, 200, "{body}");
    let json: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    json["access_token"].as_str().expect("a token").to_owned()
}
