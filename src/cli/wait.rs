//! Waiting for a job: patiently through a cloud side that restarts, and never for ever.

use super::{
    Failure,
    client::{Client, Path},
    document::Document,
    exit,
    failure::Delivery,
    progress::Activity,
};
use serde::Deserialize;
use std::{
    thread,
    time::{Duration, Instant},
};

/// How long the server may hold an answer back. Short, so that progress is shown as it happens.
const HOLD: Duration = Duration::from_secs(1);
/// Pause after a request that failed, or that was answered at once although nothing had changed.
const PAUSE: Duration = Duration::from_millis(250);

/// A job, as far as waiting needs it.
#[derive(Debug, Deserialize)]
pub(super) struct Job {
    pub(super) id: String,
    pub(super) state: String,
    #[serde(default)]
    pub(super) phase: Option<String>,
    #[serde(default)]
    pub(super) error: Option<JobError>,
}

/// Why a job did not succeed.
#[derive(Debug, Deserialize)]
pub(super) struct JobError {
    pub(super) code: String,
    pub(super) detail: String,
    #[serde(default)]
    pub(super) remedy: Option<String>,
}

impl Job {
    fn has_ended(&self) -> bool {
        !matches!(self.state.as_str(), "queued" | "running")
    }

    /// Says whether a job that ended did what it is for.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        if self.state == "succeeded" {
            return Ok(());
        }
        let Self {
            id, state, error, ..
        } = self;
        let Some(JobError {
            code,
            detail,
            remedy,
        }) = error
        else {
            let failure = Failure::new(exit::JOB_FAILED, format!("job {id} ended: {state}"));
            return Err(match state.as_str() {
                "interrupted" => failure.remedy(
                    "the cloud side was restarted meanwhile; see what became of it, or ask again",
                ),
                _ => failure,
            });
        };
        let failure = Failure::new(exit::JOB_FAILED, format!("job {id} {state}"))
            .cause(detail)
            .reason_code(code);
        Err(match remedy {
            Some(remedy) => failure.remedy(remedy),
            None => failure,
        })
    }
}

/// How long is waited.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    whole: Duration,
    end: Option<Instant>,
}

impl Patience {
    /// From now on.
    pub(super) fn new(whole: Duration) -> Self {
        Self {
            whole,
            end: Instant::now().checked_add(whole),
        }
    }

    fn left(&self) -> Duration {
        self.end.map_or(Duration::MAX, |end| {
            end.saturating_duration_since(Instant::now())
        })
    }

    fn timed_out(&self, id: &str, trouble: Option<Failure>) -> Failure {
        let whole = humantime::format_duration(self.whole);
        let failure = Failure::new(
            exit::WAIT_TIMED_OUT,
            format!("job {id} has not ended after {whole}"),
        )
        .remedy(format!(
            "it goes on without us: watch it with bcdr job watch {id}"
        ));
        match trouble {
            Some(trouble) => failure.cause(trouble),
            None => failure,
        }
    }
}

/// Waits until the job has ended; `each` is called with every look at it and may look further.
///
/// # Errors
/// When patience ends, the job cannot be looked at, or `each` fails. A job that did not succeed is
/// no error here: see [`Job::verdict`].
pub(super) fn for_job(
    client: &Client,
    id: &str,
    patience: Patience,
    activity: &Activity,
    mut each: impl FnMut(&Job) -> Result<(), Failure>,
) -> Result<(Document, Job), Failure> {
    let path = Path::new("jobs")
        .item(id)
        .query("wait_seconds", &HOLD.as_secs().to_string());
    let mut lost = false;
    loop {
        let asked = Instant::now();
        let outcome = client.get_patiently(&path, HOLD).and_then(|document| {
            let job: Job = document.read()?;
            each(&job)?;
            Ok((document, job))
        });
        let trouble = match outcome {
            Ok((document, job)) if job.has_ended() => return Ok((document, job)),
            Ok(_) if lost => {
                activity.event("the cloud side answers again");
                lost = false;
                None
            }
            Ok(_) => None,
            Err(failure) if failure.delivery() == Delivery::Answered => return Err(failure),
            Err(failure) => {
                if !lost {
                    activity.event(&format!("{failure}; still waiting"));
                    lost = true;
                }
                Some(failure)
            }
        };
        let left = patience.left();
        if left.is_zero() {
            return Err(patience.timed_out(id, trouble));
        }
        if asked.elapsed() < PAUSE {
            thread::sleep(PAUSE.min(left));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(text: &str) -> Job {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn only_success_is_success() {
        assert!(
            job(r#"{"id":"job-1","state":"succeeded","error":null}"#)
                .verdict()
                .is_ok()
        );
        for state in ["failed", "cancelled", "interrupted"] {
            let text = format!(r#"{{"id":"job-1","state":"{state}"}}"#);
            let failure = job(&text).verdict().unwrap_err();
            assert_eq!(failure.code(), exit::JOB_FAILED);
            assert!(failure.to_string().contains(state), "{failure}");
        }
    }

    #[test]
    fn a_failed_job_tells_its_reason_and_remedy() {
        let failure = job(
            r#"{"id":"job-1","state":"failed","error":{"code":"boot_failed","detail":"no login","remedy":"look"}}"#,
        )
        .verdict()
        .unwrap_err();
        assert_eq!(failure.to_string(), "job job-1 failed: no login; look");
    }

    #[test]
    fn a_wait_that_ended_says_that_the_job_goes_on() {
        let patience = Patience::new(Duration::from_secs(90));
        let failure = patience.timed_out("job-1", Some(Failure::error("nothing listens")));
        assert_eq!(failure.code(), exit::WAIT_TIMED_OUT);
        let text = failure.to_string();
        assert!(
            text.contains("after 1m 30s: nothing listens; it goes on"),
            "{text}"
        );
        assert!(Patience::new(Duration::MAX).left() > Duration::from_secs(1 << 40));
        assert!(Patience::new(Duration::ZERO).left().is_zero());
    }
}
