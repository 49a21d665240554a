//! Forms that are sent after their session has ended: sign-in carries their fields along in hidden
//! fields, and then offers the form to be sent again. The server stores none of it.

use axum::{
    Extension, Form,
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
    session::secret_of,
    visitor::{Visitor, must_set_up_second_factor},
};
use crate::{
    db::identity::sessions,
    domain::envelope::SessionSecret,
    web::{
        edge::{
            error::{AppError, page, page_with_status},
            redirect_guard::is_local_path,
            state::AppState,
        },
        paths,
        shell::{layout::Tab, notice::Notice},
    },
};

/// The prefix of carried fields among those of sign-in itself.
const CARRIED: &str = "saisie-";

/// The longest form that is carried, in bytes of names and values: twice our longest.
const MAX_BYTES: usize = 16 * 1024;
/// The most fields that are carried.
const MAX_FIELDS: usize = 64;

/// A field that people fill in.
pub struct Field {
    pub name: &'static str,
    pub caption: &'static str,
    /// A value in the words of the form: those of a choice for its code.
    pub words: fn(&str) -> &str,
}

/// The fields of the portal's forms, by the pattern of the URL that takes them.
#[derive(Clone, Copy)]
pub struct KnownForms(pub &'static [(&'static str, &'static [Field])]);

impl KnownForms {
    /// What people typed in the form of `target`, by caption. Leaves out what the form has hidden,
    /// and names that are none of its own.
    pub(super) fn typed(self, target: &str, sent: &KeptFields) -> Vec<(&'static str, String)> {
        let path = target.split('?').next().unwrap_or_default();
        let form = self.0.iter().find(|(pattern, _)| matches(pattern, path));
        let fields = form.map_or(&[][..], |(_, fields)| *fields);
        let known = |name: &str| fields.iter().find(|field| field.name == name);
        sent.iter()
            .filter_map(|(name, value)| {
                known(name).map(|field| (field.caption, (field.words)(value).trim().to_owned()))
            })
            .collect()
    }
}

/// Whether a path is one of a pattern, in which `{…}` stands for any segment.
fn matches(pattern: &str, path: &str) -> bool {
    let (mut expected, mut segments) = (pattern.split('/'), path.split('/'));
    expected
        .by_ref()
        .all(|expected| segments.next().is_some_and(|segment| expected.starts_with('{') || expected == segment))
        && segments.next().is_none()
}

/// The fields of a carried form, in their order. Empty where there is none.
pub type KeptFields = Vec<(String, String)>;

/// Middleware before an act that requires a signed-in visitor. Without one, and where something was
/// typed, answers with « Connexion », which carries the form. A visitor who must set up a second
/// factor first gets a page that carries it until then. Other requests pass.
pub async fn keep(
    State(state): State<AppState>,
    Extension(forms): Extension<KnownForms>,
    cookie: Session,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let visitor = Visitor::from_request_parts(&mut parts, &state).await;
    let Err(asked @ (AppError::SignInRequired { .. } | AppError::SecondFactorRequired)) = visitor else {
        return next.run(Request::from_parts(parts, body)).await;
    };
    let target = parts.uri.path().to_owned();
    let Ok(Form(sent)) = Form::<KeptFields>::from_request(Request::from_parts(parts, body), &state).await else {
        return asked.into_response();
    };
    let Some((target, fields)) = worth_keeping(target, sent) else { return asked.into_response() };
    if let (AppError::SecondFactorRequired, Some(session)) = (&asked, secret_of(&cookie)) {
        let resumed = resume(&state, forms, &session, Some(&target), fields).await;
        return resumed.map_or_else(IntoResponse::into_response, |page| page.unwrap_or_else(|| asked.into_response()));
    }
    let layout = state.anonymous_layout(Some(Notice::SessionExpired));
    let page = SignInPage::new(&state, layout, Some(target), fields);
    page_with_status(StatusCode::FORBIDDEN, &page).unwrap_or_else(IntoResponse::into_response)
}

/// The form's target and the fields to keep; `None` where nothing was typed, or a secret was.
fn worth_keeping(target: String, mut sent: KeptFields) -> Option<(String, KeptFields)> {
    let mut target = target;
    if [paths::CONFIRM_IDENTITY, paths::PROVIDER_CONFIRMATION].contains(&target.as_str()) {
        // The confirmation carries another form.
        let suite = sent.iter().find(|(name, _)| name == "confirmation-suite");
        target = suite.map(|(_, suite)| suite.clone()).filter(|suite| is_local_path(suite))?;
        sent.retain(|(name, _)| !name.starts_with(OWN_FIELDS));
    }
    // A form without its secret would be of no use.
    if sent.iter().any(|(name, _)| is_secret(name)) {
        return None;
    }
    let is_typed = sent.iter().any(|(name, value)| name != "jeton" && !value.trim().is_empty());
    (is_typed && is_short(&sent)).then_some((target, sent))
}

/// Whether it is no longer than our longest forms, so that a page may repeat it.
pub(super) fn is_short(fields: &KeptFields) -> bool {
    let bytes: usize = fields.iter().map(|(name, value)| name.len() + value.len()).sum();
    fields.len() <= MAX_FIELDS && bytes <= MAX_BYTES
}

/// Fields that no page may show again. `cle` is a public key, in place of which people may paste
/// the private one.
fn is_secret(name: &str) -> bool {
    name.contains("mot-de-passe") || ["cle", "code", "nonce"].contains(&name)
}

/// A form of sign-in, and the one that it carries.
pub struct Carrying<T> {
    pub form: T,
    pub typed: KeptFields,
    pub forms: KnownForms,
}

impl<T: DeserializeOwned> FromRequest<AppState> for Carrying<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let forms = Extension::<KnownForms>::from_request_parts(&mut parts, state).await;
        let Extension(forms) = forms.map_err(IntoResponse::into_response)?;
        let bytes = Bytes::from_request(Request::from_parts(parts.clone(), body), state).await;
        let bytes = bytes.map_err(IntoResponse::into_response)?;
        let typed: KeptFields = form_urlencoded::parse(&bytes)
            .filter_map(|(name, value)| Some((name.strip_prefix(CARRIED)?.to_owned(), value.into_owned())))
            .filter(|(name, _)| !is_secret(name))
            .collect();
        // A page that repeats whatever a stranger sends costs far more than reading it.
        let typed = if is_short(&typed) { typed } else { KeptFields::new() };
        let request = Request::from_parts(parts, Body::from(bytes));
        let form = Form::<T>::from_request(request, state).await;
        form.map(|Form(form)| Self { form, typed, forms }).map_err(IntoResponse::into_response)
    }
}

/// The page that offers a carried form to the person of a session; `None` where there is none.
pub async fn resume(
    state: &AppState,
    forms: KnownForms,
    session: &SessionSecret,
    target: Option<&str>,
    typed: KeptFields,
) -> Result<Option<Response>, AppError> {
    let Some(target) = target.filter(|target| is_local_path(target) && !typed.is_empty()) else { return Ok(None) };
    let Some(person) = sessions::find_signed_in(&state.pool, session).await? else { return Ok(None) };
    let layout = state.layout(&person, Tab::None, None);
    let needs_second_factor = must_set_up_second_factor(state, &person);
    let listed = forms.typed(target, &typed);
    page(&ResumedFormPage { layout, target: target.to_owned(), fields: typed, listed, needs_second_factor }).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(target: &str, sent: &[(&str, &str)]) -> Option<(String, KeptFields)> {
        worth_keeping(target.into(), sent.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    #[test]
    fn secrets_are_not_carried_and_empty_fields_are_nothing() {
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
