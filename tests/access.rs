//! Every route of the portal × every kind of person. The rows come from the router's own list: a
//! route without one fails.

use axum::{
    body::Body,
    http::{Method, Request},
};
use raccord::{
    domain::{role::Role, technical_user::TechnicalUserStatus},
    web,
};

use crate::common::{Browser, Call, Takes, TestPortal, cpro_account, form};

/// Which visitors a route is open to.
#[derive(Clone, Copy, PartialEq)]
enum Open {
    /// Also without a session.
    Public,
    SignedIn,
    /// Principal managers of any structure.
    AnyManager,
    /// The principal manager of the structure. Others get 404.
    ItsManager,
}

// One line for each family of routes.
#[allow(clippy::match_same_arms)]
fn rule(method: &Method, path: &str) -> Open {
    match (method.as_str(), path) {
        ("GET" | "POST", "/connexion" | "/mot-de-passe-oublie" | "/invitation/{token}") | ("POST", "/deconnexion") => {
            Open::Public
        }
        ("GET" | "POST", "/confirmation-adresse/{token}") => Open::Public,
        // The token, and the nonce of the page that it opens, are the credentials.
        ("GET" | "POST", "/remise/{token}") => Open::Public,
        ("POST", "/remise/export/pdf" | "/remise/export/csv") => Open::Public,
        // Without an identity provider, these answer 404 to whoever asks.
        ("POST", "/connexion/fournisseur" | "/invitation/{token}/fournisseur") => Open::Public,
        ("GET", "/connexion/fournisseur/retour" | "/deconnexion/fournisseur") => Open::Public,
        ("POST", "/confirmation-identite/fournisseur" | "/mon-compte/fournisseur") => Open::SignedIn,
        // Of an own identity; others get 404.
        ("POST", "/mon-compte/fournisseur/{id}/dissociation") => Open::SignedIn,
        ("POST", "/session/prolongation") => Open::SignedIn,
        ("POST", "/confirmation-identite") => Open::SignedIn,
        // Between password and code; others are redirected.
        ("GET" | "POST", "/connexion/code") => Open::SignedIn,
        ("GET" | "POST", path) if path.starts_with("/mon-compte/double-authentification") => Open::SignedIn,
        ("GET", "/plan-du-site" | "/accessibilite" | "/mentions-legales" | "/donnees-personnelles" | "/cookies") => {
            Open::Public
        }
        ("GET", "/documentation-api") => Open::Public,
        ("GET", "/" | "/mon-compte") => Open::SignedIn,
        ("POST", "/mon-compte/adresse-de-contact" | "/mon-compte/mot-de-passe") => Open::SignedIn,
        ("POST", "/mon-compte/adresse-de-contact/confirmation") => Open::SignedIn,
        ("POST", "/mon-compte/sessions/{id}/fermeture" | "/mon-compte/sessions/fermeture") => Open::SignedIn,
        // Of an own membership; others get 404.
        ("GET" | "POST", "/mon-compte/rattachements/{id}/depart") => Open::SignedIn,
        // Of an offer to this person; others get 404.
        ("GET", "/mon-compte/propositions/{id}") => Open::SignedIn,
        ("POST", "/mon-compte/propositions/{id}/acceptation") => Open::SignedIn,
        ("POST", "/mon-compte/propositions/{id}/refus") => Open::SignedIn,
        ("GET" | "POST", "/mon-compte/demandes-de-rattachement") => Open::SignedIn,
        ("POST", "/mon-compte/demandes-de-rattachement/{id}/annulation") => Open::SignedIn,
        ("GET", path) if path.starts_with("/activites") => Open::AnyManager,
        ("POST", "/activites/echeances" | "/activites/echeances/revocation") => Open::AnyManager,
        // Who manages nothing is refused once the form is read.
        ("POST", "/lots") => Open::SignedIn,
        ("GET" | "POST", path) if path.starts_with("/lots/{id}") => Open::ItsManager,
        // The token is the credential; this one does not exist.
        ("GET", "/calendrier/{token}") => Open::Public,
        ("GET" | "POST", "/structures/{id}" | "/structures/{id}/gestionnaire-principal") => Open::ItsManager,
        ("GET", "/structures/{id}/informations-generales") => Open::ItsManager,
        ("POST", "/structures/{id}/gestionnaire-principal/annulation") => Open::ItsManager,
        ("GET", "/structures/{id}/historique" | "/structures/{id}/historique.csv") => Open::ItsManager,
        ("GET" | "POST", "/structures/{id}/membres/invitation") => Open::ItsManager,
        ("GET" | "POST", "/rattachements/{id}/role" | "/rattachements/{id}/retrait") => Open::ItsManager,
        ("POST", "/rattachements/{id}/invitation") => Open::ItsManager,
        ("GET" | "POST", "/rattachements/{id}/retraits") => Open::ItsManager,
        ("POST", "/rattachements/{id}/retraits/confirmation") => Open::ItsManager,
        ("POST", "/demandes-de-rattachement/{id}/validation") => Open::ItsManager,
        ("POST", "/demandes-de-rattachement/{id}/refus") => Open::ItsManager,
        ("GET", "/structures/{id}/utilisateurs-techniques/nouveau") => Open::ItsManager,
        ("POST", "/structures/{id}/utilisateurs-techniques") => Open::ItsManager,
        ("GET", "/utilisateurs-techniques/{id}" | "/utilisateurs-techniques/{id}/recapitulatif") => Open::ItsManager,
        ("POST", "/utilisateurs-techniques/{id}/recapitulatif/fermeture") => Open::ItsManager,
        ("POST", "/utilisateurs-techniques/{id}/informations-de-connexion") => Open::ItsManager,
        ("POST", "/utilisateurs-techniques/{id}/libelle") => Open::ItsManager,
        ("GET" | "POST", path) if path.starts_with("/utilisateurs-techniques/{id}/") => Open::ItsManager,
        (method, path) => panic!("{method} {path} has no row in this table"),
    }
}

