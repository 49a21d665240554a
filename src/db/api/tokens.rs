//! Access tokens.

use sqlx::{PgConnection, PgPool};

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
