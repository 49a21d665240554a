//! Every URL of the service. Routes use the constants (axum patterns); redirects and templates use
//! the functions.

use percent_encoding::percent_decode_str;

pub const HOME: &str = "/";
pub const SIGN_IN: &str = "/connexion";
pub const SIGN_IN_CODE: &str = "/connexion/code";
pub const PROVIDER_SIGN_IN: &str = "/connexion/fournisseur";
/// Where the identity provider sends people back: `redirect_uri`.
pub const PROVIDER_CALLBACK: &str = "/connexion/fournisseur/retour";
pub const FORGOTTEN_PASSWORD: &str = "/mot-de-passe-oublie";
pub const CONFIRM_IDENTITY: &str = "/confirmation-identite";
pub const PROVIDER_CONFIRMATION: &str = "/confirmation-identite/fournisseur";
pub const SIGN_OUT: &str = "/deconnexion";
/// Where the provider sends people back after a sign-out: `post_logout_redirect_uri`.
pub const PROVIDER_SIGNED_OUT: &str = "/deconnexion/fournisseur";
pub const SESSION_EXTENSION: &str = "/session/prolongation";
pub const ACTIVITIES: &str = "/activites";
pub const OVERVIEW: &str = "/activites/utilisateurs-techniques";
pub const OVERVIEW_CSV: &str = "/activites/utilisateurs-techniques.csv";
/// What was chosen in « Utilisateurs techniques » and « Mes structures », before it is confirmed.
pub const ACCOUNTS_CHOICE: &str = "/activites/utilisateurs-techniques/choix";
pub const STRUCTURES_CHOICE: &str = "/activites/choix";
pub const DEADLINES: &str = "/activites/echeances";
pub const CALENDAR_LINK_END: &str = "/activites/echeances/revocation";
pub const DEADLINES_FILE: &str = "/activites/echeances.ics";
pub const MY_ACCOUNT: &str = "/mon-compte";
pub const MY_CONTACT_ADDRESS: &str = "/mon-compte/adresse-de-contact";
pub const MY_CONTACT_CONFIRMATION: &str = "/mon-compte/adresse-de-contact/confirmation";
pub const MY_PASSWORD: &str = "/mon-compte/mot-de-passe";
pub const MY_IDENTITIES: &str = "/mon-compte/fournisseur";
pub const MY_IDENTITY_END: &str = "/mon-compte/fournisseur/{id}/dissociation";
pub const MY_MEMBERSHIP_END: &str = "/mon-compte/rattachements/{id}/depart";
pub const MY_OTHER_SESSIONS_CLOSE: &str = "/mon-compte/sessions/fermeture";
pub const MY_SESSION_CLOSE: &str = "/mon-compte/sessions/{id}/fermeture";
pub const SECOND_FACTOR: &str = "/mon-compte/double-authentification";
pub const SECOND_FACTOR_SETUP: &str = "/mon-compte/double-authentification/activation";
pub const SECOND_FACTOR_CONFIRMATION: &str = "/mon-compte/double-authentification/confirmation";
pub const SECOND_FACTOR_END: &str = "/mon-compte/double-authentification/desactivation";
pub const RECOVERY_CODES: &str = "/mon-compte/double-authentification/codes-de-secours";
pub const MY_REQUESTS: &str = "/mon-compte/demandes-de-rattachement";
pub const MY_REQUEST_WITHDRAWAL: &str = "/mon-compte/demandes-de-rattachement/{id}/annulation";
pub const MY_OFFER: &str = "/mon-compte/propositions/{id}";
pub const MY_OFFER_ACCEPTANCE: &str = "/mon-compte/propositions/{id}/acceptation";
pub const MY_OFFER_REFUSAL: &str = "/mon-compte/propositions/{id}/refus";

