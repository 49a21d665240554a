//! What somebody typed in a form whose session had ended: sign-in carries it along, and offers it
//! to be sent again. It stays in the pages, hence with the browser; the server keeps none of it.

use axum::{
    Form,
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;
use tower_sessions::Session;

use super::{
    fresh_form::OWN_FIELDS,
    pages::{ResumedFormPage, SignInPage},
    visitor::{Visitor, must_set_up_second_factor},
};
use crate::{
    db::identity::sessions,
    domain::envelope::SessionSecret,
    web::{
        edge::{
            error::{AppError, page, page_with_status},
            origin::is_local_path,
            state::AppState,
        },
        paths,
        shell::{layout::Tab, notice::Notice},
    },
};

/// What the names of carried fields begin with, beside those of sign-in itself.
const CARRIED: &str = "saisie-";

/// The longest form that is carried, names and values together: the longest of ours with room to
/// spare.
const MAX_BYTES: usize = 16 * 1024;

/// The fields of a form without secrets, in their order. Empty where there is no form to carry.
pub type KeptFields = Vec<(String, String)>;

/// Stands before an act that wants somebody signed in. Where nobody is, and something was typed,
/// answers with « Connexion », which carries the form; who must set up a second factor first gets
/// the page that waits for it. Others are handed on: the act itself says what is wrong.
pub async fn keep(State(state): State<AppState>, session: Session, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let had_session = session.id().is_some();
    let visitor = if had_session { Some(Visitor::from_request_parts(&mut parts, &state).await) } else { None };
    let asked = match visitor {
        None => AppError::SignInRequired { expired: false, return_to: None },
        Some(Err(error @ (AppError::SignInRequired { .. } | AppError::SecondFactorRequired))) => error,
        Some(_) => return next.run(Request::from_parts(parts, body)).await,
    };
    let target = parts.uri.path().to_owned();
    let Ok(Form(sent)) = Form::<KeptFields>::from_request(Request::from_parts(parts, body), &state).await else {
        return asked.into_response();
    };
    let Some((target, fields)) = worth_keeping(target, sent) else { return asked.into_response() };
    if matches!(asked, AppError::SecondFactorRequired) {
        let resumed = resume(&state, &session, Some(&target), fields).await;
        return resumed.map_or_else(IntoResponse::into_response, |page| page.unwrap_or_else(|| asked.into_response()));
    }
    let layout = state.anonymous_layout(Some(Notice::SessionExpired));
    let page = SignInPage { layout, login: String::new(), refusal: None, return_to: Some(target), typed: fields };
    page_with_status(StatusCode::FORBIDDEN, &page).unwrap_or_else(IntoResponse::into_response)
}

/// Where a form goes, and what is kept of it; `None` where nothing was typed, or a secret.
fn worth_keeping(target: String, mut sent: KeptFields) -> Option<(String, KeptFields)> {
    let mut target = target;
    if target == paths::CONFIRM_IDENTITY {
        // Itself a form that carries another one.
        let suite = sent.iter().find(|(name, _)| name == "confirmation-suite");
        target = suite.map(|(_, suite)| suite.clone()).filter(|suite| is_local_path(suite))?;
        sent.retain(|(name, _)| !name.starts_with(OWN_FIELDS));
    }
    // Without its secret it would be of no use.
    if sent.iter().any(|(name, _)| is_secret(name)) {
        return None;
    }
    let is_typed = sent.iter().any(|(name, value)| name != "jeton" && !value.trim().is_empty());
    let bytes: usize = sent.iter().map(|(name, value)| name.len() + value.len()).sum();
    (is_typed && bytes <= MAX_BYTES).then_some((target, sent))
}

/// Fields that nobody but their own act may see again.
fn is_secret(name: &str) -> bool {
    name.contains("mot-de-passe") || ["code", "nonce"].contains(&name)
}

/// A form of sign-in, and the one that it carries.
pub struct Carrying<T> {
    pub form: T,
    pub typed: KeptFields,
}

impl<T: DeserializeOwned> FromRequest<AppState> for Carrying<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let bytes = Bytes::from_request(Request::from_parts(parts.clone(), body), state).await;
        let bytes = bytes.map_err(IntoResponse::into_response)?;
        let typed = form_urlencoded::parse(&bytes)
            .filter_map(|(name, value)| Some((name.strip_prefix(CARRIED)?.to_owned(), value.into_owned())))
            .filter(|(name, _)| !is_secret(name))
            .collect();
        let request = Request::from_parts(parts, Body::from(bytes));
        let form = Form::<T>::from_request(request, state).await;
        form.map(|Form(form)| Self { form, typed }).map_err(IntoResponse::into_response)
    }
}

/// The page that offers a carried form to who has just signed in; `None` where there is none.
pub async fn resume(
    state: &AppState,
    session: &Session,
    target: Option<&str>,
    typed: KeptFields,
) -> Result<Option<Response>, AppError> {
    let Some(target) = target.filter(|target| is_local_path(target) && !typed.is_empty()) else { return Ok(None) };
    let Some(id) = session.id() else { return Ok(None) };
    let Some(person) = sessions::find_signed_in(&state.pool, &SessionSecret::new(id.0)).await? else { return Ok(None) };
    let layout = state.layout(&person, Tab::None, None);
    let needs_second_factor = must_set_up_second_factor(state, &person);
    page(&ResumedFormPage { layout, target: target.to_owned(), fields: typed, needs_second_factor }).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(target: &str, sent: &[(&str, &str)]) -> Option<(String, KeptFields)> {
        worth_keeping(target.into(), sent.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    #[test]
    fn secrets_are_not_carried_and_what_nobody_typed_is_nothing() {
        for secret in ["mot-de-passe-actuel", "nouveau-mot-de-passe", "code", "nonce"] {
            assert!(kept("/mon-compte", &[("identifiant", "sacha"), (secret, "x")]).is_none(), "{secret}");
        }
        assert!(kept("/structures/1/utilisateurs-techniques", &[("jeton", "x"), ("libelle", " ")]).is_none());
        let (_, fields) = kept("/structures/1", &[("code-postal", "35000")]).expect("typed");
        assert_eq!(fields, [("code-postal".to_owned(), "35000".to_owned())]);
        assert!(kept("/structures/1", &[("designation", &"x".repeat(MAX_BYTES))]).is_none());
    }

    #[test]
    fn a_confirmation_that_came_too_late_carries_what_it_carried() {
        let sent = [("confirmation-suite", "/structures/1"), ("confirmation-mot-de-passe", "x"), ("libelle", "Paie")];
        let (target, fields) = kept(paths::CONFIRM_IDENTITY, &sent).expect("typed");
        assert_eq!((target.as_str(), fields.len()), ("/structures/1", 1));
        assert!(kept(paths::CONFIRM_IDENTITY, &[("confirmation-suite", "//ailleurs.example"), ("a", "b")]).is_none());
    }
}
