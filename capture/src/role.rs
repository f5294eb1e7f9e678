//! The capture role: everything together, from configuration to an orderly end.
//!
//! Volumes are served first; identity, gateways, TLS and the local API come after, and so does a group
//! that cannot be served: none of them keeps a volume of another from its clients, and all are tried
//! again until they are there. Only if no group at all can be served is there nothing to run. The end
//! of one group's ring thread ends the process: a supervisor starts it anew, and clients that
//! reconnect notice a pause.

mod missing;

use std::{
    panic,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bcdr_disk::{DirectoryLock, LockError, RealStorage};
use bcdr_http::{Health, Metrics, MetricsError};
use bcdr_wire::identity::IdentitySource;
use prometheus::Registry;
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    config::{CaptureConfig, ConfigError},
    feed_client::{FeedClient, FeedParts, FeedStatus},
    group::{self, GroupContext, GroupError, RunningGroup},
    group_thread::{Closed, GroupCommand, GroupThreadError},
    local_api::{self, GroupView},
    metrics::CaptureMetrics,
    nbd_tls::{NbdTls, TlsExport},
    tap::TapState,
};
use missing::{Missing, Part};

/// How long tasks may take to end after their groups have.
const TASK_PATIENCE: Duration = Duration::from_secs(5);
/// How often what is missing is tried again.
const TRY_AGAIN_EVERY: Duration = Duration::from_secs(2);
/// A ring thread that shows nothing for this long hangs.
const RING_FRESH: Duration = Duration::from_secs(10);

/// Why the capture cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The configuration makes no sense.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// Another capture uses the state directory.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// None of the groups can be served.
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
    /// A metric is wrong.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
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
    let registry = Registry::new();
    let metrics = Metrics::new(registry, "capture", env!("CARGO_PKG_VERSION"))?;
    let context = GroupContext {
        storage: Arc::new(RealStorage::new()),
        clock: Clock::start(),
        metrics: CaptureMetrics::new(&metrics)?,
        lock_patience: group::LOCK_PATIENCE,
    };
    let config = Arc::new(config);
    let (lock, started) = tokio::task::spawn_blocking({
        let (config, context) = (Arc::clone(&config), context.clone());
        move || start_groups(&config, &context)
    })
    .await??;
    tracing::info!(
        groups = started.iter().filter(|group| group.is_ok()).count(),
        milliseconds = begun.elapsed().as_millis() as u64,
        "volumes are served"
    );
    let mut role = Role {
        config,
        context,
        metrics,
        health: Health::new(),
        identity: None,
        groups: Vec::new(),
        unfed: Vec::new(),
        views: watch::Sender::new(Vec::new()),
        exports: watch::Sender::new(Vec::new()),
        missing: Vec::new(),
        ends: JoinSet::new(),
        // Tasks end when the groups have, not before: clients over TLS get their last answers.
        tasks: JoinSet::new(),
        stop_tasks: CancellationToken::new(),
        stop_listening: shutdown.child_token(),
    };
    for (index, group) in started.into_iter().enumerate() {
        match group {
            Ok(group) => role.adopt(group),
            Err(error) => role.miss(Part::Group(index), &error),
        }
    }
    let outcome = role.serve(shutdown).await;
    let ended = role.close().await;
    drop(lock);
    outcome.and(ended)
}

type Started = Vec<Result<RunningGroup, GroupError>>;

/// Starts the groups, each by itself: one whose volume another process holds lets no other wait.
/// Fails only if none can be served.
fn start_groups(
    config: &CaptureConfig,
    context: &GroupContext,
) -> Result<(Option<DirectoryLock>, Started), CaptureError> {
    let lock = lock_state(config, context)?;
    let mut started: Started = thread::scope(|scope| {
        let start = |group| scope.spawn(move || group::start(config, group, context));
        let starting: Vec<_> = config.groups.iter().map(start).collect();
        let end = |one: thread::ScopedJoinHandle<'_, _>| {
            one.join()
                .unwrap_or_else(|panic| panic::resume_unwind(panic))
        };
        starting.into_iter().map(end).collect()
    });
    let is_served = started.iter().any(Result::is_ok);
    match started.pop_if(|_| !is_served) {
        Some(Err(error)) => Err(error.into()),
        _ => Ok((lock, started)),
    }
}

