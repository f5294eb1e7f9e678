//! How a run goes on.

use super::{
    Decision, Event, Failure, Handled, INTERRUPTIONS_MAX, Operator, PointTaken, Refused, Run,
    RunEnd, StepRun, StepState, Verb,
    countdown::{Countdown, Ticked},
};
use crate::{Kind, NotRun, StepId};
use bcdr_format::Timestamp;

impl Run {
    /// Takes in what happened, and goes on as far as that leads.
    ///
    /// # Errors
    /// When an operator's wish is not allowed now; nothing changed then.
    pub fn handle(&mut self, event: &Event, now: Timestamp) -> Result<Handled, Refused> {
        let persist = match event {
            Event::Began {
                step,
                attempt,
                reference,
            } => self.answered(step, *attempt, |run| {
                run.reference = Some(reference.clone());
            }),
            Event::Done {
                step,
                attempt,
                note,
                point,
            } => self.answered(step, *attempt, |run| {
                run.interruptions = 0;
                run.note = Some(note.clone());
                run.take(point.as_ref());
                run.settle(StepState::Done, now);
            }),
            Event::Failed {
                step,
                attempt,
                failure,
                point,
            } => self.answered(step, *attempt, |run| {
                run.interruptions = 0;
                run.take(point.as_ref());
                run.fail(failure.clone(), now);
            }),
            Event::Undone {
                step,
                reference,
                failure,
            } => self.with(step, |run| {
                let is_it =
                    run.state == StepState::Done && run.reference.as_ref() == Some(reference);
                if is_it {
                    run.fail(failure.clone(), now);
                }
                is_it
            }),
            Event::Interrupted { step, attempt } => {
                let cancelled = self.cancelled.is_some();
                self.answered(step, *attempt, |run| run.interrupted(cancelled, now))
            }
            Event::Tick => self.tick(now),
            Event::Approve { step, by, reason } => {
                self.judge(Verb::Approve, step)?;
                self.check_approver(step, by)?;
                self.decide(step, StepState::Done, by, reason.clone(), now)
            }
            Event::Skip { step, by, reason } => {
                self.judge(Verb::SkipStep, step)?;
                self.decide(step, StepState::Skipped, by, Some(reason.clone()), now)
            }
            Event::Retry { step } => {
                self.judge(Verb::RetryStep, step)?;
                self.with(step, |run| run.begin_again(now))
            }
            Event::Cancel { by, reason } => {
                self.judge_cancel()?;
                self.cancel(by, reason.clone(), now);
                true
            }
        };
        if persist {
            self.advance(now);
        }
        Ok(Handled { persist })
    }

    /// Begins what may begin, and ends the run when nothing is left.
    pub(super) fn advance(&mut self, now: Timestamp) {
        if self.end.is_some() {
            return;
        }
        if self.cancelled.is_none() && !self.is_held_up() {
            self.begin_steps(now);
        }
        let is_over = |run: &StepRun| match run.state {
            StepState::Waiting | StepState::Running | StepState::AwaitingApproval => false,
            StepState::Done | StepState::Failed | StepState::Skipped | StepState::NotRun(_) => true,
        };
        if self.steps.iter().all(is_over) && (self.cancelled.is_some() || !self.is_held_up()) {
            self.end = Some(self.end_now());
            self.ended_at = Some(now);
        }
    }

    fn begin_steps(&mut self, now: Timestamp) {
        let after = self.plan.edges(&self.plan.places());
        let is_ready = |at: &usize| {
            let is_settled = |&before: &usize| self.is_settled(before);
            self.steps[*at].state == StepState::Waiting && after[*at].iter().all(is_settled)
        };
        let mut ready: Vec<_> = (0..self.steps.len()).filter(is_ready).collect();
        // The most urgent take the places first; else the plan's order counts.
        ready.sort_by_key(|&at| self.steps[at].priority);
        let mut free = usize::from(self.plan.at_once).saturating_sub(self.work().len());
        for at in ready {
            let kind = &self.plan.steps[at].kind;
            if kind.is_work() {
                if free == 0 {
                    continue;
                }
                free -= 1;
            }
            self.steps[at].begin(kind, now);
        }
    }

    /// Whether what comes after the step at this place may begin.
    fn is_settled(&self, at: usize) -> bool {
        match self.steps[at].state {
            StepState::Done | StepState::Skipped | StepState::NotRun(_) => true,
            StepState::Failed => !self.plan.steps[at].critical,
            StepState::Waiting | StepState::Running | StepState::AwaitingApproval => false,
        }
    }

    fn end_now(&self) -> RunEnd {
        let is_flaw = |run: &StepRun| matches!(run.state, StepState::Failed | StepState::Skipped);
        if self.cancelled.is_some() {
            RunEnd::Cancelled
        } else if self.steps.iter().any(is_flaw) {
            RunEnd::SucceededInPart
        } else {
            RunEnd::Succeeded
        }
    }

