//! The browser's session: its cookie, and the acts that begin, complete and renew it.
//!
//! tower-sessions reads the cookie and sets it. What a session is stands in the table `sessions`,
//! which `db::identity` writes, each act in one transaction; the browser then gets the id of that
//! row.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use async_trait::async_trait;
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
    response::{AppendHeaders, IntoResponse, Response},
};
use time::OffsetDateTime;
use tower_sessions::{
    Session, SessionStore,
    cookie::{Cookie, SameSite},
    session::{Id, Record},
    session_store::{Error, Result as StoreResult},
};

use super::visitor::Visitor;
use crate::{
    db::{
        identity::{
            known_browsers,
            locks::FirstFactor,
            sessions::{self, Kept, NewSession, PendingSignIn, Reauthentication},
            sign_in::{self, Outcome},
        },
        throttles::Source,
    },
    domain::{
        audit::Actor,
        envelope::SessionSecret,
        known_browser::{self, Epoch, KnownBrowser},
        network::{network_of, site_of},
        provider_attempt::{self, BrowserSecret},
        random,
    },
    web::edge::{
        context::{RequestContext, software},
        error::AppError,
        shares::Share,
        state::AppState,
    },
};

/// The most attempts of one network that wait for their [turn](Browser::turn): fewer than its
/// connections (`server::connections`), so that one of these is always idle, and makes room for
/// another browser.
pub(super) const WAITING: usize = 128;
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Where the id of a written row waits in tower-sessions' record.
const WRITTEN_ID: &str = "id";

/// The store of tower-sessions: it reads and writes nothing, since the rows are written before.
#[derive(Clone, Copy, Debug)]
pub struct WrittenSessions;

#[async_trait]
impl SessionStore for WrittenSessions {
    /// Takes the id of the row that `give_cookie` names.
    async fn create(&self, record: &mut Record) -> StoreResult<()> {
        let id = record.data.get(WRITTEN_ID).and_then(|id| id.as_str()?.parse().ok());
        record.id = id.ok_or_else(|| Error::Backend("a session without a row".into()))?;
        Ok(())
    }

    async fn save(&self, _: &Record) -> StoreResult<()> {
        Ok(())
    }

    /// Whether the session has ended is for the database to say, when its person is looked up.
    async fn load(&self, id: &Id) -> StoreResult<Option<Record>> {
        let unused = OffsetDateTime::UNIX_EPOCH;
        Ok(Some(Record { id: *id, data: HashMap::new(), expiry_date: unused }))
    }

    async fn delete(&self, _: &Id) -> StoreResult<()> {
        Ok(())
    }
}

/// The session id in the browser's cookie, which may have ended.
pub fn secret_of(cookie: &Session) -> Option<SessionSecret> {
    cookie.id().map(|id| SessionSecret::new(id.0))
}

/// Has the answer set the cookie to the id of a row that was written.
async fn give_cookie(cookie: &Session, id: Id) -> Result<(), AppError> {
    cookie.cycle_id().await?;
    cookie.insert(WRITTEN_ID, id.to_string()).await?;
    Ok(cookie.save().await?)
}

/// The browser that sent a request, for the acts that change its session.
pub struct Browser {
    pub address: IpAddr,
    pub network: String,
    software: String,
    cookie: Session,
    headers: HeaderMap,
}

impl<S: Sync> FromRequestParts<S> for Browser {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, AppError> {
        let address = parts.extensions.get::<RequestContext>().cloned().unwrap_or_default().address;
        let cookie = parts.extensions.get::<Session>().cloned();
        let cookie = cookie.ok_or_else(|| AppError::Internal("no session layer".into()))?;
        let (network, software, headers) = (network_of(address), software(&parts.headers), parts.headers.clone());
        Ok(Self { address, network, software, cookie, headers })
    }
}

/// What a first factor has led to.
pub enum Begun {
    SignedIn(SessionSecret, Epoch),
    /// The browser's session waits for the code.
    CodeNeeded,
}

impl Browser {
    /// The browser's session, which may have ended.
    pub fn session(&self) -> Option<SessionSecret> {
        secret_of(&self.cookie)
    }

