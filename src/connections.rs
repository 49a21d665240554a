//! The connections of `serve`: bounded in number and in time, and none lost at the end.
//!
//! axum's own server waits for ever for a slow head, a slow body or a slow reader. Here each of them has a time, and a client
//! that says nothing loses its place as soon as somebody else needs it: however many connections are held open, the next
//! visitor is served.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::{pending, poll_fn},
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::{ConnectInfo, Request},
    http::{HeaderValue, StatusCode, Version, header},
    response::{IntoResponse, Response},
};
use hyper::{
    body::{Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep, timeout},
};

use crate::{tls::Tls, web::MAX_BODY_BYTES};

/// A head must have come in this time, and a connection may be idle for as long.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// A body must have come in this time, however slowly it drips.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client may take nothing of an answer that waits for it.
const TAKING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client may take to agree on keys.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests under way may take once the end was asked for.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(25);
/// How long the door stays open then, for those who were already on the way.
const LAST_CALL: Duration = Duration::from_millis(100);
/// How long those who came last may take for their first words: hyper closes at once whoever has said nothing.
const FIRST_WORDS: Duration = Duration::from_millis(250);
/// The longest head that is read: request line and headers.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// The most connections at a time: idle ones cost some kilobytes each.
const MAX_CONNECTIONS: usize = 4096;

/// Serves until SIGINT or SIGTERM, then lets the requests under way finish. SIGHUP reads the certificate again.
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
        // hyper keeps the place of an answer's head for the next one, and what was in it: a new session's secret.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| Body::new(AnswerBody { body, seat })))
}

/// Whether a request says once, and not twice, whom it is for (RFC 9112 §3.2), as those before us must have read it too.
fn is_of_one_host<B>(request: &Request<B>) -> bool {
    match request.headers().get_all(header::HOST).iter().count() {
        0 => request.version() < Version::HTTP_11,
        count => count == 1,
    }
}

/// The connections that wait for nothing of ours: between two requests, or before a head has come. Longest first.
#[derive(Default)]
struct Crowd(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    arrivals: u64,
    seats: BTreeMap<u64, Arc<Notify>>,
}

impl Crowd {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send_the_longest_away(&self) {
        if let Some((_, seat)) = self.waiting().seats.pop_first() {
            seat.notify_one();
        }
    }
}

/// A connection's place among the others.
struct Seat {
    crowd: Arc<Crowd>,
    end: Arc<Notify>,
    /// Its number while it waits.
    number: Mutex<Option<u64>>,
    _place: OwnedSemaphorePermit,
}

impl Seat {
    fn new(crowd: Arc<Crowd>, place: OwnedSemaphorePermit) -> Self {
        let seat = Self { crowd, end: Arc::default(), number: Mutex::default(), _place: place };
        seat.wait();
        seat
    }

    fn number(&self) -> MutexGuard<'_, Option<u64>> {
        self.number.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the place may be given to somebody else.
    fn wait(&self) {
        let mut waiting = self.crowd.waiting();
        waiting.arrivals += 1;
        let number = waiting.arrivals;
        waiting.seats.insert(number, self.end.clone());
        *self.number() = Some(number);
    }

    /// From now on it may not; `false` where it already was.
    fn work(&self) -> bool {
        let number = self.number().take();
        number.is_none_or(|number| self.crowd.waiting().seats.remove(&number).is_some())
    }

    async fn sent_away(&self) {
        self.end.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.work();
    }
}

/// An answer on its way: its connection waits again once all of it has been handed over.
struct AnswerBody {
    body: Body,
    seat: Arc<Seat>,
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.seat.wait();
    }
}

/// Stands for every body that is too long: it is refused for its length, wherever it is read.
static TOO_LONG: [u8; MAX_BODY_BYTES + 1] = [0; MAX_BODY_BYTES + 1];

/// A request's whole body, or one that cannot be read.
async fn whole(body: Incoming) -> Body {
    if body.is_end_stream() {
        return Body::empty();
    }
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Body::from(Bytes::from_static(&TOO_LONG));
    }
    match timeout(BODY_TIMEOUT, read(body)).await {
        Ok(Ok(bytes)) => Body::from(bytes),
        Ok(Err(error)) => Body::new(Broken(Some(axum::Error::new(error)))),
        Err(_) => Body::new(Broken(Some(axum::Error::new(io::Error::from(io::ErrorKind::TimedOut))))),
    }
}

/// Reads no further than it takes to know that it is too long.
async fn read(mut body: Incoming) -> hyper::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() <= MAX_BODY_BYTES
        && let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
    {
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

/// A body that did not come, or not to its end.
struct Broken(Option<axum::Error>);

impl HttpBody for Broken {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Poll::Ready(self.0.take().map(Err))
    }
}

/// A stream whose reader must take something now and then.
struct Patient {
    stream: TcpStream,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    /// Lets what was done through, and what waits only for [`TAKING_TIMEOUT`].
    fn bounded<T>(&mut self, context: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.stalled = None;
            return done;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(TAKING_TIMEOUT)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.bounded(context, done)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.bounded(context, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
