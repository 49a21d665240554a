//! A gateway between Raccord, an API and callers of every kind, and what must hold there.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use raccord::{
    db::api::signing_keys,
    domain::{signing_key::Claims, technical_user::TechnicalUserStatus},
};

use super::{
    namespaces::Pair,
    program::{Gateway, Running, Values},
    small_api::{Seen, SmallApi},
};
use crate::{
    common::{Account, Program, Takes, TestPortal, TestService, cpro_account},
    operator::binary::{Directory, Serving, free_address, raccord, run, send},
};

const KEY_FILE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/secret.key");
/// The longest time until a call is denied where Raccord does not answer.
const PROMISED: Duration = Duration::from_secs(3);

/// Structures of [`TestPortal::anne_and_bruno`], within the account's rights and outside them.
const WITHIN: &str = "21690123100011";
const OUTSIDE: &str = "21130055300016";

/// The headers that tell an API who calls.
const FORGED: [&str; 7] = [
    "X-Raccord-Login",
    "X-Raccord-Structure",
    "x-raccord-scope",
    "X-Raccord-Expiration",
    "X-Raccord-For-Structure",
    "X-Raccord-Structure-Authorized",
    "X-Raccord-Status",
];
/// What the name of a header may have beside letters, digits and hyphens (`tchar` of RFC 9110).
const SIGNS: &str = "!#$%&'*+.^_`|~";
/// Headers of one call: a gateway takes about a hundred.
const AT_ONCE: usize = 60;

