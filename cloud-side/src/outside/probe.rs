//! Probes: waits until a port or a page answers.

use super::{Outside, note, stopped};
use crate::plans::Errand;
use bcdr_plan::{Failure, ProbeStep, ProbeTarget};
use bcdr_reach::{
    Retry,
    probe::{HttpProbe, Identity, Outcome, Probe, Redirects, StatusSet, TcpProbe, run},
};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Longest time of one try.
const PER_TRY: Duration = Duration::from_secs(10);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_secs(2);

/// The statuses that a document names; 200 to 299 when it names none.
pub(super) fn statuses(expected: &[String]) -> Result<StatusSet, Failure> {
    if expected.is_empty() {
        return Ok(StatusSet::default());
    }
    let read = StatusSet::try_from(expected.to_vec());
    read.map_err(|error| note::failure("statuses", &error.to_string()))
}

impl Outside {
    pub(super) fn probe(&self, step: &ProbeStep) -> Result<Probe, Failure> {
        let probe = match &step.target {
            ProbeTarget::Tcp { host, port, says } => Probe::Tcp(TcpProbe {
                host: host.clone(),
                port: *port,
                says: says.clone(),
            }),
            ProbeTarget::Http {
                url,
                contains,
                expected,
                connect_to,
            } => Probe::Http(HttpProbe {
                url: url.clone(),
                expected: statuses(expected)?,
                body_contains: contains.clone(),
                redirects: Redirects::None,
                trust: self.trust.clone(),
                connect_to: *connect_to,
            }),
        };
        let (host, _) = destination(&probe)?;
        self.judge(&host, true, "probe")?;
        Ok(probe)
    }

    pub(super) async fn look_at_probe(&self, step: &ProbeStep) -> Result<String, Failure> {
        let probe = self.probe(step)?;
        let (host, port) = destination(&probe)?;
        self.leads_to((&host, port), true, "probe").await
    }

    pub(super) async fn run_probe(
        &self,
        step: &ProbeStep,
        errand: &Errand,
        stop: &CancellationToken,
    ) -> Result<String, Failure> {
        let probe = self.probe(step)?;
        let within = Duration::from_secs(step.within_seconds.into());
        let retry = Retry::steady(PER_TRY, PAUSE, within);
        let report = run(&probe, self.networks("probe")?, &retry, stop)
            .await
            .map_err(|error| note::failure("probe", &error.to_string()))?;
        let kept = self.evidence.keep(&errand.facts, &report).await;
        let last = report.last_tries.last();
        let seen = last.map_or_else(String::new, |last| note::plain(&last.observed));
        match report.outcome {
            Outcome::Passed => {
                let tries = note::tries(report.tries);
                let who = match report.identity {
                    Identity::Verified | Identity::VerifiedByGivenAuthority => {
                        "; its certificate was verified"
                    }
                    Identity::Plain | Identity::NotVerified => "",
                };
                Ok(format!("{seen}{tries}{who}{kept}"))
            }
            Outcome::Failed => Err(Failure {
                code: "probe_failed".to_owned(),
                cause: format!(
                    "it did not answer as it should within {} s; the last of {} tries: {seen}",
                    step.within_seconds, report.tries
                ),
                remedy: format!(
                    "look at what should answer; then retry the step, or skip it{kept}"
                ),
            }),
            Outcome::Cancelled => Err(stopped("the run was cancelled before it answered")),
        }
    }
}

fn destination(probe: &Probe) -> Result<(String, u16), Failure> {
    let found = probe.destination();
    found.map_err(|error| note::failure("probe", &error.to_string()))
}
