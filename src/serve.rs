//! `raccord serve`: the service from its first connection to its last.

use std::{convert::Infallible, future::IntoFuture, io, net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use sqlx::PgPool;
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    task::JoinHandle,
    time::{interval, sleep, timeout},
};

use crate::{
    db::{reminders, upkeep},
    mail::MailRoom,
    settings::{SettingError, Settings},
    web::{self, api::traces::WRITE_EVERY, state::AppState},
};

/// A head must have come in this time, and a connection may be idle for as long.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// How long requests under way may take once the end was asked for.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(25);
/// How long a mail under way may take then.
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
    let listener = TcpListener::bind(listen).await.map_err(|error| ServeError::Listen(listen, error))?;
    let state = AppState::new(pool.clone(), settings).map_err(ServeError::Theme)?;
    // Now rather than at somebody's first code.
    state.keys().map_err(|error| ServeError::SecretKeys(state.settings.secret_key_file.clone(), error))?;
    if let Some(listen) = state.settings.metrics_listen {
        let listener = TcpListener::bind(listen).await.map_err(|error| ServeError::MetricsListen(listen, error))?;
        tokio::spawn(axum::serve(listener, web::metrics::router(state.clone())).into_future());
    }
    let (end_of_mail, mail) = send_mails(mail_room, pool.clone());
    let upkeep = tokio::spawn(keep_up(pool));
    tokio::spawn(write_traces(state.clone()));
    tracing::info!(%listen, url = %public_url, "Raccord is ready");
    accept(listener, &web::router(state.clone())).await.map_err(ServeError::Signals)?;
    upkeep.abort();
    if let Err(error) = state.api.traces.write_all(&state.pool).await {
        tracing::warn!(%error, "the last calls could not be written");
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

async fn accept(listener: TcpListener, router: &Router) -> io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let graceful = GracefulShutdown::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => serve_connection(stream, peer, router.clone(), &graceful),
                // Out of file descriptors, say: what is open goes on, new ones wait.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(Duration::from_millis(100)).await;
                }
            },
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    drop(listener);
    tracing::info!("stopping: requests under way finish first");
    if timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
    Ok(())
}

/// axum's own server waits for ever for a slow head; hyper's builder does not.
fn serve_connection(stream: TcpStream, peer: SocketAddr, router: Router, graceful: &GracefulShutdown) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = hyper::service::Service::call(&TowerToHyperService::new(router.clone()), request);
        async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let watched = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = watched.await {
            tracing::debug!(%peer, %error, "connection ended");
        }
    });
}

/// Writes what the API's calls leave behind, for as long as the service runs.
async fn write_traces(state: AppState) {
    let mut ticks = interval(WRITE_EVERY);
    loop {
        ticks.tick().await;
        if let Err(error) = state.api.traces.write(&state.pool).await {
            tracing::warn!(%error, "the last calls will be written later");
        }
    }
}

/// Removes what time has made worthless, and reminds of what it will, for as long as the service runs.
async fn keep_up(pool: PgPool) {
    let mut ticks = interval(UPKEEP_EVERY);
    loop {
        ticks.tick().await;
        if let Err(error) = upkeep::sweep(&pool).await {
            tracing::warn!(%error, "upkeep will be tried again");
        }
        match reminders::remind(&pool).await {
            Ok(0) => {}
            Ok(reminders) => tracing::info!(reminders, "passwords that will expire were announced"),
            Err(error) => tracing::warn!(%error, "reminders will be tried again"),
        }
    }
}
