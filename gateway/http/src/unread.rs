//! What is left of a request's body when its answer is there: a refusal often needs no more than the headers.
//!
//! Invariant: a connection goes on only from where the next request begins. A short rest is taken in before the
//! answer is sent; where it is long, or does not come, the answer says that the connection ends with it. Otherwise
//! a client that was refused would find out with its next request, and would not know what became of that.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header;
use hyper::body::{Frame, SizeHint};

/// Most bytes of a rest that are taken in.
const REST_BYTES: usize = crate::DEFAULT_BODY_LIMIT;
/// How long a rest may take to come.
const REST_DEADLINE: Duration = Duration::from_secs(1);

/// Where a body is left by whoever did not read it to its end.
type Slot = Arc<Mutex<Option<Body>>>;

/// The unread rest of a request's body, once its answer is there.
pub(crate) struct Unread {
    slot: Slot,
    /// The client sends nothing before it is told to go on, and is not told so for the sake of a rest.
    waits: bool,
}

/// Lends a request's body to whoever answers it.
pub(crate) fn lend(request: Request) -> (Request, Unread) {
    let slot = Slot::default();
    let waits = request.headers().contains_key(header::EXPECT);
    let lent = |body: Body| {
        if body.is_end_stream() {
            return body;
        }
        Body::new(Lent {
            body: Some(body),
            slot: Arc::clone(&slot),
        })
    };
    let request = request.map(lent);
    (request, Unread { slot, waits })
}

impl Unread {
    /// Takes the rest in; whether the connection can go on.
    pub(crate) async fn take_in(self) -> bool {
        let rest = self
            .slot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(mut rest) = rest else {
            return true;
        };
        if self.waits {
            return false;
        }
        let read = async {
            let mut bytes = 0;
            loop {
                let frame = std::future::poll_fn(|context| Pin::new(&mut rest).poll_frame(context));
                match frame.await {
                    None => return true,
                    Some(Err(_)) => return false,
                    Some(Ok(frame)) => bytes += frame.data_ref().map_or(0, Bytes::len),
                }
                if bytes > REST_BYTES {
                    return false;
                }
            }
        };
        tokio::time::timeout(REST_DEADLINE, read)
            .await
            .unwrap_or(false)
    }
}

/// A body that is left where it came from when it is dropped before its end.
struct Lent {
    body: Option<Body>,
    slot: Slot,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(context);
        // What has ended, or failed, has no rest.
        if matches!(&polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| !body.is_end_stream());
        if rest.is_some() {
            *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = rest;
        }
    }
}
