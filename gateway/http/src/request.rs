//! What happens around every request: its id, its span, its log line, a net under panics, and the
//! answers for paths and methods that do not exist.
//!
//! Invariant: every answer has an `x-request-id` header, and every log line and [`Problem`] made
//! while answering names the same id. Ids are made here and never taken from a client.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use crate::metrics::Metrics;
use crate::problem::{Problem, ProblemCode};
use crate::serve::Peer;
use crate::token::Hex;
use crate::{DEFAULT_BODY_LIMIT, body_limit, unread};

/// The header that carries the id.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static CURRENT: RequestId;
}

/// The id of the request that is being answered by this task.
pub(crate) fn current() -> Option<RequestId> {
    CURRENT.try_with(|id| *id).ok()
}

/// Names one request: milliseconds since 1970 and random bits, so that ids sort by time. An
/// extension of the request; shown as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId([u8; 16]);

impl RequestId {
    fn generate(now: SystemTime) -> Self {
        let milliseconds = now
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&milliseconds.to_be_bytes()[10..]);
        // An id need not be secret: without random numbers it is still good for the log.
        if let Err(error) = getrandom::fill(&mut bytes[6..]) {
            tracing::warn!(%error, "no random numbers for a request id");
        }
        Self(bytes)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(formatter)
    }
}

/// Makes a role's routes a whole API: unknown paths and methods become [`Problem`]s, bodies are
/// limited to [`DEFAULT_BODY_LIMIT`], requests are measured, named and logged, and a panic in a
/// handler becomes a 500. Call it once, last. It replaces a fallback that `router` has; a role that
/// needs one mounts a wildcard route instead.
pub fn complete(router: Router, metrics: &Metrics) -> Router {
    let router = router
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method);
    let router = body_limit(router, DEFAULT_BODY_LIMIT);
    metrics.measure(router).layer(middleware::from_fn(surround))
}

async fn no_such_path(uri: Uri) -> Problem {
    Problem::no_such_path(uri.path())
}

async fn no_such_method(method: Method, uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "Method not allowed",
        format!("{} does not take {method}", uri.path()),
    )
    .remedy("use a method named in the Allow header")
}

async fn surround(mut request: Request, next: Next) -> Response {
    let id = RequestId::generate(SystemTime::now());
    request.extensions_mut().insert(id);
    let span = tracing::info_span!(
        "request",
        %id,
        method = %request.method(),
        // Without the query, which may carry what a log must not.
        path = request.uri().path(),
        peer = request.extensions().get::<Peer>().map(|peer| tracing::field::display(peer.address)),
        principal = tracing::field::Empty,
    );
    let reads = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    let (request, unread) = unread::lend(request);
    let answer = CURRENT.scope(id, async {
        let started = Instant::now();
        let mut response = guarded(request, next).await;
        log(&response, reads, started);
        if !unread.take_in().await {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    });
    let mut response = answer.instrument(span).await;
    let value = HeaderValue::from_str(&id.to_string()).expect("hexadecimal is a header value");
    let headers = response.headers_mut();
    headers.insert(HEADER, value);
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    // State is never to be shown from a cache, unless a route says otherwise.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Answers 500 when the handler panics, instead of dropping the connection without a word.
async fn guarded(request: Request, next: Next) -> Response {
    let mut answer = Box::pin(next.run(request));
    let caught = std::future::poll_fn(move |context| {
        // Nothing of the future is looked at again after a panic.
        match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(response)) => Poll::Ready(Ok(response)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await;
    caught.unwrap_or_else(|panic| {
        let error = Panicked(message(&*panic));
        Problem::internal("answering the request", &error).into_response()
    })
}

#[derive(Debug, thiserror::Error)]
#[error("the handler panicked: {0}")]
struct Panicked(String);

fn message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}

fn log(response: &Response, reads: bool, started: Instant) {
    let status = response.status().as_u16();
    let code = response
        .extensions()
        .get::<ProblemCode>()
        .map(|code| code.0.as_str());
    let milliseconds = started.elapsed().as_secs_f64() * 1000.0;
    if reads {
        tracing::debug!(status, code, milliseconds, "answered");
    } else {
        tracing::info!(status, code, milliseconds, "answered");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn ids_sort_by_time_and_differ_within_one_millisecond() {
        let now = UNIX_EPOCH + Duration::from_millis(0x0123_4567_89ab);
        let (one, two) = (RequestId::generate(now), RequestId::generate(now));
        assert_ne!(one, two);
        assert!(one.to_string().starts_with("0123456789ab"));
        assert_eq!(one.to_string().len(), 32);
        let later = RequestId::generate(now + Duration::from_millis(1));
        assert!(later > one && later > two);
    }
}
