//! Extractors for body, query and path whose refusals are [`Problem`]s that name the field.
//!
//! Invariant: a field that the type does not know is refused, not ignored, so that a misspelt
//! option can never look as if it had been applied. This holds for every type without an attribute
//! on it, except inside `#[serde(flatten)]`, `untagged` and internally tagged types, where serde
//! hides ignored fields; such a type brings its own check.

mod whole_numbers;

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::{DeserializeOwned, Deserializer};
use serde_path_to_error::Segment;

use crate::problem::Problem;

/// How long a client may take to send a body after its headers.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// A JSON body, read whole and within the route's body limit; as an answer, the same as
/// `axum::Json`.
#[derive(Clone, Debug)]
pub struct ApiJson<T>(pub T);

/// The query string as a flat structure.
#[derive(Clone, Debug)]
pub struct ApiQuery<T>(pub T);

/// The parameters of the path.
#[derive(Clone, Debug)]
pub struct ApiPath<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ApiJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        require_json(request.headers())?;
        let bytes = tokio::time::timeout(BODY_DEADLINE, Bytes::from_request(request, state))
            .await
            .map_err(|_| body_too_slow())?
            .map_err(refused_body)?;
        json(&bytes).map(Self)
    }
}

impl<T: Serialize> IntoResponse for ApiJson<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
            Err(error) => Problem::internal("writing the answer as JSON", &error).into_response(),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = form_urlencoded::parse(query.as_bytes());
        let unread = |error: serde_path_to_error::Error<serde_urlencoded::de::Error>| {
            let field = dotted(error.path());
            with_field(
                Problem::malformed("the query string cannot be read").cause(error.into_inner()),
                field,
            )
        };
        strict(
            serde_urlencoded::Deserializer::new(pairs),
            "the query string",
            unread,
        )
        .map(Self)
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for ApiPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(value) = Path::<T>::from_request_parts(parts, state)
            .await
            .map_err(refused_path)?;
        Ok(Self(value))
    }
}

/// The values that a query string gives for a field; for who looks at a request before its handler.
pub fn query_values<'a>(uri: &'a Uri, field: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .filter(move |(name, _)| name == field)
        .map(|(_, value)| value)
}

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let sent = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = sent
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let detail = match sent {
        Some(sent) => format!("the body has the media type {sent:?}"),
        None => "the request has no Content-Type header".to_owned(),
    };
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "Unsupported media type",
        detail,
    )
    .remedy("send JSON with Content-Type: application/json"))
}

fn body_too_slow() -> Problem {
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        "body_too_slow",
        "Request timed out",
        format!(
            "the body did not arrive within {} s",
            BODY_DEADLINE.as_secs()
        ),
    )
    .remedy("check the connection and send the request again")
}

fn refused_body(rejection: BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::too_large("the body is longer than this route accepts")
            .remedy("send a shorter body");
    }
    Problem::malformed("the body could not be read").cause(rejection.body_text())
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let bytes = whole_numbers::in_digits(bytes);
    let mut deserializer = serde_json::Deserializer::from_slice(&bytes);
    let unread = |error: serde_path_to_error::Error<serde_json::Error>| {
        let field = dotted(error.path());
        let problem = if error.inner().is_data() {
            Problem::invalid("the body does not have the expected content")
        } else {
            not_json()
        };
        with_field(problem.cause(error.into_inner()), field)
    };
    let value = strict(&mut deserializer, "the body", unread)?;
    deserializer
        .end()
        .map_err(|error| not_json().cause(error))?;
    Ok(value)
}

fn not_json() -> Problem {
    let mut problem = Problem::malformed("the body is not valid JSON");
    problem.code = "malformed_json".to_owned();
    problem.type_ = "urn:bcdr:problem:malformed_json".to_owned();
    problem
}

/// Reads `T`, and refuses what `T` would ignore.
fn strict<'de, T, D>(
    deserializer: D,
    place: &str,
    unread: impl FnOnce(serde_path_to_error::Error<D::Error>) -> Problem,
) -> Result<T, Problem>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    let mut unknown = None;
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(deserializer, &mut track);
    let read = serde_ignored::deserialize(tracked, |path| {
        unknown.get_or_insert_with(|| without_unnamed(&path.to_string()));
    });
    let value: T =
        read.map_err(|error| unread(serde_path_to_error::Error::new(track.path(), error)))?;
    match unknown {
        None => Ok(value),
        Some(field) => Err(
            Problem::invalid(format!("{place} has an unknown field {field}"))
                .remedy("remove the field, or correct its name")
                .field(field),
        ),
    }
}

/// The field is empty when the error belongs to the whole document.
fn with_field(problem: Problem, field: String) -> Problem {
    if field.is_empty() {
        problem
    } else {
        problem.field(field)
    }
}

