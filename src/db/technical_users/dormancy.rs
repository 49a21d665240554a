//! Accounts that nothing uses, where the operator wants them suspended: the manager is mailed, then
//! the account is suspended, and the manager may take it back.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::changes::{self, Change, LockedAccount};
use crate::{
    db::{
        outbox::{self, Cause},
        transaction,
    },
    domain::{
        audit::Actor,
        notification::{DormancyNotice, Notification},
        technical_user::TechnicalUserStatus,
    },
};

/// Days between the mail and the suspension.
const NOTICE_DAYS: i32 = 30;

/// Days after which a suspension that was announced and did not happen is announced again: the
/// operator had switched it off.
const FORGOTTEN_DAYS: i32 = 7;

/// Accounts announced in one transaction.
const ANNOUNCED_AT_ONCE: i64 = 2_000;

/// Accounts suspended in one transaction, which locks their structures.
const SUSPENDED_AT_ONCE: i64 = 200;

/// Accounts that one mail names; it counts the others.
const NAMED: usize = 20;

/// How many accounts were announced and suspended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dormant {
    pub announced: usize,
    pub suspended: usize,
}

/// Announces the accounts that were not used for `idle_days`, and suspends those that were not used
/// since they were announced. Several instances may do so together: each account is announced and
/// suspended once.
///
/// # Errors
/// Database errors; the batches written before stay.
pub async fn look(pool: &PgPool, idle_days: i32) -> sqlx::Result<Dormant> {
    forget(pool).await?;
    let mut dormant = Dormant::default();
    loop {
        let announced = announce(pool, idle_days).await?;
        dormant.announced += announced;
        if announced == 0 {
            break;
        }
    }
    while let Some(suspended) = suspend(pool, idle_days).await? {
        dormant.suspended += suspended;
    }
    Ok(dormant)
}

/// Ends the notices about accounts that are used again, or are not active any more.
async fn forget(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM dormancy_notices d USING technical_users t
          WHERE t.id = d.technical_user_id
            AND (t.status <> 'ACTIVE' OR last_use(t.password_set_at, t.last_call_at, t.reactivated_at) > d.used_at
                 OR d.suspends_at < portal_now() - make_interval(days => $1))",
        FORGOTTEN_DAYS,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// An account to name in a mail.
struct Named {
    /// `login (label)`.
    name: String,
    contact_address: String,
    suspends_at: OffsetDateTime,
}

/// Announces one batch, and returns its size. An account whose password has expired, or whose
/// structure has no manager to tell, opens nothing and is left alone.
async fn announce(pool: &PgPool, idle_days: i32) -> sqlx::Result<usize> {
    let mut tx = transaction::begin(pool).await?;
    let announced = sqlx::query_as!(
        Named,
        r#"WITH idle AS (
               SELECT t.id, last_use(t.password_set_at, t.last_call_at, t.reactivated_at) AS used_at
                 FROM technical_users t JOIN structures s ON s.id = t.structure_id
                WHERE t.status = 'ACTIVE' AND t.expires_at > portal_now() AND s.active AND s.principal_manager_id IS NOT NULL
                  AND last_use(t.password_set_at, t.last_call_at, t.reactivated_at) <= portal_now() - make_interval(days => $1)
                  AND NOT EXISTS (SELECT FROM dormancy_notices d WHERE d.technical_user_id = t.id)
                ORDER BY s.principal_manager_id, t.id LIMIT $3),
           announced AS (
               INSERT INTO dormancy_notices (technical_user_id, used_at, suspends_at)
               SELECT id, used_at, portal_now() + make_interval(days => $2) FROM idle
               ON CONFLICT DO NOTHING RETURNING technical_user_id, suspends_at)
           SELECT t.login || coalesce(' (' || t.label || ')', '') AS "name!", m.contact_address, a.suspends_at
             FROM announced a
             JOIN technical_users t ON t.id = a.technical_user_id
             JOIN structures s ON s.id = t.structure_id
             JOIN users m ON m.id = s.principal_manager_id
            ORDER BY m.id, s.search_text, t.number"#,
        idle_days,
        NOTICE_DAYS,
        ANNOUNCED_AT_ONCE,
    )
    .fetch_all(&mut *tx)
    .await?;
    tell(&mut tx, &announced, |notice| Notification::AccountsDormant(DormancyNotice { idle_days, ..notice })).await?;
    tx.commit().await?;
    Ok(announced.len())
}

