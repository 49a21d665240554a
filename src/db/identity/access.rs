//! What the operator does with a person's access to the portal: ends it, gives it back, ends the
//! sessions.

use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use super::{
    invitations, locks,
    provider_identities::{self, EndedIdentities},
    sessions,
};
use crate::{
    db::{
        audit::{self, Event},
        transaction,
    },
    domain::audit::{Action, Actor},
};

/// A person whose access was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disabled {
    /// False where it was ended before: nothing was written.
    pub is_changed: bool,
    /// Structures whose principal manager the person still is.
    pub managed: i64,
    /// Linked identities that were ended.
    pub identities: i64,
}

/// A person whose sessions were ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedOut {
    /// How many sessions there were.
    pub sessions: i64,
    pub identities: EndedIdentities,
}

/// Ends a person's access: sign-in, links and calendar are refused, and the sessions end with their
/// envelopes, with what waits in the person's name and with the linked identities. Memberships
/// stay, and technical users keep the rights that they derive from them. `None` where no person has
/// this login.
///
/// # Errors
/// Database errors.
pub async fn disable(pool: &PgPool, actor: &Actor, login: &str, reason: &str) -> sqlx::Result<Option<Disabled>> {
    let Some((mut tx, user_id)) = begin(pool, login).await? else { return Ok(None) };
    let changed =
        sqlx::query!("UPDATE users SET disabled_at = portal_now() WHERE id = $1 AND disabled_at IS NULL", user_id)
            .execute(&mut *tx)
            .await?;
    let disabled = Disabled {
        is_changed: changed.rows_affected() == 1,
        managed: managed(&mut tx, user_id).await?,
        identities: provider_identities::count(&mut tx, user_id).await?,
    };
    if disabled.is_changed {
        sessions::end_all(&mut tx, actor, user_id).await?;
        provider_identities::forget(&mut tx, user_id).await?;
        invitations::end_all_links(&mut tx, user_id).await?;
        record(&mut tx, actor, Action::PersonDisabled, login, reason).await?;
        tx.commit().await?;
    }
    Ok(Some(disabled))
}

/// Gives a person the access back that [`disable`] ended. False where it was not ended; `None`
/// where no person has this login.
///
/// # Errors
/// Database errors.
pub async fn enable(pool: &PgPool, actor: &Actor, login: &str) -> sqlx::Result<Option<bool>> {
    let Some((mut tx, user_id)) = begin(pool, login).await? else { return Ok(None) };
    let changed =
        sqlx::query!("UPDATE users SET disabled_at = NULL WHERE id = $1 AND disabled_at IS NOT NULL", user_id)
            .execute(&mut *tx)
            .await?;
    if changed.rows_affected() == 0 {
        return Ok(Some(false));
    }
    // A mail that was being sent when they were disabled has made one since.
    invitations::end_all_links(&mut tx, user_id).await?;
    record(&mut tx, actor, Action::PersonEnabled, login, "").await?;
    tx.commit().await?;
    Ok(Some(true))
}

/// Ends all sessions of a person, with their envelopes, what waits in the person's name, the marks
/// of their known browsers and, where they have a password, their linked identities. `None` where
/// no person has this login.
///
/// # Errors
/// Database errors.
pub async fn sign_out(pool: &PgPool, actor: &Actor, login: &str) -> sqlx::Result<Option<SignedOut>> {
    let Some((mut tx, user_id)) = begin(pool, login).await? else { return Ok(None) };
    let open = sessions::count(&mut tx, user_id).await?;
    sessions::end_all(&mut tx, actor, user_id).await?;
    let identities = provider_identities::forget_beside_password(&mut tx, user_id).await?;
    record(&mut tx, actor, Action::SessionClosed, login, "toutes les sessions").await?;
    tx.commit().await?;
    Ok(Some(SignedOut { sessions: open, identities }))
}

/// Begins a transaction with the row of the person locked who has this login.
async fn begin<'p>(pool: &'p PgPool, login: &str) -> sqlx::Result<Option<(Transaction<'p, Postgres>, i64)>> {
    let mut tx = transaction::begin(pool).await?;
    let id = locks::named_person(&mut tx, login).await?;
    Ok(id.map(|id| (tx, id)))
}

async fn managed(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM structures WHERE principal_manager_id = $1"#, user_id)
        .fetch_one(conn)
        .await
}

async fn record(conn: &mut PgConnection, actor: &Actor, action: Action, login: &str, detail: &str) -> sqlx::Result<()> {
    audit::record(conn, Event { subject: login, detail, ..Event::of(actor, action) }).await
}
