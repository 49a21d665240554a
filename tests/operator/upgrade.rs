//! A database of an earlier version, brought up to date.

use raccord::db;
use sqlx::{PgPool, migrate::Migrator};
use tokio::time::{Duration, sleep};

use super::postgres::Postgres;
use crate::common::DIRECTORY;

/// Applies the migrations before `version`, as the version that ended with them did.
async fn migrate_before(pool: &PgPool, version: i64) {
    let before = sqlx::migrate!().iter().filter(|migration| migration.version < version).cloned().collect();
    Migrator::with_migrations(before).run(pool).await.expect("the migrations of before");
}

/// What two spellings of one identifier had made is one structure, or is reported.
#[tokio::test(flavor = "multi_thread")]
async fn identifiers_of_before_are_brought_into_one_form_and_what_is_in_use_is_kept() {
    let postgres = Postgres::start(&[]);
    let url = postgres.url("raccord", "raccord");
    let pool = db::pool(url.parse().expect("a sound URL"), 2);
    let sql = |statements: &str| postgres.sql("raccord", statements);
    migrate_before(&pool, 200).await;
    sql("INSERT INTO users (login, last_name, first_name, contact_address) VALUES ('a@b.fr', 'A', 'B', 'a@b.fr')");
    sql("INSERT INTO structures (identifier_type, identifier, designation) VALUES
         ('UE_HORS_FRANCE', 'be0403170701', 'minuscules'), ('UE_HORS_FRANCE', 'BE0403170701', 'capitales'),
         ('TAHITI', 'E80208-001', 'tiret'), ('TAHITI', 'e80208001', 'sans tiret'), ('RIDET', '0123456-001', 'seul'),
         ('HORS_UE', 'chSOCIETE-X', 'suisse'), ('AUTRE', 'a-b', 'autre'), ('UE_HORS_FRANCE', 'LU-1', 'gérée'), ('UE_HORS_FRANCE', 'LU1', 'aussi')");
    sql(
        "INSERT INTO memberships (user_id, structure_id, role) SELECT 1, id, 'USER' FROM structures WHERE designation IN ('gérée', 'aussi')",
    );
    sql(
        "INSERT INTO membership_requests (user_id, identifier_type, identifier) VALUES (1, 'TAHITI', 'E80208-001'), (1, 'TAHITI', 'E80208001')",
    );
    db::migrate(&pool).await.expect("the migrations of now");
    assert_eq!(
        sql("SELECT string_agg(identifier || ' ' || designation, ', ' ORDER BY id) FROM structures"),
        "BE0403170701 capitales, E80208001 tiret, 0123456001 seul, CHSOCIETE-X suisse, a-b autre, LU-1 gérée, LU1 aussi"
    );
    assert_eq!(sql("SELECT string_agg(identifier, ', ') FROM membership_requests"), "E80208001");
    assert_eq!(
        sql(
            "SELECT count(*) FROM structure_words w WHERE NOT EXISTS (SELECT FROM structures s WHERE s.id = w.structure_id)"
        ),
        "0"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_before_the_words_are_found_once_the_schema_is_brought_up_to_date() {
    let postgres = Postgres::start(&[]);
    let url = postgres.url("raccord", "raccord");
    let pool = db::pool(url.parse().expect("a sound URL"), 2);
    let sql = |statements: &str| postgres.sql("raccord", statements);
    migrate_before(&pool, 130).await;
    sqlx::query(DIRECTORY).bind(1_i64).bind(11_000_i64).execute(&pool).await.expect("a directory");
    sql("INSERT INTO structures (identifier_type, identifier, designation, city)
         VALUES ('AUTRE', 'T1', 'COMMUNE DE TAʻARAPŪ', 'FAAʻA'), ('AUTRE', 'T2', 'MARKS & SPENCER', 'Bourg '),
                ('AUTRE', 'T3', 'Mairie d’avant', ''), ('AUTRE', 'T4', 'Mairie de passage', '')");
    // An instance of the version before goes on writing while the words are made.
    migrate_before(&pool, 135).await;
    sql("UPDATE structures SET designation = 'Mairie d’après' WHERE identifier = 'T3'");
    sql("DELETE FROM structures WHERE identifier = 'T4'");
    sql("INSERT INTO structures (identifier_type, identifier, designation) VALUES ('AUTRE', 'T5', 'Mairie nouvelle')");
    db::migrate(&pool).await.expect("the migrations of now");
    let wrong = "SELECT count(*) FROM structures
                  WHERE search_text <> search_key(designation) || ' ' || lower(identifier)
                     OR city <> btrim(city) AND city <> 'Bourg '";
    assert_eq!(sql(wrong), "0");
    let words = "WITH expected AS (SELECT DISTINCT w.word, s.id FROM structures s CROSS JOIN string_to_table(search_key(designation), ' ') w(word))
                 SELECT (SELECT count(*) FROM (TABLE expected EXCEPT TABLE structure_words) missing),
                        (SELECT count(*) FROM (TABLE structure_words EXCEPT TABLE expected) wrong),
                        (SELECT count(*) FROM (SELECT word FROM expected EXCEPT TABLE directory_words) unknown)";
    assert_eq!(sql(words), "0|0|0");
    // The index of towns has the new keys.
    let town = "SET enable_seqscan = off; SELECT designation FROM structures WHERE search_key(city) LIKE 'faaa%'";
    assert_eq!(sql(town), "COMMUNE DE TAʻARAPŪ");
}

/// 255 changes `second_factors` first, then `users`; a request had locked them in the other order.
/// PostgreSQL would leave the two waiting here.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_waits_for_a_request_which_waits_for_it_begins_again() {
    let postgres = Postgres::start(&["deadlock_timeout=5min"]);
    let url = postgres.url("raccord", "raccord");
    let pool = db::pool(url.parse().expect("a sound URL"), 4);
    migrate_before(&pool, 255).await;
    postgres.sql(
        "raccord",
        "INSERT INTO users (login, last_name, first_name, contact_address) VALUES ('a@b.fr', 'A', 'B', 'a@b.fr')",
    );
    let mut request = pool.begin().await.expect("a transaction");
    sqlx::query("SELECT FROM users FOR NO KEY UPDATE").execute(&mut *request).await.expect("the person's lock");
    let goes_on = async {
        while postgres.sql("raccord", "SELECT count(*) FROM pg_locks WHERE NOT granted") == "0" {
            sleep(Duration::from_millis(20)).await;
        }
        sqlx::query("SELECT FROM second_factors").execute(&mut *request).await.expect("the request goes on");
        request.commit().await.expect("it ends well");
    };
    let (migrated, ()) = tokio::join!(db::migrate(&pool), goes_on);
    migrated.expect("it begins again, and ends");
    assert_eq!(db::pending_migrations(&pool).await, 0);
}

/// A large export reads for minutes what a migration changes: other requests, which may wait for
/// two seconds, are served meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_behind_a_migration_that_waits_is_served() {
    let postgres = Postgres::start(&[]);
    let pool = db::pool(postgres.url("raccord", "raccord").parse().expect("a sound URL"), 4);
    migrate_before(&pool, 255).await;
    let mut export = pool.begin().await.expect("a transaction");
    sqlx::query("SELECT FROM users").execute(&mut *export).await.expect("it reads");
    let serving = db::serving_pools(&pool, 4).portal;
    let others = async {
        for _ in 0..20 {
            sqlx::query("SELECT FROM users").execute(&serving).await.expect("another request is served");
            sleep(Duration::from_millis(200)).await;
        }
        assert!(db::pending_migrations(&pool).await > 0, "the migration waits");
        export.commit().await.expect("it ends well");
    };
    let (migrated, ()) = tokio::join!(db::migrate(&pool), others);
    migrated.expect("it is done at last");
}
