//! A database of an earlier version, brought up to date.

use raccord::db;
use sqlx::{PgPool, migrate::Migrator};

use super::postgres::Postgres;
use crate::common::DIRECTORY;

/// Applies the migrations before `version`, as the version that ended with them did.
async fn migrate_before(pool: &PgPool, version: i64) {
    let before = sqlx::migrate!().iter().filter(|migration| migration.version < version).cloned().collect();
    Migrator::with_migrations(before).run(pool).await.expect("the migrations of before");
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
