//! Work on the disks of a group that is not served: one task at a time, on a thread of its own.
//!
//! Whoever stands calls [`carry_out`] once the exports are closed, so that the task can have the
//! volumes' locks, and keeps the outcome. Invariant: nothing of a task outlives the call. What a task
//! has done when it is stopped is its own to remember: the same task is begun again with the next
//! start that finds it ordered.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use bcdr_disk::Storage;
use bcdr_wire::{
    identity::IdentitySource,
    order::{HomeTask, HomeWork, TaskOutcome, TaskState},
};
use tokio::{runtime::Handle, sync::watch};
use tokio_util::sync::CancellationToken;

use super::inspect;
use crate::{
    config::GroupConfig,
    home_task::{self, HomeTaskParts, LockedDisks, path::QuicPath},
    restore::{RestoreSettings, StampBook},
};

/// How long a disk is waited for that somebody else has: exports are closed before a task begins.
const DISK_PATIENCE: Duration = Duration::from_secs(10);
/// Between the first two attempts to reach the point.
const PAUSE: Duration = Duration::from_millis(200);

/// A task, and what it works with.
pub struct Job {
    /// What is to be done.
    pub task: HomeTask,
    /// The group, as it is configured.
    pub group: GroupConfig,
    /// The group's state directory.
    pub directory: PathBuf,
    /// Where state is kept.
    pub storage: Arc<dyn Storage>,
    /// Who we are, once that is known.
    pub identity: watch::Receiver<Option<IdentitySource>>,
    /// The gateways, tried in turn.
    pub gateways: Vec<SocketAddr>,
    /// Where what is asked of a point travels.
    pub runtime: Handle,
    /// Asks the task to end soon, without an outcome.
    pub stop: CancellationToken,
}

/// Why a task has no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoOutcome {
    /// It was told to stop.
    #[error("the task was stopped")]
    Stopped,
    /// It did not do what it is for.
    #[error("{cause}; {remedy}")]
    Failed {
        /// The stable code that programs match on.
        code: String,
        /// What happened.
        cause: String,
        /// What to do about it.
        remedy: String,
    },
}

impl NoOutcome {
    /// What is reported and kept; nothing of a task that was stopped.
    #[must_use]
    pub fn state(self) -> Option<TaskState> {
        match self {
            Self::Stopped => None,
            Self::Failed {
                code,
                cause,
                remedy,
            } => Some(TaskState::Failed {
                code,
                cause,
                remedy,
            }),
        }
    }
}

/// Carries a task out. Blocks until it is done, has failed or was stopped. `progress` is told the
/// bytes looked at and those to look at in all.
///
/// # Errors
/// If there is no outcome.
pub fn carry_out(job: &Job, progress: &dyn Fn(u64, u64)) -> Result<TaskOutcome, NoOutcome> {
    match job.task.work {
        HomeWork::Inspect => inspect::inspect(job, progress),
        HomeWork::SendDifferences | HomeWork::Restore | HomeWork::Compare => {
            with_point(job, progress)
        }
    }
}

/// Work that asks for a point, over a connection of its own.
fn with_point(job: &Job, progress: &dyn Fn(u64, u64)) -> Result<TaskOutcome, NoOutcome> {
    let parts = HomeTaskParts {
        task: job.task.clone(),
        volumes: job.group.volumes.clone(),
        disks: Box::new(LockedDisks {
            storage: Arc::clone(&job.storage),
            patience: DISK_PATIENCE,
        }),
        stamps: StampBook::of_group(Arc::clone(&job.storage), &job.directory),
        path: Box::new(QuicPath {
            identity: identity(job).ok_or(NoOutcome::Stopped)?,
            gateways: job.gateways.clone(),
            group: job.group.id,
            stream: job.group.stream,
            runtime: job.runtime.clone(),
        }),
        settings: RestoreSettings::default(),
        pause: PAUSE,
    };
    let running = home_task::start(parts).map_err(|error| NoOutcome::Failed {
        code: "no_thread".to_owned(),
        cause: format!("there is no thread for the task: {error}"),
        remedy: "raise the limit of threads of this user, then retry".to_owned(),
    })?;
    let mut state = running.state();
    job.runtime.block_on(async {
        loop {
            if let TaskState::Working {
                done_bytes,
                total_bytes,
            } = *state.borrow_and_update()
            {
                progress(done_bytes, total_bytes);
            }
            tokio::select! {
                changed = state.changed() => if changed.is_err() {
                    return;
                },
                () = job.stop.cancelled() => return running.cancel(),
            }
        }
    });
    match running.join() {
        TaskState::Done(outcome) => Ok(outcome),
        TaskState::Working { .. } => Err(NoOutcome::Stopped),
        TaskState::Failed {
            code,
            cause,
            remedy,
        } => Err(NoOutcome::Failed {
            code,
            cause,
            remedy,
        }),
    }
}

/// Who we are, as soon as that is known; none when the task is stopped before.
fn identity(job: &Job) -> Option<IdentitySource> {
    let mut identity = job.identity.clone();
    job.runtime.block_on(async {
        tokio::select! {
            known = identity.wait_for(Option::is_some) => known.ok()?.clone(),
            () = job.stop.cancelled() => None,
        }
    })
}
