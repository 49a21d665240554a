//! Passwords that a reset replaced and that keep working for a while. A row past its end has no
//! effect; the upkeep deletes it.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::{ChangeError, ManagedTechnicalUser};
use crate::{
    db::{
        api::tokens,
        audit,
        structures::{self, NotManager},
        transaction,
    },
    domain::{
        audit::{Action, Actor},
        rotation::Grace,
        technical_user::AccountRules,
    },
};

/// Before a reset: ends the former password and, if there is a grace, makes the current password
/// the former one. Returns until when that one works; `None` without a grace, or if it does not
/// work now.
pub(super) async fn succeed(
    conn: &mut PgConnection,
    technical_user_id: i64,
    grace: Grace,
    rules: AccountRules,
) -> sqlx::Result<Option<OffsetDateTime>> {
    end(conn, technical_user_id).await?;
    if grace == Grace::None {
        return Ok(None);
    }
    // It ends no later than its own expiry and than that of its successor, whose lifetime the
    // operator may have shortened.
    sqlx::query_scalar!(
        "INSERT INTO former_passwords (technical_user_id, credential_version, password_hash, password_checksum, set_by, shown_at, ends_at)
         SELECT id, credential_version, password_hash, password_checksum, password_set_by, password_shown_at,
                least(portal_now() + make_interval(hours => $2), expires_at, portal_now() + make_interval(days => $3))
           FROM technical_users WHERE id = $1 AND status = 'ACTIVE' AND expires_at > portal_now()
         RETURNING ends_at",
        technical_user_id,
        grace.hours(),
        rules.password_lifetime_days,
    )
    .fetch_optional(conn)
    .await
}

/// Ends the account's former password and its access tokens. False if none was still working.
pub(super) async fn end(conn: &mut PgConnection, technical_user_id: i64) -> sqlx::Result<bool> {
    let ended = sqlx::query!(
        r#"DELETE FROM former_passwords WHERE technical_user_id = $1
           RETURNING credential_version, ends_at > portal_now() AS "worked!""#,
        technical_user_id,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(ended) = ended else { return Ok(false) };
    tokens::end_of_version(conn, technical_user_id, ended.credential_version).await?;
    Ok(ended.worked)
}

/// The French detail in the history of a suspension or deletion that ended a working former
/// password.
pub(super) const ENDED_TOO: &str = "Ancien mot de passe supprimé";

/// Deletes passwords past their end.
pub(in crate::db) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM former_passwords WHERE ends_at <= portal_now()").execute(pool).await?;
    Ok(())
}

/// Ends the former password now, at its manager's wish. Records nothing if it no longer works.
///
/// # Errors
/// [`ChangeError`].
pub async fn end_now(pool: &PgPool, actor: &Actor, account: &ManagedTechnicalUser) -> Result<(), ChangeError> {
    let mut tx = transaction::begin(pool).await?;
    structures::lock_managed(&mut tx, account.structure()).await?.ok_or(NotManager)?;
    if end(&mut tx, account.id()).await? {
        audit::record(&mut tx, account.event(actor, Action::FormerPasswordEnded)).await?;
    }
    tx.commit().await?;
    Ok(())
}
