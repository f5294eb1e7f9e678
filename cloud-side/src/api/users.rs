//! `/users`.

use super::{
    Api,
    answer::location,
    etag::{Expected, tagged, tagged_change},
    page::{Page, Wanted},
    session::refused,
};
use crate::{
    access::{NewUser, PasswordText, UserChange, UserRecord},
    clock,
};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::Response,
};
use bcdr_http::{ApiJson, ApiPath, ApiQuery, Problem, Role};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, change, remove))
        .routes(routes!(set_password))
}

/// Somebody who signs in with a password.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct UserBody {
    /// The id.
    id: String,
    /// The name to sign in with.
    name: String,
    /// What the user may do.
    role: Role,
    /// Whether signing in is refused.
    disabled: bool,
    /// When the user was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: jiff::Timestamp,
    /// When the password was set.
    #[schema(value_type = String, format = DateTime)]
    password_set_at: jiff::Timestamp,
}

impl UserBody {
    pub(super) fn of(user: UserRecord) -> Self {
        Self {
            id: user.id.to_string(),
            name: user.name,
            role: user.role,
            disabled: user.disabled,
            created_at: clock::readable(user.created_at),
            password_set_at: clock::readable(user.password_set_at),
        }
    }
}

/// The version of a user: everything of it can be set.
pub(super) fn version(user: &UserRecord) -> String {
    let UserRecord {
        id,
        name,
        role,
        password: _,
        disabled,
        created_at: _,
        password_set_at,
    } = user;
    let text = format!("{id} {name} {role} {disabled} {}", password_set_at.0);
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

pub(super) fn admitted(expected: Expected) -> impl Fn(&UserRecord) -> bool + Send {
    move |user| expected.admits(Some(&version(user)))
}

fn shown(user: UserRecord) -> Result<Response, Problem> {
    tagged_change(version(&user), &UserBody::of(user))
}

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PartQuery {
    /// At most this many, 1 to 1000; 100 by default.
    pub(super) limit: Option<u32>,
    /// Where an earlier page said the list goes on.
    pub(super) cursor: Option<String>,
}

/// Lists users, by name.
#[utoipa::path(
    get, path = "/users", tag = "access", operation_id = "list_users", params(PartQuery),
    responses(
        (status = 200, body = Page<UserBody>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(service): Api,
    ApiQuery(query): ApiQuery<PartQuery>,
) -> Result<ApiJson<Page<UserBody>>, Problem> {
    let mut wanted = Wanted::<String>::read(query.limit, query.cursor.as_deref())?;
    let after = wanted.after.take();
    let users = service.access.users().into_iter();
    let users = users
        .filter(|user| after.as_ref().is_none_or(|after| user.name > *after))
        .take(wanted.fetch())
        .map(UserBody::of)
        .collect();
    Ok(ApiJson(wanted.page(users, |user| user.name.clone())))
}

/// A user to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewUser)]
struct NewUserBody {
    /// The name: lower-case letters, digits, and `. _ - @`.
    name: String,
    /// What the user may do.
    role: Role,
    /// The password: 12 to 256 characters.
    #[schema(value_type = String, format = Password)]
    password: PasswordText,
}

/// Makes a user.
#[utoipa::path(
    post, path = "/users", tag = "access", operation_id = "create_user",
    request_body = NewUserBody,
    responses(
        (status = 201, description = "Made; Location names the user", body = UserBody),
        (status = 409, description = "There is a user with this name", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn create(
    State(service): Api,
    ApiJson(wanted): ApiJson<NewUserBody>,
) -> Result<
    (
        StatusCode,
        [(HeaderName, HeaderValue); 1],
        ApiJson<UserBody>,
    ),
    Problem,
> {
    let made = service.access.create_user(NewUser {
        name: wanted.name,
        role: wanted.role,
        password: wanted.password,
    });
    let body = UserBody::of(made.await.map_err(refused)?);
    let location = location(format_args!("users/{}", body.id));
    Ok((StatusCode::CREATED, location, ApiJson(body)))
}

/// Shows a user.
#[utoipa::path(
    get, path = "/users/{user}", tag = "access", operation_id = "show_user",
    params(
        ("user" = String, Path, description = "The user's id or name"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of an answer that is known"),
    ),
    responses(
        (status = 200, body = UserBody, headers(("ETag" = String))),
        (status = 304, description = "It is the answer that is known"),
        (status = 404, description = "There is no such user", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn show(
    State(service): Api,
    ApiPath(user): ApiPath<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = service.access.user(&user).map_err(refused)?;
    tagged(&headers, version(&found), &UserBody::of(found))
}

/// What is to be changed; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UserChange)]
struct ChangeBody {
    /// Another role.
    role: Option<Role>,
    /// Whether signing in is refused.
    disabled: Option<bool>,
}

/// Changes a user's role, or refuses and allows signing in. Either ends the user's sessions. The last
/// enabled administrator stays one.
#[utoipa::path(
    patch, path = "/users/{user}", tag = "access", operation_id = "change_user",
    params(
        ("user" = String, Path, description = "The user's id or name"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the user as it was read"),
    ),
    request_body = ChangeBody,
    responses(
        (status = 200, body = UserBody, headers(("ETag" = String))),
        (status = 404, description = "There is no such user", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Nobody could administer any more", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "The user was changed meanwhile", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn change(
    State(service): Api,
    ApiPath(user): ApiPath<String>,
    headers: HeaderMap,
    ApiJson(wanted): ApiJson<ChangeBody>,
) -> Result<Response, Problem> {
    let expected = admitted(Expected::read(&headers)?);
    let change = UserChange {
        role: wanted.role,
        disabled: wanted.disabled,
    };
    let changed = service.access.change_user(&user, change, expected).await;
    shown(changed.map_err(refused)?)
}

/// Removes a user for good; the name can be given again, the id never is. The last enabled
/// administrator stays.
#[utoipa::path(
    delete, path = "/users/{user}", tag = "access", operation_id = "remove_user",
    params(
        ("user" = String, Path, description = "The user's id or name"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the user as it was read"),
    ),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "There is no such user", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Nobody could administer any more", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "The user was changed meanwhile", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn remove(
    State(service): Api,
    ApiPath(user): ApiPath<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let expected = admitted(Expected::read(&headers)?);
    let removed = service.access.remove_user(&user, expected).await;
    removed.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// A password to be set.
#[derive(Debug, Deserialize, ToSchema)]
struct NewPassword {
    /// The password: 12 to 256 characters.
    #[schema(value_type = String, format = Password)]
    password: PasswordText,
}

/// Sets a user's password; the user's sessions end.
#[utoipa::path(
    put, path = "/users/{user}/password", tag = "access", operation_id = "set_user_password",
    params(
        ("user" = String, Path, description = "The user's id or name"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the user as it was read"),
    ),
    request_body = NewPassword,
    responses(
        (status = 200, body = UserBody, headers(("ETag" = String))),
        (status = 404, description = "There is no such user", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "The user was changed meanwhile", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn set_password(
    State(service): Api,
    ApiPath(user): ApiPath<String>,
    headers: HeaderMap,
    ApiJson(wanted): ApiJson<NewPassword>,
) -> Result<Response, Problem> {
    let expected = admitted(Expected::read(&headers)?);
    let access = &service.access;
    let set = access.set_password(&user, wanted.password, expected).await;
    shown(set.map_err(refused)?)
}
