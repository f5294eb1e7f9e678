//! The driver of one run.
//!
//! It owns the run. Invariants: what the run decided is durable before it is shown or carried out; an
//! answer that could not be made durable is kept and tried again; an attempt is carried out by one
//! task of this process at most.

use super::{
    Facts, PlanParts, PlansError,
    group::{GroupHands, split_brain_failure},
    outside::{Errand, OutsideAttempt},
    record::{PlanRunRecord, StepTime, StepTimes},
};
use crate::{
    catalog::{CatalogError, DocumentRow},
    clock,
    offload::offload,
    recovery::FailoverId,
};
use bcdr_plan::{Event, Kind, Run, Step, StepId, StepRun, StepState, Work};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

/// How often time is told, and what could not be kept is tried again.
const TICK: Duration = Duration::from_secs(1);
/// Answers that may wait.
const ANSWERS_WAITING: usize = 64;

/// An operator's wish.
pub(super) struct Ask {
    pub(super) wish: Event,
    pub(super) reply: oneshot::Sender<Result<PlanRunRecord, PlansError>>,
}

/// An attempt that is being carried out.
struct Running {
    attempt: u32,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) struct Driver {
    parts: Arc<PlanParts>,
    record: PlanRunRecord,
    show: watch::Sender<PlanRunRecord>,
    running: HashMap<StepId, Running>,
    /// Answers that are not durable yet, oldest first.
    waiting: VecDeque<Event>,
    stopping: CancellationToken,
}

impl Driver {
    pub(super) fn new(
        parts: Arc<PlanParts>,
        record: PlanRunRecord,
        show: watch::Sender<PlanRunRecord>,
        stopping: CancellationToken,
    ) -> Self {
        Self {
            parts,
            record,
            show,
            running: HashMap::new(),
            waiting: VecDeque::new(),
            stopping,
        }
    }

