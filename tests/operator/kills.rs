//! `kill -9` at any instant: of the portal alone, swept over each act; of portals and database
//! together, at random.

use std::{
    collections::BTreeMap,
    env, fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use raccord::domain::random;

use super::{
    binary::{Directory, Serving},
    faults::health_check,
    postgres::Postgres,
};
use crate::common::{Answer, Browser, LOST, PASSWORD, Page, Server, Structure, TestPortal};

fn number_from(variable: &str, default: u64) -> u64 {
    env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn random_below(bound: u64) -> u64 {
    u64::from_le_bytes(random::bytes(&mut random::os_rng())) % bound
}

fn address_of_round(round: u64) -> String {
    format!("203.0.{}.{}", round / 250 % 250, round % 250 + 1)
}

/// One portal that is killed again and again, and the one account that it is killed over.
struct Sweep {
    portal: TestPortal,
    directory: Directory,
    structure: Structure,
    serving: Option<Serving>,
    browser: Browser,
    outcomes: BTreeMap<(&'static str, &'static str), u32>,
}

/// How an act's commit is seen: a number that it changes.
#[derive(Clone, Copy)]
struct Commit {
    sql: &'static str,
    id: i64,
    before: i64,
}

const ACCOUNTS: &str = "SELECT count(*) FROM technical_users WHERE structure_id = $1";
const VERSION: &str = "SELECT credential_version::bigint FROM technical_users WHERE id = $1";
const DISPLAYS: &str = "SELECT count(*) FROM audit_events WHERE action = 'PASSWORD_SHOWN' AND technical_user_id = $1";

const ROUTE: &str = "/utilisateurs-techniques";

impl Sweep {
    async fn start() -> Self {
        let portal = TestPortal::start().await;
        let (manager, structure) = portal.manager().await;
        let directory = Directory::create();
        let serving = boot(&directory, portal.database_url());
        let browser = portal.sign_in(serving.browser(), &manager).await;
        Self { portal, directory, structure, serving: Some(serving), browser, outcomes: BTreeMap::new() }
    }

    fn serving(&self) -> &Serving {
        self.serving.as_ref().expect("it serves")
    }

    fn count(&mut self, act: &'static str, outcome: &'static str) {
        *self.outcomes.entry((act, outcome)).or_default() += 1;
    }

    /// Lets `call` begin, kills the portal at some time within the next milliseconds, or, one time
    /// in three, as soon as the commit is seen, and starts it again: what came back.
    async fn killed_during(&mut self, call: impl Future<Output = Answer> + Send + 'static, commit: Commit) -> Answer {
        let call = tokio::spawn(call);
        if random_below(3) == 0 {
            let start = Instant::now();
            while self.portal.number(commit.sql, &[commit.id]).await == commit.before
                && start.elapsed() < Duration::from_secs(2)
            {}
        } else {
            tokio::time::sleep(Duration::from_micros(random_below(150_000))).await;
        }
        self.serving.take().expect("it serves").kill();
        let answer = call.await.expect("no panic");
        let serving = boot(&self.directory, self.portal.database_url());
        self.browser = self.browser.at(&serving.server());
        self.serving = Some(serving);
        answer
    }

    fn submit(&self, page: &Page, action: &str, typed: &[(&str, &str)]) -> impl Future<Output = Answer> + Send + use<> {
        let (browser, page, action) = (self.browser.clone(), page.clone(), action.to_owned());
        let typed: Vec<_> = typed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        async move {
            let typed: Vec<_> = typed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            browser.submit(&page, &action, &typed).await
        }
    }

    async fn authenticates(&self, round: u64, id: i64, password: &str) -> bool {
        let login = self.portal.login_of(id).await;
        match health_check(self.serving(), &address_of_round(round), &login, password) {
            Some(200) => true,
            Some(401) => false,
            other => panic!("{other:?} from the API"),
        }
    }

    /// What one act leaves: as many events and mails as acts, one envelope at most, a hash for
    /// every version.
    async fn nothing_is_half_made(&self) {
        for (what, sql) in [
            (
                "an event of each creation",
                "SELECT count(*) FROM technical_users t WHERE (SELECT count(*) FROM audit_events e
                   WHERE e.technical_user_id = t.id AND e.action = 'TECHNICAL_USER_CREATED') <> 1",
            ),
            (
                "an event of each reset",
                "SELECT count(*) FROM technical_users t WHERE (SELECT count(*) FROM audit_events e
                   WHERE e.technical_user_id = t.id AND e.action = 'PASSWORD_RESET') <> t.credential_version - 1",
            ),
            (
                "a mail of each act",
                "SELECT count(*) FROM technical_users t WHERE (SELECT count(*) FROM mails m
                   WHERE m.notice->>'technical_user_id' = t.id::text) <> t.credential_version",
            ),
            (
                "a form of each act",
                "SELECT count(*) FROM technical_users t WHERE (SELECT count(*) FROM idempotency_tokens i
                   WHERE i.technical_user_id = t.id) <> t.credential_version",
            ),
            (
                "envelopes of the password that works",
                "SELECT count(*) FROM envelopes e JOIN technical_users t ON t.id = e.technical_user_id
                  WHERE e.credential_version <> t.credential_version",
            ),
        ] {
            assert_eq!(self.portal.number(sql, &[]).await, 0, "{what}");
        }
    }

    async fn create(&mut self, round: u64) -> (i64, Option<String>) {
        let label = format!("Logiciel {round}");
        let action = format!("/structures/{}/utilisateurs-techniques", self.structure.id);
        let form = self.browser.open(&format!("{action}/nouveau")).await;
        let act = self.submit(&form, &action, &[("libelle", &label)]);
        let before = self.portal.number(ACCOUNTS, &[self.structure.id]).await;
        let commit = Commit { sql: ACCOUNTS, id: self.structure.id, before };
        let answer = self.killed_during(act, commit).await;
        let made = self.portal.number(ACCOUNTS, &[self.structure.id]).await - before;
        let outcome = match (answer.status.as_u16(), made) {
            (303, 1) => "answered, done",
            (LOST, 1) => "answer lost, done",
            (LOST, 0) => "answer lost, not done",
            other => panic!("status and accounts: {other:?}"),
        };
        self.count("create", outcome);
        let location = self.submit(&form, &action, &[("libelle", &label)]).await.location();
        let id = location.split('/').nth(2).and_then(|id| id.parse().ok()).expect("an account's number");
        (id, self.display(round, id).await)
    }

    async fn reset(&mut self, round: u64, id: i64, old: &str) -> Option<String> {
        let before = self.portal.number(VERSION, &[id]).await;
        let page = self.browser.open(&format!("{ROUTE}/{id}")).await;
        let action = format!("{ROUTE}/{id}/mot-de-passe");
        let act = self.submit(&page, &action, &[]);
        let answer = self.killed_during(act, Commit { sql: VERSION, id, before }).await;
        let is_done = self.portal.number(VERSION, &[id]).await == before + 1;
        let old_works = self.authenticates(round, id, old).await;
        assert_ne!(old_works, is_done, "the old password works exactly where the reset is not done");
        let outcome = match (answer.status.as_u16(), is_done) {
            (303, true) => "answered, done",
            (LOST, true) => "answer lost, done",
            (LOST, false) => "answer lost, not done",
            other => panic!("status and reset: {other:?}"),
        };
        self.count("reset", outcome);
        self.submit(&page, &action, &[]).await.location();
        assert_eq!(self.portal.number(VERSION, &[id]).await, before + 1, "the same form again is one reset");
        let new = self.display(round, id).await;
        assert!(!self.authenticates(round + 100_000, id, old).await, "the old password is dead");
        new
    }

    /// Opens the récapitulatif, one time in three under a kill: the password, unless it was lost on
    /// its way.
    async fn display(&mut self, round: u64, id: i64) -> Option<String> {
        let path = format!("{ROUTE}/{id}/recapitulatif");
        if round.is_multiple_of(3) {
            let (browser, to) = (self.browser.clone(), path.clone());
            let before = self.portal.number(DISPLAYS, &[id]).await;
            let commit = Commit { sql: DISPLAYS, id, before };
            let answer = self.killed_during(async move { browser.get(&to).await }, commit).await;
            if answer.status == 200 {
                self.count("display", "shown");
                return answer.page().password();
            }
            let password = self.browser.open(&path).await.password();
            self.count("display", if password.is_some() { "answer lost, shown later" } else { "answer lost, spent" });
            return password;
        }
        let password = self.browser.open(&path).await.password();
        assert!(password.is_some(), "it is shown");
        password
    }
}

