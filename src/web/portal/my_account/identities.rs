//! The identities at the identity provider with which a person signs in.

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};

use super::refused;
use crate::{
    db::identity::provider_identities::linking::{self, Unlinking, WaysIn},
    domain::provider_attempt::Purpose,
    web::{
        edge::{error::AppError, state::AppState},
        identity::{
            fresh_form::{FreshForm, Nothing},
            provider::departure::{Departure, leave},
            session::Browser,
            visitor::Visitor,
        },
        paths,
        shell::notice::Notice,
    },
};

/// Where the page shows why a link stays.
const FIELD: &str = "comptes-associes";

const ONLY_WAY_IN: &str = "Sans ce compte, vous ne pourriez plus vous connecter. Associez-en d’abord un autre, ou \
    choisissez un mot de passe par « Mot de passe oublié », sur la page de connexion.";
const ONLY_ACCOUNT: &str = "Sans ce compte, vous ne pourriez plus vous connecter. Associez-en d’abord un autre.";

/// « Associer un compte … »: leaves for the provider.
pub async fn begin_linking(
    State(state): State<AppState>,
    visitor: Visitor,
    browser: Browser,
    FreshForm(Nothing {}): FreshForm<Nothing>,
) -> Result<Response, AppError> {
    let departure = Departure {
        purpose: Purpose::Linking,
        visitor: Some(&visitor),
        invitation: None,
        return_to: None,
        carried: &Vec::new(),
    };
    leave(&state, &browser, departure).await
}

/// « Dissocier ce compte ».
pub async fn unlink(
    State(state): State<AppState>,
    visitor: Visitor,
    browser: Browser,
    Path(id): Path<String>,
    FreshForm(Nothing {}): FreshForm<Nothing>,
) -> Result<Response, AppError> {
    let id = id.parse().map_err(|_| AppError::NotFound)?;
    let settings = &state.provider.as_ref().ok_or(AppError::NotFound)?.settings;
    let ways =
        WaysIn { without: id, passwords: state.takes_passwords(), issuer: &settings.issuer, label: &settings.label };
    let Visitor { person, session, actor, .. } = &visitor;
    match linking::unlink(&state.pool, actor, person.user_id, session, ways).await? {
        Unlinking::Unlinked(epoch) => {
            let answer = Redirect::to(&Notice::IdentityUnlinked.on(paths::MY_ACCOUNT)).into_response();
            Ok(browser.mark_again(&state, &person.login, epoch, answer))
        }
        Unlinking::NotFound => Err(AppError::NotFound),
        Unlinking::OnlyWayIn => {
            let message = if state.takes_passwords() { ONLY_WAY_IN } else { ONLY_ACCOUNT };
            refused(&state, &visitor, person.contact_address.clone(), FIELD, message.into()).await
        }
    }
}
