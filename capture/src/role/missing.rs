//! What the capture serves volumes without: told as not ready, and tried again until it is there.
//! A group that cannot be served is its keeper's business.

use super::Role;
use crate::clock;
use bcdr_http::Check;
use bcdr_wire::identity::IdentitySource;
use std::fmt;

/// A part of the role that others do not need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Certificate and key. Without them nothing is fed, and nothing is served over TLS.
    Identity,
    /// The local API.
    LocalApi,
    /// The listener for NBD over TLS.
    NbdTls,
}

/// A part that is not there.
#[derive(Debug)]
pub(super) struct Missing {
    part: Part,
    check: Check,
    /// Why, as it was logged last.
    reason: String,
}

impl Role {
    /// Notes that a part is not there.
    pub(super) fn miss(&mut self, part: Part, error: &impl fmt::Display) {
        let reason = error.to_string();
        let name = match part {
            Part::Identity => "identity".to_owned(),
            Part::LocalApi => "local API".to_owned(),
            Part::NbdTls => "NBD over TLS".to_owned(),
        };
        tracing::error!(
            missing = name,
            error = reason,
            "it is tried again until it is there"
        );
        let check = self.health.ready_check(name);
        check.fail(reason.clone());
        self.missing.push(Missing {
            part,
            check,
            reason,
        });
    }

    /// Tries everything that is missing once.
    pub(super) async fn try_again(&mut self) {
        for mut missing in std::mem::take(&mut self.missing) {
            match self.attempt(missing.part).await {
                Ok(()) => {
                    tracing::info!(part = ?missing.part, "what was missing is there");
                    missing.check.remove();
                }
                Err(error) => {
                    if error != missing.reason {
                        tracing::error!(part = ?missing.part, error, "it is still missing");
                        missing.check.fail(error.clone());
                        missing.reason = error;
                    }
                    self.missing.push(missing);
                }
            }
        }
    }

    /// Tries to have a part; the error is for people.
    pub(super) async fn attempt(&mut self, part: Part) -> Result<(), String> {
        match part {
            Part::LocalApi => self.start_local_api().await,
            Part::NbdTls => self.start_nbd_tls().await,
            Part::Identity => {
                let paths = self.config.identity.clone();
                let source = IdentitySource::load_from(paths, clock::wall())
                    .map_err(|error| error.to_string())?;
                self.identity.send_replace(Some(source));
                Ok(())
            }
        }
    }
}
