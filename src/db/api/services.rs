//! The operator's services and their secrets. The command line writes them.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use crate::{
    db::{
        audit::{self, Event},
        transaction, violates,
    },
    domain::{
        audit::{Action, Actor},
        service::{Audience, Keep, ServiceName, TokenKind, TokenSeconds},
    },
};

/// A service to add.
#[derive(Clone, Debug)]
pub struct NewService<'a> {
    pub name: &'a ServiceName,
    /// What the service shows beside its secret.
    pub client_id: &'a str,
    /// SHA-256 of its secret.
    pub secret_digest: &'a [u8],
    pub audience: &'a Audience,
    pub kind: TokenKind,
    pub token_seconds: TokenSeconds,
    /// Whether only tokens that name it open it.
    pub needs_audience: bool,
}

/// What became of a service that was to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    Done,
    /// Another service has this name.
    NameTaken,
    /// Another service has this audience.
    AudienceTaken,
}

/// Adds a service with its first secret.
///
/// # Errors
/// Database errors.
pub async fn add(pool: &PgPool, actor: &Actor, service: &NewService<'_>) -> sqlx::Result<Added> {
    let mut tx = transaction::begin(pool).await?;
    let inserted = sqlx::query_scalar!(
        "INSERT INTO services (name, client_id, audience, jwt, token_seconds, needs_audience)
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
        service.name.as_str(),
        service.client_id,
        service.audience.as_str(),
        service.kind == TokenKind::Jwt,
        service.token_seconds.get(),
        service.needs_audience,
    )
    .fetch_one(&mut *tx)
    .await;
    let id = match inserted {
        Ok(id) => id,
        Err(error) if violates(&error, "services_name_key") => return Ok(Added::NameTaken),
        Err(error) if violates(&error, "services_audience_key") => return Ok(Added::AudienceTaken),
        Err(error) => return Err(error),
    };
    put_secret(&mut tx, id, service.secret_digest).await?;
    let detail = service.audience.as_str();
    audit::record(&mut tx, Event { detail, ..event(actor, Action::ServiceAdded, service.name) }).await?;
    tx.commit().await?;
    Ok(Added::Done)
}

async fn put_secret(conn: &mut PgConnection, service_id: i64, digest: &[u8]) -> sqlx::Result<()> {
    sqlx::query!("INSERT INTO service_secrets (service_id, digest) VALUES ($1, $2)", service_id, digest)
        .execute(conn)
        .await?;
    Ok(())
}

fn event<'a>(actor: &'a Actor, action: Action, name: &'a ServiceName) -> Event<'a> {
    Event { subject: name.as_str(), ..Event::of(actor, action) }
}

/// A service as the operator sees it.
#[derive(Clone, Debug)]
pub struct ListedService {
    pub name: String,
    pub client_id: String,
    pub audience: String,
    pub jwt: bool,
    /// The lifetime of tokens that name it.
    pub token_seconds: i32,
    pub needs_audience: bool,
    pub enabled: bool,
    pub created_at: OffsetDateTime,
    /// Since when its present secret works.
    pub secret_since: OffsetDateTime,
    /// Until when the secret before works on; `None` where it does not.
    pub former_secret_until: Option<OffsetDateTime>,
}

/// All services, by name.
///
/// # Errors
/// Database errors.
pub async fn list(pool: &PgPool) -> sqlx::Result<Vec<ListedService>> {
    sqlx::query_as!(
        ListedService,
        r#"SELECT v.name, v.client_id, v.audience, v.jwt, v.token_seconds, v.needs_audience, v.enabled, v.created_at,
                  k.created_at AS secret_since, f.ends_at AS "former_secret_until?"
             FROM services v
             JOIN service_secrets k ON k.service_id = v.id AND k.ends_at IS NULL
             LEFT JOIN service_secrets f ON f.service_id = v.id AND f.ends_at > portal_now()
            ORDER BY v.name"#
    )
    .fetch_all(pool)
    .await
}

/// The service's id where its name is known; its row stays locked.
async fn lock(conn: &mut PgConnection, name: &ServiceName) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!("SELECT id FROM services WHERE name = $1 FOR UPDATE", name.as_str()).fetch_optional(conn).await
}

