//! The REST API: routes, and the document that describes them.
//!
//! A route exists only when its engine does. Handlers read snapshots or ask the owners of state;
//! they own nothing. Names are accepted wherever ids are.

#![allow(
    unused_qualifications,
    reason = "the code that utoipa generates from a route names its types in full"
)]

mod alerts;
mod answer;
mod branches;
mod document;
mod drills;
mod failbacks;
mod failovers;
mod groups;
mod jobs;
mod page;
mod placements;
mod plan_runs;
mod plans;
mod points;
mod readiness;
mod records;
mod reports;
mod restores;
mod schedules;
mod system;
mod views;
mod volumes;

pub use document::openapi_json;

use crate::{service::Service, tokens::Tokens};
use axum::{Router, http::header, routing::get};
use bcdr_http::{Detail, Health, Metrics, complete, health, require_token};
use std::sync::Arc;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

/// What handlers are given.
type Api = axum::extract::State<Arc<Service>>;

fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::with_openapi(document::Base::openapi()).nest(
        "/api/v1",
        OpenApiRouter::new()
            .merge(system::routes())
            .merge(groups::routes())
            .merge(volumes::routes())
            .merge(points::routes())
            .merge(readiness::routes())
            .merge(views::routes())
            .merge(branches::routes())
            .merge(drills::routes())
            .merge(placements::routes())
            .merge(failovers::routes())
            .merge(failbacks::routes())
            .merge(restores::routes())
            .merge(plans::routes())
            .merge(plan_runs::routes())
            .merge(schedules::routes())
            .merge(reports::routes())
            .merge(alerts::routes())
            .merge(jobs::routes()),
    )
}

/// The whole API. Reading it needs a token; health and the document do not.
pub(crate) fn router(
    service: Arc<Service>,
    tokens: Tokens,
    health: Health,
    metrics: &Metrics,
) -> Router {
    let (api, _) = routes().split_for_parts();
    let guarded = api.with_state(service).merge(metrics.routes());
    let document = get(|| async { ([(header::CONTENT_TYPE, "application/json")], openapi_json()) });
    let open = Router::new()
        .route("/openapi.json", document)
        .merge(health::routes(health, Detail::Names));
    complete(
        require_token(guarded, Arc::new(tokens)).merge(open),
        metrics,
    )
}

#[cfg(test)]
mod tests;
