//! What can go wrong at a target.

use std::{io, path::PathBuf, time::Duration};

use super::{DiskSourceError, LaunchSettingsError, qemu::QmpError};

/// Why a target could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// A program the target needs is missing or does not work.
    #[error("cannot use {tool}: {reason}; {remedy}")]
    Tool {
        /// The program.
        tool: String,
        /// What happened.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
    /// A disk source has a wrong address.
    #[error(transparent)]
    DiskSource(#[from] DiskSourceError),
    /// The launch settings are wrong.
    #[error(transparent)]
    LaunchSettings(#[from] LaunchSettingsError),
    /// The network cards are wrong.
    #[error("the machine's network cards are wrong: {reason}; correct the cards")]
    Network {
        /// What is wrong.
        reason: String,
    },
    /// A file or directory of the instance could not be used.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Files {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The program that runs the instance ended by itself.
    #[error("the instance's process ended while {during}: {reason}")]
    Ended {
        /// What was going on.
        during: &'static str,
        /// Exit status and last output.
        reason: String,
    },
    /// Something took longer than it may.
    #[error("{what} took longer than {} s", limit.as_secs_f64())]
    Deadline {
        /// What took too long.
        what: String,
        /// How long it may take.
        limit: Duration,
    },
    /// The control connection to the instance failed.
    #[error("cannot control the instance: {0}")]
    Control(#[from] QmpError),
    /// The instance was not isolated before its first instruction and was not started.
    #[error("the instance is not isolated and was not started: {reason}")]
    NotIsolated {
        /// What was observed.
        reason: String,
    },
    /// It could not be observed whether the instance is isolated, and it was not started.
    #[error(
        "whether the instance is isolated could not be observed, so it was not started: {reason}; let the service read /proc of its own processes and use a QEMU whose `info network` answers, then start the drill again"
    )]
    IsolationUnknown {
        /// Why not.
        reason: String,
    },
    /// The instance is unknown to this process, or was never launched.
    #[error("instance {instance} is not running under this process")]
    NotRunning {
        /// The instance.
        instance: String,
    },
    /// A background task was stopped, because the process is shutting down.
    #[error("{what} was interrupted because the process is shutting down")]
    Interrupted {
        /// What was going on.
        what: &'static str,
    },
}

impl TargetError {
    /// An error about a file or directory.
    pub(crate) fn files(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Files {
            action,
            path,
            source,
        }
    }
}
