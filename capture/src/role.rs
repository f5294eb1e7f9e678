//! The capture role: everything together, from configuration to an orderly end.
//!
//! Volumes are served first; gateways, TLS and the local API come after and their absence never
//! keeps a volume from its clients. The end of one group's ring thread ends the process: a
//! supervisor starts it anew, and clients that reconnect notice a pause.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bcdr_disk::{DirectoryLock, DiskError, LockError, RealStorage};
use bcdr_http::{Health, LocalSocketError, Metrics, MetricsError};
use bcdr_wire::identity::{IdentityError, IdentitySource};
use prometheus::Registry;
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{self, Clock},
    config::{CaptureConfig, ConfigError},
    feed_client::{FeedClient, FeedParts, FeedStatus},
    group::{self, GroupContext, GroupError, RunningGroup},
    group_thread::{Closed, GroupCommand, GroupThreadError},
    local_api::{self, GroupView},
    metrics::CaptureMetrics,
    nbd_tls::{NbdTls, NbdTlsError, TlsExport},
    tap::TapState,
};

/// How long tasks may take to end after their groups have.
const TASK_PATIENCE: Duration = Duration::from_secs(5);
/// A ring thread that shows nothing for this long hangs.
const RING_FRESH: Duration = Duration::from_secs(10);

