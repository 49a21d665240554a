//! Access tokens.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::{Caller, PresentedCredentials, connections::Connections};
use crate::domain::service::DEFAULT_TOKEN_SECONDS;

/// How long a token lives that names no service.
pub const LIFETIME: Duration = Duration::from_secs(DEFAULT_TOKEN_SECONDS.unsigned_abs() as u64);

/// The living tokens of an account that are kept when its oldest ones end.
const MOST_TOKENS: i64 = 100;
/// One issue in so many ends the account's oldest tokens: at each one, it would cost more than the
/// issue itself. So an account has a few hundred tokens at most.
const ENDS_OLDEST_ONCE_IN: u8 = 32;

/// A token to store.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// SHA-256 of the token.
    pub hash: Vec<u8>,
    /// `jti`.
    pub id: String,
    /// Its lifetime.
    pub seconds: i32,
    /// Since when it is valid: a signed token says so itself. `None` for now.
    pub issued: Option<OffsetDateTime>,
    pub scope: TokenScope,
}

/// What a token opens (RFC 8707).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenScope {
    /// Raccord's own API, and every service that takes tokens which do not name it.
    All,
    /// What the token request named.
    Named {
        /// Whether Raccord's own API is among it.
        api: bool,
        service_ids: Vec<i64>,
    },
}

/// Stores a token's hash if the presented password is valid now. The token belongs to the version
/// of that password, and ends with it.
///
/// # Errors
/// Database errors.
pub async fn issue(
    database: &Connections,
    presented: &PresentedCredentials,
    token: &NewToken,
) -> sqlx::Result<Option<(Caller, ChosenStructures)>> {
    let digests = presented.digests();
    let (api, service_ids) = match &token.scope {
        TokenScope::All => (true, None),
        TokenScope::Named { api, service_ids } => (*api, Some(service_ids.as_slice())),
    };
    let issued = sqlx::query!(
        r#"WITH caller AS (SELECT * FROM password_caller($1, $8::text::inet)),
                issued AS (INSERT INTO access_tokens (token_hash, technical_user_id, credential_version, expires_at,
                                                      opens_api, service_ids, token_id, issued_at)
                           SELECT $2, technical_user_id, credential_version, coalesce($7, at) + make_interval(secs => $3::int),
                                  $4, $5, $6, coalesce($7, at) FROM caller)
           SELECT technical_user_id AS "technical_user_id!", at AS "at!", sunset,
                  CASE WHEN structures_chosen THEN chosen_structures(technical_user_id, manager_id) END AS chosen FROM caller"#,
        digests.as_deref(),
        token.hash,
        token.seconds,
        api,
        service_ids,
        token.id,
        token.issued,
        presented.address(),
    )
    .fetch_optional(database)
    .await?;
    let Some(row) = issued else { return Ok(None) };
    if ends_oldest(&token.hash) {
        end_oldest(database, row.technical_user_id).await?;
    }
    let caller = Caller { technical_user_id: row.technical_user_id, at: row.at, sunset: row.sunset };
    Ok(Some((caller, row.chosen)))
}

/// Drawn by the hash, which is as good as random.
fn ends_oldest(token_hash: &[u8]) -> bool {
    token_hash.first().is_some_and(|byte| byte % ENDS_OLDEST_ONCE_IN == 0)
}

/// Keeps the account's newest [`MOST_TOKENS`], so that the table stays bounded. A row that a
/// parallel call is ending is left to it.
async fn end_oldest(database: &Connections, technical_user_id: i64) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM access_tokens WHERE token_hash IN (
             SELECT token_hash FROM access_tokens WHERE token_hash IN (
                 SELECT token_hash FROM access_tokens WHERE technical_user_id = $1
                  ORDER BY expires_at DESC, token_hash OFFSET $2)
             FOR UPDATE SKIP LOCKED)",
        technical_user_id,
        MOST_TOKENS,
    )
    .execute(database)
    .await?;
    Ok(())
}

/// The structures within the caller's rights where they were chosen, for its scope; `None`: all of
/// its manager's.
pub type ChosenStructures = Option<Vec<String>>;

/// A service that a token request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub service_id: i64,
    pub audience: String,
    pub jwt: bool,
    /// The lifetime of tokens that name it.
    pub token_seconds: i32,
}

/// The caller, by password, with the services of these audiences. Unknown and disabled ones are
/// missing in the answer.
///
/// # Errors
/// Database errors.
pub async fn targets(
    database: &Connections,
    presented: &PresentedCredentials,
    audiences: &[String],
) -> sqlx::Result<Option<(Caller, ChosenStructures, Vec<Target>)>> {
    let digests = presented.digests();
    let rows = sqlx::query!(
        r#"SELECT c.technical_user_id AS "technical_user_id!", c.at AS "at!", c.sunset,
                  CASE WHEN c.structures_chosen THEN chosen_structures(c.technical_user_id, c.manager_id) END AS chosen,
                  v.id AS "id?", v.audience AS "audience?", v.jwt AS "jwt?", v.token_seconds AS "token_seconds?"
             FROM password_caller($1, $3::text::inet) c LEFT JOIN services v ON v.audience = ANY ($2) AND v.enabled ORDER BY v.id"#,
        digests.as_deref(),
        audiences,
        presented.address(),
    )
    .fetch_all(database)
    .await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let caller = Caller { technical_user_id: first.technical_user_id, at: first.at, sunset: first.sunset };
    let chosen = first.chosen.clone();
    let targets = rows.into_iter().filter_map(|row| {
        Some(Target { service_id: row.id?, audience: row.audience?, jwt: row.jwt?, token_seconds: row.token_seconds? })
    });
    Ok(Some((caller, chosen, targets.collect())))
}

/// Ends a token of the account whose password is presented (RFC 7009). A token that is unknown, or
/// another account's, is left as it is.
///
/// # Errors
/// Database errors.
pub async fn revoke(
    database: &Connections,
    presented: &PresentedCredentials,
    token_hash: &[u8],
) -> sqlx::Result<Option<Caller>> {
    let digests = presented.digests();
    sqlx::query_as!(
        Caller,
        r#"WITH caller AS (SELECT * FROM password_caller($1, $3::text::inet)),
                ended AS (DELETE FROM access_tokens k USING caller c
                           WHERE k.token_hash = $2 AND k.technical_user_id = c.technical_user_id)
           SELECT technical_user_id AS "technical_user_id!", at AS "at!", sunset FROM caller"#,
        digests.as_deref(),
        token_hash,
        presented.address(),
    )
    .fetch_optional(database)
    .await
}

/// Ends the account's access tokens.
pub(in crate::db) async fn end_of_account(conn: &mut PgConnection, technical_user_id: i64) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM access_tokens WHERE technical_user_id = $1", technical_user_id).execute(conn).await?;
    Ok(())
}

/// Ends the access tokens that one version of the account's password obtained.
pub(in crate::db) async fn end_of_version(
    conn: &mut PgConnection,
    technical_user_id: i64,
    credential_version: i32,
) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM access_tokens WHERE technical_user_id = $1 AND credential_version = $2",
        technical_user_id,
        credential_version,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes expired access tokens.
pub(in crate::db) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM access_tokens WHERE expires_at <= portal_now()").execute(pool).await?;
    Ok(())
}
