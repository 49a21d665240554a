//! Views of sign-in with the identity provider.

use askama::Template;

use crate::{
    db::identity::provider_identities::recognition::Unrecognized,
    domain::provider_attempt::Purpose,
    web::{
        edge::state::AppState,
        shell::{filters, layout::Layout},
    },
};

/// On the way to the provider: a page that goes on by itself.
#[derive(Template)]
#[template(path = "identity/provider_departure.html")]
pub struct ProviderDeparturePage {
    pub layout: Layout,
    /// The provider's name.
    pub label: String,
    pub url: String,
}

/// After the sign-out here: a page that goes on to the sign-out there, if it can.
#[derive(Template)]
#[template(path = "identity/provider_sign_out.html")]
pub struct ProviderSignOutPage {
    pub layout: Layout,
    pub label: String,
    /// Where the provider's session ends; `None` where it does not answer.
    pub url: Option<String>,
}

/// Why a person does not go on after coming back.
pub enum ProviderRefusal {
    /// The provider does not answer.
    Away,
    /// The attempt is unknown here: used, too old, or of another browser.
    Unknown,
    /// The person gave up there.
    GivenUp,
    /// The provider, or its answer, was wrong.
    Wrong,
    /// The session ended meanwhile.
    SessionEnded,
    /// The mailed link ended meanwhile.
    LinkEnded,
    /// The provider proved no second factor.
    SecondFactorMissing,
    /// The person did not authenticate anew.
    NotFresh,
    /// The identity is not linked to the person of the session.
    NotOwn,
    /// The identity is linked to another person.
    AnotherPersons,
    /// The identity's address is another person's.
    AnotherPersonsAddress,
    AlreadyOwn,
    TooManyIdentities,
    Unrecognized(Unrecognized),
}

/// The page that says why.
#[derive(Template)]
#[template(path = "identity/provider_refusal.html")]
pub struct ProviderPage {
    pub layout: Layout,
    pub label: String,
    pub refusal: ProviderRefusal,
    /// The address that the provider named.
    pub address: Option<String>,
    /// Whether the person is within a session, to which they go back.
    pub is_signed_in: bool,
}

impl ProviderPage {
    pub fn new(state: &AppState, purpose: Purpose, refusal: ProviderRefusal) -> Self {
        let label = state.provider.as_ref().map(|provider| provider.settings.label.clone()).unwrap_or_default();
        Self {
            layout: state.anonymous_layout(None),
            label,
            refusal,
            address: None,
            is_signed_in: matches!(purpose, Purpose::Confirmation | Purpose::Linking),
        }
    }
}

/// « Identité confirmée »: the form that waited is sent from here.
#[derive(Template)]
#[template(path = "identity/provider_confirmed.html")]
pub struct ProviderConfirmedPage {
    pub layout: Layout,
    /// The URL that the form was sent to.
    pub target: String,
    pub fields: Vec<(String, String)>,
    /// What people typed, by caption.
    pub listed: Vec<(&'static str, String)>,
}
