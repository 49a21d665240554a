//! Every URL of the service. Routes use the constants (axum patterns); redirects and templates use
//! the functions.

pub const HOME: &str = "/";
pub const SIGN_IN: &str = "/connexion";
pub const SIGN_IN_CODE: &str = "/connexion/code";
pub const FORGOTTEN_PASSWORD: &str = "/mot-de-passe-oublie";
pub const CONFIRM_IDENTITY: &str = "/confirmation-identite";
pub const SIGN_OUT: &str = "/deconnexion";
pub const SESSION_EXTENSION: &str = "/session/prolongation";
pub const ACTIVITIES: &str = "/activites";
pub const OVERVIEW: &str = "/activites/utilisateurs-techniques";
pub const OVERVIEW_CSV: &str = "/activites/utilisateurs-techniques.csv";
pub const DEADLINES: &str = "/activites/echeances";
pub const DEADLINES_FILE: &str = "/activites/echeances.ics";
pub const MY_ACCOUNT: &str = "/mon-compte";
pub const MY_CONTACT_ADDRESS: &str = "/mon-compte/adresse-de-contact";
pub const MY_CONTACT_CONFIRMATION: &str = "/mon-compte/adresse-de-contact/confirmation";
pub const MY_PASSWORD: &str = "/mon-compte/mot-de-passe";
pub const MY_SESSION_CLOSE: &str = "/mon-compte/sessions/{id}/fermeture";
pub const SECOND_FACTOR: &str = "/mon-compte/double-authentification";
pub const SECOND_FACTOR_SETUP: &str = "/mon-compte/double-authentification/activation";
pub const SECOND_FACTOR_CONFIRMATION: &str = "/mon-compte/double-authentification/confirmation";
pub const SECOND_FACTOR_END: &str = "/mon-compte/double-authentification/desactivation";
pub const RECOVERY_CODES: &str = "/mon-compte/double-authentification/codes-de-secours";
pub const MY_REQUESTS: &str = "/mon-compte/demandes-de-rattachement";
pub const MY_REQUEST_WITHDRAWAL: &str = "/mon-compte/demandes-de-rattachement/{id}/annulation";

pub const STRUCTURE: &str = "/structures/{id}";
pub const STRUCTURE_MANAGER: &str = "/structures/{id}/gestionnaire-principal";
pub const MEMBER_INVITATION: &str = "/structures/{id}/membres/invitation";
pub const STRUCTURE_HISTORY: &str = "/structures/{id}/historique";
pub const STRUCTURE_HISTORY_CSV: &str = "/structures/{id}/historique.csv";
pub const TECHNICAL_USER_FORM: &str = "/structures/{id}/utilisateurs-techniques/nouveau";
pub const TECHNICAL_USERS: &str = "/structures/{id}/utilisateurs-techniques";

pub const MEMBER_ROLE: &str = "/rattachements/{id}/role";
pub const MEMBER_REMOVAL: &str = "/rattachements/{id}/retrait";
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

pub const INVITATION: &str = "/invitation/{token}";
pub const CALENDAR: &str = "/calendrier/{token}";
pub const ADDRESS_CONFIRMATION: &str = "/confirmation-adresse/{token}";

pub const SITE_MAP: &str = "/plan-du-site";
pub const ACCESSIBILITY: &str = "/accessibilite";
pub const LEGAL_NOTICE: &str = "/mentions-legales";
pub const PERSONAL_DATA: &str = "/donnees-personnelles";
pub const COOKIES: &str = "/cookies";
pub const API_DOCUMENTATION: &str = "/documentation-api";

pub const API_TOKEN: &str = "/api/oauth/token";
pub const API_HEALTH_CHECK: &str = "/cpro/transverses/v1/health-check";
pub const API_MEMBERSHIPS: &str = "/cpro/utilisateurs/v1/monCompte/recuperer/rattachements";

pub const API_DESCRIPTION: &str = "/api/openapi.json";
pub const API_SEARCH: &str = "/cpro/structures/v1/rechercher";
pub const API_CONSULT: &str = "/cpro/structures/v1/consulter";
pub const API_SERVICES: &str = "/cpro/structures/v1/lister/rattachementsutilisateur";

/// The path for the log: without the secret token of a link.
#[must_use]
pub fn for_log(path: &str) -> &str {
    let is_of = |pattern: &&str| pattern.split_once('{').is_some_and(|(before, _)| path.starts_with(before));
    [INVITATION, CALENDAR, ADDRESS_CONFIRMATION].into_iter().find(is_of).unwrap_or(path)
}

/// The structure's history, filtered by one of its accounts.
#[must_use]
pub fn account_history(structure_id: impl std::fmt::Display, login: &str) -> String {
    let base = format!("{}?", structure_history(structure_id));
    form_urlencoded::Serializer::for_suffix(base.clone(), base.len()).append_pair("compte", login).finish()
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
    my_session_close => MY_SESSION_CLOSE,
    my_request_withdrawal => MY_REQUEST_WITHDRAWAL,
    structure => STRUCTURE,
    member_invitation => MEMBER_INVITATION,
    member_role => MEMBER_ROLE,
    member_removal => MEMBER_REMOVAL,
    request_acceptance => REQUEST_ACCEPTANCE,
    request_refusal => REQUEST_REFUSAL,
    structure_manager => STRUCTURE_MANAGER,
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
    invitation => INVITATION,
    calendar => CALENDAR,
    address_confirmation => ADDRESS_CONFIRMATION,
}
