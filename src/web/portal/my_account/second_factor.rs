//! « Double authentification »: set-up, recovery codes and end of a person's second factor.

use std::fmt::Write;

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use qrcodegen::{QrCode, QrCodeEcc};
use serde::Deserialize;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::{
    db::identity::{
        second_factors::{self, CodesRenewal, Confirmation, SecondFactor},
        sessions::SignedIn,
    },
    domain::{
        person::TypedPassword,
        random,
        second_factor::{RECOVERY_CODES, RecoveryCode, TotpSecret, six_digits},
    },
    web::{
        edge::{
            error::{AppError, page as render, page_with_status},
            state::AppState,
        },
        identity::{
            fresh_form::{FreshForm, Nothing},
            session::{Browser, NextId},
            visitor::{Visitor, needs_second_factor},
        },
        paths,
        shell::{
            filters,
            form::{Errors, FieldError},
            layout::{Layout, Tab},
            notice::{Notice, NoticeQuery},
        },
    },
    work_queue::QueueKey,
};

/// The page.
pub async fn page(
    State(state): State<AppState>,
    visitor: Visitor,
    Query(notice): Query<NoticeQuery>,
) -> Result<Response, AppError> {
    let factor = second_factors::find(&state.pool, visitor.person.user_id, Some(&visitor.session)).await?;
    render(&second_factor_page(&state, &visitor, factor.as_ref(), notice.notice(), Errors::none()).await?)
}

async fn second_factor_page(
    state: &AppState,
    visitor: &Visitor,
    factor: Option<&SecondFactor>,
    notice: Option<Notice>,
    errors: Errors,
) -> Result<SecondFactorPage, AppError> {
    let person = &visitor.person;
    let shown = match factor {
        Some(SecondFactor { confirmed_at: Some(since), codes_left, .. }) => {
            SecondFactorState::On { since: *since, codes_left: *codes_left }
        }
        // The session may have been left to another person since: the secret is shown after a fresh
        // authentication only.
        Some(factor) if person.is_fresh => {
            let setup = match open(state, visitor, factor)? {
                Some(secret) => set_up(state, person, secret).await?,
                None => None,
            };
            setup.map_or(SecondFactorState::Off, SecondFactorState::SettingUp)
        }
        _ => SecondFactorState::Off,
    };
    Ok(SecondFactorPage {
        layout: state.layout(person, Tab::MyAccount, notice),
        login: person.login.clone(),
        state: shown,
        required: needs_second_factor(state, person),
        errors,
    })
}

/// Draws the QR code in the queue for costly work.
async fn set_up(state: &AppState, person: &SignedIn, secret: TotpSecret) -> Result<Option<Setup>, AppError> {
    let (login, host) = (person.login.clone(), state.settings.public_host().to_owned());
    Ok(state.work_queue.run(QueueKey::Person(person.user_id), move || Setup::new(&secret, &login, &host)).await?)
}

fn open(state: &AppState, visitor: &Visitor, factor: &SecondFactor) -> Result<Option<TotpSecret>, AppError> {
    Ok(state.keys()?.open(&factor.secret, visitor.person.user_id))
}

/// « Activer la double authentification »: begins the set-up; the page then shows its secret.
pub async fn begin(
    State(state): State<AppState>,
    visitor: Visitor,
    FreshForm(Nothing {}): FreshForm<Nothing>,
) -> Result<Redirect, AppError> {
    let rng = &mut random::os_rng();
    let secret = state.keys()?.seal(&TotpSecret::generate(rng), visitor.person.user_id, rng);
    match second_factors::begin(&state.pool, visitor.person.user_id, &visitor.session, &secret).await? {
        None => Ok(Redirect::to(paths::SECOND_FACTOR)),
        Some(seconds) => Err(AppError::TooManyRequests { seconds }),
    }
}

#[derive(Deserialize)]
pub struct CodeForm {
    #[serde(default)]
    code: TypedPassword,
}

/// Puts the second factor in force if the code is right, and shows the recovery codes.
///
/// Two calls of `db`, before and after the code is checked with a key that is outside the database.
pub async fn confirm(
    State(state): State<AppState>,
    visitor: Visitor,
    browser: Browser,
    FreshForm(form): FreshForm<CodeForm>,
) -> Result<Response, AppError> {
    let user_id = visitor.person.user_id;
    let factor = second_factors::find(&state.pool, user_id, Some(&visitor.session)).await?;
    let factor = factor.filter(|factor| factor.confirmed_at.is_none());
    let Some(factor) = factor else { return Ok(Redirect::to(paths::SECOND_FACTOR).into_response()) };
    let secret = open(&state, &visitor, &factor)?;
    let step =
        secret.zip(six_digits(form.code.expose())).and_then(|(secret, code)| secret.matching_step(&code, factor.now));
    let Some(step) = step else {
        let message =
            "Le code est incorrect. Saisissez les 6 chiffres que votre application affiche maintenant.".into();
        let errors = Errors(vec![FieldError { field: "code", message }]);
        let page = second_factor_page(&state, &visitor, Some(&factor), None, errors).await?;
        return page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
    };
    let (codes, hashes) = new_codes();
    let next = NextId::generate();
    let kept = next.of(&visitor);
    let confirmation = Confirmation { user_id, kept, secret: &factor.secret, step, recovery_hashes: &hashes };
    let Some(epoch) = second_factors::confirm(&state.pool, &visitor.actor, confirmation).await? else {
        return Ok(Redirect::to(paths::SECOND_FACTOR).into_response());
    };
    browser.adopt(next).await?;
    let shown = show_codes(&state, &visitor, codes, true)?;
    Ok(browser.mark_known(&state, &visitor.person.login, epoch, shown))
}

