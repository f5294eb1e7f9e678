//! `/alerts`: which there are, and what becomes of a wish about one ([`wishes`]).

mod body;
pub(super) mod wishes;

pub(super) use body::SeverityName;

use super::{
    Api, answer,
    page::{Page, Wanted},
};
use crate::alerts::StateFilter;
use axum::extract::State;
use bcdr_alert::{Alert, AlertCode, AlertId, Object, ObjectKind};
use bcdr_http::{ApiJson, ApiPath, ApiQuery, Problem};
use body::{AlertBody, DetailBody};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .merge(wishes::routes())
}

/// Which alerts.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only those that stand so; all by default.
    #[param(inline)]
    state: Option<StateFilter>,
    /// Only those of this code.
    code: Option<String>,
    /// Only those about the object with this id or name; a group's name takes in its volumes.
    object: Option<String>,
    /// Only those that are this bad.
    severity: Option<SeverityName>,
    /// At most this many, 1 to 1000; 100 by default.
    limit: Option<u32>,
    /// Where an earlier page said the list goes on.
    cursor: Option<String>,
}

/// Lists alerts, newest first. Cleared ones are kept for 90 days.
#[utoipa::path(
    get, path = "/alerts", tag = "alerts", operation_id = "list_alerts", params(ListQuery),
    responses(
        (status = 200, body = Page<AlertBody>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(
    State(service): Api,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<ApiJson<Page<AlertBody>>, Problem> {
    let service = State(service);
    let wanted = Wanted::<AlertId>::read(query.limit, query.cursor.as_deref())?;
    let code = query.code.as_deref().map(str::parse::<AlertCode>);
    let code = code.transpose().map_err(|error| {
        Problem::invalid(error.to_string())
            .field("code")
            .remedy("take one of the codes in docs/operate/alerts.md")
    })?;
    let (state, severity, object) = (query.state, query.severity, query.object);
    let takes = move |alert: &Alert| {
        let about = |wanted: &String| is_about(&alert.object, wanted);
        state.is_none_or(|state| state.takes(alert))
            && code.is_none_or(|code| alert.code == code)
            && severity.is_none_or(|severity| severity == alert.severity.into())
            && object.as_ref().is_none_or(about)
    };
    let found = service.alerts.list(wanted.after, wanted.fetch(), takes);
    let found = found.await.map_err(answer::catalog)?;
    let bodies: Vec<_> = found
        .iter()
        .map(|alert| AlertBody::of(&service, alert))
        .collect();
    Ok(ApiJson(wanted.page(bodies, |alert| alert.id.clone())))
}

/// Whether somebody who asks for `wanted` means this object. A volume's name begins with its group's.
fn is_about(object: &Object, wanted: &str) -> bool {
    let of_group = || matches!(object.name.split_once('/'), Some((group, _)) if group == wanted);
    object.id == wanted
        || object.name == wanted
        || (object.kind == ObjectKind::Volume && of_group())
}

fn id_of(text: &str) -> Result<AlertId, Problem> {
    text.parse()
        .map_err(|_| Problem::not_found("alert", format!("{text:?}")))
}

async fn found(service: &Api, id: AlertId) -> Result<DetailBody, Problem> {
    let alert = service.alerts.get(id).await.map_err(answer::catalog)?;
    let alert = alert.ok_or_else(|| Problem::not_found("alert", id))?;
    let deliveries = service.alerts.deliveries_of(id).await;
    let deliveries = deliveries.map_err(answer::catalog)?;
    Ok(DetailBody::of(service, &alert, &deliveries))
}

/// Shows an alert with its history and its messages.
#[utoipa::path(
    get, path = "/alerts/{alert}", tag = "alerts", operation_id = "show_alert",
    params(("alert" = String, Path, description = "The alert's id")),
    responses(
        (status = 200, body = DetailBody),
        (status = 404, description = "There is no such alert", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn show(
    State(service): Api,
    ApiPath(alert): ApiPath<String>,
) -> Result<ApiJson<DetailBody>, Problem> {
    let service = State(service);
    Ok(ApiJson(found(&service, id_of(&alert)?).await?))
}
