//! Reading a request's body whole before its handler does. Memory is bounded by the bound of all bodies.

use axum::{
    body::{Body, Bytes, HttpBody as _, to_bytes},
    extract::Request,
};
use bcdr_http::{DEFAULT_BODY_LIMIT, Problem};
use std::time::Duration;

/// How long a client may take to send a body.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// The body of a request, and the request as it was.
///
/// # Errors
/// When it is longer than any body may be, or does not arrive.
pub(super) async fn whole_body(request: Request) -> Result<(Request, Bytes), Problem> {
    if request.body().is_end_stream() {
        return Ok((request, Bytes::new()));
    }
    let too_large = || {
        Problem::too_large("the body is longer than this route accepts")
            .remedy("send a shorter body")
    };
    let limit = DEFAULT_BODY_LIMIT as u64;
    if request.body().size_hint().lower() > limit {
        return Err(too_large());
    }
    let (parts, body) = request.into_parts();
    let read = tokio::time::timeout(BODY_DEADLINE, to_bytes(body, DEFAULT_BODY_LIMIT)).await;
    let unread = |cause: String| {
        Problem::malformed("the body did not arrive")
            .cause(cause)
            .remedy("check the connection and send the request again")
    };
    let bytes = read
        .map_err(|_| unread(format!("it took more than {} s", BODY_DEADLINE.as_secs())))?
        .map_err(|error| match is_too_long(&error) {
            true => too_large(),
            false => unread(error.to_string()),
        })?;
    Ok((Request::from_parts(parts, Body::from(bytes.clone())), bytes))
}

fn is_too_long(error: &axum::Error) -> bool {
    let source = std::error::Error::source(error);
    source.is_some_and(|source| source.is::<http_body_util::LengthLimitError>())
}
