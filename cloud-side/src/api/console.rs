//! The web console: its files, and its page for every path that is its own.
//!
//! Invariant: a path of the API is never answered with the page, so a program that asks for the wrong
//! one hears a problem. Needs no token: the files are the same for everybody, and what they show comes
//! from the API.

use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use bcdr_console::Asset;
use bcdr_http::Problem;

/// Nothing but what this server itself serves. `blob:` is for the screens of drills, which are
/// fetched like everything else.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What whoever opens a console that is not there is told.
const NOT_BUILT: &str = "The web console is not part of this program: it was not built when the program was compiled.\n\
    Build both: `make console` (it needs Node 20.19 or newer), then `make release`, and start the cloud side again.\n\
    The API is served here all the same, and the command line works: `bcdr status`.\n";

/// What the first segment of a path that is not the console's may be.
const NOT_ITS_OWN: [&str; 5] = ["api", "openapi.json", "livez", "readyz", "metrics"];

/// The console's routes. What they do not know is a problem.
pub(super) fn routes() -> Router {
    Router::new()
        .route("/assets/{*name}", get(asset))
        .route("/favicon.svg", get(favicon))
        .route("/", get(page_or_remedy))
        .route("/{*path}", any(other))
}

async fn asset(Path(name): Path<String>, uri: Uri) -> Response {
    match bcdr_console::find(&format!("assets/{name}")) {
        Some(asset) => file(asset),
        None => Problem::no_such_path(uri.path()).into_response(),
    }
}

async fn favicon(uri: Uri) -> Response {
    match bcdr_console::find("favicon.svg") {
        Some(asset) => file(asset),
        None => Problem::no_such_path(uri.path()).into_response(),
    }
}

/// Paths that nothing else answers: those that a browser opens are pages of the console.
async fn other(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let first = uri.path().trim_start_matches('/').split('/').next();
    let reserved = first.is_some_and(|first| NOT_ITS_OWN.contains(&first));
    let reads = method == Method::GET || method == Method::HEAD;
    if reserved || !reads || !accepts_pages(&headers) {
        return Problem::no_such_path(uri.path()).into_response();
    }
    page_or_remedy().await
}

/// Whether a page is asked for by name: what programs send by themselves, `*/*`, does not.
fn accepts_pages(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|one| one.split(';').next())
        .any(|kind| kind.trim().eq_ignore_ascii_case("text/html"))
}

async fn page_or_remedy() -> Response {
    match bcdr_console::find("index.html") {
        Some(page) => file(page),
        None => (
            StatusCode::SERVICE_UNAVAILABLE,
            [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
            NOT_BUILT,
        )
            .into_response(),
    }
}

fn file(asset: Asset) -> Response {
    let caching = if asset.immutable {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let mut response = Response::new(Body::from(asset.bytes));
    for (name, value) in [
        (header::CONTENT_TYPE, asset.media_type),
        (header::CACHE_CONTROL, caching),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response.headers_mut().insert(
        "cross-origin-opener-policy",
        HeaderValue::from_static("same-origin"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_names_pages_is_given_one() {
        let accepts = |value: &'static str| {
            let value = HeaderValue::from_static(value);
            accepts_pages(&HeaderMap::from_iter([(header::ACCEPT, value)]))
        };
        assert!(accepts("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"));
        assert!(accepts("application/json, Text/HTML;q=0.5"));
        assert!(!accepts("*/*") && !accepts("application/json"));
        assert!(!accepts_pages(&HeaderMap::new()));
    }
}
