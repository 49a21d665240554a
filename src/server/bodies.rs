//! Request bodies read whole within their time, and answer bodies that release their connection.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::timeout;

use super::places::Seat;
use crate::web::edge::route::MAX_BODY_BYTES;

/// A body must have come in this time, however slowly it drips.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// An answer on its way: its connection waits again once all of it has been handed over.
pub(super) struct AnswerBody {
    pub(super) body: Body,
    pub(super) seat: Arc<Seat>,
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
pub(super) async fn whole(body: Incoming) -> Body {
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
