//! `/session`: signing in and out, and who one is.

use super::Api;
use crate::{
    access::{AccessError, PasswordText, SignedIn},
    clock,
};
use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{AppendHeaders, IntoResponse},
};
use bcdr_format::Timestamp;
use bcdr_http::{
    ApiJson, CurrentSession, Peer, Permission, Principal, PrincipalKind, Problem, Role,
    ended_session_cookie, from_own_pages, session_cookie, session_of,
};
use serde::{Deserialize, Serialize};
use std::{net::IpAddr, sync::Arc, time::UNIX_EPOCH};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(show, sign_out))
        .routes(routes!(change_own_password))
}

pub(super) fn open_routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new().routes(routes!(sign_in))
}

/// The address that a request came from.
pub(super) fn address_of(peer: Option<Extension<Peer>>) -> Option<IpAddr> {
    peer.and_then(|Extension(peer)| peer.ip())
}

/// Why access was not given or not changed.
pub(super) fn refused(error: AccessError) -> Problem {
    let detail = error.to_string();
    let problem = |status, code: &str, title: &str, remedy: &str| {
        Problem::new(status, code, title, detail.clone()).remedy(remedy)
    };
    let invalid =
        |field: &str, remedy: &str| Problem::invalid(detail.clone()).field(field).remedy(remedy);
    match error {
        AccessError::Catalog(error) => super::answer::catalog(error),
        AccessError::Random(error) => super::answer::no_randomness(error),
        AccessError::Stored { .. } | AccessError::Hash(_) => {
            Problem::internal("checking a secret", &error)
        }
        AccessError::Role(_) => invalid("role", "name one of them"),
        AccessError::Name(_) | AccessError::TokenName => invalid("name", "choose another name"),
        AccessError::PasswordLength | AccessError::PasswordIsName => invalid(
            "password",
            "choose another password: several words are easy to keep",
        ),
        AccessError::ForNoGroup => invalid(
            "groups",
            "name a group, or leave the groups out for a token that is for all of them",
        ),
        AccessError::EndsBefore => invalid("expires_at", "name a time that is to come"),
        AccessError::NameTaken(_) => problem(
            StatusCode::CONFLICT,
            "user_exists",
            "State conflict",
            "choose another name",
        ),
        AccessError::TooMany(..) => problem(
            StatusCode::CONFLICT,
            "too_many_kept",
            "State conflict",
            "remove those that are not needed any more",
        ),
        AccessError::NoUser(name) => Problem::not_found("user", format!("{name:?}")),
        AccessError::ChangedMeanwhile(name) => {
            super::etag::changed_meanwhile(format_args!("user {name}"))
        }
        AccessError::NoToken(id) => Problem::not_found("token", format!("{id:?}")),
        AccessError::LastAdmin(_) => problem(
            StatusCode::CONFLICT,
            "last_admin",
            "State conflict",
            "give somebody else the role admin first",
        ),
        AccessError::WrongPassword => problem(
            StatusCode::UNAUTHORIZED,
            "wrong_password",
            "Not authenticated",
            "try again; an administrator can set another password",
        ),
        AccessError::WrongSecret => problem(
            StatusCode::FORBIDDEN,
            "wrong_secret",
            "Not allowed",
            "use the secret that `bcdr cloud init` or `bcdr lab up` printed; with an administrator's \
            token `bcdr user create` works as well",
        ),
        AccessError::SetUp => problem(
            StatusCode::CONFLICT,
            "set_up_before",
            "State conflict",
            "sign in; or make a user with an administrator's token: `bcdr user create`",
        ),
        AccessError::Wait(wait) => Problem::too_many("too_many_failures", detail.clone(), wait)
            .remedy("wait, then try again"),
        AccessError::Busy => Problem::unavailable("sign_in_busy", detail.clone())
            .retry_after(std::time::Duration::from_secs(1))
            .remedy("try again"),
    }
}

/// Who signs in.
#[derive(Debug, Deserialize, ToSchema)]
struct SignIn {
    /// The user's name.
    name: String,
    /// The password.
    #[schema(value_type = String, format = Password)]
    password: PasswordText,
}

/// Who is known, and what that allows.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
struct SessionBody {
    /// Somebody who signed in, or a token.
    kind: PrincipalKind,
    /// The user's or token's id.
    id: String,
    /// The user's name, or what the token is for.
    name: String,
    /// The role.
    role: Role,
    /// When the session or token ends at the latest; null for a token without an end.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<jiff::Timestamp>,
    /// When the session ends if it is not used again; null for a token.
    #[schema(value_type = Option<String>, format = DateTime)]
    idle_until: Option<jiff::Timestamp>,
    /// The ids of the groups that a token is for; null when it is for the whole installation.
    groups: Option<Vec<String>>,
    /// What the role allows: the permissions that the document names at each operation.
    allowed_actions: Vec<Permission>,
}