async fn status(browser: &Browser, method: &Method, path: &str) -> (u16, String) {
    let call = if method == Method::POST { Call::post_form(path, &[]) } else { Call::get(path) };
    let answer = browser.send(call).await;
    (answer.status.as_u16(), answer.header("location").unwrap_or_default().to_owned())
}

#[tokio::test]
async fn every_route_is_open_to_the_people_it_should_be_and_to_no_others() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let account = portal.technical_user(&structure, &manager).await;
    let (stranger, secondary, member) =
        (portal.person("Sacha").await, portal.person("Noa").await, portal.person("Lou").await);
    portal.attach(&secondary, &structure, Role::SecondaryManager).await;
    portal.attach(&member, &structure, Role::User).await;
    let membership = portal.membership_of(&member).await;
    let request = portal.membership_request(&stranger, &structure).await;
    let batch = portal.finished_batch(&manager).await;
    let (other_manager, _) = portal.manager_with_structures("Alix", 1).await;
    let former = portal.person("Maxime").await;
    portal.attach(&former, &structure, Role::PrincipalManager).await;
    portal.attach(&manager, &structure, Role::PrincipalManager).await;
    let people = [
        ("anonymous", None, false),
        ("stranger", Some(&stranger), false),
        ("secondary manager", Some(&secondary), false),
        ("plain member", Some(&member), false),
        ("former manager", Some(&former), false),
        ("manager of another structure", Some(&other_manager), true),
    ];
    for route in web::routes() {
        let id = match route.path.split('/').nth(1) {
            Some("utilisateurs-techniques") => account,
            Some("rattachements") => membership,
            Some("lots") => batch,
            Some("demandes-de-rattachement") => request,
            _ => structure.id,
        };
        let path = route.path.replace("{id}", &id.to_string()).replace("{token}", "aucune");
        for (who, person, manages) in people {
            let browser = match person {
                Some(person) => portal.signed_in(person).await,
                None => portal.browser(),
            };
            let (status, location) = status(&browser, &route.method, &path).await;
            let to_sign_in = status == 303 && location.starts_with("/connexion") && route.path != "/deconnexion";
            let row = format!("{} {path} for {who}: {status} {location}", route.method);
            match rule(&route.method, route.path) {
                Open::Public => assert!(!to_sign_in && status != 403, "{row}"),
                _ if person.is_none() => assert!(to_sign_in, "{row}"),
                Open::SignedIn => assert!(!to_sign_in && status < 500, "{row}"),
                // An act without a page of its own leads back to one.
                // A form of which nothing was chosen is shown again with its error.
                Open::AnyManager if manages => assert!([200, 303, 422].contains(&status) && !to_sign_in, "{row}"),
                Open::AnyManager => assert_eq!(status, 403, "{row}"),
                Open::ItsManager => assert_eq!(status, 404, "{row}"),
            }
        }
    }
}

