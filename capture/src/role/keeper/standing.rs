//! A group without a ring thread: it stands by, or is to serve and cannot.
//!
//! While it stands by its volumes are served read-only, unless a task needs their locks. Either way
//! a session with a gateway brings the next order. There is none while somebody else has the volumes:
//! that may well be the capture whose session this one would take over.

use std::{sync::Arc, time::Duration};

use bcdr_http::Check;
use bcdr_wire::order::{HomeTask, TaskOutcome, TaskReport, TaskState};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{super::TRY_AGAIN_EVERY, Begun, CHANGE_PATIENCE, CaptureError, Keeper, Next};
use crate::{
    config::GroupConfig,
    feed_client::FeedStatus,
    group::{self, GroupError},
    local_api::GroupView,
    standing::{
        HeardOrder,
        book::OrderBook,
        decide::{Act, Mode, begins_writable, task_due},
        exports::{Exports, Ready, prepare},
        link::{self, LinkParts},
        task::{Job, NoOutcome, carry_out},
    },
    status::GroupDescription,
    volume::VolumeError,
};

/// What there is while a group stands.
struct Standing {
    /// It is to serve writable and cannot.
    missing: bool,
    /// Because it has no past here: then the word to serve is all that is missing.
    awaits_word: bool,
    /// Tells that something is not as it should be, and the words logged last.
    check: Option<(Check, String)>,
    exports: Option<Exports>,
    link: Option<Link>,
    work: Option<Work>,
    description: watch::Sender<GroupDescription>,
    patience: Duration,
}

/// The session with a gateway.
struct Link {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

/// A task under way.
struct Work {
    task: HomeTask,
    running: JoinHandle<Result<TaskOutcome, NoOutcome>>,
    progress: watch::Receiver<(u64, u64)>,
    stop: CancellationToken,
}

/// What woke the keeper.
enum Wake {
    Stop,
    Order(HeardOrder),
    Again,
    Progress(u64, u64),
    Worked(Result<TaskOutcome, NoOutcome>),
}

impl Keeper {
    /// Stands until the capture stops or the group is to be served writable.
    pub(super) async fn stand(
        &mut self,
        missing: Option<GroupError>,
    ) -> Result<Next, CaptureError> {
        let mut here = Standing {
            missing: missing.is_some(),
            awaits_word: false,
            check: None,
            exports: None,
            link: None,
            work: None,
            description: watch::Sender::new(group::describe_unseen(self.group())),
            patience: CHANGE_PATIENCE,
        };
        match missing {
            Some(error) => self.lacks(&mut here, &error),
            None => tracing::warn!(
                group = self.group().name,
                order = ?self.book.as_ref().and_then(OrderBook::order),
                "the volumes are not served writable, as it was ordered"
            ),
        }
        let mut again = interval(TRY_AGAIN_EVERY);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What is missing was tried just now.
        again.tick().await;
        if !here.missing {
            self.settle(&mut here).await?;
        }
        let next = loop {
            let wake = tokio::select! {
                () = self.shared.stop.cancelled() => Wake::Stop,
                Some(heard) = self.orders.recv() => Wake::Order(heard),
                _ = again.tick() => Wake::Again,
                wake = Work::wake(&mut here.work) => wake,
            };
            match wake {
                Wake::Stop => break Next::End,
                Wake::Order(heard) => {
                    if self.listen(&mut here, heard).await {
                        break Next::Begin;
                    }
                    if !here.missing {
                        self.settle(&mut here).await?;
                    }
                }
                Wake::Again => {
                    self.write_down().await;
                    if let Some(order) = self.unkept()
                        && self.obey(&mut here, order).await
                    {
                        break Next::Begin;
                    }
                    if !here.missing {
                        self.settle(&mut here).await?;
                    } else if let Some(begun) = self.try_to_serve(&mut here).await? {
                        break Next::Begun(begun);
                    }
                }
                Wake::Progress(done_bytes, total_bytes) => {
                    let state = TaskState::Working {
                        done_bytes,
                        total_bytes,
                    };
                    self.show_task(&here, state);
                }
                Wake::Worked(outcome) => {
                    self.worked(&mut here, outcome).await;
                    self.settle(&mut here).await?;
                }
            }
        };
        self.leave(here).await;
        Ok(next)
    }

    /// Hears an order; `true` if the group is to begin anew.
    ///
    /// Where there is nothing of the group, nothing here knows whether its disks are half-written. Then
    /// only what the cloud side says now counts: a gateway that was cut off may remember an order from
    /// before a restore, and one that is kept is a past, by which the next would be judged.
    async fn listen(&mut self, here: &mut Standing, heard: HeardOrder) -> bool {
        if here.awaits_word && !heard.confirmed {
            tracing::info!(
                group = self.group().name,
                order = ?heard.order,
                "a gateway remembers an order; the group waits until the gateway says that the cloud side gives it now"
            );
            return false;
        }
        self.obey(here, heard.order).await
    }

