//! An identity provider on this machine, which says whatever a test has it say.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    sync::{Arc, LazyLock, Mutex, MutexGuard},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Form, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use raccord::domain::random;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{
    browser::{Answer, Browser, Call},
    portal::TestPortal,
};

const CLIENT: &str = "raccord-essais";
const SECRET: &str = "un secret qui ne sort pas de cette machine";

/// Where the portal begins, and where people come back.
pub const LEAVE: &str = "/connexion/fournisseur";
pub const CALLBACK: &str = "/connexion/fournisseur/retour";

/// How a token is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signed {
    #[default]
    Es256,
    Rs256,
    /// `alg: none`.
    Not,
    /// HS256, with the public key as its secret.
    Hs256,
    /// ES256, by a key that is not the provider's.
    ByAnother,
}

type Edit = Box<dyn Fn(&mut Map<String, Value>) + Send>;

/// What the provider says.
pub struct Script {
    pub signed: Signed,
    /// The user info: JSON, or a token that is signed so.
    pub user_info: Option<Signed>,
    pub subject: String,
    pub email: Value,
    pub acr: Value,
    /// Seconds by which its clock is wrong.
    pub skew: i64,
    /// Changes the claims of ID tokens, and of user info.
    pub edit: Edit,
    pub edit_user_info: Edit,
    /// Whether it answers that it cannot serve.
    pub is_away: bool,
    /// Whether its answers name their issuer, and its metadata say so.
    pub names_issuer: bool,
    /// By which key the portal authenticates, instead of a secret.
    pub client_key: Option<Vec<u8>>,
    key: EcdsaKeyPair,
    key_id: String,
    codes: HashMap<String, BTreeMap<String, String>>,
    /// Requests to its endpoints, by path.
    pub requests: Vec<String>,
}

/// The provider.
pub struct Provider {
    pub url: String,
    script: Shared,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Shared(Arc<Mutex<Script>>, String);

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn new_key() -> EcdsaKeyPair {
    let rng = random::for_signatures();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).expect("randomness");
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &rng).expect("a key")
}

/// Made once per process, because it takes a while.
static RSA: LazyLock<RsaKeyPair> = LazyLock::new(|| {
    let made = std::process::Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-outform", "DER", "-quiet"])
        .output();
    let der = made.expect("openssl is installed").stdout;
    RsaKeyPair::from_der(&der).expect("a key")
});

impl Provider {
    /// Starts one that vouches for this address, with a second factor.
    pub async fn start(email: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let script = Script {
            signed: Signed::Es256,
            user_info: Some(Signed::Es256),
            subject: "a1b2c3".into(),
            email: email.into(),
            acr: "eidas2".into(),
            skew: 0,
            edit: Box::new(|_| {}),
            edit_user_info: Box::new(|_| {}),
            is_away: false,
            names_issuer: true,
            client_key: None,
            key: new_key(),
            key_id: "1".into(),
            codes: HashMap::new(),
            requests: Vec::new(),
        };
        let script = Shared(Arc::new(Mutex::new(script)), url.clone());
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/jwks", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(user_info))
            .with_state(script.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { url, script, task }
    }

    /// What it says.
    pub fn says(&self) -> MutexGuard<'_, Script> {
        self.script.0.lock().expect("no panic under the lock")
    }

    /// Signs with another key from now on.
    pub fn rotate_key(&self, key_id: &str) {
        let mut script = self.says();
        (script.key, script.key_id) = (new_key(), key_id.into());
    }

