//! The operator's services, and what they ask.

use raccord::{
    db::api::{
        services::{self, Added, NewService},
        signing_keys::{self, NewKey},
    },
    domain::{
        audit::Actor,
        random::os_rng,
        second_factor::Keyring,
        service::{ServiceSecret, TokenKind, TokenSeconds, new_id},
        signing_key::SigningKey,
    },
};
use serde_json::Value;

use super::{
    browser::Answer,
    portal::TestPortal,
    program::{Account, Program, TOKEN},
};

pub const INTROSPECT: &str = "/api/oauth/introspect";
pub const REVOKE: &str = "/api/oauth/revoke";

/// A service with its secret.
#[derive(Clone)]
pub struct TestService {
    pub name: String,
    pub client_id: String,
    pub secret: String,
    pub audience: String,
}

/// What tokens that name it are, and whether it needs them to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    EveryToken,
    TokensThatNameIt,
    Jwts,
}

/// A new signing key, sealed under the first key of this file.
pub fn new_signing_key(keys: &Keyring) -> NewKey {
    let key = SigningKey::generate();
    let sealed = keys.seal_signing_key(&key, &mut os_rng());
    NewKey { id: key.id().to_owned(), public: key.public().to_vec(), sealed }
}

impl TestPortal {
    /// A service of this name, whose audience is `https://api.example/NAME`.
    pub async fn service(&self, name: &str, takes: Takes) -> TestService {
        let kind = if takes == Takes::Jwts { TokenKind::Jwt } else { TokenKind::Opaque };
        if kind == TokenKind::Jwt {
            let state = self.state();
            let keys = [(); 2].map(|()| new_signing_key(state.keys().expect("a key file")));
            signing_keys::begin(&self.pool, &Actor::operator(), &keys).await.expect("signing keys");
        }
        let (client_id, secret) = (new_id(&mut os_rng()), ServiceSecret::generate(&mut os_rng()));
        let audience = format!("https://api.example/{name}");
        let service = NewService {
            name: &name.parse().expect("a name"),
            client_id: &client_id,
            secret_digest: &secret.digest(),
            audience: &audience.parse().expect("an audience"),
            kind,
            token_seconds: TokenSeconds::checked(None, kind).expect("the default one"),
            needs_audience: takes == Takes::TokensThatNameIt,
        };
        let added = services::add(&self.pool, &Actor::operator(), &service).await;
        assert_eq!(added.expect("a service"), Added::Done);
        TestService { name: name.to_owned(), client_id, secret: secret.expose().to_owned(), audience }
    }
}

/// A form with these fields.
pub fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

impl Program {
    /// Sends a form.
    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.call(path, &[("content-type", "application/x-www-form-urlencoded")], form(fields)).await
    }

    /// Asks as this service, its credential in the body.
    pub async fn introspect(&self, service: &TestService, fields: &[(&str, &str)]) -> Answer {
        let own = [("client_id", service.client_id.as_str()), ("client_secret", service.secret.as_str())];
        self.post_form(INTROSPECT, &[&own, fields].concat()).await
    }

    /// What this service is told of a token.
    pub async fn introspect_token(&self, service: &TestService, token: &str) -> Value {
        let answer = self.introspect(service, &[("token", token)]).await;
        assert_eq!(answer.status, 200, "{}", answer.body_text());
        answer.json()
    }

    /// The answer to a request of a token that names these resources.
    pub async fn ask_token(&self, account: &Account, resources: &[&str]) -> Answer {
        let mut fields = vec![
            ("grant_type", "client_credentials"),
            ("client_id", account.login.as_str()),
            ("client_secret", account.password.expose()),
        ];
        fields.extend(resources.iter().map(|resource| ("resource", *resource)));
        self.post_form(TOKEN, &fields).await
    }

    /// A token that names these resources.
    pub async fn token_for(&self, account: &Account, resources: &[&str]) -> String {
        let answer = self.ask_token(account, resources).await;
        assert_eq!(answer.status, 200, "{}", answer.body_text());
        answer.json()["access_token"].as_str().expect("a token").to_owned()
    }
}
