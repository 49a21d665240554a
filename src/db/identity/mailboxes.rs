//! The mailboxes of a person, where links to choose a password and notices about their own account
//! go: the confirmed address, and for [`RECOVERY`] those that were confirmed before it. So whoever
//! knows a password and confirms an address of their own is found out, and undone by a link that
//! is followed in the former mailbox.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use crate::{
    db::{
        audit::{self, Event},
        outbox,
    },
    domain::{
        audit::{Action, Actor},
        notification::Notification,
    },
};

/// How long an address stays a way back after another one was confirmed in its place.
const RECOVERY: Duration = Duration::from_hours(14 * 24);

/// Former addresses that one person may have at a time. The first ones stay: those that follow may
/// be another person's.
const MOST_FORMER: i64 = 3;

/// The mailboxes: the confirmed address first (of a person who never confirmed one, that of their
/// invitation), then the former ones.
pub(super) async fn of_person(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"SELECT address AS "address!" FROM person_mailboxes WHERE user_id = $1 ORDER BY ends_at DESC"#,
        user_id
    )
    .fetch_all(conn)
    .await
}

/// Mails a notice about the person's own account or authority to each mailbox.
pub(in crate::db) async fn tell(
    conn: &mut PgConnection,
    actor: &Actor,
    user_id: i64,
    notice: &Notification,
) -> sqlx::Result<()> {
    for address in of_person(conn, user_id).await? {
        outbox::enqueue(conn, actor, &address, notice).await?;
    }
    Ok(())
}

/// An address that was confirmed before the present one.
#[derive(Clone, Debug)]
pub struct FormerAddress {
    pub address: String,
    /// Until when it is a way back.
    pub ends_at: OffsetDateTime,
}

/// The former addresses that still are mailboxes of the person.
pub(super) async fn former(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<Vec<FormerAddress>> {
    sqlx::query_as!(
        FormerAddress,
        r#"SELECT address AS "address!", ends_at AS "ends_at!" FROM person_mailboxes
            WHERE user_id = $1 AND ends_at < 'infinity' ORDER BY ends_at DESC"#,
        user_id,
    )
    .fetch_all(conn)
    .await
}

/// Keeps an address as a way back, now that another one is confirmed.
pub(super) async fn keep(conn: &mut PgConnection, user_id: i64, address: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO recovery_addresses (user_id, address, ends_at)
         SELECT $1, $2, portal_now() + $3::interval
          WHERE (SELECT count(*) FROM recovery_addresses
                  WHERE user_id = $1 AND ends_at > portal_now() AND lower(address) <> lower($2)) < $4
         ON CONFLICT (user_id, lower(address)) DO UPDATE SET ends_at = excluded.ends_at",
        user_id,
        address,
        RECOVERY as _,
        MOST_FORMER,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The address to keep as a way back now that `address` is confirmed, of the one that was confirmed
/// before. None where `address` is a way back itself: what was confirmed after it, perhaps by a
/// thief of the password, is dropped as in [`settle`].
pub(super) async fn returned_to(
    conn: &mut PgConnection,
    user_id: i64,
    address: &str,
    before: Option<String>,
) -> sqlx::Result<Option<String>> {
    let returned = sqlx::query!(
        "DELETE FROM recovery_addresses r USING recovery_addresses own
          WHERE own.user_id = $1 AND lower(own.address) = lower($2) AND own.ends_at > portal_now()
            AND r.user_id = $1 AND r.ends_at >= own.ends_at",
        user_id,
        address,
    )
    .execute(conn)
    .await?;
    Ok(before.filter(|_| returned.rows_affected() == 0))
}

/// Makes the mailbox in which a link was followed the contact address, and confirms it. What was
/// changed after it, perhaps by a thief of the password, is dropped: an address that waits to be
/// confirmed, or that was confirmed later. The caller has locked the person.
pub(super) async fn settle(conn: &mut PgConnection, actor: &Actor, user_id: i64, address: &str) -> sqlx::Result<()> {
    let dropped = sqlx::query_scalar!(
        "WITH gone AS (DELETE FROM recovery_addresses r USING users u
                        WHERE u.id = $1 AND r.user_id = $1 AND lower(coalesce(u.confirmed_address, u.contact_address)) <> lower($2)
                          AND r.ends_at >= (SELECT ends_at FROM recovery_addresses WHERE user_id = $1 AND lower(address) = lower($2)))
         SELECT contact_address FROM users
          WHERE id = $1 AND (contact_address_confirmed_at IS NULL OR lower(contact_address) <> lower($2))",
        user_id,
        address,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(dropped) = dropped else { return Ok(()) };
    assign(conn, user_id, address).await?;
    if dropped.to_lowercase() == address.to_lowercase() {
        return Ok(());
    }
    let notice = Notification::ContactAddressChanged { new_address: address.to_owned(), is_way_back: false };
    outbox::enqueue(conn, actor, &dropped, &notice).await?;
    record_change(conn, actor, user_id, address).await
}

/// Gives a person an address that counts as confirmed, and no other way back.
pub(super) async fn assign_alone(conn: &mut PgConnection, user_id: i64, address: &str) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM recovery_addresses WHERE user_id = $1", user_id).execute(&mut *conn).await?;
    assign(conn, user_id, address).await
}

async fn assign(conn: &mut PgConnection, user_id: i64, address: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE users SET contact_address = $2, contact_address_confirmed_at = portal_now(), former_contact_address = NULL
          WHERE id = $1",
        user_id,
        address,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records a change of the contact address, also in the history of each structure whose technical
/// users have it.
pub(super) async fn record_change(conn: &mut PgConnection, actor: &Actor, user_id: i64, new: &str) -> sqlx::Result<()> {
    audit::record(conn, Event { detail: new, ..Event::of(actor, Action::ContactAddressChanged) }).await?;
    sqlx::query!(
        "INSERT INTO audit_events (actor_id, actor, address, action, structure_id, subject, detail)
         SELECT $1, $2, $3, $4, s.id, u.login, $5
           FROM structures s JOIN users u ON u.id = s.principal_manager_id WHERE s.principal_manager_id = $6",
        actor.user_id,
        actor.name,
        actor.address,
        Action::ContactAddressChanged.code(),
        new,
        user_id,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets addresses that are no way back any more.
pub(in crate::db) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM recovery_addresses WHERE ends_at <= portal_now()").execute(pool).await?;
    Ok(())
}
