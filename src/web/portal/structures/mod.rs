//! « Fiche structure »: what a structure is, who belongs to it, and what happened to it.

pub mod history;
pub mod pages;
pub mod succession;

use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use crate::{
    db::{
        structures::{
            self, EditError, Member,
            history::{Place, Wanted},
        },
        technical_users::{self, TechnicalUser},
    },
    domain::structure::{CardField, StructureCard},
    web::{
        edge::{
            error::{AppError, page as render, page_with_status},
            state::AppState,
        },
        identity::authority::Managed,
        paths,
        shell::{
            form::{Errors, FieldError},
            notice::{Notice, NoticeQuery},
            values::{AccountStatus, StructureName},
        },
    },
};
use pages::{Candidate, DeactivationPage, ManagerView, MemberRow, StructureForm, StructurePage, TechnicalUserRow};

const EVENTS_ON_PAGE: u32 = 5;
/// « Confirmer », as the dialog and the page of confirmation send it; « Revenir au formulaire »
/// sends something else.
const CONFIRMED: &str = "oui";

/// The structure's page.
pub async fn page(
    State(state): State<AppState>,
    managed: Managed,
    Query(notice): Query<NoticeQuery>,
) -> Result<Response, AppError> {
    let form = StructureForm::from(managed.structure.card());
    render(&structure_page(&state, &managed, form, Errors::none(), notice.notice()).await?)
}

async fn structure_page(
    state: &AppState,
    managed: &Managed,
    form: StructureForm,
    errors: Errors,
    notice: Option<Notice>,
) -> Result<StructurePage, AppError> {
    let structure = &managed.structure;
    let members = structures::members(&state.pool, structure).await?;
    let accounts = technical_users::of_structure(&state.pool, structure).await?;
    let events = structures::history::page(&state.pool, structure, &Wanted::default(), Place::Newest, EVENTS_ON_PAGE)
        .await?
        .events;
    let limit = state.settings.account_rules.max_per_structure.unsigned_abs();
    Ok(StructurePage {
        layout: managed.layout(state, notice),
        structure: StructureName::from(structure),
        form,
        errors,
        can_create: structure.card().active && (accounts.len() as u64) < limit,
        working: working(&accounts),
        max_technical_users: limit,
        candidates: Candidate::among(&members, structure, None),
        manager: ManagerView {
            name: members
                .iter()
                .find(|member| member.user_id == structure.manager_id())
                .map(Member::full_name)
                .unwrap_or_default(),
            contact_address: structure.contact_address().to_owned(),
        },
        technical_users: accounts.into_iter().map(|account| TechnicalUserRow::new(account, structure)).collect(),
        members: members.iter().map(MemberRow::from).collect(),
        events: events.into_iter().map(Into::into).collect(),
    })
}

/// No other word is one: a form that was garbled on its way neither stops a structure nor sets it
/// going again.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
enum Standing {
    Active,
    Inactive,
}

#[derive(Debug, Deserialize)]
pub struct EditForm {
    designation: String,
    adresse: String,
    complement: String,
    #[serde(default, rename = "complement-2")]
    complement_2: String,
    #[serde(rename = "code-postal")]
    code_postal: String,
    ville: String,
    pays: String,
    courriel: String,
    telephone: String,
    statut: Standing,
    /// What was answered to « Rendre la structure inactive »; absent before it is asked.
    confirmation: Option<String>,
}

impl EditForm {
    fn into_card(self) -> StructureCard {
        StructureCard {
            designation: self.designation,
            address_line: self.adresse,
            address_extra_1: self.complement,
            address_extra_2: self.complement_2,
            postal_code: self.code_postal,
            city: self.ville,
            country: self.pays,
            email: self.courriel,
            phone: self.telephone,
            active: self.statut == Standing::Active,
        }
    }
}

/// « Enregistrer »: keeps the card, or shows the form again with what is to be mended. Before it
/// stops technical users by making the structure inactive, it asks; both answers bring what was
/// typed along.
pub async fn edit(
    State(state): State<AppState>,
    managed: Managed,
    Form(form): Form<EditForm>,
) -> Result<Response, AppError> {
    let answer = form.confirmation.clone();
    let typed = form.into_card();
    let card = match typed.clone().checked_as_typed() {
        Ok(card) => card,
        Err(errors) => {
            let errors = errors
                .into_iter()
                .map(|(field, error)| FieldError { field: name_in_form(field), message: error.to_string() });
            let page =
                structure_page(&state, &managed, StructureForm::from(&typed), Errors(errors.collect()), None).await?;
            return page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
    };
    if managed.structure.card().active && !card.active && answer.as_deref() != Some(CONFIRMED) {
        let form = StructureForm::from(&typed);
        if answer.is_some() {
            return render(&structure_page(&state, &managed, form, Errors::none(), None).await?);
        }
        let accounts = technical_users::of_structure(&state.pool, &managed.structure).await?;
        let working = working(&accounts);
        if working > 0 {
            let (layout, structure) = (managed.layout(&state, None), StructureName::from(&managed.structure));
            return render(&DeactivationPage { layout, structure, form, working });
        }
    }
    structures::edit(&state.pool, &managed.visitor.actor, &managed.structure, &card).await?;
    Ok(Redirect::to(&Notice::StructureSaved.on(&paths::structure(managed.structure.id()))).into_response())
}

/// How many of the structure's technical users call the API or could: what an inactive structure
/// stops.
fn working(accounts: &[TechnicalUser]) -> usize {
    accounts.iter().filter(|account| AccountStatus::from(*account) == AccountStatus::Active).count()
}

/// The name of a card's field in the form.
fn name_in_form(field: CardField) -> &'static str {
    match field {
        CardField::Designation => "designation",
        CardField::AddressLine => "adresse",
        CardField::AddressExtra1 => "complement",
        CardField::AddressExtra2 => "complement-2",
        CardField::PostalCode => "code-postal",
        CardField::City => "ville",
        CardField::Country => "pays",
        CardField::Email => "courriel",
        CardField::Phone => "telephone",
    }
}

impl From<EditError> for AppError {
    fn from(error: EditError) -> Self {
        match error {
            EditError::NotManager(_) => Self::NotFound,
            EditError::Database(error) => error.into(),
        }
    }
}
