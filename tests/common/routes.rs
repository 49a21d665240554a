//! The portal's routes, filled in.

use axum::http::Method;
use raccord::web;

use super::{browser::Call, program::HEALTH};

/// A route's path with an id that the manager may act on, and a token that does not exist.
pub fn at_home(path: &str, account: i64, structure: i64) -> String {
    let id = if path.starts_with("/utilisateurs-techniques") { account } else { structure };
    path.replace("{id}", &id.to_string()).replace("{token}", "aucune").replace("{service}", "factures")
}

/// Calls for every kind of answer: pages, files, the API's, health checks, and refusals.
pub fn calls_of_every_kind(account: i64, structure: i64) -> Vec<Call> {
    let pages = web::routes().into_iter().map(|route| (route.method, route.path));
    let mut routes: Vec<_> =
        pages.chain(web::api::routes().into_iter().map(|route| (route.method, route.path))).collect();
    routes.retain(|(_, path)| *path != "/deconnexion");
    // Reading first: acts may end what reading would show.
    routes.sort_by_key(|(method, _)| *method != Method::GET);
    let call_to = |path| Call::get(&at_home(path, account, structure));
    let mut calls: Vec<Call> = routes.into_iter().map(|(method, path)| call_to(path).method(method)).collect();
    for path in ["/livez", "/readyz", "/aucune", "/api/aucune", "/static/0/app.js", "/structures/%ff"] {
        calls.push(Call::get(path));
    }
    calls.push(Call::get(&format!("/connexion?{}", "x".repeat(9_000))));
    calls.push(Call::post("/connexion", vec![b'x'; 70_000]));
    calls.push(Call::post_form("/connexion", &[]).with("sec-fetch-site", "cross-site"));
    calls.push(Call::get("/connexion").method(Method::PUT));
    calls.push(Call::get(HEALTH).method(Method::PUT));
    calls
}
