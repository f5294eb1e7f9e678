//! `/audit`: who did what.

use super::{Api, page::Wanted};
use crate::audit::{AuditError, Filter};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bcdr_audit::{Chained, Outcome, SignedHead};
use bcdr_http::{ApiJson, ApiQuery, Problem};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(head))
        .routes(routes!(export))
}

fn problem(error: AuditError) -> Problem {
    match error {
        AuditError::Disk(error) => Problem::internal("reading the audit log", &error),
        error => Problem::unavailable("audit_unavailable", "the audit log does not answer")
            .cause(&error)
            .remedy("look at the disk of the state directory, and try again"),
    }
}

/// An entry of the audit log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct EntryBody {
    /// Its number; the first is 1, and there are no gaps.
    sequence: u64,
    /// When it was written.
    #[schema(value_type = String, format = DateTime)]
    at: jiff::Timestamp,
    /// Who did it.
    actor: ActorBody,
    /// Where the request came from; null for what the product did by itself.
    source: Option<String>,
    /// The id of the token, or one that stands for the session: the same in all entries of a session,
    /// and of no use to whoever wants to take it over.
    session: Option<String>,
    /// The operation of this API by its `operationId`, or what the product did.
    action: String,
    /// The kind of what it was done to.
    object_kind: Option<String>,
    /// Its id or name.
    object: Option<String>,
    /// What came of it: `begun` (another entry says how it ended), `allowed`, `refused`, `failed`, or
    /// `unknown` when the process ended before.
    outcome: String,
    /// The HTTP status of the answer.
    status: Option<u16>,
    /// The code of the problem that was answered.
    code: Option<String>,
    /// The id of the request.
    request: Option<String>,
    /// A BLAKE3 digest of the idempotency key.
    idempotency: Option<String>,
    /// The number of the entry with which it began.
    began: Option<u64>,
    /// How many alike it stands for.
    count: u64,
    /// What was asked for, in short.
    changes: BTreeMap<String, String>,
    /// More about it.
    detail: Option<String>,
    /// The hash over it and all before it.
    hash: String,
}

/// Who did something.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditActor)]
struct ActorBody {
    /// `user`, `token`, `system`, or `unknown` for a client that did not prove who it is.
    kind: String,
    /// The id, where there is one.
    id: Option<String>,
    /// The name.
    name: String,
}

impl From<Chained> for EntryBody {
    fn from(entry: Chained) -> Self {
        let hash = entry.hash.to_string();
        let (sequence, at, said) = (entry.body.sequence, entry.body.at, entry.body.said);
        let (object_kind, object) = said.object.map(|object| (object.kind, object.id)).unzip();
        Self {
            sequence,
            at,
            actor: ActorBody {
                kind: said.actor.kind.name().to_owned(),
                id: said.actor.id,
                name: said.actor.name,
            },
            source: said.source,
            session: said.session,
            action: said.action,
            object_kind,
            object: object.flatten(),
            outcome: said.outcome.name().to_owned(),
            status: said.status,
            code: said.code,
            request: said.request,
            idempotency: said.idempotency.map(|digest| digest.to_string()),
            began: said.began,
            count: said.count,
            changes: said.changes,
            detail: said.detail,
            hash,
        }
    }
}

/// A page of entries.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditPage)]
struct PageBody {
    /// The entries.
    items: Vec<EntryBody>,
    /// Where the list goes on; null at its end. A page may hold fewer than asked for and still go on,
    /// when much had to be looked through.
    next_cursor: Option<String>,
}

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only those of this actor, by name or id.
    actor: Option<String>,
    /// Only those of this operation.
    action: Option<String>,
    /// Only those about this object, by kind, name or id.
    object: Option<String>,
    /// Only those with this outcome: `begun`, `allowed`, `refused`, `failed` or `unknown`.
    outcome: Option<String>,
    /// Not before this time (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<jiff::Timestamp>,
    /// Not after this time (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<jiff::Timestamp>,
    /// `newest_first`, which is the default, or `oldest_first`.
    #[param(inline)]
    order: Option<Order>,
    /// At most this many, 1 to 1000; 100 by default.
    limit: Option<u32>,
    /// Where an earlier page said the list goes on.
    cursor: Option<String>,
}

/// In which direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AuditOrder)]
enum Order {
    /// The newest entry first.
    NewestFirst,
    /// The oldest entry first.
    OldestFirst,
}