/// Keeps another capture away from the state directory. A directory that cannot be used keeps no
/// volume from its clients: each volume has a lock of its own, and goes untracked.
fn lock_state(
    config: &CaptureConfig,
    context: &GroupContext,
) -> Result<Option<DirectoryLock>, CaptureError> {
    let made = context
        .storage
        .create_directory_all(&config.state_directory);
    let lock = match made {
        Ok(()) => DirectoryLock::acquire(&config.state_directory),
        Err(error) => {
            tracing::error!(%error, "the state directory cannot be used");
            return Ok(None);
        }
    };
    match lock {
        Ok(lock) => Ok(Some(lock)),
        Err(held @ LockError::Held { .. }) => Err(held.into()),
        Err(error) => {
            tracing::error!(%error, "the state directory cannot be locked");
            Ok(None)
        }
    }
}

/// The beginning of a feed that waits for an identity.
struct Unfed {
    /// The group's place among those that run.
    group: usize,
    shown: watch::Sender<FeedStatus>,
}

type Ended = (String, Option<Result<Closed, GroupThreadError>>);

struct Role {
    config: Arc<CaptureConfig>,
    context: GroupContext,
    metrics: Metrics,
    health: Health,
    identity: Option<IdentitySource>,
    groups: Vec<RunningGroup>,
    unfed: Vec<Unfed>,
    views: watch::Sender<Vec<GroupView>>,
    exports: watch::Sender<Vec<TlsExport>>,
    missing: Vec<Missing>,
    ends: JoinSet<Ended>,
    tasks: JoinSet<()>,
    stop_tasks: CancellationToken,
    stop_listening: CancellationToken,
}

impl Role {
    /// Serves until a shutdown or the end of a group.
    async fn serve(&mut self, shutdown: CancellationToken) -> Result<(), CaptureError> {
        for part in [Part::LocalApi, Part::Identity, Part::NbdTls] {
            if let Err(error) = self.attempt(part).await {
                self.miss(part, &error);
            }
        }
        let mut again = tokio::time::interval(TRY_AGAIN_EVERY);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let first = loop {
            tokio::select! {
                () = shutdown.cancelled() => break None,
                ended = self.ends.join_next() => break ended,
                _ = again.tick(), if !self.missing.is_empty() => self.try_again().await,
            }
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
            next = self.ends.join_next().await;
            if next.is_none() {
                return outcome;
            }
        }
    }

    /// Looks after a group that is served.
    fn adopt(&mut self, mut group: RunningGroup) {
        let (_, never) = tokio::sync::oneshot::channel();
        let ended = std::mem::replace(&mut group.ended, never);
        let name = group.description.name.clone();
        self.ends.spawn(async move { (name, ended.await.ok()) });
        let (shown, feed) = watch::channel(FeedStatus::default());
        let view = GroupView {
            description: group.description.clone(),
            status: group.status.clone(),
            feed,
        };
        self.tasks.spawn(watch_health(
            view.clone(),
            self.health.clone(),
            self.stop_tasks.clone(),
        ));
        self.views.send_modify(|views| views.push(view));
        let exports = group.exports.iter().map(|(volume, info)| TlsExport {
            info: info.clone(),
            volume: *volume,
            group: group.handle.clone(),
        });
        self.exports.send_modify(|known| known.extend(exports));
        self.unfed.push(Unfed {
            group: self.groups.len(),
            shown,
        });
        self.groups.push(group);
        self.start_feeds();
    }

    fn start_feeds(&mut self) {
        let Some(identity) = &self.identity else {
            return;
        };
        for Unfed { group, shown } in self.unfed.drain(..) {
            let group = &mut self.groups[group];
            let Some(input) = group.feed.take() else {
                continue;
            };
            let client = FeedClient::new(FeedParts {
                description: group.description.clone(),
                identity: identity.clone(),
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

    async fn start_local_api(&mut self) -> Result<(), String> {
        let Some(path) = &self.config.local_api_socket else {
            return Ok(());
        };
        let socket = local_api::bind(path)
            .await
            .map_err(|error| format!("cannot offer the local API: {error}"))?;
        self.tasks.spawn(local_api::serve(
            socket,
            self.views.subscribe(),
            self.health.clone(),
            self.metrics.clone(),
            self.stop_tasks.clone(),
        ));
        Ok(())
    }

    async fn start_nbd_tls(&mut self) -> Result<(), String> {
        let Some(address) = self.config.nbd_tcp_listen else {
            return Ok(());
        };
        let Some(identity) = self.identity.clone() else {
            return Err("NBD over TLS waits for the identity".to_owned());
        };
        let server = NbdTls::bind(address, identity, self.exports.subscribe())
            .await
            .map_err(|error| error.to_string())?;
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
        self.views.send_modify(Vec::clear);
        self.exports.send_modify(Vec::clear);
        tokio::task::spawn_blocking(move || groups.into_iter().for_each(RunningGroup::join))
            .await?;
        Ok(())
    }
}

fn judge((group, ended): Ended) -> Result<(), CaptureError> {
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

#[cfg(test)]
mod tests;
