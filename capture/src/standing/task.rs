//! Work on the disks of a group that is not served: one task at a time, on a thread of its own.
//!
//! Whoever stands calls [`carry_out`] once the exports are closed, so that the task can have the
//! volumes' locks, and keeps the outcome. Invariant: nothing of a task outlives the call. What a task
//! has done when it is stopped is its own to remember: the same task is begun again with the next
//! start that finds it ordered.

use std::{path::PathBuf, sync::Arc};

use bcdr_disk::Storage;
use bcdr_wire::order::{HomeTask, HomeWork, TaskOutcome, TaskState};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::inspect;
use crate::config::GroupConfig;

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
    /// The session's connection to a gateway, while there is one.
    pub gateway: watch::Receiver<Option<quinn::Connection>>,
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
        code: &'static str,
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
                code: code.to_owned(),
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
            Err(NoOutcome::Failed {
                code: "task_not_supported",
                cause: format!("this capture cannot carry out {:?}", job.task.work),
                remedy: "upgrade the capture and give the task again under a new id".to_owned(),
            })
        }
    }
}