fn outcome(text: &str) -> Result<Outcome, Problem> {
    let found = Outcome::ALL
        .into_iter()
        .find(|outcome| outcome.name() == text);
    found.ok_or_else(|| {
        let names = Outcome::ALL.map(Outcome::name).join(", ");
        Problem::invalid(format!("there is no outcome {text:?}"))
            .field("outcome")
            .remedy(format!("it is one of {names}"))
    })
}

/// Lists entries of the audit log, newest first.
#[utoipa::path(
    get, path = "/audit", tag = "audit", operation_id = "list_audit", params(ListQuery),
    responses(
        (status = 200, body = PageBody),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(service): Api,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<ApiJson<PageBody>, Problem> {
    let wanted = Wanted::<u64>::read(query.limit, query.cursor.as_deref())?;
    let filter = Filter {
        actor: query.actor,
        action: query.action,
        object: query.object,
        outcome: query.outcome.as_deref().map(outcome).transpose()?,
        from: query.from,
        to: query.to,
        forward: query.order == Some(Order::OldestFirst),
        beyond: wanted.after,
        limit: wanted.fetch() - 1,
    };
    let page = service.audit.list(filter).await.map_err(problem)?;
    Ok(ApiJson(PageBody {
        items: page.entries.into_iter().map(EntryBody::from).collect(),
        next_cursor: page.next.map(|next| next.to_string()),
    }))
}

/// How far the audit log reaches.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditHead)]
struct HeadBody {
    /// The number of the newest entry; 0 before the first.
    sequence: u64,
    /// The hash over it and all before it.
    hash: String,
    /// The same, signed, in the form of the log; null while there is no key. To be kept elsewhere: the
    /// verifier compares a log with it.
    #[schema(value_type = Option<Object>)]
    signed: Option<SignedHead>,
    /// The key that signs, as PEM; null while there is none.
    key: Option<String>,
    /// Why entries cannot be written; null while they can. While the log cannot even be opened, the
    /// number and the hash are those that were signed last.
    trouble: Option<String>,
    /// What was not as it had been written when this process started.
    damage: Vec<String>,
    /// Its bytes, as they were within the last minute.
    bytes: u64,
    /// That it takes much of the space that is kept free on its disk; null while it does not.
    warning: Option<String>,
}

/// Shows how far the audit log reaches, signed now, and how it is.
#[utoipa::path(
    get, path = "/audit/head", tag = "audit", operation_id = "show_audit_head",
    responses(
        (status = 200, body = HeadBody),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn head(State(service): Api) -> Result<ApiJson<HeadBody>, Problem> {
    let signed = service.audit.head().await.map_err(problem)?;
    let newest = match &signed {
        Some(head) => head.body.newest,
        None => service.audit.newest().map_err(problem)?,
    };
    let health = service.audit.health();
    Ok(ApiJson(HeadBody {
        sequence: newest.sequence,
        hash: newest.hash.to_string(),
        key: signed.as_ref().map(|head| head.key.to_pem()),
        signed,
        trouble: health.trouble,
        damage: health.damage,
        bytes: health.bytes,
        warning: health.warning,
    }))
}

/// Which period.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ExportQuery {
    /// From the first entry at or after this time (RFC 3339); all by default.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<jiff::Timestamp>,
    /// To the first entry after this time, and on to the next signed head.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<jiff::Timestamp>,
}

/// Exports the audit log, or a period of it, in the form that the verifier reads.
#[utoipa::path(
    get, path = "/audit/export", tag = "audit", operation_id = "export_audit", params(ExportQuery),
    responses(
        (status = 200, description = "Lines of JSON; docs/format/audit.md draws them", content_type = "application/jsonl", body = String),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn export(
    State(service): Api,
    ApiQuery(query): ApiQuery<ExportQuery>,
) -> Result<Response, Problem> {
    let export = service.audit.export(query.from, query.to).await;
    let export = export.map_err(problem)?;
    let pieces = futures_util::stream::unfold(Some(export), async |export| {
        let (piece, rest) = export?.next().await;
        match piece {
            Ok(Some(piece)) => Some((Ok(piece), Some(rest))),
            Ok(None) => None,
            // What was sent so far has no signed end, and the connection is broken off.
            Err(error) => {
                tracing::error!(%error, "an export of the audit log broke off");
                Some((Err(error), None))
            }
        }
    });
    let kind = HeaderValue::from_static("application/jsonl");
    let body = Body::from_stream(pieces);
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, kind)], body).into_response())
}
