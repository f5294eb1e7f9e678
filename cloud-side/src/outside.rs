//! Acting on the world outside for plans: what this host's operator allows, carried out by `bcdr_reach`.
//!
//! Owns the programs, keys and secrets that the configuration names, and the way from a step's document
//! to what is done. Invariants: a plan can only name what was configured, never bring it; secrets are
//! read at the start, and are in no answer, record, log or error; a header's secret goes to the hosts
//! that were configured for it alone; addresses are called only as far as the destinations allow.
//! What was observed is told as a note of the run, and kept in full beside the evidence. Scripts of rungs
//! are run here too; what they observed is kept by who asked for them.

mod call;
mod config;
mod dns;
mod evidence;
mod files;
mod note;
mod probe;
mod script;
#[cfg(test)]
mod tests;
mod webhook;

pub use config::{DestinationsConfig, HeaderSecretConfig, OutsideConfig};

pub(crate) use config::OutsideError;

use crate::plans::{Errand, LeftBehind, OutsideFuture, OutsideHands};
use axum::http::HeaderValue;
use bcdr_disk::Storage;
use bcdr_plan::{DnsStep, Failure, Kind};
use bcdr_reach::{
    Trust, destination,
    dns::TsigKey,
    webhook::{Networks, Secret},
};
use evidence::Evidence;
use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// How long a name may take to be resolved when it is only looked at.
const RESOLVE: Duration = Duration::from_secs(5);

/// What it works with.
pub(crate) struct OutsideParts {
    pub(crate) config: OutsideConfig,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) evidence_directory: PathBuf,
}

/// A secret that is sent in a header, and to whom it may be.
struct HeaderSecret {
    value: HeaderValue,
    /// `HOST` or `HOST:PORT`, in lower case.
    hosts: Vec<String>,
}

/// Who acts outside.
pub(crate) struct Outside {
    programs: Option<PathBuf>,
    rung_programs: Option<PathBuf>,
    trust: Trust,
    destinations: Option<Networks>,
    dns_keys: BTreeMap<String, TsigKey>,
    webhook_secrets: BTreeMap<String, Secret>,
    header_secrets: BTreeMap<String, HeaderSecret>,
    script_secrets: BTreeMap<String, Zeroizing<String>>,
    evidence: Evidence,
}

impl Outside {
    /// Reads what the configuration names. Blocks.
    ///
    /// # Errors
    /// Names the first setting that cannot be used, and says what to do.
    pub(crate) fn new(parts: OutsideParts) -> Result<Self, OutsideError> {
        let OutsideParts {
            config,
            storage,
            evidence_directory,
        } = parts;
        Ok(Self {
            programs: config.programs()?,
            rung_programs: config.rung_programs()?,
            trust: config.trust()?,
            destinations: config.destinations()?,
            dns_keys: config.dns_keys()?,
            webhook_secrets: config.webhook_secrets()?,
            header_secrets: config.header_secrets()?,
            script_secrets: config.script_secrets()?,
            evidence: Evidence {
                storage,
                directory: evidence_directory,
            },
        })
    }

    /// The networks that may be called.
    fn networks(&self, kind: &str) -> Result<&Networks, Failure> {
        self.destinations.as_ref().ok_or_else(|| {
            not_configured(
                format!("nothing may be reached by steps of kind {kind} here"),
                "add [outside.destinations] to the cloud side's configuration, with the private \
                 networks that may be reached as `networks`",
            )
        })
    }

    /// Refuses an address that may not be called. A name is judged when it is resolved.
    fn judge(&self, host: &str, is_tls: bool, kind: &str) -> Result<(), Failure> {
        let networks = self.networks(kind)?;
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => networks
                .judge(address, is_tls)
                .map_err(|told| note::failure("destination_refused", &told)),
            Err(_) => Ok(()),
        }
    }

    /// Where a host leads now.
    async fn leads_to(
        &self,
        (host, port): (&str, u16),
        is_tls: bool,
        kind: &str,
    ) -> Result<String, Failure> {
        let networks = self.networks(kind)?;
        let found = destination::look(host, port, is_tls, networks, RESOLVE).await;
        let found = found.map_err(|told| note::failure("destination_refused", &told))?;
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        Ok(format!("{host} leads to {}", found.join(", ")))
    }
}

/// Something that is not configured here.
fn not_configured(cause: String, remedy: &str) -> Failure {
    Failure {
        code: "not_configured".to_owned(),
        cause,
        remedy: format!("{remedy}; then start it again"),
    }
}

/// The run was cancelled before the step came to its end.
fn stopped(cause: &str) -> Failure {
    Failure {
        code: "stopped".to_owned(),
        cause: cause.to_owned(),
        remedy: "look at what it did before it was stopped".to_owned(),
    }
}

impl OutsideHands for Outside {
    fn refuses(&self, kind: &Kind) -> Option<Failure> {
        match kind {
            Kind::Group(_) | Kind::Wait(_) | Kind::Approval(_) => None,
            Kind::Script(step) => self.script(step).err(),
            Kind::Probe(step) => self.probe(step).err(),
            Kind::Dns(step) => self.dns(step).err(),
            Kind::Webhook(step) => self.webhook(step).err(),
            Kind::Call(step) => self.call(step).err(),
        }
    }

    fn carry_out<'a>(
        &'a self,
        errand: &'a Errand,
        stop: &'a CancellationToken,
    ) -> OutsideFuture<'a, Result<String, Failure>> {
        match &errand.kind {
            // The run itself and the groups' engines see to these.
            Kind::Group(_) | Kind::Wait(_) | Kind::Approval(_) => {
                Box::pin(async { Ok(String::new()) })
            }
            Kind::Script(step) => Box::pin(self.run_script(step, errand, stop)),
            Kind::Probe(step) => Box::pin(self.run_probe(step, errand, stop)),
            Kind::Dns(step) => Box::pin(self.switch(step, errand, stop)),
            Kind::Webhook(step) => Box::pin(self.deliver(step, errand, stop)),
            Kind::Call(step) => Box::pin(self.make_call(step, errand, stop)),
        }
    }

    fn end_left<'a>(&'a self, errand: &'a Errand) -> OutsideFuture<'a, LeftBehind> {
        match &errand.kind {
            Kind::Script(_) => Box::pin(self.end_left_script(errand)),
            // Nothing of the others outlives the process.
            _ => Box::pin(async { LeftBehind::Gone }),
        }
    }

    fn look<'a>(&'a self, kind: &'a Kind) -> OutsideFuture<'a, Result<String, Failure>> {
        match kind {
            Kind::Group(_) | Kind::Wait(_) | Kind::Approval(_) => {
                Box::pin(async { Ok(String::new()) })
            }
            Kind::Script(step) => Box::pin(async { self.look_at_script(step) }),
            Kind::Probe(step) => Box::pin(self.look_at_probe(step)),
            Kind::Dns(step) => Box::pin(self.look_at_name(step)),
            Kind::Webhook(step) => Box::pin(self.look_at_webhook(step)),
            Kind::Call(step) => Box::pin(self.look_at_call(step)),
        }
    }

    fn remembered<'a>(&'a self, dns: &'a DnsStep) -> OutsideFuture<'a, Option<Duration>> {
        Box::pin(self.remembered_of(dns))
    }
}
