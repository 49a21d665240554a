//! Faults of the database during the portal's acts: an act that was not done is never reported as
//! done.

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown, symlink},
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use raccord::domain::role::Role;
use tokio::task::JoinHandle;

use super::{
    binary::{Directory, Serving},
    cluster::url_by_way_of,
    faults::health_check,
    postgres::Postgres,
};
use crate::common::{Answer, Browser, Page, Structure, TestPortal};

/// Pages on which the database has no part.
const PUBLIC_PAGES: [&str; 5] =
    ["/connexion", "/mentions-legales", "/accessibilite", "/plan-du-site", "/documentation-api"];

/// The form « Saisie utilisateur technique », opened in a browser.
#[derive(Clone)]
struct Creation {
    browser: Browser,
    form: Page,
    action: String,
}

impl Creation {
    async fn open(browser: &Browser, structure: &Structure) -> Self {
        let action = format!("/structures/{}/utilisateurs-techniques", structure.id);
        let form = browser.open(&format!("{action}/nouveau")).await;
        Self { browser: browser.clone(), form, action }
    }

    async fn submit(&self, label: &str) -> Answer {
        self.browser.submit(&self.form, &self.action, &[("libelle", label)]).await
    }

    /// Submits while the test goes on.
    fn start(&self, label: &'static str) -> JoinHandle<Answer> {
        let creation = self.clone();
        tokio::spawn(async move { creation.submit(label).await })
    }
}

pub fn until_ready(serving: &Serving, seconds: u64) {
    until("recovers", seconds, || serving.get("/readyz").is_some_and(|answer| answer.0 == 200));
}

/// How many accounts there are, with how many events of creation and mails: all three the same.
async fn accounts(portal: &TestPortal) -> i64 {
    let count = portal.count("technical_users").await;
    let (events, mails) =
        (portal.events_of("TECHNICAL_USER_CREATED").await, portal.mails_of("technical_user_created").await);
    assert_eq!((i64::try_from(events), i64::try_from(mails.len())), (Ok(count), Ok(count)), "one event and mail each");
    count
}

