//! Waiting until a failover or failback needs somebody, or is over; every step is told as it ends.

use super::{
    Failure,
    client::Path,
    document::Document,
    exit,
    failure::Delivery,
    global::Session,
    progress::Activity,
    table::{
        self,
        failover::{Step, StepFailure},
    },
};
use serde::de::DeserializeOwned;
use std::{
    thread,
    time::{Duration, Instant},
};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// A job that changes where production runs, as it is shown.
pub(super) trait PlacementJob: DeserializeOwned {
    /// What it is called.
    const NOUN: &'static str;

    fn id(&self) -> &str;
    fn step(&self) -> &str;
    fn stage(&self) -> &str;
    fn end(&self) -> Option<&str>;
    fn steps(&self) -> &[Step];
    fn failure(&self) -> Option<&StepFailure>;
}

/// Follows one until `settled`, also through a cloud side that restarts.
///
/// # Errors
/// When patience ends, or it cannot be looked at.
pub(super) fn follow<Job: PlacementJob>(
    session: &Session,
    path: &Path,
    patience: Duration,
    settled: impl Fn(&Job) -> bool,
) -> Result<Document, Failure> {
    let noun = Job::NOUN;
    let activity = session.progress.spinner(noun);
    let begun = Instant::now();
    let mut told = 0;
    loop {
        let looked = session.client.get(path).and_then(|document| {
            let job: Job = document.read()?;
            Ok((document, job))
        });
        match looked {
            Ok((document, job)) => {
                told = tell(&job, told, &activity);
                if settled(&job) {
                    return Ok(document);
                }
            }
            Err(failure) if failure.delivery() == Delivery::Answered => return Err(failure),
            Err(failure) => activity.doing(table::line(&format!("{failure}; still waiting"))),
        }
        if begun.elapsed() >= patience {
            let whole = humantime::format_duration(patience);
            return Err(Failure::new(
                exit::WAIT_TIMED_OUT,
                format!("the {noun} has not got there after {whole}"),
            )
            .remedy(format!(
                "it goes on without us: look at it with bcdr {noun} show"
            )));
        }
        thread::sleep(PAUSE);
    }
}

/// Tells the steps that ended since; says how many were told.
fn tell<Job: PlacementJob>(job: &Job, told: usize, activity: &Activity) -> usize {
    let ended = job
        .steps()
        .iter()
        .take_while(|step| step.outcome.is_some())
        .count();
    for step in job.steps().iter().take(ended).skip(told) {
        activity.event(&step.line());
    }
    activity.doing(table::line(&format!(
        "{} {}: {}",
        Job::NOUN,
        job.id(),
        job.step()
    )));
    ended.max(told)
}

/// One that did not get where it was to.
pub(super) fn failed<Job: PlacementJob>(job: &Job) -> Failure {
    let how = job.end().unwrap_or(job.stage());
    let failure = Failure::new(
        exit::JOB_FAILED,
        format!("{} {} is {}", Job::NOUN, job.id(), how.replace('_', " ")),
    );
    match job.failure() {
        Some(why) => failure
            .cause(table::plain(&why.cause))
            .reason_code(&why.code)
            .remedy(table::plain(&why.remedy)),
        None => failure,
    }
}
