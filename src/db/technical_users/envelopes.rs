//! Envelopes: new passwords, sealed until they are displayed and exported (section 3 of the
//! specification).

use rand::CryptoRng;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::{ManagedTechnicalUser, batches};
use crate::{
    db::{audit, structures, transaction},
    domain::{
        audit::{Action, Actor},
        envelope::{EnvelopeSubject, IssuedPassword, Keeper, SealedPassword, SessionSecret},
        password::Password,
        random,
    },
};

/// The answer to a request to display a password.
#[derive(Debug)]
pub enum Display {
    /// The password, displayed by this request and no other. `until` is the end of the export.
    Password { password: Password, until: OffsetDateTime },
    /// The password was displayed before.
    AlreadyShown,
    /// The envelope has expired, was destroyed, or belongs to another session.
    Lapsed,
}

impl Display {
    /// Why the password of an account cannot be displayed, by whether it ever was.
    fn refused(shown: bool) -> Self {
        if shown { Self::AlreadyShown } else { Self::Lapsed }
    }
}

/// Seals a new password and stores it, in place of the account's older envelope.
pub(super) async fn put(
    conn: &mut PgConnection,
    subject: EnvelopeSubject,
    issued: &IssuedPassword,
    keeper: &Keeper,
    rng: &mut (impl CryptoRng + Send),
) -> sqlx::Result<()> {
    let sealed = keeper.seal(&issued.password, subject, rng);
    let sealed = sealed.ok_or_else(|| sqlx::Error::Decode("the key of a session is not one".into()))?;
    sqlx::query!(
        "INSERT INTO envelopes (technical_user_id, credential_version, manager_id, session_hash, sealed, expires_at, batch_id)
         VALUES ($1, $2, $3, $4, $5, portal_now() + $6::interval, $7)
         ON CONFLICT (technical_user_id) DO UPDATE SET credential_version = $2, manager_id = $3, session_hash = $4,
             sealed = $5, expires_at = excluded.expires_at, shown_at = NULL, export_nonce_hash = NULL, batch_id = $7",
        subject.technical_user_id,
        subject.credential_version,
        subject.manager_id,
        keeper.session_hash(),
        sealed.as_bytes(),
        keeper.lifetime() as _,
        keeper.batch_id(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether the session can still display the password. Those of a batch are exported, and never
/// displayed. Changes nothing.
///
/// # Errors
/// Database errors.
pub async fn is_waiting(pool: &PgPool, account: &ManagedTechnicalUser, session: &SessionSecret) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM envelopes WHERE technical_user_id = $1 AND session_hash = $2 AND manager_id = $3
              AND shown_at IS NULL AND batch_id IS NULL AND expires_at > portal_now()) AS "waiting!""#,
        account.id(),
        session.digest(),
        account.structure().manager_id(),
    )
    .fetch_one(pool)
    .await
}

