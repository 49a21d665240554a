//! Writes buffered calls and refusals, many at a time.

use std::{net::IpAddr, time::Instant};

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::PresentedCredentials;
use crate::{
    db::{
        outbox::{self, Cause},
        transaction,
    },
    domain::{
        audit::{Action, CallRefusal, UNIDENTIFIED_CALLER},
        notification::{Notification, RefusedNetworkNotice},
        restrictions::CallerAddress,
        structure_identifier::as_written,
        technical_user::TechnicalUserStatus,
    },
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
    /// The addresses from which the account called since the last writing. Not that of a service
    /// that was shown a password and did not say whose call it was.
    pub callers: Vec<IpAddr>,
    /// The calls since the last writing, by hour. Nearly always one hour.
    pub hours: Vec<(Hour, i64)>,
}

/// Hours since 1970 in UTC: days of Paris begin with an hour.
pub type Hour = i64;

/// The hour of an instant.
#[must_use]
pub fn hour_of(at: OffsetDateTime) -> Hour {
    at.unix_timestamp().div_euclid(3600)
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
    write_callers(pool, calls).await
}

/// Writes from which addresses the accounts called; of each, once an hour, so that a steady caller
/// costs a look-up.
async fn write_callers(pool: &PgPool, calls: &[LastCall]) -> sqlx::Result<()> {
    let callers = calls.iter().flat_map(|call| call.callers.iter().map(move |address| (call, address)));
    let (mut ids, mut moments, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
    for (call, address) in callers {
        ids.push(call.technical_user_id);
        moments.push(call.at);
        addresses.push(address.to_string());
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO technical_user_callers (technical_user_id, address, last_call_at)
         SELECT c.id, c.address::inet, c.at FROM unnest($1::bigint[], $2::timestamptz[], $3::text[]) c (id, at, address)
          WHERE NOT EXISTS (SELECT FROM technical_user_callers k WHERE k.technical_user_id = c.id
                               AND k.address = c.address::inet AND k.last_call_at > c.at - interval '1 hour')
          ORDER BY c.id, c.address
         ON CONFLICT (technical_user_id, address) DO UPDATE SET last_call_at = excluded.last_call_at",
        &ids,
        &moments,
        &addresses,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Calls of an account that are to be added to those of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallCount {
    pub technical_user_id: i64,
    /// `None`: when it is written.
    pub hour: Option<Hour>,
    pub accepted: i64,
    pub refused: i64,
}

/// Adds calls to those of their days, in one statement. Accounts that do not exist are left out.
///
/// # Errors
/// Database errors; nothing is added then.
pub async fn add_counts(pool: &PgPool, counts: &[CallCount]) -> sqlx::Result<()> {
    if counts.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = counts.iter().map(|count| count.technical_user_id).collect();
    let hours: Vec<_> = counts.iter().map(|count| count.hour).collect();
    let accepted: Vec<_> = counts.iter().map(|count| count.accepted).collect();
    let refused: Vec<_> = counts.iter().map(|count| count.refused).collect();
    sqlx::query!(
        "INSERT INTO daily_calls AS d (technical_user_id, day, accepted, refused)
         SELECT t.id, (coalesce(to_timestamp(c.hour * 3600), portal_now()) AT TIME ZONE 'Europe/Paris')::date AS day,
                sum(c.accepted)::bigint, sum(c.refused)::bigint
           FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) c (id, hour, accepted, refused)
           JOIN technical_users t ON t.id = c.id
          GROUP BY 1, 2 ORDER BY 1, 2
         ON CONFLICT (technical_user_id, day) DO UPDATE
            SET accepted = d.accepted + excluded.accepted, refused = d.refused + excluded.refused",
        &ids,
        &hours as &[Option<Hour>],
        &accepted,
        &refused,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// The addresses of one account that are kept.
const MOST_CALLERS: i64 = 100;

/// Deletes the addresses that did not call for 30 days, those above [`MOST_CALLERS`] of an account
/// that called longest ago, and the counts of days before the last 14 months.
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM technical_user_callers WHERE last_call_at <= portal_now() - interval '30 days'")
        .execute(pool)
        .await?;
    sqlx::query!(
        "DELETE FROM technical_user_callers c USING (
             SELECT k.technical_user_id, k.address FROM (
                 SELECT technical_user_id FROM technical_user_callers GROUP BY 1 HAVING count(*) > $1) many
             CROSS JOIN LATERAL (SELECT technical_user_id, address FROM technical_user_callers
                                  WHERE technical_user_id = many.technical_user_id
                                  ORDER BY last_call_at DESC, address OFFSET $1) k) old
          WHERE c.technical_user_id = old.technical_user_id AND c.address = old.address",
        MOST_CALLERS,
    )
    .execute(pool)
    .await?;
    sqlx::query!(
        "DELETE FROM daily_calls
          WHERE day < (date_trunc('month', portal_now() AT TIME ZONE 'Europe/Paris') - interval '13 months')::date"
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
    /// From where it was presented: by the caller, or by a service that was shown it.
    pub address: IpAddr,
    /// Where the call comes from.
    pub from: CallerAddress,
}

/// How often a credential was refused, when for the last time, and what the software of that call
/// calls itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    pub count: i32,
    /// `None` only where the count is 0.
    pub last: Option<Instant>,
    /// The `User-Agent`; may be empty.
    pub software: String,
}

/// A token that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RefusedToken {
    /// SHA-256 of the token.
    pub hash: Vec<u8>,
    pub address: IpAddr,
}

/// Finds the accounts of refused passwords, with how often each was presented, and why it was
/// refused. Unknown logins are left out.
///
/// # Errors
/// Database errors.
pub async fn find_refused(pool: &PgPool, refused: &[(RefusedPassword, Refused)]) -> sqlx::Result<Vec<RefusedCalls>> {
    if refused.is_empty() {
        return Ok(Vec::new());
    }
    let logins: Vec<_> = refused.iter().map(|(password, _)| password.login.clone()).collect();
    let checksums: Vec<_> = refused.iter().map(|(password, _)| password.checksum.clone()).collect();
    let known = |address: CallerAddress| address.known().map(|address| address.to_string());
    let addresses: Vec<_> = refused.iter().map(|(password, _)| known(password.from)).collect();
    let rows = sqlx::query!(
        r#"SELECT r.place AS "place!", t.id, t.status, t.expires_at <= portal_now() AS "expired!",
                  coalesce(a.active, false) AS "has_authority!",
                  t.password_checksum IS NULL OR coalesce(r.checksum IN (t.password_checksum, f.password_checksum), false)
                      AS "may_be_right!",
                  network_admits(t.network_rule, t.networks, r.address::inet) AS "is_admitted!"
             FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY r (login, checksum, address, place)
             JOIN technical_users t ON t.login = r.login
             LEFT JOIN technical_user_authority a ON a.technical_user_id = t.id
             LEFT JOIN former_passwords f ON f.technical_user_id = t.id AND f.ends_at > portal_now()"#,
        &logins,
        &checksums as &[Option<String>],
        &addresses as &[Option<String>],
    )
    .fetch_all(pool)
    .await?;
    let found = rows.into_iter().filter_map(|row| {
        let (password, seen) = refused.get(usize::try_from(row.place - 1).ok()?)?;
        let why = match TechnicalUserStatus::parse(&row.status) {
            _ if !row.may_be_right => CallRefusal::WrongPassword,
            Some(TechnicalUserStatus::Deleted) => CallRefusal::Deleted,
            Some(TechnicalUserStatus::Suspended) | None => CallRefusal::Suspended,
            Some(TechnicalUserStatus::Active) if row.expired => CallRefusal::Expired,
            Some(TechnicalUserStatus::Active) if !row.has_authority => CallRefusal::WithoutAuthority,
            Some(TechnicalUserStatus::Active) if row.is_admitted => CallRefusal::WrongPassword,
            Some(TechnicalUserStatus::Active) => match password.from {
                CallerAddress::Known(_) | CallerAddress::Unreadable => CallRefusal::OutsideNetworks,
                CallerAddress::Untold => CallRefusal::UntoldAddress,
            },
        };
        Some(RefusedCalls::of(row.id, why, password.address, seen))
    });
    Ok(found.collect())
}

/// Finds the accounts of refused tokens that were refused for the address alone. All others are
/// left out: a token that ended is no sign of anything.
///
/// # Errors
/// Database errors.
pub async fn find_refused_tokens(
    pool: &PgPool,
    refused: &[(RefusedToken, Refused)],
) -> sqlx::Result<Vec<RefusedCalls>> {
    if refused.is_empty() {
        return Ok(Vec::new());
    }
    let hashes: Vec<_> = refused.iter().map(|(token, _)| token.hash.clone()).collect();
    let addresses: Vec<_> = refused.iter().map(|(token, _)| token.address.to_canonical().to_string()).collect();
    let rows = sqlx::query!(
        r#"SELECT r.place AS "place!", a.technical_user_id AS "id!"
             FROM unnest($1::bytea[], $2::text[]) WITH ORDINALITY r (hash, address, place)
            CROSS JOIN LATERAL token_standing(r.hash) a
            WHERE NOT network_admits(a.network_rule, a.networks, r.address::inet)"#,
        &hashes,
        &addresses,
    )
    .fetch_all(pool)
    .await?;
    let found = rows.into_iter().filter_map(|row| {
        let (token, seen) = refused.get(usize::try_from(row.place - 1).ok()?)?;
        Some(RefusedCalls::of(row.id, CallRefusal::OutsideNetworks, token.address, seen))
    });
    Ok(found.collect())
}

/// Refused calls of one account, for one reason, from one address; from several, where it is
/// `None`.
#[derive(Clone, Debug)]
pub struct RefusedCalls {
    pub technical_user_id: i64,
    pub why: CallRefusal,
    pub address: Option<IpAddr>,
    /// How often, since the last event of this kind, and by which software.
    pub seen: Refused,
}

const OTHER_ADDRESSES: &str = "autres adresses";

impl RefusedCalls {
    fn of(technical_user_id: i64, why: CallRefusal, address: IpAddr, seen: &Refused) -> Self {
        Self { technical_user_id, why, address: Some(address), seen: seen.clone() }
    }

    /// « 3 appels : adresse hors des réseaux autorisés, depuis 203.0.113.7 », for a mail.
    fn in_words(&self) -> String {
        let address = self.address.map_or(OTHER_ADDRESSES.into(), |one| one.to_string());
        format!("{}, depuis {address}", self.why.counted(self.seen.count))
    }
}

/// Writes one event per group into the history of the account's structure, and into the account
/// since when calls are refused, and what was seen of the most frequent of them. Mails the contact
/// address of accounts that were called from outside their networks, once an hour at most.
///
/// # Errors
/// Database errors; nothing is written then.
pub async fn write_refusals(pool: &PgPool, refusals: &[RefusedCalls]) -> sqlx::Result<()> {
    if refusals.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = refusals.iter().map(|refused| refused.technical_user_id).collect();
    let addresses: Vec<_> =
        refusals.iter().map(|refused| refused.address.map_or(OTHER_ADDRESSES.into(), |one| one.to_string())).collect();
    let details: Vec<_> =
        refusals.iter().map(|refused| refused.why.counted_by(refused.seen.count, &refused.seen.software)).collect();
    let mut tx = transaction::begin(pool).await?;
    mark_refused(&mut tx, refusals, &ids).await?;
    sqlx::query!(
        "INSERT INTO audit_events (actor, address, action, structure_id, technical_user_id, subject, detail)
         SELECT $5, r.address, $4, t.structure_id, t.id, t.login, r.detail
           FROM unnest($1::bigint[], $2::text[], $3::text[]) WITH ORDINALITY r (id, address, detail, place)
           JOIN technical_users t ON t.id = r.id ORDER BY r.place",
        &ids,
        &addresses,
        &details,
        Action::CallsRefused.code(),
        UNIDENTIFIED_CALLER,
    )
    .execute(&mut *tx)
    .await?;
    let outside: Vec<_> = refusals.iter().filter(|refused| refused.why.is_about_networks()).collect();
    notify_of_networks(&mut tx, &outside).await?;
    tx.commit().await
}

/// Locks the accounts, too. The refusals are older than the writing: a call that succeeded since
/// then has ended them.
async fn mark_refused(conn: &mut PgConnection, refusals: &[RefusedCalls], ids: &[i64]) -> sqlx::Result<()> {
    let reasons: Vec<_> = refusals.iter().map(|refused| refused.why.code()).collect();
    let addresses: Vec<_> = refusals.iter().map(|refused| refused.address.map(|one| one.to_string())).collect();
    let software: Vec<_> = refusals.iter().map(|refused| refused.seen.software.as_str()).collect();
    let counts: Vec<_> = refusals.iter().map(|refused| refused.seen.count).collect();
    let age = |last: Instant| last.elapsed().as_secs_f64();
    let ages: Vec<_> = refusals.iter().map(|refused| refused.seen.last.map_or(0.0, age)).collect();
    sqlx::query!(
        "WITH refused AS (
             SELECT id FROM technical_users WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE),
         seen AS (
             SELECT DISTINCT ON (id) id, why, address, software,
                    portal_now() - make_interval(secs => min(age) OVER (PARTITION BY id)) AS at
               FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::float8[]) WITH ORDINALITY
                    r (id, why, address, software, count, age, place)
              ORDER BY id, count DESC, place)
         UPDATE technical_users t
            SET last_refused_at = greatest(t.last_refused_at, s.at), last_refusal_reason = s.why,
                last_refusal_address = s.address, last_refusal_software = s.software,
                refused_since = CASE WHEN is_failing(t.last_refused_at, t.last_call_at, t.password_set_at)
                                     THEN coalesce(t.refused_since, t.last_refused_at) ELSE s.at END
           FROM refused JOIN seen s USING (id) WHERE t.id = refused.id",
        ids,
        &reasons as &[&str],
        &addresses as &[Option<String>],
        &software as &[&str],
        &counts,
        &ages,
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn notify_of_networks(conn: &mut PgConnection, refusals: &[&RefusedCalls]) -> sqlx::Result<()> {
    let mut ids: Vec<_> = refusals.iter().map(|refused| refused.technical_user_id).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(());
    }
    let due = sqlx::query!(
        r#"WITH due AS (
               SELECT id FROM technical_users
                WHERE id = ANY ($1) AND coalesce(network_refusals_told_at <= portal_now() - interval '1 hour', true)
                ORDER BY id FOR NO KEY UPDATE),
           told AS (UPDATE technical_users t SET network_refusals_told_at = portal_now() FROM due WHERE t.id = due.id
                    RETURNING t.id, t.login, t.label, t.structure_id)
           SELECT t.id, t.login, t.label, s.designation, s.identifier, a.contact_address AS "contact_address!", a.manager_id AS "manager_id!",
                  portal_now() AS "at!", s.identifier_type
             FROM told t JOIN structures s ON s.id = t.structure_id
             JOIN technical_user_authority a ON a.technical_user_id = t.id ORDER BY t.id"#,
        &ids,
    )
    .fetch_all(&mut *conn)
    .await?;
    for account in due {
        let of_account = refusals.iter().filter(|refused| refused.technical_user_id == account.id);
        let notice = RefusedNetworkNotice {
            technical_user_id: account.id,
            login: account.login,
            label: account.label,
            structure: account.designation,
            identifier: as_written(&account.identifier_type, &account.identifier),
            calls: of_account.map(|refused| refused.in_words()).collect(),
            at: account.at,
        };
        let notice = Notification::CallsOutsideNetworks(notice);
        // Whoever restricts an account may have it call from elsewhere.
        outbox::enqueue(conn, Cause::Person(account.manager_id), &account.contact_address, &notice).await?;
    }
    Ok(())
}