pub const STRUCTURE: &str = "/structures/{id}";
pub const STRUCTURE_CARD: &str = "/structures/{id}/informations-generales";
pub const STRUCTURE_MANAGER: &str = "/structures/{id}/gestionnaire-principal";
pub const OFFER_WITHDRAWAL: &str = "/structures/{id}/gestionnaire-principal/annulation";
pub const MEMBER_INVITATION: &str = "/structures/{id}/membres/invitation";
pub const STRUCTURE_HISTORY: &str = "/structures/{id}/historique";
pub const STRUCTURE_HISTORY_CSV: &str = "/structures/{id}/historique.csv";
pub const TECHNICAL_USER_FORM: &str = "/structures/{id}/utilisateurs-techniques/nouveau";
pub const TECHNICAL_USERS: &str = "/structures/{id}/utilisateurs-techniques";

pub const MEMBER_ROLE: &str = "/rattachements/{id}/role";
pub const MEMBER_INVITATION_AGAIN: &str = "/rattachements/{id}/invitation";
pub const MEMBER_REMOVAL: &str = "/rattachements/{id}/retrait";
pub const MEMBER_REMOVALS: &str = "/rattachements/{id}/retraits";
pub const MEMBER_REMOVALS_CONFIRMATION: &str = "/rattachements/{id}/retraits/confirmation";
pub const REQUEST_ACCEPTANCE: &str = "/demandes-de-rattachement/{id}/validation";
pub const REQUEST_REFUSAL: &str = "/demandes-de-rattachement/{id}/refus";

pub const TECHNICAL_USER: &str = "/utilisateurs-techniques/{id}";
pub const LABEL: &str = "/utilisateurs-techniques/{id}/libelle";
pub const SUMMARY: &str = "/utilisateurs-techniques/{id}/recapitulatif";
pub const SUMMARY_CLOSE: &str = "/utilisateurs-techniques/{id}/recapitulatif/fermeture";
pub const CONNECTION_SHEET: &str = "/utilisateurs-techniques/{id}/informations-de-connexion";
pub const PASSWORD: &str = "/utilisateurs-techniques/{id}/mot-de-passe";
pub const FORMER_PASSWORD: &str = "/utilisateurs-techniques/{id}/ancien-mot-de-passe";
pub const SUSPENSION: &str = "/utilisateurs-techniques/{id}/suspension";
pub const REACTIVATION: &str = "/utilisateurs-techniques/{id}/reactivation";
pub const DELETION: &str = "/utilisateurs-techniques/{id}/suppression";
pub const HANDOVER: &str = "/utilisateurs-techniques/{id}/remise";
pub const HANDOVER_REVOCATION: &str = "/utilisateurs-techniques/{id}/remise/revocation";
pub const RESTRICTIONS: &str = "/utilisateurs-techniques/{id}/restrictions";
pub const RESTRICTIONS_CONFIRMATION: &str = "/utilisateurs-techniques/{id}/restrictions/confirmation";

pub const BATCHES: &str = "/lots";
pub const BATCH: &str = "/lots/{id}";
pub const BATCH_SHEETS: &str = "/lots/{id}/fiches";
pub const BATCH_CSV: &str = "/lots/{id}/logiciel";
pub const BATCH_ENCRYPTED: &str = "/lots/{id}/logiciel-chiffre";
pub const BATCH_CLOSE: &str = "/lots/{id}/fermeture";
pub const BATCH_HANDOVER: &str = "/lots/{id}/remise";

pub const INVITATION: &str = "/invitation/{token}";
pub const PROVIDER_INVITATION: &str = "/invitation/{token}/fournisseur";
pub const CALENDAR: &str = "/calendrier/{token}";
pub const ADDRESS_CONFIRMATION: &str = "/confirmation-adresse/{token}";
pub const HANDOVER_LINK: &str = "/remise/{token}";
/// The files of the page that a link of a hand-over has opened. Its nonce stands in the form.
pub const HANDOVER_SHEET: &str = "/remise/export/pdf";
pub const HANDOVER_CSV: &str = "/remise/export/csv";

