//! `raccord serve`: starts the service and its background tasks, and stops them in order.

pub mod batch_worker;
mod bodies;
mod connection_slots;
mod connections;
mod head_timeout;
mod history_watch;
mod tls;
mod write_timeout;

use std::{io, net::SocketAddr, path::Path, time::Duration};

use sqlx::PgPool;
use thiserror::Error;
use time::OffsetDateTime;
use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::JoinHandle,
    time::{interval, sleep, timeout},
};

use crate::{
    db::{
        self, key_names,
        technical_users::{dormancy, reminders},
        upkeep,
    },
    mail::MailSender,
    process,
    secret_keys::{self, KeyFileError},
    settings::{SettingError, Settings, TlsFiles},
    web::{
        self,
        api::call_log::FLUSH_EVERY,
        api::state::ApiState,
        edge::{
            probes::{measure_database_waits, metrics_router},
            state::AppState,
        },
    },
};
use connections::{Acceptor, Limits, Signals, Stop};
use history_watch::HistoryWatch;
use tls::{Tls, TlsError};

/// How long a mail being sent may take at shutdown, after the last request.
const MAIL_TIMEOUT: Duration = Duration::from_secs(3);
/// The most connections of the metrics listener. Their file descriptors are among those that
/// `process` reserves.
const METRICS_CONNECTIONS: usize = 16;
const UPKEEP_EVERY: Duration = Duration::from_mins(1);
/// Each look reads all accounts.
const DORMANT_EVERY: Duration = Duration::from_hours(1);
/// Between two measurements of how long a connection to the database is waited for.
const MEASURE_EVERY: Duration = Duration::from_secs(1);

/// Why the service could not start.
#[derive(Debug, Error)]
pub enum ServeError {
    #[error(transparent)]
    Setting(#[from] SettingError),
    #[error("RACCORD_LISTEN: cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    #[error("RACCORD_METRICS_LISTEN: cannot listen on {0}: {1}")]
    MetricsListen(SocketAddr, io::Error),
    #[error("RACCORD_THEME_DIR: cannot read the theme: {0}")]
    Theme(io::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("RACCORD_SECRET_KEY_FILE: cannot use {path}: {1}", path = .0.display())]
    SecretKeys(std::path::PathBuf, io::Error),
    #[error(
        "RACCORD_SECRET_KEY_FILE: {path} has none of the keys that this database was used with ({1}): copy the file \
         from another instance or from its backup; where it is lost, start once with --accept-new-keys",
        path = .0.display()
    )]
    OtherKeys(std::path::PathBuf, String),
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("cannot watch for signals: {0}")]
    Signals(io::Error),
}

/// What is done with a key file that has none of the database's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewKeys {
    Refused,
    Accepted,
}

/// Serves until SIGINT or SIGTERM, then finishes the requests in flight and the mail being sent.
/// Closes `pool_of_start`.
///
/// # Errors
/// [`ServeError`].
pub async fn run(settings: Settings, keys: NewKeys, pool_of_start: PgPool) -> Result<(), ServeError> {
    let listen = settings.listen;
    let public_url = settings.public_url.clone();
    let mail_sender = MailSender::open(&settings)?;
    let tls = settings.tls.clone().map(Tls::load).transpose()?;
    let max_connections = process::make_room_for_connections(settings.database_connections);
    let listener = connections::listen(listen).await.map_err(|error| ServeError::Listen(listen, error))?;
    if keys == NewKeys::Refused {
        require_known_keys(&settings.secret_key_file, &pool_of_start).await?;
    }
    let pools = db::serving_pools(&pool_of_start, settings.database_connections);
    pool_of_start.close().await;
    let pool = pools.portal.clone();
    let trusted_proxies = settings.trusted_proxies.clone();
    let state = AppState::new(pools, settings).map_err(ServeError::Theme)?;
    // Read at startup, so that a bad file is found now and not at the first sign-in with a code.
    state
        .keys()
        .map_err(|KeyFileError(error)| ServeError::SecretKeys(state.settings.secret_key_file.clone(), error))?;
    if let Some(listen) = state.settings.metrics_listen {
        let listener = TcpListener::bind(listen).await.map_err(|error| ServeError::MetricsListen(listen, error))?;
        tokio::spawn(connections::serve_forever(listener, metrics_router(state.clone()), METRICS_CONNECTIONS));
        tokio::spawn(measure_for_metrics(state.clone()));
    }
    let (stop_mail, mail) = spawn_mail_sender(mail_sender, pool);
    let upkeep = tokio::spawn(run_upkeep(state.clone()));
    let batches = tokio::spawn(batch_worker::run(state.clone()));
    if let Some(days) = state.settings.dormant_days {
        tokio::spawn(suspend_dormant(state.clone(), days));
    }
    let api = ApiState::new(state.clone());
    tokio::spawn(write_call_log(api.clone()));
    let signals = Signals::watch().map_err(ServeError::Signals)?;
    tracing::info!(%listen, url = %public_url, "Raccord is ready");
    let router = web::router(state.clone(), api.clone());
    let limits = Limits { connections: max_connections, trusted_proxies };
    let stop = Stop { stopping: state.stopping.clone(), delay: state.settings.stop_delay };
    connections::serve_until_signal(signals, listener, Acceptor::new(router, tls, limits), stop).await;
    upkeep.abort();
    batches.abort();
    if let Err(error) = api.call_log.flush_all(&state.pool).await {
        tracing::warn!(error = error.to_string(), "the last calls could not be written");
    }
    let _ = stop_mail.send(());
    let _ = timeout(MAIL_TIMEOUT, mail).await;
    Ok(())
}

