//! The second factors of people, and their recovery codes.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::sessions;
use crate::{
    db::{
        audit::{self, Event},
        outbox,
    },
    domain::{
        audit::{Action, Actor},
        envelope::SessionSecret,
        notification::{Notification, SecondFactorChange},
        second_factor::SealedSecret,
    },
};

/// A person's second factor.
#[derive(Clone, Debug)]
pub struct SecondFactor {
    pub secret: SealedSecret,
    /// Since when sign-in asks for it; `None` while the person sets it up.
    pub confirmed_at: Option<OffsetDateTime>,
    /// Recovery codes that have not served.
    pub codes_left: i64,
    /// Seconds since 1970 on the database's clock, which judges codes.
    pub now: u64,
}

/// A person's second factor; one that was begun more than 15 minutes ago and never confirmed is
/// none.
///
/// # Errors
/// Database errors.
pub async fn find(pool: &PgPool, user_id: i64) -> sqlx::Result<Option<SecondFactor>> {
    let row = sqlx::query!(
        r#"SELECT sealed, key_id, confirmed_at, extract(epoch FROM portal_now())::bigint AS "now!",
                  (SELECT count(*) FROM recovery_codes r WHERE r.user_id = f.user_id AND used_at IS NULL) AS "codes_left!"
             FROM second_factors f
            WHERE user_id = $1 AND (confirmed_at IS NOT NULL OR created_at > portal_now() - interval '15 minutes')"#,
        user_id,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| SecondFactor {
        secret: SealedSecret { key_id: row.key_id, bytes: row.sealed },
        confirmed_at: row.confirmed_at,
        codes_left: row.codes_left,
        now: row.now.unsigned_abs(),
    }))
}

/// Keeps a secret that the person's application must still show to know. One that is in force
/// stays.
///
/// # Errors
/// Database errors.
pub async fn begin(pool: &PgPool, user_id: i64, secret: &SealedSecret) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO second_factors (user_id, sealed, key_id) VALUES ($1, $2, $3)
         ON CONFLICT (user_id) DO UPDATE SET sealed = $2, key_id = $3, created_at = portal_now()
          WHERE second_factors.confirmed_at IS NULL",
        user_id,
        secret.bytes,
        secret.key_id,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Puts the secret in force, `step` being that of the code which proved it, with these recovery
/// codes, and ends the person's sessions but `current`: they were begun without it. False where it
/// is in force already, or another one has taken its place.
///
/// # Errors
/// Database errors.
pub async fn confirm(
    pool: &PgPool,
    actor: &Actor,
    (user_id, current): (i64, &SessionSecret),
    (secret, step): (&SealedSecret, i64),
    code_hashes: &[Vec<u8>],
) -> sqlx::Result<bool> {
    let mut tx = pool.begin().await?;
    let confirmed = sqlx::query!(
        "UPDATE second_factors SET confirmed_at = portal_now(), last_step = $3
          WHERE user_id = $1 AND sealed = $2 AND confirmed_at IS NULL",
        user_id,
        secret.bytes,
        step,
    )
    .execute(&mut *tx)
    .await?;
    if confirmed.rows_affected() == 0 {
        return Ok(false);
    }
    replace_codes(&mut tx, user_id, code_hashes).await?;
    sessions::end_all_but(&mut tx, user_id, Some(current)).await?;
    audit::record(&mut tx, Event::of(actor, Action::SecondFactorEnabled)).await?;
    announce(&mut tx, user_id, SecondFactorChange::Enabled).await?;
    tx.commit().await?;
    Ok(true)
}

/// Uses the code of a step up. False where it, or a later one, has served already.
///
/// # Errors
/// Database errors.
pub async fn use_step(pool: &PgPool, user_id: i64, step: i64) -> sqlx::Result<bool> {
    let used =
        sqlx::query!("UPDATE second_factors SET last_step = $2 WHERE user_id = $1 AND last_step < $2", user_id, step)
            .execute(pool)
            .await?;
    Ok(used.rows_affected() == 1)
}

/// Uses a recovery code up. False where it is none of the person's, or has served already.
///
/// # Errors
/// Database errors.
pub async fn use_recovery_code(pool: &PgPool, actor: &Actor, user_id: i64, code_hash: &[u8]) -> sqlx::Result<bool> {
    let mut tx = pool.begin().await?;
    let used = sqlx::query!(
        "UPDATE recovery_codes SET used_at = portal_now() WHERE user_id = $1 AND code_hash = $2 AND used_at IS NULL",
        user_id,
        code_hash,
    )
    .execute(&mut *tx)
    .await?;
    if used.rows_affected() == 0 {
        return Ok(false);
    }
    audit::record(&mut tx, Event::of(actor, Action::RecoveryCodeUsed)).await?;
    tx.commit().await?;
    Ok(true)
}