#[tokio::test]
async fn the_manager_opens_every_page_and_no_act_passes_without_its_form() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let member = portal.person("Lou").await;
    portal.attach(&member, &structure, Role::User).await;
    let membership = portal.membership_of(&member).await;
    let (_, offered) = portal.manager_with_structures("Alix", 1).await;
    portal.attach(&manager, &offered[0], Role::User).await;
    portal.offer(&offered[0], &manager).await;
    let own = portal.find_membership(&manager).await.expect("a membership");
    let batch = portal.finished_batch(&manager).await;
    let browser = portal.signed_in(&manager).await;
    for route in web::routes() {
        let account = portal.technical_user(&structure, &manager).await;
        let id = match route.path.split('/').nth(1) {
            Some("mon-compte") if route.path.starts_with("/mon-compte/propositions/") => offered[0].id,
            Some("mon-compte") => own,
            Some("utilisateurs-techniques") => account,
            Some("rattachements") => membership,
            Some("lots") => batch,
            _ => structure.id,
        };
        let path = route.path.replace("{id}", &id.to_string());
        if matches!(rule(&route.method, route.path), Open::ItsManager | Open::SignedIn) && route.method == Method::GET {
            let answer = browser.get(&path).await;
            assert!(matches!(answer.status.as_u16(), 200 | 303), "{path}");
            let is_page =
                answer.status == 200 && answer.header("content-type").is_some_and(|kind| kind.contains("html"));
            assert!(!is_page || answer.page().has_form("/deconnexion"), "{path} has a sign-out");
        }
        if route.method == Method::POST {
            let foreign = Call::post_form(&path, &[]).with("sec-fetch-site", "cross-site");
            assert_eq!(browser.send(foreign).await.status, 403, "{path}");
            let unknown =
                Call::post_form(&path, &[]).without_fetch_metadata().with("origin", "https://ailleurs.example");
            assert_eq!(browser.send(unknown).await.status, 403, "{path}");
        }
        portal.set_status(account, TechnicalUserStatus::Deleted).await;
    }
}

#[tokio::test]
async fn malformed_requests_are_refused_and_never_break() {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    for id in ["0", "-1", "99999999999999999999", "abc", "%00", "%ff", "1%2F2"] {
        assert_eq!(browser.get(&format!("/structures/{id}")).await.status, 404, "{id}");
    }
    let long = "x".repeat(70_000);
    for route in web::routes().into_iter().filter(|route| route.method == Method::POST && route.path != "/deconnexion")
    {
        let path = route.path.replace("{id}", &structure.id.to_string()).replace("{token}", "aucune");
        for body in [
            "",
            "a",
            "jeton",
            "%",
            "%ff=%ff",
            "membre=%00",
            "designation=%00&adresse=&complement=&code-postal=&ville=&pays=&courriel=&telephone=&statut=",
            "identifiant=%00&mot-de-passe=%00",
            "jeton=aaaaaaaaaaaaaaaaaaaa&libelle=%00",
            "jeton=a&jeton=b",
            "nonce=%00",
            "adresse-de-contact=%00",
            "adresse=%00&prenom=%00&nom=%00&role=%00",
            "adresse=a@b.fr&prenom=a&nom=b&role=UTILISATEUR",
            "type-identifiant=AUTRE&identifiant=%00",
            long.as_str(),
        ] {
            let status = browser.send(Call::post(&path, body)).await.status.as_u16();
            assert!(status < 500, "{path} {body:.40}: {status}");
        }
        let json = browser.send(Call::post(&path, "{}").with("content-type", "application/json")).await;
        assert!(!json.status.is_server_error(), "{path}");
    }
}

