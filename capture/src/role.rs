//! The capture role: everything together, from configuration to an orderly end.
//!
//! Volumes are served first; identity, gateways, TLS and the local API come after, and so does a group
//! that cannot be served: none of them keeps a volume of another from its clients, and all are tried
//! again until they are there. Only if no group at all can be served is there nothing to run. Each
//! group has a keeper, which changes how it is served as it is ordered. The end of a group's ring
//! thread that nobody asked for ends the process: a supervisor starts it anew, and clients that
//! reconnect notice a pause.

mod keeper;
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
    group::{self, GroupContext, GroupError},
    group_thread::GroupThreadError,
    local_api::{self, GroupViews},
    metrics::CaptureMetrics,
    nbd_tls::{NbdTls, TlsExport},
    standing::book::OrderBook,
};
use keeper::{Begun, Keeper, Shared};
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
    let is_served = |(_, begun): &&(_, Begun)| matches!(begun, Begun::Serving(_));
    tracing::info!(
        groups = started.iter().filter(is_served).count(),
        milliseconds = begun.elapsed().as_millis() as u64,
        "volumes are served"
    );
    let (identity, known) = watch::channel(None);
    let mut role = Role {
        config: Arc::clone(&config),
        metrics,
        health: Health::new(),
        identity,
        views: watch::Sender::new(GroupViews::new()),
        exports: watch::Sender::new(Vec::new()),
        missing: Vec::new(),
        keepers: JoinSet::new(),
        stop_groups: shutdown.child_token(),
        // Tasks end when the groups have, not before: clients over TLS get their last answers.
        tasks: JoinSet::new(),
        stop_tasks: CancellationToken::new(),
        stop_listening: shutdown.child_token(),
    };
    let shared = Shared {
        config,
        context,
        health: role.health.clone(),
        identity: known,
        views: role.views.clone(),
        exports: role.exports.clone(),
        stop: role.stop_groups.clone(),
    };
    for (index, (book, begun)) in started.into_iter().enumerate() {
        let keeper = Keeper::new(shared.clone(), index, book);
        role.keepers.spawn(keeper.run(begun));
    }
    let outcome = role.serve(shutdown).await;
    role.close().await;
    drop(lock);
    outcome
}

type Started = Vec<(Option<OrderBook>, Begun)>;

/// Begins the groups, each by itself: one whose volume another process holds lets no other wait.
/// Fails only if there is nothing to do for any.
fn start_groups(
    config: &CaptureConfig,
    context: &GroupContext,
) -> Result<(Option<DirectoryLock>, Started), CaptureError> {
    let lock = lock_state(config, context)?;
    let mut started: Started = thread::scope(|scope| {
        let start = |group| scope.spawn(move || keeper::begin(config, group, context, None));
        let starting: Vec<_> = config.groups.iter().map(start).collect();
        let end = |one: thread::ScopedJoinHandle<'_, _>| {
            one.join()
                .unwrap_or_else(|panic| panic::resume_unwind(panic))
        };
        starting.into_iter().map(end).collect()
    });
    let is_kept = |(_, begun): &(_, Begun)| match begun {
        // It waits for the word to serve.
        Begun::Missing(GroupError::NoPast { .. }) => true,
        begun => !matches!(begun, Begun::Missing(_)),
    };
    if started.iter().any(is_kept) {
        return Ok((lock, started));
    }
    match started.pop() {
        Some((_, Begun::Missing(error))) => Err(error.into()),
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

struct Role {
    config: Arc<CaptureConfig>,
    metrics: Metrics,
    health: Health,
    identity: watch::Sender<Option<IdentitySource>>,
    views: watch::Sender<GroupViews>,
    exports: watch::Sender<Vec<TlsExport>>,
    missing: Vec<Missing>,
    /// The groups' keepers.
    keepers: JoinSet<Result<(), CaptureError>>,
    /// Has the keepers end their groups.
    stop_groups: CancellationToken,
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
                ended = self.keepers.join_next() => break ended,
                _ = again.tick(), if !self.missing.is_empty() => self.try_again().await,
            }
        };
        self.stop_groups.cancel();
        let mut outcome = Ok(());
        let mut next = first;
        loop {
            if let Some(ended) = next {
                outcome = outcome.and(ended?);
            }
            next = self.keepers.join_next().await;
            if next.is_none() {
                return outcome;
            }
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
        let Some(identity) = self.identity.borrow().clone() else {
            return Err("NBD over TLS waits for the identity".to_owned());
        };
        let server = NbdTls::bind(address, identity, self.exports.subscribe())
            .await
            .map_err(|error| error.to_string())?;
        tracing::info!(%address, "NBD over TLS is served");
        self.tasks.spawn(server.serve(self.stop_listening.clone()));
        Ok(())
    }

    /// Ends what is left. The groups have ended, or are given up.
    async fn close(mut self) {
        self.stop_listening.cancel();
        self.stop_tasks.cancel();
        let ending = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(TASK_PATIENCE, ending).await.is_err() {
            tracing::warn!("some connections did not end in time and are cut");
            self.tasks.shutdown().await;
        }
    }
}

#[cfg(test)]
mod tests;
