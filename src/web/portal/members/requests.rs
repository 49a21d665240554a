//! « Demandes de rattachement »: made in « Mon compte », answered in « Activités du gestionnaire ».

use axum::{
    Form,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::pages::{MyRequestsPage, OwnRequestRow};
use crate::{
    db::members::requests::{self, AskError, MOST_PENDING},
    domain::{
        role::Role,
        structure_identifier::{IdentifierType, StructureIdentifier},
    },
    french,
    web::{
        edge::{
            error::{AppError, page as render, page_with_status, rate_limited},
            state::AppState,
        },
        identity::{authority::Answerable, fresh_form::FreshForm, visitor::Visitor},
        paths,
        shell::{
            form::{Errors, FieldError},
            layout::Tab,
            notice::{Notice, NoticeQuery},
        },
    },
};

/// « Demander un rattachement », and the visitor's pending requests.
pub async fn page(
    State(state): State<AppState>,
    visitor: Visitor,
    Query(notice): Query<NoticeQuery>,
) -> Result<Response, AppError> {
    render(&my_requests(&state, &visitor, notice.notice(), AskForm::default(), Errors::none()).await?)
}

async fn my_requests(
    state: &AppState,
    visitor: &Visitor,
    notice: Option<Notice>,
    form: AskForm,
    errors: Errors,
) -> Result<MyRequestsPage, AppError> {
    let requests = requests::own(&state.pool, visitor.person.user_id).await?;
    let chosen = IdentifierType::parse(&form.kind).unwrap_or(IdentifierType::Siret);
    Ok(MyRequestsPage {
        layout: state.layout(&visitor.person, Tab::MyAccount, notice),
        kinds: IdentifierType::ALL.map(|kind| (kind.code(), kind.label(), kind == chosen)),
        identifier: form.identifier,
        errors,
        requests: requests.into_iter().map(OwnRequestRow::from).collect(),
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct AskForm {
    #[serde(rename = "type-identifiant")]
    kind: String,
    #[serde(rename = "identifiant")]
    identifier: String,
}

/// « Envoyer la demande ». The answer is the same whether or not the structure exists and is
/// managed. A refusal shows the page again, for which the pending requests are read, too.
pub async fn ask(
    State(state): State<AppState>,
    visitor: Visitor,
    Form(form): Form<AskForm>,
) -> Result<Response, AppError> {
    let (state, visitor) = (&state, &visitor);
    let refuse = async |form: AskForm, field, message: String| {
        let errors = Errors(vec![FieldError { field, message }]);
        let page = my_requests(state, visitor, None, form, errors).await?;
        page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
    };
    let Some(kind) = IdentifierType::parse(&form.kind) else {
        return refuse(form, "type-identifiant", "Choisissez un type d’identifiant.".into()).await;
    };
    let structure = match StructureIdentifier::parse(kind, &form.identifier, state.settings.strict_siret) {
        Ok(structure) => structure,
        Err(error) => return refuse(form, "identifiant", french::sentence(&error.to_string())).await,
    };
    let person = (visitor.person.user_id, &visitor.session);
    match requests::ask(&state.pool, &visitor.actor, person, &structure).await {
        Ok(()) => Ok(Redirect::to(&Notice::MembershipRequested.on(paths::MY_REQUESTS)).into_response()),
        Err(AskError::TooManyWithdrawals { seconds }) => {
            let wait = french::seconds(seconds);
            let message =
                format!("Vous avez annulé plusieurs demandes. Veuillez patienter {wait} avant d’en faire une autre.");
            refuse(form, "identifiant", message).await
        }
        Err(AskError::TooOften { seconds }) => {
            let message = "Vous avez fait beaucoup de demandes en peu de temps. Réessayez dans une heure.".to_owned();
            Ok(rate_limited(refuse(form, "identifiant", message).await?, seconds))
        }
        Err(AskError::AlreadyMember) => {
            refuse(form, "identifiant", "Vous êtes déjà membre de cette structure.".into()).await
        }
        Err(AskError::TooMany) => {
            let message =
                format!("Vous avez déjà {MOST_PENDING} demandes en attente. Annulez-en une, ou attendez une réponse.");
            refuse(form, "identifiant", message).await
        }
        Err(AskError::SessionEnded) => Err(AppError::SignInRequired { expired: true, return_to: None }),
        Err(AskError::Database(error)) => Err(error.into()),
    }
}

/// « Annuler la demande ».
pub async fn withdraw(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Redirect, AppError> {
    let id = id.parse().map_err(|_| AppError::NotFound)?;
    requests::withdraw(&state.pool, &visitor.actor, id).await?;
    Ok(Redirect::to(&Notice::RequestWithdrawn.on(paths::MY_REQUESTS)))
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct AcceptForm {
    role: String,
}

/// « Valider », with a role.
pub async fn accept(
    State(state): State<AppState>,
    answerable: Answerable,
    FreshForm(form): FreshForm<AcceptForm>,
) -> Result<Redirect, AppError> {
    let role = Role::given(&form.role).ok_or(AppError::Unprocessable)?;
    requests::accept(&state.pool, &answerable.visitor.actor, &answerable.request, role).await?;
    Ok(Redirect::to(&Notice::RequestAccepted.on(paths::ACTIVITIES)))
}

/// « Refuser ».
pub async fn refuse(State(state): State<AppState>, answerable: Answerable) -> Result<Redirect, AppError> {
    requests::refuse(&state.pool, &answerable.visitor.actor, &answerable.request).await?;
    Ok(Redirect::to(&Notice::RequestRefused.on(paths::ACTIVITIES)))
}
