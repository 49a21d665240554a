//! Coming back from the identity provider.

use axum::{
    Extension,
    extract::{Query, State},
    http::{Method, StatusCode},
    response::{IntoResponse, Redirect, Response},
};

use data_encoding::HEXLOWER;

use super::{
    departure::Carried,
    judgement::{self, ProviderAnswer, second_factor_rule},
    pages::{ProviderConfirmedPage, ProviderPage, ProviderRefusal},
};
use crate::{
    db::identity::{
        invitations::{self, ProviderAcceptance},
        locks::{FirstFactor, ProvedIdentity},
        provider_attempts::{self, Attempt},
        provider_identities::{
            self,
            linking::{self, Linking},
            recognition::{self, Recognized},
        },
        sessions::{self, Reauthentication},
    },
    domain::{
        audit::Actor,
        network::site_of,
        provider_attempt::{BrowserSecret, Purpose},
        random,
    },
    identity_provider::{IdentityProvider, Vouched},
    web::{
        edge::{
            error::{AppError, page, page_with_status},
            redirect_guard::destination,
            shares::Share,
            state::AppState,
        },
        identity::{
            kept_form::{KnownForms, resume},
            pages::SignInCodePage,
            session::{Begun, Browser, LONGEST_WAIT, WAITING, mark_known},
            visitor::Visitor,
        },
        paths,
        shell::{form::Errors, layout::Tab, notice::Notice},
    },
};

/// What comes back with a person: the portal's side of it.
struct Arrival<'a> {
    state: &'a AppState,
    provider: &'a IdentityProvider,
    browser: &'a Browser,
    forms: KnownForms,
    visitor: Option<Visitor>,
    attempt: Attempt,
    carried: Carried,
}

/// `redirect_uri`: takes the attempt out, asks the provider whom it vouches for, and goes on with
/// what the person left for.
///
/// Several calls of `db`: none is open while the provider is asked.
#[expect(clippy::too_many_arguments, reason = "a handler's extractors")]
pub async fn arrive(
    State(state): State<AppState>,
    method: Method,
    visitor: Result<Visitor, AppError>,
    browser: Browser,
    Extension(forms): Extension<KnownForms>,
    Query(answer): Query<ProviderAnswer>,
) -> Result<Response, AppError> {
    let provider = state.provider.as_ref().ok_or(AppError::NotFound)?;
    // HEAD is routed as GET: it would use the attempt up and show nothing.
    if method != Method::GET {
        return Err(AppError::BadRequest);
    }
    let Some((secret, attempt)) = take(&state, &browser, &answer).await? else {
        // A page that was loaded again after it had done its work.
        return if visitor.is_ok() { Ok(Redirect::to(paths::HOME).into_response()) } else { unknown(&state) };
    };
    let carried = Carried::open(&secret, &answer.state, attempt.carried.as_deref());
    let judged = {
        let (_turn, is_known) = provider_turn(&state, &browser, &attempt, carried.mark.as_deref()).await?;
        judgement::vouched(provider, &answer, &secret, &attempt, is_known).await
    };
    let arrival =
        Arrival { state: &state, provider, browser: &browser, forms, visitor: visitor.ok(), attempt, carried };
    let vouched = match judged {
        Ok(vouched) => vouched,
        Err(refusal) => return arrival.refuse(refusal, None).await,
    };
    match arrival.attempt.purpose {
        Purpose::SignIn => arrival.sign_in(&vouched).await,
        Purpose::Confirmation => arrival.confirm(&vouched).await,
        Purpose::Invitation => arrival.accept_invitation(&vouched).await,
        Purpose::Linking => arrival.link(&vouched).await,
        Purpose::SignOut => unknown(&state),
    }
}

async fn take(
    state: &AppState,
    browser: &Browser,
    answer: &ProviderAnswer,
) -> Result<Option<(BrowserSecret, Attempt)>, AppError> {
    let Some(secret) = browser.provider_secret(state) else { return Ok(None) };
    let _turn = browser.turn(state).await?;
    let attempt = provider_attempts::take(&state.strangers_pool, &answer.state, &secret.digest()).await?;
    Ok(attempt.map(|attempt| (secret, attempt)))
}

