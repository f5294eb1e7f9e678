//! Waiting until a failover, failback or restore needs somebody, or is over; every step is told as it ends.

use super::{
    Failure, arguments,
    client::Path,
    document::Document,
    exit,
    failure::Delivery,
    global::Session,
    progress::Activity,
    table::{self, recovery::Course},
};
use clap::Args;
use serde::de::DeserializeOwned;
use std::{
    thread,
    time::{Duration, Instant},
};

/// How long `--wait` waits when no time is given.
const A_DAY: Duration = Duration::from_secs(24 * 3600);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// A job that changes where production runs, or what its disks hold, as it is shown.
pub(super) trait PlacementJob: DeserializeOwned {
    /// What it is called.
    const NOUN: &'static str;

    /// How far it is.
    fn course(&self) -> &Course;
}

/// How long an operator waits.
#[derive(Debug, Args)]
pub(super) struct WaitArgument {
    /// Return when somebody is needed again; wait at most TIME (a day when none is given)
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        value_parser = arguments::duration
    )]
    wait: Option<Option<Duration>>,
}

impl WaitArgument {
    /// How long; none if not at all.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.wait.map(|given| given.unwrap_or(A_DAY))
    }
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
    let Course {
        id, step, steps, ..
    } = job.course();
    let ended = steps
        .iter()
        .take_while(|step| step.outcome.is_some())
        .count();
    for step in steps.iter().take(ended).skip(told) {
        activity.event(&step.line());
    }
    activity.doing(table::line(&format!("{} {id}: {step}", Job::NOUN,)));
    ended.max(told)
}

/// One that did not get where it was to.
pub(super) fn failed<Job: PlacementJob>(job: &Job) -> Failure {
    let course = job.course();
    let how = course.end.as_deref().unwrap_or(&course.stage);
    let failure = Failure::new(
        exit::JOB_FAILED,
        format!("{} {} is {}", Job::NOUN, course.id, how.replace('_', " ")),
    );
    match &course.failure {
        Some(why) => failure
            .cause(table::plain(&why.cause))
            .reason_code(&why.code)
            .remedy(table::plain(&why.remedy)),
        None => failure,
    }
}