pub const SITE_MAP: &str = "/plan-du-site";
pub const ACCESSIBILITY: &str = "/accessibilite";
pub const LEGAL_NOTICE: &str = "/mentions-legales";
pub const PERSONAL_DATA: &str = "/donnees-personnelles";
pub const COOKIES: &str = "/cookies";
pub const API_DOCUMENTATION: &str = "/documentation-api";

pub const API_TOKEN: &str = "/api/oauth/token";
pub const API_INTROSPECTION: &str = "/api/oauth/introspect";
pub const API_REVOCATION: &str = "/api/oauth/revoke";
pub const API_METADATA: &str = "/.well-known/oauth-authorization-server";
pub const API_SIGNING_KEYS: &str = "/.well-known/jwks.json";
pub const API_OWN_ACCOUNT: &str = "/api/moi";
/// Answers to every method, and below it to every path.
pub const API_VERIFICATION: &str = "/api/verification";
/// The same before a service, which the path names.
pub const API_SERVICE_VERIFICATION: &str = "/api/services/{service}/verification";
pub const API_HEALTH_CHECK: &str = "/cpro/transverses/v1/health-check";
pub const API_MEMBERSHIPS: &str = "/cpro/utilisateurs/v1/monCompte/recuperer/rattachements";

pub const API_DESCRIPTION: &str = "/api/openapi.json";
pub const API_SEARCH: &str = "/cpro/structures/v1/rechercher";
pub const API_CONSULT: &str = "/cpro/structures/v1/consulter";
pub const API_SERVICES: &str = "/cpro/structures/v1/lister/rattachementsutilisateur";
pub const API_STRUCTURE_SERVICES: &str = "/cpro/structures/v1/rechercher/services";
pub const API_STRUCTURE_SERVICE: &str = "/cpro/structures/v1/consulter/service";
pub const API_SPACES: &str = "/cpro/utilisateurs/v1/rechercher/espaces";
pub const API_SUPPLIERS: &str = "/cpro/transverses/v1/recuperer/structures/actives/fournisseur";
pub const API_RECIPIENTS: &str = "/cpro/transverses/v1/recuperer/structures/actives/destinataire";
pub const API_IDENTIFIER_TYPES: &str = "/cpro/transverses/v1/recuperer/typeidentifiant/structure";
pub const API_RECIPIENTS_FILE: &str = "/cpro/transverses/v1/telecharger/annuaire/destinataire";
pub const API_SIRET: &str = "/cpro/transverses/v1/consulter/information/siret";

/// Whether this route is a page or file that a secret link opens, or whose query holds a code.
#[must_use]
pub fn is_secret_link(route: &str) -> bool {
    route.contains("{token}") || route == PROVIDER_CALLBACK
}

/// The service that the path of a check names ([`API_SERVICE_VERIFICATION`], or a path below it). A
/// service's name needs no percent-encoding: one that is encoded is no service's.
#[must_use]
pub fn verified_service(path: &str) -> Option<&str> {
    path.strip_prefix("/api/services/")?.split('/').next()
}

/// The longest part of a path that is logged; a secret token is longer.
const LONGEST_LOGGED: usize = 32;

/// The path for the log: the route that matched, with its ids. A token is never filled in. Where no
/// route matched, the path may be another spelling of a secret link: only a plain first part of
/// few characters is logged.
#[must_use]
pub fn for_log(route: Option<&str>, path: &str) -> String {
    let is_plain = |part: &str| {
        part.len() <= LONGEST_LOGGED && part.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b))
    };
    let Some(route) = route else {
        let mut parts = path.strip_prefix('/').unwrap_or_default().splitn(2, '/');
        let first = parts.next().filter(|first| is_plain(first));
        return match (first, parts.next()) {
            (Some(first), None) => format!("/{first}"),
            (Some(first), Some(_)) => format!("/{first}/{{unknown}}"),
            (None, _) => "/{unknown}".into(),
        };
    };
    if !route.contains('{') {
        return route.to_owned();
    }
    let fill_in = |(pattern, part): (&str, &str)| match pattern {
        "{id}" => decoded_id(part).map_or_else(|| pattern.to_owned(), |id| id.to_string()),
        "{token}" => pattern.to_owned(),
        _ if pattern.starts_with('{') && is_plain(part) => part.to_owned(),
        _ => pattern.to_owned(),
    };
    route.split('/').zip(path.split('/')).map(fill_in).collect::<Vec<_>>().join("/")
}