    /// Takes in the answer to an attempt, if that still runs. Says whether something changed.
    fn answered(&mut self, id: &StepId, attempt: u32, take: impl FnOnce(&mut StepRun)) -> bool {
        self.with(id, |run| {
            let counts = run.state == StepState::Running && run.attempt == attempt;
            if counts {
                take(run);
            }
            counts
        })
    }

    fn with<Answer: Default>(
        &mut self,
        id: &StepId,
        change: impl FnOnce(&mut StepRun) -> Answer,
    ) -> Answer {
        let at = self.plan.steps.iter().position(|step| step.id == *id);
        at.map(|at| change(&mut self.steps[at])).unwrap_or_default()
    }

    fn decide(
        &mut self,
        id: &StepId,
        state: StepState,
        by: &Operator,
        reason: Option<String>,
        now: Timestamp,
    ) -> bool {
        self.with(id, |run| {
            run.decided = Some(Decision {
                by: by.clone(),
                at: now,
                reason,
            });
            // A step that failed and is skipped keeps the time it ended.
            let ended_at = run.ended_at.unwrap_or(now);
            run.settle(state, ended_at);
            true
        })
    }

    fn check_approver(&self, id: &StepId, by: &Operator) -> Result<(), Refused> {
        let Some((step, _)) = self.step(id) else {
            return Ok(());
        };
        match &step.kind {
            Kind::Approval(approval)
                if !approval.who.is_empty() && !approval.who.contains(&by.0) =>
            {
                Err(Refused {
                    code: "not_an_approver",
                    cause: format!("{by} may not release step {id}"),
                    remedy: format!("let one of these do it: {}", approval.who.join(", ")),
                })
            }
            _ => Ok(()),
        }
    }

    fn cancel(&mut self, by: &Operator, reason: Option<String>, now: Timestamp) {
        let decision = Decision {
            by: by.clone(),
            at: now,
            reason,
        };
        for (step, run) in self.plan.steps.iter().zip(&mut self.steps) {
            match run.state {
                StepState::Waiting | StepState::AwaitingApproval => {
                    run.settle(StepState::NotRun(NotRun::Cancelled), now);
                }
                // Time ends at once; what is carried out has to be ended by who carries it out.
                StepState::Running if !step.kind.is_work() => {
                    run.decided = Some(decision.clone());
                    run.settle(StepState::Skipped, now);
                }
                _ => {}
            }
        }
        self.cancelled = Some(decision);
    }

    fn tick(&mut self, now: Timestamp) -> bool {
        let mut persist = false;
        for run in &mut self.steps {
            if run.state != StepState::Running {
                continue;
            }
            let Some(countdown) = &mut run.countdown else {
                continue;
            };
            match countdown.tick(now) {
                Ticked::Left => {}
                Ticked::LeftToKeep => persist = true,
                Ticked::Over => {
                    run.settle(StepState::Done, now);
                    persist = true;
                }
            }
        }
        persist
    }
}

impl StepRun {
    fn begin(&mut self, kind: &Kind, now: Timestamp) {
        self.attempt += 1;
        self.began_at.get_or_insert(now);
        self.attempt_began_at = Some(now);
        self.ended_at = None;
        match kind {
            Kind::Group(_)
            | Kind::Script(_)
            | Kind::Probe(_)
            | Kind::Dns(_)
            | Kind::Webhook(_)
            | Kind::Call(_) => self.state = StepState::Running,
            Kind::Wait(wait) => {
                self.state = StepState::Running;
                self.countdown = Some(Countdown::new(wait.seconds, now));
            }
            Kind::Approval(_) => self.state = StepState::AwaitingApproval,
        }
    }

    /// Only work fails, so it is begun as work.
    fn begin_again(&mut self, now: Timestamp) -> bool {
        self.state = StepState::Running;
        self.attempt += 1;
        self.attempt_began_at = Some(now);
        self.ended_at = None;
        // An attempt that failed before it had anything leaves what the one before it had.
        self.previous = self.reference.take().or(self.previous.take());
        true
    }

    fn interrupted(&mut self, cancelled: bool, now: Timestamp) {
        self.interruptions += 1;
        let failure = |code: &str, cause: &str, remedy: &str| Failure {
            code: code.to_owned(),
            cause: cause.to_owned(),
            remedy: remedy.to_owned(),
        };
        if cancelled {
            let cause = "it was ended by a restart while the run was being cancelled";
            self.fail(failure("stopped", cause, "start the plan again"), now);
        } else if self.interruptions > INTERRUPTIONS_MAX {
            let cause = "restarts cut it short again and again";
            let remedy = "find out why the cloud side restarts; then retry the step";
            self.interruptions = 0;
            self.fail(failure("interrupted", cause, remedy), now);
        } else {
            self.begin_again(now);
        }
    }

    fn take(&mut self, point: Option<&PointTaken>) {
        if let Some(point) = point {
            self.point = Some(point.clone());
        }
    }

    fn fail(&mut self, failure: Failure, now: Timestamp) {
        self.failure = Some(failure);
        self.settle(StepState::Failed, now);
    }

    fn settle(&mut self, state: StepState, now: Timestamp) {
        self.state = state;
        self.ended_at = Some(now);
    }
}
