//! Renders the page of every error response, with the request number.

use std::any::Any;

use askama::Template;
use axum::{
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    context::RequestContext,
    error::{AppError, OtherOrigin, RenderedPage},
    state::AppState,
};
use crate::web::shell::layout::{Layout, Tab};

/// Answers an unknown URL.
pub async fn not_found() -> AppError {
    AppError::NotFound
}

/// Answers where a handler panicked.
pub fn panicked(_: Box<dyn Any + Send>) -> Response {
    AppError::Internal("a handler panicked".into()).into_response()
}

/// Answers where a request exceeded its time limit.
pub fn timed_out() -> Response {
    AppError::Unavailable("the request took too long".into()).into_response()
}

/// Replaces the body of every error response by a page, also of those that the framework made
/// (unreadable forms, bodies too large, wrong methods).
pub async fn render_errors(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let context = request.extensions().get::<RequestContext>().cloned().unwrap_or_default();
    let response = next.run(request).await;
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || response.extensions().get::<RenderedPage>().is_some() {
        return response;
    }
    let is_elsewhere = response.extensions().get::<OtherOrigin>().is_some();
    let page = ErrorPage {
        layout: state.layout_of(context.signed_in_user(), Tab::None, None),
        status: status.as_u16(),
        request_number: context.number.to_string(),
        portal_url: is_elsewhere.then(|| state.settings.public_url.clone()),
    };
    let Ok(html) = page.render() else { return response };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    Response::from_parts(parts, html.into())
}

/// The template chooses its text by the status.
#[derive(Template)]
#[template(path = "edge/error.html")]
struct ErrorPage {
    layout: Layout,
    status: u16,
    request_number: String,
    /// Where the portal is, if the request was sent from another address.
    portal_url: Option<String>,
}
