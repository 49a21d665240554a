//! Two roles of the database: one owns the schema, the other serves with the rights it needs.

use std::{fs, os::unix::fs::PermissionsExt};

use super::{
    binary::{Directory, Serving, raccord, run},
    faults::health_check,
    postgres::Postgres,
    secrets::assert_memory_without,
};
use crate::common::TestPortal;

#[tokio::test(flavor = "multi_thread")]
async fn the_role_that_serves_can_do_all_that_people_do_and_nothing_else() {
    let postgres = Postgres::start(&[]);
    postgres.sql("postgres", "CREATE ROLE portal LOGIN");
    let (owner, serving_role) = (postgres.url("raccord", "raccord"), postgres.url("portal", "raccord"));
    let directory = Directory::create();
    let data = directory.path().to_str().expect("text");
    // Without the owner it cannot make a schema, and says so in one line.
    let (code, _, told) =
        run(&mut raccord(&["migrate"], &[("DATABASE_URL", &serving_role), ("RACCORD_DATA_DIR", data)]));
    assert!(code == 1 && told.lines().count() == 1 && told.contains("permission denied"), "{told}");
    let both = [("DATABASE_URL", serving_role.as_str()), ("RACCORD_MIGRATION_URL", owner.as_str())];
    let (code, _, told) = run(&mut raccord(&["migrate"], &both));
    assert_eq!(code, 0, "{told}");
    // `migrate` writes nothing where all rights are right, and corrects those that are not.
    let rights =
        "SELECT string_agg(xmin::text, ',' ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    let given = postgres.sql("raccord", rights);
    assert_eq!(run(&mut raccord(&["migrate"], &both)).0, 0);
    assert_eq!(postgres.sql("raccord", rights), given);
    postgres.sql("raccord", "GRANT DELETE ON audit_events TO portal");
    postgres.sql("raccord", "GRANT UPDATE (actor) ON audit_events TO portal");
    postgres.sql("raccord", "GRANT INSERT (at) ON audit_events TO portal");
    postgres.sql("raccord", "GRANT SELECT ON users TO portal WITH GRANT OPTION");
    postgres.sql("raccord", "REVOKE INSERT ON sessions FROM portal");
    assert_eq!(run(&mut raccord(&["migrate"], &both)).0, 0);
    let mended = "SELECT has_table_privilege('portal', 'audit_events', 'DELETE'), has_any_column_privilege('portal', 'audit_events', 'UPDATE'),
                         has_table_privilege('portal', 'users', 'SELECT WITH GRANT OPTION'), has_column_privilege('portal', 'sessions', 'id_hash', 'INSERT')";
    assert_eq!(postgres.sql("raccord", mended), "f|f|f|t");
    let dates = "SELECT has_column_privilege('portal', 'audit_events', 'at', 'INSERT')";
    assert_eq!(postgres.sql("raccord", dates), "f");

    let portal = TestPortal::over(&owner).await;
    let (manager, structure) = portal.manager().await;
    // With the schema in place, it needs the owner no more.
    let serving = Serving::start(&directory, &["serve"], &[("DATABASE_URL", &serving_role)]);
    let sessions = "SELECT count(DISTINCT usename) FROM pg_stat_activity WHERE application_name = 'raccord' AND usename = 'portal'";
    assert_eq!(postgres.sql("raccord", sessions), "1");
    let browser = portal.sign_in(serving.browser(), &manager).await;
    let (id, page, password) = portal.create_and_show(&browser, structure.id, "ERP").await;
    let account = format!("/utilisateurs-techniques/{id}");
    let exported = browser.submit(&page, &format!("{account}/informations-de-connexion"), &[]).await;
    assert_eq!(exported.status, 200);
    let login = portal.text("SELECT login FROM technical_users", &[]).await;
    assert_eq!(health_check(&serving, "", &login, &password), Some(200));
    let page = browser.open(&account).await;
    browser.submit(&page, &format!("{account}/mot-de-passe"), &[("ancien", "24")]).await.location();
    for act in ["recapitulatif/fermeture", "ancien-mot-de-passe", "suspension", "reactivation", "suppression"] {
        browser.post(&format!("{account}/{act}"), &[]).await.location();
    }
    let invitation = format!("/structures/{}/membres/invitation", structure.id);
    let form = browser.open(&invitation).await;
    let typed = [("adresse", "lou@exemple.fr"), ("prenom", "Lou"), ("nom", "Petit"), ("role", "UTILISATEUR")];
    browser.submit(&form, &invitation, &typed).await.location();
    let members = portal.number("SELECT count(*) FROM memberships WHERE structure_id = $1", &[structure.id]).await;
    assert_eq!(members, 2);
    let membership = portal.number("SELECT id FROM memberships WHERE role = 'USER'", &[]).await;
    browser.post(&format!("/rattachements/{membership}/retrait"), &[]).await.location();
    browser.post("/deconnexion", &[]).await.location();
    let import =
        directory.file("annuaire.csv", b"TypeIdentifiant;Identifiant;RaisonSociale\n1;35600000000048;La Poste\n");
    let import = ["import", "structures", import.to_str().expect("text")];
    let (code, _, told) = run(&mut raccord(&import, &[("DATABASE_URL", &serving_role)]));
    assert_eq!(code, 0, "{told}");
    let log = serving.stop();
    assert!(!log.contains("permission denied"), "{log}");

    for statement in [
        "UPDATE audit_events SET actor = 'personne'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
        "ALTER TABLE audit_events DISABLE TRIGGER ALL",
        "DROP TRIGGER audit_events_append_only ON audit_events",
        "DELETE FROM users",
        "DELETE FROM technical_users",
        "DELETE FROM structures",
        "TRUNCATE sessions",
        "CREATE TABLE mine (id bigint)",
        "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE OR REPLACE FUNCTION portal_now() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'",
        "DROP TABLE sessions",
        "INSERT INTO _sqlx_migrations VALUES (1, '', now(), true, '', 0)",
        "CREATE ROLE mine SUPERUSER",
        "COPY users TO PROGRAM 'true'",
        "SELECT pg_read_file('/etc/passwd')",
        "SET ROLE raccord",
    ] {
        let refused = postgres.try_sql("portal", "raccord", statement).expect_err(statement);
        let is_right = ["permission denied", "must be owner", "must be superuser"];
        assert!(is_right.iter().any(|words| refused.contains(words)), "{statement}: {refused}");
    }
    // The owner cannot rewrite history by mistake either.
    let refused = postgres.try_sql("raccord", "raccord", "DELETE FROM audit_events").expect_err("append-only");
    assert!(refused.contains("append-only"), "{refused}");
}

