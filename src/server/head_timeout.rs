//! A stream on which the head of a request comes in time. Between two requests it may be silent for
//! longer: balancers and clients keep connections for a minute.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// Time limit for a request head: from its first byte, and for the first one from the beginning of
/// the connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);

/// What a connection does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// A head is awaited, or has begun.
    #[default]
    Head,
    /// A request is read and answered.
    Request,
    /// Between two requests.
    Between,
}

/// What a connection does, as those know it who handle its requests.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<Phase>);

impl Progress {
    fn set(&self, phase: Phase) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// A head has come whole.
    pub(super) fn begin_request(&self) {
        self.set(Phase::Request);
    }

    /// A request is answered.
    pub(super) fn end_request(&self) {
        self.set(Phase::Between);
    }

    /// Whether a head is awaited now that something was read, or nothing.
    fn awaits_head(&self, has_read: bool) -> bool {
        let mut phase = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if has_read && *phase == Phase::Between {
            *phase = Phase::Head;
        }
        *phase == Phase::Head
    }
}

/// A stream whose reads fail where the head of a request takes longer than [`HEAD_TIMEOUT`].
pub(super) struct HeadTimeoutStream<S> {
    stream: S,
    progress: Arc<Progress>,
    /// Runs while a head is awaited.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> HeadTimeoutStream<S> {
    pub(super) fn new(stream: S, progress: Arc<Progress>) -> Self {
        Self { stream, progress, deadline: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadTimeoutStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if !self.progress.awaits_head(buffer.filled().len() > before) {
            self.deadline = None;
            return read;
        }
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(HEAD_TIMEOUT)));
        if read.is_pending() {
            ready!(deadline.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeadTimeoutStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
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
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
