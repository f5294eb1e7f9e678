//! The driver of one group's placement.
//!
//! It owns the machine. Invariants: what the machine decided is durable before it is shown, told to
//! the source or carried out; an answer of a command that could not be made durable is kept and
//! tried again; a newer command is begun only after the one before has ended.

use super::{
    PlacementError, PlacementParts,
    hands::{Hands, StepError},
    jobs,
    kept::owed,
    machine::Machines,
    orders::SourceOrders,
};
use crate::{
    audit::{self, Deed},
    catalog::DocumentRow,
    clock,
    groups::Group,
    idempotency::FirstAttempt,
    jobs::JobRecord,
    offload::offload,
    recovery::{
        Command, Event, FailbackId, FailbackRequest, FailoverId, FailoverRequest, Handled, JobRef,
        Placement, PlacementJob, PlacementState, Refused, RestoreJobId, RestoreRequest, Serving,
        Started, StepResult, Ticket,
    },
};
use bcdr_format::Generation;
use bcdr_wire::order::OrderNumber;
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::JoinHandle,
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

/// How often time passes for the machine, and what could not be kept is tried again.
const TICK: Duration = Duration::from_secs(1);

/// How often it is looked whether the machine that runs production here is there.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// The same, while it could not be seen to.
const TAKE_UP_EVERY: Duration = Duration::from_secs(5);
/// A source that is seen taking writes for so long, although it is not to, was not just about to
/// obey.
const DISOBEYS_AFTER: Duration = Duration::from_secs(5);

type Reply = oneshot::Sender<Result<(), PlacementError>>;

/// A job that is to be started.
pub(super) enum Wanted {
    Failover(FailoverId, Box<FailoverRequest>),
    Failback(FailbackId, Box<FailbackRequest>),
    Restore(RestoreJobId, Box<RestoreRequest>),
}

impl Wanted {
    /// Where the id of its job belongs.
    pub(super) fn request_id(&mut self) -> &mut String {
        match self {
            Self::Failover(_, request) => &mut request.request_id,
            Self::Failback(_, request) => &mut request.request_id,
            Self::Restore(_, request) => &mut request.request_id,
        }
    }

    fn start(self, placement: &mut Placement) -> Result<Started, Refused> {
        let now = clock::wall();
        match self {
            Self::Failover(id, request) => placement.start_failover(id, *request, now),
            Self::Failback(id, request) => placement.start_failback(id, *request, now),
            Self::Restore(id, request) => placement.start_restore(id, *request, now),
        }
    }
}

/// What others ask of a driver.
pub(super) enum Ask {
    Start {
        wanted: Wanted,
        job: Box<JobRecord>,
        /// Held until the start is durable or refused, also when nobody waits for it any more.
        attempt: Box<FirstAttempt>,
        reply: Reply,
    },
    Wish {
        /// The job that it is about; none for what is about the placement.
        of: Option<JobRef>,
        wish: Event,
        reply: Reply,
    },
}

/// A command that is being carried out.
struct Running {
    ticket: Ticket,
    stop: CancellationToken,
    work: JoinHandle<Result<StepResult, StepError>>,
}

pub(super) struct Driver {
    parts: Arc<PlacementParts>,
    machines: Arc<Machines>,
    group: Arc<Group>,
    placement: Placement,
    show: watch::Sender<Placement>,
    /// Told when a report becomes due.
    owed: Arc<Notify>,
    running: Option<Running>,
    /// A look after the machine that runs production here; says whether it has to be repeated.
    tending: Option<JoinHandle<bool>>,
    orders: Arc<SourceOrders>,
    /// The source's order could not be made durable; it is tried again.
    owes_order: bool,
    /// Since when the source is seen taking writes although its order forbids it.
    disobeys_since: Option<Instant>,
    /// Answers and sightings that are not durable yet, oldest first.
    waiting: VecDeque<Event>,
    stopping: CancellationToken,
}