/// The number that the handler reads there.
fn decoded_id(part: &str) -> Option<i64> {
    percent_decode_str(part).decode_utf8().ok()?.parse().ok()
}

/// The page of a form that downloads a file; `None` for any other form.
#[must_use]
pub fn page_of_download(path: &str) -> Option<&str> {
    let files = [BATCH_SHEETS, BATCH_CSV, BATCH_ENCRYPTED].map(|pattern| &pattern[BATCH.len()..]);
    files.into_iter().find_map(|file| path.strip_suffix(file)).filter(|page| page.starts_with(BATCHES))
}

/// The structure's history, filtered by one of its accounts.
#[must_use]
pub fn account_history(structure_id: impl std::fmt::Display, login: &str) -> String {
    let base = format!("{}?", structure_history(structure_id));
    form_urlencoded::Serializer::for_suffix(base.clone(), base.len()).append_pair("compte", login).finish()
}

/// The id of a technical user's row on « Fiche structure », which a link may lead to.
#[must_use]
pub fn account_row(id: impl std::fmt::Display) -> String {
    format!("compte-{id}")
}

/// A structure's page, at the row of one of its technical users.
#[must_use]
pub fn structure_at_account(structure_id: impl std::fmt::Display, account_id: impl std::fmt::Display) -> String {
    format!("{}#{}", structure(structure_id), account_row(account_id))
}

/// Fills the single `{…}` of a pattern.
fn fill(pattern: &str, value: impl std::fmt::Display) -> String {
    let open = pattern.find('{').unwrap_or(pattern.len());
    let close = pattern.find('}').map_or(pattern.len(), |at| at + 1);
    format!("{}{value}{}", &pattern[..open], &pattern[close..])
}

