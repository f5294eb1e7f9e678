//! Steps of a plan that act on the world outside, as a run has them carried out.
//!
//! Who really acts is behind [`OutsideHands`]. Invariant: an errand is durably noted as begun before it
//! is begun. So a process that finds one begun knows that it may have happened: what may be repeated is
//! begun again, and of what may not, as a script, an operator is told, once what is left of it was ended.

use super::{Facts, record::PlanRunRecord};
use bcdr_plan::{DnsStep, Event, Failure, Fault, Kind, Mode, Plan, Step, StepId, Work};
use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// How long the outside may be looked at for one answer of ours, over all steps of a plan.
const LOOK: Duration = Duration::from_secs(20);

/// A future of who acts outside.
pub(crate) type OutsideFuture<'a, Answer> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// Something to be done outside.
#[derive(Debug, Clone)]
pub(crate) struct Errand {
    /// Names it: the same for every attempt of a step in a run, so that others recognise a repetition.
    pub(crate) name: String,
    /// What it is told of its run.
    pub(crate) facts: Facts,
    /// What is done: none of the kinds that the run itself or the groups' engines see to.
    pub(crate) kind: Kind,
}

/// What became of something that an attempt began before the cloud side ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeftBehind {
    /// Neither it nor anything that it started runs any more.
    Gone,
    /// It ended while nobody saw it; what it had started may still run.
    Orphaned,
    /// It still ran, and was ended just now.
    Ended,
    /// Whether it runs is not known.
    Unknown,
}

/// Who acts on the world outside. Every call is bounded by the times in the errand, and ends soon after
/// it is stopped.
pub(crate) trait OutsideHands: Send + Sync {
    /// Why a step of this kind could not be carried out here, such as a program that is not there.
    fn refuses(&self, kind: &Kind) -> Option<Failure>;

    /// Carries an errand out, and says what was observed.
    ///
    /// # Errors
    /// Says why it did not succeed.
    fn carry_out<'a>(
        &'a self,
        errand: &'a Errand,
        stop: &'a CancellationToken,
    ) -> OutsideFuture<'a, Result<String, Failure>>;

    /// Ends what an attempt that a process before this one had begun may have left running here.
    fn end_left<'a>(&'a self, errand: &'a Errand) -> OutsideFuture<'a, LeftBehind>;

    /// What a step of this kind would find now. Nothing is changed.
    ///
    /// # Errors
    /// Says what stands in its way.
    fn look<'a>(&'a self, kind: &'a Kind) -> OutsideFuture<'a, Result<String, Failure>>;

    /// How long others would go on with what they remember of a name; none when that is not known.
    fn remembered<'a>(&'a self, dns: &'a DnsStep) -> OutsideFuture<'a, Option<Duration>>;
}

/// What stands against a step that acts outside.
pub(super) fn fault(hands: &dyn OutsideHands, step: &Step) -> Option<Fault> {
    let refused = hands.refuses(&step.kind)?;
    Some(Fault {
        step: Some(step.id.clone()),
        code: "not_possible_here",
        cause: refused.cause,
        remedy: refused.remedy,
    })
}

/// The steps that a run of this mode would have carried out outside.
fn reaching(plan: &Plan, mode: Mode) -> impl Iterator<Item = &Step> {
    plan.steps.iter().filter(move |step| match step.kind {
        Kind::Group(_) | Kind::Wait(_) | Kind::Approval(_) => false,
        _ => mode != Mode::Drill || !step.kind.is_left_out_of_drills(),
    })
}

/// What the steps that are run and act outside would find now. What is refused anyway is not looked at.
pub(super) async fn looks(
    hands: &dyn OutsideHands,
    plan: &Plan,
    mode: Mode,
    is_run: impl Fn(&StepId) -> bool,
) -> Vec<(StepId, Result<String, Failure>)> {
    let deadline = Instant::now() + LOOK;
    let mut looked = Vec::new();
    let may_be_looked_at = |step: &&Step| is_run(&step.id) && hands.refuses(&step.kind).is_none();
    for step in reaching(plan, mode).filter(may_be_looked_at) {
        let seen = timeout_at(deadline, hands.look(&step.kind)).await;
        let seen = seen.unwrap_or_else(|_| {
            Err(Failure {
                code: "no_answer".to_owned(),
                cause: "it was not seen in time whether it can be reached".to_owned(),
                remedy: "check what answers slowly among what the plan reaches; then check again"
                    .to_owned(),
            })
        });
        looked.push((step.id.clone(), seen));
    }
    looked
}