impl Driver {
    pub(super) fn new(
        parts: Arc<PlacementParts>,
        machines: Arc<Machines>,
        orders: Arc<SourceOrders>,
        placement: Placement,
        show: watch::Sender<Placement>,
        owed: Arc<Notify>,
        stopping: CancellationToken,
    ) -> Self {
        Self {
            parts,
            machines,
            group: Arc::clone(orders.group()),
            placement,
            show,
            owed,
            running: None,
            tending: None,
            orders,
            owes_order: false,
            disobeys_since: None,
            waiting: VecDeque::new(),
            stopping,
        }
    }

    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Ask>) {
        let mut link = self.group.link.subscribe();
        let mut stored = self.group.stored.subscribe();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stopping = self.stopping.clone();
        let logged = stored.borrow_and_update().generation;
        self.logged(logged).await;
        self.tend();
        let mut taken_up = false;
        let mut looked = Instant::now();
        if let Some(command) = self.placement.command() {
            self.carry_out(command);
        }
        loop {
            tokio::select! {
                // A stop is no failure of the step that it interrupts.
                biased;
                () = stopping.cancelled() => break,
                ask = inbox.recv() => match ask {
                    Some(ask) => self.asked(ask).await,
                    None => break,
                },
                answer = answer_of(&mut self.running) => {
                    self.waiting.push_back(answer);
                    self.settle().await;
                }
                Ok(()) = stored.changed() => {
                    let logged = stored.borrow_and_update().generation;
                    self.logged(logged).await;
                }
                repeat = end_of(&mut self.tending) => {
                    taken_up = !repeat;
                    looked = Instant::now();
                }
                Ok(()) = link.changed() => {
                    if remembered(&link.borrow()).is_some_and(|number| self.orders.meet(number)) {
                        self.give_order().await;
                    }
                    let sighting = sighting(&link.borrow_and_update());
                    self.sighted(sighting).await;
                }
                _ = tick.tick() => {
                    if self.owes_order {
                        self.give_order().await;
                    }
                    self.settle().await;
                    self.pass_time().await;
                    let due = if taken_up { LOOK_EVERY } else { TAKE_UP_EVERY };
                    // While a step works with the machine it is the step's.
                    let is_idle = self.running.is_none() && self.tending.is_none();
                    if is_idle && looked.elapsed() >= due {
                        self.tend();
                    }
                }
            }
        }
        self.end_running().await;
        if self.tending.is_some() {
            end_of(&mut self.tending).await;
        }
    }

    /// Looks after the machine that runs production here, beside whatever is asked meanwhile.
    fn tend(&mut self) {
        let hands = self.hands();
        self.tending = Some(tokio::spawn(async move { hands.keep_instance_up().await }));
    }

    fn hands(&self) -> Hands {
        Hands {
            parts: Arc::clone(&self.parts),
            machines: Arc::clone(&self.machines),
            group: Arc::clone(&self.group),
            placement: self.placement.clone(),
            orders: Arc::clone(&self.orders),
            stop: self.stopping.child_token(),
        }
    }

    async fn asked(&mut self, ask: Ask) {
        // What happened before the wish is known before it.
        self.settle().await;
        let (outcome, reply) = match ask {
            Ask::Wish { of, wish, reply } => {
                let current = self.placement.job().map(PlacementJob::reference);
                let outcome = match of {
                    Some(of) if current != Some(of) => Err(job_ended().into()),
                    _ => self.happened(&wish).await,
                };
                (outcome, reply)
            }
            Ask::Start {
                wanted,
                job,
                attempt,
                reply,
            } => {
                let mut next = self.placement.clone();
                let started = wanted.start(&mut next);
                let mut rows = vec![DocumentRow::of(&*job)];
                rows.extend(attempt.remembers(job.id));
                (self.started(next, started, &job, &rows).await, reply)
            }
        };
        // Whoever asked may be gone; what was decided is durable all the same.
        let _gone = reply.send(outcome);
    }

    async fn started(
        &mut self,
        next: Placement,
        started: Result<Started, Refused>,
        job: &JobRecord,
        rows: &[DocumentRow],
    ) -> Result<(), PlacementError> {
        match started? {
            Started::Repeated(_) => Ok(()),
            Started::New(handled) => {
                self.keep(next, handled, rows).await?;
                self.parts.jobs.take_up(job.clone());
                jobs::follow(&self.parts, &self.placement, &[]).await;
                Ok(())
            }
        }
    }

    /// Takes in what waits, as far as it can be made durable.
    async fn settle(&mut self) {
        while let Some(event) = self.waiting.front().cloned() {
            match self.happened(&event).await {
                Err(PlacementError::Catalog(error)) => {
                    tracing::error!(group = %self.group.id(), %error, "a placement cannot be kept; it is tried again");
                    return;
                }
                Err(error) => {
                    tracing::warn!(group = %self.group.id(), %error, "an answer was not taken");
                }
                Ok(()) => {}
            }
            self.waiting.pop_front();
        }
    }

    async fn pass_time(&mut self) {
        if self.waiting.is_empty()
            && let Err(error) = self.passed().await
        {
            tracing::warn!(group = %self.group.id(), %error, "time could not pass for a placement");
        }
    }

    /// Lets a piece of time pass. What a timer decides is entered into the audit log, since nobody
    /// asked for it; it is not held up by that.
    async fn passed(&mut self) -> Result<(), PlacementError> {
        let mut next = self.placement.clone();
        let handled = next.handle(&Event::Tick, clock::wall())?;
        let Some(deed) = self.decided_by_a_timer(next.state()) else {
            return self.keep(next, handled, &[]).await;
        };
        let audit = Arc::clone(&self.parts.audit);
        let began = audit.system_begins(&deed).await;
        let kept = self.keep(next, handled, &[]).await;
        let failure = kept.as_ref().err().map(ToString::to_string);
        audit.system_ended(&deed, began, failure).await;
        kept
    }

    fn decided_by_a_timer(&self, next: PlacementState) -> Option<Deed> {
        let was = self.placement.state();
        let awaited = [
            PlacementState::TargetUncommitted,
            PlacementState::SourceUncommitted,
        ];
        if was == next || !awaited.contains(&was) {
            return None;
        }
        let of = match self.placement.job().map(PlacementJob::reference) {
            Some(JobRef::Failover(id)) => format!(" of {id}"),
            Some(JobRef::Failback(id)) => format!(" of {id}"),
            Some(JobRef::Restore(id)) => format!(" of {id}"),
            None => String::new(),
        };
        Some(Deed {
            by: "placement timer",
            action: match next {
                PlacementState::RollingBack => "auto_rollback",
                _ => "auto_commit",
            },
            object: audit::object("group", &self.group.record().name),
            detail: format!("the time to decide{of} was over"),
        })
    }

    async fn sighted(&mut self, sighting: Option<(Generation, Serving)>) {
        // Each one counts, also one like the last: what it means depends on the placement.
        let Some((generation, serving)) = sighting else {
            self.disobeys_since = None;
            return;
        };
        let disobeys = serving == Serving::Writable && !self.group.order.borrow().takes_records();
        if !disobeys {
            self.disobeys_since = None;
        } else if generation <= self.placement.authority().highest() {
            // It may not have heard the order yet, or be about to carry it out.
            let since = *self.disobeys_since.get_or_insert_with(Instant::now);
            if since.elapsed() < DISOBEYS_AFTER {
                return;
            }
        }
        let event = Event::SourceSeen {
            generation,
            serving,
        };
        if !self.waiting.contains(&event) {
            self.waiting.push_back(event);
        }
        self.settle().await;
    }

    /// A fence writes to the log what the placement took before. A log that knows more shows that the
    /// catalog is an older copy of itself: what happened since is not known here.
    async fn logged(&mut self, generation: Generation) {
        if generation <= self.placement.authority().highest() {
            return;
        }
        tracing::error!(group = %self.group.id(), %generation, highest = %self.placement.authority().highest(), "the group's log knows a generation that the catalog does not: the catalog was put back to an older copy");
        let event = Event::SourceSeen {
            generation,
            serving: Serving::No,
        };
        if !self.waiting.contains(&event) {
            self.waiting.push_back(event);
        }
        self.settle().await;
    }

    async fn happened(&mut self, event: &Event) -> Result<(), PlacementError> {
        let mut next = self.placement.clone();
        let handled = next.handle(event, clock::wall())?;
        self.keep(next, handled, &[]).await
    }

    /// Makes the next state durable, then lets it take effect.
    async fn keep(
        &mut self,
        next: Placement,
        handled: Handled,
        rows: &[DocumentRow],
    ) -> Result<(), PlacementError> {
        let Handled {
            persist,
            records,
            command,
        } = handled;
        if persist {
            let catalog = Arc::clone(&self.parts.catalog);
            let owed = owed(&self.placement, &next, &records, clock::wall());
            let (kept, records) = (next.clone(), records.clone());
            let mut rows = rows.to_vec();
            rows.extend(owed.iter().map(DocumentRow::of));
            offload(move || catalog.put_placement(&kept, &records, &rows)).await?;
            if !owed.is_empty() {
                self.owed.notify_one();
            }
        }
        let was = self.placement.state();
        self.placement = next;
        self.show.send_replace(self.placement.clone());
        let wanted = self.placement.command().map(|command| command.ticket);
        let is_another = self.running.as_ref().map(|running| running.ticket) != wanted;
        if is_another {
            // A task belongs to its step.
            self.orders.set_task(None);
        }
        if persist {
            self.give_order().await;
            let ended: Vec<PlacementJob> = records.into_iter().filter(is_over).collect();
            jobs::follow(&self.parts, &self.placement, &ended).await;
        }
        if was != self.placement.state() {
            let state = self.placement.state();
            tracing::info!(group = %self.group.id(), ?was, ?state, "placement changed");
        }
        if is_another && self.running.is_some() {
            self.end_running().await;
            // What it told the source last is told no more.
            self.give_order().await;
        }
        if let Some(command) = command {
            self.end_running().await;
            self.carry_out(command);
        }
        Ok(())
    }

    /// Gives the source the order that follows from the placement.
    async fn give_order(&mut self) {
        let given = self.orders.give(&self.placement).await;
        self.owes_order = given.is_err();
        if let Err(error) = given {
            tracing::error!(group = %self.group.id(), %error, "the source's order cannot be kept, so it is not told; it is tried again");
        }
    }

    fn carry_out(&mut self, command: Command) {
        let hands = self.hands();
        let stop = hands.stop.clone();
        let ticket = command.ticket;
        tracing::info!(group = %self.group.id(), action = ?command.action, "step begins");
        let mut tending = self.tending.take();
        let work = tokio::spawn(async move {
            // The machine is one's alone: what looks after it ends first.
            if tending.is_some() {
                end_of(&mut tending).await;
            }
            hands.carry_out(command.action).await
        });
        self.running = Some(Running { ticket, stop, work });
    }

    /// Ends the command that is being carried out; its answer does not count any more.
    async fn end_running(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop.cancel();
            if let Err(error) = running.work.await {
                tracing::error!(group = %self.group.id(), %error, "a step broke");
            }
        }
    }
}

