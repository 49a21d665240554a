//! The locks of an act on a person's password, sessions, second factor or links: the person's row
//! first, then the session, then the rest. So such acts of one person take turns, none waits for
//! another in a circle, and what was verified before the lock is read again under it.

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::{
    db::throttles::Counted,
    domain::{envelope::SessionSecret, password::PasswordHash, session_lifetime},
};

/// A person's password, verified a moment ago, as the hash that it was verified against. Whatever
/// it leads to happens only while the person still has that hash.
#[derive(Clone, Debug)]
pub struct VerifiedPassword {
    pub user_id: i64,
    pub hash: PasswordHash,
    /// The attempt, which was counted as failed before it was judged.
    pub counted: Counted,
}

/// An identity at the identity provider, which a person has proved a moment ago.
#[derive(Clone, Debug)]
pub struct ProvedIdentity {
    pub user_id: i64,
    /// Its number in `provider_identities`.
    pub identity_id: i64,
    /// Whether the provider says that a second factor was given.
    pub has_second_factor: bool,
    /// When the person authenticated there; `None`: at this moment, as far as the provider says.
    pub authenticated_at: Option<OffsetDateTime>,
    /// The token that ends the provider's session, sealed.
    pub id_token: Vec<u8>,
}

/// What a person has proved first. Whatever it leads to happens only while it still holds.
#[derive(Clone, Debug)]
pub enum FirstFactor {
    Password(VerifiedPassword),
    Identity(ProvedIdentity),
}

impl FirstFactor {
    /// The person.
    #[must_use]
    pub fn user_id(&self) -> i64 {
        match self {
            Self::Password(verified) => verified.user_id,
            Self::Identity(proved) => proved.user_id,
        }
    }

    /// Whether no other factor is asked for.
    #[must_use]
    pub fn has_second_factor(&self) -> bool {
        self.identity().is_some_and(|proved| proved.has_second_factor)
    }

    /// The identity, where it was one.
    #[must_use]
    pub fn identity(&self) -> Option<&ProvedIdentity> {
        match self {
            Self::Password(_) => None,
            Self::Identity(proved) => Some(proved),
        }
    }

    /// The attempt that was counted before the password was judged; none at the provider.
    pub(super) fn counted(&self) -> Counted {
        match self {
            Self::Password(verified) => verified.counted.clone(),
            Self::Identity(_) => Counted::default(),
        }
    }
}

/// Locks a person's row until the transaction ends. Statements that follow see what acts before
/// this one have written; the same statement would not. Acts of one person take turns: where they
/// shared the lock, new ones would pass before what ends the person's sessions, which waits.
pub(in crate::db) async fn person(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<()> {
    sqlx::query!("SELECT id FROM users WHERE id = $1 FOR NO KEY UPDATE", user_id).fetch_optional(conn).await?;
    Ok(())
}

/// Locks the row of the person with this login, if there is one, and says who it is.
pub(in crate::db) async fn named_person(conn: &mut PgConnection, login: &str) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!("SELECT id FROM users WHERE login = $1 FOR NO KEY UPDATE", login).fetch_optional(conn).await
}

/// Locks the row of a person whose password was verified. False where it was replaced since, or the
/// person was disabled.
pub(super) async fn verified_person(conn: &mut PgConnection, verified: &VerifiedPassword) -> sqlx::Result<bool> {
    let current =
        sqlx::query!("SELECT password_hash, disabled_at FROM users WHERE id = $1 FOR NO KEY UPDATE", verified.user_id)
            .fetch_optional(conn)
            .await?;
    let Some(current) = current.filter(|current| current.disabled_at.is_none()) else { return Ok(false) };
    Ok(current.password_hash.is_some_and(|hash| hash == verified.hash.as_phc()))
}

/// Locks the row of a person who has proved something. False where it does not hold any more, or
/// the person was disabled.
pub(super) async fn proved_person(conn: &mut PgConnection, proof: &FirstFactor) -> sqlx::Result<bool> {
    let proved = match proof {
        FirstFactor::Password(verified) => return verified_person(conn, verified).await,
        FirstFactor::Identity(proved) => proved,
    };
    person(&mut *conn, proved.user_id).await?;
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM provider_identities i JOIN users u ON u.id = i.user_id
                           WHERE i.id = $1 AND u.id = $2 AND i.unlinked_at IS NULL AND u.disabled_at IS NULL) AS "holds!""#,
        proved.identity_id,
        proved.user_id,
    )
    .fetch_one(conn)
    .await
}

/// Locks a session of a person whose row is locked already, and says its public number. `None`
/// where it has ended.
pub(super) async fn living_session(
    conn: &mut PgConnection,
    user_id: i64,
    session: &SessionSecret,
) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!(
        "SELECT public_id FROM sessions WHERE id_hash = $1 AND user_id = $2
            AND last_seen_at > portal_now() - $3::interval AND created_at > portal_now() - $4::interval FOR UPDATE",
        session.digest(),
        user_id,
        session_lifetime::IDLE as _,
        session_lifetime::TOTAL as _,
    )
    .fetch_optional(conn)
    .await
}

/// Whether the session with this digest could make a request now. What ends it waits for as long as
/// its [`person`] is locked, but a sign-in of another person in its browser.
pub(in crate::db) async fn lives(conn: &mut PgConnection, session_hash: &[u8]) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM sessions s JOIN users u ON u.id = s.user_id AND u.disabled_at IS NULL
                WHERE s.id_hash = $1 AND s.last_seen_at > portal_now() - $2::interval
                  AND s.created_at > portal_now() - $3::interval) AS "lives!""#,
        session_hash,
        session_lifetime::IDLE as _,
        session_lifetime::TOTAL as _,
    )
    .fetch_one(conn)
    .await
}

/// Whether the session of this person with this digest could make a request now; then it can until
/// the transaction ends.
pub(in crate::db) async fn holds_session(
    conn: &mut PgConnection,
    user_id: i64,
    session_hash: &[u8],
) -> sqlx::Result<bool> {
    person(conn, user_id).await?;
    lives(conn, session_hash).await
}

/// Locks a person's row and their session, and says its public number. `None` where the session has
/// ended: its act must not happen.
pub(in crate::db) async fn person_in_session(
    conn: &mut PgConnection,
    user_id: i64,
    session: &SessionSecret,
) -> sqlx::Result<Option<i64>> {
    person(conn, user_id).await?;
    living_session(conn, user_id, session).await
}

/// Whether sign-in asks this person, whose row is locked, for a code.
pub(super) async fn asks_code(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM second_factors WHERE user_id = $1 AND confirmed_at IS NOT NULL) AS "asks_code!""#,
        user_id,
    )
    .fetch_one(conn)
    .await
}
