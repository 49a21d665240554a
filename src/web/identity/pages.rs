//! Views of sign-in and of the confirmation of identity.

use askama::Template;
use time::OffsetDateTime;

use crate::{
    db::identity::invitations::Invited,
    domain::{role::Role, rotation::Grace, structure_identifier::IdentifierType},
    web::shell::{filters, form::Errors, layout::Layout},
};

/// « Connexion ».
#[derive(Template)]
#[template(path = "identity/sign_in.html")]
pub struct SignInPage {
    pub layout: Layout,
    pub login: String,
    pub refusal: Option<SignInRefusal>,
    /// The page asked for before signing in, sent back with the form.
    pub return_to: Option<String>,
    /// What was typed in a form that came too late, to be sent there after signing in.
    pub typed: Vec<(String, String)>,
}

/// Why a sign-in was refused.
pub enum SignInRefusal {
    WrongCredentials,
    TechnicalAccount,
    TooManyAttempts { seconds: u32 },
}

/// « Code de vérification »: the second step.
#[derive(Template)]
#[template(path = "identity/code.html")]
pub struct SignInCodePage {
    pub layout: Layout,
    /// As [`SignInPage::typed`].
    pub typed: Vec<(String, String)>,
    pub errors: Errors,
}

/// « Reprenez votre saisie »: a form that came too late, offered to who has signed in since.
#[derive(Template)]
#[template(path = "identity/resumed_form.html")]
pub struct ResumedFormPage {
    pub layout: Layout,
    /// The URL that the form was sent to.
    pub target: String,
    pub fields: Vec<(String, String)>,
    /// Whether the person must set up her second factor before the form can be sent.
    pub needs_second_factor: bool,
}

impl ResumedFormPage {
    /// What people typed, as their form named it; not what the form knew by itself.
    fn typed(&self) -> Vec<(&'static str, String)> {
        let fields = self.fields.iter();
        fields.filter_map(|(name, value)| Some((caption(&self.target, name)?, spoken(name, value)))).collect()
    }
}

/// The words beside a field of one of our forms. `None` for hidden ones, and for names that are
/// none of ours.
fn caption(target: &str, name: &str) -> Option<&'static str> {
    Some(match name {
        "libelle" => "Libellé",
        "designation" => "Désignation",
        "adresse" if target.ends_with("/membres/invitation") => "Adresse électronique",
        "adresse" => "Adresse",
        "complement" => "Complément d’adresse",
        "complement-2" => "Complément d’adresse (suite)",
        "code-postal" => "Code postal",
        "ville" => "Ville",
        "pays" => "Pays",
        "courriel" => "Adresse électronique",
        "telephone" => "Téléphone",
        "statut" => "Statut",
        "prenom" => "Prénom",
        "nom" => "Nom",
        "role" => "Rôle",
        "type-identifiant" => "Type d’identifiant",
        "identifiant" => "Identifiant de la structure",
        "adresse-de-contact" => "Adresse de contact",
        "ancien" => "Ancien mot de passe",
        _ => return None,
    })
}

/// A value as people chose it: the words of a choice instead of its code.
fn spoken(name: &str, value: &str) -> String {
    let words = match (name, value) {
        ("statut", "ACTIVE") => "Active",
        ("statut", "INACTIVE") => "Inactive",
        ("role", code) => Role::given(code).map_or(code, |role| role.label()),
        ("type-identifiant", code) => IdentifierType::parse(code).map_or(code, |kind| kind.label()),
        ("ancien", hours) => Grace::parse(hours).map_or(hours, |grace| grace.label()),
        (_, typed) => typed.trim(),
    };
    words.to_owned()
}

/// « Confirmez votre identité »: before an act that wants a fresh authentication, which goes on
/// from here.
#[derive(Template)]
#[template(path = "identity/confirm_identity.html")]
pub struct ConfirmIdentityPage {
    pub layout: Layout,
    pub login: String,
    /// Whether a code is asked for, too.
    pub asks_code: bool,
    /// The URL that the form was sent to.
    pub target: String,
    /// What was sent, to be sent again.
    pub fields: Vec<(String, String)>,
    pub errors: Errors,
}

/// « Mot de passe oublié ».
#[derive(Template)]
#[template(path = "identity/forgotten_password.html")]
pub struct ForgottenPasswordPage {
    pub layout: Layout,
    /// What was typed.
    pub named: String,
    pub errors: Errors,
}

/// The one-time page of a link: choose a password.
#[derive(Template)]
#[template(path = "identity/invitation.html")]
pub struct InvitationPage {
    pub layout: Layout,
    pub token: String,
    pub display_name: String,
    pub login: String,
    /// Whether another password is replaced.
    pub has_password: bool,
    pub expires_at: OffsetDateTime,
    pub errors: Errors,
}

/// The invitation's link was used or is too old.
#[derive(Template)]
#[template(path = "identity/invitation_over.html")]
pub struct InvitationOverPage {
    pub layout: Layout,
}

impl InvitationPage {
    pub fn new(layout: Layout, token: String, invited: &Invited, errors: Errors) -> Self {
        Self {
            layout,
            token,
            display_name: format!("{} {}", invited.first_name, invited.last_name),
            login: invited.login.clone(),
            has_password: invited.has_password,
            expires_at: invited.expires_at,
            errors,
        }
    }
}
