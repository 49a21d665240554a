//! What authentication costs: `recuperer/rattachements` with each kind of credential, beside a bare axum and sqlx handler that
//! runs one query of the same shape on the same pool. `cargo bench --bench api` starts everything and prints a table.
//!
//! The load comes from this very process, so the figures mean something beside each other only. Rounds are interleaved, and the
//! median of each variant counts.

#![allow(dead_code, reason = "the tests' makers do more than is asked for here")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::{Json, Router, extract::State, routing::post};
use common::TestPortal;
use data_encoding::BASE64;
use raccord::{
    db,
    domain::role::Role,
    settings::Settings,
    web::{self, state::AppState},
};
use serde::Serialize;
use sqlx::PgPool;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const PATH: &str = "/cpro/utilisateurs/v1/monCompte/recuperer/rattachements";
const BODY: &str = r#"{"parametresRecherche":{"nbResultatsParPage":100,"pageResultatDemandee":1}}"#;
const CONNECTIONS: usize = 8;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(2);
const MEMBERSHIPS: usize = 20;

#[derive(Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
struct Bare {
    id_structure: i64,
    id_rattachement_structure: i64,
    identifiant_structure: String,
    type_identifiant_structure: String,
    designation_structure: String,
    role_utilisateur: String,
    #[serde(skip)]
    total: i64,
}

#[derive(Serialize)]
struct BareAnswer {
    liste: Vec<Bare>,
    total: i64,
}

async fn bare(State((pool, manager)): State<(PgPool, i64)>) -> Json<BareAnswer> {
    let rows: Vec<Bare> = sqlx::query_as(
        "SELECT s.id AS id_structure, m.id AS id_rattachement_structure, s.identifier AS identifiant_structure,
                s.identifier_type AS type_identifiant_structure, s.designation AS designation_structure,
                m.role AS role_utilisateur, count(*) OVER () AS total
           FROM memberships m JOIN structures s ON s.id = m.structure_id
          WHERE m.user_id = $1 ORDER BY m.structure_id LIMIT 100",
    )
    .bind(manager)
    .fetch_all(&pool)
    .await
    .expect("the query works");
    Json(BareAnswer { total: rows.first().map_or(0, |row| row.total), liste: rows })
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await.expect("it serves") });
    address
}

fn request(head: &str) -> String {
    format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\n{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    )
}

/// Sends one request after the other on one connection until the end; how many were answered with 200.
async fn caller(address: SocketAddr, request: String, end: Instant) -> usize {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    let (mut answered, mut buffer) = (0, Vec::with_capacity(16 * 1024));
    while Instant::now() < end {
        stream.write_all(request.as_bytes()).await.expect("it listens");
        buffer.clear();
        loop {
            assert!(stream.read_buf(&mut buffer).await.expect("it answers") > 0, "the connection ended");
            let Some(head) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
            let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
            let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
            if buffer.len() >= head + 4 + length.unwrap_or(0) {
                assert!(text.starts_with("http/1.1 200"), "{text}");
                break;
            }
        }
        answered += 1;
    }
    answered
}

/// Requests per second of all connections together.
async fn round(address: SocketAddr, request: &str) -> usize {
    let end = Instant::now() + ROUND;
    let callers: Vec<_> = (0..CONNECTIONS).map(|_| tokio::spawn(caller(address, request.to_owned(), end))).collect();
    let mut answered = 0;
    for caller in callers {
        answered += caller.await.expect("no panic");
    }
    answered / usize::try_from(ROUND.as_secs()).expect("a few seconds")
}

#[tokio::main]
async fn main() {
    let portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Camille", 1).await;
    for number in 1..MEMBERSHIPS {
        let structure = portal.structure(&format!("Commune numéro {number:03}")).await;
        portal.attach(&manager, &structure, Role::User).await;
    }
    let browser = portal.signed_in(&manager).await;
    let (id, _, password) = portal.create_and_show(&browser, structures[0].id, "ERP").await;
    let login = portal.text("SELECT login FROM technical_users WHERE id = $1", &[id]).await;
    portal.execute("ANALYZE").await;
    let pool = db::pool(portal.database_url().parse().expect("a sound URL"), 10);
    let state = AppState::new(pool.clone(), Settings::read(|_| None).expect("the defaults")).expect("no theme");
    let raccord = serve(web::router(state)).await;
    let bare = serve(Router::new().route(PATH, post(bare)).with_state((pool, manager.id))).await;

    let account = format!("cpro-account: {}\r\n", BASE64.encode(format!("{login}:{password}").as_bytes()));
    let form = [("grant_type", "client_credentials"), ("client_id", &login), ("client_secret", &password)];
    let token: serde_json::Value =
        serde_json::from_str(&browser.post("/api/oauth/token", &form).await.body_text()).expect("a token");
    let bearer = format!("Authorization: Bearer {}\r\n", token["access_token"].as_str().expect("a token"));
    let variants = [
        ("bare handler", bare, request("")),
        ("cpro-account", raccord, request(&account)),
        ("Bearer", raccord, request(&bearer)),
        ("both", raccord, request(&format!("{account}{bearer}"))),
    ];
    let mut rates = [const { Vec::new() }; 4];
    for number in 0..=ROUNDS {
        for (rates, (_, address, request)) in rates.iter_mut().zip(&variants) {
            let rate = round(*address, request).await;
            // The first round warms up.
            if number > 0 {
                rates.push(rate);
            }
        }
    }
    println!("{MEMBERSHIPS} memberships, {CONNECTIONS} connections, {ROUNDS} rounds of {ROUND:?} each");
    println!("{:14} {:>12} {:>10}", "", "requests/s", "of bare");
    let medians = rates.map(|mut rates| {
        rates.sort_unstable();
        rates[ROUNDS / 2]
    });
    for (median, (name, ..)) in medians.iter().zip(&variants) {
        println!("{name:14} {median:>12} {:>9}%", median * 100 / medians[0]);
    }
}
