//! How long a start of a plan would take, as far as that is known.
//!
//! What earlier runs took and what the plan itself says is all that counts; a step that nobody ever
//! ran is unknown, and then the whole is known only as "at least".

use crate::{Checked, Kind, Mode, NotRun, Plan, Selection, Step, StepId};
use std::time::Duration;

/// What a time is based on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The median of so many earlier runs.
    Runs(usize),
    /// The plan says it.
    Stated,
    /// No run is known.
    Unknown,
    /// It is left out.
    NotRun(NotRun),
}

/// How long one step would take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepForecast {
    /// The step.
    pub step: StepId,
    /// What is known, and how.
    pub basis: Basis,
    /// How long it takes; none when that is unknown or it is left out.
    pub takes: Option<Duration>,
    /// When it would begin after the start, at the earliest.
    pub begins_after: Option<Duration>,
}

/// How long a start would take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// The steps, in the plan's order.
    pub steps: Vec<StepForecast>,
    /// From the start to the end, at least.
    pub at_least: Duration,
    /// Whether that is all: no step is unknown.
    pub is_complete: bool,
}

/// The median; none of nothing.
pub fn median(times: &[Duration]) -> Option<Duration> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2),
    }
}

/// What is known of a step's time besides the plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KnownTimes {
    /// What it took in earlier runs of the same mode.
    pub runs: Vec<Duration>,
    /// How long others go on with what they remember, after it was done: a name's time to live. None
    /// where that matters and is not known.
    pub remembered: Option<Duration>,
}

/// Forecasts a start; `known` tells what is known of a step.
pub fn forecast(
    plan: &Plan,
    checked: &Checked,
    mode: Mode,
    selection: &Selection,
    known: impl Fn(&Step) -> KnownTimes,
) -> Forecast {
    let mut steps: Vec<_> = (0..plan.steps.len())
        .map(|at| {
            let left_out = selection.leaves_out(plan, checked, mode, at);
            forecast_step(&plan.steps[at], left_out, &known)
        })
        .collect();
    let at_least = lay_out(plan, checked, &mut steps);
    let is_complete = steps.iter().all(|step| step.basis != Basis::Unknown);
    Forecast {
        steps,
        at_least,
        is_complete,
    }
}

fn forecast_step(
    step: &Step,
    left_out: Option<NotRun>,
    known: &impl Fn(&Step) -> KnownTimes,
) -> StepForecast {
    let (basis, takes) = match (left_out, &step.kind) {
        (Some(left_out), _) => (Basis::NotRun(left_out), None),
        (None, Kind::Wait(wait)) => {
            let takes = Duration::from_secs(wait.seconds.into());
            (Basis::Stated, Some(takes))
        }
        (None, kind) => {
            let known = known(step);
            let remembered = match kind {
                Kind::Dns(_) => known.remembered,
                _ => Some(Duration::ZERO),
            };
            match (median(&known.runs), remembered) {
                (Some(takes), Some(more)) => (Basis::Runs(known.runs.len()), Some(takes + more)),
                _ => (Basis::Unknown, None),
            }
        }
    };
    StepForecast {
        step: step.id.clone(),
        basis,
        takes,
        begins_after: None,
    }
}

/// Lays the steps out in time as a run would begin them; what is unknown takes no time.
fn lay_out(plan: &Plan, checked: &Checked, steps: &mut [StepForecast]) -> Duration {
    let after = plan.edges(&plan.places());
    let mut ends: Vec<Option<Duration>> = steps
        .iter()
        .map(|step| matches!(step.basis, Basis::NotRun(_)).then_some(Duration::ZERO))
        .collect();
    let mut now = Duration::ZERO;
    loop {
        let is_over = |at: &usize| ends[*at].is_some_and(|end| end <= now);
        let is_ready = |at: &usize| ends[*at].is_none() && after[*at].iter().all(&is_over);
        let mut ready: Vec<_> = (0..steps.len()).filter(is_ready).collect();
        ready.sort_by_key(|&at| checked.priorities[at]);
        let is_busy =
            |at: &usize| plan.steps[*at].kind.is_work() && ends[*at].is_some_and(|end| end > now);
        let busy = (0..steps.len()).filter(is_busy).count();
        let mut free = usize::from(plan.at_once).saturating_sub(busy);
        let mut is_over_at_once = false;
        for at in ready {
            if plan.steps[at].kind.is_work() {
                if free == 0 {
                    continue;
                }
                free -= 1;
            }
            let takes = steps[at].takes.unwrap_or_default();
            steps[at].begins_after = Some(now);
            ends[at] = Some(now + takes);
            is_over_at_once |= takes.is_zero();
        }
        // What takes no time lets others begin at the same instant.
        if is_over_at_once {
            continue;
        }
        match ends
            .iter()
            .flatten()
            .copied()
            .filter(|&end| end > now)
            .min()
        {
            Some(next) => now = next,
            None => return now,
        }
    }
}

#[cfg(test)]
mod tests;
