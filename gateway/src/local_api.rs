//! The gateway's local API on a Unix socket: status, health, metrics.

use crate::stream::{LeftOut, StreamStatus, Streams};
use axum::{
    Json, Router,
    extract::{Request, State},
    middleware::{Next, from_fn},
    routing::get,
};
use bcdr_format::StreamId;
use bcdr_http::{
    Check, Health, Limits, LocalSocket, Metrics, complete,
    health::{self, Detail},
    serve_unix,
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
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
    /// Streams that are remembered and cannot be served.
    left_out: Vec<LeftOut>,
}

async fn status(State(of): State<Arc<Streams>>) -> Json<Status> {
    let streams = of
        .status()
        .into_iter()
        .map(|(stream, status)| StreamEntry { stream, status })
        .collect();
    let left_out = of.left_out();
    Json(Status { streams, left_out })
}

/// The checks of `/readyz`, one for each stream, brought up to date before they are shown.
struct Readiness {
    streams: Arc<Streams>,
    health: Health,
    checks: Mutex<BTreeMap<StreamId, Check>>,
}

impl Readiness {
    fn refresh(&self) {
        let outcomes = self.streams.readiness();
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = |stream: &StreamId, _: &mut Check| !outcomes.contains_key(stream);
        checks
            .extract_if(.., gone)
            .for_each(|(_, check)| check.remove());
        for (stream, outcome) in &outcomes {
            checks
                .entry(*stream)
                .or_insert_with(|| self.health.ready_check(format!("stream {stream}")))
                .report(outcome);
        }
    }
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
    // Ready means able to take records in and keep them: captures are let in, and the spool takes
    // what is late. Whether a receiver is reached just now is status.
    let readiness = Arc::new(Readiness {
        streams: Arc::clone(&streams),
        health: health.clone(),
        checks: Mutex::default(),
    });
    let refreshed = from_fn(move |request: Request, next: Next| {
        readiness.refresh();
        next.run(request)
    });
    let router = Router::new()
        .route("/status", get(status))
        .with_state(streams)
        .merge(health::routes(health, Detail::Reasons).layer(refreshed))
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
