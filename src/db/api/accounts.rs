//! How a technical user gets in: its password's hash, and its tokens.

use sqlx::{PgConnection, PgPool};

use super::{Caller, Claim, VerifiedAccount};
use crate::domain::{password::PasswordHash, technical_user::TechnicalUserStatus};

/// What a first call needs to verify a password.
#[derive(Clone, Debug)]
pub struct ApiAccount {
    pub technical_user_id: i64,
    pub structure_id: i64,
    pub credential_version: i32,
    pub password_hash: PasswordHash,
    /// `None` for a password that nobody ever knew.
    pub password_checksum: Option<String>,
    /// The password before this one, while it still works.
    pub former: Option<FormerPassword>,
    pub standing: Standing,
}

/// A password that a reset replaced, and its version.
#[derive(Clone, Debug)]
pub struct FormerPassword {
    pub credential_version: i32,
    pub password_hash: PasswordHash,
}

impl ApiAccount {
    /// The account with the one of its passwords that the shown one may be, told by the checksum
    /// that passwords end with. So one computation of Argon2 decides, as for any other account and
    /// for none: neither time nor load tells that two work.
    #[must_use]
    pub fn facing(mut self, shown: &str) -> Self {
        let is_current = self.password_checksum.as_deref().is_none_or(|checksum| shown.ends_with(checksum));
        if let Some(former) = self.former.take_if(|_| !is_current) {
            self.credential_version = former.credential_version;
            self.password_hash = former.password_hash;
        }
        self
    }

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
        r#"SELECT t.id, t.structure_id, t.credential_version, t.password_hash, t.password_checksum, t.status,
                  t.expires_at <= portal_now() AS "expired!", coalesce(a.active, false) AS "has_authority!",
                  f.credential_version AS "former_version?", f.password_hash AS "former_hash?"
             FROM technical_users t LEFT JOIN technical_user_authority a ON a.technical_user_id = t.id
             LEFT JOIN former_passwords f ON f.technical_user_id = t.id AND f.ends_at > portal_now()
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
        password_checksum: row.password_checksum,
        former: row.former_version.zip(row.former_hash).map(|(credential_version, hash)| FormerPassword {
            credential_version,
            password_hash: PasswordHash::from_stored(hash),
        }),
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

/// Keeps a token, as a hash, for `seconds`, if the claim is good now. It belongs to the version of
/// the password that obtained it, and ends with that one.
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
                           SELECT $4, technical_user_id, coalesce($3, credential_version), at + make_interval(secs => $5::int) FROM caller)
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

/// Ends the account's access tokens.
pub(in crate::db) async fn end_tokens(conn: &mut PgConnection, technical_user_id: i64) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM access_tokens WHERE technical_user_id = $1", technical_user_id).execute(conn).await?;
    Ok(())
}

/// Ends the access tokens that one version of the account's password obtained.
pub(in crate::db) async fn end_tokens_of_version(
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
pub(in crate::db) async fn sweep_tokens(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM access_tokens WHERE expires_at <= portal_now()").execute(pool).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(checksum: Option<&str>, former: bool) -> ApiAccount {
        let hash = |text: &str| PasswordHash::from_stored(text.into());
        ApiAccount {
            technical_user_id: 5,
            structure_id: 1,
            credential_version: 3,
            password_hash: hash("current"),
            password_checksum: checksum.map(ToOwned::to_owned),
            former: former.then(|| FormerPassword { credential_version: 2, password_hash: hash("former") }),
            standing: Standing::Usable,
        }
    }

    #[test]
    fn whatever_is_shown_one_hash_is_to_be_computed() {
        let facing = |checksum, former, shown: &str| {
            let account = account(checksum, former).facing(shown);
            (account.verified().credential_version, account.password_hash.as_phc().to_owned())
        };
        for shown in ["rcd_…abcdef", "rcd_…uvwxyz", "abc", ""] {
            let is_current = shown.ends_with("abcdef");
            let expected = if is_current { (3, "current".to_owned()) } else { (2, "former".to_owned()) };
            assert_eq!(facing(Some("abcdef"), true, shown), expected, "{shown}");
            assert_eq!(facing(Some("abcdef"), false, shown).0, 3, "{shown}");
            assert_eq!(facing(None, true, shown).0, 3, "{shown}");
        }
    }
}
