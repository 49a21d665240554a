//! The API's statements. Each one starts from an SQL function that authenticates the caller
//! (`api_caller` or one of its two short forms), so that a call is one round trip; it returns no
//! row where the credentials are not valid.

pub mod accounts;
pub mod call_log;
pub mod directory;
pub mod memberships;

use sqlx::{Postgres, QueryBuilder};
use time::OffsetDateTime;

/// An account whose password was verified, with the version of the verified password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedAccount {
    pub technical_user_id: i64,
    pub credential_version: i32,
}

/// The credentials of a call. The database judges them in each statement.
#[derive(Clone, Debug, Default)]
pub struct PresentedCredentials {
    /// SHA-256 of a Bearer.
    pub token_hash: Option<Vec<u8>>,
    pub account: Option<VerifiedAccount>,
}

impl PresentedCredentials {
    fn token_hash(&self) -> Option<&[u8]> {
        self.token_hash.as_deref()
    }

    fn account_id(&self) -> Option<i64> {
        self.account.map(|account| account.technical_user_id)
    }

    fn version(&self) -> Option<i32> {
        self.account.map(|account| account.credential_version)
    }

    /// Appends the call of the SQL function that authenticates these credentials: of the three
    /// equivalent ones, the cheapest.
    fn push_caller(&self, query: &mut QueryBuilder<Postgres>) {
        match (&self.token_hash, self.account) {
            (None, Some(account)) => {
                query.push("account_caller(").push_bind(account.technical_user_id);
                query.push(", ").push_bind(account.credential_version);
            }
            (Some(token_hash), None) => {
                query.push("token_caller(").push_bind(token_hash.clone());
            }
            _ => {
                query.push("api_caller(").push_bind(self.token_hash.clone());
                query.push(", ").push_bind(self.account_id()).push(", ").push_bind(self.version());
            }
        }
        query.push(")");
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

/// A page of a list, and its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Rows per page, 1 to 10,000.
    pub size: i32,
    /// From 1.
    pub number: i32,
    pub order: Option<Order>,
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
