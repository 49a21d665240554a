//! HTTP/1.1 connections: bounded in number and in time, and drained at shutdown.
//!
//! axum's own server waits without limit for a slow request head, request body or reader. Here
//! each has a time limit, and an idle connection is closed as soon as another one needs its slot:
//! however many connections are held open, the next visitor is served.

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
use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    signal::unix::{Signal, SignalKind, signal},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};

use super::{
    bodies::{ResponseBody, read_whole},
    connection_slots::{Slot, Slots},
    head_timeout::{HeadTimeoutStream, Progress},
    tls::Tls,
    write_timeout::WriteTimeoutStream,
};
use crate::{domain::network::site_of, settings::TrustedProxies, web::edge::stopping::Stopping};

/// How long a connection is kept for another request. Balancers keep theirs for a minute, and must
/// be the first to close: a request on its way would be lost. The place is lent meanwhile. Heads
/// that have begun have [`HeadTimeoutStream`]'s limit.
const KEEP_ALIVE: Duration = Duration::from_secs(90);
const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit for the requests in flight at shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(25);
/// How long connections are still accepted after the shutdown signal: the kernel has already
/// completed the handshake of those in its backlog.
const ACCEPT_GRACE: Duration = Duration::from_millis(100);
/// How long the last accepted connections have to send their first bytes. hyper's graceful
/// shutdown closes at once every connection that has sent none.
const FIRST_BYTES_GRACE: Duration = Duration::from_millis(250);
/// Pause after a failed accept, such as one without a free file descriptor.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// The longest request head: request line and headers. hyper's buffers have no more bytes, either:
/// it would read 400 kB ahead of a body that is not taken yet.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// The most connections at a time: an idle one costs some kilobytes.
const MAX_CONNECTIONS: usize = 4096;

/// What the kernel may hold of the answers on one connection (it doubles the value). More would let
/// slow readers fill its memory.
const SEND_BUFFER: usize = 128 * 1024;
/// One network has one slot in this many, but some in any case.
const NETWORK_PART: usize = 16;
const LEAST_OF_NETWORK: usize = 64;

/// A listener whose connections have bounded buffers.
///
/// # Errors
/// Where it cannot listen.
pub(super) async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address).await?;
    // Accepted connections inherit it.
    set_socket_send_buffer_size(&listener, SEND_BUFFER)?;
    Ok(listener)
}

/// How many connections there may be.
pub(super) struct Limits {
    /// For how many the process has file descriptors.
    pub(super) connections: usize,
    /// They connect for others: the limit of a network does not hold for them.
    pub(super) trusted_proxies: TrustedProxies,
}

/// How the service ends.
pub(super) struct Stop {
    /// Where its answers see that it does.
    pub(super) stopping: Stopping,
    /// How long it still accepts connections, so that balancers see that it is not ready before
    /// the first one is refused. A second signal ends it.
    pub(super) delay: Duration,
}

