//! Envelopes: the password between its making and the end of its récapitulatif (section 3 of the
//! specification).

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::ManagedTechnicalUser;
use crate::{
    db::audit,
    domain::{
        audit::{Action, Actor},
        envelope::{EnvelopeSubject, IssuedPassword, SealedPassword, SessionSecret},
        lifetime,
        password::Password,
        random,
    },
};

/// What the récapitulatif finds.
#[derive(Debug)]
pub enum Display {
    /// The password, for this once, and until when it can be exported.
    Password(Password, OffsetDateTime),
    /// It cannot be displayed (any more); `shown` where that is because it has been.
    Gone { shown: bool },
}

/// Lays a new password into its envelope, in place of any older one of the account.
pub(in crate::db) async fn put(
    conn: &mut PgConnection,
    subject: EnvelopeSubject,
    issued: &IssuedPassword,
) -> sqlx::Result<()> {
    let sealed = issued.seal(subject);
    sqlx::query!(
        "INSERT INTO envelopes (technical_user_id, credential_version, manager_id, session_hash, sealed, expires_at)
         VALUES ($1, $2, $3, $4, $5, portal_now() + $6::interval)
         ON CONFLICT (technical_user_id) DO UPDATE SET credential_version = $2, manager_id = $3, session_hash = $4,
             sealed = $5, expires_at = excluded.expires_at, shown_at = NULL, export_nonce_hash = NULL",
        subject.technical_user_id,
        subject.credential_version,
        subject.manager_id,
        issued.session.digest(),
        sealed.as_bytes(),
        lifetime::ENVELOPE as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether an envelope of this session still waits to be displayed. Changes nothing.
///
/// # Errors
/// Database errors.
pub async fn is_waiting(pool: &PgPool, account: &ManagedTechnicalUser, session: &SessionSecret) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM envelopes WHERE technical_user_id = $1 AND session_hash = $2 AND manager_id = $3
              AND shown_at IS NULL AND expires_at > portal_now()) AS "waiting!""#,
        account.id(),
        session.digest(),
        account.structure().manager_id(),
    )
    .fetch_one(pool)
    .await
}

/// Opens the envelope to display it: the first caller gets the password, whoever comes after does
/// not. `nonce_hash` is that of the secret which the page will carry and which its export must give
/// back.
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
    let mut tx = pool.begin().await?;
    let envelope = sqlx::query!(
        "UPDATE envelopes SET shown_at = portal_now(), export_nonce_hash = $4
          WHERE technical_user_id = $1 AND session_hash = $2 AND manager_id = $3
            AND shown_at IS NULL AND expires_at > portal_now()
         RETURNING credential_version, sealed, expires_at",
        account.id(),
        session.digest(),
        account.structure().manager_id(),
        nonce_hash,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(envelope) = envelope else { return gone(&mut tx, account).await };
    let password = open(account, session, envelope.credential_version, envelope.sealed);
    let Some(password) = password else { return gone(&mut tx, account).await };
    sqlx::query!("UPDATE technical_users SET password_shown_at = portal_now() WHERE id = $1", account.id())
        .execute(&mut *tx)
        .await?;
    audit::record(&mut tx, account.event(actor, Action::PasswordShown)).await?;
    tx.commit().await?;
    Ok(Display::Password(password, envelope.expires_at))
}

/// Read now, not with the account: of many who come together, those who lose have seen it before
/// the winner's commit.
async fn gone(conn: &mut PgConnection, account: &ManagedTechnicalUser) -> sqlx::Result<Display> {
    let shown = sqlx::query_scalar!(
        r#"SELECT password_shown_at IS NOT NULL AS "shown!" FROM technical_users WHERE id = $1"#,
        account.id()
    )
    .fetch_one(conn)
    .await?;
    Ok(Display::Gone { shown })
}

/// Opens the envelope again for the PDF, for the page that displayed it: only that page has the
/// nonce.
///
/// # Errors
/// Database errors. `Ok(None)` where the envelope is gone or the nonce is not its own.
pub async fn export(
    pool: &PgPool,
    actor: &Actor,
    account: &ManagedTechnicalUser,
    session: &SessionSecret,
    nonce_hash: &[u8],
) -> sqlx::Result<Option<Password>> {
    let mut tx = pool.begin().await?;
    let envelope = sqlx::query!(
        "SELECT credential_version, sealed FROM envelopes
          WHERE technical_user_id = $1 AND session_hash = $2 AND manager_id = $3 AND export_nonce_hash = $4
            AND expires_at > portal_now() FOR UPDATE",
        account.id(),
        session.digest(),
        account.structure().manager_id(),
        nonce_hash,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let password = envelope.and_then(|row| open(account, session, row.credential_version, row.sealed));
    let Some(password) = password else { return Ok(None) };
    sqlx::query!("UPDATE technical_users SET password_exported_at = portal_now() WHERE id = $1", account.id())
        .execute(&mut *tx)
        .await?;
    audit::record(&mut tx, account.event(actor, Action::PasswordExported)).await?;
    tx.commit().await?;
    Ok(Some(password))
}

/// Destroys the envelope of an account, when its manager leaves the récapitulatif.
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

/// Destroys the envelopes of sessions that end, given by their hashes.
pub(in crate::db) async fn destroy_all(conn: &mut PgConnection, session_hashes: &[Vec<u8>]) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM envelopes WHERE session_hash = ANY($1)", session_hashes).execute(conn).await?;
    Ok(())
}

/// Seals anew, for the session that takes another one's place, what that one could open; what it
/// could not is destroyed.
pub(in crate::db) async fn hand_over(
    conn: &mut PgConnection,
    old: &SessionSecret,
    new: &SessionSecret,
) -> sqlx::Result<()> {
    let envelopes = sqlx::query!(
        "DELETE FROM envelopes WHERE session_hash = $1
         RETURNING technical_user_id, credential_version, manager_id, sealed, expires_at, shown_at, export_nonce_hash",
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
                    export_nonce_hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            technical_user_id,
            row.credential_version,
            manager_id,
            new.digest(),
            sealed.as_bytes(),
            row.expires_at,
            row.shown_at,
            row.export_nonce_hash,
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
