//! Request bodies, read whole within a time limit, and response bodies that mark their connection
//! idle at their end.

use std::{
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
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout_at},
};

use super::{connection_slots::Slot, head_timeout::Progress};
use crate::web::edge::body_limit::MAX_BODY_BYTES;

/// Time limit for a whole request body, however slowly its bytes arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// A response body. Its connection is idle again once the body has been sent or dropped.
pub(super) struct ResponseBody {
    pub(super) body: Body,
    pub(super) slot: Arc<Slot>,
    pub(super) progress: Arc<Progress>,
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
        self.progress.end_request();
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
pub(super) async fn read_whole<B>(body: B) -> Body
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    if body.is_end_stream() {
        return Body::empty();
    }
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return oversized();
    }
    match gather(body).await {
        Ok(Some(bytes)) => Body::from(bytes),
        Ok(None) => oversized(),
        Err(error) => failing(error),
    }
}

/// Only forms with a choice for each of hundreds of structures are longer. Longer bodies are in
/// memory only as many at a time as [`LONG_BODIES`] says; others wait, within their time limit.
const USUAL_BODY_BYTES: usize = 16 * 1024;
static LONG_BODIES: Semaphore = Semaphore::const_new(256);
/// Within which the rest of a long body must arrive: a slow sender keeps its place no longer.
const LONG_BODY_TIMEOUT: Duration = Duration::from_secs(4);

/// A body in memory.
#[derive(Default)]
struct Gathered {
    bytes: Vec<u8>,
    /// Of [`LONG_BODIES`].
    permit: Option<SemaphorePermit<'static>>,
}

impl AsRef<[u8]> for Gathered {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Copies a body's frames into one buffer; `None` where it is too long, and an error where it is
/// too slow. Not `collect`, which keeps the frames: a sender may make each of one byte, and each
/// kept one would take thirty.
async fn gather<B>(mut body: B) -> Result<Option<Bytes>, BoxError>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let mut gathered = Gathered::default();
    let mut end = Instant::now() + BODY_TIMEOUT;
    while let Some(frame) = timeout_at(end, body.frame()).await? {
        let Ok(data) = frame.map_err(Into::into)?.into_data() else { continue };
        let length = gathered.bytes.len() + data.len();
        if length > MAX_BODY_BYTES {
            return Ok(None);
        }
        if length > USUAL_BODY_BYTES && gathered.permit.is_none() {
            gathered.permit = Some(timeout_at(end, LONG_BODIES.acquire()).await??);
            end = end.min(Instant::now() + LONG_BODY_TIMEOUT);
        }
        gathered.bytes.extend_from_slice(&data);
    }
    Ok(Some(Bytes::from_owner(gathered)))
}

fn oversized() -> Body {
    Body::from(Bytes::from_static(&OVERSIZED))
}

fn failing(error: BoxError) -> Body {
    Body::from_stream(stream::iter([Err::<Bytes, _>(error)]))
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use futures_util::StreamExt;

    use super::*;

    /// One byte, and how many of them there are.
    struct Counted(Arc<AtomicUsize>);

    impl Counted {
        fn new(living: &Arc<AtomicUsize>) -> Self {
            living.fetch_add(1, Ordering::Relaxed);
            Self(living.clone())
        }
    }

    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            b"x"
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The length of what is read of a body of one-byte frames, and how many of them were held at
    /// the end.
    async fn read(frames: usize) -> (usize, usize) {
        let (living, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let body = Body::from_stream(stream::iter(0..frames).map({
            let most = most.clone();
            move |_| {
                most.fetch_max(living.load(Ordering::Relaxed), Ordering::Relaxed);
                Ok::<_, io::Error>(Bytes::from_owner(Counted::new(&living)))
            }
        }));
        let read = axum::body::to_bytes(read_whole(body).await, usize::MAX).await.unwrap();
        (read.len(), most.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn a_body_of_one_byte_frames_takes_no_more_memory_than_its_bytes() {
        assert_eq!(read(1000).await, (1000, 0));
        assert_eq!(read(MAX_BODY_BYTES).await.0, MAX_BODY_BYTES);
        assert_eq!(read(2 * MAX_BODY_BYTES).await.0, MAX_BODY_BYTES + 1);
    }

    #[tokio::test]
    async fn a_slow_sender_does_not_keep_the_place_of_a_long_body() {
        let start = Instant::now();
        let begun = stream::iter([Ok::<_, io::Error>(Bytes::from(vec![b'x'; USUAL_BODY_BYTES + 1]))]);
        let stalled = Body::from_stream(begun.chain(stream::pending()));
        assert!(axum::body::to_bytes(read_whole(stalled).await, usize::MAX).await.is_err());
        assert!((LONG_BODY_TIMEOUT..2 * LONG_BODY_TIMEOUT).contains(&start.elapsed()));
    }
}