    /// Runs until the run has ended or the process stops.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Ask>) {
        let (answer, mut answers) = mpsc::channel(ANSWERS_WAITING);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stopping = self.stopping.clone();
        self.carry_out(&answer);
        while self.record.run.end.is_none() {
            tokio::select! {
                // What a stop does to a step is no answer of the step.
                biased;
                () = stopping.cancelled() => return,
                ask = inbox.recv() => match ask {
                    Some(ask) => self.asked(ask).await,
                    None => return,
                },
                Some(event) = answers.recv() => {
                    self.waiting.push_back(event);
                    self.settle().await;
                }
                _ = tick.tick() => {
                    self.settle().await;
                    self.look_back().await;
                    self.pass_time().await;
                }
            }
            self.carry_out(&answer);
        }
        let state = self.record.run.state();
        tracing::info!(run = %self.record.id, ?state, "a run of a plan has ended");
    }

    async fn asked(&mut self, ask: Ask) {
        let outcome = match self.take(&ask.wish).await {
            Ok(()) => Ok(self.record.clone()),
            Err(error) => Err(error),
        };
        // Whoever asked may have gone.
        let _gone = ask.reply.send(outcome);
    }

    /// Takes in what waits, as far as it can be made durable.
    async fn settle(&mut self) {
        while let Some(event) = self.waiting.front().cloned() {
            if let Err(error) = self.take(&event).await {
                tracing::error!(run = %self.record.id, %error, "a run of a plan cannot be kept; it is tried again");
                return;
            }
            self.waiting.pop_front();
        }
    }

    /// A failover that is up counts as done only for as long as no split brain of its group is suspected.
    async fn look_back(&mut self) {
        let of_failover = |(step, run): (&Step, &StepRun)| {
            let Kind::Group(group) = &step.kind else {
                return None;
            };
            let reference = run
                .reference
                .as_ref()
                .filter(|_| run.state == StepState::Done)?;
            let id: FailoverId = reference.parse().ok()?;
            let of = self.parts.groups.find(&group.name)?.id();
            let placement = self.parts.placements.placement(of)?;
            let is_its = placement.failed_over_by() == Some(id);
            (is_its && placement.split_brain().is_some()).then(|| Event::Undone {
                step: step.id.clone(),
                reference: reference.clone(),
                failure: split_brain_failure(&group.name, id),
            })
        };
        let doubtful: Vec<_> = self.record.run.steps().filter_map(of_failover).collect();
        for event in doubtful {
            if let Err(error) = self.take(&event).await {
                tracing::warn!(run = %self.record.id, %error, "a split brain could not be noted");
            }
        }
    }

    async fn pass_time(&mut self) {
        if self.record.run.counts_time()
            && let Err(error) = self.take(&Event::Tick).await
        {
            tracing::warn!(run = %self.record.id, %error, "time could not pass for a run of a plan");
        }
    }

    /// Makes what follows from an event durable, then lets it take effect.
    async fn take(&mut self, event: &Event) -> Result<(), PlansError> {
        let mut next = self.record.clone();
        let handled = next.run.handle(event, clock::wall())?;
        if handled.persist {
            let (catalog, before, kept) = (
                Arc::clone(&self.parts.catalog),
                self.record.run.clone(),
                next.clone(),
            );
            offload(move || {
                let mut rows = times(&catalog, &before, &kept)?;
                rows.push(DocumentRow::of(&kept));
                catalog.put_documents(&rows)
            })
            .await?;
        }
        self.record = next;
        self.show.send_replace(self.record.clone());
        Ok(())
    }

    /// Begins what the run wants carried out and is not yet, and ends what is to end.
    fn carry_out(&mut self, answer: &mpsc::Sender<Event>) {
        let wanted = self.record.run.work();
        let is_wanted = |step: &StepId, attempt: u32| {
            let mut works = wanted.iter();
            works.any(|work| work.step == *step && work.attempt == attempt)
        };
        self.running
            .retain(|step, running| is_wanted(step, running.attempt));
        for work in wanted {
            match self.running.get(&work.step) {
                Some(running) if work.stop => running.stop.cancel(),
                Some(_) => {}
                None => self.begin(work, answer.clone()),
            }
        }
    }

    fn begin(&mut self, work: Work, answer: mpsc::Sender<Event>) {
        let Some((step, _)) = self.record.run.step(&work.step) else {
            return;
        };
        let stop = CancellationToken::new();
        if work.stop {
            stop.cancel();
        }
        let (id, attempt) = (work.step.clone(), work.attempt);
        let task = match &step.kind {
            Kind::Group(group) => {
                let hands = GroupHands {
                    parts: Arc::clone(&self.parts),
                    record: self.record.clone(),
                    group: group.clone(),
                    work,
                    answer,
                    stop: stop.clone(),
                };
                tokio::spawn(hands.carry_out())
            }
            // The run itself lets time pass and asks for approvals.
            Kind::Wait(_) | Kind::Approval(_) => return,
            kind => {
                let outside = OutsideAttempt {
                    errand: Errand {
                        name: format!("{}-{id}", self.record.id),
                        facts: Facts::of(&self.record, &id, attempt),
                        kind: kind.clone(),
                    },
                    work,
                    answer,
                    shown: self.show.subscribe(),
                    stop: stop.clone(),
                };
                tokio::spawn(outside.carry_out(Arc::clone(&self.parts.outside)))
            }
        };
        tracing::info!(run = %self.record.id, step = %id, attempt, "a step of a plan begins");
        let running = Running {
            attempt,
            stop,
            task,
        };
        self.running.insert(id, running);
    }
}

/// The times of the steps that were done between the two. Blocks.
fn times(
    catalog: &crate::catalog::Catalog,
    before: &Run,
    after: &PlanRunRecord,
) -> Result<Vec<DocumentRow>, CatalogError> {
    let run = &after.run;
    let mut rows = Vec::new();
    let both = before.steps().zip(run.steps());
    for (_, (step, now)) in both.filter(|((_, was), (_, now))| became_done(was, now)) {
        let Some(took) = measured(step, now) else {
            continue;
        };
        let plan = &run.plan.name;
        let known: Option<StepTimes> =
            catalog.document(&StepTimes::key_of(plan, &step.id, run.mode))?;
        let mut times = known
            .filter(|known| known.fit(step))
            .unwrap_or_else(|| StepTimes::new(plan, step, run.mode));
        times.add(took.of(after));
        rows.push(DocumentRow::of(&times));
    }
    Ok(rows)
}

fn became_done(was: &StepRun, now: &StepRun) -> bool {
    was.state != StepState::Done && now.state == StepState::Done
}

struct Measured {
    took: Duration,
    ended_at: bcdr_format::Timestamp,
}

impl Measured {
    fn of(self, record: &PlanRunRecord) -> StepTime {
        StepTime {
            run: record.id,
            ended_at: self.ended_at,
            milliseconds: u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// How long a step took that took a time of its own; a wait's is in the plan, and an attempt that went on
/// with what the one before it had begun did not do all of it.
fn measured(step: &Step, run: &StepRun) -> Option<Measured> {
    match step.kind {
        Kind::Wait(_) => None,
        _ if run.reference.is_some() && run.reference == run.previous => None,
        _ => Some(Measured {
            took: run.took()?,
            ended_at: run.ended_at?,
        }),
    }
}
