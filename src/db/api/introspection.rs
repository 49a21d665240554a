//! What a service is told of a credential: the service and the credential are judged in one
//! statement.

use sqlx::{FromRow, QueryBuilder, Row};

use super::{
    Caller, PresentedCredentials,
    authority::{Authority, AuthorityRow, CHOSEN, OPENS_SERVICE, push_authority, push_over_structure},
    connections::Connections,
};
use crate::domain::structure_identifier::IdentifierType;

/// The id and the secret that a service shows.
#[derive(Clone, Debug)]
pub struct PresentedService {
    pub client_id: String,
    /// SHA-256 of the secret.
    pub secret_digest: Vec<u8>,
}

/// The service that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub id: i64,
    pub name: String,
    pub audience: String,
}

/// The service, and what the credential opens for it; `None` inside where it opens nothing there.
/// `None` outside where the service's own credential is not valid.
///
/// # Errors
/// Database errors.
pub async fn introspect(
    database: &Connections,
    service: &PresentedService,
    presented: &PresentedCredentials,
    structure: Option<(IdentifierType, &str)>,
) -> sqlx::Result<Option<(Service, Option<(Caller, Authority)>)>> {
    let mut query = QueryBuilder::new("SELECT v.id AS service_id, v.name, v.audience, a.* FROM service_caller(");
    query.push_bind(&service.client_id).push(", ").push_bind(&service.secret_digest);
    query.push(") v LEFT JOIN LATERAL (SELECT a.*, ");
    push_over_structure(&mut query, structure);
    query.push(" AS over_structure, ").push(CHOSEN).push(" FROM ");
    push_authority(&mut query, presented);
    query.push(" a WHERE ").push(OPENS_SERVICE).push(") a ON true");
    let Some(row) = query.build().fetch_optional(database).await? else { return Ok(None) };
    let service =
        Service { id: row.try_get("service_id")?, name: row.try_get("name")?, audience: row.try_get("audience")? };
    let is_active = row.try_get::<Option<i64>, _>("technical_user_id")?.is_some();
    let active = is_active.then(|| AuthorityRow::from_row(&row)).transpose()?;
    Ok(Some((service, active.map(AuthorityRow::authority))))
}

/// Whether a service's own credential is valid: its id, where it is.
///
/// # Errors
/// Database errors.
pub async fn service(database: &Connections, presented: &PresentedService) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!(
        r#"SELECT id AS "id!" FROM service_caller($1, $2)"#,
        presented.client_id,
        presented.secret_digest,
    )
    .fetch_optional(database)
    .await
}