/// Opens the envelope to display the password. Only the first request gets it, and only if the
/// manager still is one. `nonce_hash` is the digest of the nonce that the page will contain and
/// that [`export`] requires.
///
/// # Errors
/// Database errors.
pub async fn display(
    pool: &PgPool,
    actor: &Actor,
    account: &ManagedTechnicalUser,
    session: &SessionSecret,
    nonce_hash: &[u8],
) -> sqlx::Result<Display> {
    let mut tx = transaction::begin(pool).await?;
    if !lock(&mut tx, account).await? {
        return refused(&mut tx, account).await;
    }
    let envelope = sqlx::query!(
        "UPDATE envelopes SET shown_at = portal_now(), export_nonce_hash = $4
          WHERE technical_user_id = $1 AND session_hash = $2 AND manager_id = $3
            AND shown_at IS NULL AND batch_id IS NULL AND expires_at > portal_now()
         RETURNING credential_version, sealed, expires_at",
        account.id(),
        session.digest(),
        account.structure().manager_id(),
        nonce_hash,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(envelope) = envelope else { return refused(&mut tx, account).await };
    let password = open(account, session, envelope.credential_version, envelope.sealed);
    let Some(password) = password else { return refused(&mut tx, account).await };
    sqlx::query!("UPDATE technical_users SET password_shown_at = portal_now() WHERE id = $1", account.id())
        .execute(&mut *tx)
        .await?;
    audit::record(&mut tx, account.event(actor, Action::PasswordShown)).await?;
    tx.commit().await?;
    Ok(Display::Password { password, until: envelope.expires_at })
}

/// Locks the structure and the account, before the envelope, as every act does that locks several.
/// False if the person is no longer the principal manager.
async fn lock(conn: &mut PgConnection, account: &ManagedTechnicalUser) -> sqlx::Result<bool> {
    let structure = structures::lock_managed(conn, account.structure()).await?;
    sqlx::query!("SELECT id FROM technical_users WHERE id = $1 FOR NO KEY UPDATE", account.id())
        .fetch_optional(conn)
        .await?;
    Ok(structure.is_some())
}

/// Reads `password_shown_at` again: of several parallel requests, those that come too late read the
/// account before the first one committed.
async fn refused(conn: &mut PgConnection, account: &ManagedTechnicalUser) -> sqlx::Result<Display> {
    let shown = sqlx::query_scalar!(
        r#"SELECT password_shown_at IS NOT NULL AS "shown!" FROM technical_users WHERE id = $1"#,
        account.id()
    )
    .fetch_one(conn)
    .await?;
    Ok(Display::refused(shown))
}

/// A password opened for the PDF.
#[derive(Debug)]
pub struct Exported {
    /// The password, opened once more.
    pub password: Password,
    /// When it was exported.
    pub at: OffsetDateTime,
}

/// Opens the envelope again, for the PDF. Only the page that displayed the password has the nonce.
/// `None` if the envelope is gone or the nonce is not the page's.
///
/// # Errors
/// Database errors.
pub async fn export(
    pool: &PgPool,
    actor: &Actor,
    account: &ManagedTechnicalUser,
    session: &SessionSecret,
    nonce_hash: &[u8],
) -> sqlx::Result<Option<Exported>> {
    let mut tx = transaction::begin(pool).await?;
    if !lock(&mut tx, account).await? {
        return Ok(None);
    }
    let envelope = sqlx::query!(
        "SELECT credential_version, sealed FROM envelopes
          WHERE technical_user_id = $1 AND session_hash = $2 AND manager_id = $3 AND export_nonce_hash = $4
            AND expires_at > portal_now()",
        account.id(),
        session.digest(),
        account.structure().manager_id(),
        nonce_hash,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let password = envelope.and_then(|row| open(account, session, row.credential_version, row.sealed));
    let Some(password) = password else { return Ok(None) };
    let at = sqlx::query_scalar!(
        r#"UPDATE technical_users SET password_exported_at = portal_now() WHERE id = $1
           RETURNING password_exported_at AS "at!""#,
        account.id(),
    )
    .fetch_one(&mut *tx)
    .await?;
    audit::record(&mut tx, account.event(actor, Action::PasswordExported)).await?;
    tx.commit().await?;
    Ok(Some(Exported { password, at }))
}

/// Destroys the session's envelope of the account, when its manager leaves the récapitulatif.
///
/// # Errors
/// Database errors.
pub async fn destroy(pool: &PgPool, account: &ManagedTechnicalUser, session: &SessionSecret) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM envelopes WHERE technical_user_id = $1 AND session_hash = $2",
        account.id(),
        session.digest()
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Destroys the account's envelope.
pub(super) async fn end_of_account(conn: &mut PgConnection, technical_user_id: i64) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM envelopes WHERE technical_user_id = $1", technical_user_id).execute(conn).await?;
    Ok(())
}

/// Destroys the envelopes of the structure's accounts.
pub(in crate::db) async fn end_of_structure(conn: &mut PgConnection, structure_id: i64) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM envelopes WHERE technical_user_id IN (
             SELECT e.technical_user_id FROM envelopes e JOIN technical_users t ON t.id = e.technical_user_id
              WHERE t.structure_id = $1 ORDER BY e.technical_user_id FOR UPDATE OF e)",
        structure_id,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Destroys the envelopes that only these sessions could open, given the digests of their secrets.
pub(in crate::db) async fn end_of_sessions(conn: &mut PgConnection, session_hashes: &[Vec<u8>]) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM envelopes WHERE technical_user_id IN (
             SELECT technical_user_id FROM envelopes WHERE session_hash = ANY($1) ORDER BY technical_user_id FOR UPDATE)",
        session_hashes,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes expired envelopes, but none that an act is just writing.
pub(in crate::db) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM envelopes WHERE technical_user_id IN (
             SELECT technical_user_id FROM envelopes WHERE expires_at <= portal_now() FOR UPDATE SKIP LOCKED)"
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Seals the envelopes of the session `old` again for the session `new` that replaces it, and so
/// those that its batches will make. Envelopes that do not open are destroyed.
pub(in crate::db) async fn hand_over(
    conn: &mut PgConnection,
    old: &SessionSecret,
    new: &SessionSecret,
) -> sqlx::Result<()> {
    // First, since a batch that is under way makes others until its row is locked.
    batches::hand_over(&mut *conn, old, new).await?;
    let envelopes = sqlx::query!(
        "DELETE FROM envelopes WHERE technical_user_id IN (
             SELECT technical_user_id FROM envelopes WHERE session_hash = $1 ORDER BY technical_user_id FOR UPDATE)
         RETURNING technical_user_id, credential_version, manager_id, sealed, expires_at, shown_at, export_nonce_hash, batch_id",
        old.digest(),
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in envelopes {
        let (technical_user_id, manager_id) = (row.technical_user_id, row.manager_id);
        let subject = EnvelopeSubject { technical_user_id, credential_version: row.credential_version, manager_id };
        let Some(password) = SealedPassword::from_stored(row.sealed).open(old, subject) else { continue };
        let sealed = SealedPassword::seal(&password, new, subject, &mut random::os_rng());
        sqlx::query!(
            "INSERT INTO envelopes (technical_user_id, credential_version, manager_id, session_hash, sealed, expires_at, shown_at,
                    export_nonce_hash, batch_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            technical_user_id,
            row.credential_version,
            manager_id,
            new.digest(),
            sealed.as_bytes(),
            row.expires_at,
            row.shown_at,
            row.export_nonce_hash,
            row.batch_id,
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

fn open(
    account: &ManagedTechnicalUser,
    session: &SessionSecret,
    credential_version: i32,
    sealed: Vec<u8>,
) -> Option<Password> {
    let subject = EnvelopeSubject {
        technical_user_id: account.id(),
        credential_version,
        manager_id: account.structure().manager_id(),
    };
    SealedPassword::from_stored(sealed).open(session, subject)
}
