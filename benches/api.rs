//! Measures the cost of authentication: `recuperer/rattachements` with each kind of credential,
//! compared to a bare axum and sqlx handler that runs an equivalent query on the same pool and
//! returns the same members. `cargo bench --bench api` starts everything and prints a table.
//!
//! The load is generated in this process, so only the ratios are meaningful. Rounds of the variants
//! are interleaved, and the table shows medians: requests per second, and the CPU time of a call in
//! this process (load generator included) and in the database.

#![allow(dead_code, reason = "the tests' helpers do more than is needed here")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::{
    env, fs,
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
    web::{self, api::state::ApiState, edge::state::AppState},
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
const DATABASE_CONNECTIONS: u32 = 10;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(2);
const MEMBERSHIPS: usize = 20;

/// Other rows in the database: with one manager's few rows, PostgreSQL would not use the indexes.
const NEIGHBOURS: &str = "
    INSERT INTO users (login, last_name, first_name, contact_address)
    SELECT 'voisin' || n || '@x.fr', 'Voisin', 'Numéro', 'voisin' || n || '@x.fr' FROM generate_series(1, 500) n;
    INSERT INTO structures (identifier_type, identifier, designation)
    SELECT 'AUTRE', 'VOISIN' || n, 'Établissement voisin ' || n FROM generate_series(1, 10000) n;
    INSERT INTO memberships (user_id, structure_id, role)
    SELECT u.id, s.id, 'USER' FROM structures s JOIN users u ON u.login = 'voisin' || (1 + s.id % 500) || '@x.fr'
     WHERE s.identifier_type = 'AUTRE';
    INSERT INTO technical_users (structure_id, number, login, created_by, password_hash, password_set_by, expires_at)
    SELECT s.id, 1, 'TECH_1_' || s.identifier || '@cpro.fr', 1, '', 1, portal_now() + interval '1 year'
      FROM structures s WHERE s.identifier_type = 'AUTRE';
    INSERT INTO password_verifiers (technical_user_id, credential_version, key_id, verifier)
    SELECT t.id, 1, 'voisin', sha256(('v' || t.login)::bytea) FROM technical_users t WHERE t.password_hash = '';
    INSERT INTO access_tokens (token_hash, technical_user_id, credential_version, expires_at)
    SELECT sha256(t.login::bytea), t.id, 1, portal_now() + interval '1 hour' FROM technical_users t WHERE t.password_hash = '';
    ANALYZE";

#[derive(Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
struct Bare {
    id_structure: i64,
    id_rattachement_structure: i64,
    identifiant_structure: String,
    type_identifiant_structure: String,
    designation_structure: String,
    role_utilisateur: String,
    #[sqlx(skip)]
    statut_utilisateur: Active,
    #[sqlx(skip)]
    statut_rattachement_structure: Active,
    #[sqlx(skip)]
    liste_services_rattache: [(); 0],
    #[serde(skip)]
    total: i64,
}

