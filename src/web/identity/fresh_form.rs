//! Forms whose act requires a fresh authentication (ASVS 7.5.3).

use axum::{
    Form,
    body::{Body, Bytes},
    extract::{FromRequest, Request},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{pages::ConfirmIdentityPage, visitor::Visitor};
use crate::web::{
    edge::{
        error::{AppError, page_with_status},
        state::AppState,
    },
    shell::{form::Errors, layout::Tab},
};

/// The prefix of the confirmation's own fields; all other fields belong to the act.
pub const OWN_FIELDS: &str = "confirmation-";

/// A form of a person who authenticated within `session_lifetime::FRESH_AUTHENTICATION`. Others get
/// a page that asks them to and carries what was sent; its answer leads back here with the same
/// form. Stands after the authority among the handler's arguments: visitors without it are not
/// asked.
pub struct FreshForm<T>(pub T);

/// A form without fields.
#[derive(Deserialize)]
pub struct Nothing {}

impl<T: DeserializeOwned> FromRequest<AppState> for FreshForm<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Response> {
        let visitor = request.extensions().get::<Visitor>().cloned();
        let Some(visitor) = visitor else { return Err(AppError::Forbidden.into_response()) };
        if visitor.person.is_fresh {
            let form = Form::<T>::from_request(request, state).await;
            return form.map(|Form(form)| Self(form)).map_err(IntoResponse::into_response);
        }
        let target = request.uri().path().to_owned();
        let sent = Form::<Vec<(String, String)>>::from_request(request, state).await;
        let Form(fields) = sent.map_err(IntoResponse::into_response)?;
        let asked = ask(state, &visitor, target, fields, (StatusCode::FORBIDDEN, Errors::none()));
        Err(asked.unwrap_or_else(IntoResponse::into_response))
    }
}

/// A form of which only some answers require a fresh authentication. The handler learns from the
/// act which ones, and then [asks](Self::ask).
pub struct SometimesFreshForm<T> {
    pub form: T,
    target: String,
    fields: Vec<(String, String)>,
}

impl<T: DeserializeOwned> FromRequest<AppState> for SometimesFreshForm<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Response> {
        let target = request.uri().path().to_owned();
        let (parts, body) = request.into_parts();
        let bytes = Bytes::from_request(Request::from_parts(parts.clone(), body), state).await;
        let bytes = bytes.map_err(IntoResponse::into_response)?;
        let fields = form_urlencoded::parse(&bytes).into_owned().collect();
        let form = Form::<T>::from_request(Request::from_parts(parts, Body::from(bytes)), state).await;
        form.map(|Form(form)| Self { form, target, fields }).map_err(IntoResponse::into_response)
    }
}

impl<T> SometimesFreshForm<T> {
    /// The page that asks the visitor to authenticate again, and carries what was sent.
    pub fn ask(self, state: &AppState, visitor: &Visitor) -> Result<Response, AppError> {
        ask(state, visitor, self.target, self.fields, (StatusCode::FORBIDDEN, Errors::none()))
    }
}

/// The page « Confirmez votre identité », carrying a form that was sent to `target`.
pub fn ask(
    state: &AppState,
    visitor: &Visitor,
    target: String,
    mut fields: Vec<(String, String)>,
    (status, errors): (StatusCode, Errors),
) -> Result<Response, AppError> {
    fields.retain(|(name, _)| !name.starts_with(OWN_FIELDS));
    let layout = state.layout(&visitor.person, Tab::None, None);
    let person = &visitor.person;
    // Where the provider is asked for no second factor, it cannot confirm one that is set up here.
    let proves_all = state.provider.as_ref().is_some_and(|provider| !provider.settings.acr_values.is_empty())
        || !person.has_second_factor;
    let provider = state.provider_button().filter(|_| person.has_provider_identity && proves_all);
    let page = ConfirmIdentityPage {
        layout,
        login: person.login.clone(),
        asks_code: person.has_second_factor,
        asks_password: state.takes_passwords() && person.has_password,
        provider,
        target,
        fields,
        errors,
    };
    page_with_status(status, &page)
}
