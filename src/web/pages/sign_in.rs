use askama::Template;
use time::OffsetDateTime;

use crate::db::invitations::Invited;
use crate::web::filters;
use crate::web::layout::{Errors, Layout};

/// « Connexion ».
#[derive(Template)]
#[template(path = "sign_in/sign_in.html")]
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
#[template(path = "sign_in/code.html")]
pub struct SignInCodePage {
    pub layout: Layout,
    /// As [`SignInPage::typed`].
    pub typed: Vec<(String, String)>,
    pub errors: Errors,
}

/// « Reprenez votre saisie »: a form that came too late, offered to who has signed in since.
#[derive(Template)]
#[template(path = "sign_in/resumed_form.html")]
pub struct ResumedFormPage {
    pub layout: Layout,
    /// The URL that the form was sent to.
    pub target: String,
    pub fields: Vec<(String, String)>,
}

/// « Confirmez votre identité »: before an act that wants a fresh authentication, which goes on from here.
#[derive(Template)]
#[template(path = "sign_in/confirm_identity.html")]
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
#[template(path = "sign_in/forgotten_password.html")]
pub struct ForgottenPasswordPage {
    pub layout: Layout,
    /// What was typed.
    pub named: String,
    pub errors: Errors,
}

/// The one-time page of a link: choose a password.
#[derive(Template)]
#[template(path = "sign_in/invitation.html")]
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
#[template(path = "sign_in/invitation_over.html")]
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