/// What became of an act on a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceOutcome {
    Done,
    /// It was like that before; nothing was recorded.
    Unchanged,
    NoSuchService,
}

/// Replaces the service's secret. The present one works on for as long as `keep` says; one that a
/// rotation before let work on ends now.
///
/// # Errors
/// Database errors.
pub async fn rotate(
    pool: &PgPool,
    actor: &Actor,
    name: &ServiceName,
    secret_digest: &[u8],
    keep: Keep,
) -> sqlx::Result<ServiceOutcome> {
    let mut tx = transaction::begin(pool).await?;
    let Some(id) = lock(&mut tx, name).await? else { return Ok(ServiceOutcome::NoSuchService) };
    sqlx::query!(
        "DELETE FROM service_secrets WHERE service_id = $1 AND (ends_at IS NOT NULL OR $2::int = 0)",
        id,
        keep.seconds(),
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "UPDATE service_secrets SET ends_at = portal_now() + make_interval(secs => $2::int)
          WHERE service_id = $1 AND ends_at IS NULL",
        id,
        keep.seconds(),
    )
    .execute(&mut *tx)
    .await?;
    put_secret(&mut tx, id, secret_digest).await?;
    audit::record(&mut tx, Event { detail: &kept(keep), ..event(actor, Action::ServiceSecretRotated, name) }).await?;
    tx.commit().await?;
    Ok(ServiceOutcome::Done)
}

/// « l’ancien secret reste accepté 1440 minutes », or nothing.
fn kept(keep: Keep) -> String {
    if keep.seconds() == 0 {
        return String::new();
    }
    format!("l’ancien secret reste accepté {} minutes", keep.seconds() / 60)
}

/// Whether a service may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceState {
    Enabled,
    Disabled,
}

/// Enables or disables a service. While it is disabled, its secret opens nothing and no token can
/// be made for it; JWTs that it has already live on until their end.
///
/// # Errors
/// Database errors.
pub async fn set_state(
    pool: &PgPool,
    actor: &Actor,
    name: &ServiceName,
    state: ServiceState,
) -> sqlx::Result<ServiceOutcome> {
    let mut tx = transaction::begin(pool).await?;
    let Some(id) = lock(&mut tx, name).await? else { return Ok(ServiceOutcome::NoSuchService) };
    let enabled = state == ServiceState::Enabled;
    let changed = sqlx::query!("UPDATE services SET enabled = $2 WHERE id = $1 AND enabled <> $2", id, enabled)
        .execute(&mut *tx)
        .await?;
    if changed.rows_affected() == 0 {
        return Ok(ServiceOutcome::Unchanged);
    }
    let action = if enabled { Action::ServiceEnabled } else { Action::ServiceDisabled };
    audit::record(&mut tx, event(actor, action, name)).await?;
    tx.commit().await?;
    Ok(ServiceOutcome::Done)
}

/// Removes a service with its secrets. Tokens that were narrowed to it open nothing from now on.
///
/// # Errors
/// Database errors.
pub async fn remove(pool: &PgPool, actor: &Actor, name: &ServiceName) -> sqlx::Result<ServiceOutcome> {
    let mut tx = transaction::begin(pool).await?;
    let Some(id) = lock(&mut tx, name).await? else { return Ok(ServiceOutcome::NoSuchService) };
    sqlx::query!("DELETE FROM services WHERE id = $1", id).execute(&mut *tx).await?;
    audit::record(&mut tx, event(actor, Action::ServiceRemoved, name)).await?;
    tx.commit().await?;
    Ok(ServiceOutcome::Done)
}

/// The name of the service whose secret this is, by its digest, while it works; also of one that is
/// disabled.
///
/// # Errors
/// Database errors.
pub async fn name_of_secret(pool: &PgPool, digest: &[u8]) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        "SELECT v.name FROM service_secrets k JOIN services v ON v.id = k.service_id
          WHERE k.digest = $1 AND (k.ends_at IS NULL OR k.ends_at > portal_now())",
        digest,
    )
    .fetch_optional(pool)
    .await
}

/// Deletes replaced secrets that no longer work.
pub(in crate::db) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM service_secrets WHERE ends_at <= portal_now()").execute(pool).await?;
    Ok(())
}
