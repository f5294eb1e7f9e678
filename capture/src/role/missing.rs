//! What the capture serves volumes without: told as not ready, and tried again until it is there.

use super::Role;
use crate::{
    clock,
    group::{self, GroupContext},
};
use bcdr_http::Check;
use bcdr_wire::identity::IdentitySource;
use std::{fmt, sync::Arc, time::Duration};

/// A part of the role that others do not need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// A group, by its place in the configuration.
    Group(usize),
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
            Part::Group(index) => format!("group {}", self.config.groups[index].name),
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
                self.identity = Some(source);
                self.start_feeds();
                Ok(())
            }
            Part::Group(index) => {
                let config = Arc::clone(&self.config);
                // The others' ends and a shutdown wait for this, and it is tried again.
                let context = GroupContext {
                    lock_patience: Duration::ZERO,
                    ..self.context.clone()
                };
                let start = move || group::start(&config, &config.groups[index], &context);
                let group = tokio::task::spawn_blocking(start)
                    .await
                    .map_err(|error| error.to_string())?
                    .map_err(|error| error.to_string())?;
                self.adopt(group);
                Ok(())
            }
        }
    }
}
