//! Addresses whose mail servers refuse mails for good, until one takes a mail.

use sqlx::{PgConnection, PgExecutor, PgPool};

/// An invitation that did not arrive, as the principal manager of the structure sees it.
#[derive(Clone, Debug)]
pub struct RefusedInvitation {
    /// The address that was typed.
    pub address: String,
    pub structure_id: i64,
    pub designation: String,
}

/// Remembers that the address refuses mails.
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn put(conn: &mut PgConnection, address: &str) -> sqlx::Result<()> {
    sqlx::query!("INSERT INTO refused_addresses (address) VALUES (lower($1)) ON CONFLICT DO NOTHING", address)
        .execute(conn)
        .await?;
    Ok(())
}

/// Forgets it: a mail was taken.
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn remove(conn: &mut PgConnection, address: &str) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM refused_addresses WHERE address = lower($1)", address).execute(conn).await?;
    Ok(())
}

/// Whether the address refuses mails.
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn is_refused(executor: impl PgExecutor<'_>, address: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM refused_addresses WHERE address = lower($1)) AS "is_refused!""#,
        address,
    )
    .fetch_one(executor)
    .await
}

/// The people invited to the structures of this manager whose address refuses mails, the first
/// `limit`. Only what the manager typed is compared: where a person was known before, with another
/// address, nothing is said of that one.
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn invitations_of_manager(
    executor: impl PgExecutor<'_>,
    manager_id: i64,
    limit: i64,
) -> sqlx::Result<Vec<RefusedInvitation>> {
    sqlx::query_as!(
        RefusedInvitation,
        r#"SELECT m.invited_as AS "address!", s.id AS structure_id, s.designation
             FROM structures s JOIN memberships m ON m.structure_id = s.id
             JOIN refused_addresses r ON r.address = lower(m.invited_as)
            WHERE s.principal_manager_id = $1 ORDER BY s.search_text, s.id, m.id LIMIT $2"#,
        manager_id,
        limit,
    )
    .fetch_all(executor)
    .await
}

/// Deletes addresses that were refused a year ago: no mail was written to them since.
///
/// # Errors
/// Database errors.
pub async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM refused_addresses WHERE refused_at < portal_now() - interval '1 year'")
        .execute(pool)
        .await?;
    Ok(())
}
