//! Deletes expired rows.

use sqlx::PgPool;

use super::{
    api::{call_log, services, signing_keys, tokens},
    audit::{frequent, refusals},
    identity::{contact_addresses, invitations, mailboxes, provider_attempts, second_factors, sessions, sign_in},
    members::{offers, requests},
    refused_addresses,
    technical_users::{batches, envelopes, former_passwords, handovers, idempotency},
    throttles,
};

/// Mails that are not sent yet.
///
/// # Errors
/// Database errors.
pub async fn waiting_mails(pool: &PgPool) -> sqlx::Result<i64> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM mails WHERE sent_at IS NULL"#).fetch_one(pool).await
}

/// Mails that ended because the recipient's server refused them for good.
///
/// # Errors
/// Database errors.
pub async fn refused_mails(pool: &PgPool) -> sqlx::Result<i64> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM mails WHERE refused_at IS NOT NULL"#).fetch_one(pool).await
}

/// Deletes expired rows of each table. Any instance may run it at any time: the rows are already
/// without effect.
///
/// # Errors
/// Database errors.
pub async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    envelopes::sweep(pool).await?;
    batches::sweep(pool).await?;
    handovers::ending::sweep(pool).await?;
    sessions::sweep(pool).await?;
    former_passwords::sweep(pool).await?;
    tokens::sweep(pool).await?;
    call_log::sweep(pool).await?;
    services::sweep(pool).await?;
    signing_keys::sweep(pool).await?;
    invitations::sweep(pool).await?;
    contact_addresses::sweep(pool).await?;
    mailboxes::sweep(pool).await?;
    provider_attempts::sweep(pool).await?;
    requests::sweep(pool).await?;
    offers::sweep(pool).await?;
    throttles::sweep(pool).await?;
    second_factors::sweep(pool).await?;
    sign_in::sweep(pool).await?;
    refusals::sweep(pool).await?;
    refused_addresses::sweep(pool).await?;
    frequent::sweep(pool).await?;
    idempotency::sweep(pool).await
}