/// Refuses a key file that is missing or another database's: this instance would find right codes
/// wrong, and seal what no other instance opens. A database that needs no key yet takes any.
///
/// # Errors
/// [`ServeError`].
pub async fn require_known_keys(path: &Path, pool: &PgPool) -> Result<(), ServeError> {
    let in_use = key_names::in_use(pool).await?;
    // A missing file would be made, with a new key.
    let is_known = path.exists() && {
        let keys = secret_keys::load(path).map_err(|error| ServeError::SecretKeys(path.to_owned(), error))?;
        keys.names().any(|name| in_use.iter().any(|used| used == name))
    };
    if is_known || in_use.is_empty() { Ok(()) } else { Err(ServeError::OtherKeys(path.to_owned(), in_use.join(", "))) }
}

/// Reads certificate and key as `serve` does. Returns when the certificate expires, where it says
/// so in a form that is known.
///
/// # Errors
/// [`TlsError`].
pub fn examine_tls(files: &TlsFiles) -> Result<Option<OffsetDateTime>, TlsError> {
    Tls::load(files.clone())?;
    tls::expiry(files)
}

/// Starts the task that sends mails. The returned channel stops it, after the mail being sent.
fn spawn_mail_sender(mail_sender: MailSender, pool: PgPool) -> (oneshot::Sender<()>, JoinHandle<()>) {
    let (stop, stopped) = oneshot::channel();
    let shutdown = async {
        let _ = stopped.await;
    };
    (stop, tokio::spawn(async move { mail_sender.run(pool, shutdown).await }))
}

/// Measures what happens between two readings of the metrics.
async fn measure_for_metrics(state: AppState) {
    loop {
        measure_database_waits(&state).await;
        sleep(MEASURE_EVERY).await;
    }
}

/// Periodically, or where there are very many, writes the API's buffered last calls and refusals to
/// the database.
async fn write_call_log(api: ApiState) {
    let mut ticks = interval(FLUSH_EVERY);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = api.call_log.wants_flush() => {}
        }
        if let Err(error) = api.call_log.flush(&api.app.pool).await {
            tracing::warn!(error = error.to_string(), "the last calls will be written later");
            // Very many ask for the next flush at once.
            sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Periodically looks whether history went back, deletes expired rows and announces passwords that
/// will expire.
async fn run_upkeep(state: AppState) {
    let (mut ticks, mut history) = (interval(UPKEEP_EVERY), HistoryWatch::new());
    loop {
        ticks.tick().await;
        if let Err(error) = history.look(&state).await {
            tracing::warn!(error = error.to_string(), "the history will be looked at again");
        }
        if let Err(error) = upkeep::sweep(&state.pool).await {
            tracing::warn!(error = error.to_string(), "upkeep will be tried again");
        }
        match reminders::remind(&state.pool).await {
            Ok(0) => {}
            Ok(reminders) => tracing::info!(reminders, "passwords that will expire were announced"),
            Err(error) => tracing::warn!(error = error.to_string(), "reminders will be tried again"),
        }
    }
}

/// Periodically announces accounts that nothing uses, and suspends those that were announced.
async fn suspend_dormant(state: AppState, idle_days: i32) {
    let mut ticks = interval(DORMANT_EVERY);
    loop {
        ticks.tick().await;
        match dormancy::look(&state.pool, idle_days).await {
            Ok(dormant) if dormant == dormancy::Dormant::default() => {}
            Ok(dormancy::Dormant { announced, suspended }) => {
                tracing::info!(announced, suspended, "accounts that nothing uses were announced or suspended");
            }
            Err(error) => tracing::warn!(error = error.to_string(), "dormant accounts will be looked at again"),
        }
    }
}
