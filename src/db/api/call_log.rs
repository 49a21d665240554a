//! Writes buffered calls and refusals, many at a time.

use std::net::IpAddr;

use sqlx::PgPool;
use time::OffsetDateTime;

use super::PresentedCredentials;
use crate::domain::audit::{Action, CallRefusal};

/// An account's last authenticated call.
#[derive(Clone, Debug)]
pub struct LastCall {
    pub technical_user_id: i64,
    pub at: OffsetDateTime,
    pub address: IpAddr,
    /// The `User-Agent`; may be empty.
    pub software: String,
}

/// Writes last calls, except where another instance has written a later one.
///
/// # Errors
/// Database errors.
pub async fn write_calls(pool: &PgPool, calls: &[LastCall]) -> sqlx::Result<()> {
    if calls.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = calls.iter().map(|call| call.technical_user_id).collect();
    let moments: Vec<_> = calls.iter().map(|call| call.at).collect();
    let addresses: Vec<_> = calls.iter().map(|call| call.address.to_string()).collect();
    let software: Vec<_> = calls.iter().map(|call| call.software.clone()).collect();
    sqlx::query!(
        "UPDATE technical_users t
            SET last_call_at = c.at, last_call_address = c.address, last_call_software = c.software
           FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::text[]) c (id, at, address, software)
          WHERE t.id = c.id AND (t.last_call_at IS NULL OR t.last_call_at < c.at)",
        &ids,
        &moments,
        &addresses,
        &software,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// An authenticated call with a password that expires within days: perhaps a former password.
#[derive(Clone, Debug)]
pub struct ExpiringCall {
    pub technical_user_id: i64,
    pub at: OffsetDateTime,
    pub presented: PresentedCredentials,
}

/// Writes the last call of former passwords: the account's page shows whether one is still used.
/// Calls with current passwords are ignored.
///
/// # Errors
/// Database errors.
pub async fn write_former_calls(pool: &PgPool, calls: &[ExpiringCall]) -> sqlx::Result<()> {
    if calls.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = calls.iter().map(|call| call.technical_user_id).collect();
    let moments: Vec<_> = calls.iter().map(|call| call.at).collect();
    let versions: Vec<_> = calls.iter().map(|call| call.presented.version()).collect();
    let tokens: Vec<_> = calls.iter().map(|call| call.presented.token_hash().map(<[u8]>::to_vec)).collect();
    sqlx::query!(
        "UPDATE former_passwords f SET last_call_at = c.at
           FROM unnest($1::bigint[], $2::timestamptz[], $3::integer[], $4::bytea[]) c (id, at, version, token_hash)
           LEFT JOIN access_tokens k ON k.token_hash = c.token_hash
          WHERE f.technical_user_id = c.id AND f.credential_version IN (c.version, k.credential_version)
            AND (f.last_call_at IS NULL OR f.last_call_at < c.at)",
        &ids,
        &moments,
        &versions as &[Option<i32>],
        &tokens as &[Option<Vec<u8>>],
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Refused calls of one account, for one reason, from one address.
#[derive(Clone, Copy, Debug)]
pub struct RefusedCalls {
    pub technical_user_id: i64,
    pub why: CallRefusal,
    pub address: IpAddr,
    pub count: i32,
}

/// Writes one event per group into the history of the account's structure.
///
/// # Errors
/// Database errors; nothing is written then.
pub async fn write_refusals(pool: &PgPool, refusals: &[RefusedCalls]) -> sqlx::Result<()> {
    if refusals.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = refusals.iter().map(|refused| refused.technical_user_id).collect();
    let addresses: Vec<_> = refusals.iter().map(|refused| refused.address.to_string()).collect();
    let details: Vec<_> = refusals.iter().map(|refused| refused.why.counted(refused.count)).collect();
    sqlx::query!(
        "INSERT INTO audit_events (actor, address, action, structure_id, technical_user_id, subject, detail)
         SELECT t.login, r.address, $4, t.structure_id, t.id, t.login, r.detail
           FROM unnest($1::bigint[], $2::text[], $3::text[]) WITH ORDINALITY r (id, address, detail, place)
           JOIN technical_users t ON t.id = r.id ORDER BY r.place",
        &ids,
        &addresses,
        &details,
        Action::CallsRefused.code(),
    )
    .execute(pool)
    .await?;
    Ok(())
}