    /// Waits until a stranger from this browser's network may have another statement: networks take
    /// turns, however many requests one of them sends.
    pub async fn turn(&self, state: &AppState) -> Result<Share<String>, AppError> {
        Ok(state.strangers.wait(site_of(self.address), WAITING, LONGEST_WAIT).await?)
    }

    /// The same for an attempt in the name of the person with this login. A browser that is known
    /// for them has a turn of theirs, and its network's where that one is taken: neighbours do not
    /// keep it out. All marks of a person share one turn, so gathering them is worth nothing; marks
    /// of another epoch count, too, since only the database knows the present one.
    pub async fn turn_of(&self, state: &AppState, login: &str) -> Result<Share<String>, AppError> {
        if self.known(state, login).is_some()
            && let Ok(turn) = state.strangers.wait(format!("known {login}"), WAITING, LONGEST_WAIT).await
        {
            return Ok(turn);
        }
        self.turn(state).await
    }

    /// Where attempts in the name of the person with this login come from. A mark of another epoch
    /// does not count.
    pub async fn source(&self, state: &AppState, login: &str) -> Result<Source, AppError> {
        let Some(known) = self.known(state, login) else { return Ok(Source::Address(self.address)) };
        let counts = known_browsers::epoch_of(&state.strangers_pool, login).await? == Some(known.epoch);
        Ok(if counts { Source::KnownBrowser(known.number) } else { Source::Address(self.address) })
    }

    /// Where an attempt that names no person comes from.
    pub fn unnamed_source(&self, state: &AppState) -> Source {
        let number = state.keys().ok().and_then(|keys| keys.browser_number(&self.mark(state)?));
        number.map_or(Source::Address(self.address), Source::KnownBrowser)
    }

    /// What the browser's mark says about the person with this login. Without a key file, browsers
    /// stay unknown.
    fn known(&self, state: &AppState, login: &str) -> Option<KnownBrowser> {
        state.keys().ok()?.known_browser(&self.mark(state)?, login)
    }

    /// Has the answer mark the browser again where its mark counted until this epoch began.
    pub fn mark_again(&self, state: &AppState, login: &str, epoch: Epoch, answer: Response) -> Response {
        match self.known(state, login) {
            Some(known) if known.epoch.precedes(epoch) => self.mark_known(state, login, epoch, answer),
            _ => answer,
        }
    }

    /// Has the answer mark the browser as known for the person with this login, in this epoch:
    /// after a sign-in, and after what ended the marks of other browsers.
    pub fn mark_known(&self, state: &AppState, login: &str, epoch: Epoch, answer: Response) -> Response {
        mark_known(state, self.mark(state).as_deref(), (login, epoch), answer)
    }

    /// The secret of a browser that has left for the identity provider.
    pub fn provider_secret(&self, state: &AppState) -> Option<BrowserSecret> {
        self.cookie_value(state.provider_cookie()).and_then(|value| BrowserSecret::parse(&value))
    }

    /// Has the answer give the browser its secret, for the time of an attempt.
    pub fn give_provider_secret(&self, state: &AppState, secret: &BrowserSecret, answer: Response) -> Response {
        let seconds = i64::try_from(provider_attempt::LIFETIME.as_secs()).unwrap_or(i64::MAX);
        let cookie = Cookie::build((state.provider_cookie(), secret.expose()))
            .path("/")
            .secure(state.is_public_https())
            .http_only(true)
            .same_site(SameSite::Lax)
            .max_age(time::Duration::seconds(seconds));
        (AppendHeaders([(header::SET_COOKIE, cookie.to_string())]), answer).into_response()
    }

    /// The browser's mark, if a person has signed in there.
    pub(super) fn proved_mark(&self, state: &AppState) -> Option<String> {
        let mark = self.mark(state)?;
        state.keys().ok()?.browser_number(&mark).map(|_| mark)
    }

    /// What the browser's cookie says about who has signed in there, unchecked.
    fn mark(&self, state: &AppState) -> Option<String> {
        self.cookie_value(state.known_browser_cookie())
    }

    fn cookie_value(&self, name: &str) -> Option<String> {
        let sent = self.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut cookies = sent.flat_map(Cookie::split_parse).flatten();
        cookies.find(|cookie| cookie.name() == name).map(|cookie| cookie.value().to_owned())
    }

