//! State that all handlers share.

use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
};

use sqlx::PgPool;
use tokio::sync::Notify;

use super::{error::AppError, metrics::Metrics, shares::Shares, stopping::Stopping};
use crate::{
    db::{Pools, identity::sessions::SignedIn},
    domain::{envelope::IssuedPassword, password::Password, person::TypedPassword, random, second_factor::Keyring},
    identity_provider::{IdentityProvider, ReturnAddresses},
    secret_keys::{self, KeyFileError},
    settings::Settings,
    web::{
        paths,
        shell::{
            layout::{Assets, Layout, ProviderButton, SignedInUser, Tab, Theme},
            notice::Notice,
            static_files::StaticFiles,
        },
    },
    work_queue::{QueueKey, WorkQueue},
};

/// The downloads that one person may have at a time.
const EXPORTS: u32 = 2;
/// The most requests of one person that are served at a time; others of theirs wait. They leave a
/// connection for pages to other people.
const REQUESTS: u32 = 4;
/// The connections that strangers of one network may have at a time.
const STRANGERS: u32 = 2;
/// The most sheets of a document that takes no longer than a few hashes.
const FEW_SHEETS: usize = 5;

/// Shared by all requests; clones are cheap. The API has its own state besides.
#[derive(Clone)]
pub struct AppState(Arc<Parts>);

/// Who downloads, for the share of [`Parts::exports`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Downloader {
    Person(i64),
    /// Whoever has the link of this manager's calendar: the manager's own share is not theirs.
    CalendarLink(i64),
    /// Whoever opened this link of a hand-over.
    Handover(i64),
}

/// See [`AppState`].
pub struct Parts {
    /// The connections for pages of people who are signed in.
    pub pool: PgPool,
    /// The connections for sign-in, links by mail and whatever else any stranger may ask for.
    pub strangers_pool: PgPool,
    /// The connections for calls of the API.
    pub api_pool: PgPool,
    /// The downloads of each person.
    pub exports: Shares<Downloader>,
    /// Attempts and requests of strangers, of each network, that are in the database; of browsers
    /// that are known for a person, of each person.
    pub strangers: Shares<String>,
    /// The requests of each person that are being served.
    pub requests: Shares<i64>,
    pub work_queue: WorkQueue,
    long_documents: WorkQueue,
    pub settings: Settings,
    pub files: StaticFiles,
    pub metrics: Metrics,
    pub stopping: Stopping,
    /// Wakes the task that carries batches out.
    pub batches: Notify,
    /// The identity provider, where people sign in with one.
    pub provider: Option<IdentityProvider>,
    keys: OnceLock<Keyring>,
}

impl Deref for AppState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl AppState {
    /// # Errors
    /// Where the theme's files or the portal's credential at the identity provider cannot be read.
    pub fn new(pools: impl Into<Pools>, settings: Settings) -> std::io::Result<Self> {
        let files = StaticFiles::load(settings.theme_dir.as_deref())?;
        let provider = open_provider(&settings)?;
        let (work_queue, long_documents) = (WorkQueue::default(), WorkQueue::with_threads(1));
        let (metrics, keys) = (Metrics::default(), OnceLock::new());
        let Pools { portal: pool, strangers: strangers_pool, api: api_pool } = pools.into();
        let of_person = pool.options().get_max_connections().saturating_sub(1).clamp(1, REQUESTS);
        let (exports, requests, strangers) = (Shares::of(EXPORTS), Shares::of(of_person), Shares::of(STRANGERS));
        let parts = Parts {
            pool,
            strangers_pool,
            api_pool,
            exports,
            strangers,
            requests,
            work_queue,
            long_documents,
            settings,
            files,
            metrics,
            stopping: Stopping::default(),
            batches: Notify::new(),
            provider,
            keys,
        };
        Ok(Self(Arc::new(parts)))
    }

    /// The queue for a document of the sheets of this many accounts. Those of many take seconds
    /// and hundreds of megabytes: they are drawn one by one, and no sign-in waits behind them.
    pub fn drawing_queue(&self, sheets: usize) -> &WorkQueue {
        if sheets > FEW_SHEETS { &self.long_documents } else { &self.work_queue }
    }