fn boot(directory: &Directory, url: &str) -> Serving {
    let settings = [
        ("DATABASE_URL", url),
        ("RACCORD_MAX_TECHNICAL_USERS", "1000"),
        ("RACCORD_TRUSTED_PROXIES", "127.0.0.1"),
        ("RACCORD_LOG", "warn"),
    ];
    Serving::start(directory, &["serve"], &settings)
}

/// `RACCORD_TEST_KILLS` says how many rounds.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_instant_it_leaves_the_old_or_the_new_and_a_retry_converges() {
    let rounds = number_from("RACCORD_TEST_KILLS", 24);
    let mut sweep = Sweep::start().await;
    let mut account: Option<(i64, String)> = None;
    for round in 0..rounds {
        let (id, password) = match account.take() {
            Some((id, old)) if !round.is_multiple_of(4) => (id, sweep.reset(round, id, &old).await),
            _ => sweep.create(round).await,
        };
        if let Some(password) = password {
            assert!(sweep.authenticates(round + 200_000, id, &password).await, "what was shown works");
            account = Some((id, password));
        }
        sweep.nothing_is_half_made().await;
    }
    println!("{rounds} rounds");
    for ((act, outcome), count) in &sweep.outcomes {
        println!("{act:<8} {outcome:<26} {count:>5}");
    }
}

