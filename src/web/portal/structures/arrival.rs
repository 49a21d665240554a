//! From the récapitulatif back to « Fiche structure », at the row of the account.

use axum::{
    extract::{Path, Request},
    http::{HeaderValue, header},
    middleware::Next,
    response::Response,
};

use crate::web::paths;

/// Lets a redirection to a structure's page lead to the row of the account that the request is
/// about.
pub async fn at_account(Path(account_id): Path<i64>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let Some(structure) = location.filter(|url| url.starts_with("/structures/")) else { return response };
    let row = format!("{structure}#{}", paths::account_row(account_id));
    if let Ok(row) = HeaderValue::try_from(row) {
        response.headers_mut().insert(header::LOCATION, row);
    }
    response
}
