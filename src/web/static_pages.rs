//! The pages behind the footer's links.

use axum::{extract::State, response::Response};

use super::{
    error::{AppError, page},
    layout::{Layout, Tab},
    pages::static_pages::{
        AccessibilityPage, ApiDocumentationPage, CookiesPage, LegalNoticePage, PersonalDataPage, SiteMapPage,
    },
    state::AppState,
    visitor::Visitor,
};
use crate::domain::password;

type Answer = Result<Response, AppError>;
/// These pages are open to all; somebody who is signed in keeps her menu.
type Anybody = Result<Visitor, AppError>;

fn layout(state: &AppState, visitor: Anybody) -> Layout {
    match visitor {
        Ok(visitor) => state.layout(&visitor.person, Tab::None, None),
        Err(_) => state.anonymous_layout(None),
    }
}

pub async fn site_map(State(state): State<AppState>, visitor: Anybody) -> Answer {
    page(&SiteMapPage { layout: layout(&state, visitor) })
}

pub async fn accessibility(State(state): State<AppState>, visitor: Anybody) -> Answer {
    page(&AccessibilityPage { layout: layout(&state, visitor) })
}

pub async fn legal_notice(State(state): State<AppState>, visitor: Anybody) -> Answer {
    page(&LegalNoticePage { layout: layout(&state, visitor) })
}

pub async fn personal_data(State(state): State<AppState>, visitor: Anybody) -> Answer {
    page(&PersonalDataPage { layout: layout(&state, visitor) })
}

pub async fn cookies(State(state): State<AppState>, visitor: Anybody) -> Answer {
    page(&CookiesPage { layout: layout(&state, visitor) })
}

pub async fn api_documentation(State(state): State<AppState>, visitor: Anybody) -> Answer {
    page(&ApiDocumentationPage {
        layout: layout(&state, visitor),
        api_url: state.settings.public_url.clone(),
        password_pattern: password::PATTERN,
        password_alphabet: password::ALPHABET,
    })
}
