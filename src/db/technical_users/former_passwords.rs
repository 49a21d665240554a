//! Passwords that a reset replaced and that still work for a while. A row whose time is over is
//! without effect; the upkeep removes it.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::{ChangeError, ManagedTechnicalUser};
use crate::{
    db::{
        audit,
        structures::{self, NotManager},
    },
    domain::{
        audit::{Action, Actor},
        rotation::Grace,
        technical_user::AccountRules,
    },
};

/// Before a reset: ends the former password, and makes one of the current one where it is to be
/// kept. A password that does not work has nothing to keep. Returns until when it works.
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
    // Not after its own end, nor after that of its successor, whose lifetime the operator may have
    // shortened.
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

/// Ends the former password of an account with the tokens that it obtained. False where there was
/// none that worked.
pub(super) async fn end(conn: &mut PgConnection, technical_user_id: i64) -> sqlx::Result<bool> {
    let ended = sqlx::query!(
        r#"WITH ended AS (DELETE FROM former_passwords WHERE technical_user_id = $1 RETURNING credential_version, ends_at),
                tokens AS (DELETE FROM access_tokens k USING ended e
                            WHERE k.technical_user_id = $1 AND k.credential_version = e.credential_version)
           SELECT ends_at > portal_now() AS "worked!" FROM ended"#,
        technical_user_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(ended.is_some_and(|ended| ended.worked))
}

/// What history adds to an act that ended a former password which still worked.
pub(super) const ENDED_TOO: &str = "Ancien mot de passe supprimé";

/// « Supprimer l’ancien mot de passe maintenant ». Where it works no longer, nothing is done and
/// told.
///
/// # Errors
/// [`ChangeError`].
pub async fn end_now(pool: &PgPool, actor: &Actor, account: &ManagedTechnicalUser) -> Result<(), ChangeError> {
    let mut tx = pool.begin().await?;
    structures::lock_managed(&mut tx, account.structure()).await?.ok_or(NotManager)?;
    if end(&mut tx, account.id()).await? {
        audit::record(&mut tx, account.event(actor, Action::FormerPasswordEnded)).await?;
    }
    tx.commit().await?;
    Ok(())
}
