//! Ends hand-overs: by their manager, or with what they are of.

use sqlx::{PgConnection, PgPool};

use crate::{
    db::{
        identity::acts_under_way::Ended,
        structures::{self, NotManager},
        technical_users::{ChangeError, ManagedTechnicalUser, record_each},
        transaction,
    },
    domain::{
        audit::{Action, Actor},
        handover::KEPT,
    },
};

/// The French detail in the history of an act that ended a link which waited.
pub(in crate::db::technical_users) const ENDED_TOO: &str = "Lien de remise devenu sans effet";

/// Takes the account's passwords out of all links. True where one waited to be opened.
pub(in crate::db::technical_users) async fn end_of_account(
    conn: &mut PgConnection,
    technical_user_id: i64,
) -> sqlx::Result<bool> {
    let ended = sqlx::query_scalar!(
        r#"UPDATE handed_over_passwords SET sealed = NULL WHERE technical_user_id = $1 AND sealed IS NOT NULL
           RETURNING opened_at IS NULL AS "waited!""#,
        technical_user_id
    )
    .fetch_all(conn)
    .await?;
    Ok(ended.contains(&true))
}

/// Takes the passwords of the structure's accounts out of all links.
pub(in crate::db) async fn end_of_structure(conn: &mut PgConnection, structure_id: i64) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE handed_over_passwords SET sealed = NULL
          WHERE sealed IS NOT NULL AND technical_user_id IN (SELECT id FROM technical_users WHERE structure_id = $1)",
        structure_id,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The French detail in the history of a link that ended with the session in which it was made.
const ENDED_WITH_SESSION: &str = "Avec la session dans laquelle le lien a été fait";

/// Revokes a person's links that wait to be opened and were made in sessions that are ended. The
/// person's row is locked, so no account is: sealed passwords that another act holds are left to
/// [`sweep`].
pub(in crate::db) async fn end_of_person(
    conn: &mut PgConnection,
    actor: &Actor,
    user_id: i64,
    ended: Ended,
) -> sqlx::Result<()> {
    let revoked = sqlx::query_scalar!(
        "UPDATE handovers SET ended_at = portal_now(), ended_by = 'REVOKED'
          WHERE made_by = $1 AND opened_at IS NULL AND ended_at IS NULL AND expires_at > portal_now()
            AND CASE WHEN $2::bigint IS NULL THEN (made_in = $3) IS NOT TRUE ELSE coalesce(made_in = $2, false) END
         RETURNING id",
        user_id,
        ended.one(),
        ended.kept(),
    )
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE handed_over_passwords SET sealed = NULL WHERE (technical_user_id, credential_version) IN (
             SELECT technical_user_id, credential_version FROM handed_over_passwords
              WHERE handover_id = ANY ($1) AND sealed IS NOT NULL FOR UPDATE SKIP LOCKED)",
        &revoked,
    )
    .execute(&mut *conn)
    .await?;
    let accounts = sqlx::query_scalar!(
        "SELECT t.id FROM handed_over_passwords p JOIN technical_users t ON t.id = p.technical_user_id
          WHERE p.handover_id = ANY ($1) AND p.credential_version = t.credential_version AND t.status <> 'DELETED'",
        &revoked,
    )
    .fetch_all(&mut *conn)
    .await?;
    record_each(conn, actor, Action::HandoverRevoked, &accounts, ENDED_WITH_SESSION).await
}

