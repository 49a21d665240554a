//! `kill -9` of the portal at any instant of an act: it leaves the old state or the new one, and
//! the same form sent again completes it.

use std::{
    collections::BTreeMap,
    env,
    time::{Duration, Instant},
};

use raccord::domain::random;

use super::{
    binary::{Directory, Serving},
    faults::health_check,
};
use crate::common::{Answer, Browser, LOST, Page, Structure, TestPortal};

/// A number from the environment.
pub fn number_from(variable: &str, default: u64) -> u64 {
    env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

pub fn random_below(bound: u64) -> u64 {
    u64::from_le_bytes(random::bytes(&mut random::os_rng())) % bound
}

/// An address in another network each round, so that no delay applies.
pub fn address_of_round(round: u64) -> String {
    format!("203.0.{}.{}", round / 250 % 250, round % 250 + 1)
}

/// A portal that is killed and started again in each round.
struct Sweep {
    portal: TestPortal,
    directory: Directory,
    structure: Structure,
    serving: Option<Serving>,
    browser: Browser,
    outcomes: BTreeMap<(&'static str, &'static str), u32>,
}

/// How an act's commit is seen: a query for a number that it changes.
#[derive(Clone, Copy)]
struct Commit {
    sql: &'static str,
    id: i64,
    before: i64,
}

const ACCOUNTS: &str = "SELECT count(*) FROM technical_users WHERE structure_id = $1";
const VERSION: &str = "SELECT credential_version::bigint FROM technical_users WHERE id = $1";
const DISPLAYS: &str = "SELECT count(*) FROM audit_events WHERE action = 'PASSWORD_SHOWN' AND technical_user_id = $1";

pub const ROUTE: &str = "/utilisateurs-techniques";

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

    /// Lets `call` begin, kills the portal within the next 150 ms or, one time in three, as soon as
    /// the commit is seen, and starts it again. Returns the answer to `call`, or [`LOST`].
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

    /// Each act has its event, its mail and its form, and envelopes hold current passwords.
    async fn assert_whole_acts(&self) {
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

    /// Opens the récapitulatif, one time in three under a kill. `None` where the one answer that
    /// showed the password was lost.
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
        sweep.assert_whole_acts().await;
    }
    println!("{rounds} rounds");
    for ((act, outcome), count) in &sweep.outcomes {
        println!("{act:<8} {outcome:<26} {count:>5}");
    }
}
