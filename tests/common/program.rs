//! A program that calls the API with a technical user's credential.

use std::net::{IpAddr, Ipv4Addr};

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use data_encoding::BASE64;
use raccord::domain::password::Password;

use super::browser::{Answer, Server};

pub const HEALTH: &str = "/cpro/transverses/v1/health-check";
pub const MEMBERSHIPS: &str = "/cpro/utilisateurs/v1/monCompte/recuperer/rattachements";
pub const SEARCH: &str = "/cpro/structures/v1/rechercher";
pub const TOKEN: &str = "/api/oauth/token";

/// A technical user with its password.
#[derive(Clone)]
pub struct Account {
    pub id: i64,
    pub login: String,
    pub password: Password,
}

impl Account {
    pub fn cpro_account(&self) -> String {
        cpro_account(&self.login, self.password.expose())
    }
}

/// The value of the header `cpro-account`.
pub fn cpro_account(login: &str, password: &str) -> String {
    BASE64.encode(format!("{login}:{password}").as_bytes())
}

/// A program at one instance of the portal. It keeps no cookies, and must be given none.
#[derive(Clone)]
pub struct Program {
    server: Server,
    address: IpAddr,
}

impl Program {
    pub fn new(server: Server) -> Self {
        Self { server, address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)) }
    }

    /// The same program in another network.
    pub fn with_address(&self, address: &str) -> Self {
        Self { address: address.parse().expect("an address"), ..self.clone() }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let answer = self.server.answer(request, self.address).await;
        assert!(!answer.headers.contains_key(header::SET_COOKIE));
        answer
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::builder().uri(path).body(Body::empty()).expect("a request")).await
    }

    /// Calls with these headers; the body is JSON unless they say otherwise.
    pub async fn call(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let method = if path == HEALTH { Method::GET } else { Method::POST };
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).expect("a request")).await
    }

    /// The status of a health check with this login and password.
    pub async fn health_check(&self, login: &str, password: &str) -> u16 {
        let account = cpro_account(login, password);
        self.call(HEALTH, &[("cpro-account", &account)], "").await.status.as_u16()
    }

    /// A token that the account's password obtains.
    pub async fn token(&self, account: &Account) -> String {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("scope", "openid")
            .append_pair("client_id", &account.login)
            .append_pair("client_secret", account.password.expose())
            .finish();
        let answer = self.call(TOKEN, &[("content-type", "application/x-www-form-urlencoded")], form).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body_text());
        answer.json()["access_token"].as_str().expect("a token").to_owned()
    }
}