pub fn until(what: &str, seconds: u64, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(seconds), "{what}: not within {seconds} s");
        thread::sleep(Duration::from_millis(50));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_pool_is_reported_in_time_and_recovers() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let directory = Directory::create();
    let settings = [("DATABASE_URL", portal.database_url()), ("RACCORD_DATABASE_CONNECTIONS", "3")];
    let serving = Serving::start(&directory, &["serve"], &settings);
    let browser = portal.sign_in(serving.browser(), &manager).await;
    let creation = Creation::open(&browser, &structure).await;
    let holder = portal.hold(&structure).await;
    let start = Instant::now();
    let waiting: Vec<_> = (0..12).map(|_| creation.start("ERP")).collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(serving.get("/livez").expect("an answer").0, 200);
    for answer in waiting {
        let answer = answer.await.expect("no panic");
        assert_eq!(answer.status, 503);
        assert!(answer.header("retry-after").is_some() && answer.page().heading().contains("indisponible"));
    }
    let waited = start.elapsed();
    println!("12 refused after {waited:?} at most");
    assert!(waited < Duration::from_secs(7), "{waited:?}");
    holder.rollback().await.expect("the lock is given back");
    assert_eq!(accounts(&portal).await, 0);
    let start = Instant::now();
    let created = creation.submit("ERP").await.location();
    assert!(created.ends_with("/recapitulatif") && start.elapsed() < Duration::from_secs(3));
    assert_eq!(accounts(&portal).await, 1);
    serving.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_database_is_reported_in_time() {
    let postgres = Postgres::start(&[]);
    let portal = TestPortal::over(&postgres.url("raccord", "raccord")).await;
    let (manager, structure) = portal.manager().await;
    let directory = Directory::create();
    let settings = [("DATABASE_URL", portal.database_url()), ("RACCORD_DATABASE_CONNECTIONS", "3")];
    let serving = Serving::start(&directory, &["serve"], &settings);
    let browser = portal.sign_in(serving.browser(), &manager).await;
    let creation = Creation::open(&browser, &structure).await;
    let holder = portal.hold(&structure).await;
    // Statements are under way on every connection when the server freezes.
    let under_way: Vec<_> = (0..3).map(|_| creation.start("ERP")).collect();
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'raccord' AND wait_event_type = 'Lock'";
    until("wait for the lock", 5, || postgres.sql("raccord", waiting).parse::<u32>().is_ok_and(|count| count > 0));
    postgres.signal_all("-STOP");
    let start = Instant::now();
    assert_eq!(serving.get("/livez").expect("an answer").0, 200);
    let later = creation.start("ERP");
    let probes = [(); 3].map(|()| {
        let asked = Instant::now();
        (serving.get("/readyz").map(|answer| answer.0), asked.elapsed())
    });
    let pages = PUBLIC_PAGES.map(|path| {
        let (status, _, page) = serving.get(path).unwrap_or_default();
        let style =
            page.split('"').find(|word| word.starts_with("/static/") && word.contains("/style.")).unwrap_or("/none");
        (path, status, serving.get(style).map(|answer| answer.0))
    });
    for answer in under_way.into_iter().chain([later]) {
        let answer = answer.await.expect("no panic");
        assert!(answer.status == 503 && answer.header("retry-after").is_some(), "{}", answer.status);
    }
    println!("all refused after {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    postgres.signal_all("-CONT");
    let _ = holder.rollback().await;
    assert!(probes.iter().all(|probe| probe.0 == Some(503)), "{probes:?}");
    // Of three, as other tests take the processor.
    assert!(probes.iter().any(|probe| probe.1 < Duration::from_millis(1_500)), "a balancer waits: {probes:?}");
    for (path, page, style) in pages {
        assert_eq!((page, style), (200, Some(200)), "{path}");
    }
    until_ready(&serving, 20);
    creation.submit("ERP").await.location();
    assert_eq!(accounts(&portal).await, 1);
    serving.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_dies_at_the_commit_leaves_no_doubt() {
    let postgres = Postgres::start(&[]);
    let portal = TestPortal::over(&postgres.url("raccord", "raccord")).await;
    let (manager, structure) = portal.manager().await;
    let directory = Directory::create();
    let serving = Serving::start(&directory, &["serve"], &[("DATABASE_URL", portal.database_url())]);
    let browser = portal.sign_in(serving.browser(), &manager).await;
    let creation = Creation::open(&browser, &structure).await;
    // A standby that does not answer: a commit is on disk, and its session waits for ever to say
    // so.
    let waits = |wanted: &'static str| {
        let waiting = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'raccord' AND {wanted}");
        until(wanted, 10, || postgres.sql("raccord", &waiting) != "0");
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'raccord'";
        postgres.sql("raccord", &format!("{end} AND {wanted}"));
    };
    // First before the commit: the structure's row is held, and the session that waits for it is
    // ended.
    let holder = portal.hold(&structure).await;
    let cut = creation.start("ERP");
    waits("wait_event_type = 'Lock'");
    assert_eq!(cut.await.expect("no panic").status, 503);
    holder.rollback().await.expect("the lock is given back");
    assert_eq!(accounts(&portal).await, 0, "nothing was done");

    postgres.sql("raccord", "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    postgres.sql("raccord", "SELECT pg_reload_conf()");
    let cut = creation.start("ERP");
    waits("wait_event = 'SyncRep' AND query = 'COMMIT'");
    let answer = cut.await.expect("no panic");
    assert_eq!(answer.status, 503, "the portal cannot know");
    postgres.sql("raccord", "ALTER SYSTEM RESET synchronous_standby_names");
    postgres.sql("raccord", "SELECT pg_reload_conf()");
    assert_eq!(accounts(&portal).await, 1, "it was done all the same");

    // The same form again leads to the account that exists.
    until_ready(&serving, 15);
    let location = creation.submit("ERP").await.location();
    assert_eq!(accounts(&portal).await, 1);
    let shown = browser.open(&location).await.password().expect("the password is shown");
    let login = portal.login_of(portal.account_ids().await[0]).await;
    assert_eq!(health_check(&serving, "", &login, &shown), Some(200));
    serving.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_the_loss_of_the_primary() {
    let primary = Arc::new(Postgres::start(&["wal_level=replica", "max_wal_senders=4"]));
    let portal = TestPortal::over(&primary.url("raccord", "raccord")).await;
    let (manager, structure) = portal.manager().await;
    let standby = primary.standby("second", &["hot_standby=on"]);
    primary.sql("raccord", "ALTER SYSTEM SET synchronous_standby_names = 'second'");
    primary.sql("raccord", "SELECT pg_reload_conf()");
    // A symbolic link stands for a proxy before the two servers, so that the URL stays.
    let directory = Directory::create();
    let link = directory.path().join("database");
    symlink(primary.socket_dir(), &link).expect("a link");
    let url = url_by_way_of(&link);
    let settings = [("DATABASE_URL", url.as_str()), ("RACCORD_MAX_TECHNICAL_USERS", "1000")];
    let serving = Serving::start(&directory, &["serve"], &settings);
    let browser = portal.sign_in(serving.browser(), &manager).await;
    let mut acknowledged = Vec::new();
    let mut doubtful = None;
    let start = Instant::now();
    let doomed = primary.clone();
    let killer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(800));
        doomed.kill();
    });
    for number in 0.. {
        let label = format!("Logiciel {number}");
        let page = browser.get(&format!("/structures/{}/utilisateurs-techniques/nouveau", structure.id)).await;
        if page.status != 200 {
            break;
        }
        let (form, action) = (page.page(), format!("/structures/{}/utilisateurs-techniques", structure.id));
        let answer = browser.submit(&form, &action, &[("libelle", &label)]).await;
        match answer.status.as_u16() {
            303 => acknowledged.push(label),
            503 => {
                doubtful = Some((form, action, label));
                break;
            }
            other => panic!("{other} while the primary was lost"),
        }
        assert!(start.elapsed() < Duration::from_secs(20), "the primary lives on");
    }
    killer.join().expect("the primary is dead");
    Postgres::program("pg_ctl")
        .args(["promote", "-w", "-D"])
        .arg(standby.data())
        .output()
        .expect("pg_ctl is installed");
    let new = directory.path().join("new");
    symlink(standby.socket_dir(), &new).and_then(|()| fs::rename(&new, &link)).expect("a new link");
    until("serves again", 20, || serving.get("/readyz").is_some_and(|answer| answer.0 == 200));
    let label = doubtful.as_ref().map(|(_, _, label)| label.clone());
    if let Some((form, action, label)) = doubtful {
        browser.submit(&form, &action, &[("libelle", &label)]).await.location();
    }
    let survived = TestPortal::over(&standby.url("raccord", "raccord")).await;
    let kept = survived.labels().await;
    println!("{} acknowledged, in doubt {label:?}, {} kept", acknowledged.len(), kept.len());
    acknowledged.extend(label);
    assert_eq!(kept, acknowledged, "each once, none lost");
    assert_eq!(usize::try_from(accounts(&survived).await), Ok(kept.len()));
    serving.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_database_is_never_reported_as_success() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let directory = Directory::create();
    let serving = Serving::start(&directory, &["serve"], &[("DATABASE_URL", portal.database_url())]);
    let browser = portal.sign_in(serving.browser(), &manager).await;
    let id = portal.create_account(&browser, structure.id, "ERP").await;
    let account = format!("/utilisateurs-techniques/{id}");
    let (page, creation) = (browser.open(&account).await, Creation::open(&browser, &structure).await);
    let before = portal.password_hash_of(id).await;
    portal.set_read_only(true).await;
    for (path, answer) in [
        (creation.action.clone(), creation.submit("Paie").await),
        (format!("{account}/mot-de-passe"), browser.submit(&page, &format!("{account}/mot-de-passe"), &[]).await),
        (format!("{account}/suspension"), browser.post(&format!("{account}/suspension"), &[]).await),
        (format!("{account}/recapitulatif"), browser.get(&format!("{account}/recapitulatif")).await),
    ] {
        let text = answer.body_text();
        assert!(answer.status == 503 && answer.header("retry-after").is_some(), "{path}: {}", answer.status);
        assert!(!text.contains("succès") && !text.contains("mot-de-passe\">"), "{path}: {text}");
    }
    portal.set_read_only(false).await;
    until_ready(&serving, 20);
    assert_eq!(accounts(&portal).await, 1);
    assert_eq!(portal.password_hash_of(id).await, before);
    // The envelope has waited: the password is shown now, once.
    assert!(browser.open(&format!("{account}/recapitulatif")).await.password().is_some());
    creation.submit("Paie").await.location();
    serving.stop();
}