/// Which caller a call of the API is open to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Caller {
    /// Also without a credential.
    Public,
    /// By its headers.
    TechnicalUser,
    /// By the client's credential of the form.
    TechnicalUserByForm,
    /// By the client's credential of the form.
    Service,
}

fn caller(method: &Method, path: &str) -> Caller {
    match (method.as_str(), path) {
        ("GET", "/api/openapi.json" | "/.well-known/oauth-authorization-server" | "/.well-known/jwks.json") => {
            Caller::Public
        }
        ("POST", "/api/oauth/token" | "/api/oauth/revoke") => Caller::TechnicalUserByForm,
        ("POST", "/api/oauth/introspect") => Caller::Service,
        ("GET", "/api/moi" | "/api/verification" | "/api/services/{service}/verification") => Caller::TechnicalUser,
        (_, path) if path.starts_with("/cpro/") => Caller::TechnicalUser,
        (method, path) => panic!("{method} {path} has no row"),
    }
}

#[tokio::test]
async fn every_call_is_open_to_its_callers_and_to_no_other() {
    let portal = TestPortal::start().await;
    portal.anne_and_bruno().await;
    let account = portal.account(1).await;
    let service = portal.service("factures", Takes::EveryToken).await;
    let technical = (account.login.as_str(), account.password.expose());
    let of_service = (service.client_id.as_str(), service.secret.as_str());
    let person = ("anne@mairie.fr", crate::common::PASSWORD);
    let callers = [("", ""), technical, of_service, person];
    for (number, (login, secret)) in callers.into_iter().enumerate() {
        for by_form in [false, true] {
            for (place, route) in web::api::routes().into_iter().enumerate() {
                // Each from another network, so that no delay applies.
                let program = portal.program().with_address(&format!("10.{number}.{place}.{}", u8::from(by_form)));
                let fields = [
                    ("grant_type", "client_credentials"),
                    ("token", "x"),
                    ("client_id", login),
                    ("client_secret", secret),
                ];
                let is_form = route.path.starts_with("/api/oauth/");
                let path = route.path.replace("{service}", &service.name);
                let mut request = Request::builder().method(route.method.clone()).uri(path);
                if !by_form && !login.is_empty() {
                    request = request.header("cpro-account", cpro_account(login, secret));
                }
                let kind = if is_form { "application/x-www-form-urlencoded" } else { "application/json" };
                let sent = if is_form && by_form { form(&fields) } else { String::new() };
                let answer = program.send(request.header("content-type", kind).body(Body::from(sent)).unwrap()).await;
                let wanted = caller(&route.method, route.path);
                let opens = match wanted {
                    Caller::Public => true,
                    Caller::TechnicalUser => !by_form && (login, secret) == technical,
                    Caller::TechnicalUserByForm => by_form && (login, secret) == technical,
                    Caller::Service => by_form && (login, secret) == of_service,
                };
                let what = format!("{} {} as {login:?}, by form: {by_form}", route.method, route.path);
                if opens {
                    assert!(![401, 403, 404].contains(&answer.status.as_u16()), "{what}: {}", answer.body_text());
                } else {
                    assert!([400, 401].contains(&answer.status.as_u16()), "{what}: {}", answer.body_text());
                    assert!(answer.status != 401 || answer.header("www-authenticate").is_some(), "{what}");
                }
            }
        }
    }
}
