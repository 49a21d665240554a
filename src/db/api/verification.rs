//! What a gateway is told of a credential: the service that its URL names and the credential are
//! judged in one statement.

use sqlx::{FromRow, Postgres, QueryBuilder, Row};

use super::{
    Caller, PresentedCredentials,
    authority::{Authority, AuthorityRow, CHOSEN, OPENS_SERVICE, push_authority, push_over_structure},
    connections::Connections,
};
use crate::domain::structure_identifier::IdentifierType;

/// What a gateway asks.
#[derive(Clone, Copy, Debug)]
pub struct Check<'a> {
    /// The service before which the gateway stands, by name. Without one, a token that was narrowed
    /// opens nothing.
    pub service: Option<&'a str>,
    /// A structure, by kind and value of its identifier. One that is unknown is in no rights.
    pub structure: Option<(IdentifierType, &'a str)>,
}

/// The answer to a gateway.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The name of the enabled service that was asked for.
    pub service: Option<String>,
    /// `None` where the credential is not valid.
    pub judged: Option<(Caller, Verdict)>,
}

/// What a valid credential opens.
#[derive(Clone, Debug)]
pub enum Verdict {
    Opens(Authority),
    /// It was made for other services.
    OpensOthers,
    /// No enabled service has the name that was asked for.
    NoSuchService,
}

/// Judges a credential for a gateway.
///
/// # Errors
/// Database errors.
pub async fn check(
    database: &Connections,
    presented: &PresentedCredentials,
    check: Check<'_>,
) -> sqlx::Result<Checked> {
    let mut query = QueryBuilder::new("SELECT v.id IS NOT NULL AS is_known, v.name, a.*, ");
    match check.service {
        Some(_) => query.push(OPENS_SERVICE),
        None => query.push("a.service_ids IS NULL"),
    };
    query.push(" AS opens FROM (SELECT) one LEFT JOIN services v ON v.enabled AND v.name = ");
    query.push_bind(check.service.map(str::to_owned)).push(" LEFT JOIN LATERAL (");
    push_credential(&mut query, presented, check);
    query.push(") a ON true");
    let row = query.build().fetch_one(database).await?;
    let is_valid = row.try_get::<Option<i64>, _>("technical_user_id")?.is_some();
    let verdict = |authority| -> sqlx::Result<Verdict> {
        Ok(match (check.service.is_some() && !row.try_get::<bool, _>("is_known")?, row.try_get("opens")?) {
            (true, _) => Verdict::NoSuchService,
            (false, Some(true)) => Verdict::Opens(authority),
            (false, _) => Verdict::OpensOthers,
        })
    };
    let authority = is_valid.then(|| AuthorityRow::from_row(&row)).transpose()?.map(AuthorityRow::authority);
    let judged =
        authority.map(|(caller, authority)| Ok::<_, sqlx::Error>((caller, verdict(authority)?))).transpose()?;
    Ok(Checked { service: row.try_get("name")?, judged })
}

fn push_credential(query: &mut QueryBuilder<Postgres>, presented: &PresentedCredentials, check: Check<'_>) {
    query.push("SELECT a.*, ");
    push_over_structure(query, check.structure);
    query.push(" AS over_structure, ").push(CHOSEN).push(" FROM ");
    push_authority(query, presented);
    query.push(" a");
}