/// The spellings of a header's name that some APIs take for the same name, and the name itself:
/// each hyphen may be another sign, and a sign may stand at any place.
fn spellings_of(name: &'static str) -> Vec<&'static str> {
    let mut spellings = vec![name.to_owned()];
    for sign in SIGNS.chars() {
        spellings.extend(hyphens_replaced(name, sign));
        spellings.extend((0..=name.len()).map(|place| format!("{}{sign}{}", &name[..place], &name[place..])));
    }
    spellings.into_iter().map(|name| &*name.leak()).collect()
}

/// The name with the sign in place of some or all hyphens.
fn hyphens_replaced(name: &str, sign: char) -> Vec<String> {
    let parts: Vec<&str> = name.split('-').collect();
    let spelled = |choice: usize| {
        let join = |(number, part): (usize, &&str)| match choice >> number & 1 {
            1 => format!("{sign}{part}"),
            _ => format!("-{part}"),
        };
        parts[0].to_owned() + &parts[1..].iter().enumerate().map(join).collect::<String>()
    };
    (1..1 << (parts.len() - 1)).map(spelled).collect()
}

/// What a client sends.
type Headers = Vec<(&'static str, String)>;

/// Which credential a step uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    Password,
    Jwt,
}

pub struct World {
    gateway: Gateway,
    portal: TestPortal,
    account: Account,
    service: TestService,
    api: SmallApi,
    running: Running,
    raccord: Serving,
    directory: Directory,
}

impl World {
    /// `None` where the gateway is not installed.
    pub async fn start(gateway: Gateway) -> Option<Self> {
        Self::start_at(gateway, free_address()).await
    }

    /// The gateway listens at this address.
    pub async fn start_at(gateway: Gateway, address: SocketAddr) -> Option<Self> {
        let portal = TestPortal::with(&[("RACCORD_SECRET_KEY_FILE", KEY_FILE)]).await;
        portal.anne_and_bruno().await;
        let account = portal.account(1).await;
        let takes = if gateway == Gateway::Haproxy { Takes::Jwts } else { Takes::EveryToken };
        let service = portal.service("factures", takes).await;
        let directory = Directory::create();
        if gateway == Gateway::Haproxy {
            write_keys(&directory, portal.database_url());
        }
        let raccord = Serving::start(&directory, &["serve"], &settings(&portal));
        let api = SmallApi::start();
        let values = Values {
            raccord: raccord.address,
            api: api.address,
            service_id: &service.client_id,
            service_secret: &service.secret,
            siret: OUTSIDE,
        };
        let running = Running::start(gateway, address, &directory, &values)?;
        Some(Self { gateway, portal, account, service, api, running, raccord, directory })
    }

    fn call(&self, line: &str, headers: &Headers, body: &str) -> (u16, String) {
        let mut request = format!("{line} HTTP/1.1\r\nHost: api.example\r\nContent-Length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "Connection") {
            request += "Connection: close\r\n";
        }
        for (name, value) in headers {
            request.extend([name, ": ", value, "\r\n"]);
        }
        let answer = send(self.running.address, &format!("{request}\r\n{body}"));
        let (status, head, _) = answer.unwrap_or_else(|| panic!("{line}: no answer\n{}", self.running.log()));
        (status, head)
    }

    fn status(&self, line: &str, headers: &Headers) -> u16 {
        self.call(line, headers, "").0
    }

    /// The one call that reached the API since the last one.
    fn seen(&self) -> Seen {
        let seen = self.api.take();
        assert_eq!(seen.len(), 1, "{:?}: {seen:?}", self.gateway);
        seen.into_iter().next().expect("one")
    }

    async fn token(&self, account: &Account) -> Headers {
        bearer(&Program::new(self.raccord.server()).token(account).await)
    }

    async fn token_for(&self, audience: &str) -> Headers {
        bearer(&Program::new(self.raccord.server()).token_for(&self.account, &[audience]).await)
    }

    async fn valid(&self, credential: Credential) -> Headers {
        match credential {
            Credential::Password => password(&self.account),
            Credential::Jwt => self.token_for(&self.service.audience).await,
        }
    }

    pub async fn lets_every_credential_in(&self) {
        let both = [self.token(&self.account).await, password(&self.account)].concat();
        let credentials = [
            self.token(&self.account).await,
            self.token_for(&self.service.audience).await,
            basic(&self.account),
            password(&self.account),
            both,
        ];
        for headers in credentials {
            for method in ["GET", "POST", "PUT", "DELETE"] {
                let line = format!("{method} /factures/7?page=2&structure=SIRET:1&q=a;b//../%2f%25\\");
                let (status, head) = self.call(&line, &headers, if method == "GET" { "" } else { "un corps" });
                assert_eq!(status, 200, "{:?} {method} {headers:?}\n{head}{}", self.gateway, self.running.log());
                let seen = self.seen();
                assert_eq!(seen.line, format!("{line} HTTP/1.{}", seen.line.chars().last().unwrap_or_default()));
                assert_eq!(seen.body, if method == "GET" { "" } else { "un corps" });
                assert_eq!(seen.header("x-raccord-login"), self.account.login);
                assert_eq!(seen.header("x-raccord-structure"), format!("SIRET:{WITHIN}"));
                assert_eq!(seen.header("x-raccord-scope"), "openid");
                assert_eq!(seen.header("x-raccord-structure-authorized"), "");
                self.has_no_credential(&seen);
            }
        }
    }

    fn has_no_credential(&self, seen: &Seen) {
        let text = format!("{seen:?}");
        for (name, _) in &seen.headers {
            assert!(name != "authorization" && name != "cpro-account", "{:?} strips {name}", self.gateway);
        }
        let password = self.account.password.expose();
        assert!(!text.contains(password) && !text.contains(&self.account.cpro_account()), "{text}");
    }

    pub async fn refuses_what_is_not_valid(&self) {
        let (expired, suspended) = (self.portal.account(1).await, self.portal.account(1).await);
        let dead = [self.token(&expired).await, self.token(&suspended).await, password(&expired), basic(&suspended)];
        self.portal.expire_in(expired.id, "-1 second").await;
        self.portal.set_status(suspended.id, TechnicalUserStatus::Suspended).await;
        let other = self.portal.service("annuaire", Takes::EveryToken).await;
        let wrong = vec![
            vec![],
            bearer("inconnu"),
            vec![("Authorization", "Bearer".to_owned())],
            vec![("Authorization", format!("Basic {}", cpro_account(&self.account.login, "faux")))],
            vec![("cpro-account", cpro_account(&self.account.login, "faux"))],
            vec![("cpro-account", "pas du base64".to_owned())],
            vec![("cpro-account", cpro_account(&self.service.client_id, &self.service.secret))],
            self.token_for(&other.audience).await,
        ];
        for headers in wrong.into_iter().chain(dead) {
            let (status, head) = self.call("GET /factures/7", &headers, "");
            assert_eq!(status, 401, "{:?} {headers:?}\n{head}", self.gateway);
            assert!(head.contains("\nwww-authenticate: "), "{:?} {head}", self.gateway);
        }
        assert!(self.api.take().is_empty(), "{:?}: nothing reached the API", self.gateway);
    }

    /// The account may call from the first network only.
    pub async fn opens_to_one_of_two_networks(&self, networks: &Pair) {
        let own = format!("{}/32", Pair::client(1));
        self.set_networks("LIST", &format!("{{{own}}}")).await;
        assert_eq!([1, 2].map(|network| self.status_from(networks, network)), [200, 401]);
        self.set_networks("LIST", "{10.231.2.0/24}").await;
        assert_eq!([1, 2].map(|network| self.status_from(networks, network)), [401, 200]);
        assert_eq!(self.api.take().len(), 2);
    }

    /// The second network calls first.
    pub async fn is_locked_by_the_first_of_two_networks(&self, networks: &Pair) {
        self.set_networks("LOCK", "{}").await;
        assert_eq!([2, 1, 2].map(|network| self.status_from(networks, network)), [200, 401, 200]);
        let locked = "SELECT networks::text FROM technical_users WHERE id = $1";
        let expected = format!("{{{}/32}}", Pair::client(2));
        assert_eq!(self.portal.text(locked, &[self.account.id]).await, expected);
    }

    fn status_from(&self, networks: &Pair, network: u8) -> u16 {
        networks.status(network, "/factures/7", &format!("cpro-account: {}", self.account.cpro_account()))
    }

    async fn set_networks(&self, rule: &str, networks: &str) {
        let update = "UPDATE technical_users SET network_rule = $2, networks = $3::text::cidr[] WHERE id = $1";
        let update = sqlx::query(update).bind(self.account.id).bind(rule).bind(networks);
        update.execute(&self.portal.pool).await.expect("a rule");
    }

    pub async fn passes_nothing_forged_on(&self) {
        let credential = if self.gateway == Gateway::Haproxy { Credential::Jwt } else { Credential::Password };
        let valid = self.valid(credential).await;
        let names: Vec<&str> = FORGED.into_iter().flat_map(spellings_of).collect();
        for names in names.chunks(AT_ONCE) {
            let mut headers = valid.clone();
            headers.extend(names.iter().map(|name| (*name, "forgé".to_owned())));
            headers.push(("X-Raccord-Login", "deux fois : forgé".to_owned()));
            headers.push(("X-Raccord-For-Structure", format!("SIRET:{WITHIN}")));
            headers.push(("X-Forwarded-For", "203.0.113.66".to_owned()));
            // It would have the headers that it names removed on the way.
            headers.push(("Connection", "close, X-Raccord-Login, X-Raccord-Structure, X-Raccord-Scope".to_owned()));
            self.tells_who_calls_whatever(&headers);
        }
    }

    fn tells_who_calls_whatever(&self, headers: &Headers) {
        let (status, head) = self.call("GET /factures/7", headers, "");
        assert_eq!(status, 200, "{:?} {head}", self.gateway);
        let seen = self.seen();
        assert_eq!(seen.header("x-raccord-login"), self.account.login, "{:?}", self.gateway);
        assert_eq!(seen.header("x-raccord-scope"), "openid");
        assert_eq!(seen.header("x-raccord-structure-authorized"), "");
        assert_eq!(seen.header("x-raccord-for-structure"), "", "the client names no structure");
        let is_other_spelling = |name: &str| name.contains(|sign: char| SIGNS.contains(sign));
        let forged = seen.headers.iter().find(|(name, value)| value.contains("forg") || is_other_spelling(name));
        assert_eq!(forged, None, "{:?}", self.gateway);
        self.has_no_credential(&seen);
    }

    pub async fn judges_the_structure(&self) {
        let (mut headers, within) = (password(&self.account), format!("/structures/{WITHIN}/factures"));
        if self.gateway != Gateway::Apache {
            assert_eq!(self.status(&format!("GET {within}?a=b"), &headers), 200, "{:?}", self.gateway);
            let seen = self.seen();
            assert_eq!(seen.header("x-raccord-for-structure"), format!("SIRET:{WITHIN}"));
            assert_eq!(seen.header("x-raccord-structure-authorized"), "true");
            for unreadable in ["/structures", "/structures/", "/structures/abc", "/structures/216901231000112/x"] {
                assert_eq!(self.status(&format!("GET {unreadable}"), &headers), 403, "{:?} {unreadable}", self.gateway);
            }
        }
        // The client's own words change nothing.
        headers.push(("X-Raccord-For-Structure", format!("SIRET:{WITHIN}")));
        let outside = format!("/structures/{OUTSIDE}/factures?structure=SIRET:{WITHIN}");
        assert_eq!(self.status(&format!("GET {outside}"), &headers), 403, "{:?}", self.gateway);
        for spelled in SPELLINGS {
            let spelled = spelled.replace("OUTSIDE", OUTSIDE).replace("WITHIN", WITHIN);
            let status = self.status(&format!("GET {spelled}"), &headers);
            assert!(matches!(status, 400 | 403 | 404), "{:?} {spelled}: {status}", self.gateway);
        }
        assert_eq!(self.status(&format!("GET {outside}"), &vec![]), 401, "{:?}", self.gateway);
        assert!(self.api.take().is_empty(), "{:?}: nothing reached the API", self.gateway);
        self.portal.execute("INSERT INTO memberships (user_id, structure_id, role) VALUES (1, 4, 'USER')").await;
        assert_eq!(self.status(&format!("GET {outside}"), &headers), 200, "{:?}: rights are live", self.gateway);
        let seen = self.seen();
        assert_eq!(seen.header("x-raccord-for-structure"), format!("SIRET:{OUTSIDE}"));
        assert_eq!(seen.header("x-raccord-structure-authorized"), "true");
    }

    pub async fn sees_a_reset_at_the_next_call(&self) {
        let reset = self.portal.account(1).await;
        let credentials = [self.token(&reset).await, basic(&reset), password(&reset)];
        for headers in credentials.iter().chain(&credentials) {
            assert_eq!(self.status("GET /factures/7", headers), 200, "{:?}", self.gateway);
        }
        self.portal.replace_password(reset.id).await;
        self.api.take();
        for headers in &credentials {
            assert_eq!(self.status("GET /factures/7", headers), 401, "{:?} {headers:?}", self.gateway);
        }
        assert!(self.api.take().is_empty());
    }

    /// `HAProxy` verifies tokens by itself.
    pub async fn takes_signed_tokens_alone(&self) {
        let jwt = self.token_for(&self.service.audience).await;
        assert_eq!(self.status("GET /factures/7", &jwt), 200, "{}", self.running.log());
        assert_eq!(self.seen().header("x-raccord-login"), self.account.login);
        let other = self.portal.service("annuaire", Takes::Jwts).await;
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        let (issuer, audience) = (format!("http://{}", self.raccord.address), self.service.audience.as_str());
        let good = Claims {
            iss: &issuer,
            sub: &self.account.login,
            client_id: &self.account.login,
            aud: &[audience],
            iat: now - 10,
            exp: now + 60,
            jti: "essai",
            scope: "openid",
        };
        assert_eq!(self.status("GET /factures/7", &self.signed(&good).await), 200, "the test signs as Raccord does");
        let refused = [
            vec![],
            bearer("inconnu"),
            self.token(&self.account).await,
            basic(&self.account),
            password(&self.account),
            self.token_for(&other.audience).await,
            tampered(&self.signed(&good).await),
            unsigned(&self.signed(&good).await),
            self.signed(&Claims { exp: now - 1, ..good.clone() }).await,
            self.signed(&Claims { iss: "http://ailleurs.example", ..good.clone() }).await,
            self.signed(&Claims { aud: &[&other.audience], ..good.clone() }).await,
        ];
        self.api.take();
        for headers in refused {
            let (status, head) = self.call("GET /factures/7", &headers, "");
            assert_eq!(status, 401, "{headers:?}\n{head}");
            assert!(head.contains("\nwww-authenticate: bearer"), "{head}");
        }
        assert!(self.api.take().is_empty(), "nothing reached the API");
        // What the documentation says: a reset acts when the token ends.
        self.portal.replace_password(self.account.id).await;
        assert_eq!(self.status("GET /factures/7", &jwt), 200);
        self.portal.set_status(self.account.id, TechnicalUserStatus::Active).await;
        self.portal.execute("UPDATE technical_users SET credential_version = 1").await;
        self.api.take();
    }

    async fn signed(&self, claims: &Claims<'_>) -> Headers {
        let stored = signing_keys::current(&self.portal.pool).await.expect("a key").expect("a key");
        let state = self.portal.state();
        let keys = state.keys().expect("the key file");
        bearer(&keys.open_signing_key(&stored.sealed, &stored.id).expect("it opens").sign(claims))
    }

    pub async fn denies_without_raccord(mut self, credential: Credential) {
        let headers = self.valid(credential).await;
        self.lets_in_soon(&headers);
        self.raccord.signal("-STOP");
        self.denies_in_time(&headers, "hangs");
        self.raccord.signal("-CONT");
        self.lets_in_soon(&headers);
        let address = self.raccord.address;
        self.raccord.signal("-TERM");
        self.raccord.wait();
        self.denies_in_time(&headers, "is stopped");
        self.raccord = Serving::start_at(&self.directory, address, &settings(&self.portal));
        self.lets_in_soon(&headers);
    }

    fn denies_in_time(&self, headers: &Headers, what: &str) {
        let start = Instant::now();
        loop {
            let asked = Instant::now();
            let status = self.status("GET /factures/7", headers);
            let (took, gateway) = (asked.elapsed(), self.gateway);
            assert!(took < PROMISED, "{gateway:?} while Raccord {what}: {status} after {took:?}");
            if status != 200 {
                assert!(matches!(status, 401 | 403 | 503), "{gateway:?} while Raccord {what}: {status}");
                println!("{gateway:?} while Raccord {what}: {status} after {:?}", start.elapsed());
                break;
            }
            // It looks twice a second whether Raccord is there.
            let is_late = gateway != Gateway::Haproxy || start.elapsed() > PROMISED;
            assert!(!is_late, "{gateway:?} lets calls in while Raccord {what}");
            thread::sleep(Duration::from_millis(50));
        }
        self.api.take();
        assert_ne!(self.status("GET /factures/7", headers), 200);
        assert!(self.api.take().is_empty(), "nothing reached the API");
    }

    fn lets_in_soon(&self, headers: &Headers) {
        let start = Instant::now();
        while self.status("GET /factures/7", headers) != 200 {
            assert!(start.elapsed() < Duration::from_secs(10), "{:?} {}", self.gateway, self.running.log());
            thread::sleep(Duration::from_millis(100));
        }
    }
}

fn settings(portal: &TestPortal) -> [(&'static str, &str); 3] {
    [
        ("DATABASE_URL", portal.database_url()),
        ("RACCORD_SECRET_KEY_FILE", KEY_FILE),
        ("RACCORD_TRUSTED_PROXIES", "127.0.0.1"),
    ]
}

/// As the head of haproxy.cfg says.
fn write_keys(directory: &Directory, url: &str) {
    for key in ["current", "next"] {
        let (code, pem, told) = run(&mut raccord(&["signing-key", "pem", key], &[("DATABASE_URL", url)]));
        assert_eq!(code, 0, "{told}");
        directory.file(&format!("raccord-{key}.pem"), pem.as_bytes());
    }
}

fn bearer(token: &str) -> Headers {
    vec![("Authorization", format!("Bearer {token}"))]
}

fn basic(account: &Account) -> Headers {
    vec![("Authorization", format!("Basic {}", account.cpro_account()))]
}

fn password(account: &Account) -> Headers {
    vec![("cpro-account", account.cpro_account())]
}

/// The same token for another login.
fn tampered(headers: &Headers) -> Headers {
    rewritten(headers, |parts| {
        let claims = data_encoding::BASE64URL_NOPAD.decode(parts[1].as_bytes()).expect("base64");
        let claims = String::from_utf8(claims).expect("JSON").replace("TECH_1_", "TECH_9_");
        parts[1] = data_encoding::BASE64URL_NOPAD.encode(claims.as_bytes());
    })
}

/// The same token as one that needs no signature.
fn unsigned(headers: &Headers) -> Headers {
    rewritten(headers, |parts| {
        parts[0] = data_encoding::BASE64URL_NOPAD.encode(br#"{"typ":"at+jwt","alg":"none"}"#);
        parts[2] = String::new();
    })
}

fn rewritten(headers: &Headers, change: impl Fn(&mut Vec<String>)) -> Headers {
    let mut parts: Vec<String> = headers[0].1.split('.').map(str::to_owned).collect();
    let token = parts[0].split_off("Bearer ".len());
    parts[0] = token;
    change(&mut parts);
    bearer(&parts.join("."))
}

/// Paths that an API may read as one about [`OUTSIDE`].
const SPELLINGS: [&str; 62] = [
    "/%73tructures/OUTSIDE",
    "/Structures/OUTSIDE",
    "/structures/OUTSIDE?structure=SIRET:WITHIN",
    "/structures/OUTSIDE#/structures/WITHIN",
    "http://api.example/structures/OUTSIDE",
    "http://api.example//structures/OUTSIDE",
    // Some APIs read a number, or trim a name.
    "/structures/0OUTSIDE",
    "/structures/%20OUTSIDE",
    "/structures/%00/OUTSIDE",
    // Slashes and dots.
    "//structures/OUTSIDE",
    "/structures//OUTSIDE",
    "/./structures/OUTSIDE",
    "/structures/./OUTSIDE",
    "/structures/%2e/OUTSIDE",
    "/x/../structures/OUTSIDE",
    "/x/%2e%2e/structures/OUTSIDE",
    "/structures/x/.%2e/OUTSIDE",
    "/structures/x/%2E./OUTSIDE",
    "/structures/WITHIN/../OUTSIDE",
    "/structures/WITHIN/%2E%2E/OUTSIDE/x",
    "/structures/%09/../OUTSIDE",
    "/structures%2fOUTSIDE",
    "/structures%2FOUTSIDE/x",
    "/x%2f..%2Fstructures/OUTSIDE",
    "/structures%2f..%2fstructures/OUTSIDE",
    // Some APIs drop what follows a semicolon in each part of a path, and then resolve `..`.
    "/structures;a=b/OUTSIDE",
    "/structures;/OUTSIDE",
    "/structures/OUTSIDE;a=b",
    "/structures/.;a/OUTSIDE/x",
    "/structures/;a/OUTSIDE/x",
    "/;a/structures/OUTSIDE/x",
    "/.;a/structures/OUTSIDE/x",
    "/x/..;a/structures/OUTSIDE/x",
    "/x/..;/structures/OUTSIDE",
    "/structures/x/..;/OUTSIDE",
    "/structures/%2e;/OUTSIDE",
    "/structures/%3b/OUTSIDE",
    "/structures/%3B/OUTSIDE",
    "/structures%3ba/OUTSIDE",
    "/structures/OUTSIDE%3Ba",
    "/x/..%3b/structures/OUTSIDE",
    "/x/..%3Ba/structures/OUTSIDE",
    "/%3b/structures/OUTSIDE",
    "/%2e%3b/structures/OUTSIDE",
    // To some APIs, a backslash is a slash.
    r"\structures\OUTSIDE",
    r"/\structures/OUTSIDE",
    r"/structures\OUTSIDE/x",
    r"/structures\..\structures/OUTSIDE",
    r"/x\..\structures/OUTSIDE",
    r"/structures/x/..\OUTSIDE",
    "/structures%5cOUTSIDE/x",
    "/structures%5COUTSIDE/x",
    "/structures/%5cOUTSIDE/x",
    "/x%5c..%5Cstructures/OUTSIDE",
    // Read twice, `%2573` is `s`.
    "/%2573tructures/OUTSIDE",
    "/structures/%25321130055300016",
    "/structures%252fOUTSIDE",
    "/structures%252F..%252fstructures/OUTSIDE",
    "/structures%255cOUTSIDE",
    "/structures/x/%252e%252E/OUTSIDE",
    "/x/%252e%252e/structures/OUTSIDE",
    "/x/..%253b/structures/OUTSIDE",
];
