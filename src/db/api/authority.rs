//! The one place that says what a credential opens: for which account, for whom, and over which
//! structure. Introspection, forward-auth and `/api/moi` ask here. What narrows an account belongs
//! into the SQL functions below (`migrations/0160_restrictions.sql`), which all of them share:
//! `structures_within_rights` (which structures), `account_standing` with its twin
//! `credential_standing` (whether at all), and `network_admits` (from where).

use sqlx::{FromRow, Postgres, QueryBuilder, Row};
use time::{Duration, OffsetDateTime};

use super::{Caller, PresentedCredentials, connections::Connections};
use crate::domain::{
    restrictions::{CallerAddress, scope},
    structure_identifier::IdentifierType,
};

/// How long before its end a password is announced as ending.
const ANNOUNCED: Duration = Duration::days(31);

/// What a valid credential opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    pub login: String,
    /// The structure that the account belongs to.
    pub structure: OwnStructure,
    /// When the password ends that was presented, or that obtained the token.
    pub password_ends: OffsetDateTime,
    /// Of the presented token; `None` for a password alone.
    pub token: Option<TokenFacts>,
    /// The structures within the account's rights, as `SIRET:21570004800014`, where they were
    /// chosen: one more than a scope names, at most. `None`: all of its manager's.
    pub chosen: Option<Vec<String>>,
    /// Whether the structure that was asked for is within the account's rights now. `None` where
    /// none was asked for.
    pub over_structure: Option<bool>,
}

impl Authority {
    /// The `scope` in answers to programs.
    #[must_use]
    pub fn scope(&self) -> String {
        scope(self.chosen.as_deref())
    }
}

/// A structure in answers to programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnStructure {
    /// An [`IdentifierType`]'s code.
    pub identifier_type: String,
    pub identifier: String,
    pub designation: String,
}

/// A token's dates and id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFacts {
    /// `jti`; `None` for a token that an earlier version issued.
    pub id: Option<String>,
    /// `None` for a token that an earlier version issued.
    pub issued: Option<OffsetDateTime>,
    pub ends: OffsetDateTime,
}

/// Judges a credential (a Bearer, a password, or both) for Raccord's own API, in one statement.
/// `None` where it opens nothing there, for whatever reason. The texts are the networks from which
/// the account may call, in CIDR notation; none where it may from every address.
///
/// Fits [`Authentication::authenticate_with`] of `web::api`.
///
/// # Errors
/// Database errors.
pub async fn over_own_api(
    database: &Connections,
    presented: &PresentedCredentials,
) -> sqlx::Result<Option<(Caller, (Authority, Vec<String>))>> {
    let mut query = QueryBuilder::new("SELECT a.*, a.networks::text[] AS cidrs, NULL::boolean AS over_structure, ");
    query.push(CHOSEN).push(" FROM ");
    push_authority(&mut query, presented);
    query.push(" a WHERE a.opens_api");
    let Some(row) = query.build().fetch_optional(database).await? else { return Ok(None) };
    let (caller, authority) = AuthorityRow::from_row(&row)?.authority();
    Ok(Some((caller, (authority, row.try_get("cidrs")?))))
}

/// The structures of the account `a`, where they were chosen.
pub(super) const CHOSEN: &str =
    "CASE WHEN a.structures_chosen THEN chosen_structures(a.technical_user_id, a.manager_id) END AS chosen";

/// Whether the credential `a` opens the service `v`.
pub(super) const OPENS_SERVICE: &str = "(v.id = ANY (a.service_ids) OR a.service_ids IS NULL AND NOT v.needs_audience)";

/// Appends the call of the SQL function that judges these credentials. A token whose caller's
/// address a service does not say counts: it was obtained inside the networks, and a change of them
/// ended those before.
pub(super) fn push_authority(query: &mut QueryBuilder<Postgres>, presented: &PresentedCredentials) {
    if let (Some(token), None, CallerAddress::Untold) = (presented.token_hash(), &presented.verifiers, presented.from) {
        query.push("token_standing(").push_bind(token.to_vec()).push(")");
        return;
    }
    presented.push_cheapest(query, ["password_authority(", "token_authority(", "credential_authority("]);
}

/// Appends whether the structure is within the rights of the account `a`; NULL without one.
pub(super) fn push_over_structure(query: &mut QueryBuilder<Postgres>, structure: Option<(IdentifierType, &str)>) {
    let Some((kind, value)) = structure else {
        query.push("NULL::boolean");
        return;
    };
    query.push(
        "EXISTS (SELECT FROM structures x
                   JOIN structures_within_rights(a.technical_user_id, a.manager_id, a.structures_chosen) r ON r.structure_id = x.id
                  WHERE x.identifier_type = ",
    );
    query.push_bind(kind.code()).push(" AND x.identifier = ").push_bind(value.to_owned()).push(")");
}

/// A row of one of the SQL functions.
#[derive(FromRow)]
pub(super) struct AuthorityRow {
    technical_user_id: i64,
    at: OffsetDateTime,
    password_ends: OffsetDateTime,
    login: String,
    identifier_type: String,
    identifier: String,
    designation: String,
    token_id: Option<String>,
    token_issued: Option<OffsetDateTime>,
    token_ends: Option<OffsetDateTime>,
    over_structure: Option<bool>,
    chosen: Option<Vec<String>>,
}

impl AuthorityRow {
    pub(super) fn authority(self) -> (Caller, Authority) {
        let sunset = (self.password_ends <= self.at + ANNOUNCED).then_some(self.password_ends);
        let caller = Caller { technical_user_id: self.technical_user_id, at: self.at, sunset };
        let structure = OwnStructure {
            identifier_type: self.identifier_type,
            identifier: self.identifier,
            designation: self.designation,
        };
        let token = self.token_ends.map(|ends| TokenFacts { id: self.token_id, issued: self.token_issued, ends });
        let authority = Authority {
            login: self.login,
            structure,
            password_ends: self.password_ends,
            token,
            chosen: self.chosen,
            over_structure: self.over_structure,
        };
        (caller, authority)
    }
}
