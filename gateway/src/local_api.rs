//! The gateway's local API on a Unix socket: status, health, metrics.

use crate::stream::{StreamStatus, Streams};
use axum::{Json, Router, extract::State, routing::get};
use bcdr_format::StreamId;
use bcdr_http::{
    Health, Limits, LocalSocket, Metrics, complete,
    health::{self, Detail},
    serve_unix,
};
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio_util::sync::CancellationToken;

/// Why the local API cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalApiError {
    /// Its socket cannot be made.
    #[error("cannot listen on {}: {reason}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Its metrics cannot be registered.
    #[error("cannot register metrics: {0}")]
    Metrics(String),
}

#[derive(Debug, Serialize)]
struct StreamEntry {
    stream: StreamId,
    #[serde(flatten)]
    status: StreamStatus,
}

#[derive(Debug, Serialize)]
struct Status {
    streams: Vec<StreamEntry>,
}

async fn status(State(streams): State<Arc<Streams>>) -> Json<Status> {
    let streams = streams
        .status()
        .into_iter()
        .map(|(stream, status)| StreamEntry { stream, status })
        .collect();
    Json(Status { streams })
}

/// Serves until `shutdown`.
pub async fn serve(
    path: &Path,
    streams: Arc<Streams>,
    shutdown: CancellationToken,
) -> Result<(), LocalApiError> {
    let refused = |reason: String| LocalApiError::Socket {
        path: path.to_owned(),
        reason,
    };
    let metrics = Metrics::new(
        prometheus::Registry::new(),
        "gateway",
        env!("CARGO_PKG_VERSION"),
    )
    .map_err(|error| LocalApiError::Metrics(error.to_string()))?;
    let collector = crate::metrics::StreamCollector::new(Arc::clone(&streams))
        .map_err(|error| LocalApiError::Metrics(error.to_string()))?;
    metrics
        .collector(Box::new(collector))
        .map_err(|error| LocalApiError::Metrics(error.to_string()))?;
    let health = Health::new();
    // Ready means able to take records in and keep them; whether a receiver is reached is status.
    let intake = health.ready_check("intake");
    intake.pass();
    let router = Router::new()
        .route("/status", get(status))
        .with_state(streams)
        .merge(health::routes(health, Detail::Reasons))
        .merge(metrics.routes());
    let socket = LocalSocket::bind(path)
        .await
        .map_err(|error| refused(error.to_string()))?;
    serve_unix(
        socket,
        complete(router, &metrics),
        Limits::default(),
        shutdown.cancelled_owned(),
    )
    .await;
    Ok(())
}