#[derive(Clone, Copy, Default, Serialize)]
enum Active {
    #[default]
    #[serde(rename = "ACTIF")]
    Active,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BareAnswer {
    code_retour: u16,
    libelle: &'static str,
    liste_structure_rattachement: Vec<Bare>,
    parametres_retour: BarePage,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BarePage {
    nb_resultats_par_page: i32,
    page_courante: i32,
    pages: i64,
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
    Json(BareAnswer {
        code_retour: 0,
        libelle: "TRA_MSG_00.000",
        parametres_retour: BarePage {
            nb_resultats_par_page: 100,
            page_courante: 1,
            pages: 1,
            total: rows.first().map_or(0, |row| row.total),
        },
        liste_structure_rattachement: rows,
    })
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

/// Sends requests one after the other on one connection until `end`. Returns how many were
/// answered, all with 200.
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

/// Results of one round.
struct Measure {
    requests_per_second: u64,
    /// CPU time of one call in this process, in microseconds.
    own_cpu: u64,
    /// CPU time of one call in the database's processes, in microseconds.
    database_cpu: u64,
}

/// Calls on all connections for [`ROUND`].
async fn round(address: SocketAddr, request: &str, backends: &[String]) -> Measure {
    let before = (cpu_time(["self"]), cpu_time(backends));
    let end = Instant::now() + ROUND;
    let callers: Vec<_> = (0..CONNECTIONS).map(|_| tokio::spawn(caller(address, request.to_owned(), end))).collect();
    let mut answered = 0;
    for caller in callers {
        answered += caller.await.expect("no panic");
    }
    let answered = u64::try_from(answered).expect("a count");
    let micros = |before: Duration, after: Duration| {
        u64::try_from(after.saturating_sub(before).as_micros()).expect("a few seconds") / answered
    };
    Measure {
        requests_per_second: answered / ROUND.as_secs(),
        own_cpu: micros(before.0, cpu_time(["self"])),
        database_cpu: micros(before.1, cpu_time(backends)),
    }
}

/// CPU time used so far by all threads of these processes.
fn cpu_time(processes: impl IntoIterator<Item = impl AsRef<str>>) -> Duration {
    let threads = processes.into_iter().flat_map(|process| {
        fs::read_dir(format!("/proc/{}/task", process.as_ref())).expect("a process that lives").flatten()
    });
    // The first number is the CPU time in nanoseconds.
    let nanos = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// A request to one of the servers, under the name that the table shows.
struct Variant {
    name: &'static str,
    address: SocketAddr,
    request: String,
}

/// An account with [`MEMBERSHIPS`] memberships, and its credentials as request headers.
struct TestCaller {
    manager_id: i64,
    cpro_account: String,
    bearer: String,
}

async fn create_caller(portal: &TestPortal) -> TestCaller {
    let (manager, structures) = portal.manager_with_structures("Camille", 1).await;
    for number in 1..MEMBERSHIPS {
        let structure = portal.structure(&format!("Commune numéro {number:03}")).await;
        portal.attach(&manager, &structure, Role::User).await;
    }
    let browser = portal.signed_in(&manager).await;
    let (id, _, password) = portal.create_and_show(&browser, structures[0].id, "ERP").await;
    let login = portal.text("SELECT login FROM technical_users WHERE id = $1", &[id]).await;
    let form = [("grant_type", "client_credentials"), ("client_id", &login), ("client_secret", &password)];
    let token: serde_json::Value =
        serde_json::from_str(&browser.post("/api/oauth/token", &form).await.body_text()).expect("a token");
    TestCaller {
        manager_id: manager.id,
        cpro_account: format!("cpro-account: {}\r\n", BASE64.encode(format!("{login}:{password}").as_bytes())),
        bearer: format!("Authorization: Bearer {}\r\n", token["access_token"].as_str().expect("a token")),
    }
}

/// Starts both servers. The variants to measure, the bare handler first.
async fn start_servers(pool: &PgPool, caller: &TestCaller) -> Vec<Variant> {
    let state = AppState::new(pool.clone(), Settings::read(|_| None).expect("the defaults")).expect("no theme");
    let raccord = serve(web::router(state.clone(), ApiState::new(state))).await;
    let bare = serve(Router::new().route(PATH, post(bare)).with_state((pool.clone(), caller.manager_id))).await;
    let TestCaller { cpro_account, bearer, .. } = caller;
    vec![
        Variant { name: "bare handler", address: bare, request: request("") },
        Variant { name: "cpro-account", address: raccord, request: request(cpro_account) },
        Variant { name: "Bearer", address: raccord, request: request(bearer) },
        Variant { name: "both", address: raccord, request: request(&format!("{cpro_account}{bearer}")) },
    ]
}

/// The process numbers of the pool's database backends, once it has opened all its connections.
async fn backends(pool: &PgPool) -> Vec<String> {
    let mut held = Vec::new();
    for _ in 0..DATABASE_CONNECTIONS {
        held.push(pool.acquire().await.expect("a connection"));
    }
    let backends =
        "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'";
    sqlx::query_scalar(backends).fetch_all(&mut *held[0]).await.expect("the query works")
}

fn print(variants: &[Variant], rounds: &[Vec<Measure>]) {
    println!("{MEMBERSHIPS} memberships, {CONNECTIONS} connections, {ROUNDS} rounds of {ROUND:?} each");
    println!("{:14} {:>12} {:>10} {:>16} {:>16}", "", "requests/s", "of bare", "µs here", "µs in database");
    let median = |measures: &[Measure], figure: fn(&Measure) -> u64| {
        let mut figures: Vec<u64> = measures.iter().map(figure).collect();
        figures.sort_unstable();
        figures[ROUNDS / 2]
    };
    let of_bare = median(&rounds[0], |measure| measure.requests_per_second);
    for (measures, Variant { name, .. }) in rounds.iter().zip(variants) {
        let per_second = median(measures, |measure| measure.requests_per_second);
        let own_cpu = median(measures, |measure| measure.own_cpu);
        let database_cpu = median(measures, |measure| measure.database_cpu);
        let share = per_second * 100 / of_bare;
        println!("{name:14} {per_second:>12} {share:>9}% {own_cpu:>16} {database_cpu:>16}");
    }
}

#[tokio::main]
async fn main() {
    let portal = TestPortal::start().await;
    let caller = create_caller(&portal).await;
    portal.execute(NEIGHBOURS).await;
    let pool = db::pool(portal.database_url().parse().expect("a sound URL"), DATABASE_CONNECTIONS);
    let mut variants = start_servers(&pool, &caller).await;
    let backends = backends(&pool).await;
    // One variant alone, for a profiler.
    if let Some(wanted) = env::args().skip(1).find(|argument| !argument.starts_with('-')) {
        variants.retain(|variant| variant.name == wanted);
    }
    let mut rounds: Vec<Vec<Measure>> = variants.iter().map(|_| Vec::new()).collect();
    for number in 0..=ROUNDS {
        for (measures, variant) in rounds.iter_mut().zip(&variants) {
            let measure = round(variant.address, &variant.request, &backends).await;
            // The first round is a warm-up.
            if number > 0 {
                measures.push(measure);
            }
        }
    }
    print(&variants, &rounds);
}
