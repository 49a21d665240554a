//! Finds the accounts that a leaked password may belong to.

use sqlx::PgPool;

use crate::domain::password::PasswordHash;

/// An account with a password of the given checksum, and that password's hash.
#[derive(Clone, Debug)]
pub struct Suspect {
    pub login: String,
    pub password_hash: PasswordHash,
}

/// The passwords with this checksum, current and former, that have not expired. Suspended accounts
/// are included, since they can be reactivated; deleted ones are not.
///
/// # Errors
/// Database errors.
pub async fn suspects(pool: &PgPool, checksum: &str) -> sqlx::Result<Vec<Suspect>> {
    let rows = sqlx::query!(
        r#"SELECT login AS "login!", password_hash AS "password_hash!" FROM (
             SELECT id, login, password_hash FROM technical_users
              WHERE password_checksum = $1 AND status <> 'DELETED' AND expires_at > portal_now()
             UNION ALL
             SELECT t.id, t.login, f.password_hash FROM former_passwords f JOIN technical_users t ON t.id = f.technical_user_id
              WHERE f.password_checksum = $1 AND f.ends_at > portal_now()) live
            ORDER BY id"#,
        checksum,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Suspect { login: row.login, password_hash: PasswordHash::from_stored(row.password_hash) })
        .collect())
}
