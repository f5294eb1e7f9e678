//! Names: what one holds is read, kept, replaced on condition that it is still so, and read again.

use super::{Outside, not_configured, note, stopped};
use crate::plans::Errand;
use bcdr_plan::{DnsStep, Failure, RecordKind};
use bcdr_reach::dns::{self, DnsError, NameServer, Reading, RecordSet};
use serde::Serialize;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How long a server may take when it is only looked at.
const LOOK: Duration = Duration::from_secs(3);
/// Pause before a server that did not answer is asked again.
const PAUSE: Duration = Duration::from_secs(2);

/// What an attempt observed.
#[derive(Serialize)]
struct Observed<'a> {
    server: &'a str,
    before: &'a Reading,
    /// Null until the server was asked again after the change.
    after: Option<&'a RecordSet>,
}

fn kind(record: RecordKind) -> dns::RecordKind {
    match record {
        RecordKind::A => dns::RecordKind::A,
        RecordKind::Aaaa => dns::RecordKind::Aaaa,
        RecordKind::Cname => dns::RecordKind::Cname,
    }
}

fn failure(error: &DnsError) -> Failure {
    let code = match error {
        DnsError::Unreachable { .. } | DnsError::NoAnswer { .. } => "dns_no_answer",
        DnsError::ChangedMeanwhile { .. } => "dns_changed_meanwhile",
        DnsError::Unverified { source, .. } => {
            if matches!(**source, DnsError::Cancelled { .. }) {
                return stopped(
                    "the run was cancelled after the change of the name was sent, which may have been made",
                );
            }
            "dns_unverified"
        }
        DnsError::Cancelled { .. } => {
            return stopped("the run was cancelled before the change of the name was sent");
        }
        _ => "dns_refused",
    };
    note::failure(code, &error.to_string())
}

/// Where a try ended without success.
enum Tried {
    /// Before anything of it was sent.
    Reading(DnsError),
    /// When the name was to be changed.
    Replacing(DnsError),
}

/// A change that was sent before stays in doubt for as long as nobody can read what the name holds.
fn unverified(step: &DnsStep, source: DnsError) -> DnsError {
    DnsError::Unverified {
        server: step.server.clone(),
        name: step.name.clone(),
        source: Box::new(source),
    }
}

impl Outside {
    pub(super) fn dns(&self, step: &DnsStep) -> Result<NameServer, Failure> {
        let key = self.dns_keys.get(&step.key).ok_or_else(|| {
            not_configured(
                format!("there is no key {:?} for name servers here", step.key),
                "name its file under [outside.dns_keys] in the cloud side's configuration",
            )
        })?;
        let server = NameServer::new(&step.server, &step.zone, key.clone());
        server.map_err(|error| failure(&error))
    }

    pub(super) async fn look_at_name(&self, step: &DnsStep) -> Result<String, Failure> {
        let reading = self.read(step).await?;
        Ok(format!(
            "{} is {}; others remember that for {} s",
            step.name, reading.records, reading.remembered_seconds
        ))
    }

    pub(super) async fn remembered_of(&self, step: &DnsStep) -> Option<Duration> {
        let reading = self.read(step).await.ok()?;
        Some(Duration::from_secs(reading.remembered_seconds.into()))
    }

    async fn read(&self, step: &DnsStep) -> Result<Reading, Failure> {
        let server = self.dns(step)?.waiting(LOOK);
        let stop = CancellationToken::new();
        let read = server.read(&step.name, kind(step.record), &stop).await;
        read.map_err(|error| failure(&error))
    }

    pub(super) async fn switch(
        &self,
        step: &DnsStep,
        errand: &Errand,
        stop: &CancellationToken,
    ) -> Result<String, Failure> {
        let server = self.dns(step)?;
        let deadline = Instant::now() + Duration::from_secs(step.within_seconds.into());
        let mut first = None;
        // Whether a change was sent after which nobody could read what the name holds.
        let mut in_doubt = false;
        loop {
            let tried = self
                .try_to_switch(&server, step, errand, stop, &mut first)
                .await;
            let error = match tried {
                Ok(note) => return Ok(note),
                Err(Tried::Reading(error)) if in_doubt => unverified(step, error),
                Err(Tried::Reading(error) | Tried::Replacing(error)) => error,
            };
            in_doubt = matches!(error, DnsError::Unverified { .. });
            if !error.may_pass() || Instant::now() + PAUSE >= deadline {
                return Err(failure(&error));
            }
            tokio::select! {
                () = stop.cancelled() => {
                    let server = step.server.clone();
                    let cancelled = DnsError::Cancelled { server };
                    let cancelled = if in_doubt { unverified(step, cancelled) } else { cancelled };
                    return Err(failure(&cancelled));
                }
                () = sleep(PAUSE) => {}
            }
        }
    }

    /// One try; `first` is what was read in the first that read something.
    async fn try_to_switch(
        &self,
        server: &NameServer,
        step: &DnsStep,
        errand: &Errand,
        stop: &CancellationToken,
        first: &mut Option<Reading>,
    ) -> Result<String, Tried> {
        let seen = server.read(&step.name, kind(step.record), stop).await;
        let seen = seen.map_err(Tried::Reading)?;
        // A change of ours whose answer was lost is no reading of before.
        let before = first.get_or_insert_with(|| seen.clone());
        let mut observed = Observed {
            server: &step.server,
            before,
            after: None,
        };
        // Before the change: a process that ends in between knows it otherwise from nobody.
        self.evidence.keep(&errand.facts, &observed).await;
        let wanted = RecordSet {
            name: step.name.clone(),
            kind: kind(step.record),
            ttl_seconds: step.ttl_seconds,
            values: step.values.clone(),
        };
        let replaced = server.replace(&seen.records, &wanted, stop).await;
        let replaced = replaced.map_err(Tried::Replacing)?;
        observed.after = Some(&replaced.verified);
        let kept = self.evidence.keep(&errand.facts, &observed).await;
        let (name, now) = (&step.name, &replaced.verified);
        if before.records == *now {
            return Ok(format!("{name} was {now} already{kept}"));
        }
        Ok(format!(
            "{name} was {}, and is {now}; others may remember the former for {} s{kept}",
            before.records, before.remembered_seconds
        ))
    }
}
