//! A stream on which the head of a request comes in time. Between two requests it may be silent for
//! longer: balancers and clients keep connections for a minute. All is read by small pieces.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take},
    time::{Sleep, sleep},
};

/// Time limit for a request head: from its first byte, and for the first one from the beginning of
/// the connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);

/// The most bytes of one read. hyper doubles its buffer where one read fills it, so slow senders of
/// long heads and bodies would each take three times what they have sent.
const PIECE: u64 = 4 * 1024;

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

/// A stream whose reads fail where the head of a request takes longer than [`HEAD_TIMEOUT`], and
/// have no more than [`PIECE`].
pub(super) struct HeadTimeoutStream<S> {
    stream: Take<S>,
    progress: Arc<Progress>,
    /// Runs while a head is awaited.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead> HeadTimeoutStream<S> {
    pub(super) fn new(stream: S, progress: Arc<Progress>) -> Self {
        Self { stream: stream.take(PIECE), progress, deadline: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadTimeoutStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        self.stream.set_limit(PIECE);
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

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for HeadTimeoutStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self.stream.get_mut()).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.stream.get_mut()).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.get_ref().is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn however_much_has_come_one_read_has_a_small_piece() {
        let (mut sender, stream) = duplex(64 * 1024);
        sender.write_all(&vec![b'x'; 20_000]).await.unwrap();
        drop(sender);
        let mut stream = HeadTimeoutStream::new(stream, Arc::default());
        let (mut buffer, mut pieces) = (vec![0; 16 * 1024], Vec::new());
        loop {
            match stream.read(&mut buffer).await.unwrap() {
                0 => break,
                read => pieces.push(read),
            }
        }
        assert_eq!(pieces, [4096, 4096, 4096, 4096, 3616]);
    }
}