    /// The keys of the key file, read at first use.
    ///
    /// # Errors
    /// Where their file can be neither read nor made.
    pub fn keys(&self) -> Result<&Keyring, KeyFileError> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        let keys = secret_keys::load(&self.settings.secret_key_file).map_err(KeyFileError)?;
        Ok(self.keys.get_or_init(|| keys))
    }

    /// Generates and hashes a password, in the share of `key`.
    ///
    /// # Errors
    /// Where the queue is full, or the keys cannot be read.
    pub async fn issue_password(&self, key: QueueKey) -> Result<IssuedPassword, AppError> {
        let password = Password::generate(&mut random::os_rng());
        let typed = TypedPassword::new(password.expose().to_owned());
        let hash = self.work_queue.hash(key, typed, &mut random::os_rng()).await?;
        Ok(IssuedPassword { password, hash, verifier_key: self.keys()?.verifier_key() })
    }

    pub fn is_public_https(&self) -> bool {
        self.settings.public_url.starts_with("https://")
    }

    /// The session cookie's name: the prefix `__Host-` makes browsers require Secure, Path=/ and no
    /// Domain. On plain http, browsers would refuse that prefix; the other name says that the
    /// session is not protected.
    pub fn session_cookie(&self) -> &'static str {
        if self.is_public_https() { "__Host-raccord" } else { "raccord-session-sans-https" }
    }

    /// The name of the cookie that marks a known browser.
    pub fn known_browser_cookie(&self) -> &'static str {
        if self.is_public_https() { "__Host-raccord-terminal" } else { "raccord-terminal-sans-https" }
    }

    /// The name of the cookie of a browser that has left for the identity provider. Lax: it must
    /// come along when the provider sends the person back.
    pub fn provider_cookie(&self) -> &'static str {
        if self.is_public_https() { "__Host-raccord-fournisseur" } else { "raccord-fournisseur-sans-https" }
    }

    /// Whether people may sign in with a password.
    pub fn takes_passwords(&self) -> bool {
        self.only_provider().is_none()
    }

    fn only_provider(&self) -> Option<&str> {
        self.provider.as_ref()?.settings.only_label()
    }

    /// The button that leads to the identity provider, where there is one.
    pub fn provider_button(&self) -> Option<ProviderButton> {
        let settings = &self.provider.as_ref()?.settings;
        Some(ProviderButton {
            label: settings.label.clone(),
            is_proconnect: settings.is_proconnect(),
            image: self.files.optional_url("provider-button.svg"),
        })
    }

    /// The layout of a page without a signed-in person.
    pub fn anonymous_layout(&self, notice: Option<Notice>) -> Layout {
        self.layout_of(None, Tab::None, notice)
    }

    /// The layout of a signed-in person's page.
    pub fn layout(&self, person: &SignedIn, current: Tab, notice: Option<Notice>) -> Layout {
        self.layout_of(Some(SignedInUser::from(person)), current, notice)
    }

    pub(super) fn layout_of(&self, user: Option<SignedInUser>, current: Tab, notice: Option<Notice>) -> Layout {
        let assets = Assets {
            stylesheet: self.files.url("style.css"),
            script: self.files.url("app.js"),
            favicon: self.files.url("favicon.svg"),
        };
        let theme = Theme {
            stylesheet: self.files.optional_url("theme.css"),
            logo: self.files.optional_url("logo.svg"),
            operator: self.files.operator().map(str::to_owned),
        };
        Layout { user, current, notice, assets, theme, only_provider: self.only_provider().map(str::to_owned) }
    }
}

/// The identity provider of the settings, if they name one.
///
/// # Errors
/// Where the portal's credential there cannot be read.
pub fn open_provider(settings: &Settings) -> std::io::Result<Option<IdentityProvider>> {
    let url = |path| format!("{}{path}", settings.public_url);
    let addresses =
        ReturnAddresses { callback: url(paths::PROVIDER_CALLBACK), signed_out: url(paths::PROVIDER_SIGNED_OUT) };
    settings.identity_provider.clone().map(|provider| IdentityProvider::open(provider, addresses)).transpose()
}

impl From<&SignedIn> for SignedInUser {
    fn from(person: &SignedIn) -> Self {
        Self {
            display_name: format!("{} {}", person.first_name, person.last_name),
            is_principal_manager: person.is_principal_manager,
            seconds_left: person.seconds_left,
        }
    }
}
