//! A database of an earlier version, brought up to date.

use raccord::db;
use sqlx::migrate::Migrator;

use super::postgres::Postgres;
use crate::common::DIRECTORY;

#[tokio::test(flavor = "multi_thread")]
async fn names_of_before_the_words_are_found_once_the_schema_is_brought_up_to_date() {
    let postgres = Postgres::start(&[]);
    let url = postgres.url("raccord", "raccord");
    let pool = db::pool(url.parse().expect("a sound URL"), 2);
    postgres.sql("raccord", "CREATE EXTENSION pg_trgm");
    let before = sqlx::migrate!().iter().filter(|migration| migration.version < 130).cloned().collect();
    Migrator::with_migrations(before).run(&pool).await.expect("the migrations of before");
    sqlx::query(DIRECTORY).bind(1_i64).bind(21_000_i64).execute(&pool).await.expect("a directory");
    postgres.sql(
        "raccord",
        "INSERT INTO structures (identifier_type, identifier, designation, city)
         VALUES ('AUTRE', 'T1', 'COMMUNE DE TAʻARAPŪ', 'FAAʻA'), ('AUTRE', 'T2', 'MARKS & SPENCER', 'Bourg ')",
    );
    db::migrate(&pool).await.expect("the migrations of now");
    let wrong = "SELECT count(*) FROM structures
                  WHERE search_text <> search_key(designation) || ' ' || lower(identifier)
                     OR city <> btrim(city) AND city <> 'Bourg '
                     OR EXISTS (SELECT FROM unnest(search_words(designation)) w(word)
                                 WHERE NOT EXISTS (SELECT FROM structure_words p WHERE p.word = w.word AND p.structure_id = id))";
    assert_eq!(postgres.sql("raccord", wrong), "0");
    assert_eq!(
        postgres.sql(
            "raccord",
            "SET enable_seqscan = off; SELECT designation FROM structures WHERE search_key(city) LIKE 'faaa%'"
        ),
        "COMMUNE DE TAʻARAPŪ"
    );
    // Through all indexes.
    postgres.sql("raccord", "CREATE EXTENSION amcheck");
    let check = "SELECT count(bt_index_check(c.oid, heapallindexed => true)) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                   JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'btree' AND i.indrelid IN ('structures'::regclass, 'technical_users'::regclass)";
    assert_ne!(postgres.sql("raccord", check), "0");
}
