//! Links that people make and end themselves.

use sqlx::{PgConnection, PgPool};

use super::{Change, Identity, announce, count_all, end, find, insert, recognition};
use crate::{
    db::{
        identity::{locks, sessions},
        transaction,
    },
    domain::{audit::Actor, envelope::SessionSecret, known_browser::Epoch},
};

/// The identities that one person may have.
const MOST_OF_A_PERSON: i64 = 10;

/// What became of a link that a person asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linking {
    Linked,
    /// It is linked to this person already.
    AlreadyOwn,
    /// It is linked to another person.
    AnotherPersons,
    /// Its address is another person's: their next sign-in would open this account.
    AnotherPersonsAddress,
    TooMany,
    /// The session ended meanwhile.
    SessionEnded,
}

/// Links an identity to a person within their session.
///
/// # Errors
/// Database errors.
pub async fn link(
    pool: &PgPool,
    actor: &Actor,
    user_id: i64,
    session: &SessionSecret,
    identity: &Identity<'_>,
) -> sqlx::Result<Linking> {
    let mut tx = transaction::begin(pool).await?;
    if locks::person_in_session(&mut tx, user_id, session).await?.is_none() {
        return Ok(Linking::SessionEnded);
    }
    if recognition::names_another(&mut tx, user_id, identity).await? {
        return Ok(Linking::AnotherPersonsAddress);
    }
    let linked = link_locked(&mut tx, actor, user_id, identity).await?;
    tx.commit().await?;
    Ok(linked.map_or_else(|refused| refused, |_| Linking::Linked))
}

/// Links an identity to a person whose row is locked: its number.
pub(in crate::db::identity) async fn link_locked(
    conn: &mut PgConnection,
    actor: &Actor,
    user_id: i64,
    identity: &Identity<'_>,
) -> sqlx::Result<Result<i64, Linking>> {
    match find(&mut *conn, identity).await? {
        Some(known) if known.is_unlinked => {}
        Some(known) if known.user_id == user_id => return Ok(Err(Linking::AlreadyOwn)),
        Some(_) => return Ok(Err(Linking::AnotherPersons)),
        None => {}
    }
    if count_all(&mut *conn, user_id, identity.issuer).await? >= MOST_OF_A_PERSON {
        return Ok(Err(Linking::TooMany));
    }
    Ok(insert(conn, actor, user_id, identity).await?.ok_or(Linking::AnotherPersons))
}

/// What became of the end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlinking {
    /// In a new epoch of known browsers.
    Unlinked(Epoch),
    /// There is none with this number, or the session ended.
    NotFound,
    /// Without it, the person could not sign in any more.
    OnlyWayIn,
}

/// Ends a link of a person, that of `ways.without`, within their session, and the other sessions
/// that began by it, with an event and a mail.
///
/// # Errors
/// Database errors.
pub async fn unlink(
    pool: &PgPool,
    actor: &Actor,
    user_id: i64,
    session: &SessionSecret,
    ways: WaysIn<'_>,
) -> sqlx::Result<Unlinking> {
    let mut tx = transaction::begin(pool).await?;
    if locks::person_in_session(&mut tx, user_id, session).await?.is_none() {
        return Ok(Unlinking::NotFound);
    }
    let has_another_way = sqlx::query_scalar!(
        r#"SELECT $3 AND password_hash IS NOT NULL
                  OR EXISTS (SELECT FROM provider_identities
                              WHERE user_id = $1 AND id <> $2 AND issuer = $4 AND unlinked_at IS NULL) AS "is!"
             FROM users WHERE id = $1"#,
        user_id,
        ways.without,
        ways.passwords,
        ways.issuer,
    )
    .fetch_one(&mut *tx)
    .await?;
    let Some(address) = end(&mut tx, user_id, ways.without).await? else { return Ok(Unlinking::NotFound) };
    if !has_another_way {
        return Ok(Unlinking::OnlyWayIn);
    }
    let epoch = sessions::end_of_identity(&mut tx, actor, (user_id, ways.without), session).await?;
    announce(&mut tx, actor, user_id, Change { is_linked: false, label: ways.label, address: &address }).await?;
    tx.commit().await?;
    Ok(Unlinking::Unlinked(epoch))
}

/// How people can sign in once an identity is unlinked.
#[derive(Clone, Copy, Debug)]
pub struct WaysIn<'a> {
    /// The identity.
    pub without: i64,
    pub passwords: bool,
    /// The provider's: identities of one that was set before open nothing.
    pub issuer: &'a str,
    /// The provider's name, for the mail.
    pub label: &'a str,
}