/// What a worker of the chaos run knows for certain at its end.
#[derive(Default)]
struct Ledger {
    /// By login: the password that was shown last, and how many were acknowledged in all.
    accounts: BTreeMap<String, (i64, Option<String>, i64)>,
    refusals: u64,
    calls: u64,
}

/// Everything random: kills of two portals and of the database while people create and reset and
/// programs call. Afterwards every acknowledged act must be there, every account have one truth,
/// every mail have left once. `bin/chaos` runs it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: bin/chaos"]
async fn chaos() {
    let minutes = number_from("RACCORD_CHAOS_MINUTES", 3);
    let postgres = Arc::new(Postgres::start(&[]));
    let portal = TestPortal::over(&postgres.url("raccord", "raccord")).await;
    let directory = Arc::new(Directory::create());
    let url = portal.database_url().to_owned();
    let portals: Arc<[Mutex<Option<Serving>>; 2]> =
        Arc::new([(); 2].map(|()| Mutex::new(Some(boot_for_chaos(&directory, &url)))));
    let over = Arc::new(AtomicBool::new(false));
    let mut workers = Vec::new();
    for (number, name) in ["Ada", "Blaise", "Camille", "Denis"].into_iter().enumerate() {
        let (manager, structures) = portal.manager_with_structures(name, 1).await;
        let browser = portal.sign_in(Browser::new(any_server(&portals, number)), &manager).await;
        let (portals, over, ledger, login) = (portals.clone(), over.clone(), Ledger::default(), manager.login);
        let worker = Worker { portals, browser, over, ledger, number, login };
        workers.push(tokio::spawn(worker.work(structures.into_iter().next().expect("one"))));
    }
    let monkey = {
        let (portals, postgres, directory, over) = (portals.clone(), postgres.clone(), directory.clone(), over.clone());
        let url = url.clone();
        thread::spawn(move || wreak(&portals, &postgres, &directory, &url, &over, Duration::from_secs(minutes * 60)))
    };
    let kills = tokio::task::spawn_blocking(move || monkey.join().expect("no panic")).await.expect("no panic");
    let mut ledgers = Vec::new();
    for worker in workers {
        ledgers.push(worker.await.expect("a worker's truth holds"));
    }
    reconcile(&portal, &portals, &ledgers, &directory).await;
    println!("{minutes} minutes; {kills:?}");
    let sum = |of: fn(&Ledger) -> u64| ledgers.iter().map(of).sum::<u64>();
    let acts: i64 = ledgers.iter().flat_map(|ledger| ledger.accounts.values()).map(|account| account.2).sum();
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

/// Whichever portal is up, as a balancer would find it.
fn any_server(portals: &[Mutex<Option<Serving>>; 2], first: usize) -> Server {
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
    portals: Arc<[Mutex<Option<Serving>>; 2]>,
    browser: Browser,
    over: Arc<AtomicBool>,
    ledger: Ledger,
    number: usize,
    login: String,
}

impl Worker {
    /// One request, made again at whichever portal answers until it is answered for good.
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
            // Who proved herself a quarter of an hour ago is asked to again; the form then acts
            // once all the same.
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
            self.ledger.accounts.insert(login, (id, password, acts));
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

/// Kills at random for a time; how often what was killed.
fn wreak(
    portals: &[Mutex<Option<Serving>>; 2],
    postgres: &Postgres,
    directory: &Directory,
    url: &str,
    over: &AtomicBool,
    time: Duration,
) -> BTreeMap<&'static str, u32> {
    let start = Instant::now();
    let mut kills = BTreeMap::new();
    while start.elapsed() < time {
        thread::sleep(Duration::from_millis(500 + random_below(2_500)));
        let what = match random_below(11) {
            0..5 => {
                let mut portal =
                    portals[usize::try_from(random_below(2)).unwrap_or(0)].lock().expect("no panic under the lock");
                if let Some(serving) = portal.take() {
                    serving.kill();
                }
                thread::sleep(Duration::from_millis(random_below(500)));
                *portal = Some(boot_for_chaos(directory, url));
                "portal killed"
            }
            5..8 => {
                let end =
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'raccord'";
                postgres.sql("postgres", end);
                "connections ended"
            }
            10 => {
                let age = "UPDATE sessions SET authenticated_at = authenticated_at - interval '16 minutes'";
                postgres.sql("raccord", age);
                "people asked again who they are"
            }
            _ => {
                postgres.kill();
                thread::sleep(Duration::from_millis(random_below(1_000)));
                postgres.boot();
                "database killed"
            }
        };
        *kills.entry(what).or_default() += 1;
        // A portal that started while the database was away has given up: an operator's supervisor
        // starts it again.
        for portal in portals {
            let mut portal = portal.lock().expect("no panic under the lock");
            if portal.as_mut().is_none_or(Serving::has_ended) {
                *portal = Some(boot_for_chaos(directory, url));
            }
        }
    }
    over.store(true, Ordering::SeqCst);
    kills
}

async fn reconcile(
    portal: &TestPortal,
    portals: &[Mutex<Option<Serving>>; 2],
    ledgers: &[Ledger],
    directory: &Directory,
) {
    let accounts: i64 = ledgers.iter().map(|ledger| i64::try_from(ledger.accounts.len()).unwrap_or(0)).sum();
    assert_eq!(portal.count("technical_users").await, accounts, "no account but the acknowledged");
    let acts: i64 = ledgers.iter().flat_map(|ledger| ledger.accounts.values()).map(|account| account.2).sum();
    let count = "SELECT count(*) FROM audit_events WHERE action IN ('TECHNICAL_USER_CREATED', 'PASSWORD_RESET')";
    assert_eq!(portal.number(count, &[]).await, acts, "an event for each act");
    for (number, (login, (id, password, acts))) in ledgers.iter().flat_map(|ledger| &ledger.accounts).enumerate() {
        let version =
            portal.number("SELECT credential_version::bigint FROM technical_users WHERE id = $1", &[*id]).await;
        assert_eq!(version, *acts, "{login}: as many passwords as acknowledged acts");
        let Some(password) = password else { continue };
        for portal in portals {
            let portal = portal.lock().expect("no panic under the lock");
            let serving = portal.as_ref().expect("it serves");
            let from = address_of_round(u64::try_from(number).unwrap_or(0) + 20_000);
            assert_eq!(health_check(serving, &from, login, password), Some(200), "{login}: what was shown works");
        }
    }
    let start = Instant::now();
    while portal.number("SELECT count(*) FROM mails WHERE sent_at IS NULL", &[]).await > 0 {
        assert!(start.elapsed() < Duration::from_secs(90), "mails that do not leave");
        portal.execute("UPDATE mails SET next_attempt_at = portal_now() WHERE sent_at IS NULL").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let mails = portal.count("mails").await;
    let about_acts = portal.number("SELECT count(*) FROM mails WHERE notice ? 'technical_user_id'", &[]).await;
    assert_eq!(about_acts, acts, "a mail for each act");
    let files = fs::read_dir(directory.path().join("mails")).expect("the mails").count();
    assert_eq!(i64::try_from(files), Ok(mails), "each mail once");
}