impl SessionBody {
    fn of(principal: Principal, idle_until: Option<Timestamp>) -> Self {
        let stamp = |at: std::time::SystemTime| {
            let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
            clock::readable(Timestamp(
                i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            ))
        };
        Self {
            kind: principal.kind,
            id: principal.id,
            name: principal.name,
            role: principal.role,
            expires_at: principal.expires.map(stamp),
            idle_until: idle_until.map(clock::readable),
            groups: principal
                .bounds
                .map(|bounds| bounds.iter().cloned().collect()),
            allowed_actions: principal.role.permissions().to_vec(),
        }
    }

    fn begun(service: &crate::service::Service, signed: &SignedIn) -> Self {
        let ends = service.access.session_ends(&signed.session.hash());
        let user = &signed.user;
        Self {
            kind: PrincipalKind::User,
            id: user.id.to_string(),
            name: user.name.clone(),
            role: user.role,
            expires_at: ends.map(|(ends, _)| clock::readable(ends)),
            idle_until: ends.map(|(_, idle)| clock::readable(idle)),
            groups: None,
            allowed_actions: user.role.permissions().to_vec(),
        }
    }
}

/// Gives a cookie together with an answer.
type WithCookie = AppendHeaders<[(header::HeaderName, HeaderValue); 1]>;

fn cookie(value: HeaderValue) -> WithCookie {
    AppendHeaders([(header::SET_COOKIE, value)])
}

/// Signs in: the answer sets the cookie `__Host-bcdr-session`. A session that the browser had before
/// ends. Which of name and password was wrong is not said, and failures are answered later and later.
#[utoipa::path(
    post, path = "/session", tag = "access", operation_id = "sign_in", security(()),
    request_body = SignIn,
    responses(
        (status = 200, description = "Signed in; Set-Cookie has the session", body = SessionBody),
        (status = 401, description = "Name or password are wrong", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many attempts failed; Retry-After says when to go on", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn sign_in(
    State(service): Api,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    ApiJson(wanted): ApiJson<SignIn>,
) -> Result<(WithCookie, ApiJson<SessionBody>), Problem> {
    from_own_pages(&headers)?;
    let former = session_of(&headers).map(|session| session.hash());
    let signed = service
        .access
        .sign_in(&wanted.name, wanted.password, address_of(peer), former)
        .await
        .map_err(refused)?;
    let body = SessionBody::begun(&service, &signed);
    Ok((cookie(session_cookie(&signed.session)), ApiJson(body)))
}

/// Shows who one is and what that allows, with a session as with a token.
#[utoipa::path(
    get, path = "/session", tag = "access", operation_id = "show_session",
    responses(
        (status = 200, body = SessionBody),
        (status = 401, description = "Nobody is signed in", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn show(
    State(service): Api,
    Extension(principal): Extension<Principal>,
    session: Option<Extension<CurrentSession>>,
) -> ApiJson<SessionBody> {
    let ends = session.and_then(|Extension(session)| service.access.session_ends(&session.0));
    ApiJson(SessionBody::of(principal, ends.map(|(_, idle)| idle)))
}

/// The session that a request must come with.
fn required(session: Option<Extension<CurrentSession>>) -> Result<CurrentSession, Problem> {
    session.map(|Extension(session)| session).ok_or_else(|| {
        Problem::conflict(
            "no_session",
            "this request came with a token, not with a session",
        )
        .remedy("tokens are revoked under /api/v1/tokens; sign in to have a session")
    })
}

/// Signs out: the session ends here, whatever becomes of its cookie.
#[utoipa::path(
    delete, path = "/session", tag = "access", operation_id = "sign_out",
    responses(
        (status = 204, description = "Signed out"),
        (status = 409, description = "There is a token, not a session", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn sign_out(
    State(service): Api,
    session: Option<Extension<CurrentSession>>,
) -> Result<impl IntoResponse, Problem> {
    let session = required(session)?;
    service.access.sign_out(session.0).await.map_err(refused)?;
    Ok((StatusCode::NO_CONTENT, cookie(ended_session_cookie())))
}

/// The own password, old and new.
#[derive(Debug, Deserialize, ToSchema)]
struct PasswordChange {
    /// The password as it is.
    #[schema(value_type = String, format = Password)]
    current: PasswordText,
    /// The password as it is to be: 12 to 256 characters.
    #[schema(value_type = String, format = Password)]
    password: PasswordText,
}

/// Changes the own password. All other sessions of the user end; this one goes on under a new cookie.
#[utoipa::path(
    put, path = "/session/password", tag = "access", operation_id = "change_own_password",
    request_body = PasswordChange,
    responses(
        (status = 200, description = "Changed; Set-Cookie has the new session", body = SessionBody),
        (status = 401, description = "The current password is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "There is a token, not a session", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn change_own_password(
    State(service): Api,
    session: Option<Extension<CurrentSession>>,
    peer: Option<Extension<Peer>>,
    ApiJson(wanted): ApiJson<PasswordChange>,
) -> Result<(WithCookie, ApiJson<SessionBody>), Problem> {
    let session = required(session)?;
    let changed = service
        .access
        .change_own_password(session.0, wanted.current, wanted.password, address_of(peer))
        .await
        .map_err(refused)?;
    let body = SessionBody::begun(&service, &changed);
    Ok((cookie(session_cookie(&changed.session)), ApiJson(body)))
}
