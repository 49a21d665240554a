//! Random kills of two portals and their database while people create and reset accounts and
//! programs call. `bin/chaos` runs it.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    binary::{Directory, Serving},
    faults::health_check,
    kills::{ROUTE, address_of_round, number_from, random_below},
    postgres::Postgres,
};
use crate::common::{Answer, Browser, LOST, PASSWORD, Page, Server, Structure, TestPortal};

/// The two portals behind the balancer; `None` while one is down.
type Portals = [Mutex<Option<Serving>>; 2];

/// An account as the person who created it knows it.
struct Acknowledged {
    id: i64,
    /// The password that was shown last; `None` where the answer was lost.
    password: Option<String>,
    /// How many creations and resets were acknowledged.
    acts: i64,
}

/// What a worker knows for certain at its end.
#[derive(Default)]
struct Ledger {
    /// By login.
    accounts: BTreeMap<String, Acknowledged>,
    refusals: u64,
    calls: u64,
}

impl Ledger {
    fn acts(&self) -> i64 {
        self.accounts.values().map(|account| account.acts).sum()
    }
}

/// At the end every acknowledged act must be there, every password that was shown last must work,
/// and every mail must have left once.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: bin/chaos"]
async fn chaos() {
    let minutes = number_from("RACCORD_CHAOS_MINUTES", 3);
    let postgres = Postgres::start(&[]);
    let portal = TestPortal::over(&postgres.url("raccord", "raccord")).await;
    let directory = Directory::create();
    let url = portal.database_url().to_owned();
    let portals: Arc<Portals> = Arc::new([(); 2].map(|()| Mutex::new(Some(boot_for_chaos(&directory, &url)))));
    let over = Arc::new(AtomicBool::new(false));
    let mut workers = Vec::new();
    for (number, name) in ["Ada", "Blaise", "Camille", "Denis"].into_iter().enumerate() {
        let (manager, structures) = portal.manager_with_structures(name, 1).await;
        let browser = portal.sign_in(Browser::new(any_server(&portals, number)), &manager).await;
        let (portals, over, ledger, login) = (portals.clone(), over.clone(), Ledger::default(), manager.login);
        let worker = Worker { portals, browser, over, ledger, number, login };
        workers.push(tokio::spawn(worker.work(structures.into_iter().next().expect("one"))));
    }
    let mut monkey = Monkey { portals: portals.clone(), postgres, directory, url, kills: BTreeMap::new() };
    let monkey = tokio::task::spawn_blocking(move || {
        monkey.kill_for(Duration::from_secs(minutes * 60));
        over.store(true, Ordering::SeqCst);
        monkey
    });
    let monkey = monkey.await.expect("no panic");
    let mut ledgers = Vec::new();
    for worker in workers {
        ledgers.push(worker.await.expect("the worker's assertions hold"));
    }
    reconcile(&portal, &portals, &ledgers, &monkey.directory).await;
    println!("{minutes} minutes; {:?}", monkey.kills);
    let sum = |of: fn(&Ledger) -> u64| ledgers.iter().map(of).sum::<u64>();
    let acts: i64 = ledgers.iter().map(Ledger::acts).sum();
    println!("{acts} acts acknowledged, {} calls let in, {} refused or lost", sum(|l| l.calls), sum(|l| l.refusals));
}

fn boot_for_chaos(directory: &Directory, url: &str) -> Serving {
    let settings = [
        ("DATABASE_URL", url),
        ("RACCORD_MAX_TECHNICAL_USERS", "1000"),
        ("RACCORD_TRUSTED_PROXIES", "127.0.0.1"),
        ("RACCORD_PUBLIC_URL", PUBLIC_URL),
        ("RACCORD_LOG", "error"),
    ];
    Serving::spawn(directory, &["serve"], &settings)
}

const PUBLIC_URL: &str = "http://raccord.exemple.fr";

