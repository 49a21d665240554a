//! The portal's errors: each [`AppError`] becomes a status, for which `error_pages` renders a page.
//! Causes go to the log only.

use askama::Template;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use thiserror::Error;

use super::shares::UsedUp;
use crate::{
    db::{self, availability},
    secret_keys::KeyFileError,
    web::{paths, shell::notice::Notice},
    work_queue::Busy,
};

/// Why a request failed.
#[derive(Debug, Error)]
pub enum AppError {
    /// No session; `expired` where there was one. Redirects to « Connexion », which then leads to
    /// `return_to`.
    #[error("not signed in")]
    SignInRequired { expired: bool, return_to: Option<String> },
    /// The person must set up a second factor before anything else.
    #[error("second factor required")]
    SecondFactorRequired,
    #[error("bad request")]
    BadRequest,
    #[error("forbidden")]
    Forbidden,
    #[error("not found")]
    NotFound,
    #[error("conflict")]
    Conflict,
    #[error("unprocessable form")]
    Unprocessable,
    #[error("too many requests")]
    TooManyRequests { seconds: u32 },
    /// The database or the hashing queue cannot serve now.
    #[error("unavailable: {0}")]
    Unavailable(String),
    #[error("internal: {0}")]
    Internal(String),
}

impl From<sqlx::Error> for AppError {
    fn from(error: sqlx::Error) -> Self {
        if availability::is_unavailable(&error) {
            Self::Unavailable(error.to_string())
        } else if db::is_unstorable_text(&error) {
            Self::BadRequest
        } else {
            Self::Internal(error.to_string())
        }
    }
}

impl From<Busy> for AppError {
    fn from(busy: Busy) -> Self {
        Self::Unavailable(busy.to_string())
    }
}

impl From<UsedUp> for AppError {
    fn from(_: UsedUp) -> Self {
        Self::TooManyRequests { seconds: 10 }
    }
}

impl From<KeyFileError> for AppError {
    fn from(error: KeyFileError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<askama::Error> for AppError {
    fn from(error: askama::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<tower_sessions::session::Error> for AppError {
    fn from(error: tower_sessions::session::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl AppError {
    /// Whether the portal failed, not the request.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.status().is_server_error()
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::SignInRequired { .. } | Self::SecondFactorRequired => StatusCode::SEE_OTHER,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        if self.status().is_server_error() {
            tracing::error!(cause = self.to_string(), "request failed");
        }
        let retry_after = match &self {
            Self::SignInRequired { expired, return_to } => return to_sign_in(*expired, return_to.as_deref()),
            Self::SecondFactorRequired => return Redirect::to(paths::SECOND_FACTOR).into_response(),
            Self::TooManyRequests { seconds } => Some(*seconds),
            Self::Unavailable(_) => Some(2),
            _ => None,
        };
        let response = self.status().into_response();
        match retry_after {
            Some(seconds) => with_retry_after(response, seconds),
            None => response,
        }
    }
}

/// Adds `Retry-After`.
fn with_retry_after(mut response: Response, seconds: u32) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// Turns a form that shows its errors into a 429 response with `Retry-After`.
pub fn rate_limited(mut page: Response, seconds: u32) -> Response {
    *page.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    with_retry_after(page, seconds)
}

fn to_sign_in(expired: bool, return_to: Option<&str>) -> Response {
    let base = if expired { Notice::SessionExpired.on(paths::SIGN_IN) } else { paths::SIGN_IN.to_owned() };
    let url = match return_to {
        Some(page) if page != paths::HOME => {
            let start = format!("{base}{}", if expired { '&' } else { '?' });
            let start_length = start.len();
            form_urlencoded::Serializer::for_suffix(start, start_length).append_pair("suite", page).finish()
        }
        _ => base,
    };
    Redirect::to(&url).into_response()
}

/// Response extension: the body is already a page (a form with its errors), so no error page
/// replaces it.
#[derive(Clone, Copy)]
pub(super) struct RenderedPage;

/// Marks the response to a form that was not sent from the portal's own address.
#[derive(Clone, Copy)]
pub(super) struct OtherOrigin;

/// A rendered page with this status.
pub fn page_with_status(status: StatusCode, page: &impl Template) -> Result<Response, AppError> {
    let mut response = (status, Html(page.render()?)).into_response();
    response.extensions_mut().insert(RenderedPage);
    Ok(response)
}

/// A rendered page.
pub fn page(page: &impl Template) -> Result<Response, AppError> {
    page_with_status(StatusCode::OK, page)
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing::subscriber::with_default;

    use super::*;

    /// Collects what is logged.
    #[derive(Clone, Default)]
    struct CapturedLog(Arc<Mutex<Vec<u8>>>);

    impl io::Write for CapturedLog {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_cause_is_one_line_of_the_log_whatever_it_holds() {
        crate::process::log_panics();
        let cause = "one\r\n2026-01-01T00:00:00Z  INFO raccord: forged\u{1b}[2J";
        let fail = || drop(AppError::Internal(cause.into()).into_response());
        let panic = || drop(std::panic::catch_unwind(|| panic!("{cause}")));
        for (says, act) in [("request failed", &fail as &dyn Fn()), ("a panic", &panic)] {
            for json in [false, true] {
                let captured = CapturedLog::default();
                let writer = captured.clone();
                let log = tracing_subscriber::fmt().with_writer(move || writer.clone());
                if json {
                    with_default(log.json().finish(), act);
                } else {
                    with_default(log.finish(), act);
                }
                let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
                assert!(text.contains(says) && text.contains("forged"), "{text:?}");
                assert_eq!(text.trim_end_matches('\n').chars().filter(|c| c.is_control()).count(), 0, "{text:?}");
            }
        }
        drop(std::panic::take_hook());
    }
}
