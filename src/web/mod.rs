//! The HTTP service. [`routes`] lists the portal's pages, [`api::routes`] the API's calls.

// Every handler returns `AppError`; its variants are documented in `edge::error`.
#![allow(clippy::missing_errors_doc)]

pub mod api;
pub mod edge;
mod form_fields;
pub mod identity;
pub mod paths;
pub mod portal;
pub mod shell;

use axum::{
    Extension, Router,
    http::Method,
    middleware::{from_fn, from_fn_with_state},
    routing::{MethodRouter, get, post},
};
use tower_http::{catch_panic::CatchPanicLayer, limit::RequestBodyLimitLayer};
use tower_sessions::{Expiry, SessionManagerLayer, cookie::SameSite};

use api::{near_misses, state::ApiState};
use edge::{assets, body_limit::MAX_BODY_BYTES, error_pages, middleware, probes, route::Route, state::AppState};
use identity::{
    address_confirmation, code, confirmation, forgotten_password, invitation, kept_form,
    provider::{arrival, departure, sign_out},
    session, sign_in,
};
use portal::{
    activities::{self, calendar, choice, overview},
    members::{self, removals, requests},
    my_account::{self, identities, offers, second_factor},
    static_pages,
    structures::{self, history, succession},
    technical_users::{self, batches, confirmations, creation, handover, handover_link, label, restrictions, summary},
};

fn page(path: &'static str, handler: MethodRouter<AppState>) -> Route {
    Route { method: Method::GET, path, handler, keeps_form: false }
}

/// A form of a signed-in person.
fn act(path: &'static str, handler: MethodRouter<AppState>) -> Route {
    Route { method: Method::POST, path, handler, keeps_form: true }
}

/// A form that needs no session, or ends it.
fn open_act(path: &'static str, handler: MethodRouter<AppState>) -> Route {
    Route { method: Method::POST, path, handler, keeps_form: false }
}

/// Every page and every form of the portal. The tests iterate over this list: a route that no test
/// covers fails.
pub fn routes() -> Vec<Route> {
    [routes_of_identity(), routes_of_managers(), routes_of_people()].into_iter().flatten().collect()
}

/// Sign-in, its second factor, and what links by mail open.
fn routes_of_identity() -> Vec<Route> {
    vec![
        page(paths::HOME, get(sign_in::home)),
        page(paths::SIGN_IN, get(sign_in::form)),
        open_act(paths::SIGN_IN, post(sign_in::submit)),
        page(paths::SIGN_IN_CODE, get(code::form)),
        open_act(paths::SIGN_IN_CODE, post(code::submit)),
        open_act(paths::PROVIDER_SIGN_IN, post(departure::sign_in)),
        page(paths::PROVIDER_CALLBACK, get(arrival::arrive)),
        open_act(paths::SIGN_OUT, post(sign_in::sign_out)),
        page(paths::PROVIDER_SIGNED_OUT, get(sign_out::signed_out)),
        act(paths::SESSION_EXTENSION, post(sign_in::extend_session)),
        act(paths::CONFIRM_IDENTITY, post(confirmation::submit)),
        act(paths::PROVIDER_CONFIRMATION, post(departure::confirm)),
        page(paths::FORGOTTEN_PASSWORD, get(forgotten_password::form)),
        open_act(paths::FORGOTTEN_PASSWORD, post(forgotten_password::ask)),
        page(paths::INVITATION, get(invitation::invitation)),
        open_act(paths::INVITATION, post(invitation::accept_invitation)),
        open_act(paths::PROVIDER_INVITATION, post(departure::accept_invitation)),
        page(paths::ADDRESS_CONFIRMATION, get(address_confirmation::page)),
        open_act(paths::ADDRESS_CONFIRMATION, post(address_confirmation::confirm)),
        page(paths::HANDOVER_LINK, get(handover_link::page)),
        open_act(paths::HANDOVER_LINK, post(handover_link::open)),
        open_act(paths::HANDOVER_SHEET, post(handover_link::sheet)),
        open_act(paths::HANDOVER_CSV, post(handover_link::csv)),
    ]
}

