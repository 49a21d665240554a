//! A portal over a database of its own, with one structure, its manager and a technical user.

#![allow(dead_code)]

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{HeaderMap, Method, Request, StatusCode},
};
use data_encoding::BASE64;
use raccord::{
    db::{self, api::verifiers},
    domain::{
        password::{Argon2id, Password},
        random::{bytes, os_rng},
    },
    settings::Settings,
    web::{self, api::state::ApiState, edge::state::AppState},
};
use serde_json::Value;
use sqlx::{Connection, PgConnection, PgPool, postgres::PgConnectOptions};
use tower::ServiceExt;

static SERVER: OnceLock<PgConnectOptions> = OnceLock::new();
static COUNT: AtomicU32 = AtomicU32::new(0);

pub struct Portal {
    pub pool: PgPool,
    pub state: AppState,
    pub api: ApiState,
    router: Router,
    name: String,
}

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

pub fn cpro_account(login: &str, password: &str) -> String {
    BASE64.encode(format!("{login}:{password}").as_bytes())
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

fn server() -> PgConnectOptions {
    SERVER.get().expect("a portal has started").clone()
}

impl Portal {
    pub async fn start() -> Self {
        let options = crate::common::server_options().await;
        SERVER.get_or_init(|| options);
        let name = format!("raccord_api_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut conn = PgConnection::connect_with(&server()).await.unwrap();
        let sql = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
        let pool = db::pool(server().database(&name), 8);
        db::migrate(&pool).await.unwrap();
        let state = AppState::new(pool.clone(), Settings::read(|_| None).unwrap()).unwrap();
        let api = ApiState::new(state.clone());
        Self { pool, router: web::router(state.clone(), api.clone()), state, api, name }
    }

    /// Another process over the same database.
    pub fn other_instance(&self) -> Self {
        self.instance_with(Settings::read(|_| None).unwrap())
    }

    /// Another process over the same database, with this key file.
    pub fn instance_with_keys(&self, key_file: &Path) -> Self {
        let key_file = key_file.to_str().unwrap().to_owned();
        let setting = |name: &str| (name == "RACCORD_SECRET_KEY_FILE").then(|| key_file.clone());
        self.instance_with(Settings::read(setting).unwrap())
    }

    fn instance_with(&self, settings: Settings) -> Self {
        let state = AppState::new(self.pool.clone(), settings).unwrap();
        let api = ApiState::new(state.clone());
        Self {
            pool: self.pool.clone(),
            router: web::router(state.clone(), api.clone()),
            state,
            api,
            name: String::new(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same database, by connections whose clock is moved.
    pub fn reopened(mut self, clock_offset: &str) -> Self {
        let options = server().database(&self.name).options([("raccord.clock_offset", clock_offset)]);
        let pool = db::pool(options, 8);
        let name = std::mem::take(&mut self.name);
        let state = AppState::new(pool.clone(), Settings::read(|_| None).unwrap()).unwrap();
        let api = ApiState::new(state.clone());
        Self { pool, router: web::router(state.clone(), api.clone()), state, api, name }
    }

    pub async fn sql(&self, sql: &str) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&self.pool).await.unwrap();
    }

    pub async fn scalar(&self, sql: &str) -> i64 {
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(&self.pool).await.unwrap()
    }

    /// Three structures, managed by Anne; Bruno is a member of the first only.
    pub async fn people(&self) {
        self.sql(
            "INSERT INTO users (login, last_name, first_name, contact_address)
             VALUES ('anne@mairie.fr', 'Martin', 'Anne', 'anne@mairie.fr'), ('bruno@mairie.fr', 'Petit', 'Bruno', 'bruno@mairie.fr');
             INSERT INTO structures (identifier_type, identifier, designation, managed, principal_manager_id, email, city, postal_code, address_line)
             VALUES ('SIRET', '21690123100011', 'Mairie de Lyon', true, 1, 'mairie@lyon.fr', 'Lyon', '69001', '1 place de la Comédie'),
                    ('SIRET', '21750001600019', 'Ville de Paris', true, 1, '', 'Paris', '75004', 'Place de l’Hôtel de Ville'),
                    ('SIRET', '35600000000048', 'La Poste', true, 1, '', 'Paris', '75015', '9 rue du Colonel Pierre Avia');
             INSERT INTO structures (identifier_type, identifier, designation) VALUES ('SIRET', '21130055300016', 'Mairie de Marseille'), ('RIDET', '0123456', 'Nouméa Énergie');
             INSERT INTO memberships (user_id, structure_id, role)
             VALUES (1, 1, 'PRINCIPAL_MANAGER'), (1, 2, 'PRINCIPAL_MANAGER'), (1, 3, 'PRINCIPAL_MANAGER'), (2, 1, 'USER')",
        )
        .await;
    }

    /// An account as the portal makes them.
    pub async fn account(&self, structure_id: i64) -> Account {
        let account = self.account_without_verifier(structure_id).await;
        let verifier = self.state.keys().unwrap().verifier_key().verifier(&account.login, account.password.expose());
        let mut conn = self.pool.acquire().await.unwrap();
        verifiers::put(&mut conn, account.id, 1, &verifier).await.unwrap();
        account
    }

    /// An account as earlier versions made them.
    pub async fn account_without_verifier(&self, structure_id: i64) -> Account {
        let password = Password::generate(&mut os_rng());
        let hash = Argon2id::default().hash(password.expose(), bytes(&mut os_rng()));
        let (id, login): (i64, String) = sqlx::query_as(
            "WITH taken AS (UPDATE structures SET next_technical_number = next_technical_number + 1 WHERE id = $1
                            RETURNING id, next_technical_number - 1 AS number, identifier)
             INSERT INTO technical_users (structure_id, number, login, created_by, password_set_by, password_hash, password_checksum, expires_at)
             SELECT id, number, 'TECH_' || number || '_' || identifier || '@cpro.fr', 1, 1, $2, $3,
                    portal_now() + interval '424 days' FROM taken
             RETURNING id, login",
        )
        .bind(structure_id)
        .bind(hash.as_phc())
        .bind(password.checksum())
        .fetch_one(&self.pool)
        .await
        .unwrap();
        Account { id, login, password }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 24).await.unwrap();
        assert!(!parts.headers.contains_key("set-cookie"));
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(body.to_vec()).unwrap() }
    }

    pub async fn call(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        self.call_from("192.0.2.1", path, headers, body).await
    }

    pub async fn call_from(&self, from: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let method = if path.ends_with("health-check") { Method::GET } else { Method::POST };
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let peer = ConnectInfo(SocketAddr::new(from.parse().unwrap(), 1));
        self.send(request.extension(peer).body(body.into()).unwrap()).await
    }

    pub async fn token(&self, account: &Account) -> String {
        let form = format!(
            "grant_type=client_credentials&scope=openid&client_id={}&client_secret={}",
            account.login.replace('@', "%40"),
            account.password.expose(),
        );
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let answer = self.call("/api/oauth/token", &headers, form).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }
}

impl Drop for Portal {
    fn drop(&mut self) {
        if self.name.is_empty() {
            return;
        }
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let drop = async {
            if let Ok(mut conn) = PgConnection::connect_with(&server()).await {
                let _ = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut conn).await;
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(drop));
        });
    }
}
