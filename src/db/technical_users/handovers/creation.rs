//! Makes a hand-over: the passwords leave their envelopes.

use rand::CryptoRng;
use sqlx::{PgConnection, PgPool};
use thiserror::Error;
use time::OffsetDateTime;

use super::{LinkState, lock_accounts, lock_structures, read};
use crate::{
    db::{identity::locks, technical_users::record_each, transaction},
    domain::{
        audit::{Action, Actor},
        contact_address::ContactAddress,
        envelope::{EnvelopeSubject, SealedPassword, SessionSecret},
        handover::{CodeSalt, HandoverKey, HandoverSubject, LinkSecret, MOST_ACCOUNTS, Recipient, Term},
    },
    french,
};

/// A hand-over to make.
#[derive(Clone, Copy)]
pub struct NewHandover<'a> {
    pub actor: &'a Actor,
    /// The person in the session, who must be the principal manager of all structures.
    pub manager_id: i64,
    pub session: &'a SessionSecret,
    pub accounts: &'a [i64],
    /// The digest of the nonce of the page that displayed the passwords. Passwords that were not
    /// displayed need none.
    pub nonce_hash: Option<&'a [u8]>,
    pub recipient: &'a Recipient,
    pub address: Option<&'a ContactAddress>,
    pub term: Term,
    pub link: &'a LinkSecret,
    /// The key that the link gives, with its code where it has one.
    pub key: &'a HandoverKey,
    pub code_salt: Option<CodeSalt>,
}