/// Gives a person new recovery codes in place of all older ones. False where no second factor is in
/// force.
///
/// # Errors
/// Database errors.
pub async fn renew_codes(pool: &PgPool, actor: &Actor, user_id: i64, code_hashes: &[Vec<u8>]) -> sqlx::Result<bool> {
    let mut tx = pool.begin().await?;
    let in_force = sqlx::query!(
        "SELECT user_id FROM second_factors WHERE user_id = $1 AND confirmed_at IS NOT NULL FOR UPDATE",
        user_id
    )
    .fetch_optional(&mut *tx)
    .await?;
    if in_force.is_none() {
        return Ok(false);
    }
    replace_codes(&mut tx, user_id, code_hashes).await?;
    audit::record(&mut tx, Event::of(actor, Action::RecoveryCodesRenewed)).await?;
    announce(&mut tx, user_id, SecondFactorChange::CodesRenewed).await?;
    tx.commit().await?;
    Ok(true)
}

/// Takes a person's second factor away, at her own wish, and ends her sessions but `current`. False
/// where none was in force.
///
/// # Errors
/// Database errors.
pub async fn disable(pool: &PgPool, actor: &Actor, user_id: i64, current: &SessionSecret) -> sqlx::Result<bool> {
    let mut tx = pool.begin().await?;
    if !remove(&mut tx, user_id).await? {
        return Ok(false);
    }
    sessions::end_all_but(&mut tx, user_id, Some(current)).await?;
    audit::record(&mut tx, Event::of(actor, Action::SecondFactorDisabled)).await?;
    announce(&mut tx, user_id, SecondFactorChange::Disabled).await?;
    tx.commit().await?;
    Ok(true)
}

/// What the operator's reset found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetOutcome {
    Done,
    NoSuchPerson,
    NoSecondFactor,
}

/// Takes away the second factor of a person who has lost it, and ends her sessions with what they
/// could open.
///
/// # Errors
/// Database errors.
pub async fn reset(pool: &PgPool, actor: &Actor, login: &str) -> sqlx::Result<ResetOutcome> {
    let mut tx = pool.begin().await?;
    let user_id = sqlx::query_scalar!("SELECT id FROM users WHERE login = $1", login).fetch_optional(&mut *tx).await?;
    let Some(user_id) = user_id else { return Ok(ResetOutcome::NoSuchPerson) };
    if !remove(&mut tx, user_id).await? {
        return Ok(ResetOutcome::NoSecondFactor);
    }
    sessions::end_all_but(&mut tx, user_id, None).await?;
    audit::record(&mut tx, Event { subject: login, ..Event::of(actor, Action::SecondFactorReset) }).await?;
    announce(&mut tx, user_id, SecondFactorChange::Reset).await?;
    tx.commit().await?;
    Ok(ResetOutcome::Done)
}

async fn remove(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<bool> {
    sqlx::query!("DELETE FROM recovery_codes WHERE user_id = $1", user_id).execute(&mut *conn).await?;
    let removed = sqlx::query!("DELETE FROM second_factors WHERE user_id = $1 AND confirmed_at IS NOT NULL", user_id)
        .execute(conn)
        .await?;
    Ok(removed.rows_affected() == 1)
}

async fn replace_codes(conn: &mut PgConnection, user_id: i64, code_hashes: &[Vec<u8>]) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM recovery_codes WHERE user_id = $1", user_id).execute(&mut *conn).await?;
    sqlx::query!(
        "INSERT INTO recovery_codes (user_id, code_hash) SELECT $1, unnest($2::bytea[])",
        user_id,
        code_hashes,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes to the person what became of her second factor.
async fn announce(conn: &mut PgConnection, user_id: i64, change: SecondFactorChange) -> sqlx::Result<()> {
    let person =
        sqlx::query!(r#"SELECT login, contact_address, portal_now() AS "at!" FROM users WHERE id = $1"#, user_id)
            .fetch_one(&mut *conn)
            .await?;
    let notice = Notification::SecondFactorChanged { login: person.login, change, at: person.at };
    outbox::enqueue(conn, &person.contact_address, &notice).await
}