    /// Signs in the person who has proved a first factor, or has them asked for a code.
    pub async fn begin(
        &self,
        state: &AppState,
        actor: &Actor,
        proof: &FirstFactor,
        return_to: Option<&str>,
    ) -> Result<Begun, AppError> {
        let (id, secret) = new_id();
        let replaced = self.session();
        let new = NewSession { replaces: replaced.as_ref(), ..self.new_session(&secret) };
        let begun = match sign_in::begin(&state.strangers_pool, actor, proof, new, return_to).await? {
            Outcome::ProofEnded => return Err(session_ended()),
            Outcome::CodeNeeded => Begun::CodeNeeded,
            Outcome::SignedIn(epoch) => Begun::SignedIn(secret, epoch),
        };
        give_cookie(&self.cookie, id).await?;
        Ok(begun)
    }

    /// Signs in the person whose code was right.
    pub async fn complete(
        &self,
        state: &AppState,
        actor: &Actor,
        pending: &PendingSignIn,
    ) -> Result<(SessionSecret, Epoch), AppError> {
        let (id, secret) = new_id();
        let completed = sign_in::complete(&state.strangers_pool, actor, pending, self.new_session(&secret)).await?;
        let epoch = completed.ok_or_else(session_ended)?;
        give_cookie(&self.cookie, id).await?;
        Ok((secret, epoch))
    }

    /// Gives the session of a visitor who has authenticated again a new id (ASVS 7.2.4).
    pub async fn renew(&self, state: &AppState, visitor: &Visitor, proof: &Reauthentication) -> Result<(), AppError> {
        let (id, secret) = new_id();
        if !sessions::renew(&state.pool, &visitor.actor, proof, &visitor.session, &secret).await? {
            return Err(session_ended());
        }
        give_cookie(&self.cookie, id).await
    }

    /// Gives the browser the id that its session got where the others were ended.
    pub async fn adopt(&self, next: NextId) -> Result<(), AppError> {
        give_cookie(&self.cookie, next.id).await
    }

    /// Has the answer remove the cookie.
    pub async fn remove_cookie(&self) -> Result<(), AppError> {
        Ok(self.cookie.flush().await?)
    }

    fn new_session<'a>(&'a self, id: &'a SessionSecret) -> NewSession<'a> {
        NewSession { id, replaces: None, network: &self.network, software: &self.software }
    }
}

/// Has the answer mark a browser as known for the person with this login, in this epoch, beside the
/// people of the mark that it has.
pub(super) fn mark_known(
    state: &AppState,
    mark: Option<&str>,
    (login, epoch): (&str, Epoch),
    answer: Response,
) -> Response {
    let Ok(keys) = state.keys() else { return answer };
    let mark = keys.mark_browser(mark, login, epoch, &mut random::os_rng());
    let seconds = i64::try_from(known_browser::LIFETIME.as_secs()).unwrap_or(i64::MAX);
    let cookie = Cookie::build((state.known_browser_cookie(), mark))
        .path("/")
        .secure(state.is_public_https())
        .http_only(true)
        .same_site(SameSite::Strict)
        .max_age(time::Duration::seconds(seconds));
    (AppendHeaders([(header::SET_COOKIE, cookie.to_string())]), answer).into_response()
}

/// The id that a session gets where the person's others are ended.
pub struct NextId {
    id: Id,
    secret: SessionSecret,
}

impl NextId {
    pub fn generate() -> Self {
        let (id, secret) = new_id();
        Self { id, secret }
    }

    /// The session that is kept under this id.
    pub fn of<'a>(&'a self, visitor: &'a Visitor) -> Kept<'a> {
        Kept { current: &visitor.session, next: &self.secret }
    }
}

/// From the operating system's generator, where tower-sessions would take one of its own.
fn new_id() -> (Id, SessionSecret) {
    let id = i128::from_be_bytes(random::bytes(&mut random::os_rng()));
    (Id(id), SessionSecret::new(id))
}

fn session_ended() -> AppError {
    AppError::SignInRequired { expired: true, return_to: None }
}