/// An account to suspend.
struct Due {
    id: i64,
    login: String,
    structure_id: i64,
    name: String,
    /// `None` where the structure has no principal manager any more.
    contact_address: Option<String>,
    suspends_at: OffsetDateTime,
    /// Whether it was used since it was announced.
    is_used: bool,
}

/// Suspends one batch. Returns how many; `None` where none was due.
async fn suspend(pool: &PgPool, idle_days: i32) -> sqlx::Result<Option<usize>> {
    let mut tx = transaction::begin(pool).await?;
    let due = lock_due(&mut tx).await?;
    if due.is_empty() {
        return Ok(None);
    }
    let (actor, reason) = (Actor::portal(), format!("aucun appel depuis plus de {idle_days} jours"));
    let mut told = Vec::new();
    let mut suspended = 0;
    for account in due.iter().filter(|account| !account.is_used) {
        let locked = LockedAccount { id: account.id, login: &account.login, structure_id: account.structure_id };
        let change = Change { status: TechnicalUserStatus::Suspended, reason: &reason };
        if changes::apply(&mut tx, &actor, &locked, change).await? {
            suspended += 1;
            let Some(contact_address) = account.contact_address.clone() else { continue };
            told.push(Named { name: account.name.clone(), contact_address, suspends_at: account.suspends_at });
        }
    }
    tell(&mut tx, &told, |notice| Notification::DormantAccountsSuspended(DormancyNotice { idle_days, ..notice }))
        .await?;
    let ids: Vec<i64> = due.iter().map(|account| account.id).collect();
    sqlx::query!("DELETE FROM dormancy_notices WHERE technical_user_id = ANY ($1)", &ids).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(Some(suspended))
}

/// The accounts that are due, of one batch, with their structures locked as each act on an account
/// does. Read again under the locks.
async fn lock_due(conn: &mut PgConnection) -> sqlx::Result<Vec<Due>> {
    let locked = sqlx::query_scalar!(
        "SELECT id FROM structures
          WHERE id IN (SELECT t.structure_id FROM dormancy_notices d JOIN technical_users t ON t.id = d.technical_user_id
                        WHERE d.suspends_at <= portal_now() ORDER BY d.suspends_at, d.technical_user_id LIMIT $1)
          ORDER BY id FOR NO KEY UPDATE",
        SUSPENDED_AT_ONCE,
    )
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query_as!(
        Due,
        r#"SELECT t.id, t.login, t.structure_id, t.login || coalesce(' (' || t.label || ')', '') AS "name!",
                  m.contact_address AS "contact_address?", d.suspends_at,
                  last_use(t.password_set_at, t.last_call_at, t.reactivated_at) > d.used_at AS "is_used!"
             FROM dormancy_notices d
             JOIN technical_users t ON t.id = d.technical_user_id
             JOIN structures s ON s.id = t.structure_id
             LEFT JOIN users m ON m.id = s.principal_manager_id
            WHERE d.suspends_at <= portal_now() AND s.id = ANY ($1)
            ORDER BY m.id, s.search_text, t.number"#,
        &locked,
    )
    .fetch_all(conn)
    .await
}

/// Mails each manager once; the accounts are ordered by manager.
async fn tell(
    conn: &mut PgConnection,
    accounts: &[Named],
    notification: impl Fn(DormancyNotice) -> Notification,
) -> sqlx::Result<()> {
    for accounts in accounts.chunk_by(|one, next| one.contact_address == next.contact_address) {
        let notice = DormancyNotice {
            accounts: accounts.iter().take(NAMED).map(|account| account.name.clone()).collect(),
            others: accounts.len().saturating_sub(NAMED),
            idle_days: 0,
            suspends_at: accounts[0].suspends_at,
        };
        outbox::enqueue(conn, Cause::Portal, &accounts[0].contact_address, &notification(notice)).await?;
    }
    Ok(())
}
