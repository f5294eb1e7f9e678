//! Work on the disks of a source that does not serve them: putting them back to a point, comparing
//! them with one, or sending what they hold instead.
//!
//! [`start`] runs one task on a thread of its own until it is done, has failed for good or is
//! cancelled. While the way to the point is broken it tries again, less and less often, for as long
//! as the task stands. Invariants: a disk is locked while it is worked on, and nobody serves it; only
//! [`HomeWork::Restore`] writes to one, and only what an operator confirmed, by id and identity, for
//! exactly the volumes that the point is given back for; a task that was done is not noticed here: who
//! starts it again has it done again.
//!
//! Where is what: [`path`]: the way to the point, over QUIC; `restoring`, `comparing`, `sending`: the
//! kinds of work; `retry`: what is worth another try.

mod comparing;
mod disks;
mod fault;
pub mod path;
mod restoring;
mod retry;
mod sending;

use std::{io, thread, time::Duration};

use bcdr_format::RestoreId;
use bcdr_wire::order::{HomeTask, HomeWork, TaskOutcome, TaskState};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    config::VolumeConfig,
    restore::{RestoreSettings, StampBook},
};
use disks::Disks;
use fault::Fault;
use path::ReturnPath;
use retry::Backoff;

pub use disks::{DiskOpener, LockedDisks};

/// What a task is done with.
pub struct HomeTaskParts {
    /// The task.
    pub task: HomeTask,
    /// The group's volumes on this host.
    pub volumes: Vec<VolumeConfig>,
    /// How their disks are had; [`LockedDisks`] in a capture.
    pub disks: Box<dyn DiskOpener>,
    /// The stamps of the group's disks.
    pub stamps: StampBook,
    /// The way to the point.
    pub path: Box<dyn ReturnPath>,
    /// How a restore goes about it.
    pub settings: RestoreSettings,
    /// Between the first two attempts; each further pause is twice as long, up to a hundred times.
    pub pause: Duration,
}

/// A task that runs. Dropped, it is cancelled, and ends by itself soon after.
#[derive(Debug)]
pub struct RunningTask {
    id: RestoreId,
    state: watch::Receiver<TaskState>,
    cancel: CancellationToken,
    thread: Option<thread::JoinHandle<()>>,
}

impl RunningTask {
    /// Which task it is.
    #[must_use]
    pub const fn id(&self) -> RestoreId {
        self.id
    }

    /// How far it is. [`TaskState::Working`] when the other end is gone: it was cancelled.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<TaskState> {
        self.state.clone()
    }

    /// Has it end; what is under way on a disk is finished first, and a restore goes on there when it
    /// is started again.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Waits for its end, after which no disk is held, and says how it stands. Blocks.
    #[must_use]
    pub fn join(mut self) -> TaskState {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(task = %self.id, "a task's thread panicked");
        }
        self.state.borrow().clone()
    }
}

impl Drop for RunningTask {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// Starts a task. [`HomeWork::Inspect`] asks nothing of a point and is not one of these: it fails.
///
/// # Errors
/// If there is no thread for it.
pub fn start(parts: HomeTaskParts) -> io::Result<RunningTask> {
    let (shown, state) = watch::channel(TaskState::Working {
        done_bytes: 0,
        total_bytes: 0,
    });
    let cancel = CancellationToken::new();
    let id = parts.task.id;
    let runner = Runner {
        parts,
        shown,
        cancel: cancel.clone(),
    };
    let thread = thread::Builder::new()
        .name("bcdr-home-task".to_owned())
        .spawn(move || runner.run())?;
    Ok(RunningTask {
        id,
        state,
        cancel,
        thread: Some(thread),
    })
}

struct Runner {
    parts: HomeTaskParts,
    shown: watch::Sender<TaskState>,
    cancel: CancellationToken,
}

/// What an attempt works with.
struct Attempt<'a> {
    parts: &'a mut HomeTaskParts,
    disks: &'a mut Disks,
    shown: &'a watch::Sender<TaskState>,
    cancel: &'a CancellationToken,
    counted: &'a mut Counted,
}

/// What all attempts together did, in bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    fetched: u64,
    written: u64,
    sent: u64,
}

impl Attempt<'_> {
    fn show(&self, done_bytes: u64, total_bytes: u64) {
        self.shown.send_replace(TaskState::Working {
            done_bytes: done_bytes.min(total_bytes),
            total_bytes,
        });
    }

    fn check_cancelled(&self) -> Result<(), Fault> {
        if self.cancel.is_cancelled() {
            return Err(Fault::Cancelled);
        }
        Ok(())
    }
}

impl Runner {
    fn run(mut self) {
        let id = self.parts.task.id;
        let mut disks = Disks::default();
        let mut counted = Counted::default();
        let mut backoff = Backoff::new(self.parts.pause);
        loop {
            let before = counted;
            let mut attempt = Attempt {
                parts: &mut self.parts,
                disks: &mut disks,
                shown: &self.shown,
                cancel: &self.cancel,
                counted: &mut counted,
            };
            let fault = match attempt.work() {
                Ok(outcome) => {
                    tracing::info!(task = %id, ?outcome, "the task is done");
                    // Nobody who hears that it is done finds a disk still held.
                    drop(disks);
                    self.shown.send_replace(TaskState::Done(outcome));
                    return;
                }
                Err(fault) => fault,
            };
            if matches!(fault, Fault::Cancelled) || self.cancel.is_cancelled() {
                tracing::info!(task = %id, "the task is cancelled");
                return;
            }
            if !fault.is_worth_another_try() {
                tracing::error!(task = %id, %fault, "the task failed");
                drop(disks);
                self.shown.send_replace(fault.state());
                return;
            }
            if before.fetched + before.sent < counted.fetched + counted.sent {
                backoff.reset();
            }
            tracing::warn!(task = %id, %fault, "the task is tried again");
            if !backoff.wait(&self.cancel) {
                return;
            }
        }
    }
}

impl Attempt<'_> {
    fn work(&mut self) -> Result<TaskOutcome, Fault> {
        let work = self.parts.task.work;
        if work == HomeWork::Inspect {
            return Err(Fault::NotHere);
        }
        let mut source = self.parts.path.open(self.cancel)?;
        let source = &mut *source;
        match work {
            HomeWork::Restore => self.restore(source),
            HomeWork::Compare => self.compare(source),
            HomeWork::SendDifferences => self.send(source),
            HomeWork::Inspect => Err(Fault::NotHere),
        }
    }
}