/// A portal that is ready, as a balancer would find it.
fn any_server(portals: &Portals, first: usize) -> Server {
    loop {
        for portal in [&portals[first % 2], &portals[(first + 1) % 2]] {
            let portal = portal.lock().expect("no panic under the lock");
            if let Some(serving) = portal.as_ref()
                && serving.get("/readyz").is_some_and(|answer| answer.0 == 200)
            {
                return serving.server_known_as(PUBLIC_URL);
            }
        }
        thread::sleep(Duration::from_millis(100));
    }
}

struct Worker {
    portals: Arc<Portals>,
    browser: Browser,
    over: Arc<AtomicBool>,
    ledger: Ledger,
    number: usize,
    login: String,
}

impl Worker {
    /// One request, sent to either portal until it is answered other than with a 503.
    async fn insist<F: Future<Output = Answer>>(&mut self, mut make: impl FnMut(Browser) -> F) -> Answer {
        loop {
            let answer = make(self.browser.clone()).await;
            match answer.status.as_u16() {
                LOST | 503 => {
                    self.ledger.refusals += 1;
                    let (portals, first) = (self.portals.clone(), self.number);
                    let server =
                        tokio::task::spawn_blocking(move || any_server(&portals, first)).await.expect("no panic");
                    self.browser = self.browser.at(&server);
                }
                status if status < 500 => return answer,
                status => panic!("{status}: {}", answer.body_text()),
            }
        }
    }

    async fn open(&mut self, path: &str) -> Page {
        loop {
            let answer = self
                .insist(|browser| {
                    let path = path.to_owned();
                    async move { browser.get(&path).await }
                })
                .await;
            if answer.status == 303 && answer.location().starts_with("/connexion") {
                self.sign_in().await;
                continue;
            }
            assert_eq!(answer.status, 200, "{path} {:?}", answer.header("location"));
            return answer.page();
        }
    }

    async fn submit(&mut self, page: &Page, action: &str, typed: &[(&str, &str)]) -> String {
        loop {
            let answer = self.insist(|browser| async move { browser.submit(page, action, typed).await }).await;
            // The identity must be confirmed again; the same form still acts once.
            if answer.status == 403 {
                self.sign_in().await;
                continue;
            }
            return answer.location();
        }
    }

    async fn sign_in(&mut self) {
        let login = self.login.clone();
        let answer = self
            .insist(|browser| {
                let login = login.clone();
                async move { browser.post("/connexion", &[("identifiant", &login), ("mot-de-passe", PASSWORD)]).await }
            })
            .await;
        assert_eq!(answer.location(), "/");
    }

    async fn work(mut self, structure: Structure) -> Ledger {
        let list = format!("/structures/{}/utilisateurs-techniques", structure.id);
        let mut round = 0;
        while !self.over.load(Ordering::SeqCst) {
            round += 1;
            let form = self.open(&format!("{list}/nouveau")).await;
            let label = format!("Logiciel {round}");
            let location = self.submit(&form, &list, &[("libelle", &label)]).await;
            let id: i64 = location.split('/').nth(2).and_then(|id| id.parse().ok()).expect("an account's number");
            let mut acts = 1;
            let (mut login, mut password) = self.display(&location).await;
            for _ in 0..random_below(6) {
                if let Some(password) = &password {
                    self.call(&login, password, round);
                }
                let account = format!("{ROUTE}/{id}");
                let page = self.open(&account).await;
                let location = self.submit(&page, &format!("{account}/mot-de-passe"), &[]).await;
                acts += 1;
                (login, password) = self.display(&location).await;
            }
            self.ledger.accounts.insert(login, Acknowledged { id, password, acts });
        }
        self.ledger
    }

    /// Login and password; none where a kill took the one display.
    async fn display(&mut self, path: &str) -> (String, Option<String>) {
        let page = self.open(path).await;
        (page.fact("Identifiant de connexion"), page.password())
    }

    fn call(&mut self, login: &str, password: &str, round: u64) {
        for portal in self.portals.iter() {
            let Ok(portal) = portal.try_lock() else { continue };
            let Some(serving) = portal.as_ref() else { continue };
            match health_check(serving, &address_of_round(round), login, password) {
                Some(200) => self.ledger.calls += 1,
                Some(503) | None => self.ledger.refusals += 1,
                other => panic!("{other:?} for a password that works"),
            }
        }
    }
}

