//! Views of this journey's pages.

use askama::Template;
use time::OffsetDateTime;

use crate::{
    db::{
        identity::{
            account,
            mailboxes::FormerAddress,
            provider_identities::LinkedIdentity,
            sessions::{OpenSession, SignedIn},
        },
        members::offers::OwnOffer,
    },
    domain::{role::Role, user_agent},
    web::shell::{
        filters,
        form::Errors,
        layout::{Layout, ProviderButton},
        pagination::Pagination,
        values::StructureName,
    },
};

/// « Mon compte ».
#[derive(Template)]
#[template(path = "my_account/my_account.html")]
pub struct MyAccountPage {
    pub layout: Layout,
    pub display_name: String,
    pub login: String,
    pub second_factor: SecondFactorPlace,
    /// Whether the person may sign in with a password, and has one.
    pub uses_password: bool,
    pub provider: Option<ProviderButton>,
    /// With which the person signs in at the provider.
    pub identities: Vec<LinkedIdentity>,
    pub last_sign_in: Option<OffsetDateTime>,
    pub contact_address: String,
    /// The contact address, where it waits to be confirmed.
    pub unconfirmed: Option<Unconfirmed>,
    /// Since when the contact address refuses mails, if it does.
    pub refused_since: Option<OffsetDateTime>,
    /// Addresses that were confirmed before and are a way back for a while.
    pub former_addresses: Vec<FormerAddress>,
    /// How many technical users have the contact address.
    pub technical_users: u64,
    /// Errors of whichever form was sent.
    pub errors: Errors,
    /// Structures that the person is offered.
    pub offers: Vec<OwnOffer>,
    pub memberships: Vec<MembershipRow>,
    pub memberships_total: u64,
    pub pagination: Pagination,
    pub sessions: Vec<SessionRow>,
}

impl MyAccountPage {
    /// Whether the person has a calendar, offers structures and hands passwords over.
    fn is_manager(&self) -> bool {
        self.layout.user.as_ref().is_some_and(|user| user.is_principal_manager)
    }

    /// Whether another person manages one of the listed structures.
    fn names_managers(&self) -> bool {
        self.memberships.iter().any(|membership| !membership.managed)
    }
}

/// Where the person has given a second factor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SecondFactorPlace {
    /// Sign-in asks for a code.
    Here,
    /// The session began with one at the identity provider.
    Elsewhere,
    Nowhere,
}

impl SecondFactorPlace {
    pub fn of(person: &SignedIn) -> Self {
        match (person.has_second_factor, person.has_second_factor_elsewhere) {
            (true, _) => Self::Here,
            (false, true) => Self::Elsewhere,
            (false, false) => Self::Nowhere,
        }
    }
}

/// A contact address that waits to be confirmed.
pub struct Unconfirmed {
    pub address: String,
    /// The address that was confirmed before.
    pub former: Option<String>,
}

/// A structure that the person is a member of.
pub struct MembershipRow {
    pub id: i64,
    pub attached_at: OffsetDateTime,
    /// The login of whoever attached the person, where it was recorded.
    pub attached_by: Option<String>,
    pub structure: StructureName,
    pub role: &'static str,
    /// Whether the person may open its page.
    pub managed: bool,
    /// The principal manager, where that is another person.
    pub manager: Option<Contact>,
}

/// A person to turn to.
pub struct Contact {
    pub name: String,
    /// A confirmed address.
    pub address: Option<String>,
}

/// An open session.
pub struct SessionRow {
    pub id: String,
    pub current: bool,
    pub opened_at: OffsetDateTime,
    pub last_seen_at: OffsetDateTime,
    pub address: String,
    /// In words where the browser is known, else its own name for itself.
    pub software: Option<String>,
}

impl From<account::MembershipRow> for MembershipRow {
    fn from(row: account::MembershipRow) -> Self {
        let role = row.role();
        let manager = row.manager_name.map(|name| Contact { name, address: row.manager_address });
        Self {
            id: row.id,
            attached_at: row.attached_at,
            attached_by: row.attached_by,
            role: role.label(),
            managed: role == Role::PrincipalManager,
            manager: manager.filter(|_| role != Role::PrincipalManager),
            structure: StructureName {
                id: row.structure_id,
                designation: row.designation,
                kind: row.identifier_type,
                identifier: row.identifier,
                active: row.active,
            },
        }
    }
}

impl From<OpenSession> for SessionRow {
    fn from(session: OpenSession) -> Self {
        Self {
            id: session.public_id.to_string(),
            current: session.current,
            opened_at: session.created_at,
            last_seen_at: session.last_seen_at,
            address: session.address,
            software: Some(user_agent::readable_name(&session.software).unwrap_or(session.software))
                .filter(|name| !name.is_empty()),
        }
    }
}
