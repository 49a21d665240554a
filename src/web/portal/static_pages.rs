//! Pages without data: those of the footer's links, and the API's documentation.

use askama::Template;
use axum::{extract::State, response::Response};

use crate::{
    domain::{password, service},
    web::{
        edge::{
            error::{AppError, page},
            state::AppState,
        },
        identity::visitor::Visitor,
        shell::layout::{Layout, ProviderButton, Tab},
    },
};

type Answer = Result<Response, AppError>;
/// These pages need no sign-in. Signed-in visitors keep their navigation.
type AnyVisitor = Result<Visitor, AppError>;

fn layout(state: &AppState, visitor: AnyVisitor) -> Layout {
    match visitor {
        Ok(visitor) => state.layout(&visitor.person, Tab::None, None),
        Err(_) => state.anonymous_layout(None),
    }
}

pub async fn site_map(State(state): State<AppState>, visitor: AnyVisitor) -> Answer {
    page(&SiteMapPage { layout: layout(&state, visitor) })
}

pub async fn accessibility(State(state): State<AppState>, visitor: AnyVisitor) -> Answer {
    page(&AccessibilityPage { layout: layout(&state, visitor) })
}

pub async fn legal_notice(State(state): State<AppState>, visitor: AnyVisitor) -> Answer {
    page(&LegalNoticePage { layout: layout(&state, visitor) })
}

pub async fn personal_data(State(state): State<AppState>, visitor: AnyVisitor) -> Answer {
    page(&PersonalDataPage { provider: state.provider_button(), layout: layout(&state, visitor) })
}

pub async fn cookies(State(state): State<AppState>, visitor: AnyVisitor) -> Answer {
    page(&CookiesPage { provider: state.provider_button(), layout: layout(&state, visitor) })
}

pub async fn api_documentation(State(state): State<AppState>, visitor: AnyVisitor) -> Answer {
    page(&ApiDocumentationPage {
        layout: layout(&state, visitor),
        api_url: state.settings.public_url.clone(),
        password_pattern: password::PATTERN,
        service_secret_pattern: service::SECRET_PATTERN,
        password_alphabet: password::ALPHABET,
    })
}

/// « Plan du site ».
#[derive(Template)]
#[template(path = "static_pages/site_map.html")]
pub struct SiteMapPage {
    pub layout: Layout,
}

/// « Accessibilité : non conforme ».
#[derive(Template)]
#[template(path = "static_pages/accessibility.html")]
pub struct AccessibilityPage {
    pub layout: Layout,
}

/// « Mentions légales ».
#[derive(Template)]
#[template(path = "static_pages/legal_notice.html")]
pub struct LegalNoticePage {
    pub layout: Layout,
}

/// « Données personnelles ».
#[derive(Template)]
#[template(path = "static_pages/personal_data.html")]
pub struct PersonalDataPage {
    pub layout: Layout,
    /// The identity provider, where people sign in with one.
    pub provider: Option<ProviderButton>,
}

/// « Gestion des cookies ».
#[derive(Template)]
#[template(path = "static_pages/cookies.html")]
pub struct CookiesPage {
    pub layout: Layout,
    /// The identity provider, where people sign in with one.
    pub provider: Option<ProviderButton>,
}

/// « Documentation de l’API ».
#[derive(Template)]
#[template(path = "static_pages/api_documentation.html")]
pub struct ApiDocumentationPage {
    pub layout: Layout,
    pub api_url: String,
    /// The format of a technical user's password, for secret scanners.
    pub password_pattern: &'static str,
    /// The format of a service's secret.
    pub service_secret_pattern: &'static str,
    /// The digits of its checksum.
    pub password_alphabet: &'static str,
}