    /// The settings of a portal whose people sign in here, and these.
    pub fn settings<'a>(&'a self, others: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        static FILE: LazyLock<PathBuf> = LazyLock::new(|| private_file("oidc-secret", SECRET.as_bytes()));
        let mut settings = vec![
            ("RACCORD_OIDC_ISSUER", self.url.as_str()),
            ("RACCORD_OIDC_CLIENT_ID", CLIENT),
            ("RACCORD_OIDC_CLIENT_SECRET_FILE", FILE.to_str().expect("a path")),
        ];
        settings.retain(|(name, _)| !others.iter().any(|(other, _)| other == name));
        settings.extend(others.iter().filter(|(_, value)| !value.is_empty()));
        settings
    }

    /// A portal whose people sign in here.
    pub async fn portal(&self, others: &[(&str, &str)]) -> TestPortal {
        TestPortal::with(&self.settings(others)).await
    }

    /// The person authenticates at `url`: where the provider sends the browser back.
    pub fn authenticate(&self, url: &str) -> String {
        let asked = query(url);
        assert!(url.starts_with(&format!("{}/authorize?", self.url)), "{url}");
        let code = random::token(&mut random::os_rng());
        let mut script = self.says();
        let mut answer = form_urlencoded::Serializer::new(String::new());
        answer.append_pair("code", &code).append_pair("state", &asked["state"]);
        if script.names_issuer {
            answer.append_pair("iss", &self.url);
        }
        script.codes.insert(code, asked);
        format!("{CALLBACK}?{}", answer.finish())
    }

    /// Leaves the portal by this form and authenticates: where the browser is sent back.
    pub async fn leave(&self, browser: &Browser, action: &str, fields: &[(&str, &str)]) -> String {
        self.authenticate(&departure(&browser.post(action, fields).await))
    }

    /// Signs in: the answer to the way back.
    pub async fn sign_in(&self, browser: &Browser) -> Answer {
        let back = self.leave(browser, LEAVE, &[]).await;
        arrive(browser, &back).await
    }
}

/// Where a page leads on to the provider.
#[track_caller]
pub fn departure(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.body_text());
    answer.page().link("Continuer vers ProConnect")
}

/// Comes back, as a browser does that another site sends.
pub async fn arrive(browser: &Browser, back: &str) -> Answer {
    browser.send(Call::get(back).with("sec-fetch-site", "cross-site")).await
}

/// The pairs of a URL's query.
pub fn query(url: &str) -> BTreeMap<String, String> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// A file of this process, which no other user can read.
pub fn private_file(name: &str, content: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = fs::remove_file(&path);
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    std::io::Write::write_all(&mut file.expect("a new file"), content).expect("it is written");
    path
}

/// A new key of the portal: PEM, and the public key.
pub fn client_key() -> (String, Vec<u8>) {
    let rng = random::for_signatures();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).expect("randomness");
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &rng).expect("a key");
    let text = data_encoding::BASE64.encode(pkcs8.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
    (pem, pair.public_key().as_ref().to_vec())
}

impl Shared {
    /// What it says, unless it is away.
    fn says(&self, request: &str) -> Result<MutexGuard<'_, Script>, StatusCode> {
        let mut script = self.0.lock().expect("no panic under the lock");
        script.requests.push(request.to_owned());
        if script.is_away { Err(StatusCode::SERVICE_UNAVAILABLE) } else { Ok(script) }
    }
}

