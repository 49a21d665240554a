//! Deletes expired rows.

use sqlx::PgPool;

/// The number of mails that are not sent yet.
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
    sqlx::query!("DELETE FROM envelopes WHERE expires_at <= portal_now()").execute(pool).await?;
    sqlx::query!(
        "DELETE FROM sessions WHERE last_seen_at <= portal_now() - interval '30 minutes'
             OR created_at <= portal_now() - interval '12 hours'"
    )
    .execute(pool)
    .await?;
    sqlx::query!("DELETE FROM former_passwords WHERE ends_at <= portal_now()").execute(pool).await?;
    sqlx::query!("DELETE FROM access_tokens WHERE expires_at <= portal_now()").execute(pool).await?;
    sqlx::query!("DELETE FROM invitations WHERE expires_at <= portal_now() - interval '1 day'").execute(pool).await?;
    // Never answered: the structure is unknown, or its manager did not react.
    sqlx::query!("DELETE FROM membership_requests WHERE created_at <= portal_now() - interval '90 days'")
        .execute(pool)
        .await?;
    sqlx::query!("DELETE FROM throttles WHERE last_failure < portal_now() - interval '1 hour'").execute(pool).await?;
    sqlx::query!(
        "DELETE FROM second_factors WHERE confirmed_at IS NULL AND created_at <= portal_now() - interval '1 hour'"
    )
    .execute(pool)
    .await?;
    sqlx::query!("DELETE FROM known_browsers WHERE last_seen_at <= portal_now() - interval '180 days'")
        .execute(pool)
        .await?;
    sqlx::query!("DELETE FROM idempotency_tokens WHERE created_at <= portal_now() - interval '7 days'")
        .execute(pool)
        .await?;
    Ok(())
}
