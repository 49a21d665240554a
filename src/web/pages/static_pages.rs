use askama::Template;

use crate::web::layout::Layout;

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
}

/// « Gestion des cookies ».
#[derive(Template)]
#[template(path = "static_pages/cookies.html")]
pub struct CookiesPage {
    pub layout: Layout,
}

/// « Documentation de l’API ».
#[derive(Template)]
#[template(path = "static_pages/api_documentation.html")]
pub struct ApiDocumentationPage {
    pub layout: Layout,
    pub api_url: String,
    /// The form of a technical password, for secret scanners.
    pub password_pattern: &'static str,
    /// The digits of its checksum.
    pub password_alphabet: &'static str,
}