/// Structures, their members and technical users.
fn routes_of_managers() -> Vec<Route> {
    vec![
        page(paths::ACTIVITIES, get(activities::page)),
        page(paths::OVERVIEW, get(overview::page)),
        page(paths::OVERVIEW_CSV, get(overview::csv)),
        page(paths::ACCOUNTS_CHOICE, get(choice::accounts)),
        page(paths::STRUCTURES_CHOICE, get(choice::structures)),
        act(paths::BATCHES, post(choice::confirm)),
        page(paths::BATCH, get(batches::page)),
        act(paths::BATCH_SHEETS, post(batches::sheets)),
        act(paths::BATCH_CSV, post(batches::csv)),
        act(paths::BATCH_ENCRYPTED, post(batches::encrypted_csv)),
        act(paths::BATCH_CLOSE, post(batches::close)),
        page(paths::BATCH_HANDOVER, get(batches::handover::form)),
        act(paths::BATCH_HANDOVER, post(batches::handover::create)),
        page(paths::DEADLINES, get(calendar::page)),
        act(paths::DEADLINES, post(calendar::make_link)),
        act(paths::CALENDAR_LINK_END, post(calendar::revoke_link)),
        page(paths::DEADLINES_FILE, get(calendar::file)),
        page(paths::CALENDAR, get(calendar::subscription)),
        page(paths::STRUCTURE, get(structures::page)),
        act(paths::STRUCTURE, post(structures::edit)),
        page(paths::STRUCTURE_CARD, get(structures::card_form)),
        page(paths::STRUCTURE_HISTORY, get(history::page)),
        page(paths::STRUCTURE_HISTORY_CSV, get(history::csv)),
        page(paths::STRUCTURE_MANAGER, get(succession::confirmation)),
        act(paths::STRUCTURE_MANAGER, post(succession::offer)),
        act(paths::OFFER_WITHDRAWAL, post(succession::withdraw)),
        page(paths::MEMBER_INVITATION, get(members::invitation)),
        act(paths::MEMBER_INVITATION, post(members::invite)),
        page(paths::MEMBER_ROLE, get(members::role)),
        act(paths::MEMBER_ROLE, post(members::change_role)),
        act(paths::MEMBER_INVITATION_AGAIN, post(members::invite_again)),
        page(paths::MEMBER_REMOVAL, get(members::removal)),
        act(paths::MEMBER_REMOVAL, post(members::remove)),
        page(paths::MEMBER_REMOVALS, get(removals::form)),
        act(paths::MEMBER_REMOVALS, post(removals::check)),
        act(paths::MEMBER_REMOVALS_CONFIRMATION, post(removals::confirm)),
        act(paths::REQUEST_ACCEPTANCE, post(requests::accept)),
        act(paths::REQUEST_REFUSAL, post(requests::refuse)),
        page(paths::TECHNICAL_USER_FORM, get(creation::form)),
        act(paths::TECHNICAL_USERS, post(creation::create)),
        page(paths::TECHNICAL_USER, get(technical_users::page)),
        act(paths::LABEL, post(label::change_label)),
        page(paths::SUMMARY, get(summary::page)),
        act(paths::SUMMARY_CLOSE, post(summary::close)),
        act(paths::CONNECTION_SHEET, post(summary::export)),
        page(paths::PASSWORD, get(confirmations::reset_password)),
        act(paths::PASSWORD, post(technical_users::reset_password)),
        page(paths::FORMER_PASSWORD, get(confirmations::end_former_password)),
        act(paths::FORMER_PASSWORD, post(technical_users::end_former_password)),
        page(paths::SUSPENSION, get(confirmations::suspend)),
        act(paths::SUSPENSION, post(technical_users::suspend)),
        page(paths::REACTIVATION, get(confirmations::reactivate)),
        act(paths::REACTIVATION, post(technical_users::reactivate)),
        page(paths::DELETION, get(confirmations::delete)),
        act(paths::DELETION, post(technical_users::delete)),
        page(paths::HANDOVER, get(handover::form)),
        act(paths::HANDOVER, post(handover::create)),
        page(paths::HANDOVER_REVOCATION, get(confirmations::revoke_handover)),
        act(paths::HANDOVER_REVOCATION, post(handover::revoke)),
        page(paths::RESTRICTIONS, get(restrictions::form)),
        act(paths::RESTRICTIONS, post(restrictions::step)),
        act(paths::RESTRICTIONS_CONFIRMATION, post(restrictions::confirm)),
    ]
}