/// Why the capture cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The configuration makes no sense.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The state directory cannot be made.
    #[error("cannot use the state directory: {0}")]
    StateDirectory(#[from] DiskError),
    /// Another capture uses the state directory.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The identity does not serve.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A group cannot be served.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// A group's ring thread failed.
    #[error("group {group} stopped: {source}")]
    GroupStopped {
        /// The group.
        group: String,
        /// Why.
        #[source]
        source: GroupThreadError,
    },
    /// A group's ring thread vanished.
    #[error("the ring thread of group {group} ended without a word; see the log for its panic")]
    GroupVanished {
        /// The group.
        group: String,
    },
    /// The local API's socket cannot be had.
    #[error("cannot offer the local API: {0}")]
    LocalApi(#[from] LocalSocketError),
    /// A metric is wrong.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The NBD listener cannot be had.
    #[error(transparent)]
    NbdTls(#[from] NbdTlsError),
    /// A part of the start panicked.
    #[error("the start was cut short: {0}")]
    Start(#[from] JoinError),
}

/// Runs the capture until `shutdown`, or until something it cannot go on without fails. On return
/// everything has ended, in order as far as that was possible.
///
/// # Errors
/// If it could not start, or had to stop.
pub async fn run(config: CaptureConfig, shutdown: CancellationToken) -> Result<(), CaptureError> {
    let begun = Instant::now();
    config.check()?;
    let identity = IdentitySource::load_from(config.identity.clone(), clock::wall())?;
    let registry = Registry::new();
    let metrics = Metrics::new(registry, "capture", env!("CARGO_PKG_VERSION"))?;
    let context = GroupContext {
        storage: Arc::new(RealStorage::new()),
        clock: Clock::start(),
        metrics: CaptureMetrics::new(&metrics)?,
    };
    let config = Arc::new(config);
    let (lock, groups) = tokio::task::spawn_blocking({
        let (config, context) = (Arc::clone(&config), context.clone());
        move || start_groups(&config, &context)
    })
    .await??;
    tracing::info!(
        groups = groups.len(),
        milliseconds = begun.elapsed().as_millis() as u64,
        "volumes are served"
    );
    let mut role = Role {
        config,
        context,
        identity,
        groups,
        views: Vec::new(),
        // Tasks end when the groups have, not before: clients over TLS get their last answers.
        tasks: JoinSet::new(),
        stop_tasks: CancellationToken::new(),
        stop_listening: shutdown.child_token(),
    };
    let outcome = role.serve(&metrics, shutdown).await;
    let ended = role.close().await;
    drop(lock);
    outcome.and(ended)
}

fn start_groups(
    config: &CaptureConfig,
    context: &GroupContext,
) -> Result<(DirectoryLock, Vec<RunningGroup>), CaptureError> {
    context
        .storage
        .create_directory_all(&config.state_directory)?;
    let lock = DirectoryLock::acquire(&config.state_directory)?;
    let mut groups = Vec::new();
    for group in &config.groups {
        match group::start(config, group, context) {
            Ok(running) => groups.push(running),
            Err(error) => {
                // Those that serve already end in order.
                for running in &groups {
                    running.handle.send(GroupCommand::Close);
                }
                groups.into_iter().for_each(RunningGroup::join);
                return Err(error.into());
            }
        }
    }
    Ok((lock, groups))
}

struct Role {
    config: Arc<CaptureConfig>,
    context: GroupContext,
    identity: IdentitySource,
    groups: Vec<RunningGroup>,
    views: Vec<GroupView>,
    tasks: JoinSet<()>,
    stop_tasks: CancellationToken,
    stop_listening: CancellationToken,
}

impl Role {
    /// Serves until a shutdown or the end of a group.
    async fn serve(
        &mut self,
        metrics: &Metrics,
        shutdown: CancellationToken,
    ) -> Result<(), CaptureError> {
        self.start_feeds();
        self.start_local_api(metrics).await?;
        self.start_nbd_tls().await?;
        let mut ends: JoinSet<(String, Option<Result<Closed, GroupThreadError>>)> = JoinSet::new();
        for group in &mut self.groups {
            let (_, never) = tokio::sync::oneshot::channel();
            let ended = std::mem::replace(&mut group.ended, never);
            let name = group.description.name.clone();
            ends.spawn(async move { (name, ended.await.ok()) });
        }
        let first = tokio::select! {
            () = shutdown.cancelled() => None,
            ended = ends.join_next() => ended,
        };
        for group in &self.groups {
            group.handle.send(GroupCommand::Close);
        }
        let mut outcome = Ok(());
        let mut next = first;
        loop {
            if let Some(ended) = next {
                outcome = outcome.and(judge(ended?));
            }
            next = ends.join_next().await;
            if next.is_none() {
                return outcome;
            }
        }
    }

    fn start_feeds(&mut self) {
        for group in &mut self.groups {
            let Some(input) = group.feed.take() else {
                continue;
            };
            let (shown, feed) = watch::channel(FeedStatus::default());
            self.views.push(GroupView {
                description: group.description.clone(),
                status: group.status.clone(),
                feed,
            });
            let client = FeedClient::new(FeedParts {
                description: group.description.clone(),
                identity: self.identity.clone(),
                gateways: self.config.gateways.clone(),
                history: input.history,
                items: input.items,
                backlog: input.backlog,
                group: group.handle.clone(),
                status: group.status.clone(),
                journal: input.journal,
                storage: Arc::clone(&self.context.storage),
                direct: input.direct,
                shown,
                metrics: group.metrics.clone(),
            });
            self.tasks.spawn(client.run(self.stop_tasks.clone()));
        }
    }

    async fn start_local_api(&mut self, metrics: &Metrics) -> Result<(), CaptureError> {
        let health = Health::new();
        for view in &self.views {
            self.tasks.spawn(watch_health(
                view.clone(),
                health.clone(),
                self.stop_tasks.clone(),
            ));
        }
        if let Some(path) = &self.config.local_api_socket {
            let socket = local_api::bind(path).await?;
            let (views, metrics) = (self.views.clone(), metrics.clone());
            self.tasks.spawn(local_api::serve(
                socket,
                views,
                health,
                metrics,
                self.stop_tasks.clone(),
            ));
        }
        Ok(())
    }

    async fn start_nbd_tls(&mut self) -> Result<(), CaptureError> {
        let Some(address) = self.config.nbd_tcp_listen else {
            return Ok(());
        };
        let exports = self.groups.iter().flat_map(|group| {
            group.exports.iter().map(|(volume, info)| TlsExport {
                info: info.clone(),
                volume: *volume,
                group: group.handle.clone(),
            })
        });
        let server = NbdTls::bind(address, self.identity.clone(), exports.collect()).await?;
        tracing::info!(%address, "NBD over TLS is served");
        self.tasks.spawn(server.serve(self.stop_listening.clone()));
        Ok(())
    }

    /// Ends tasks and threads. The groups have been told to close, or are told now.
    async fn close(mut self) -> Result<(), CaptureError> {
        for group in &self.groups {
            group.handle.send(GroupCommand::Close);
        }
        self.stop_listening.cancel();
        self.stop_tasks.cancel();
        let ending = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(TASK_PATIENCE, ending).await.is_err() {
            tracing::warn!("some connections did not end in time and are cut");
            self.tasks.shutdown().await;
        }
        let groups = std::mem::take(&mut self.groups);
        self.views.clear();
        tokio::task::spawn_blocking(move || groups.into_iter().for_each(RunningGroup::join))
            .await?;
        Ok(())
    }
}

fn judge(
    (group, ended): (String, Option<Result<Closed, GroupThreadError>>),
) -> Result<(), CaptureError> {
    match ended {
        Some(Ok(_)) => Ok(()),
        Some(Err(source)) => Err(CaptureError::GroupStopped { group, source }),
        None => Err(CaptureError::GroupVanished { group }),
    }
}

/// Keeps a group's checks: the ring thread turns, and what it serves is tracked.
async fn watch_health(mut view: GroupView, health: Health, stop: CancellationToken) {
    let name = &view.description.name;
    let turns = health.live_check(format!("ring thread of group {name}"), RING_FRESH);
    let tracked = health.ready_check(format!("tracking of group {name}"));
    loop {
        let state = view
            .status
            .borrow_and_update()
            .as_ref()
            .map(|status| status.tap.state.clone());
        if let Some(state) = state {
            turns.pass();
            match state {
                TapState::Untracked { reason, .. } => tracked.fail(reason.to_string()),
                TapState::Continuous | TapState::Syncing { .. } => tracked.pass(),
                TapState::Starting => {}
            }
        }
        tokio::select! {
            () = stop.cancelled() => break,
            changed = view.status.changed() => if changed.is_err() { return },
        }
    }
    turns.remove();
    tracked.remove();
}
