//! Access tokens.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use super::{Caller, PresentedCredentials};

/// How long a token lives.
pub const LIFETIME: Duration = Duration::from_mins(15);

/// The living tokens that an account may have: when it obtains another one, the oldest end.
const MOST_TOKENS: i64 = 100;

/// Stores a token's hash, valid for [`LIFETIME`], if the presented password is valid now. The token
/// belongs to the version of that password, and ends with it. Only the account's newest tokens
/// live on, so that the table stays bounded; a row that a parallel call is ending is left to it.
///
/// # Errors
/// Database errors.
pub async fn issue(pool: &PgPool, presented: &PresentedCredentials, token_hash: &[u8]) -> sqlx::Result<Option<Caller>> {
    let digests = presented.digests();
    sqlx::query_as!(
        Caller,
        r#"WITH caller AS (SELECT * FROM password_caller($1)),
                oldest AS (SELECT token_hash FROM access_tokens WHERE technical_user_id = (SELECT technical_user_id FROM caller)
                            ORDER BY expires_at DESC, token_hash OFFSET $4::bigint - 1),
                ended AS (DELETE FROM access_tokens WHERE token_hash IN (
                              SELECT k.token_hash FROM access_tokens k JOIN oldest USING (token_hash) FOR UPDATE OF k SKIP LOCKED)),
                issued AS (INSERT INTO access_tokens (token_hash, technical_user_id, credential_version, expires_at)
                           SELECT $2, technical_user_id, credential_version, at + $3::interval FROM caller)
           SELECT technical_user_id AS "technical_user_id!", at AS "at!", sunset FROM caller"#,
        digests.as_deref(),
        token_hash,
        LIFETIME as _,
        MOST_TOKENS,
    )
    .fetch_optional(pool)
    .await
}

/// Ends the account's access tokens.
pub(in crate::db) async fn end_of_account(conn: &mut PgConnection, technical_user_id: i64) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM access_tokens WHERE technical_user_id = $1", technical_user_id).execute(conn).await?;
    Ok(())
}

/// Ends the access tokens that one version of the account's password obtained.
pub(in crate::db) async fn end_of_version(
    conn: &mut PgConnection,
    technical_user_id: i64,
    credential_version: i32,
) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM access_tokens WHERE technical_user_id = $1 AND credential_version = $2",
        technical_user_id,
        credential_version,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes expired access tokens.
pub(in crate::db) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM access_tokens WHERE expires_at <= portal_now()").execute(pool).await?;
    Ok(())
}
