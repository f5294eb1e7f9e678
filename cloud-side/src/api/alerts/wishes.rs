//! What people wish about an alert: to take it on, to keep it quiet, to hear of it again.

use super::{body::DetailBody, found, id_of};
use crate::{
    alerts::AlertError,
    api::{Api, answer},
    clock,
};
use axum::{Extension, extract::State};
use bcdr_alert::{AlertId, Mute, MuteScope, Refused};
use bcdr_format::Timestamp;
use bcdr_http::{ApiJson, ApiPath, Principal, Problem};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Most characters of a note or reason.
pub(in crate::api) const TEXT_MAX: usize = 1000;

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(acknowledge))
        .routes(routes!(mute))
        .routes(routes!(unmute))
}

/// The alert as it is after a wish, or why that was not carried out.
async fn after(
    service: &Api,
    id: AlertId,
    done: Result<(), AlertError>,
) -> Result<ApiJson<DetailBody>, Problem> {
    match done {
        Ok(()) => Ok(ApiJson(found(service, id).await?)),
        Err(error) => Err(not_done(service, id, error).await),
    }
}

async fn not_done(service: &Api, id: AlertId, error: AlertError) -> Problem {
    let detail = error.to_string();
    match error {
        AlertError::Catalog(error) => answer::catalog(error),
        AlertError::Random(error) => answer::no_randomness(error),
        AlertError::Refused(Refused::MuteEnd) => Problem::invalid(detail).field("until"),
        AlertError::Refused(refused) => {
            match service.alerts.get(id).await {
                Ok(Some(_)) => {}
                Ok(None) => return Problem::not_found("alert", id),
                Err(error) => return answer::catalog(error),
            }
            let (code, remedy) = match refused {
                Refused::Acknowledged { .. } => ("alert_acknowledged", "nothing has to be done"),
                Refused::NotMuted(_) => ("alert_not_muted", "nothing has to be done"),
                _ => ("alert_cleared", "list the alerts that are active"),
            };
            Problem::conflict(code, detail).remedy(remedy)
        }
    }
}

/// Who takes an alert on says what is done about it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AcknowledgeAlert)]
struct Acknowledge {
    /// What is said about it.
    note: Option<String>,
}

/// Takes an alert on: no reminder is sent any more. It is over only when its condition is.
#[utoipa::path(
    post, path = "/alerts/{alert}/actions/acknowledge", tag = "alerts", operation_id = "acknowledge_alert",
    params(("alert" = String, Path, description = "The alert's id")),
    request_body = Acknowledge,
    responses(
        (status = 200, body = DetailBody),
        (status = 404, description = "There is no such alert", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is cleared, or was acknowledged before", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn acknowledge(
    State(service): Api,
    Extension(principal): Extension<Principal>,
    ApiPath(alert): ApiPath<String>,
    ApiJson(wanted): ApiJson<Acknowledge>,
) -> Result<ApiJson<DetailBody>, Problem> {
    let service = State(service);
    let id = id_of(&alert)?;
    if let Some(note) = &wanted.note {
        answer::legible(note, "note", TEXT_MAX)?;
    }
    let done = service.alerts.acknowledge(id, &principal.name, wanted.note);
    after(&service, id, done.await).await
}

/// What a mute covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertMuteScope)]
enum Scope {
    /// This condition of this object.
    #[default]
    Alert,
    /// This condition, of whatever object.
    Code,
    /// Every condition of this object.
    Object,
}

/// A mute to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MuteAlert)]
struct NewMute {
    /// When it ends: later than now, within 90 days.
    #[schema(value_type = String, format = DateTime)]
    until: jiff::Timestamp,
    /// Why.
    reason: String,
    /// What it covers; the alert by default.
    #[serde(default)]
    scope: Scope,
}

/// Keeps what an alert is about quiet for a while. It is shown all the same, and what people do not
/// know by then is told when the mute ends.
#[utoipa::path(
    post, path = "/alerts/{alert}/actions/mute", tag = "alerts", operation_id = "mute_alert",
    params(("alert" = String, Path, description = "The alert's id")),
    request_body = NewMute,
    responses(
        (status = 200, body = DetailBody),
        (status = 404, description = "There is no such alert", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is cleared", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn mute(
    State(service): Api,
    Extension(principal): Extension<Principal>,
    ApiPath(alert): ApiPath<String>,
    ApiJson(wanted): ApiJson<NewMute>,
) -> Result<ApiJson<DetailBody>, Problem> {
    let service = State(service);
    let id = id_of(&alert)?;
    answer::legible(&wanted.reason, "reason", TEXT_MAX)?;
    let known = service.alerts.get(id).await.map_err(answer::catalog)?;
    let known = known.ok_or_else(|| Problem::not_found("alert", id))?;
    let (code, kind, object) = (known.code, known.object.kind, known.object.id);
    let mute = Mute {
        scope: match wanted.scope {
            Scope::Alert => MuteScope::Alert { code, kind, object },
            Scope::Code => MuteScope::Code { code },
            Scope::Object => MuteScope::Object { kind, object },
        },
        until: Timestamp(wanted.until.as_microsecond()),
        by: principal.name,
        why: wanted.reason,
        at: clock::wall(),
    };
    let done = service.alerts.mute(id, mute).await;
    after(&service, id, done).await
}

/// Ends all mutes that cover an alert.
#[utoipa::path(
    post, path = "/alerts/{alert}/actions/unmute", tag = "alerts", operation_id = "unmute_alert",
    params(("alert" = String, Path, description = "The alert's id")),
    responses(
        (status = 200, body = DetailBody),
        (status = 404, description = "There is no such alert", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Nothing mutes it", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn unmute(
    State(service): Api,
    Extension(principal): Extension<Principal>,
    ApiPath(alert): ApiPath<String>,
) -> Result<ApiJson<DetailBody>, Problem> {
    let service = State(service);
    let id = id_of(&alert)?;
    let done = service.alerts.unmute(id, &principal.name).await;
    after(&service, id, done).await
}
