//! Request bodies, read whole within a time limit, and response bodies that mark their connection
//! idle at their end.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    BoxError,
    body::{Body, Bytes, HttpBody},
};
use futures_util::stream;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::timeout;

use super::connection_limits::Slot;
use crate::web::edge::body_limit::MAX_BODY_BYTES;

/// Time limit for a whole request body, however slowly its bytes arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// A response body. Its connection is idle again once the body has been sent or dropped.
pub(super) struct ResponseBody {
    pub(super) body: Body,
    pub(super) slot: Arc<Slot>,
}

impl HttpBody for ResponseBody {
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

impl Drop for ResponseBody {
    fn drop(&mut self) {
        self.slot.mark_idle();
    }
}

/// Replaces every body that exceeds [`MAX_BODY_BYTES`].
///
/// One byte too long, so that the layer or extractor that reads it answers 413. An error would not
/// do: axum recognizes a length error only below two wrappers, and our layers add a third.
static OVERSIZED: [u8; MAX_BODY_BYTES + 1] = [0; MAX_BODY_BYTES + 1];

/// Reads a request's body. Where it is too long, incomplete or too slow, the error surfaces in the
/// handler that reads the returned body.
pub(super) async fn read_whole(body: Incoming) -> Body {
    if body.is_end_stream() {
        return Body::empty();
    }
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return oversized();
    }
    match timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await {
        Ok(Ok(collected)) => Body::from(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => oversized(),
        Ok(Err(error)) => failing(error),
        Err(_) => failing(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
}

fn oversized() -> Body {
    Body::from(Bytes::from_static(&OVERSIZED))
}

fn failing(error: BoxError) -> Body {
    Body::from_stream(stream::iter([Err::<Bytes, _>(error)]))
}
