//! « Fiche structure »: a structure's card, members, technical users and history.

pub mod history;
mod pages;
pub mod succession;

use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use crate::{
    db::{
        members::memberships::Member,
        page_data::{self as contents, StructureContents},
        structures::card::{self, Confirmation, Consent, EditError, EditOutcome, StatusChange},
    },
    domain::structure::{CardField, StructureCard, StructureCardError},
    french,
    web::{
        edge::{
            error::{AppError, page as render, page_with_status, rate_limited},
            state::AppState,
        },
        identity::{authority::Managed, fresh_form::SometimesFreshForm},
        paths,
        shell::{
            form::{Errors, FieldError},
            notice::{Notice, NoticeQuery},
            values::StructureName,
        },
    },
};
use pages::{
    Candidate, CardPage, DeactivationPage, ManagerView, MemberRow, StructureForm, StructurePage, TechnicalUserRow,
};

const EVENTS_ON_PAGE: u32 = 5;
/// The value that « Confirmer » sends, in the dialog and on the confirmation page. « Revenir au
/// formulaire » sends another one.
const CONFIRMED: &str = "oui";

/// The structure's page.
pub async fn page(
    State(state): State<AppState>,
    managed: Managed,
    Query(notice): Query<NoticeQuery>,
) -> Result<Response, AppError> {
    let structure = &managed.structure;
    let contents = contents::structure(&state.pool, structure, EVENTS_ON_PAGE).await?;
    let StructureContents { members, offer, technical_users, events } = contents;
    let limit = state.settings.account_rules.max_per_structure.unsigned_abs();
    render(&StructurePage {
        layout: managed.layout(&state, notice.notice()),
        structure: StructureName::from(structure),
        card: StructureForm::from(structure.card()),
        can_create: structure.card().active && (technical_users.len() as u64) < limit,
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
        technical_users: technical_users.into_iter().map(|account| TechnicalUserRow::new(account, structure)).collect(),
        offer,
        members: members.iter().map(MemberRow::from).collect(),
        events: events.into_iter().map(Into::into).collect(),
    })
}

/// « Modifier les informations générales »: the form.
pub async fn card_form(State(state): State<AppState>, managed: Managed) -> Result<Response, AppError> {
    let form = StructureForm::from(managed.structure.card());
    render(&card_page(&state, &managed, form, Errors::none()).await?)
}

async fn card_page(
    state: &AppState,
    managed: &Managed,
    form: StructureForm,
    errors: Errors,
) -> Result<CardPage, AppError> {
    let working = card::count_working(&state.pool, &managed.structure).await?;
    let (layout, structure) = (managed.layout(state, None), StructureName::from(&managed.structure));
    Ok(CardPage { layout, structure, form, errors, working })
}

/// Any other value is an error, so that a garbled form neither stops a structure nor reactivates
/// it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Active,
    Inactive,
}

#[derive(Clone, Debug, Deserialize)]
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
    statut: Status,
    /// The answer to « Rendre la structure inactive »; absent before the question.
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
            active: self.statut == Status::Active,
        }
    }
}

/// « Enregistrer »: saves the card, or shows the form again with its errors. A change of status
/// requires a fresh authentication. If it would stop technical users, a confirmation page carries
/// what was typed, and both of its answers send it again.
///
/// One call of `db`: to save, or to count what a change of status would stop, for the form.
pub async fn edit(
    State(state): State<AppState>,
    managed: Managed,
    sent: SometimesFreshForm<EditForm>,
) -> Result<Response, AppError> {
    let answer = sent.form.confirmation.as_deref();
    let typed = sent.form.clone().into_card();
    let form = StructureForm::from(&typed);
    let card = match typed.checked_as_typed() {
        Ok(card) => card,
        Err(errors) => {
            let page = card_page(&state, &managed, form, messages(errors)).await?;
            return page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
    };
    let confirmation = match answer {
        None => Confirmation::Missing,
        Some(CONFIRMED) => Confirmation::Given,
        Some(_) => return render(&card_page(&state, &managed, form, Errors::none()).await?),
    };
    let (visitor, consent) = (&managed.visitor, Consent { confirmation, is_fresh: managed.visitor.person.is_fresh });
    match card::edit(&state.pool, &visitor.actor, &managed.structure, &card, consent).await? {
        EditOutcome::Saved(change) => {
            let notice = match change {
                StatusChange::None => Notice::StructureSaved,
                StatusChange::Deactivated => Notice::StructureDeactivated,
                StatusChange::Reactivated => Notice::StructureReactivated,
            };
            Ok(Redirect::to(&notice.on(&paths::structure(managed.structure.id()))).into_response())
        }
        EditOutcome::WouldChangeStatus => sent.ask(&state, visitor),
        EditOutcome::WouldStop(working) => {
            let (layout, structure) = (managed.layout(&state, None), StructureName::from(&managed.structure));
            render(&DeactivationPage { layout, structure, form, working })
        }
        EditOutcome::TooOften { seconds } => {
            let wait = french::wait(seconds);
            let message =
                format!("Vous avez modifié beaucoup de fiches. Veuillez patienter {wait} avant de continuer.");
            let page = card_page(&state, &managed, form, Errors::one("designation", message)).await?;
            Ok(rate_limited(render(&page)?, seconds))
        }
    }
}

fn messages(errors: Vec<(CardField, StructureCardError)>) -> Errors {
    let message = |(field, error): (CardField, StructureCardError)| FieldError {
        field: name_in_form(field),
        message: error.to_string(),
    };
    Errors(errors.into_iter().map(message).collect())
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