/// Why no hand-over was made. Nothing was written.
#[derive(Debug, Error)]
pub enum HandoverError {
    /// An envelope is gone: ten minutes are over, another session asked for it, its password was
    /// displayed and this is not the page that did, or it was handed over already.
    #[error("a password cannot be handed over any more")]
    Lapsed,
    #[error("too many accounts for one link, or none")]
    TooMany,
    /// This form made a link before, which does not open any more.
    #[error("the form was used before")]
    FormUsed,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Hands the passwords of all these accounts over, or of none: opens their envelopes by the
/// session, seals them for the link, and destroys the envelopes, in one transaction. The same form
/// posted again makes no other link: it finds the first one, while that one waits. Returns the end
/// of the link's term.
///
/// # Errors
/// [`HandoverError`].
pub async fn create(
    pool: &PgPool,
    new: NewHandover<'_>,
    rng: &mut (impl CryptoRng + Send),
) -> Result<OffsetDateTime, HandoverError> {
    let mut accounts = new.accounts.to_vec();
    accounts.sort_unstable();
    accounts.dedup();
    if accounts.is_empty() || accounts.len() > MOST_ACCOUNTS {
        return Err(HandoverError::TooMany);
    }
    let mut tx = transaction::begin(pool).await?;
    lock_structures(&mut tx, &accounts).await?;
    if !locks::holds_session(&mut tx, new.manager_id, &new.session.digest()).await? {
        return Err(HandoverError::Lapsed);
    }
    lock_accounts(&mut tx, &accounts).await?;
    if let Some(expires_at) = made_before(&mut tx, &new, &accounts).await? {
        return Ok(expires_at);
    }
    let envelopes = take_envelopes(&mut tx, &new, &accounts).await?;
    if envelopes.len() != accounts.len() {
        return Err(HandoverError::Lapsed);
    }
    let (id, expires_at) = insert(&mut tx, &new).await?;
    for envelope in envelopes {
        let subject = EnvelopeSubject {
            technical_user_id: envelope.technical_user_id,
            credential_version: envelope.credential_version,
            manager_id: new.manager_id,
        };
        let password = SealedPassword::from_stored(envelope.sealed.clone()).open(new.session, subject);
        let password = password.ok_or(HandoverError::Lapsed)?;
        let subject = HandoverSubject {
            handover_id: id,
            technical_user_id: subject.technical_user_id,
            credential_version: subject.credential_version,
        };
        put(&mut tx, subject, &new.key.seal(&password, subject, rng)).await?;
    }
    let code = if new.code_salt.is_some() { ", avec un code" } else { "" };
    let detail =
        format!("À «\u{202f}{}\u{202f}», jusqu’au {}{code}", new.recipient.as_str(), french::moment(expires_at));
    record_each(&mut tx, new.actor, Action::HandoverMade, &accounts, &detail).await?;
    tx.commit().await?;
    Ok(expires_at)
}

/// The link that the same form made before.
async fn made_before(
    conn: &mut PgConnection,
    new: &NewHandover<'_>,
    accounts: &[i64],
) -> Result<Option<OffsetDateTime>, HandoverError> {
    let id = sqlx::query_scalar!("SELECT id FROM handovers WHERE token_hash = $1", new.link.digest());
    let Some(id) = id.fetch_optional(&mut *conn).await? else { return Ok(None) };
    let before = read(&mut *conn, id).await?;
    let of_accounts = sqlx::query_scalar!(
        "SELECT technical_user_id FROM handed_over_passwords WHERE handover_id = $1 ORDER BY technical_user_id",
        id
    )
    .fetch_all(conn)
    .await?;
    let is_same = of_accounts == accounts
        && before.recipient == new.recipient.as_str()
        && before.has_code == new.code_salt.is_some()
        && before.state() == LinkState::Waiting;
    if is_same { Ok(Some(before.expires_at)) } else { Err(HandoverError::FormUsed) }
}

/// An envelope of the session, taken out of its table.
struct TakenEnvelope {
    technical_user_id: i64,
    credential_version: i32,
    sealed: Vec<u8>,
}

async fn take_envelopes(
    conn: &mut PgConnection,
    new: &NewHandover<'_>,
    accounts: &[i64],
) -> sqlx::Result<Vec<TakenEnvelope>> {
    sqlx::query_as!(
        TakenEnvelope,
        r#"DELETE FROM envelopes e USING technical_users t, structures s
          WHERE e.technical_user_id IN (
                SELECT technical_user_id FROM envelopes WHERE technical_user_id = ANY ($1) ORDER BY technical_user_id FOR UPDATE)
            AND t.id = e.technical_user_id AND s.id = t.structure_id
            AND e.session_hash = $2 AND e.manager_id = $3 AND s.principal_manager_id = $3
            AND e.credential_version = t.credential_version AND t.status = 'ACTIVE'
            AND (e.shown_at IS NULL OR e.export_nonce_hash = $4) AND e.expires_at > portal_now()
         RETURNING e.technical_user_id, e.credential_version, e.sealed"#,
        accounts,
        new.session.digest(),
        new.manager_id,
        new.nonce_hash,
    )
    .fetch_all(conn)
    .await
}

async fn insert(conn: &mut PgConnection, new: &NewHandover<'_>) -> sqlx::Result<(i64, OffsetDateTime)> {
    let row = sqlx::query!(
        "INSERT INTO handovers (token_hash, made_by, recipient, recipient_address, expires_at, code_salt, made_in)
         VALUES ($1, $2, $3, $4, portal_now() + make_interval(days => $5), $6, (SELECT public_id FROM sessions WHERE id_hash = $7))
         RETURNING id, expires_at",
        new.link.digest(),
        new.manager_id,
        new.recipient.as_str(),
        new.address.map(ContactAddress::as_str),
        new.term.days(),
        new.code_salt.as_ref().map(<[u8; 16]>::as_slice),
        new.session.digest(),
    )
    .fetch_one(conn)
    .await?;
    Ok((row.id, row.expires_at))
}

async fn put(conn: &mut PgConnection, subject: HandoverSubject, sealed: &[u8]) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO handed_over_passwords (technical_user_id, credential_version, handover_id, sealed) VALUES ($1, $2, $3, $4)",
        subject.technical_user_id,
        subject.credential_version,
        subject.handover_id,
        sealed,
    )
    .execute(conn)
    .await?;
    Ok(())
}
