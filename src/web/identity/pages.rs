//! Views of sign-in and of the confirmation of identity.

use askama::Template;
use time::OffsetDateTime;

use crate::{
    db::identity::{contact_addresses::Awaiting, invitations::Invited},
    web::{
        edge::state::AppState,
        paths,
        shell::{
            filters,
            form::Errors,
            layout::{Layout, ProviderButton},
        },
    },
};

/// « Connexion ».
#[derive(Template)]
#[template(path = "identity/sign_in.html")]
pub struct SignInPage {
    pub layout: Layout,
    pub login: String,
    pub refusal: Option<SignInRefusal>,
    /// The page that was asked for before signing in, sent back with the form.
    pub return_to: Option<String>,
    /// The fields of a carried form.
    pub typed: Vec<(String, String)>,
    /// The identity provider, where people may sign in with one.
    pub provider: Option<ProviderButton>,
}

impl SignInPage {
    /// The empty form.
    pub fn new(state: &AppState, layout: Layout, return_to: Option<String>, typed: Vec<(String, String)>) -> Self {
        Self { layout, login: String::new(), refusal: None, return_to, typed, provider: state.provider_button() }
    }
}

/// Why a sign-in was refused.
pub enum SignInRefusal {
    WrongCredentials,
    TechnicalAccount,
    TooManyAttempts {
        seconds: u32,
    },
    /// People sign in with the identity provider only.
    PasswordsClosed,
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

/// « Reprenez votre saisie »: a carried form, offered to be sent after signing in.
#[derive(Template)]
#[template(path = "identity/resumed_form.html")]
pub struct ResumedFormPage {
    pub layout: Layout,
    /// The URL that the form was sent to.
    pub target: String,
    pub fields: Vec<(String, String)>,
    /// What people typed, by caption.
    pub listed: Vec<(&'static str, String)>,
    /// Whether the person must set up a second factor before the form can be sent.
    pub needs_second_factor: bool,
}

/// « Confirmez votre identité »: before an act that requires a fresh authentication.
#[derive(Template)]
#[template(path = "identity/confirm_identity.html")]
pub struct ConfirmIdentityPage {
    pub layout: Layout,
    pub login: String,
    /// Whether a code is asked for, too.
    pub asks_code: bool,
    /// Whether the person may confirm with a password.
    pub asks_password: bool,
    /// The identity provider, where the person may confirm with it.
    pub provider: Option<ProviderButton>,
    /// The URL that the form was sent to.
    pub target: String,
    /// What was sent, to be sent again.
    pub fields: Vec<(String, String)>,
    pub errors: Errors,
}

impl ConfirmIdentityPage {
    /// The page to go back to where the form downloads a file: the browser stays on this one.
    pub fn page_of_download(&self) -> Option<&str> {
        paths::page_of_download(&self.target)
    }
}

/// « Mot de passe oublié », or « Demander un lien ».
#[derive(Template)]
#[template(path = "identity/forgotten_password.html")]
pub struct ForgottenPasswordPage {
    pub layout: Layout,
    /// What was typed.
    pub named: String,
    pub errors: Errors,
}

/// « Choisir votre mot de passe », or « Ouvrir votre accès »: the page of a link.
#[derive(Template)]
#[template(path = "identity/invitation.html")]
pub struct InvitationPage {
    pub layout: Layout,
    pub token: String,
    pub display_name: String,
    pub login: String,
    /// Whether the person has a password already.
    pub has_password: bool,
    /// The address that becomes the contact address, where it is another.
    pub restores: Option<String>,
    pub expires_at: OffsetDateTime,
    /// The identity provider, where the person may accept with it.
    pub provider: Option<ProviderButton>,
    pub errors: Errors,
}

/// The link was used or is too old.
#[derive(Template)]
#[template(path = "identity/invitation_over.html")]
pub struct InvitationOverPage {
    pub layout: Layout,
}

/// « Confirmer votre adresse de contact »: the page of a link.
#[derive(Template)]
#[template(path = "identity/address_confirmation.html")]
pub struct AddressConfirmationPage {
    pub layout: Layout,
    pub token: String,
    pub awaiting: Awaiting,
}

/// There is nothing to confirm any more, or the link is too old.
#[derive(Template)]
#[template(path = "identity/address_confirmation_over.html")]
pub struct AddressConfirmationOverPage {
    pub layout: Layout,
}

impl InvitationPage {
    pub fn new(state: &AppState, token: String, invited: &Invited, errors: Errors) -> Self {
        Self {
            layout: state.anonymous_layout(None),
            provider: state.provider_button(),
            token,
            display_name: format!("{} {}", invited.first_name, invited.last_name),
            login: invited.login.clone(),
            has_password: invited.has_password,
            restores: invited.restores.clone(),
            expires_at: invited.expires_at,
            errors,
        }
    }

    fn heading(&self) -> &'static str {
        if self.layout.takes_passwords() { "Choisir votre mot de passe" } else { "Ouvrir votre accès" }
    }
}