#[test]
fn the_embedded_database_serves_by_a_role_that_owns_nothing() {
    let directory = Directory::create();
    let serving = Serving::start(&directory, &["serve", "--demo"], &[]);
    let socket = directory.path().join("postgres/cluster");
    let ask = |role: &str, sql: &str| {
        let mut psql = Postgres::program("psql");
        psql.args(["-X", "-q", "-A", "-t", "-U", role, "-d", "raccord", "-c", sql]).arg("-h").arg(&socket);
        let output = psql.output().expect("psql is installed");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let who = "SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name = 'raccord'";
    assert_eq!(ask("raccord_portal", who), (true, "raccord_portal".into()));
    assert!(!ask("raccord_portal", "DELETE FROM audit_events").0 && !ask("raccord_portal", "DROP TABLE sessions").0);
    serving.stop();
}

/// A schema of its owner, and a role `portal` that serves.
fn with_two_roles() -> (Postgres, Directory, String) {
    let (postgres, directory) = (Postgres::start(&[]), Directory::create());
    postgres.sql("postgres", "CREATE ROLE portal LOGIN");
    let (owner, serving) = (postgres.url("raccord", "raccord"), postgres.url("portal", "raccord"));
    let data = directory.path().to_str().expect("text");
    let settings = [("DATABASE_URL", serving.as_str()), ("RACCORD_MIGRATION_URL", &owner), ("RACCORD_DATA_DIR", data)];
    let (code, _, told) = run(&mut raccord(&["migrate"], &settings));
    assert_eq!(code, 0, "{told}");
    (postgres, directory, serving)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_that_serves_writes_no_link_of_the_chain_and_no_table_in_place_of_ours() {
    let (postgres, _directory, _) = with_two_roles();
    for statement in [
        "INSERT INTO audit_chain VALUES (9223372036854775807, 1, sha256(''))",
        "CREATE TEMPORARY TABLE audit_events (LIKE public.audit_events INCLUDING ALL)",
        "CREATE TEMPORARY TABLE mine (id bigint)",
    ] {
        let refused = postgres.try_sql("portal", "raccord", statement).expect_err(statement);
        assert!(refused.contains("permission denied"), "{statement}: {refused}");
    }
    // The links of its events are written all the same, whatever its session has set.
    let rights = "SELECT prosecdef, proconfig, has_function_privilege('portal', oid, 'EXECUTE') FROM pg_proc
                   WHERE proname = 'chain_audit_event'";
    assert_eq!(postgres.sql("raccord", rights), "t|{\"search_path=pg_catalog, public, pg_temp\"}|f");
    for path in ["public", "pg_catalog", "pg_temp", "\"$user\""] {
        let event = format!(
            "SET search_path = {path}; INSERT INTO public.audit_events (actor, address, action) VALUES ('', '', '')"
        );
        postgres.try_sql("portal", "raccord", &event).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    let chained = "SELECT count(*) = 4 AND count(c.position) = 4 FROM audit_events e LEFT JOIN audit_chain c ON c.event_id = e.id";
    assert_eq!(postgres.sql("raccord", chained), "t");
}

/// A number that a later row would get makes the act fail that writes it.
#[tokio::test(flavor = "multi_thread")]
async fn the_role_that_serves_chooses_no_number_of_a_row_and_no_date_of_an_event() {
    let (postgres, _directory, _) = with_two_roles();
    let numbered = "SELECT string_agg(attrelid::regclass || '.' || attname, ' ' ORDER BY 1) FROM pg_attribute
                     WHERE attidentity = 'a' AND has_column_privilege('portal', attrelid, attnum, 'INSERT')";
    assert_eq!(postgres.sql("raccord", numbered), "");
    for statement in [
        "INSERT INTO audit_events (id, actor, address, action) OVERRIDING SYSTEM VALUE SELECT g, '', '', '' FROM generate_series(1, 9) g",
        "INSERT INTO audit_events (actor, address, action, at) VALUES ('', '', '', '2001-01-01')",
        "INSERT INTO mails (id, recipient, notice) OVERRIDING SYSTEM VALUE VALUES (9, '', '{}')",
        "UPDATE mails SET id = 9",
        "SELECT setval('audit_events_id_seq', 9)",
        "ALTER ROLE portal SET raccord.clock_offset = '-10 years'",
    ] {
        let refused = postgres.try_sql("portal", "raccord", statement).expect_err(statement);
        let is_right = refused.contains("permission denied") || refused.contains("can only be updated to DEFAULT");
        assert!(is_right, "{statement}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_temporary_table_and_no_setting_of_its_role_diverts_what_the_portal_writes() {
    let (postgres, directory, serving_role) = with_two_roles();
    let portal = TestPortal::over(&postgres.url("raccord", "raccord")).await;
    let (manager, _) = portal.manager().await;
    // As if temporary tables were allowed still: one in the session itself takes no event.
    postgres.sql("raccord", "GRANT TEMPORARY ON DATABASE raccord TO portal");
    let pool = raccord::db::pool(serving_role.parse().expect("a URL"), 1);
    let swallow = "CREATE TEMPORARY TABLE audit_events (LIKE public.audit_events INCLUDING ALL)";
    sqlx::query(swallow).execute(&pool).await.expect("it is allowed");
    let event = "INSERT INTO audit_events (actor, address, action) VALUES ('', '', '')";
    sqlx::query(event).execute(&pool).await.expect("the event is written");
    pool.close().await;
    assert_eq!(postgres.sql("raccord", "SELECT count(*) FROM audit_events"), "1");
    for path in ["pg_temp", "pg_catalog", "elsewhere"] {
        let setting = format!("ALTER ROLE portal SET search_path = {path}");
        postgres.try_sql("portal", "raccord", &setting).expect("PostgreSQL lets a role do that");
        let serving = Serving::start(&directory, &["serve"], &[("DATABASE_URL", &serving_role)]);
        portal.sign_in(serving.browser(), &manager).await;
        serving.stop();
    }
    assert_eq!(portal.events_of("SIGNED_IN").await, 3);
}

#[test]
fn the_owner_of_the_embedded_database_needs_its_password() {
    let directory = Directory::create();
    let (home, socket) = (directory.path().join("postgres"), directory.path().join("postgres/cluster"));
    let password = || fs::read_to_string(home.join("owner-password")).expect("the password");
    let may_drop = |password: &str| {
        let mut psql = Postgres::program("psql");
        psql.args(["-X", "-q", "-w", "-U", "raccord", "-d", "raccord"]).arg("-h").arg(&socket);
        psql.args(["-c", "BEGIN; DROP TABLE audit_events CASCADE; ROLLBACK"]).env("PGPASSWORD", password);
        psql.output().expect("psql is installed").status.success()
    };
    let serving = Serving::start(&directory, &["serve"], &[]);
    let first = password();
    assert!(first.len() == 64 && may_drop(&first) && !may_drop("") && !may_drop("raccord"));
    let file = fs::metadata(home.join("owner-password")).expect("the file");
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    // It was read to migrate, and let go.
    let known = directory.path().to_str().expect("text");
    assert_memory_without(&serving, known, "start", &[("owner's password", first.as_bytes())]);
    serving.stop();
    // A cluster of an older version asks for none: the next start mends that.
    fs::remove_file(home.join("owner-password")).expect("the file");
    let rules = socket.join("pgdata/pg_hba.conf");
    fs::write(rules, "local all raccord,raccord_portal trust\nlocal all postgres peer\n").expect("the rules");
    let serving = Serving::start(&directory, &["serve"], &[]);
    assert!(password() != first && may_drop(&password()) && !may_drop(&first) && !may_drop(""));
    serving.stop();
}