macro_rules! filled {
    ($($(#[$doc:meta])* $name:ident => $pattern:ident),* $(,)?) => {
        $($(#[$doc])* #[must_use] pub fn $name(id: impl std::fmt::Display) -> String { fill($pattern, id) })*
    };
}

filled! {
    my_membership_end => MY_MEMBERSHIP_END,
    my_identity_end => MY_IDENTITY_END,
    my_session_close => MY_SESSION_CLOSE,
    my_request_withdrawal => MY_REQUEST_WITHDRAWAL,
    my_offer => MY_OFFER,
    my_offer_acceptance => MY_OFFER_ACCEPTANCE,
    my_offer_refusal => MY_OFFER_REFUSAL,
    structure => STRUCTURE,
    member_invitation => MEMBER_INVITATION,
    structure_card => STRUCTURE_CARD,
    member_role => MEMBER_ROLE,
    member_invitation_again => MEMBER_INVITATION_AGAIN,
    member_removal => MEMBER_REMOVAL,
    member_removals => MEMBER_REMOVALS,
    member_removals_confirmation => MEMBER_REMOVALS_CONFIRMATION,
    request_acceptance => REQUEST_ACCEPTANCE,
    request_refusal => REQUEST_REFUSAL,
    structure_manager => STRUCTURE_MANAGER,
    offer_withdrawal => OFFER_WITHDRAWAL,
    structure_history => STRUCTURE_HISTORY,
    structure_history_csv => STRUCTURE_HISTORY_CSV,
    technical_user_form => TECHNICAL_USER_FORM,
    technical_users => TECHNICAL_USERS,
    technical_user => TECHNICAL_USER,
    label => LABEL,
    summary => SUMMARY,
    summary_close => SUMMARY_CLOSE,
    connection_sheet => CONNECTION_SHEET,
    password => PASSWORD,
    former_password => FORMER_PASSWORD,
    suspension => SUSPENSION,
    reactivation => REACTIVATION,
    deletion => DELETION,
    handover => HANDOVER,
    handover_revocation => HANDOVER_REVOCATION,
    restrictions => RESTRICTIONS,
    batch => BATCH,
    batch_sheets => BATCH_SHEETS,
    batch_csv => BATCH_CSV,
    batch_encrypted => BATCH_ENCRYPTED,
    batch_close => BATCH_CLOSE,
    batch_handover => BATCH_HANDOVER,
    restrictions_confirmation => RESTRICTIONS_CONFIRMATION,
    invitation => INVITATION,
    provider_invitation => PROVIDER_INVITATION,
    calendar => CALENDAR,
    address_confirmation => ADDRESS_CONFIRMATION,
    handover_link => HANDOVER_LINK,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str = "AixbgTZV9sc54kboQEgrEe69eXE1J5P2B6HKPAb8T44";

    #[test]
    fn a_path_is_logged_by_its_route_and_its_ids() {
        assert_eq!(for_log(Some(INVITATION), &invitation(TOKEN)), INVITATION);
        assert_eq!(for_log(Some(STRUCTURE), "/structures/7"), "/structures/7");
        assert_eq!(for_log(Some(STRUCTURE), &format!("/structures/%30{}%37", "0".repeat(2000))), "/structures/7");
        assert_eq!(for_log(Some(STRUCTURE), &structure(TOKEN)), STRUCTURE);
        assert_eq!(for_log(Some(HOME), "/"), "/");
        assert_eq!(for_log(Some("/static/{hash}/{name}"), "/static/fa10/app.js"), "/static/fa10/app.js");
        assert_eq!(for_log(Some("/static/{hash}/{name}"), &format!("/static/a/{TOKEN}")), "/static/a/{name}");
        assert_eq!(for_log(None, "/wp-login.php"), "/wp-login.php");
        assert_eq!(for_log(None, "/.env/x"), "/.env/{unknown}");
        assert_eq!(for_log(None, "*"), "/");
        assert_eq!(for_log(None, &format!("/{TOKEN}")), "/{unknown}");
    }

    /// A link's path with letters percent-encoded, in capitals, and with more slashes.
    fn spelled(link: &str, ways: &[u8]) -> String {
        let mut ways = ways.iter().cycle();
        link.chars().fold(String::new(), |spelled, c| match ways.next() {
            Some(0) => format!("{spelled}%{:02x}", u32::from(c)),
            Some(1) => format!("{spelled}%25{:02X}", u32::from(c)),
            Some(2) if c == '/' => spelled + "//",
            Some(3) if !TOKEN.contains(c) => format!("{spelled}{}", c.to_ascii_uppercase()),
            _ => format!("{spelled}{c}"),
        })
    }

    proptest! {
        #[test]
        fn no_spelling_of_a_link_brings_its_token_into_the_log(
            ways in prop::collection::vec(0_u8..12, 1..60), is_matched in any::<bool>(),
            before in "/{0,2}(static/|\\./|x/)?", after in "(/|//|\\.|;x|%00)?"
        ) {
            for (route, link) in
                [(INVITATION, invitation(TOKEN)), (CALENDAR, calendar(TOKEN)), (HANDOVER_LINK, handover_link(TOKEN))]
            {
                let path = before.clone() + &spelled(&link, &ways) + &after;
                let logged = for_log(is_matched.then_some(route), &path);
                // Nothing of the token's letters, however they are written.
                prop_assert!(logged.len() <= 45 && !logged.contains('%'), "{path}: {logged}");
                let part = |at: usize| &TOKEN[at..at + 8];
                prop_assert!((0..TOKEN.len() - 8).all(|at| !logged.contains(part(at))), "{path}: {logged}");
            }
        }
    }
}
