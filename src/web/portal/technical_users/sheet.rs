//! The files that a shown password is exported to: one account's PDF.

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::restrictions_view::RestrictionsView;
use crate::{
    db::{structures::ManagedStructure, technical_users::ManagedTechnicalUser},
    domain::password::Password,
    french,
    pdf::{self, ConnectionSheet},
    web::{edge::error::AppError, paths, shell::filters},
};

/// The PDF of one account, issued at this moment.
pub fn connection_sheet(
    api_url: &str,
    account: &ManagedTechnicalUser,
    password: &Password,
    issued_at: OffsetDateTime,
    restrictions: &RestrictionsView,
) -> Result<Zeroizing<Vec<u8>>, AppError> {
    let (account, structure) = (account.account(), account.structure());
    let address = postal_address(structure);
    let identifier =
        format!("{} {}", structure.identifier_type().code(), filters::spaced_identifier(structure.identifier()));
    let (networks, structures) = restrictions.lines();
    let (token_url, documentation_url) =
        (format!("{api_url}{}", paths::API_TOKEN), format!("{api_url}{}", paths::API_DOCUMENTATION));
    let sheet = ConnectionSheet {
        service_name: "Raccord",
        login: &account.login,
        label: account.label.as_deref(),
        password: password.expose(),
        contact_address: structure.contact_address(),
        networks: networks.as_deref(),
        structures: structures.as_deref(),
        structure_designation: structure.designation(),
        structure_identifier: &identifier,
        structure_address: &address.iter().map(String::as_str).collect::<Vec<_>>(),
        api_url,
        token_url: &token_url,
        documentation_url: &documentation_url,
        expires_on: &french::day(account.expires_at),
        issued_on: &french::moment(issued_at),
        issued_at,
    };
    pdf::render(&sheet).map_err(|error| AppError::Internal(error.to_string()))
}

/// The structure's postal address, line by line, without empty lines.
pub fn postal_address(structure: &ManagedStructure) -> Vec<String> {
    let card = structure.card();
    let city = format!("{} {}", card.postal_code, card.city).trim().to_owned();
    let lines = [
        card.address_line.clone(),
        card.address_extra_1.clone(),
        card.address_extra_2.clone(),
        city,
        card.country.clone(),
    ];
    lines.into_iter().filter(|line| !line.is_empty()).collect()
}

/// A PDF to be saved, named after the account's login.
pub fn download(login: &str, pdf: &[u8]) -> Result<Response, AppError> {
    let name = format!("attachment; filename=\"raccord-{login}.pdf\"");
    let name = HeaderValue::from_str(&name).map_err(|error| AppError::Internal(error.to_string()))?;
    let mut response = pdf.to_vec().into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/pdf"));
    response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    Ok(response)
}
