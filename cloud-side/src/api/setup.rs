//! `/setup`: the first administrator.

use super::{Api, session::address_of, users::UserBody};
use crate::access::PasswordText;
use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use bcdr_http::{ApiJson, Peer, Problem, from_own_pages};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new().routes(routes!(show_setup, set_up))
}

/// The first administrator.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Setup)]
struct SetupBody {
    /// The setup secret that the initialisation printed.
    #[schema(value_type = String, format = Password)]
    secret: PasswordText,
    /// The name: lower-case letters, digits, and `. _ - @`.
    name: String,
    /// The password: 12 to 256 characters.
    #[schema(value_type = String, format = Password)]
    password: PasswordText,
}

/// Whether the first administrator is still to be made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SetupState)]
struct SetupState {
    /// Whether the secret that the initialisation printed is still waited for.
    required: bool,
}

/// Says whether there is an administrator yet, so that a console knows which page comes first. Anybody
/// may ask.
#[utoipa::path(
    get, path = "/setup", tag = "access", operation_id = "show_setup", security(()),
    responses(
        (status = 200, description = "Whether it is to be done", body = SetupState),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn show_setup(State(service): Api) -> Result<ApiJson<SetupState>, Problem> {
    let required = service
        .access
        .awaits_setup()
        .await
        .map_err(super::session::refused)?;
    Ok(ApiJson(SetupState { required }))
}

/// Makes the first user, an administrator, with the secret that the initialisation printed. It works
/// once, and not any more when somebody else made an administrator.
#[utoipa::path(
    post, path = "/setup", tag = "access", operation_id = "set_up", security(()),
    request_body = SetupBody,
    responses(
        (status = 201, description = "Made; sign in now", body = UserBody),
        (status = 403, description = "The secret is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It was done before", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many attempts", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn set_up(
    State(service): Api,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    ApiJson(wanted): ApiJson<SetupBody>,
) -> Result<(StatusCode, ApiJson<UserBody>), Problem> {
    from_own_pages(&headers)?;
    let address = address_of(peer);
    let made = service
        .access
        .set_up(
            wanted.secret.expose(),
            &wanted.name,
            wanted.password,
            address,
        )
        .await
        .map_err(super::session::refused)?;
    Ok((StatusCode::CREATED, ApiJson(UserBody::of(made))))
}
