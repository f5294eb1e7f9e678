//! `/tokens`.

use super::{
    Api,
    audited::Made,
    page::{Page, Wanted},
    session::refused,
    users::PartQuery,
};
use crate::{
    access::{NewToken, token_id},
    catalog::TokenRecord,
    clock,
    groups::Groups,
};
use axum::{Extension, extract::State, http::StatusCode};
use bcdr_format::GroupId;
use bcdr_http::{ApiJson, ApiPath, ApiQuery, Problem, Role};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The most groups that a token is bound to.
const GROUPS_MAX: usize = 1000;

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(revoke))
}

/// A token for programs; its secret is not kept.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
struct TokenBody {
    /// The id.
    id: String,
    /// What it is for.
    name: String,
    /// What it allows.
    role: Role,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: jiff::Timestamp,
    /// When it ends; null for one that is revoked by hand.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<jiff::Timestamp>,
    /// The names of the groups that it is for; null for one that is for the whole installation.
    groups: Option<Vec<String>>,
}

impl TokenBody {
    fn of(groups: &Groups, record: &TokenRecord) -> Self {
        let name = |id: &GroupId| {
            let group = groups.get(*id);
            group.map_or_else(|| id.to_string(), |group| group.record().name.clone())
        };
        Self {
            id: token_id(record).to_string(),
            name: record.name.clone(),
            role: record.role,
            created_at: clock::readable(record.created_at),
            expires_at: record.expires_at.map(clock::readable),
            groups: record
                .groups
                .as_ref()
                .map(|groups| groups.iter().map(name).collect()),
        }
    }
}

/// Lists tokens, oldest first, also those that have ended.
#[utoipa::path(
    get, path = "/tokens", tag = "access", operation_id = "list_tokens", params(PartQuery),
    responses(
        (status = 200, body = Page<TokenBody>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(service): Api,
    ApiQuery(query): ApiQuery<PartQuery>,
) -> Result<ApiJson<Page<TokenBody>>, Problem> {
    let mut wanted = Wanted::<String>::read(query.limit, query.cursor.as_deref())?;
    let after = wanted.after.take();
    // Ids sort by the time of making, as the list does.
    let tokens = service.access.tokens();
    let tokens = tokens
        .iter()
        .map(|record| TokenBody::of(&service.groups, record))
        .filter(|token| after.as_ref().is_none_or(|after| token.id > *after))
        .take(wanted.fetch())
        .collect();
    Ok(ApiJson(wanted.page(tokens, |token| token.id.clone())))
}

/// A token to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewToken)]
struct NewTokenBody {
    /// Who or what it is for; shown in logs.
    name: String,
    /// What it allows.
    role: Role,
    /// When it ends; left out for one that is revoked by hand.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<jiff::Timestamp>,
    /// The groups that it is for, by id or name: it sees nothing of others, and does nothing that is
    /// about more than one group or the installation. Left out for one that is for everything.
    #[schema(min_items = 1, max_items = 1000)]
    groups: Option<Vec<String>>,
}

/// A token that was just made, with its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MadeToken)]
struct MadeBody {
    /// The token itself: shown now and never again.
    token: String,
    /// What is kept of it.
    #[serde(flatten)]
    kept: TokenBody,
}

/// Makes a token. Its secret is in the answer and nowhere else.
#[utoipa::path(
    post, path = "/tokens", tag = "access", operation_id = "create_token",
    request_body = NewTokenBody,
    responses(
        (status = 201, description = "Made", body = MadeBody),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn create(
    State(service): Api,
    ApiJson(wanted): ApiJson<NewTokenBody>,
) -> Result<(StatusCode, Extension<Made>, ApiJson<MadeBody>), Problem> {
    let service = State(service);
    let groups = wanted.groups.map(|names| groups_named(&service, &names));
    let made = service.access.create_token(NewToken {
        name: wanted.name,
        role: wanted.role,
        expires_at: wanted.expires_at.map(clock::stored),
        groups: groups.transpose()?,
    });
    let (token, record) = made.await.map_err(refused)?;
    let body = MadeBody {
        token: token.expose().to_owned(),
        kept: TokenBody::of(&service.groups, &record),
    };
    let made = Made(body.kept.id.clone());
    Ok((StatusCode::CREATED, Extension(made), ApiJson(body)))
}

fn groups_named(service: &Api, names: &[String]) -> Result<BTreeSet<GroupId>, Problem> {
    if names.len() > GROUPS_MAX {
        let detail = format!("{} groups, and at most {GROUPS_MAX}", names.len());
        return Err(Problem::invalid(detail)
            .field("groups")
            .remedy("leave the groups out for a token that is for all of them"));
    }
    let id = |(index, name): (usize, &String)| {
        let group = service.groups.find(name).ok_or_else(|| {
            Problem::invalid(format!("there is no group {name:?}"))
                .field(format!("groups.{index}"))
                .remedy("list the groups and name one of them")
        })?;
        Ok(group.id())
    };
    names.iter().enumerate().map(id).collect()
}

/// Revokes a token: the next request with it is refused.
#[utoipa::path(
    delete, path = "/tokens/{id}", tag = "access", operation_id = "revoke_token",
    params(("id" = String, Path, description = "The token's id")),
    responses(
        (status = 204, description = "Revoked"),
        (status = 404, description = "There is no such token", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn revoke(State(service): Api, ApiPath(id): ApiPath<String>) -> Result<StatusCode, Problem> {
    service.access.revoke_token(&id).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}
