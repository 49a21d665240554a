//! The connections of `serve`: bounded in number and in time, and none lost at the end.
//!
//! axum's own server waits for ever for a slow head, a slow body or a slow reader. Here each of
//! them has a time, and a client that says nothing loses its place as soon as somebody else needs
//! it: however many connections are held open, the next visitor is served.

use std::{convert::Infallible, future::pending, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
    http::{HeaderValue, StatusCode, Version, header},
    response::{IntoResponse, Response},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};

use super::{
    bodies::{AnswerBody, whole},
    patient::Patient,
    places::{Crowd, Seat},
    tls::Tls,
};

/// A head must have come in this time, and a connection may be idle for as long.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client may take to agree on keys.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests under way may take once the end was asked for.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(25);
/// How long the door stays open then, for those who were already on the way.
const LAST_CALL: Duration = Duration::from_millis(100);
/// How long those who came last may take for their first words: hyper closes at once whoever has
/// said nothing.
const FIRST_WORDS: Duration = Duration::from_millis(250);
/// The longest head that is read: request line and headers.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// The most connections at a time: idle ones cost some kilobytes each.
const MAX_CONNECTIONS: usize = 4096;

/// Serves until SIGINT or SIGTERM, then lets the requests under way finish. SIGHUP reads the
/// certificate again.
///
/// `places` is how many connections the process may hold.
///
/// # Errors
/// Where signals cannot be watched.
pub async fn accept(listener: TcpListener, router: &Router, tls: Option<Tls>, places: usize) -> io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut door = Door {
        router: router.clone(),
        graceful: GracefulShutdown::new(),
        crowd: Arc::default(),
        places: Arc::new(Semaphore::new(places.min(MAX_CONNECTIONS))),
        tls,
    };
    loop {
        tokio::select! {
            () = door.admit_next(&listener) => {}
            _ = hang_up.recv() => door.renew_certificate(),
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    let last_call = async {
        loop {
            door.admit_next(&listener).await;
        }
    };
    let _ = timeout(LAST_CALL, last_call).await;
    drop(listener);
    tracing::info!("stopping: requests under way finish first");
    sleep(FIRST_WORDS).await;
    if timeout(DRAIN_TIMEOUT, door.graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
    Ok(())
}

/// What every connection is given on its way in.
struct Door {
    router: Router,
    graceful: GracefulShutdown,
    crowd: Arc<Crowd>,
    places: Arc<Semaphore>,
    tls: Option<Tls>,
}

impl Door {
    /// Takes a place first and a connection then, so that nothing is lost where this is cut short.
    async fn admit_next(&self, listener: &TcpListener) {
        let place = self.place().await;
        match listener.accept().await {
            Ok((stream, peer)) => self.admit(stream, peer, place),
            // Out of file descriptors, say: what is idle goes, what is open goes on, new ones wait.
            Err(error) => {
                tracing::warn!(error = error.to_string(), "cannot accept a connection");
                self.crowd.send_the_longest_away();
                sleep(Duration::from_millis(100)).await;
            }
        }
    }

    async fn place(&self) -> OwnedSemaphorePermit {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return place;
        }
        self.crowd.send_the_longest_away();
        // Nobody closes the semaphore.
        match self.places.clone().acquire_owned().await {
            Ok(place) => place,
            Err(_) => pending().await,
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
        let _ = stream.set_nodelay(true);
        let stream = Patient { stream, stalled: None };
        let seat = Arc::new(Seat::new(self.crowd.clone(), place));
        let (router, watcher) = (self.router.clone(), self.graceful.watcher());
        match self.tls.as_ref().map(Tls::acceptor) {
            None => drop(tokio::spawn(serve(stream, peer, router, watcher, seat))),
            Some(acceptor) => drop(tokio::spawn(async move {
                match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => serve(stream, peer, router, watcher, seat).await,
                    Ok(Err(error)) => tracing::debug!(%peer, error = error.to_string(), "no agreement on keys"),
                    Err(_) => tracing::debug!(%peer, "no agreement on keys in time"),
                }
            })),
        }
    }

    fn renew_certificate(&mut self) {
        match self.tls.as_mut().map(Tls::reload) {
            None => tracing::info!("SIGHUP: there is no certificate to read again"),
            Some(Ok(())) => tracing::info!("the certificate was read again"),
            Some(Err(error)) => tracing::error!(error = error.to_string(), "the certificate stays as it was"),
        }
    }
}

/// One connection, from its first request to its last.
async fn serve<S>(stream: S, peer: SocketAddr, router: Router, watcher: Watcher, seat: Arc<Seat>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let for_requests = seat.clone();
    let service = service_fn(move |request| answer(request, peer, router.clone(), for_requests.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_header_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        result = watcher.watch(connection) => {
            if let Err(error) = result {
                tracing::debug!(%peer, error = error.to_string(), "connection ended");
            }
        }
        () = seat.sent_away() => tracing::debug!(%peer, "connection ended: its place was needed"),
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
    router: Router,
    seat: Arc<Seat>,
) -> Result<Response, Infallible> {
    let (head, body) = request.into_parts();
    let body = whole(body).await;
    // Not before the body is there: whoever is slow with it takes no place that others need.
    if !seat.work() {
        // It was sent away just now; nothing has been begun.
        return pending().await;
    }
    let mut request = Request::from_parts(head, body);
    request.extensions_mut().insert(ConnectInfo(peer));
    let mut response = if is_of_one_host(&request) {
        let answer = hyper::service::Service::call(&TowerToHyperService::new(router), request).await;
        answer.unwrap_or_else(|never| match never {})
    } else {
        (StatusCode::BAD_REQUEST, [(header::CONNECTION, "close")]).into_response()
    };
    if response.headers().contains_key(header::SET_COOKIE) {
        // hyper keeps the place of an answer's head for the next one, and what was in it: a new
        // session's secret.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| Body::new(AnswerBody { body, seat })))
}

/// Whether a request says once, and not twice, whom it is for (RFC 9112 §3.2), as those before us
/// must have read it too.
fn is_of_one_host<B>(request: &Request<B>) -> bool {
    match request.headers().get_all(header::HOST).iter().count() {
        0 => request.version() < Version::HTTP_11,
        count => count == 1,
    }
}
