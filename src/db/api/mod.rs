//! The API's statements. Each one starts from an SQL function that authenticates the caller
//! (`api_caller` or one of its two short forms), so that a call is one round trip; it returns no
//! row where the credentials are not valid.

pub mod authority;
pub mod call_log;
pub mod connections;
pub mod directory;
pub mod introspection;
pub mod memberships;
mod names;
pub mod services;
pub mod signing_keys;
pub mod tokens;
pub mod verification;
pub mod verifiers;

use sqlx::{Postgres, QueryBuilder};
use time::OffsetDateTime;

use crate::domain::{restrictions::CallerAddress, verifier::Verifier};
use connections::Connections;

/// The credentials of a call, and where it comes from. The database judges them in each statement.
#[derive(Clone, Debug)]
pub struct PresentedCredentials {
    /// SHA-256 of a Bearer.
    pub token_hash: Option<Vec<u8>>,
    /// Of a login and a password: the verifiers under each key of the key file, the first key's
    /// first.
    pub verifiers: Option<Vec<Verifier>>,
    pub from: CallerAddress,
}

impl PresentedCredentials {
    pub(in crate::db) fn token_hash(&self) -> Option<&[u8]> {
        self.token_hash.as_deref()
    }

    pub(in crate::db) fn digests(&self) -> Option<Vec<Vec<u8>>> {
        let verifiers = self.verifiers.as_ref()?;
        Some(verifiers.iter().map(|verifier| verifier.digest.clone()).collect())
    }

    /// The address of the call, as text.
    pub(in crate::db) fn address(&self) -> Option<String> {
        self.from.known().map(|address| address.to_string())
    }

    /// Appends the call of the SQL function that authenticates these credentials.
    fn push_caller(&self, query: &mut QueryBuilder<Postgres>) {
        self.push_cheapest(query, ["password_caller(", "token_caller(", "api_caller("]);
    }

    /// Appends the call of one of three equivalent SQL functions, the cheapest for these
    /// credentials: that for a password, for a token, or for either and both.
    fn push_cheapest(&self, query: &mut QueryBuilder<Postgres>, [password, token, both]: [&'static str; 3]) {
        match (&self.token_hash, self.digests()) {
            (None, Some(digests)) => query.push(password).push_bind(digests),
            (Some(token_hash), None) => query.push(token).push_bind(token_hash.clone()),
            (token_hash, digests) => query.push(both).push_bind(token_hash.clone()).push(", ").push_bind(digests),
        };
        query.push(", ").push_bind(self.address()).push("::text::inet)");
    }
}

/// The authenticated caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    pub technical_user_id: i64,
    /// The time of the call, by the database's clock.
    pub at: OffsetDateTime,
    /// When the password expires, if within 31 days.
    pub sunset: Option<OffsetDateTime>,
}

/// The caller, if the credentials are valid now.
///
/// # Errors
/// Database errors.
pub async fn caller(database: &Connections, presented: &PresentedCredentials) -> sqlx::Result<Option<Caller>> {
    let digests = presented.digests();
    sqlx::query_as!(
        Caller,
        r#"SELECT technical_user_id AS "technical_user_id!", at AS "at!", sunset FROM api_caller($1, $2, $3::text::inet)"#,
        presented.token_hash(),
        digests.as_deref(),
        presented.address(),
    )
    .fetch_optional(database)
    .await
}

/// A page of a list, and its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Rows per page, 1 to 10,000.
    pub size: i32,
    /// From 1.
    pub number: i32,
    pub order: Option<Order>,
    /// Whether the order is reversed.
    pub descending: bool,
}

impl Page {
    fn limit(self) -> i64 {
        self.size.into()
    }

    fn offset(self) -> i64 {
        i64::from(self.size) * (i64::from(self.number) - 1)
    }

    /// The `ORDER BY` of a statement over `structures s`, by id as default. Each order is total, so
    /// that no row is on two pages.
    fn order_of_structures(self) -> &'static str {
        match (self.order, self.descending) {
            (None, false) => "ORDER BY s.id",
            (None, true) => "ORDER BY s.id DESC",
            (Some(Order::Identifier), false) => "ORDER BY s.identifier USING ~<~, s.id",
            (Some(Order::Identifier), true) => "ORDER BY s.identifier USING ~>~, s.id DESC",
            (Some(Order::Designation), false) => "ORDER BY s.search_text, s.id",
            (Some(Order::Designation), true) => "ORDER BY s.search_text DESC, s.id DESC",
            (Some(Order::IdentifierType), false) => "ORDER BY s.identifier_type, s.identifier",
            (Some(Order::IdentifierType), true) => "ORDER BY s.identifier_type DESC, s.identifier DESC",
            (Some(Order::Status), false) => "ORDER BY s.active DESC, s.id",
            (Some(Order::Status), true) => "ORDER BY s.active, s.id DESC",
        }
    }
}

/// What a list is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Identifier,
    Designation,
    IdentifierType,
    Status,
}
