//! A group whose ring thread runs: it takes writes, or is quiesced.

use std::sync::Arc;

use bcdr_format::Position;
use bcdr_http::Health;
use bcdr_wire::{identity::IdentitySource, order::SourceOrder};
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{
    super::{RING_FRESH, TASK_PATIENCE, TRY_AGAIN_EVERY},
    CaptureError, Keeper, Next,
};
use crate::{
    feed_client::{FeedClient, FeedParts, FeedStatus},
    group::RunningGroup,
    group_thread::{GroupCommand, make_read_only},
    local_api::GroupView,
    nbd_tls::TlsExport,
    standing::decide::{Act, Mode},
    tap::TapState,
};

/// The tasks around a group's ring thread.
struct Around {
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Keeper {
    /// Serves until the capture stops or an order ends the ring thread.
    pub(super) async fn serve(&mut self, mut group: RunningGroup) -> Result<Next, CaptureError> {
        let (_, never) = oneshot::channel();
        let mut ended = std::mem::replace(&mut group.ended, never);
        let around = self.surround(&mut group);
        let mut mode = Mode::Starting;
        let mut asked = false;
        let mut again = interval(TRY_AGAIN_EVERY);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let outcome = loop {
            let order: Option<SourceOrder> = tokio::select! {
                outcome = &mut ended => break outcome.ok(),
                () = self.shared.stop.cancelled(), if !asked => {
                    group.handle.send(GroupCommand::Close);
                    asked = true;
                    None
                }
                heard = self.orders.recv(), if !asked => heard.map(|heard| heard.order),
                _ = again.tick(), if !asked => self.unkept(),
            };
            let Some(order) = order else { continue };
            if mode == Mode::Starting && has_written(&group) {
                mode = Mode::Writable;
            }
            match self.hear(order, mode).await {
                // From now on it counts as one that serves: it was told so, and knows nothing newer.
                Some(Act::Keep) if mode == Mode::Starting => mode = Mode::Writable,
                Some(Act::Keep) | None => {}
                Some(Act::Quiesce) => {
                    group.handle.send(GroupCommand::Quiesce);
                    self.shared.exports.send_modify(|exports| {
                        exports
                            .iter_mut()
                            .filter(|export| is_of(export, &group))
                            .for_each(|export| make_read_only(&mut export.info));
                    });
                    mode = Mode::Quiesced;
                }
                Some(Act::Stand | Act::Serve) => {
                    group.handle.send(GroupCommand::Close);
                    asked = true;
                }
            }
        };
        self.take_down(around, group).await?;
        let name = self.group().name.clone();
        match outcome {
            Some(Ok(_)) if asked && !self.shared.stop.is_cancelled() => Ok(Next::Begin),
            Some(Ok(_)) => Ok(Next::End),
            Some(Err(source)) => Err(CaptureError::GroupStopped {
                group: name,
                source,
            }),
            None => Err(CaptureError::GroupVanished { group: name }),
        }
    }

    /// Shows the group, and starts what feeds it and watches it.
    fn surround(&mut self, group: &mut RunningGroup) -> Around {
        let (shown, feed) = watch::channel(FeedStatus::default());
        let view = GroupView {
            description: group.description.clone(),
            status: group.status.clone(),
            stance: self.stance.subscribe(),
            feed,
        };
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(watch_health(
            view.clone(),
            self.shared.health.clone(),
            stop.clone(),
        ));
        self.shared.views.send_modify(|views| {
            views.insert(self.index, view);
        });
        let exports = group.exports.iter().map(|(volume, info)| TlsExport {
            info: info.clone(),
            volume: *volume,
            group: group.handle.clone(),
        });
        self.shared
            .exports
            .send_modify(|known| known.extend(exports));
        if let Some(feed) = self.feed(group, shown) {
            let stopped = stop.clone();
            let identity = self.shared.identity.clone();
            tasks.spawn(run_feed(feed, identity, stopped));
        }
        Around { tasks, stop }
    }

    /// What the feed begins with, but for the identity.
    fn feed(
        &self,
        group: &mut RunningGroup,
        shown: watch::Sender<FeedStatus>,
    ) -> Option<impl FnOnce(IdentitySource) -> FeedParts + Send + 'static> {
        let input = group.feed.take()?;
        let (description, handle) = (group.description.clone(), group.handle.clone());
        let (status, metrics) = (group.status.clone(), group.metrics.clone());
        let gateways = self.shared.config.gateways.clone();
        let storage = Arc::clone(&self.shared.context.storage);
        let (orders, stance) = (self.told.clone(), self.stance.subscribe());
        Some(move |identity| FeedParts {
            description,
            identity,
            gateways,
            history: input.history,
            items: input.items,
            backlog: input.backlog,
            group: handle,
            status,
            journal: input.journal,
            storage,
            direct: input.direct,
            shown,
            metrics,
            orders,
            stance,
        })
    }

    /// Ends what was around the ring thread, which has ended.
    async fn take_down(
        &mut self,
        mut around: Around,
        group: RunningGroup,
    ) -> Result<(), CaptureError> {
        let sequenced = group
            .status
            .borrow()
            .as_ref()
            .map(|status| Position::new(status.tap.ordinal, status.tap.sequenced));
        self.stance.send_modify(|stance| {
            stance.exported = false;
            stance.sequenced = sequenced.or(stance.sequenced);
        });
        self.shared.views.send_modify(|views| {
            views.remove(&self.index);
        });
        self.shared
            .exports
            .send_modify(|exports| exports.retain(|export| !is_of(export, &group)));
        around.stop.cancel();
        let ending = async { while around.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(TASK_PATIENCE, ending).await.is_err() {
            tracing::warn!("some tasks of a group did not end in time and are cut");
            around.tasks.shutdown().await;
        }
        group.metrics.show_feed(false, 0);
        tokio::task::spawn_blocking(move || group.join()).await?;
        Ok(())
    }
}

/// Whether clients have written since the ring thread began, as far as it has shown.
fn has_written(group: &RunningGroup) -> bool {
    let status = group.status.borrow();
    let mut counters = status.iter().flat_map(|status| status.counters.values());
    counters.any(|counters| counters.writes > 0)
}

/// Names of exports are unique where there is a listener for them.
fn is_of(export: &TlsExport, group: &RunningGroup) -> bool {
    let mut names = group.exports.iter().map(|(_, info)| &info.name);
    names.any(|name| *name == export.info.name)
}

/// Feeds a group once there is an identity, until `stop`.
async fn run_feed(
    parts: impl FnOnce(IdentitySource) -> FeedParts,
    mut identity: watch::Receiver<Option<IdentitySource>>,
    stop: CancellationToken,
) {
    let identity = tokio::select! {
        () = stop.cancelled() => return,
        found = identity.wait_for(Option::is_some) => found.ok().and_then(|found| found.clone()),
    };
    if let Some(identity) = identity {
        FeedClient::new(parts(identity)).run(stop).await;
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
            changed = view.status.changed() => if changed.is_err() { break },
        }
    }
    turns.remove();
    tracked.remove();
}
