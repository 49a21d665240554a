//! The keys that sign tokens for services: one that signs, one that will, and former ones whose
//! tokens may still live.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use crate::{
    db::{
        audit::{self, Event},
        transaction,
    },
    domain::{
        audit::{Action, Actor},
        second_factor::SealedSecret,
    },
};

/// How long a replaced key stays published, in minutes: far longer than a token lives, so that an
/// API which keeps the published keys for a while loses none that it needs.
const FORMER_MINUTES: i32 = 60;

/// Advisory lock: rotations one after the other.
const LOCK: i64 = 0x7261_6363_6f72_6403;

/// A key to store.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub id: String,
    /// See `domain::signing_key`.
    pub public: Vec<u8>,
    pub sealed: SealedSecret,
}

/// A stored private key.
#[derive(Clone, Debug)]
pub struct StoredKey {
    pub id: String,
    pub sealed: SealedSecret,
}

/// A key as the operator sees it.
#[derive(Clone, Debug)]
pub struct ListedKey {
    pub id: String,
    /// CURRENT, NEXT or FORMER.
    pub state: String,
    pub created_at: OffsetDateTime,
    /// Until when a former key stays published.
    pub ends_at: Option<OffsetDateTime>,
}

/// The key that signs.
///
/// # Errors
/// Database errors.
pub async fn current(pool: &PgPool) -> sqlx::Result<Option<StoredKey>> {
    in_state(pool, "CURRENT").await
}

/// The key that a rotation makes the signing one.
///
/// # Errors
/// Database errors.
pub async fn next(pool: &PgPool) -> sqlx::Result<Option<StoredKey>> {
    in_state(pool, "NEXT").await
}

async fn in_state(pool: &PgPool, state: &str) -> sqlx::Result<Option<StoredKey>> {
    let row = sqlx::query!(
        r#"SELECT id, sealed_key AS "sealed_key!", sealed_under AS "sealed_under!" FROM signing_keys
            WHERE state = $1 AND state <> 'FORMER'"#,
        state,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row
        .map(|row| StoredKey { id: row.id, sealed: SealedSecret { key_id: row.sealed_under, bytes: row.sealed_key } }))
}

/// Ids and public keys of all that APIs must know, the signing key first.
///
/// # Errors
/// Database errors.
pub async fn published(pool: &PgPool) -> sqlx::Result<Vec<(String, Vec<u8>)>> {
    let rows = sqlx::query!(
        "SELECT id, public_key FROM signing_keys WHERE ends_at IS NULL OR ends_at > portal_now() ORDER BY state, created_at"
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.public_key)).collect())
}

/// All keys, the signing one first.
///
/// # Errors
/// Database errors.
pub async fn list(pool: &PgPool) -> sqlx::Result<Vec<ListedKey>> {
    sqlx::query_as!(ListedKey, "SELECT id, state, created_at, ends_at FROM signing_keys ORDER BY state, created_at")
        .fetch_all(pool)
        .await
}

/// Stores the first two keys, the signing one and the next. False where there are keys already;
/// nothing changes then.
///
/// # Errors
/// Database errors.
pub async fn begin(pool: &PgPool, actor: &Actor, keys: &[NewKey; 2]) -> sqlx::Result<bool> {
    let mut tx = transaction::begin(pool).await?;
    serialise(&mut tx).await?;
    let has_keys = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM signing_keys WHERE state <> 'FORMER') AS "has!""#);
    if has_keys.fetch_one(&mut *tx).await? {
        return Ok(false);
    }
    put_both(&mut tx, keys).await?;
    audit::record(&mut tx, event(actor, Action::SigningKeysMade, &keys[0].id)).await?;
    tx.commit().await?;
    Ok(true)
}

/// The next key signs from now on, and `new` is the next one. The key that signed until now stays
/// published for an hour; its private half is deleted. False where there is no next key.
///
/// # Errors
/// Database errors.
pub async fn rotate(pool: &PgPool, actor: &Actor, next: &StoredKey, new: &NewKey) -> sqlx::Result<bool> {
    let mut tx = transaction::begin(pool).await?;
    serialise(&mut tx).await?;
    sqlx::query!(
        "UPDATE signing_keys SET state = 'FORMER', sealed_key = NULL, sealed_under = NULL,
                ends_at = portal_now() + make_interval(mins => $1) WHERE state = 'CURRENT'",
        FORMER_MINUTES,
    )
    .execute(&mut *tx)
    .await?;
    let promoted = sqlx::query!("UPDATE signing_keys SET state = 'CURRENT' WHERE state = 'NEXT' AND id = $1", next.id)
        .execute(&mut *tx)
        .await?;
    if promoted.rows_affected() == 0 {
        return Ok(false);
    }
    put(&mut tx, new, "NEXT").await?;
    audit::record(&mut tx, event(actor, Action::SigningKeysRotated, &next.id)).await?;
    tx.commit().await?;
    Ok(true)
}

/// Replaces all keys at once: tokens that the old ones signed are refused as soon as an API reads
/// the published keys again.
///
/// # Errors
/// Database errors.
pub async fn replace(pool: &PgPool, actor: &Actor, keys: &[NewKey; 2]) -> sqlx::Result<()> {
    let mut tx = transaction::begin(pool).await?;
    serialise(&mut tx).await?;
    sqlx::query!("DELETE FROM signing_keys").execute(&mut *tx).await?;
    put_both(&mut tx, keys).await?;
    audit::record(&mut tx, event(actor, Action::SigningKeysReplaced, &keys[0].id)).await?;
    tx.commit().await
}

/// Deletes former keys that are no longer published.
pub(in crate::db) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM signing_keys WHERE ends_at <= portal_now()").execute(pool).await?;
    Ok(())
}

async fn serialise(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", LOCK).execute(conn).await?;
    Ok(())
}

async fn put_both(conn: &mut PgConnection, [current, next]: &[NewKey; 2]) -> sqlx::Result<()> {
    put(conn, current, "CURRENT").await?;
    put(conn, next, "NEXT").await
}

async fn put(conn: &mut PgConnection, key: &NewKey, state: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO signing_keys (id, public_key, state, sealed_key, sealed_under) VALUES ($1, $2, $3, $4, $5)",
        key.id,
        key.public,
        state,
        key.sealed.bytes,
        key.sealed.key_id,
    )
    .execute(conn)
    .await?;
    Ok(())
}

fn event<'a>(actor: &'a Actor, action: Action, key_id: &'a str) -> Event<'a> {
    Event { subject: key_id, ..Event::of(actor, action) }
}