/// « Nouveaux codes de secours ».
pub async fn renew_codes(
    State(state): State<AppState>,
    visitor: Visitor,
    FreshForm(Nothing {}): FreshForm<Nothing>,
) -> Result<Response, AppError> {
    let (codes, hashes) = new_codes();
    let user_id = visitor.person.user_id;
    match second_factors::renew_codes(&state.pool, &visitor.actor, user_id, &visitor.session, &hashes).await? {
        CodesRenewal::Renewed => show_codes(&state, &visitor, codes, false),
        CodesRenewal::NotInForce => Ok(Redirect::to(paths::SECOND_FACTOR).into_response()),
        CodesRenewal::TooOften { seconds } => Err(AppError::TooManyRequests { seconds }),
    }
}

fn new_codes() -> (Vec<RecoveryCode>, Vec<Vec<u8>>) {
    let codes: Vec<_> = (0..RECOVERY_CODES).map(|_| RecoveryCode::generate(&mut random::os_rng())).collect();
    let hashes = codes.iter().map(RecoveryCode::digest).collect();
    (codes, hashes)
}

fn show_codes(
    state: &AppState,
    visitor: &Visitor,
    codes: Vec<RecoveryCode>,
    is_first: bool,
) -> Result<Response, AppError> {
    let layout = state.layout(&visitor.person, Tab::MyAccount, None);
    render(&RecoveryCodesPage { layout, codes, is_first })
}

/// « Désactiver ».
pub async fn disable(
    State(state): State<AppState>,
    visitor: Visitor,
    browser: Browser,
    FreshForm(Nothing {}): FreshForm<Nothing>,
) -> Result<Response, AppError> {
    let person = &visitor.person;
    let next = NextId::generate();
    let ended = second_factors::disable(&state.pool, &visitor.actor, person.user_id, next.of(&visitor)).await?;
    let answer = Redirect::to(&Notice::SecondFactorDisabled.on(paths::SECOND_FACTOR)).into_response();
    let Some(epoch) = ended else { return Ok(answer) };
    browser.adopt(next).await?;
    Ok(browser.mark_known(&state, &person.login, epoch, answer))
}

/// « Double authentification ».
#[derive(Template)]
#[template(path = "my_account/second_factor.html")]
pub struct SecondFactorPage {
    pub layout: Layout,
    pub login: String,
    pub state: SecondFactorState,
    /// Whether the operator requires it of this person.
    pub required: bool,
    pub errors: Errors,
}

/// The state of a person's second factor.
pub enum SecondFactorState {
    Off,
    /// The application must prove with a code that it has the secret.
    SettingUp(Setup),
    On {
        since: OffsetDateTime,
        codes_left: i64,
    },
}

/// A secret, as text and as QR code for the person's application.
pub struct Setup {
    /// Its text, in groups of four characters.
    pub groups: Vec<Zeroizing<String>>,
    pub qr: Qr,
}

/// A QR code as the path of an SVG.
pub struct Qr {
    /// Modules on each side, with the margins.
    pub size: i32,
    pub path: Zeroizing<String>,
}

/// The margin that QR code readers need, in modules.
const MARGIN: i32 = 4;

impl Setup {
    /// `None` where the login is too long for a QR code; no login is.
    pub fn new(secret: &TotpSecret, login: &str, host: &str) -> Option<Self> {
        let text = secret.expose();
        let groups = text.as_bytes().chunks(4).map(|group| Zeroizing::new(String::from_utf8_lossy(group).into_owned()));
        let code = QrCode::encode_text(&secret.expose_uri(login, host), QrCodeEcc::Medium).ok()?;
        Some(Self { groups: groups.collect(), qr: Qr::new(&code) })
    }
}

impl Qr {
    fn new(code: &QrCode) -> Self {
        let places = (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (x, y)));
        let dark = places.filter(|(x, y)| code.get_module(*x, *y));
        let mut path = Zeroizing::new(String::new());
        for (x, y) in dark {
            let _ = write!(path, "M{} {}h1v1h-1z", x + MARGIN, y + MARGIN);
        }
        Self { size: code.size() + 2 * MARGIN, path }
    }
}

/// « Codes de secours », shown once.
#[derive(Template)]
#[template(path = "my_account/recovery_codes.html")]
pub struct RecoveryCodesPage {
    pub layout: Layout,
    pub codes: Vec<RecoveryCode>,
    /// Whether the second factor has just been put in force.
    pub is_first: bool,
}

impl RecoveryCodesPage {
    /// The codes as a `data:` URL, for a download without a request.
    fn file(&self) -> Zeroizing<String> {
        let lines: Vec<&str> = self.codes.iter().map(RecoveryCode::expose).collect();
        Zeroizing::new(format!("data:text/plain;charset=utf-8,{}%0A", lines.join("%0A")))
    }
}
