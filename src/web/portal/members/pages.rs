//! View types of this journey's pages.

use askama::Template;
use time::OffsetDateTime;

use crate::{
    db::members::{memberships::Member, removals::SharedMembership, requests::OwnRequest},
    web::shell::{
        filters,
        form::Errors,
        layout::Layout,
        values::{Id, MemberView, StructureName},
    },
};

/// « Inviter un membre ».
#[derive(Template)]
#[template(path = "members/invitation.html")]
pub struct MemberInvitationPage {
    pub layout: Layout,
    pub structure: StructureName,
    pub form: MemberForm,
    pub errors: Errors,
}

/// The invitation, as typed.
#[derive(Default)]
pub struct MemberForm {
    pub address: String,
    pub first_name: String,
    pub last_name: String,
    /// A role's external code, or empty.
    pub role: &'static str,
}

/// The confirmation page of an act on a member.
#[derive(Template)]
#[template(path = "members/confirmation.html")]
pub struct MemberActPage {
    pub layout: Layout,
    pub structure: StructureName,
    pub member: MemberView,
    pub act: MemberAct,
}

#[derive(PartialEq, Eq, Clone, Copy)]
pub enum MemberAct {
    ChangeRole,
    Remove,
}

impl From<&Member> for MemberView {
    fn from(member: &Member) -> Self {
        Self {
            membership_id: member.membership_id,
            name: member.shown_name(),
            login: member.shown_login().to_owned(),
            role: member.role,
        }
    }
}

/// « Retirer de plusieurs structures ».
#[derive(Template)]
#[template(path = "members/removals.html")]
pub struct RemovalsPage {
    pub layout: Layout,
    /// The structure that the visitor came from.
    pub structure: StructureName,
    pub member: MemberView,
    pub rows: Vec<RemovalRow>,
    /// The number of rows.
    pub count: u64,
    /// Whether there are more than the page lists.
    pub has_more: bool,
    pub errors: Errors,
}

/// « Confirmer les retraits ».
#[derive(Template)]
#[template(path = "members/removals_check.html")]
pub struct RemovalsCheckPage {
    pub layout: Layout,
    pub structure: StructureName,
    pub member: MemberView,
    pub rows: Vec<RemovalRow>,
    /// The number of rows.
    pub count: u64,
}

impl RemovalsCheckPage {
    /// The chosen memberships, as the form carries them.
    fn ids(&self) -> String {
        let ids: Vec<String> = self.rows.iter().map(|row| row.membership_id.to_string()).collect();
        ids.join(",")
    }
}

/// A structure that the member may leave.
pub struct RemovalRow {
    pub membership_id: Id,
    pub designation: String,
    pub kind: &'static str,
    pub identifier: String,
    pub role: &'static str,
    pub is_chosen: bool,
}

impl RemovalRow {
    pub fn new(shared: &SharedMembership, is_chosen: bool) -> Self {
        Self {
            membership_id: shared.membership_id,
            designation: shared.designation.clone(),
            kind: shared.identifier_type.code(),
            identifier: shared.identifier.clone(),
            role: shared.role.label(),
            is_chosen,
        }
    }
}

/// « Demander un rattachement ».
#[derive(Template)]
#[template(path = "members/my_requests.html")]
pub struct MyRequestsPage {
    pub layout: Layout,
    /// The types of identifier: value, label, and whether it is selected.
    pub kinds: [(&'static str, &'static str, bool); 7],
    /// As typed.
    pub identifier: String,
    pub errors: Errors,
    pub requests: Vec<OwnRequestRow>,
}

/// A pending request of the visitor.
pub struct OwnRequestRow {
    pub id: Id,
    pub kind: &'static str,
    pub identifier: String,
    pub at: OffsetDateTime,
}

impl From<OwnRequest> for OwnRequestRow {
    fn from(request: OwnRequest) -> Self {
        let OwnRequest { id, identifier_type, identifier, created_at: at } = request;
        Self { id, kind: identifier_type.code(), identifier, at }
    }
}
