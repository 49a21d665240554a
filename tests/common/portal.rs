//! A portal over a database of its own.

use std::path::Path;

use raccord::{
    db,
    server::batch_worker,
    settings::Settings,
    web::{
        api::state::ApiState,
        edge::{probes, state::AppState},
    },
};
use sqlx::PgPool;

use super::{
    browser::{Answer, Browser, Server},
    cluster::Database,
    makers::{PASSWORD, Person, Structure},
    page::Page,
    program::Program,
};

/// A running portal and its database.
pub struct TestPortal {
    pub pool: PgPool,
    server: Server,
    settings: Settings,
    database: Database,
}

impl TestPortal {
    /// With the settings' defaults.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With these settings, as environment variables give them.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        Self::on(Database::create().await, settings)
    }

    /// On a database that has the schema.
    pub fn on(database: Database, settings: &[(&str, &str)]) -> Self {
        let given =
            |name: &str| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let given = |name: &str| given(name).or((name == KEY_FILE.0).then(|| KEY_FILE.1.to_owned()));
        let settings = Settings::read(given).expect("sound settings");
        let pool = db::pool(database.options(), 4);
        let server = serve(&database, &settings);
        Self { pool, server, settings, database }
    }

    /// Over a database that the test made, which is migrated first.
    pub async fn over(url: &str) -> Self {
        let settings = Settings::read(|_| None).expect("sound settings");
        let database = Database::at(url);
        let pool = db::pool(database.options(), 4);
        db::migrate(&pool).await.expect("the migrations run");
        let server = serve(&database, &settings);
        Self { pool, server, settings, database }
    }

    /// Another instance over the same database.
    pub fn second_instance(&self) -> Server {
        serve(&self.database, &self.settings)
    }

    pub fn database_url(&self) -> &str {
        self.database.url()
    }

    /// Moves the portal's clock to `offset` from now. Sessions stay.
    pub async fn move_clock(&mut self, offset: &str) {
        self.database.set_clock(offset);
        self.pool.close().await;
        self.pool = db::pool(self.database.options(), 4);
        self.server.replace_by(&serve(&self.database, &self.settings));
    }

    /// Makes the database unreachable, or reachable again.
    pub async fn set_database_reachable(&self, reachable: bool) {
        self.database.set_reachable(reachable).await;
    }

    /// Alters the database as its operator may, and ends every connection to it.
    pub async fn alter_database(&self, change: &str) {
        self.database.alter(change).await;
    }

    /// Makes the database refuse every change, or take them again.
    pub async fn set_read_only(&self, read_only: bool) {
        self.database.set_read_only(read_only).await;
    }

    /// What the API's handlers share in the instance that browsers and programs reach.
    pub fn api(&self) -> ApiState {
        self.server.api()
    }

    /// What all handlers share in that instance.
    pub fn state(&self) -> AppState {
        self.api().app.clone()
    }

    /// Carries out the batches that wait, as the service's background does.
    pub async fn carry_out_batches(&self) {
        while batch_worker::take_a_turn(&self.state()).await {}
    }

    /// What that instance tells Prometheus.
    pub async fn metrics(&self) -> String {
        let router = probes::metrics_router(self.state());
        Program::new(Server::new(router, String::new())).get("/metrics").await.body_text()
    }

    /// Another instance over the same database, with this key file.
    pub fn instance_with_keys(&self, key_file: &Path) -> Server {
        serve(&self.database, &Settings { secret_key_file: key_file.to_owned(), ..self.settings.clone() })
    }

    /// A program that calls the API.
    pub fn program(&self) -> Program {
        Program::new(self.server.clone())
    }

    /// A browser in which no person has signed in.
    pub fn browser(&self) -> Browser {
        Browser::new(self.server.clone())
    }

    /// A browser in which this person has signed in.
    pub async fn signed_in(&self, person: &Person) -> Browser {
        self.sign_in(self.browser(), person).await
    }

    /// Signs this person in, in a browser that visits some instance.
    pub async fn sign_in(&self, browser: Browser, person: &Person) -> Browser {
        let answer = browser.post("/connexion", &[("identifiant", &person.login), ("mot-de-passe", PASSWORD)]).await;
        assert_eq!(answer.location(), "/", "{} signs in", person.login);
        browser
    }

    /// Creates an account through the screens; its id.
    pub async fn create_account(&self, browser: &Browser, structure_id: i64, label: &str) -> i64 {
        let form = browser.open(&format!("/structures/{structure_id}/utilisateurs-techniques/nouveau")).await;
        let action = format!("/structures/{structure_id}/utilisateurs-techniques");
        let location = browser.submit(&form, &action, &[("libelle", label)]).await.location();
        let id =
            location.strip_prefix("/utilisateurs-techniques/").and_then(|rest| rest.strip_suffix("/recapitulatif"));
        id.and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("{location} is no récapitulatif"))
    }

    /// A member accepts the structure, which its principal manager offers them.
    pub async fn hand_over(&self, structure: &Structure, successor: &Person) -> Browser {
        self.offer(structure, successor).await;
        let heir = self.signed_in(successor).await;
        accept_offer(&heir, structure).await.location();
        heir
    }

    /// Creates an account and opens its récapitulatif: id, page, password.
    pub async fn create_and_show(&self, browser: &Browser, structure_id: i64, label: &str) -> (i64, Page, String) {
        let id = self.create_account(browser, structure_id, label).await;
        let page = browser.open(&format!("/utilisateurs-techniques/{id}/recapitulatif")).await;
        let password = page.password().expect("the password is shown");
        (id, page, password)
    }

    /// The one number of a query's result.
    #[track_caller]
    pub fn number(&self, sql: &'static str, ids: &[i64]) -> impl Future<Output = i64> + use<> {
        let (pool, ids, caller) = (self.pool.clone(), ids.to_vec(), std::panic::Location::caller());
        async move {
            let query = ids.iter().fold(sqlx::query_scalar(sql), |query, id| query.bind(*id));
            query.fetch_one(&pool).await.unwrap_or_else(|error| panic!("{caller}: {error}"))
        }
    }

    /// The one text of a query's result.
    #[track_caller]
    pub fn text(&self, sql: &'static str, ids: &[i64]) -> impl Future<Output = String> + use<> {
        let (pool, ids, caller) = (self.pool.clone(), ids.to_vec(), std::panic::Location::caller());
        async move {
            let query = ids.iter().fold(sqlx::query_scalar(sql), |query, id| query.bind(*id));
            query.fetch_one(&pool).await.unwrap_or_else(|error| panic!("{caller}: {error}"))
        }
    }

    /// The texts of a query's result, one per row.
    pub async fn texts(&self, sql: &'static str, ids: &[i64]) -> Vec<String> {
        let query = ids.iter().fold(sqlx::query_scalar(sql), |query, id| query.bind(*id));
        query.fetch_all(&self.pool).await.expect("the query works")
    }

    /// Runs statements without a result.
    pub async fn execute(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.pool).await.expect("the statements work");
    }
}

fn serve(database: &Database, settings: &Settings) -> Server {
    let pool = db::pool(database.options(), settings.database_connections);
    let state = AppState::new(pool, settings.clone()).expect("no theme to read");
    Server::local(state)
}

/// The setting of the key file of all instances in this process: out of the sources. A process that
/// serves a database with accounts or second factors of theirs needs it.
pub const KEY_FILE: (&str, &str) = ("RACCORD_SECRET_KEY_FILE", concat!(env!("CARGO_TARGET_TMPDIR"), "/secret.key"));

/// Looks at the offer of the structure, and accepts what is seen.
pub async fn accept_offer(heir: &Browser, structure: &Structure) -> Answer {
    let offer = heir.get(&format!("/mon-compte/propositions/{}", structure.id)).await;
    if offer.status == 200 { heir.submit(&offer.page(), &acceptance(structure), &[]).await } else { offer }
}

/// Where an offer of the structure is accepted.
pub fn acceptance(structure: &Structure) -> String {
    format!("/mon-compte/propositions/{}/acceptation", structure.id)
}
