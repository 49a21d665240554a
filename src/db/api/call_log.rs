//! Writes buffered calls and refusals, many at a time.

use std::net::IpAddr;

use sqlx::PgPool;
use time::OffsetDateTime;

use super::PresentedCredentials;
use crate::domain::{
    audit::{Action, CallRefusal},
    technical_user::TechnicalUserStatus,
};

/// An account's last authenticated call.
#[derive(Clone, Debug)]
pub struct LastCall {
    pub technical_user_id: i64,
    /// By the database's clock.
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
    /// By the database's clock.
    pub at: OffsetDateTime,
    pub presented: PresentedCredentials,
}

/// Writes the last call of former passwords: the account's page shows whether one is still used.
/// Calls with current passwords are ignored.
///
/// # Errors
/// Database errors.
pub async fn write_former_calls(pool: &PgPool, calls: &[ExpiringCall]) -> sqlx::Result<()> {
    // One entry per digest: of a token, or of a password under one of the keys.
    let digests = calls.iter().flat_map(|call| {
        let ExpiringCall { technical_user_id, at, presented } = call;
        let of_passwords = presented.digests().unwrap_or_default();
        presented.token_hash.iter().cloned().chain(of_passwords).map(|digest| (*technical_user_id, *at, digest))
    });
    let (mut ids, mut moments, mut shown) = (Vec::new(), Vec::new(), Vec::new());
    for (id, at, digest) in digests {
        ids.push(id);
        moments.push(at);
        shown.push(digest);
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE former_passwords f SET last_call_at = c.at
           FROM unnest($1::bigint[], $2::timestamptz[], $3::bytea[]) c (id, at, digest)
           LEFT JOIN access_tokens k ON k.token_hash = c.digest
           LEFT JOIN password_verifiers v ON v.verifier = c.digest
          WHERE f.technical_user_id = c.id AND f.credential_version IN (k.credential_version, v.credential_version)
            AND (f.last_call_at IS NULL OR f.last_call_at < c.at)",
        &ids,
        &moments,
        &shown,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// A password that was refused, as it was presented.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RefusedPassword {
    pub login: String,
    /// The checksum of a well-formed password; the password itself is not kept.
    pub checksum: Option<String>,
    pub address: IpAddr,
}

/// Finds the accounts of refused passwords, with how often each was presented, and why it was
/// refused. Unknown logins are left out.
///
/// # Errors
/// Database errors.
pub async fn find_refused(pool: &PgPool, refused: &[(RefusedPassword, i32)]) -> sqlx::Result<Vec<RefusedCalls>> {
    if refused.is_empty() {
        return Ok(Vec::new());
    }
    let logins: Vec<_> = refused.iter().map(|(password, _)| password.login.clone()).collect();
    let checksums: Vec<_> = refused.iter().map(|(password, _)| password.checksum.clone()).collect();
    let rows = sqlx::query!(
        r#"SELECT r.place AS "place!", t.id, t.status, t.expires_at <= portal_now() AS "expired!",
                  coalesce(a.active, false) AS "has_authority!",
                  t.password_checksum IS NULL OR coalesce(r.checksum IN (t.password_checksum, f.password_checksum), false)
                      AS "may_be_right!"
             FROM unnest($1::text[], $2::text[]) WITH ORDINALITY r (login, checksum, place)
             JOIN technical_users t ON t.login = r.login
             LEFT JOIN technical_user_authority a ON a.technical_user_id = t.id
             LEFT JOIN former_passwords f ON f.technical_user_id = t.id AND f.ends_at > portal_now()"#,
        &logins,
        &checksums as &[Option<String>],
    )
    .fetch_all(pool)
    .await?;
    let found = rows.into_iter().filter_map(|row| {
        let (password, count) = refused.get(usize::try_from(row.place - 1).ok()?)?;
        let why = match TechnicalUserStatus::parse(&row.status) {
            _ if !row.may_be_right => CallRefusal::WrongPassword,
            Some(TechnicalUserStatus::Deleted) => CallRefusal::Deleted,
            Some(TechnicalUserStatus::Suspended) | None => CallRefusal::Suspended,
            Some(TechnicalUserStatus::Active) if row.expired => CallRefusal::Expired,
            Some(TechnicalUserStatus::Active) if !row.has_authority => CallRefusal::WithoutAuthority,
            Some(TechnicalUserStatus::Active) => CallRefusal::WrongPassword,
        };
        Some(RefusedCalls { technical_user_id: row.id, why, address: Some(password.address), count: *count })
    });
    Ok(found.collect())
}

/// Refused calls of one account, for one reason, from one address; from several, where it is
/// `None`.
#[derive(Clone, Copy, Debug)]
pub struct RefusedCalls {
    pub technical_user_id: i64,
    pub why: CallRefusal,
    pub address: Option<IpAddr>,
    /// How often, since the last event of this kind.
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
    let addresses: Vec<_> = refusals
        .iter()
        .map(|refused| refused.address.map_or("autres adresses".into(), |one| one.to_string()))
        .collect();
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
