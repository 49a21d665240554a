//! The passwords of people, as hashes.

use sqlx::{PgConnection, PgExecutor, PgPool};

use super::sessions::VerifiedPassword;
use crate::{
    db::outbox,
    domain::{audit::Actor, notification::Notification, password::PasswordHash},
};

/// What others know of a person, hence try as their password: login, names, contact address, and
/// the names and identifiers of some of their structures.
///
/// # Errors
/// Database errors.
pub async fn known_words(executor: impl PgExecutor<'_>, user_id: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"SELECT word AS "word!" FROM users u, unnest(ARRAY[u.login, u.last_name, u.first_name, u.contact_address]) AS word WHERE u.id = $1
           UNION ALL
           (SELECT unnest(ARRAY[s.designation, s.identifier]) FROM memberships m JOIN structures s ON s.id = m.structure_id
             WHERE m.user_id = $1 ORDER BY m.id LIMIT 40)"#,
        user_id,
    )
    .fetch_all(executor)
    .await
}

/// Replaces a hash by one of the same password with today's parameters.
///
/// # Errors
/// Database errors.
pub async fn renew_hash(pool: &PgPool, old: &VerifiedPassword, new: &PasswordHash) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2",
        old.user_id,
        old.hash.as_phc(),
        new.as_phc()
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Replaces a person's password by one that they chose, and mails them.
pub(super) async fn replace(
    conn: &mut PgConnection,
    actor: &Actor,
    user_id: i64,
    hash: &PasswordHash,
) -> sqlx::Result<()> {
    let person = sqlx::query!(
        r#"UPDATE users SET password_hash = $2 WHERE id = $1
           RETURNING login, coalesce(confirmed_address, contact_address) AS "address!", portal_now() AS "at!""#,
        user_id,
        hash.as_phc(),
    )
    .fetch_one(&mut *conn)
    .await?;
    let notice = Notification::PasswordChosen { login: person.login, at: person.at };
    outbox::enqueue(conn, actor, &person.address, &notice).await
}