/// « Mon compte », and the pages about the service.
fn routes_of_people() -> Vec<Route> {
    vec![
        page(paths::MY_ACCOUNT, get(my_account::page)),
        act(paths::MY_CONTACT_ADDRESS, post(my_account::change_contact_address)),
        act(paths::MY_CONTACT_CONFIRMATION, post(my_account::send_confirmation_again)),
        act(paths::MY_PASSWORD, post(my_account::change_password)),
        act(paths::MY_IDENTITIES, post(identities::begin_linking)),
        act(paths::MY_IDENTITY_END, post(identities::unlink)),
        page(paths::MY_MEMBERSHIP_END, get(my_account::departure::confirmation)),
        act(paths::MY_MEMBERSHIP_END, post(my_account::departure::leave)),
        act(paths::MY_OTHER_SESSIONS_CLOSE, post(my_account::close_other_sessions)),
        act(paths::MY_SESSION_CLOSE, post(my_account::close_session)),
        page(paths::SECOND_FACTOR, get(second_factor::page)),
        act(paths::SECOND_FACTOR_SETUP, post(second_factor::begin)),
        act(paths::SECOND_FACTOR_CONFIRMATION, post(second_factor::confirm)),
        act(paths::SECOND_FACTOR_END, post(second_factor::disable)),
        act(paths::RECOVERY_CODES, post(second_factor::renew_codes)),
        page(paths::MY_OFFER, get(offers::page)),
        act(paths::MY_OFFER_ACCEPTANCE, post(offers::accept)),
        act(paths::MY_OFFER_REFUSAL, post(offers::decline)),
        page(paths::MY_REQUESTS, get(requests::page)),
        act(paths::MY_REQUESTS, post(requests::ask)),
        act(paths::MY_REQUEST_WITHDRAWAL, post(requests::withdraw)),
        page(paths::SITE_MAP, get(static_pages::site_map)),
        page(paths::ACCESSIBILITY, get(static_pages::accessibility)),
        page(paths::LEGAL_NOTICE, get(static_pages::legal_notice)),
        page(paths::PERSONAL_DATA, get(static_pages::personal_data)),
        page(paths::COOKIES, get(static_pages::cookies)),
        page(paths::API_DOCUMENTATION, get(static_pages::api_documentation)),
    ]
}

/// The whole service: portal, API, static files, monitoring.
pub fn router(state: AppState, api: ApiState) -> Router {
    let sessions = SessionManagerLayer::new(session::WrittenSessions)
        .with_name(state.session_cookie())
        .with_secure(state.is_public_https())
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_path("/")
        .with_expiry(Expiry::OnSessionEnd);
    let keep_form = from_fn_with_state(state.clone(), kept_form::keep);
    let pages = routes().into_iter().fold(Router::new(), |router, route| {
        let handler = if route.keeps_form { route.handler.route_layer(keep_form.clone()) } else { route.handler };
        router.route(route.path, handler)
    });
    let portal = pages
        .fallback(error_pages::not_found)
        .layer(sessions)
        .layer(from_fn(middleware::wipe_stack))
        .layer(Extension(kept_form::KnownForms(&form_fields::FORMS)))
        .layer(from_fn_with_state(state.clone(), middleware::same_origin_only))
        .route(assets::PATH, get(assets::file));
    guarded(portal, api::router(api), state)
}

/// Adds the layers around portal and API: limits, time limit, and a response to every failure,
/// including panics.
fn guarded(portal: Router<AppState>, calls: Router<AppState>, state: AppState) -> Router {
    portal
        .layer(from_fn(middleware::limit_url_length))
        .layer(RequestBodyLimitLayer::new(MAX_BODY_BYTES))
        .layer(CatchPanicLayer::custom(error_pages::panicked))
        .layer(from_fn_with_state(error_pages::timed_out as middleware::TimeoutResponse, middleware::limit_time))
        .layer(from_fn_with_state(state.clone(), error_pages::render_errors))
        .layer(from_fn(near_misses::answer))
        .merge(calls)
        .merge(probes::router())
        .layer(from_fn_with_state(state.clone(), middleware::log_and_set_headers))
        .with_state(state)
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request, response::Response};
    use sqlx::postgres::PgConnectOptions;
    use tower::ServiceExt;

    use super::*;
    use crate::{db, settings::Settings};

    async fn panicking() -> &'static str {
        panic!("at a line of the source, with its details")
    }

    async fn get_text(router: &Router, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer: Response = router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), MAX_BODY_BYTES).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_panic_is_one_answer_that_tells_nothing_and_the_rest_goes_on() {
        let settings = Settings::read(|_| None).unwrap();
        let state = AppState::new(db::pool(PgConnectOptions::new(), 1), settings).unwrap();
        let portal = Router::new().route("/page", get(panicking));
        let calls = api::guarded(Router::new().route("/call", get(panicking)));
        let router = guarded(portal, calls, state);
        for (path, says) in [("/page", "<title>Erreur 500"), ("/call", "\"codeRetour\"")] {
            let (status, body) = get_text(&router, path).await;
            assert_eq!(status, 500, "{path}");
            assert!(body.contains(says) && !body.contains("source"), "{body}");
        }
        assert_eq!(get_text(&router, "/livez").await.0, 200);
    }
}
