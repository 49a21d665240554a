//! Technical users' credentials: password hashes and tokens.

use sqlx::PgPool;

use super::{Caller, PresentedCredentials, VerifiedAccount};
use crate::domain::{password::PasswordHash, technical_user::TechnicalUserStatus};

/// An account, to verify a password.
#[derive(Clone, Debug)]
pub struct ApiAccount {
    pub technical_user_id: i64,
    pub structure_id: i64,
    pub credential_version: i32,
    pub password_hash: PasswordHash,
    /// `None` for a demonstration's password, which is unknown.
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
    /// The account with that one of its two passwords which the presented one may be, judged by the
    /// checksum at the end of passwords. Hence one Argon2 computation decides for every login, and
    /// timing does not reveal that two passwords work.
    #[must_use]
    pub fn facing(mut self, presented: &str) -> Self {
        let is_current = self.password_checksum.as_deref().is_none_or(|checksum| presented.ends_with(checksum));
        if let Some(former) = self.former.take_if(|_| !is_current) {
            self.credential_version = former.credential_version;
            self.password_hash = former.password_hash;
        }
        self
    }

    /// The account, with the version of its hash.
    #[must_use]
    pub fn verified(&self) -> VerifiedAccount {
        VerifiedAccount { technical_user_id: self.technical_user_id, credential_version: self.credential_version }
    }
}

/// Whether an account may authenticate, for the history; never revealed to callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Usable,
    Suspended,
    Deleted,
    Expired,
    /// Its structure is inactive or has no principal manager, so that there are no rights.
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

/// The caller, if the credentials are valid now.
///
/// # Errors
/// Database errors.
pub async fn caller(pool: &PgPool, presented: &PresentedCredentials) -> sqlx::Result<Option<Caller>> {
    sqlx::query_as!(
        Caller,
        r#"SELECT technical_user_id AS "technical_user_id!", at AS "at!", sunset FROM api_caller($1, $2, $3)"#,
        presented.token_hash(),
        presented.account_id(),
        presented.version(),
    )
    .fetch_optional(pool)
    .await
}

/// Stores a token's hash, valid for `seconds`, if the credentials are valid now. The token belongs
/// to the version of the password that obtained it, and ends with that password.
///
/// # Errors
/// Database errors.
pub async fn issue_token(
    pool: &PgPool,
    presented: &PresentedCredentials,
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
        presented.token_hash(),
        presented.account_id(),
        presented.version(),
        token_hash,
        seconds,
    )
    .fetch_optional(pool)
    .await
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
