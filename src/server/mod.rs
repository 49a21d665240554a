//! `raccord serve`: the service from its first connection to its last.

pub mod bodies;
pub mod connections;
pub mod patient;
pub mod places;
pub mod tls;

use std::{future::IntoFuture, io, net::SocketAddr, time::Duration};

use sqlx::PgPool;
use thiserror::Error;
use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::JoinHandle,
    time::{interval, timeout},
};

use crate::{
    db::{self, technical_users::reminders, upkeep},
    mail::MailRoom,
    process,
    settings::{SettingError, Settings},
    web::{
        self,
        api::call_log::FLUSH_EVERY,
        api::state::ApiState,
        edge::{monitoring::metrics_router, state::AppState},
    },
};
use tls::{Tls, TlsError};

/// How long a mail under way may take once the requests have ended.
const MAIL_TIMEOUT: Duration = Duration::from_secs(3);
const UPKEEP_EVERY: Duration = Duration::from_mins(1);

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
    #[error("cannot watch for signals: {0}")]
    Signals(io::Error),
}

/// Serves until SIGINT or SIGTERM, then lets the requests under way finish.
///
/// # Errors
/// [`ServeError`].
pub async fn run(settings: Settings, pool: PgPool) -> Result<(), ServeError> {
    let listen = settings.listen;
    let public_url = settings.public_url.clone();
    let mail_room = MailRoom::open(&settings)?;
    let tls = settings.tls.clone().map(Tls::load).transpose()?;
    let places = process::make_room_for_connections(settings.database_connections);
    let listener = TcpListener::bind(listen).await.map_err(|error| ServeError::Listen(listen, error))?;
    let pool = db::serving_pool(&pool, settings.database_connections);
    let state = AppState::new(pool.clone(), settings).map_err(ServeError::Theme)?;
    // Now rather than at somebody's first code.
    state.keys().map_err(|error| ServeError::SecretKeys(state.settings.secret_key_file.clone(), error))?;
    if let Some(listen) = state.settings.metrics_listen {
        let listener = TcpListener::bind(listen).await.map_err(|error| ServeError::MetricsListen(listen, error))?;
        tokio::spawn(axum::serve(listener, metrics_router(state.clone())).into_future());
    }
    let (end_of_mail, mail) = send_mails(mail_room, pool.clone());
    let upkeep = tokio::spawn(keep_up(pool));
    let api = ApiState::new(state.clone());
    tokio::spawn(write_call_log(api.clone()));
    tracing::info!(%listen, url = %public_url, "Raccord is ready");
    let router = web::router(state.clone(), api.clone());
    connections::accept(listener, &router, tls, places).await.map_err(ServeError::Signals)?;
    upkeep.abort();
    if let Err(error) = api.call_log.flush_all(&state.pool).await {
        tracing::warn!(error = error.to_string(), "the last calls could not be written");
    }
    let _ = end_of_mail.send(());
    let _ = timeout(MAIL_TIMEOUT, mail).await;
    Ok(())
}

/// Starts the mail room; the sender ends it, once the mail under way has left.
fn send_mails(mail_room: MailRoom, pool: PgPool) -> (oneshot::Sender<()>, JoinHandle<()>) {
    let (end, ended) = oneshot::channel();
    let shutdown = async {
        let _ = ended.await;
    };
    (end, tokio::spawn(async move { mail_room.run(pool, shutdown).await }))
}

/// Writes the last calls and the refusals of the API, for as long as the service runs.
async fn write_call_log(api: ApiState) {
    let mut ticks = interval(FLUSH_EVERY);
    loop {
        ticks.tick().await;
        if let Err(error) = api.call_log.flush(&api.app.pool).await {
            tracing::warn!(error = error.to_string(), "the last calls will be written later");
        }
    }
}

/// Removes what time has made worthless, and reminds of what it will, for as long as the service
/// runs.
async fn keep_up(pool: PgPool) {
    let mut ticks = interval(UPKEEP_EVERY);
    loop {
        ticks.tick().await;
        if let Err(error) = upkeep::sweep(&pool).await {
            tracing::warn!(error = error.to_string(), "upkeep will be tried again");
        }
        match reminders::remind(&pool).await {
            Ok(0) => {}
            Ok(reminders) => tracing::info!(reminders, "passwords that will expire were announced"),
            Err(error) => tracing::warn!(error = error.to_string(), "reminders will be tried again"),
        }
    }
}