    /// Takes an order; `true` if the group is to begin anew.
    async fn obey(&mut self, here: &mut Standing, order: bcdr_wire::order::SourceOrder) -> bool {
        let act = self.hear(order, Mode::Standing).await;
        let serves = begins_writable(self.book.as_ref().and_then(OrderBook::order));
        if here.missing && !serves && self.book.is_some() {
            here.missing = false;
            here.awaits_word = false;
        }
        act == Some(Act::Serve) && (!here.missing || here.awaits_word)
    }

    /// Does what is due: ends a task that is not ordered any more, begins one that is, and otherwise
    /// serves the volumes read-only.
    async fn settle(&mut self, here: &mut Standing) -> Result<(), CaptureError> {
        let book = self.book.as_ref();
        let ended = self.unwritten.as_ref();
        let due = task_due(
            book.and_then(OrderBook::order),
            ended.or(book.and_then(OrderBook::task)),
        );
        let due = due.cloned();
        if let Some(work) = here.work.take_if(|work| due.as_ref() != Some(&work.task)) {
            work.cancel().await;
        }
        match due {
            Some(_) if here.work.is_some() => {}
            Some(task) => {
                self.unexport(here).await;
                self.begin_work(here, task);
                self.connect(here);
            }
            None if here.exports.is_none() => self.export(here).await?,
            None => {}
        }
        Ok(())
    }

    async fn export(&mut self, here: &mut Standing) -> Result<(), CaptureError> {
        let (config, index) = (Arc::clone(&self.shared.config), self.index);
        let (context, patience) = (self.shared.context.clone(), here.patience);
        here.patience = Duration::ZERO;
        let preparing = move || prepare(&config, &config.groups[index], &context, patience);
        match tokio::task::spawn_blocking(preparing).await? {
            Ok(ready) => self.exported(here, ready),
            Err(error) => self.lacks(here, &error),
        }
        Ok(())
    }

    fn exported(&mut self, here: &mut Standing, ready: Ready) {
        tracing::warn!(
            group = self.group().name,
            "the volumes are served read-only until there is an order to serve"
        );
        here.description.send_replace(ready.description.clone());
        here.exports = Some(Exports::begin(ready));
        if let Some((check, _)) = here.check.take() {
            check.remove();
        }
        self.stance.send_modify(|stance| {
            stance.exported = true;
            stance.hindrance = None;
        });
        self.connect(here);
        self.show(here, None);
    }

    async fn unexport(&mut self, here: &mut Standing) {
        if let Some(exports) = here.exports.take() {
            exports.close().await;
        }
        self.stance.send_modify(|stance| stance.exported = false);
    }

    /// Something keeps the volumes from being served.
    fn lacks(&mut self, here: &mut Standing, error: &GroupError) {
        let reason = error.to_string();
        let name = self.group().name.clone();
        let check = match here.check.take() {
            Some((check, known)) => {
                if known != reason {
                    tracing::error!(group = name, error = reason, "it is still missing");
                }
                check
            }
            None => {
                tracing::error!(
                    group = name,
                    error = reason,
                    "the volumes are not served; it is tried again until they are"
                );
                self.shared.health.ready_check(format!("group {name}"))
            }
        };
        check.fail(reason.clone());
        here.check = Some((check, reason.clone()));
        self.stance.send_modify(|stance| {
            stance.exported = false;
            stance.hindrance = Some(reason);
        });
        let elsewhere = matches!(
            error,
            GroupError::Volume(VolumeError::Locked { .. }) | GroupError::Orders { .. }
        );
        here.awaits_word = matches!(error, GroupError::NoPast { .. });
        // A disk whose restore was cut short waits for the order to go on with it.
        let restores = matches!(error, GroupError::Restore { .. });
        if restores || here.awaits_word || (!here.missing && !elsewhere) {
            self.connect(here);
        }
    }

    /// Tries to serve what is missing.
    async fn try_to_serve(&mut self, here: &mut Standing) -> Result<Option<Begun>, CaptureError> {
        // A shutdown waits for this, and it is tried again.
        match self.begin(Duration::ZERO).await? {
            Begun::Missing(error) => {
                self.lacks(here, &error);
                Ok(None)
            }
            Begun::Standing => {
                here.missing = false;
                self.settle(here).await?;
                Ok(None)
            }
            begun @ Begun::Serving(_) => {
                tracing::info!(group = self.group().name, "what was missing is there");
                Ok(Some(begun))
            }
        }
    }