/// A file system of some megabytes; `None` where this user may not mount one.
struct SmallDisk(Directory);

impl SmallDisk {
    fn mount(megabytes: u32) -> Option<Self> {
        let directory = Directory::create();
        let options = format!("size={megabytes}m,mode=0777");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(directory.path()).output();
        let mounted = mount.is_ok_and(|output| output.status.success());
        mounted.then_some(Self(directory))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_never_reported_as_success() {
    let Some(disk) = SmallDisk::mount(48) else {
        eprintln!("SKIPPED: only root may mount a small disk");
        return;
    };
    let postgres = Postgres::start(&[]);
    let place = disk.0.path().join("space");
    fs::create_dir(&place).expect("a directory");
    let server = fs::metadata(postgres.data()).expect("the server's files");
    chown(&place, Some(server.uid()), Some(server.gid())).expect("root gives its directory away");
    postgres.sql("postgres", &format!("CREATE TABLESPACE small LOCATION '{}'", place.display()));
    postgres.sql("postgres", "ALTER DATABASE raccord SET TABLESPACE small");
    let portal = TestPortal::over(&postgres.url("raccord", "raccord")).await;
    let (manager, structure) = portal.manager().await;
    let directory = Directory::create();
    let settings = [("DATABASE_URL", portal.database_url()), ("RACCORD_MAX_TECHNICAL_USERS", "1000")];
    let serving = Serving::start(&directory, &["serve"], &settings);
    let browser = portal.sign_in(serving.browser(), &manager).await;
    let mut creation = Creation::open(&browser, &structure).await;
    // A file fills the disk but for 256 kB.
    let filler = disk.0.path().join("filler");
    let mut dd = Command::new("dd");
    dd.args(["if=/dev/zero", "bs=4096", "status=none"]).arg(format!("of={}", filler.display()));
    let _ = dd.stderr(Stdio::null()).status();
    let file = fs::File::options().write(true).open(&filler).expect("the filler");
    file.set_len(file.metadata().expect("its length").len() - 256 * 1024).expect("some room");
    // Open, it would keep its room when it is removed.
    drop(file);
    let (mut created, mut refused) = (0, 0);
    for number in 0..400 {
        if number > 0 {
            let next = browser.get(&format!("{}/nouveau", creation.action)).await;
            if next.status != 200 {
                refused += 1;
                break;
            }
            creation.form = next.page();
        }
        let answer = creation.submit(&format!("Logiciel {number}")).await;
        match answer.status.as_u16() {
            303 => created += 1,
            503 => {
                assert!(answer.header("retry-after").is_some() && !answer.body_text().contains("succès"));
                refused += 1;
                if refused > 3 {
                    break;
                }
            }
            other => panic!("{other}: {}", answer.body_text()),
        }
    }
    println!("{created} created before the disk was full, {refused} refused after");
    assert!(refused > 0, "the disk was never full");
    assert_eq!(accounts(&portal).await, created, "what was reported as done is done, and nothing else");
    fs::remove_file(&filler).expect("room again");
    until_ready(&serving, 20);
    let location = Creation::open(&browser, &structure).await.submit("Après").await.location();
    assert!(browser.open(&location).await.password().is_some());
    serving.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_instance_creates_another_displays_a_third_exports() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let directory = Directory::create();
    // One public URL, as behind a balancer.
    let settings = [("DATABASE_URL", portal.database_url()), ("RACCORD_PUBLIC_URL", "http://raccord.exemple.fr")];
    let [a, b, c] = [(); 3].map(|()| Serving::start(&directory, &["serve"], &settings));
    let at = |serving: &Serving| serving.server_known_as("http://raccord.exemple.fr");
    let first = portal.sign_in(Browser::new(at(&a)), &manager).await;
    let (second, third) = (first.at(&at(&b)), first.at(&at(&c)));
    let id = portal.create_account(&first, structure.id, "ERP").await;
    let path = format!("/utilisateurs-techniques/{id}/recapitulatif");
    let page = second.open(&path).await;
    let password = page.password().expect("another instance shows it");
    for browser in [&first, &second, &third] {
        assert!(browser.open(&path).await.password().is_none(), "shown once, wherever");
    }
    let export = third.submit(&page, &format!("/utilisateurs-techniques/{id}/informations-de-connexion"), &[]).await;
    assert_eq!(export.header("content-type"), Some("application/pdf"));
    let login = portal.login_of(id).await;
    for serving in [&a, &b, &c] {
        assert_eq!(health_check(serving, "", &login, &password), Some(200));
    }
    // A reset at one acts on the next call at the others.
    let page = first.open(&format!("/utilisateurs-techniques/{id}")).await;
    first.submit(&page, &format!("/utilisateurs-techniques/{id}/mot-de-passe"), &[]).await.location();
    for serving in [&b, &c, &a] {
        assert_eq!(health_check(serving, "", &login, &password), Some(401));
    }
    for serving in [a, b, c] {
        serving.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_demoted_between_form_and_post_is_refused_and_remembered() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let (successor, others) = portal.manager_with_structures("Alix", 2).await;
    let directory = Directory::create();
    let serving = Serving::start(&directory, &["serve"], &[("DATABASE_URL", portal.database_url())]);
    let browser = portal.sign_in(serving.browser(), &manager).await;
    let (id, _, password) = portal.create_and_show(&browser, structure.id, "ERP").await;
    let login = portal.login_of(id).await;
    let rights = || serving.memberships(&login, &password);
    let mine = rights();
    assert!(mine.contains(&structure.identifier) && !mine.contains(&others[0].identifier), "{mine}");
    let creation = Creation::open(&browser, &structure).await;
    let account = format!("/utilisateurs-techniques/{id}");
    let page = browser.open(&account).await;
    portal.attach(&successor, &structure, Role::PrincipalManager).await;
    assert_eq!(creation.submit("Paie").await.status, 404);
    assert_eq!(browser.submit(&page, &format!("{account}/mot-de-passe"), &[]).await.status, 404);
    assert_eq!(portal.events_of("ACT_REFUSED").await, 2);
    assert_eq!(portal.count("technical_users").await, 1);
    assert_eq!(health_check(&serving, "", &login, &password), Some(200), "its password is as it was");
    let theirs = rights();
    assert!(
        others.iter().all(|other| theirs.contains(&other.identifier)),
        "the next call has the new rights: {theirs}"
    );
    serving.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_serves_beside_a_newer_schema() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let directory = Directory::create();
    let settings = [("DATABASE_URL", portal.database_url())];
    let running = Serving::start(&directory, &["serve"], &settings);
    let browser = portal.sign_in(running.browser(), &manager).await;
    portal.create_and_show(&browser, structure.id, "Avant").await;
    // The next version's migrations add columns and a table, and record themselves.
    portal
        .execute(
            "ALTER TABLE technical_users ADD COLUMN of_the_next_version text NOT NULL DEFAULT '';
             ALTER TABLE structures ADD COLUMN of_the_next_version integer;
             ALTER TABLE sessions ADD COLUMN of_the_next_version timestamptz;
             CREATE TABLE of_the_next_version (id bigint PRIMARY KEY);
             INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'of the next version', true, '\\x00', 0)",
        )
        .await;
    portal.create_and_show(&browser, structure.id, "Pendant").await;
    let restarted = Serving::start(&directory, &["serve"], &settings);
    let there = browser.at(&restarted.server());
    portal.create_and_show(&there, structure.id, "Après").await;
    assert_eq!(accounts(&portal).await, 3);
    running.stop();
    restarted.stop();
}
