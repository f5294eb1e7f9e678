//! The one shape of an error: RFC 9457 problem details with a stable code, a cause and a remedy.
//!
//! Invariant: `code` is what programs match on and never changes its meaning; `detail`, `cause` and
//! `remedy` are for people. This module does not decide which errors a role has: a role builds its
//! own with [`Problem::new`] or one of the named helpers.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use crate::request;

/// The media type of a problem.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// What may be done with an object now, and if not, why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Action {
    /// The verb, as in the path of its route.
    pub name: String,
    /// Whether a request for it would be accepted now.
    pub allowed: bool,
    /// Why it is not allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What makes it allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Action {
    /// A verb that would be accepted now.
    pub fn allowed(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            allowed: true,
            reason: None,
            remedy: None,
        }
    }

    /// A verb that would be refused now, with why and with what changes that.
    pub fn refused(
        name: impl Into<String>,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            allowed: false,
            reason: Some(reason.into()),
            remedy: Some(remedy.into()),
        }
    }
}

/// One of the things that are wrong with what was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProblemFault {
    /// The part that it is in, such as a step of a plan; absent for the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// The stable code that programs match on.
    pub code: String,
    /// What is wrong.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}

/// The members of a problem as they stand in the document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemFields {
    /// URN of the kind of problem: `urn:bcdr:problem:` and the code.
    #[serde(rename = "type")]
    pub type_: String,
    /// The kind of problem in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code that programs match on.
    pub code: String,
    /// What happened in this case; names the thing.
    pub detail: String,
    /// Why it happened, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The field of the request that was refused, as a dotted path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Everything that is wrong with what was sent, where it is looked at as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults: Option<Vec<ProblemFault>>,
    /// What may be done with the object instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_actions: Option<Vec<Action>>,
    /// After how many seconds the same request may succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
    /// The id of the request, to be found in the logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The `WWW-Authenticate` header of a 401.
    #[serde(skip)]
    challenge: Option<&'static str>,
}

/// An error answer. Boxed, so that a `Result` that carries one stays small; its members are reached
/// through `Deref`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Problem(Box<ProblemFields>);

/// The code of a problem, left in the response's extensions for those who log or record it.
#[derive(Clone, Debug)]
pub struct ProblemCode(pub String);

impl Problem {
    /// A problem of any kind. `code` is snake case and stable; `title` names the kind, `detail`
    /// this case.
    pub fn new(status: StatusCode, code: &str, title: &str, detail: impl Into<String>) -> Self {
        Self(Box::new(ProblemFields {
            type_: format!("urn:bcdr:problem:{code}"),
            title: title.to_owned(),
            status: status.as_u16(),
            code: code.to_owned(),
            detail: detail.into(),
            cause: None,
            remedy: None,
            field: None,
            faults: None,
            allowed_actions: None,
            retry_after_seconds: None,
            request_id: None,
            challenge: None,
        }))
    }

    /// 404: there is no object of this kind with this id. The code is `<kind>_not_found`.
    pub fn not_found(kind: &str, id: impl fmt::Display) -> Self {
        let code = format!("{}_not_found", kind.replace([' ', '-'], "_"));
        Self::new(
            StatusCode::NOT_FOUND,
            &code,
            "Not found",
            format!("there is no {kind} {id}"),
        )
        .remedy(format!("list the {kind}s and use the id shown there"))
    }

    /// 404: nothing is served at this path.
    pub fn no_such_path(path: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no_such_path",
            "No such path",
            format!("there is nothing at {path}"),
        )
        .remedy("see the OpenAPI document for the paths of this version")
    }

    /// 409: the object's present state does not allow this.
    pub fn conflict(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, "State conflict", detail)
    }

    /// 412: the object changed since the client read it (If-Match).
    pub fn changed_meanwhile(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "changed_meanwhile",
            "Changed meanwhile",
            detail,
        )
        .remedy("read the object again and repeat the change with its new ETag")
    }

    /// 422: the request was understood and its content is not acceptable.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_request",
            "Invalid request",
            detail,
        )
    }

    /// 400: the request cannot be read at all.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "malformed_request",
            "Malformed request",
            detail,
        )
    }

    /// 401: no valid token. Code `token_missing`, `token_invalid` or `token_expired`.
    pub fn unauthorized(code: &str, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::UNAUTHORIZED, code, "Not authenticated", detail);
        // RFC 6750 §3.1: a request without any credentials gets no error attribute.
        problem.challenge = Some(match code {
            "token_missing" => r#"Bearer realm="bcdr""#,
            _ => r#"Bearer realm="bcdr", error="invalid_token""#,
        });
        problem
    }

    /// 403: the token is valid, and its role may not do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail)
    }

    /// 413: the body is longer than the route accepts.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "Body too large",
            detail,
        )
    }

    /// 429: too many failures or requests; try again after `wait`.
    pub fn too_many(code: &str, detail: impl Into<String>, wait: Duration) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            code,
            "Too many attempts",
            detail,
        )
        .retry_after(wait)
    }

    /// 503: the service, or something it needs, cannot answer now.
    pub fn unavailable(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, "Unavailable", detail)
    }

    /// 500: an error that the caller can do nothing about. It is logged here, with its sources,
    /// inside the request's span.
    pub fn internal(doing: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        let cause = chain(error);
        tracing::error!(doing, cause, "internal error");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "Internal error",
            format!("failed while {doing}"),
        )
        .cause(cause)
        .remedy("look for the request id in the log of this service; report it if it repeats")
    }

    /// Adds why it happened.
    #[must_use]
    pub fn cause(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Names the field of the request that was refused.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Lists everything that is wrong with what was sent.
    #[must_use]
    pub fn faults(mut self, faults: Vec<ProblemFault>) -> Self {
        self.faults = Some(faults);
        self
    }

    /// Adds what may be done with the object instead.
    #[must_use]
    pub fn allowed_actions(mut self, actions: Vec<Action>) -> Self {
        self.allowed_actions = Some(actions);
        self
    }

    /// Says when the same request may succeed, rounded up to whole seconds.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        let part = u64::from(wait.subsec_nanos() > 0);
        self.retry_after_seconds = Some(wait.as_secs().saturating_add(part).max(1));
        self
    }

    /// The status as a type. A problem read from a peer may carry a number that is none; it counts
    /// as 500.
    pub fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// An error and its sources in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(next) = source {
        let next_text = next.to_string();
        // Many messages here already contain their source.
        if !text.contains(&next_text) {
            text.push_str(": ");
            text.push_str(&next_text);
        }
        source = next.source();
    }
    text
}

