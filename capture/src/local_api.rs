//! The capture's local API: status, health and metrics, on a Unix socket of mode 0600.
//!
//! It shows snapshots and changes nothing.

use std::{collections::BTreeMap, path::Path};

use axum::{Json, Router, extract::State, routing::get};
use bcdr_http::{Detail, Health, Limits, LocalSocket, LocalSocketError, Metrics};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    feed_client::FeedStatus,
    group_thread::GroupStatus,
    standing::Stance,
    status::{GroupDescription, StatusDocument, document},
};

/// Where one group's state is looked up.
#[derive(Debug, Clone)]
pub struct GroupView {
    /// What never changes.
    pub description: GroupDescription,
    /// The ring thread's snapshots.
    pub status: watch::Receiver<Option<GroupStatus>>,
    /// What it was told, and what came of it.
    pub stance: watch::Receiver<Stance>,
    /// The feed's snapshots.
    pub feed: watch::Receiver<FeedStatus>,
}

/// The groups, by their places in the configuration.
pub type GroupViews = BTreeMap<usize, GroupView>;

/// Opens the socket.
///
/// # Errors
/// If the path is taken or cannot be used.
pub async fn bind(path: &Path) -> Result<LocalSocket, LocalSocketError> {
    LocalSocket::bind(path).await
}

/// Serves until `shutdown`.
pub async fn serve(
    socket: LocalSocket,
    groups: watch::Receiver<GroupViews>,
    health: Health,
    metrics: Metrics,
    shutdown: CancellationToken,
) {
    let router = Router::new()
        .route("/status", get(status))
        .with_state(groups)
        .merge(bcdr_http::health::routes(health, Detail::Reasons))
        .merge(metrics.routes());
    let router = bcdr_http::complete(router, &metrics);
    let drained = bcdr_http::serve_unix(
        socket,
        router,
        Limits::default(),
        shutdown.cancelled_owned(),
    )
    .await;
    tracing::debug!(?drained, "the local API has stopped");
}

async fn status(State(groups): State<watch::Receiver<GroupViews>>) -> Json<StatusDocument> {
    let group = |group: &GroupView| {
        let status = group.status.borrow().clone();
        document(
            &group.description,
            status.as_ref(),
            &group.stance.borrow(),
            group.feed.borrow().clone(),
        )
    };
    Json(StatusDocument {
        groups: groups.borrow().values().map(group).collect(),
    })
}