/// « Révoquer le lien »: ends the link by which the account's present password was handed over, for
/// all accounts that it is of. Does nothing if it was opened or has ended.
///
/// # Errors
/// [`ChangeError`].
pub async fn revoke(pool: &PgPool, actor: &Actor, account: &ManagedTechnicalUser) -> Result<(), ChangeError> {
    let handover = sqlx::query_scalar!(
        "SELECT p.handover_id FROM handed_over_passwords p JOIN technical_users t ON t.id = p.technical_user_id
          WHERE p.technical_user_id = $1 AND p.credential_version = t.credential_version",
        account.id()
    );
    let Some(id) = handover.fetch_optional(pool).await? else { return Ok(()) };
    let mut tx = transaction::begin(pool).await?;
    let locked = super::accounts_of(&mut tx, id).await?;
    super::lock_structures(&mut tx, &locked).await?;
    // The person, before what hangs on their sessions.
    structures::lock_managed(&mut tx, account.structure()).await?.ok_or(NotManager)?;
    super::lock_below(&mut tx, &locked, id).await?;
    let revoked = sqlx::query!(
        "UPDATE handovers SET ended_at = portal_now(), ended_by = 'REVOKED'
          WHERE id = $1 AND made_by = $2 AND opened_at IS NULL AND ended_at IS NULL AND expires_at > portal_now()",
        id,
        account.structure().manager_id(),
    )
    .execute(&mut *tx)
    .await?;
    if revoked.rows_affected() == 0 {
        return Ok(());
    }
    destroy(&mut tx, id).await?;
    let accounts = accounts(&mut tx, id).await?;
    record(&mut tx, actor, Action::HandoverRevoked, &accounts, "").await?;
    tx.commit().await?;
    Ok(())
}

/// Destroys the sealed passwords of a hand-over.
pub(super) async fn destroy(conn: &mut PgConnection, handover_id: i64) -> sqlx::Result<()> {
    sqlx::query!("UPDATE handed_over_passwords SET sealed = NULL WHERE handover_id = $1", handover_id)
        .execute(conn)
        .await?;
    Ok(())
}

/// An account of a hand-over.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub id: i64,
    pub login: String,
    pub label: Option<String>,
}

impl Account {
    /// As mails name it.
    pub(super) fn name(&self) -> String {
        self.label.as_ref().map_or_else(|| self.login.clone(), |label| format!("{} ({label})", self.login))
    }
}

/// The accounts of a hand-over whose password is still the one that was handed over.
pub(super) async fn accounts(conn: &mut PgConnection, handover_id: i64) -> sqlx::Result<Vec<Account>> {
    sqlx::query_as!(
        Account,
        "SELECT t.id, t.login, t.label FROM handed_over_passwords p JOIN technical_users t ON t.id = p.technical_user_id
          WHERE p.handover_id = $1 AND p.credential_version = t.credential_version AND t.status <> 'DELETED' ORDER BY t.id",
        handover_id,
    )
    .fetch_all(conn)
    .await
}

/// Writes an event of a hand-over into the history of each of these accounts.
pub(super) async fn record(
    conn: &mut PgConnection,
    actor: &Actor,
    action: Action,
    accounts: &[Account],
    detail: &str,
) -> sqlx::Result<()> {
    let ids: Vec<i64> = accounts.iter().map(|account| account.id).collect();
    record_each(conn, actor, action, &ids, detail).await
}

/// Destroys what no link and no page opens any more, and forgets hand-overs without effect after a
/// while: of passwords that no longer work, and that no one opened.
pub(in crate::db) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE handed_over_passwords SET sealed = NULL WHERE (technical_user_id, credential_version) IN (
             SELECT p.technical_user_id, p.credential_version FROM handed_over_passwords p JOIN handovers h ON h.id = p.handover_id
              WHERE p.sealed IS NOT NULL
                AND (h.ended_at IS NOT NULL OR coalesce(h.page_ends_at, h.expires_at) <= portal_now())
              ORDER BY 1, 2 FOR UPDATE OF p SKIP LOCKED)"
    )
    .execute(pool)
    .await?;
    sqlx::query!(
        "DELETE FROM handovers WHERE id IN (
             SELECT h.id FROM handovers h
              WHERE h.expires_at <= portal_now() - $1::interval
                AND NOT EXISTS (SELECT FROM handed_over_passwords p JOIN technical_users t ON t.id = p.technical_user_id
                                 WHERE p.handover_id = h.id AND t.status <> 'DELETED'
                                   AND (p.credential_version = t.credential_version
                                        OR p.credential_version = t.former_version AND t.former_ends_at > portal_now()))
              ORDER BY h.id FOR UPDATE OF h SKIP LOCKED)",
        KEPT as _,
    )
    .execute(pool)
    .await?;
    Ok(())
}
