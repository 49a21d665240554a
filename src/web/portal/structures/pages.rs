//! View types of this journey's pages.

use askama::Template;

use crate::{
    db::{
        members::{memberships::Member, offers::PendingOffer},
        structures::ManagedStructure,
        technical_users::TechnicalUser,
    },
    domain::{role::Role, structure::StructureCard},
    web::shell::{
        filters,
        form::Errors,
        layout::Layout,
        values::{AccountStatus, EventRow, Expiry, Id, LastCall, MemberView, StructureName},
    },
};

/// « Fiche structure », in its four blocks.
#[derive(Template)]
#[template(path = "structures/structure.html")]
pub struct StructurePage {
    pub layout: Layout,
    pub structure: StructureName,
    pub card: StructureForm,
    pub members: Vec<MemberRow>,
    pub technical_users: Vec<TechnicalUserRow>,
    pub max_technical_users: u64,
    /// Whether one more technical user may be created.
    pub can_create: bool,
    pub manager: ManagerView,
    /// The offer of the structure that waits for an answer.
    pub offer: Option<PendingOffer>,
    /// The members who could become principal manager.
    pub candidates: Vec<Candidate>,
    /// The last few audit events.
    pub events: Vec<EventRow>,
}

impl StructurePage {
    /// Whether the list shows when an account called.
    fn has_called(&self) -> bool {
        self.technical_users.iter().any(|account| account.last_call.is_some())
    }
}

/// « Modifier les informations générales ».
#[derive(Template)]
#[template(path = "structures/card.html")]
pub struct CardPage {
    pub layout: Layout,
    pub structure: StructureName,
    pub form: StructureForm,
    pub errors: Errors,
    /// The number of the structure's technical users that can call the API.
    pub working: u64,
}

/// « Rendre la structure inactive »: the confirmation page. It carries the typed form.
#[derive(Template)]
#[template(path = "structures/deactivation.html")]
pub struct DeactivationPage {
    pub layout: Layout,
    pub structure: StructureName,
    pub form: StructureForm,
    pub working: u64,
}

/// « Informations générales », as stored or as typed.
#[derive(Default)]
pub struct StructureForm {
    pub designation: String,
    pub address: String,
    pub address_complement: String,
    pub address_complement_2: String,
    pub postal_code: String,
    pub city: String,
    pub country: String,
    pub email: String,
    pub phone: String,
    pub active: bool,
}

/// A member of the structure.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, as the list shows it")]
pub struct MemberRow {
    pub name: String,
    pub login: String,
    /// The label, « Gestionnaire principal » for example.
    pub role: &'static str,
    pub contact_address: String,
    /// Whether the person has confirmed the address, or is yet to choose a password.
    pub is_address_confirmed: bool,
    /// Whether the person has been invited and has not signed in since.
    pub is_invited: bool,
    /// Whether the operator ended the person's access.
    pub is_disabled: bool,
    /// Whether name and address are hidden until the person signs in.
    pub is_pending: bool,
    /// For the acts on the member; `None` for the principal manager, on whom there are none.
    pub acts: Option<MemberView>,
}

/// A technical user of the structure.
pub struct TechnicalUserRow {
    pub id: Id,
    pub label: Option<String>,
    pub login: String,
    pub contact_address: String,
    pub status: AccountStatus,
    pub expiry: Expiry,
    pub known_to_another: bool,
    /// Whether calls are refused at present.
    pub failing: bool,
    pub last_call: Option<LastCall>,
}

/// The present principal manager.
pub struct ManagerView {
    pub name: String,
    pub contact_address: String,
}

/// A member who could become principal manager.
pub struct Candidate {
    pub id: Id,
    pub selected: bool,
    pub name: String,
    pub role: &'static str,
    /// Only a person who has signed in since they were invited or attached may be chosen.
    pub has_signed_in: bool,
}

/// « Désigner un nouveau gestionnaire principal »: the form without scripts, and after an error.
#[derive(Template)]
#[template(path = "structures/manager.html")]
pub struct DesignateManagerPage {
    pub layout: Layout,
    pub structure: StructureName,
    pub candidates: Vec<Candidate>,
    pub errors: Errors,
}

impl StructurePage {
    /// Whether a candidate may be chosen.
    fn can_designate(&self) -> bool {
        self.candidates.iter().any(|candidate| candidate.has_signed_in)
    }
}

impl StructureForm {
    /// The postal address, line by line.
    pub fn address_lines(&self) -> Vec<String> {
        let town = format!("{} {}", self.postal_code, self.city);
        let lines = [&self.address, &self.address_complement, &self.address_complement_2, &town, &self.country];
        lines.into_iter().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
    }

    /// The names and values of the form's fields.
    pub fn fields(&self) -> [(&'static str, &str); 10] {
        [
            ("designation", &self.designation),
            ("adresse", &self.address),
            ("complement", &self.address_complement),
            ("complement-2", &self.address_complement_2),
            ("code-postal", &self.postal_code),
            ("ville", &self.city),
            ("pays", &self.country),
            ("courriel", &self.email),
            ("telephone", &self.phone),
            ("statut", if self.active { "ACTIVE" } else { "INACTIVE" }),
        ]
    }
}

impl From<&StructureCard> for StructureForm {
    fn from(card: &StructureCard) -> Self {
        Self {
            designation: card.designation.clone(),
            address: card.address_line.clone(),
            address_complement: card.address_extra_1.clone(),
            address_complement_2: card.address_extra_2.clone(),
            postal_code: card.postal_code.clone(),
            city: card.city.clone(),
            country: card.country.clone(),
            email: card.email.clone(),
            phone: card.phone.clone(),
            active: card.active,
        }
    }
}

impl From<&Member> for MemberRow {
    fn from(member: &Member) -> Self {
        Self {
            name: member.shown_name(),
            login: member.shown_login().to_owned(),
            role: member.role.label(),
            contact_address: member.contact_address.clone(),
            is_address_confirmed: member.is_address_confirmed || !member.active,
            is_invited: member.is_invited(),
            is_disabled: member.is_disabled,
            is_pending: member.invited_as.is_some(),
            acts: (member.role != Role::PrincipalManager).then(|| MemberView::from(member)),
        }
    }
}

impl TechnicalUserRow {
    pub fn new(account: TechnicalUser, structure: &ManagedStructure) -> Self {
        Self {
            id: account.id,
            status: AccountStatus::from(&account),
            expiry: Expiry::from(&account),
            last_call: LastCall::of(&account),
            known_to_another: account.known_to_another,
            failing: account.failing,
            contact_address: structure.contact_address().to_owned(),
            label: account.label,
            login: account.login,
        }
    }
}

impl Candidate {
    /// The members who could become principal manager.
    pub fn among(members: &[Member], structure: &ManagedStructure, selected: Option<Id>) -> Vec<Self> {
        let others = members.iter().filter(|member| member.user_id != structure.manager_id() && !member.is_disabled);
        others
            .map(|member| Self {
                id: member.user_id,
                selected: selected == Some(member.user_id),
                name: member.shown_name(),
                role: member.role.label(),
                has_signed_in: member.has_signed_in,
            })
            .collect()
    }
}