impl Deref for Problem {
    type Target = ProblemFields;

    fn deref(&self) -> &ProblemFields {
        &self.0
    }
}

impl DerefMut for Problem {
    fn deref_mut(&mut self) -> &mut ProblemFields {
        &mut self.0
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.detail)?;
        if let Some(cause) = &self.cause {
            write!(formatter, ": {cause}")?;
        }
        if let Some(remedy) = &self.remedy {
            write!(formatter, "; {remedy}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        ProblemFields::schema()
    }
}

impl ToSchema for Problem {
    fn name() -> std::borrow::Cow<'static, str> {
        ProblemFields::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        ProblemFields::schemas(schemas);
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        if self.request_id.is_none() {
            self.request_id = request::current().map(|id| id.to_string());
        }
        let status = self.status_code();
        let code = ProblemCode(self.code.clone());
        let mut response = (status, Json(&*self.0)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(challenge) = self.challenge {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(code);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_with_a_problem_stays_small() {
        assert_eq!(size_of::<Result<(), Problem>>(), size_of::<usize>());
    }

    #[test]
    fn absent_members_are_left_out_and_the_document_reads_back() {
        let problem = Problem::not_found("group", "g-1");
        let text = serde_json::to_string(&problem).unwrap();
        assert_eq!(
            text,
            r#"{"type":"urn:bcdr:problem:group_not_found","title":"Not found","status":404,"code":"group_not_found","detail":"there is no group g-1","remedy":"list the groups and use the id shown there"}"#
        );
        assert_eq!(serde_json::from_str::<Problem>(&text).unwrap(), problem);
    }

    #[test]
    fn an_internal_problem_carries_the_whole_chain_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot open the catalog")]
        struct Outer(#[source] std::io::Error);
        #[derive(Debug, thiserror::Error)]
        #[error("cannot list: {0}")]
        struct Outermost(#[source] Outer);

        let error = Outermost(Outer(std::io::Error::other("disk on fire")));
        let problem = Problem::internal("listing groups", &error);
        assert_eq!(
            problem.cause.as_deref(),
            Some("cannot list: cannot open the catalog: disk on fire")
        );
    }

    #[test]
    fn waits_are_rounded_up() {
        let seconds = |wait| Problem::too_many("x", "y", wait).retry_after_seconds;
        assert_eq!(seconds(Duration::from_millis(1)), Some(1));
        assert_eq!(seconds(Duration::from_secs(2)), Some(2));
        assert_eq!(seconds(Duration::from_millis(2001)), Some(3));
        assert_eq!(seconds(Duration::ZERO), Some(1));
    }

    #[test]
    fn the_schema_is_named_problem_and_names_every_member_of_the_document() {
        assert_eq!(Problem::name(), "Problem");
        let schema = serde_json::to_value(Problem::schema()).unwrap();
        let properties = schema["properties"].as_object().unwrap();
        let mut full = Problem::invalid("x")
            .cause("c")
            .remedy("r")
            .field("f")
            .allowed_actions(vec![Action::refused("pause", "why", "what")])
            .faults(vec![ProblemFault {
                part: Some("p".to_owned()),
                code: "x".to_owned(),
                cause: "c".to_owned(),
                remedy: "r".to_owned(),
            }])
            .retry_after(Duration::from_secs(1));
        full.request_id = Some("id".to_owned());
        let document = serde_json::to_value(&full).unwrap();
        let mut members: Vec<_> = document.as_object().unwrap().keys().collect();
        let mut documented: Vec<_> = properties.keys().collect();
        members.sort();
        documented.sort();
        assert_eq!(members, documented);
    }
}
