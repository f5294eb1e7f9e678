//! `/system`: the installation.

use super::Api;
use crate::clock;
use axum::extract::State;
use bcdr_http::{ApiJson, Problem};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What this release's API can do.
const CAPABILITIES: [&str; 5] = ["groups", "points", "views", "drills", "jobs"];

pub(super) fn routes() -> OpenApiRouter<std::sync::Arc<crate::service::Service>> {
    OpenApiRouter::new().routes(routes!(show))
}

/// The installation and this process.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = System)]
pub(crate) struct SystemBody {
    /// The release.
    version: &'static str,
    /// The installation's id.
    installation: String,
    /// The cloud side's wall clock.
    #[schema(value_type = String, format = DateTime)]
    now: jiff::Timestamp,
    /// When this process started.
    #[schema(value_type = String, format = DateTime)]
    started_at: jiff::Timestamp,
    /// Where gateways reach it, over UDP.
    ship_address: String,
    /// The space of the replica store.
    space: SpaceBody,
    /// Whether the installation key has arrived, without which nothing can be received or read.
    installation_key: KeyPresence,
    /// What this API can do.
    capabilities: [&'static str; 5],
}

/// The space of the replica store, in bytes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SystemSpace)]
struct SpaceBody {
    /// The whole file system.
    total_bytes: u64,
    /// What is free.
    available_bytes: u64,
    /// What stays free; new data is refused below.
    floor_bytes: u64,
    /// Whether new data is being refused.
    below_floor: bool,
}

/// Whether a key is there.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum KeyPresence {
    /// It is.
    Present,
    /// It has not arrived.
    Missing,
}

/// Shows the installation and this process.
#[utoipa::path(
    get, path = "/system", tag = "system",
    responses(
        (status = 200, body = SystemBody),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn show(State(service): Api) -> Result<ApiJson<SystemBody>, Problem> {
    let space = service
        .space()
        .await
        .map_err(|error| Problem::internal("measuring free space", &error))?;
    let floor = service.space_floor();
    let key = service.keys.installation_key();
    Ok(ApiJson(SystemBody {
        version: env!("CARGO_PKG_VERSION"),
        installation: service.installation.to_string(),
        now: clock::readable(clock::wall()),
        started_at: clock::readable(service.clock.started_wall()),
        ship_address: service.ship_address.to_string(),
        space: SpaceBody {
            total_bytes: space.total_bytes,
            available_bytes: space.available_bytes,
            floor_bytes: floor.floor_bytes(space.total_bytes),
            below_floor: floor.admission(space).is_err(),
        },
        installation_key: if key.is_some() {
            KeyPresence::Present
        } else {
            KeyPresence::Missing
        },
        capabilities: CAPABILITIES,
    }))
}