    /// Begins the session with a gateway, unless there is one.
    fn connect(&mut self, here: &mut Standing) {
        if here.link.is_some() {
            return;
        }
        let (shown, feed) = watch::channel(FeedStatus::default());
        let parts = LinkParts {
            description: here.description.subscribe(),
            identity: self.shared.identity.clone(),
            gateways: self.shared.config.gateways.clone(),
            orders: self.told.clone(),
            stance: self.stance.subscribe(),
            shown,
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(link::run(parts, stop.clone()));
        here.link = Some(Link { task, stop });
        self.show(here, Some(feed));
    }

    /// Shows the group to people; with a session if one begins now.
    fn show(&self, here: &Standing, feed: Option<watch::Receiver<FeedStatus>>) {
        let description = here.description.borrow().clone();
        let stance = self.stance.subscribe();
        self.shared.views.send_modify(|views| {
            let known = views.remove(&self.index).map(|view| view.feed);
            let Some(feed) = feed.or(known) else { return };
            let (_, status) = watch::channel(None);
            let view = GroupView {
                description,
                status,
                stance,
                feed,
            };
            views.insert(self.index, view);
        });
    }

    fn begin_work(&mut self, here: &mut Standing, task: HomeTask) {
        let name = self.group().name.clone();
        tracing::info!(group = name, task = %task.id, work = ?task.work, "a task begins");
        let stop = CancellationToken::new();
        let (told, progress) = watch::channel((0, 0));
        let group: GroupConfig = self.group().clone();
        let job = Job {
            task: task.clone(),
            directory: self.shared.config.group_directory(&group),
            group,
            storage: Arc::clone(&self.shared.context.storage),
            identity: self.shared.identity.clone(),
            gateways: self.shared.config.gateways.clone(),
            runtime: tokio::runtime::Handle::current(),
            stop: stop.clone(),
        };
        let running = tokio::task::spawn_blocking(move || {
            carry_out(&job, &|done, total| {
                told.send_replace((done, total));
            })
        });
        here.work = Some(Work {
            task,
            running,
            progress,
            stop,
        });
        let state = TaskState::Working {
            done_bytes: 0,
            total_bytes: 0,
        };
        self.show_task(here, state);
    }

    fn show_task(&self, here: &Standing, state: TaskState) {
        if let Some(work) = &here.work {
            let report = TaskReport {
                id: work.task.id,
                state,
            };
            self.stance.send_modify(|stance| stance.task = Some(report));
        }
    }

    /// A task ended: how is durable before it is told, as long as the state directory takes writes.
    async fn worked(&mut self, here: &mut Standing, outcome: Result<TaskOutcome, NoOutcome>) {
        let Some(work) = here.work.take() else { return };
        let state = outcome.map_or_else(NoOutcome::state, |done| Some(TaskState::Done(done)));
        let Some(state) = state else { return };
        let report = TaskReport {
            id: work.task.id,
            state,
        };
        tracing::info!(group = self.group().name, ?report, "a task ended");
        self.unwritten = Some(report.clone());
        self.write_down().await;
        self.stance.send_modify(|stance| stance.task = Some(report));
        here.patience = CHANGE_PATIENCE;
    }

    /// Makes durable how the last task ended, unless it is.
    async fn write_down(&mut self) {
        let Some(report) = self.unwritten.clone().filter(|_| self.book.is_some()) else {
            return;
        };
        match self.with_book(move |book| book.ended(&report)).await {
            Ok(()) => self.unwritten = None,
            Err(error) => tracing::error!(
                %error,
                "how a task ended cannot be kept; it is tried again, and after a restart the task is done again"
            ),
        }
    }

    /// Ends everything.
    async fn leave(&mut self, mut here: Standing) {
        if let Some(work) = here.work.take() {
            work.cancel().await;
        }
        self.unexport(&mut here).await;
        if let Some(link) = here.link.take() {
            link.stop.cancel();
            if link.task.await.is_err() {
                tracing::error!("the session with the gateway panicked");
            }
        }
        if let Some((check, _)) = here.check.take() {
            check.remove();
        }
        self.stance.send_modify(|stance| stance.hindrance = None);
        self.shared.views.send_modify(|views| {
            views.remove(&self.index);
        });
    }
}

impl Work {
    /// Waits for news of a task; for ever, if there is none.
    async fn wake(work: &mut Option<Self>) -> Wake {
        let Some(work) = work else {
            return std::future::pending().await;
        };
        tokio::select! {
            Ok(()) = work.progress.changed() => {
                let (done, total) = *work.progress.borrow_and_update();
                Wake::Progress(done, total)
            }
            ended = &mut work.running => Wake::Worked(ended.unwrap_or_else(|error| {
                Err(NoOutcome::Failed {
                    code: "task_panicked".to_owned(),
                    cause: format!("the task broke: {error}"),
                    remedy: "see the capture's log, and give the task again under a new id"
                        .to_owned(),
                })
            })),
        }
    }

    /// Stops the task and waits for its end.
    async fn cancel(self) {
        self.stop.cancel();
        if self.running.await.is_err() {
            tracing::error!("a task panicked while it was stopped");
        }
    }
}
