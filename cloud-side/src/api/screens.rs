//! `/drills/{id}/screen` and `/failovers/{id}/screen`.

use super::{Api, answer, drills::DrillBody, failovers::FailoverBody, records};
use crate::target::{InstanceRecord, TargetError, qemu::QmpError};
use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bcdr_http::{ApiPath, Problem};
use std::{sync::Arc, time::Instant};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<Arc<crate::service::Service>> {
    OpenApiRouter::new()
        .routes(routes!(of_drill))
        .routes(routes!(of_failover))
}

/// Shows the screen of a drill's machine as it is now; a machine is asked at most once a second, and
/// others get the last picture.
#[utoipa::path(
    get, path = "/drills/{id}/screen", tag = "drills", operation_id = "show_drill_screen",
    params(("id" = String, Path, description = "The drill's id")),
    responses(
        (status = 200, description = "A picture", content_type = "image/png", body = Vec<u8>),
        (status = 404, description = "There is no such drill", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Its machine does not run", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn of_drill(State(service): Api, ApiPath(id): ApiPath<String>) -> Result<Response, Problem> {
    let service = State(service);
    let record = records::find::<DrillBody>(&service, &id).await?;
    let remedy = if record.state.is_final() {
        "look at screenshot.png among its evidence"
    } else {
        "ask again when the drill is booting its machine"
    };
    let not_running = || not_running(&format!("the machine of drill {}", record.id), remedy);
    let instance = service.drills.instance(record.group, record.id).await;
    let instance =
        instance.map_err(|error| Problem::internal("reading the record of an instance", &error))?;
    picture(&service, instance.as_ref(), not_running).await
}

/// Shows the screen of a failover's machine as it is now, in the same way.
#[utoipa::path(
    get, path = "/failovers/{id}/screen", tag = "failovers", operation_id = "show_failover_screen",
    params(("id" = String, Path, description = "The failover's id")),
    responses(
        (status = 200, description = "A picture", content_type = "image/png", body = Vec<u8>),
        (status = 404, description = "There is no such failover", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Its machine does not run", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn of_failover(
    State(service): Api,
    ApiPath(id): ApiPath<String>,
) -> Result<Response, Problem> {
    let service = State(service);
    let record = records::find::<FailoverBody>(&service, &id).await?;
    let not_running = || {
        not_running(
            &format!("the machine of failover {}", record.id),
            "see with `bcdr failover show` how far it is; what it showed at the end of its ladder is \
             screenshot.png among its evidence",
        )
    };
    // A machine bears the name of the failover that launched it.
    let instance = service.placements.instance(record.group).await;
    let instance = instance
        .map_err(answer::catalog)?
        .filter(|instance| instance.name.0 == record.id.to_string());
    let instance = instance.map(|instance| instance.record);
    picture(&service, instance.as_ref(), not_running).await
}

async fn picture(
    service: &Api,
    instance: Option<&InstanceRecord>,
    not_running: impl Fn() -> Problem,
) -> Result<Response, Problem> {
    let instance = instance.ok_or_else(&not_running)?;
    let (screens, of) = (Arc::clone(&service.screens), instance.clone());
    // Whoever leaves meanwhile leaves no picture on the disk and no half of a command behind.
    let taking = async move { screens.of(&of, Instant::now()).await };
    let png = service
        .jobs
        .begin(taking)
        .await
        .map_err(|error| match error {
            TargetError::NotRunning { .. }
            | TargetError::Ended { .. }
            | TargetError::Control(QmpError::Closed) => not_running(),
            error => {
                tracing::warn!(instance = %instance.instance, %error, "no picture of a screen");
                Problem::unavailable("no_picture", error.to_string())
                    .remedy("ask again; if that does not help, look at qemu.log among the evidence")
            }
        })?;
    let fixed = |name: HeaderName, value| (name, HeaderValue::from_static(value));
    let headers = [
        fixed(header::CONTENT_TYPE, "image/png"),
        fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // What a machine shows is nobody's to keep.
        fixed(header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, png).into_response())
}

fn not_running(what: &str, remedy: &str) -> Problem {
    Problem::conflict("machine_not_running", format!("{what} does not run")).remedy(remedy)
}