/// Kills at random, and starts again what it killed.
struct Monkey {
    portals: Arc<Portals>,
    postgres: Postgres,
    directory: Directory,
    url: String,
    /// How often what was killed.
    kills: BTreeMap<&'static str, u32>,
}

impl Monkey {
    fn kill_for(&mut self, time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {
            thread::sleep(Duration::from_millis(500 + random_below(2_500)));
            let what = match random_below(11) {
                0..5 => self.kill_a_portal(),
                5..8 => self.end_connections(),
                10 => self.age_confirmations(),
                _ => self.kill_the_database(),
            };
            *self.kills.entry(what).or_default() += 1;
            self.restart_portals();
        }
    }

    fn kill_a_portal(&self) -> &'static str {
        let number = usize::try_from(random_below(2)).unwrap_or(0);
        let mut portal = self.portals[number].lock().expect("no panic under the lock");
        if let Some(serving) = portal.take() {
            serving.kill();
        }
        thread::sleep(Duration::from_millis(random_below(500)));
        *portal = Some(boot_for_chaos(&self.directory, &self.url));
        "portal killed"
    }

    fn end_connections(&self) -> &'static str {
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'raccord'";
        self.postgres.sql("postgres", end);
        "connections ended"
    }

    /// Lets every session need a confirmation of the identity.
    fn age_confirmations(&self) -> &'static str {
        let age = "UPDATE sessions SET authenticated_at = authenticated_at - interval '16 minutes'";
        self.postgres.sql("raccord", age);
        "confirmations aged"
    }

    fn kill_the_database(&self) -> &'static str {
        self.postgres.kill();
        thread::sleep(Duration::from_millis(random_below(1_000)));
        self.postgres.boot();
        "database killed"
    }

    /// Starts portals that gave up because they began while the database was away, as an operator's
    /// supervisor does.
    fn restart_portals(&self) {
        for portal in self.portals.iter() {
            let mut portal = portal.lock().expect("no panic under the lock");
            if portal.as_mut().is_none_or(Serving::has_ended) {
                *portal = Some(boot_for_chaos(&self.directory, &self.url));
            }
        }
    }
}

async fn reconcile(portal: &TestPortal, portals: &Portals, ledgers: &[Ledger], directory: &Directory) {
    let accounts: i64 = ledgers.iter().map(|ledger| i64::try_from(ledger.accounts.len()).unwrap_or(0)).sum();
    assert_eq!(portal.count("technical_users").await, accounts, "no account but the acknowledged");
    let acts: i64 = ledgers.iter().map(Ledger::acts).sum();
    let events = portal.events_of("TECHNICAL_USER_CREATED").await + portal.events_of("PASSWORD_RESET").await;
    assert_eq!(i64::try_from(events), Ok(acts), "an event for each act");
    for (number, (login, account)) in ledgers.iter().flat_map(|ledger| &ledger.accounts).enumerate() {
        let version = portal.version_of(account.id).await;
        assert_eq!(version, account.acts, "{login}: as many passwords as acknowledged acts");
        let Some(password) = &account.password else { continue };
        for portal in portals {
            let portal = portal.lock().expect("no panic under the lock");
            let serving = portal.as_ref().expect("it serves");
            let from = address_of_round(u64::try_from(number).unwrap_or(0) + 20_000);
            assert_eq!(health_check(serving, &from, login, password), Some(200), "{login}: what was shown works");
        }
    }
    let start = Instant::now();
    while portal.unsent_mails().await > 0 {
        assert!(start.elapsed() < Duration::from_secs(90), "mails that do not leave");
        portal.retry_mails_now().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let mails = portal.outbox().await;
    let about_acts = mails.iter().filter(|mail| mail.notice.get("technical_user_id").is_some()).count();
    assert_eq!(i64::try_from(about_acts), Ok(acts), "a mail for each act");
    let files = fs::read_dir(directory.path().join("mails")).expect("the mails").count();
    assert_eq!(files, mails.len(), "each mail once");
}
