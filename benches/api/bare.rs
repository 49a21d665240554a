//! The bare handlers that calls are compared with: axum and sqlx alone, on connections of their own
//! to the same database.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use axum::{
    Form, Json, Router,
    extract::{Path, State},
    routing::post,
};
use raccord::domain::random;
use serde::Serialize;
use sqlx::{Executor, PgPool, Postgres};
use tokio::net::TcpListener;

/// Reads a manager's memberships, as `recuperer/rattachements` does.
pub const READ: &str = "/lecture";
/// Finds a token by its digest, as introspection does, without a look at the service that asks.
pub const LOOK_UP: &str = "/jeton";
/// Writes one row that is found by a digest, as the issue of a token does.
pub const WRITE: &str = "/ecriture";

pub fn router(pool: PgPool) -> Router {
    let state = Arc::new(pool);
    Router::new()
        .merge(reading(state.clone()))
        .route(WRITE, post(write))
        .route(LOOK_UP, post(look_up))
        .with_state(state)
}

/// The handler of [`READ`] alone, on these connections.
pub fn reading<S: Clone + Send + Sync + 'static, D>(database: Arc<D>) -> Router<S>
where
    D: Send + Sync + 'static,
    for<'c> &'c D: Executor<'c, Database = Postgres>,
{
    Router::new().route(&format!("{READ}/{{manager}}"), post(memberships::<D>)).with_state(database)
}

pub async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await.expect("it serves") });
    address
}

#[derive(Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
struct Membership {
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
struct MembershipsAnswer {
    code_retour: u16,
    libelle: &'static str,
    liste_structure_rattachement: Vec<Membership>,
    parametres_retour: Paging,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Paging {
    nb_resultats_par_page: i32,
    page_courante: i32,
    pages: i64,
    total: i64,
}

async fn memberships<D>(State(database): State<Arc<D>>, Path(manager): Path<i64>) -> Json<MembershipsAnswer>
where
    for<'c> &'c D: Executor<'c, Database = Postgres>,
{
    let rows: Vec<Membership> = sqlx::query_as(
        "SELECT s.id AS id_structure, m.id AS id_rattachement_structure, s.identifier AS identifiant_structure,
                s.identifier_type AS type_identifiant_structure, s.designation AS designation_structure,
                m.role AS role_utilisateur, count(*) OVER () AS total
           FROM memberships m JOIN structures s ON s.id = m.structure_id
          WHERE m.user_id = $1 ORDER BY m.structure_id LIMIT 100",
    )
    .bind(manager)
    .fetch_all(&*database)
    .await
    .expect("the query works");
    let total = rows.first().map_or(0, |row| row.total);
    Json(MembershipsAnswer {
        code_retour: 0,
        libelle: "TRA_MSG_00.000",
        parametres_retour: Paging { nb_resultats_par_page: 100, page_courante: 1, pages: 1, total },
        liste_structure_rattachement: rows,
    })
}

#[derive(Serialize, sqlx::FromRow)]
struct Token {
    client_id: String,
    username: String,
    sub: String,
    exp: i64,
    #[sqlx(flatten)]
    structure: Structure,
    #[sqlx(skip)]
    #[serde(flatten)]
    constant: Constant,
}

#[derive(Serialize, sqlx::FromRow)]
struct Structure {
    r#type: String,
    identifiant: String,
    designation: String,
}

#[derive(Serialize)]
struct Constant {
    active: bool,
    scope: &'static str,
    aud: &'static str,
    iss: &'static str,
    token_type: &'static str,
}

impl Default for Constant {
    fn default() -> Self {
        let (aud, iss) = ("https://api.example/factures", "http://127.0.0.1:8080");
        Self { active: true, scope: "openid", aud, iss, token_type: "Bearer" }
    }
}

async fn look_up(State(pool): State<Arc<PgPool>>, Form(form): Form<HashMap<String, String>>) -> Json<Token> {
    let token = sqlx::query_as(
        "SELECT t.login AS client_id, t.login AS username, t.login AS sub, extract(epoch FROM k.expires_at)::bigint AS exp,
                s.identifier_type AS type, s.identifier AS identifiant, s.designation
           FROM access_tokens k
           JOIN technical_users t ON t.id = k.technical_user_id
           JOIN structures s ON s.id = t.structure_id
          WHERE k.token_hash = $1 AND k.expires_at > now()",
    )
    .bind(random::digest(&form["token"]))
    .fetch_one(&*pool)
    .await
    .expect("the query works");
    Json(token)
}

#[derive(Serialize)]
struct Written {
    access_token: String,
    token_type: &'static str,
    expires_in: u16,
    scope: &'static str,
}

async fn write(State(pool): State<Arc<PgPool>>) -> Json<Written> {
    let token = random::token(&mut random::os_rng());
    sqlx::query("INSERT INTO bare_tokens (token_hash, expires_at) VALUES ($1, now() + interval '15 minutes')")
        .bind(random::digest(&token))
        .execute(&*pool)
        .await
        .expect("the statement works");
    Json(Written { access_token: token, token_type: "Bearer", expires_in: 900, scope: "openid" })
}
