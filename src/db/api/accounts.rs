//! How a technical user gets in: its password's hash, and its tokens.

use sqlx::PgPool;

use super::{Caller, Claim, VerifiedAccount};
use crate::domain::{password::PasswordHash, technical_user::TechnicalUserStatus};

/// What a first call needs to verify a password.
#[derive(Clone, Debug)]
pub struct ApiAccount {
    pub technical_user_id: i64,
    pub structure_id: i64,
    pub credential_version: i32,
    pub password_hash: PasswordHash,
    pub standing: Standing,
}

impl ApiAccount {
    /// The account at the version that its hash belongs to.
    #[must_use]
    pub fn verified(&self) -> VerifiedAccount {
        VerifiedAccount { technical_user_id: self.technical_user_id, credential_version: self.credential_version }
    }
}

/// Whether an account may be let in, for the log and the history; callers are never told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Usable,
    Suspended,
    Deleted,
    Expired,
    /// Its structure is inactive or has no principal manager, hence gives no rights.
    WithoutAuthority,
}

/// The account with this login.
///
/// # Errors
/// Database errors.
pub async fn find(pool: &PgPool, login: &str) -> sqlx::Result<Option<ApiAccount>> {
    let row = sqlx::query!(
        r#"SELECT t.id, t.structure_id, t.credential_version, t.password_hash, t.status,
                  t.expires_at <= portal_now() AS "expired!", coalesce(a.active, false) AS "has_authority!"
             FROM technical_users t LEFT JOIN technical_user_authority a ON a.technical_user_id = t.id
            WHERE t.login = $1"#,
        login,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| ApiAccount {
        technical_user_id: row.id,
        structure_id: row.structure_id,
        credential_version: row.credential_version,
        password_hash: PasswordHash::from_stored(row.password_hash),
        standing: match TechnicalUserStatus::parse(&row.status) {
            Some(TechnicalUserStatus::Active) if row.expired => Standing::Expired,
            Some(TechnicalUserStatus::Active) if !row.has_authority => Standing::WithoutAuthority,
            Some(TechnicalUserStatus::Active) => Standing::Usable,
            Some(TechnicalUserStatus::Deleted) => Standing::Deleted,
            Some(TechnicalUserStatus::Suspended) | None => Standing::Suspended,
        },
    }))
}

/// The caller, if the claim is good now.
///
/// # Errors
/// Database errors.
pub async fn caller(pool: &PgPool, claim: &Claim) -> sqlx::Result<Option<Caller>> {
    sqlx::query_as!(
        Caller,
        r#"SELECT technical_user_id AS "technical_user_id!", at AS "at!", sunset FROM api_caller($1, $2, $3)"#,
        claim.token_hash(),
        claim.account_id(),
        claim.version(),
    )
    .fetch_optional(pool)
    .await
}

/// Keeps a token, as a hash, for `seconds`, if the claim is good now.
///
/// # Errors
/// Database errors.
pub async fn issue_token(
    pool: &PgPool,
    claim: &Claim,
    token_hash: &[u8],
    seconds: i32,
) -> sqlx::Result<Option<Caller>> {
    sqlx::query_as!(
        Caller,
        r#"WITH caller AS (SELECT c.*, t.credential_version FROM api_caller($1, $2, $3) c
                             JOIN technical_users t ON t.id = c.technical_user_id),
                issued AS (INSERT INTO access_tokens (token_hash, technical_user_id, credential_version, expires_at)
                           SELECT $4, technical_user_id, credential_version, at + make_interval(secs => $5::int) FROM caller)
           SELECT technical_user_id AS "technical_user_id!", at AS "at!", sunset FROM caller"#,
        claim.token_hash(),
        claim.account_id(),
        claim.version(),
        token_hash,
        seconds,
    )
    .fetch_optional(pool)
    .await
}