/// The wish was about a job that has ended meanwhile; another one may be on its way.
fn job_ended() -> Refused {
    Refused {
        code: "job_ended".to_owned(),
        cause: "it has ended meanwhile".to_owned(),
        remedy: "look at how it ended, and at the group's placement".to_owned(),
    }
}

fn is_over(record: &PlacementJob) -> bool {
    record.progress().stage == crate::recovery::Stage::Ended
}

/// Waits until the look after the machine ends, and says whether it has to be repeated; for ever
/// without one.
async fn end_of(tending: &mut Option<JoinHandle<bool>>) -> bool {
    let Some(current) = tending else {
        return std::future::pending().await;
    };
    let outcome = current.await;
    *tending = None;
    outcome.unwrap_or_else(|broken| {
        tracing::error!(%broken, "looking after the machine that runs production here broke");
        true
    })
}

/// Waits for the answer of the running command; for ever without one.
async fn answer_of(running: &mut Option<Running>) -> Event {
    let Some(current) = running else {
        return std::future::pending().await;
    };
    let outcome = (&mut current.work).await;
    let ticket = current.ticket;
    *running = None;
    match outcome {
        Ok(Ok(result)) => Event::StepDone { ticket, result },
        Ok(Err(error)) => error.into_event(ticket),
        Err(broken) => StepError::new(
            "step_broke",
            format!("the step ended without an answer: {broken}"),
            "look at the cloud side's log, then retry",
        )
        .into_event(ticket),
    }
}

/// The number of the order that the source remembers.
fn remembered(link: &crate::groups::Link) -> Option<OrderNumber> {
    let report = link.capture.as_ref()?.report.as_ref()?;
    Some(report.standing.order)
}

/// What the link shows of the source; none while nothing is heard of it.
fn sighting(link: &crate::groups::Link) -> Option<(Generation, Serving)> {
    let standing = &link.capture.as_ref()?.report.as_ref()?.standing;
    Some((
        standing.generation,
        super::source::serving(standing.serving),
    ))
}
