//! Gives every refusal its page, in the layout, with the request number.

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
    error::{AppError, IsPage},
    state::AppState,
};
use crate::web::shell::layout::{Layout, Tab};

/// What answers a URL that is none of ours.
pub async fn not_found() -> AppError {
    AppError::NotFound
}

/// What answers when a handler panicked.
pub fn panicked(_: Box<dyn Any + Send>) -> Response {
    AppError::Internal("a handler panicked".into()).into_response()
}

/// What answers when a page took too long.
pub fn too_late() -> Response {
    AppError::Unavailable("the request took too long".into()).into_response()
}

/// Gives every refusal its page, also those that the framework made (unreadable forms, bodies too
/// large, wrong methods).
pub async fn render_errors(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let context = request.extensions().get::<RequestContext>().cloned().unwrap_or_default();
    let response = next.run(request).await;
    let status = response.status();
    let is_refusal = status.is_client_error() || status.is_server_error();
    if !is_refusal || response.extensions().get::<IsPage>().is_some() {
        return response;
    }
    let page = ErrorPage {
        layout: state.layout_of(context.signed_in_user(), Tab::None, None),
        status: status.as_u16(),
        request_number: context.number.to_string(),
    };
    let Ok(html) = page.render() else { return response };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    Response::from_parts(parts, html.into())
}

/// Any error page: the status chooses the words.
#[derive(Template)]
#[template(path = "edge/error.html")]
pub struct ErrorPage {
    pub layout: Layout,
    pub status: u16,
    pub request_number: String,
}