/// The path in the form that unknown fields have: `volumes.0.size`.
fn dotted(path: &serde_path_to_error::Path) -> String {
    let parts: Vec<_> = path
        .iter()
        .map(|segment| match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.clone(),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => "?".to_owned(),
        })
        .collect();
    without_unnamed(&parts.join("."))
}

/// Without the steps that have no name in the document, such as into an optional value.
fn without_unnamed(path: &str) -> String {
    path.split('.')
        .filter(|part| *part != "?")
        .collect::<Vec<_>>()
        .join(".")
}

fn refused_path(rejection: PathRejection) -> Problem {
    let PathRejection::FailedToDeserializePathParams(failed) = rejection else {
        return Problem::internal("reading the path's parameters", &rejection);
    };
    let bad = |cause: String| Problem::malformed("the path cannot be read").cause(cause);
    match failed.kind() {
        ErrorKind::ParseErrorAtKey {
            key,
            value,
            expected_type,
        } => bad(format!("{value:?} is not of type {expected_type}")).field(key),
        ErrorKind::DeserializeError {
            key,
            value,
            message,
        } => bad(format!("{value:?}: {message}")).field(key),
        ErrorKind::InvalidUtf8InPathParam { key } => {
            bad("it is not valid UTF-8".to_owned()).field(key)
        }
        ErrorKind::WrongNumberOfParameters { .. } | ErrorKind::UnsupportedType { .. } => {
            Problem::internal("reading the path's parameters", &failed)
        }
        other => bad(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Volume {
        name: String,
        size: u64,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Group {
        label: Option<String>,
        volumes: Vec<Volume>,
        first: Option<Volume>,
    }

    fn refusal(text: &str) -> Problem {
        json::<Group>(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_body_of_the_right_shape_is_read() {
        let group: Group = json(br#"{"volumes":[{"name":"a","size":1}]}"#).unwrap();
        assert_eq!(
            group.volumes,
            [Volume {
                name: "a".to_owned(),
                size: 1
            }]
        );
    }

    #[test]
    fn a_whole_number_is_one_however_it_is_written() {
        let size = |text: &str| {
            let body = format!(r#"{{"volumes":[{{"name":"1.0","size":{text}}}]}}"#);
            json::<Group>(body.as_bytes()).map(|group| group.volumes[0].size)
        };
        assert_eq!((size("512.0").unwrap(), size("1e3").unwrap()), (512, 1000));
        assert_eq!(
            size("0.5").unwrap_err().field.as_deref(),
            Some("volumes.0.size")
        );
    }

    #[test]
    fn refusals_name_the_field() {
        let wrong_type = refusal(r#"{"volumes":[{"name":"a","size":"big"}]}"#);
        assert_eq!(wrong_type.field.as_deref(), Some("volumes.0.size"));
        assert_eq!(
            (wrong_type.status, wrong_type.code.as_str()),
            (422, "invalid_request")
        );

        let unknown = refusal(r#"{"volumes":[{"name":"a","size":1,"siez":2}]}"#);
        assert_eq!(unknown.field.as_deref(), Some("volumes.0.siez"));
        assert_eq!(unknown.status, 422);

        let optional = refusal(r#"{"volumes":[],"first":{"name":"a","size":1,"siez":2}}"#);
        assert_eq!(optional.field.as_deref(), Some("first.siez"));
        let whole = refusal("[]");
        assert_eq!((whole.status, whole.field.as_deref()), (422, None));
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        for text in ["", "{", r#"{"volumes":[]} x"#] {
            let problem = refusal(text);
            assert_eq!(
                (problem.status, problem.code.as_str()),
                (400, "malformed_json"),
                "{text}"
            );
        }
    }

    #[derive(Debug, Deserialize)]
    struct Page {
        limit: Option<u32>,
    }

    async fn query(text: &str) -> Result<Page, Problem> {
        let (mut parts, ()) = axum::http::Request::get(format!("/x?{text}"))
            .body(())
            .unwrap()
            .into_parts();
        ApiQuery::from_request_parts(&mut parts, &())
            .await
            .map(|ApiQuery(page)| page)
    }

    #[tokio::test]
    async fn queries_are_as_strict_as_bodies() {
        assert_eq!(query("limit=7").await.unwrap().limit, Some(7));
        assert_eq!(query("").await.unwrap().limit, None);
        let wrong = query("limit=many").await.unwrap_err();
        assert_eq!((wrong.status, wrong.field.as_deref()), (400, Some("limit")));
        let unknown = query("limit=1&ofset=2").await.unwrap_err();
        assert_eq!(
            (unknown.status, unknown.field.as_deref()),
            (422, Some("ofset"))
        );
        assert!(query("limit=1&limit=2").await.is_err());
    }
}