/// Waits for a turn to ask the provider, and says whether it is one of a session or of a browser in
/// which a person has signed in. Others take turns by their network: made-up answers of one keep no
/// other from signing in.
async fn provider_turn(
    state: &AppState,
    browser: &Browser,
    attempt: &Attempt,
    mark: Option<&str>,
) -> Result<(Share<String>, bool), AppError> {
    let of_session = attempt.session_hash.as_deref().map(|hash| HEXLOWER.encode(hash));
    let of_browser = || state.keys().ok().and_then(|keys| keys.browser_number(mark?));
    let known = of_session.or_else(of_browser);
    let key = known.clone().unwrap_or_else(|| site_of(browser.address));
    let turn = state.strangers.wait(format!("provider {key}"), WAITING, LONGEST_WAIT).await?;
    Ok((turn, known.is_some()))
}

fn unknown(state: &AppState) -> Result<Response, AppError> {
    page_with_status(StatusCode::BAD_REQUEST, &ProviderPage::new(state, Purpose::SignIn, ProviderRefusal::Unknown))
}

impl Arrival<'_> {
    /// Signs the person in, or has them asked for a code.
    async fn sign_in(self, vouched: &Vouched) -> Result<Response, AppError> {
        let identity = judgement::identity(self.provider, vouched);
        let address = self.browser.address.to_string();
        let rule = second_factor_rule(self.state, self.provider);
        let turn = self.browser.turn(self.state).await?;
        let found = recognition::recognize(&self.state.strangers_pool, &address, &identity, rule).await?;
        drop(turn);
        match found {
            Ok(Recognized { login, proved }) => {
                let actor = Actor { user_id: Some(proved.user_id), name: login, address };
                self.begin(&actor, vouched, proved).await
            }
            Err(reason) => {
                let refusal = ProviderRefusal::Unrecognized(reason);
                self.refuse(refusal, identity.address.map(str::to_owned)).await
            }
        }
    }

    async fn begin(self, actor: &Actor, vouched: &Vouched, proved: ProvedIdentity) -> Result<Response, AppError> {
        let proof = FirstFactor::Identity(self.with_token(vouched, proved)?);
        let return_to = self.attempt.return_to.as_deref();
        match self.browser.begin(self.state, actor, &proof, return_to).await? {
            Begun::SignedIn(session, epoch) => {
                let Carried { fields, mark } = self.carried;
                let resumed = resume(self.state, self.forms, &session, return_to, fields).await?;
                let answer = resumed.unwrap_or_else(|| Redirect::to(&destination(return_to)).into_response());
                Ok(mark_known(self.state, mark.as_deref(), (&actor.name, epoch), answer))
            }
            Begun::CodeNeeded if self.carried.fields.is_empty() => {
                Ok(Redirect::to(paths::SIGN_IN_CODE).into_response())
            }
            Begun::CodeNeeded => {
                let layout = self.state.anonymous_layout(None);
                page(&SignInCodePage { layout, typed: self.carried.fields, errors: Errors::none() })
            }
        }
    }

    /// Seals the token that ends the provider's session into what the session keeps.
    fn with_token(&self, vouched: &Vouched, mut proved: ProvedIdentity) -> Result<ProvedIdentity, AppError> {
        let keys = self.state.keys()?;
        proved.id_token = keys.seal_id_token(&vouched.id_token, proved.user_id, &mut random::os_rng());
        Ok(proved)
    }

    /// Goes on with the form that « Confirmez votre identité » stood before.
    async fn confirm(self, vouched: &Vouched) -> Result<Response, AppError> {
        let Some(visitor) = self.own_visitor() else { return self.refuse(ProviderRefusal::SessionEnded, None).await };
        let identity = judgement::identity(self.provider, vouched);
        let user_id = visitor.person.user_id;
        let Some(proved) = provider_identities::own(&self.state.pool, user_id, &identity).await? else {
            return self.refuse(ProviderRefusal::NotOwn, identity.address.map(str::to_owned)).await;
        };
        if !vouched.is_after(self.attempt.began_at) {
            return self.refuse(ProviderRefusal::NotFresh, None).await;
        }
        let needs_second_factor =
            visitor.person.has_second_factor || second_factor_rule(self.state, self.provider).is_asked_for;
        if needs_second_factor && !vouched.has_second_factor {
            return self.refuse(ProviderRefusal::SecondFactorMissing, None).await;
        }
        let proof = FirstFactor::Identity(self.with_token(vouched, proved)?);
        let proof = Reauthentication { proof, with_code: false };
        self.browser.renew(self.state, &visitor, &proof).await?;
        let target = destination(self.attempt.return_to.as_deref());
        let fields = self.carried.fields;
        let listed = self.forms.typed(&target, &fields);
        let layout = self.state.layout(&visitor.person, Tab::None, None);
        page(&ProviderConfirmedPage { layout, target, fields, listed })
    }

    /// Accepts the invitation of a link, and signs the person in.
    async fn accept_invitation(self, vouched: &Vouched) -> Result<Response, AppError> {
        let token_hash = self.attempt.invitation_hash.clone().unwrap_or_default();
        let pool = &self.state.strangers_pool;
        let Some(invited) = invitations::find(pool, &token_hash).await? else {
            return self.refuse(ProviderRefusal::LinkEnded, None).await;
        };
        let address = self.browser.address.to_string();
        let actor = Actor { user_id: Some(invited.user_id), name: invited.login, address };
        let identity = judgement::identity(self.provider, vouched);
        let rule = second_factor_rule(self.state, self.provider);
        match invitations::accept_at_provider(pool, &actor, &token_hash, &identity, rule).await? {
            ProviderAcceptance::Accepted(proved) => self.begin(&actor, vouched, proved).await,
            ProviderAcceptance::LinkEnded => self.refuse(ProviderRefusal::LinkEnded, None).await,
            ProviderAcceptance::AnotherPersons => self.refuse(ProviderRefusal::AnotherPersons, None).await,
            ProviderAcceptance::AnotherPersonsAddress => {
                let address = identity.address.map(str::to_owned);
                self.refuse(ProviderRefusal::AnotherPersonsAddress, address).await
            }
            ProviderAcceptance::SecondFactorMissing => self.refuse(ProviderRefusal::SecondFactorMissing, None).await,
        }
    }

    /// Links the identity to the person of the session.
    async fn link(self, vouched: &Vouched) -> Result<Response, AppError> {
        let Some(visitor) = self.own_visitor() else { return self.refuse(ProviderRefusal::SessionEnded, None).await };
        let identity = judgement::identity(self.provider, vouched);
        let Visitor { person, session, actor, .. } = &visitor;
        match linking::link(&self.state.pool, actor, person.user_id, session, &identity).await? {
            Linking::Linked => Ok(Redirect::to(&Notice::IdentityLinked.on(paths::MY_ACCOUNT)).into_response()),
            Linking::AlreadyOwn => self.refuse(ProviderRefusal::AlreadyOwn, None).await,
            Linking::AnotherPersons => self.refuse(ProviderRefusal::AnotherPersons, None).await,
            Linking::AnotherPersonsAddress => {
                self.refuse(ProviderRefusal::AnotherPersonsAddress, identity.address.map(str::to_owned)).await
            }
            Linking::TooMany => self.refuse(ProviderRefusal::TooManyIdentities, None).await,
            Linking::SessionEnded => self.refuse(ProviderRefusal::SessionEnded, None).await,
        }
    }

    /// The visitor, if their session is the one in which the attempt began.
    fn own_visitor(&self) -> Option<Visitor> {
        let began_in = self.attempt.session_hash.as_ref()?;
        self.visitor.clone().filter(|visitor| visitor.session.digest() == *began_in)
    }

    /// Says why, and records it.
    async fn refuse(self, refusal: ProviderRefusal, address: Option<String>) -> Result<Response, AppError> {
        let status = match refusal {
            ProviderRefusal::Away => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::FORBIDDEN,
        };
        match (&self.visitor, self.attempt.purpose, &refusal) {
            (_, _, ProviderRefusal::Away | ProviderRefusal::GivenUp) => {}
            (Some(visitor), Purpose::Confirmation, _) => {
                sessions::record_failed_confirmation(&self.state.pool, &visitor.actor).await?;
            }
            (_, Purpose::SignIn | Purpose::Invitation, _) => {
                let (pool, label) = (&self.state.strangers_pool, &self.provider.settings.label);
                recognition::record_refusal(pool, self.browser.address, label).await?;
            }
            _ => {}
        }
        let mut page = ProviderPage::new(self.state, self.attempt.purpose, refusal);
        if let Some(visitor) = &self.visitor {
            page.layout = self.state.layout(&visitor.person, Tab::None, None);
        }
        page.address = address;
        page_with_status(status, &page)
    }
}
