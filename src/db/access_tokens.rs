//! The API's side of a technical user: credentials, tokens, and the rights behind them.

use sqlx::PgPool;

use crate::domain::password::PasswordHash;

/// What decides whether a technical user is let in, as it stands now.
#[derive(Clone, Debug)]
pub struct ApiAccount {
    pub technical_user_id: i64,
    pub credential_version: i32,
    pub password_hash: PasswordHash,
    /// Neither suspended nor deleted nor expired, in an active structure that has a manager.
    pub usable: bool,
    /// Whose rights it has; 0 where the structure has no manager.
    pub manager_id: i64,
}

/// The account with this login.
///
/// # Errors
/// Database errors.
pub async fn find_account(pool: &PgPool, login: &str) -> sqlx::Result<Option<ApiAccount>> {
    let row = sqlx::query!(
        r#"SELECT t.id, t.credential_version, t.password_hash, coalesce(a.manager_id, 0) AS "manager_id!",
                  t.status = 'ACTIVE' AND t.expires_at > portal_now() AND coalesce(a.active, false) AS "usable!"
             FROM technical_users t LEFT JOIN technical_user_authority a ON a.technical_user_id = t.id
            WHERE t.login = $1"#,
        login,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| ApiAccount {
        technical_user_id: row.id,
        credential_version: row.credential_version,
        password_hash: PasswordHash::from_stored(row.password_hash),
        usable: row.usable,
        manager_id: row.manager_id,
    }))
}

/// Keeps a token, as a hash, for `seconds`.
///
/// # Errors
/// Database errors.
pub async fn create(pool: &PgPool, token_hash: &[u8], account: &ApiAccount, seconds: i32) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO access_tokens (token_hash, technical_user_id, credential_version, expires_at)
         VALUES ($1, $2, $3, portal_now() + make_interval(secs => $4::int))",
        token_hash,
        account.technical_user_id,
        account.credential_version,
        seconds,
    )
    .execute(pool)
    .await?;
    Ok(())
}
