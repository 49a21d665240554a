//! The names of the keys, of those in the key file, that something in the database needs.

use sqlx::PgPool;

/// The keys that second factors are sealed under, and those that verifiers of technical passwords
/// were made with, each once.
///
/// # Errors
/// Database errors.
pub async fn in_use(pool: &PgPool) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"SELECT key_id AS "key_id!" FROM second_factors UNION SELECT key_id FROM password_verifiers ORDER BY 1"#
    )
    .fetch_all(pool)
    .await
}