fn answer(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

async fn metadata(State(shared): State<Shared>) -> Result<Response, StatusCode> {
    let script = shared.says("/.well-known/openid-configuration")?;
    let url = |path: &str| format!("{}{path}", shared.1);
    Ok(answer(&json!({
        "issuer": shared.1, "authorization_endpoint": url("/authorize"), "token_endpoint": url("/token"),
        "userinfo_endpoint": url("/userinfo"), "jwks_uri": url("/jwks"), "end_session_endpoint": url("/end"),
        "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "RS256"],
        "authorization_response_iss_parameter_supported": script.names_issuer,
    })))
}

async fn keys(State(shared): State<Shared>) -> Result<Response, StatusCode> {
    let script = shared.says("/jwks")?;
    let point = script.key.public_key().as_ref();
    let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    let (n, e): (Vec<u8>, Vec<u8>) = {
        let components = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(RSA.public());
        (components.n, components.e)
    };
    Ok(answer(&json!({ "keys": [
        { "kty": "EC", "use": "sig", "crv": "P-256", "kid": script.key_id, "x": encode(&point[1..33]), "y": encode(&point[33..]) },
        { "kty": "RSA", "use": "sig", "kid": "rsa", "n": encode(&n), "e": encode(&e) },
    ] })))
}

/// A code that is none, which it refuses after three seconds.
pub const SLOW_CODE: &str = "lent";

async fn token(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Form(sent): Form<BTreeMap<String, String>>,
) -> Result<Response, StatusCode> {
    if sent.get("code").is_some_and(|code| code == SLOW_CODE) {
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    let mut script = shared.says("/token")?;
    assert!(!headers.contains_key(header::AUTHORIZATION), "never Basic");
    let refuse = |error: &str| {
        let body = json!({ "error": error }).to_string();
        (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    };
    let is_client = match &script.client_key {
        Some(key) => is_assertion(key, &sent, &shared.1),
        None => sent.get("client_secret").is_some_and(|secret| secret == SECRET),
    };
    if !is_client || sent.get("client_id").is_none_or(|id| id != CLIENT) {
        return Ok(refuse("invalid_client"));
    }
    let Some(asked) = script.codes.remove(&sent["code"]) else { return Ok(refuse("invalid_grant")) };
    let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(&sent["code_verifier"]));
    if asked["code_challenge"] != challenge || asked["redirect_uri"] != sent["redirect_uri"] {
        return Ok(refuse("invalid_grant"));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let now = i64::try_from(now).expect("before 2262") + script.skew;
    let mut claims = Map::from_iter([
        ("iss".into(), json!(shared.1)),
        ("sub".into(), json!(script.subject)),
        ("aud".into(), json!(CLIENT)),
        ("iat".into(), json!(now)),
        ("exp".into(), json!(now + 60)),
        ("auth_time".into(), json!(now)),
        ("nonce".into(), json!(asked["nonce"])),
    ]);
    if !script.acr.is_null() {
        claims.insert("acr".into(), script.acr.clone());
    }
    (script.edit)(&mut claims);
    let id_token = script.sign(script.signed, &claims);
    Ok(answer(&json!({ "access_token": "jeton", "token_type": "Bearer", "expires_in": 60, "id_token": id_token })))
}

/// Whether the client proves by its key who it is.
fn is_assertion(key: &[u8], sent: &BTreeMap<String, String>, issuer: &str) -> bool {
    assert!(!sent.contains_key("client_secret"));
    assert_eq!(sent["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let (signed, signature) = sent["client_assertion"].rsplit_once('.').expect("a token");
    let claims = BASE64URL_NOPAD.decode(signed.split_once('.').expect("a token").1.as_bytes()).expect("base64url");
    let claims: Value = serde_json::from_slice(&claims).expect("claims");
    assert_eq!((&claims["iss"], &claims["sub"], &claims["aud"]), (&json!(CLIENT), &json!(CLIENT), &json!(issuer)));
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).expect("base64url");
    let key = UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_FIXED, key);
    key.verify(signed.as_bytes(), &signature).is_ok()
}

async fn user_info(State(shared): State<Shared>, headers: HeaderMap) -> Result<Response, StatusCode> {
    let script = shared.says("/userinfo")?;
    assert_eq!(headers[header::AUTHORIZATION], "Bearer jeton");
    let mut claims = Map::from_iter([
        ("iss".into(), json!(shared.1)),
        ("aud".into(), json!(CLIENT)),
        ("sub".into(), json!(script.subject)),
        ("siret".into(), json!("21690123100011")),
    ]);
    if !script.email.is_null() {
        claims.insert("email".into(), script.email.clone());
    }
    (script.edit_user_info)(&mut claims);
    Ok(match script.user_info {
        None => answer(&Value::Object(claims)),
        Some(signed) => ([(header::CONTENT_TYPE, "application/jwt")], script.sign(signed, &claims)).into_response(),
    })
}

impl Script {
    fn sign(&self, signed: Signed, claims: &Map<String, Value>) -> String {
        let (alg, kid) = match signed {
            Signed::Es256 | Signed::ByAnother => ("ES256", self.key_id.as_str()),
            Signed::Rs256 => ("RS256", "rsa"),
            Signed::Not => ("none", ""),
            Signed::Hs256 => ("HS256", self.key_id.as_str()),
        };
        let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let head = if kid.is_empty() { json!({ "alg": alg }) } else { json!({ "alg": alg, "kid": kid }) };
        let text = format!("{}.{}", encode(&head), encode(&Value::Object(claims.clone())));
        let rng = random::for_signatures();
        let signature = match signed {
            Signed::Es256 => self.key.sign(&rng, text.as_bytes()).expect("randomness").as_ref().to_vec(),
            Signed::ByAnother => new_key().sign(&rng, text.as_bytes()).expect("randomness").as_ref().to_vec(),
            Signed::Rs256 => {
                let mut signature = vec![0; RSA.public().modulus_len()];
                RSA.sign(&RSA_PKCS1_SHA256, &rng, text.as_bytes(), &mut signature).expect("a signature");
                signature
            }
            Signed::Not => Vec::new(),
            Signed::Hs256 => {
                let mut mac = Hmac::<Sha256>::new_from_slice(self.key.public_key().as_ref()).expect("any length");
                mac.update(text.as_bytes());
                mac.finalize().into_bytes().to_vec()
            }
        };
        format!("{text}.{}", BASE64URL_NOPAD.encode(&signature))
    }
}
