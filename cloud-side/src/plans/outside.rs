//! Steps of a plan that act on the world outside, as a run has them carried out.
//!
//! Who really acts is behind [`OutsideHands`]. Invariant: an errand is durably noted as begun before it
//! is begun. So a process that finds one begun knows that it may have happened: what may be repeated is
//! begun again, and of a script, which may not, an operator is told.

use super::record::PlanRunRecord;
use bcdr_plan::{DnsStep, Event, Failure, Fault, Kind, Mode, Plan, Step, StepId, Work};
use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// A future of who acts outside.
pub(crate) type OutsideFuture<'a, Answer> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// Something to be done outside.
#[derive(Debug, Clone)]
pub(crate) struct Errand {
    /// Names it: the same for every attempt of a step in a run, so that others recognise a repetition.
    pub(crate) name: String,
    /// The plan.
    pub(crate) plan: String,
    /// What the run does with the groups.
    pub(crate) mode: Mode,
    /// What is done: none of the kinds that the run itself or the groups' engines see to.
    pub(crate) kind: Kind,
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

    /// How long others would go on with what they remember of a name; none when that is not known.
    fn remembered<'a>(&'a self, dns: &'a DnsStep) -> OutsideFuture<'a, Option<Duration>>;
}

/// What stands against a step that acts outside.
pub(super) fn fault(hands: Option<&dyn OutsideHands>, step: &Step) -> Option<Fault> {
    let refused = match (&step.kind, hands) {
        (Kind::Group(_) | Kind::Wait(_) | Kind::Approval(_), _) => return None,
        (kind, Some(hands)) => hands.refuses(kind)?,
        (kind, None) => no_engine(kind),
    };
    Some(Fault {
        step: Some(step.id.clone()),
        code: "not_possible_here",
        cause: refused.cause,
        remedy: refused.remedy,
    })
}

fn no_engine(kind: &Kind) -> Failure {
    Failure {
        code: "no_engine".to_owned(),
        cause: format!("a step of kind {} cannot be carried out here", kind.name()),
        remedy: "have it done by hand, and let an approval of the plan ask for it".to_owned(),
    }
}

/// How long others would go on with what they remember of the names that a plan points elsewhere.
pub(super) async fn remembered(
    hands: Option<&dyn OutsideHands>,
    plan: &Plan,
) -> HashMap<StepId, Duration> {
    let mut known = HashMap::new();
    for step in &plan.steps {
        if let (Kind::Dns(dns), Some(hands)) = (&step.kind, hands)
            && let Some(time) = hands.remembered(dns).await
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
    pub(super) async fn carry_out(mut self, hands: Option<Arc<dyn OutsideHands>>) {
        let (step, attempt) = (self.work.step.clone(), self.work.attempt);
        let event = if self.work.reference.is_some() {
            self.found_begun()
        } else if !self.noted().await {
            return;
        } else {
            let Errand {
                name, plan, mode, ..
            } = &self.errand;
            tracing::info!(
                errand = name,
                plan,
                mode = mode.name(),
                "an errand of a plan begins"
            );
            let done = match &hands {
                Some(hands) => hands.carry_out(&self.errand, &self.stop).await,
                // The plan was applied where there was somebody to do it.
                None => Err(no_engine(&self.errand.kind)),
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
    fn found_begun(&self) -> Event {
        let (step, attempt) = (self.work.step.clone(), self.work.attempt);
        match self.errand.kind {
            Kind::Script(_) => Event::Failed {
                step,
                attempt,
                failure: Failure {
                    code: "script_interrupted".to_owned(),
                    cause: "the cloud side was restarted while the script ran: it is not known how far it came"
                        .to_owned(),
                    remedy: "look at what it did; then retry the step, or skip it".to_owned(),
                },
                point: None,
            },
            _ => Event::Interrupted { step, attempt },
        }
    }
}