/// How long others would go on with what they remember of the names that a run points elsewhere.
pub(super) async fn remembered(
    hands: &dyn OutsideHands,
    plan: &Plan,
    mode: Mode,
) -> HashMap<StepId, Duration> {
    let deadline = Instant::now() + LOOK;
    let mut known = HashMap::new();
    for step in reaching(plan, mode) {
        if let Kind::Dns(dns) = &step.kind
            && let Ok(Some(time)) = timeout_at(deadline, hands.remembered(dns)).await
        {
            known.insert(step.id.clone(), time);
        }
    }
    known
}

/// One attempt of a step that acts outside.
pub(super) struct OutsideAttempt {
    pub(super) errand: Errand,
    pub(super) work: Work,
    pub(super) answer: mpsc::Sender<Event>,
    pub(super) shown: watch::Receiver<PlanRunRecord>,
    pub(super) stop: CancellationToken,
}

impl OutsideAttempt {
    /// Carries the attempt out and tells how it ended.
    pub(super) async fn carry_out(mut self, hands: Arc<dyn OutsideHands>) {
        let (step, attempt) = (self.work.step.clone(), self.work.attempt);
        let event = if self.work.reference.is_some() {
            self.found_begun(&*hands).await
        } else if !self.stop.is_cancelled() && !self.noted().await {
            return;
        } else {
            let done = match self.stop.is_cancelled() {
                // What was cancelled before it began does nothing, however short that would be.
                true => Err(never_begun()),
                false => {
                    tracing::info!(errand = self.errand.name, "an errand of a plan begins");
                    hands.carry_out(&self.errand, &self.stop).await
                }
            };
            match done {
                Ok(note) => Event::Done {
                    step,
                    attempt,
                    note,
                    point: None,
                },
                Err(failure) => Event::Failed {
                    step,
                    attempt,
                    failure,
                    point: None,
                },
            }
        };
        // A driver that is gone asks again in the next process.
        let _gone = self.answer.send(event).await;
    }

    /// Has the attempt noted as begun. Says whether that is durable.
    async fn noted(&mut self) -> bool {
        let (step, attempt) = (self.work.step.clone(), self.work.attempt);
        let began = Event::Began {
            step: step.clone(),
            attempt,
            reference: format!("{}/{attempt}", self.errand.name),
        };
        if self.answer.send(began).await.is_err() {
            return false;
        }
        let is_noted = |record: &PlanRunRecord| {
            let known = record.run.step(&step);
            known.is_some_and(|(_, run)| run.attempt == attempt && run.reference.is_some())
        };
        self.shown.wait_for(is_noted).await.is_ok()
    }

    /// An attempt that a process before this one had begun.
    async fn found_begun(&self, hands: &dyn OutsideHands) -> Event {
        let (step, attempt) = (self.work.step.clone(), self.work.attempt);
        let failure = match &self.errand.kind {
            Kind::Script(_) => {
                let left = hands.end_left(&self.errand).await;
                script_interrupted(&self.errand.name, left)
            }
            Kind::Call(call) if !call.may_be_repeated() => Failure {
                code: "call_interrupted".to_owned(),
                cause: "the cloud side was restarted while the call was made: it is not known how \
                        far it came"
                    .to_owned(),
                remedy: "look at what it did; then retry the step, or skip it".to_owned(),
            },
            _ => return Event::Interrupted { step, attempt },
        };
        Event::Failed {
            step,
            attempt,
            failure,
            point: None,
        }
    }
}

/// The run was cancelled before an attempt began.
fn never_begun() -> Failure {
    Failure {
        code: "stopped".to_owned(),
        cause: "the run was cancelled before the step began, and nothing of it was done".to_owned(),
        remedy: "start the plan again if it is wanted".to_owned(),
    }
}

fn script_interrupted(errand: &str, left: LeftBehind) -> Failure {
    let (now, remedy) = match left {
        LeftBehind::Gone => ("it does not run any more", String::new()),
        LeftBehind::Orphaned => (
            "it does not run any more",
            format!(
                "look for what it had started on the cloud side's host, where its environment has \
                 BCDR_ERRAND={errand}, and end it; "
            ),
        ),
        LeftBehind::Ended => ("it still ran, and was ended", String::new()),
        LeftBehind::Unknown => (
            "whether it still runs is not known",
            format!(
                "look for it on the cloud side's host, where its environment has BCDR_ERRAND={errand}, \
                 and end it; "
            ),
        ),
    };
    Failure {
        code: "script_interrupted".to_owned(),
        cause: format!(
            "the cloud side was restarted while the script ran: it is not known how far it came; {now}"
        ),
        remedy: format!("{remedy}look at what it did; then retry the step, or skip it"),
    }
}
