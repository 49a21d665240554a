//! Deletes expired rows.

use sqlx::PgPool;

use super::{
    api::tokens,
    identity::{contact_addresses, invitations, second_factors, sessions, sign_in},
    technical_users::{envelopes, former_passwords, idempotency},
};

/// Mails that are not sent yet.
///
/// # Errors
/// Database errors.
pub async fn waiting_mails(pool: &PgPool) -> sqlx::Result<i64> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM mails WHERE sent_at IS NULL"#).fetch_one(pool).await
}

/// Deletes expired sessions, envelopes, tokens, links and throttles. Any instance may run it at any
/// time: all of these are already without effect.
///
/// # Errors
/// Database errors.
pub async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    envelopes::sweep(pool).await?;
    sessions::sweep(pool).await?;
    former_passwords::sweep(pool).await?;
    tokens::sweep(pool).await?;
    invitations::sweep(pool).await?;
    contact_addresses::sweep(pool).await?;
    // Nobody answers: the structure is unknown, or its manager will not.
    sqlx::query!("DELETE FROM membership_requests WHERE created_at <= portal_now() - interval '90 days'")
        .execute(pool)
        .await?;
    sqlx::query!("DELETE FROM throttles WHERE last_failure < portal_now() - interval '1 hour'").execute(pool).await?;
    second_factors::sweep(pool).await?;
    sign_in::sweep(pool).await?;
    idempotency::sweep(pool).await
}
