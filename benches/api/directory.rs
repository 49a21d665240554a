//! Portals whose directory has very different sizes, and a manager who works in each.

use std::{
    io::{self, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use raccord::{
    db,
    web::{self, api::state::ApiState, edge::state::AppState, paths},
};

use sqlx::PgPool;

use crate::{
    accounts::Accounts,
    bare,
    common::{Browser, Database, Person, Structure, TestPortal},
    load::{Variant, request},
};

/// Structures $1 to $2 of a made-up directory.
const DIRECTORY: &str = include_str!("../directory.sql");
/// Structures that are written by one statement.
const BATCH: i64 = 100_000;
/// The manager's structures, as in the demonstration.
const MANAGED: usize = 300;

/// A portal over a directory, with what is needed to use it.
pub struct Portal {
    pub size: i64,
    /// How long it took to fill, or to copy where an earlier run filled it.
    pub filled_in: Duration,
    /// Bytes of the whole database.
    pub bytes: i64,
    test: TestPortal,
    manager: Person,
    pub browser: Browser,
    pub structures: Vec<Structure>,
    /// A technical user of the first structure, with a history.
    account: i64,
    /// The header of a program's call.
    bearer: String,
    address: SocketAddr,
}

impl Portal {
    pub async fn create(size: i64) -> Self {
        let start = Instant::now();
        let database = Database::filled(DIRECTORY, size, async |pool| fill(pool, size).await).await;
        let (portal, filled_in) = (TestPortal::on(database, &[]), start.elapsed());
        let (manager, structures) = portal.manager_with_structures("Camille", MANAGED).await;
        let browser = portal.signed_in(&manager).await;
        let account = account_with_history(&portal, &browser, &manager, &structures[0]).await;
        let accounts = Accounts::create(&portal, "APPELANT", 5).await;
        let bearer = accounts.headers_of_tokens().next().expect("an account");
        portal.execute("VACUUM (ANALYZE)").await;
        let bytes = portal.number("SELECT pg_database_size(current_database())", &[]).await;
        let pool = db::pool(portal.database_url().parse().expect("a sound URL"), 8);
        let state = AppState::new(pool, portal.state().settings.clone()).expect("no theme");
        let address = bare::serve(web::router(state.clone(), ApiState::new(state))).await;
        Self { size, filled_in, bytes, test: portal, manager, browser, structures, account, bearer, address }
    }

    /// Signs the manager in once more: a large directory takes longer to fill than a session lives.
    pub async fn sign_in_again(&mut self) {
        self.browser = self.test.signed_in(&self.manager).await;
    }

    /// The pages of people.
    pub fn pages(&self) -> Vec<Variant> {
        let (structure, account) = (self.structures[0].id, self.account);
        let pages = [
            ("Activités", paths::ACTIVITIES.to_owned()),
            ("Activités, recherche", format!("{}?recherche=commune", paths::ACTIVITIES)),
            ("Activités, dernière page", format!("{}?page=15", paths::ACTIVITIES)),
            ("Utilisateurs techniques", paths::OVERVIEW.to_owned()),
            ("Fiche structure", paths::structure(structure)),
            ("Création, formulaire", format!("/structures/{structure}/utilisateurs-techniques/nouveau")),
            ("Utilisateur technique", format!("/utilisateurs-techniques/{account}")),
            ("Historique", paths::structure_history(structure)),
            ("Historique, filtré", format!("{}?recherche=ERP", paths::structure_history(structure))),
            ("Mon compte", paths::MY_ACCOUNT.to_owned()),
        ];
        let cookies: Vec<_> = self.browser.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookie = format!("Cookie: {}\r\n", cookies.join("; "));
        pages.map(|(name, path)| Variant::new(name, self.address, vec![request(&path, &cookie, "")])).into()
    }

    /// The calls of programs.
    pub fn calls(&self) -> Vec<Variant> {
        let search = |criteria: &str| {
            format!(
                r#"{{"structure":{{{criteria}}},"parametres":{{"nbResultatsParPage":20,"pageResultatDemandee":1}}}}"#
            )
        };
        let named = |words: &str| search(&format!(r#""raisonSocialeStructure":"{words}""#));
        let own = self.structures[0].id;
        let calls = [
            ("health-check", paths::API_HEALTH_CHECK, String::new()),
            ("rattachements", paths::API_MEMBERSHIPS, "{}".to_owned()),
            ("rechercher, sans critère", paths::API_SEARCH, search("")),
            ("rechercher, mot fréquent", paths::API_SEARCH, named("commune")),
            ("rechercher, mot rare", paths::API_SEARCH, named("zoxavi")),
            ("rechercher, deux mots", paths::API_SEARCH, named("syndicat eaux")),
            ("rechercher, fréquent et rare", paths::API_SEARCH, named("commune plouetot")),
            ("rechercher, début de mot", paths::API_SEARCH, named("hospit")),
            ("rechercher, milieu de mot", paths::API_SEARCH, named("ospitali")),
            ("rechercher, rien à trouver", paths::API_SEARCH, named("wxyzwxyz")),
            ("rechercher, code postal", paths::API_SEARCH, search(r#""adresseCodePostal":"57000""#)),
            ("rechercher, ville", paths::API_SEARCH, search(r#""adresseVille":"LYON""#)),
            ("rechercher, identifiant", paths::API_SEARCH, search(r#""identifiantStructure":"21690123100011""#)),
            ("consulter", paths::API_CONSULT, format!(r#"{{"codeLangue":"fr","idStructureCPP":{own}}}"#)),
        ];
        let headers = format!("Content-Type: application/json\r\n{}", self.bearer);
        let variant = |(name, path, body): (&str, &str, String)| {
            Variant::new(name, self.address, vec![request(path, &headers, &body)])
        };
        calls.map(variant).into()
    }
}

/// Fills the directory, and says how far it is.
async fn fill(pool: &PgPool, size: i64) {
    let mut first = 1;
    while first <= size {
        let last = (first + BATCH - 1).min(size);
        sqlx::query(DIRECTORY).bind(first).bind(last).execute(pool).await.expect("structures");
        eprint!("\r{last} of {size} structures");
        let _ = io::stderr().flush();
        first = last + 1;
    }
    sqlx::query("VACUUM (ANALYZE)").execute(pool).await.expect("statistics");
    eprintln!();
}

/// An account with a year of daily events.
async fn account_with_history(portal: &TestPortal, browser: &Browser, manager: &Person, structure: &Structure) -> i64 {
    let account = portal.create_account(browser, structure.id, "ERP").await;
    portal.daily_history(structure, manager, account, 365).await;
    account
}