/// The signals that the service answers. One that comes before the service is ready waits.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    /// # Errors
    /// Where signals cannot be watched.
    pub(super) fn watch() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn end(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Serves until SIGINT or SIGTERM, then for the delay of `stop`, then drains the requests in
/// flight. SIGHUP reloads the certificate.
pub(super) async fn serve_until_signal(
    mut signals: Signals,
    listener: TcpListener,
    mut acceptor: Acceptor,
    stop: Stop,
) {
    loop {
        tokio::select! {
            () = acceptor.accept_next(&listener) => {}
            _ = signals.hang_up.recv() => acceptor.reload_certificate(),
            _ = signals.interrupt.recv() => break,
            _ = signals.terminate.recv() => break,
        }
    }
    stop.stopping.begin();
    if !stop.delay.is_zero() {
        tracing::info!(seconds = stop.delay.as_secs(), "stopping: /readyz says so first");
        let _ = timeout(stop.delay, acceptor.accept_until(&listener, signals.end())).await;
    }
    acceptor.drain(listener).await;
}

/// Serves without TLS until the future is dropped, with the same limits.
pub(super) async fn serve_forever(listener: TcpListener, router: Router, max_connections: usize) {
    let limits = Limits { connections: max_connections, trusted_proxies: TrustedProxies::default() };
    Acceptor::new(router, None, limits).accept_until(&listener, pending()).await;
}

/// Accepts connections and starts a task for each.
pub(super) struct Acceptor {
    router: Router,
    graceful: GracefulShutdown,
    slots: Arc<Slots>,
    trusted_proxies: TrustedProxies,
    permits: Arc<Semaphore>,
    tls: Option<Tls>,
}

impl Acceptor {
    pub(super) fn new(router: Router, tls: Option<Tls>, limits: Limits) -> Self {
        let max_connections = limits.connections.min(MAX_CONNECTIONS);
        let of_network = (max_connections / NETWORK_PART).max(LEAST_OF_NETWORK);
        Self {
            router,
            graceful: GracefulShutdown::new(),
            slots: Arc::new(Slots::new(of_network)),
            trusted_proxies: limits.trusted_proxies,
            permits: Arc::new(Semaphore::new(max_connections)),
            tls,
        }
    }

    async fn accept_until(&self, listener: &TcpListener, end: impl Future<Output = ()>) {
        let accept = async {
            loop {
                self.accept_next(listener).await;
            }
        };
        tokio::select! {
            () = accept => {}
            () = end => {}
        }
    }

    /// Acquires a permit before it accepts, so that no accepted connection is lost where this
    /// future is dropped.
    async fn accept_next(&self, listener: &TcpListener) {
        let permit = self.acquire_permit().await;
        match listener.accept().await {
            Ok((stream, peer)) => self.spawn_connection(stream, peer, permit),
            // Without a free file descriptor, say: close an idle connection, and let the new ones
            // wait in the backlog.
            Err(error) => {
                tracing::warn!(error = error.to_string(), "cannot accept a connection");
                self.slots.close_longest_idle();
                sleep(ACCEPT_RETRY).await;
            }
        }
    }

    async fn acquire_permit(&self) -> OwnedSemaphorePermit {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return permit;
        }
        self.slots.close_longest_idle();
        // The semaphore is never closed, so acquiring never fails.
        match self.permits.clone().acquire_owned().await {
            Ok(permit) => permit,
            Err(_) => pending().await,
        }
    }

    fn spawn_connection(&self, stream: TcpStream, peer: SocketAddr, permit: OwnedSemaphorePermit) {
        let address = peer.ip().to_canonical();
        let network = (!self.trusted_proxies.contain(address)).then(|| site_of(address));
        let Some(slot) = Slot::take(&self.slots, network, permit) else {
            tracing::debug!(%peer, "connection refused: its network has all its slots");
            return;
        };
        let slot = Arc::new(slot);
        let _ = stream.set_nodelay(true);
        let stream = WriteTimeoutStream::new(stream);
        let (router, watcher) = (self.router.clone(), self.graceful.watcher());
        match self.tls.as_ref().map(Tls::acceptor) {
            None => drop(tokio::spawn(serve(stream, peer, router, watcher, slot))),
            Some(acceptor) => drop(tokio::spawn(async move {
                match timeout(TLS_HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => serve(stream, peer, router, watcher, slot).await,
                    Ok(Err(error)) => tracing::debug!(%peer, error = error.to_string(), "no agreement on keys"),
                    Err(_) => tracing::debug!(%peer, "no agreement on keys in time"),
                }
            })),
        }
    }

    fn reload_certificate(&mut self) {
        match self.tls.as_mut().map(Tls::reload) {
            None => tracing::info!("SIGHUP: there is no certificate to read again"),
            Some(Ok(())) => tracing::info!("the certificate was read again"),
            Some(Err(error)) => tracing::error!(error = error.to_string(), "the certificate stays as it was"),
        }
    }

    /// Accepts what is still in the backlog, closes the listener, and waits for the requests in
    /// flight.
    async fn drain(self, listener: TcpListener) {
        self.accept_until(&listener, sleep(ACCEPT_GRACE)).await;
        drop(listener);
        tracing::info!("stopping: requests under way finish first");
        sleep(FIRST_BYTES_GRACE).await;
        if timeout(DRAIN_TIMEOUT, self.graceful.shutdown()).await.is_err() {
            tracing::warn!("some requests did not finish in time");
        }
    }
}

/// Serves all requests of one connection.
async fn serve<S>(stream: S, peer: SocketAddr, router: Router, watcher: Watcher, slot: Arc<Slot>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let progress = Arc::new(Progress::default());
    let stream = HeadTimeoutStream::new(stream, progress.clone());
    let service = service_fn({
        let slot = slot.clone();
        move |request| {
            progress.begin_request();
            respond(request, peer, router.clone(), slot.clone(), progress.clone())
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(KEEP_ALIVE)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        result = watcher.watch(connection) => {
            if let Err(error) = result {
                tracing::debug!(%peer, error = error.to_string(), "connection ended");
            }
        }
        () = slot.needed() => tracing::debug!(%peer, "connection ended: its slot was needed"),
    }
}

async fn respond(
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
    router: Router,
    slot: Arc<Slot>,
    progress: Arc<Progress>,
) -> Result<Response, Infallible> {
    let (head, body) = request.into_parts();
    let body = read_whole(body).await;
    // Only now: a connection whose body is slow stays idle, and others may take its slot.
    if !slot.mark_busy() {
        // The connection is being closed; the request was not started.
        return pending().await;
    }
    let mut request = Request::from_parts(head, body);
    request.extensions_mut().insert(ConnectInfo(peer));
    let mut response = if has_one_host(&request) {
        let answer = hyper::service::Service::call(&TowerToHyperService::new(router), request).await;
        answer.unwrap_or_else(|never| match never {})
    } else {
        (StatusCode::BAD_REQUEST, [(header::CONNECTION, "close")]).into_response()
    };
    if response.headers().contains_key(header::SET_COOKIE) {
        // hyper reuses the buffer of a response head for the next one, and leaves in it what it
        // held: a new session's secret. Closing the connection frees and wipes the buffer.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| Body::new(ResponseBody { body, slot, progress })))
}

/// Whether a request has exactly one `Host` header (RFC 9112 §3.2; HTTP/1.0 may have none). With
/// two, a proxy before this server could have read the other one.
fn has_one_host<B>(request: &Request<B>) -> bool {
    match request.headers().get_all(header::HOST).iter().count() {
        0 => request.version() < Version::HTTP_11,
        count => count == 1,
    }
}
