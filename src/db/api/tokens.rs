//! Access tokens.

use sqlx::PgPool;

use super::{Caller, PresentedCredentials};

/// Stores a token's hash, valid for `seconds`, if the presented password is valid now. The token
/// belongs to the version of that password, and ends with it.
///
/// # Errors
/// Database errors.
pub async fn issue(
    pool: &PgPool,
    presented: &PresentedCredentials,
    token_hash: &[u8],
    seconds: i32,
) -> sqlx::Result<Option<Caller>> {
    let digests = presented.digests();
    sqlx::query_as!(
        Caller,
        r#"WITH caller AS (SELECT * FROM password_caller($1)),
                issued AS (INSERT INTO access_tokens (token_hash, technical_user_id, credential_version, expires_at)
                           SELECT $2, technical_user_id, credential_version, at + make_interval(secs => $3::int) FROM caller)
           SELECT technical_user_id AS "technical_user_id!", at AS "at!", sunset FROM caller"#,
        digests.as_deref(),
        token_hash,
        seconds,
    )
    .fetch_optional(pool)
    .await
}
