//! The REST API: routes, and the document that describes them.
//!
//! A route exists only when its engine does. Handlers read snapshots or ask the owners of state;
//! they own nothing. Names are accepted wherever ids are.

#![allow(
    unused_qualifications,
    reason = "the code that utoipa generates from a route names its types in full"
)]

mod alert_channels;
mod alerts;
mod answer;
mod audit;
mod audited;
mod bounds;
mod branches;
mod configuration;
mod console;
mod document;
mod drills;
mod etag;
mod events;
mod failbacks;
mod failovers;
mod groups;
mod jobs;
mod page;
mod permissions;
mod placements;
mod plan_actions;
mod plan_runs;
mod plans;
mod points;
mod readiness;
mod records;
mod reports;
mod restores;
mod samples;
mod schedules;
mod schema_bounds;
mod screens;
mod session;
mod setup;
mod system;
mod tokens;
mod users;
mod views;
mod volumes;
mod whole_body;

pub use document::openapi_json;

use crate::service::Service;
use axum::{Router, body::Bytes, http::header, routing::get};
use bcdr_http::{
    AddressLimit, Authenticator, Detail, Health, Metrics, Rate, complete, health, require_principal,
};
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
            .merge(samples::routes())
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
            .merge(screens::routes())
            .merge(reports::routes())
            .merge(jobs::routes())
            .merge(alerts::routes())
            .merge(alert_channels::routes())
            .merge(events::routes())
            .merge(session::routes())
            .merge(users::routes())
            .merge(tokens::routes())
            .merge(audit::routes())
            .merge(configuration::routes()),
    )
}

/// What is asked for before anybody is known.
fn open_routes() -> OpenApiRouter<Arc<Service>> {
    let open = OpenApiRouter::new()
        .merge(setup::routes())
        .merge(session::open_routes());
    OpenApiRouter::new().nest("/api/v1", open)
}

/// Who signs in is slowed down by what fails, and never by what others ask for from the same address.
const SIGN_IN: [&str; 1] = ["/api/v1/session"];

/// The whole API. It is for principals that are known, but for signing in, health, the document and
/// the console's files.
pub(crate) fn router(
    service: Arc<Service>,
    health: Health,
    metrics: &Metrics,
    rate: Rate,
) -> Router {
    let (api, described) = routes().split_for_parts();
    let (open, open_described) = open_routes().split_for_parts();
    let authenticator: Arc<dyn Authenticator> =
        Arc::<crate::access::Access>::clone(&service.access);
    let audit = Arc::clone(&service.audit);
    let guarded = api.with_state(Arc::clone(&service)).merge(metrics.routes());
    let permissions = permissions::of_operations(&described, rate);
    let bounded = Arc::clone(&service);
    let guarded = audited::audited(guarded, &described, Arc::clone(&audit), |inside| {
        let held = bounds::held(inside, &described, bounded);
        require_principal(held, authenticator, permissions)
    });
    let limit = AddressLimit::new(rate, &SIGN_IN);
    let access = Arc::clone(&service.access);
    let open = limit.around(open.with_state(service));
    let open = audited::open(open, &open_described, audit, access);
    let text = Bytes::from(openapi_json());
    let document = get(|| async { ([(header::CONTENT_TYPE, "application/json")], text) });
    let document = limit.around(Router::new().route("/openapi.json", document));
    let open = open
        .merge(document)
        .merge(health::routes(health, Detail::Names))
        .merge(console::routes());
    complete(guarded.merge(open), metrics)
}

#[cfg(test)]
mod tests;
