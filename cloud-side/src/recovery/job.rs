//! The job that changes a group's placement: a failover or a failback, whichever it is.

use super::{
    action::{Command, Event},
    authority::Authority,
    placement::PlacementState,
    record::{FailbackId, FailbackRecord, FailoverId, FailoverRecord},
    step::{Progress, Step},
};
use bcdr_format::Timestamp;
use serde::{Deserialize, Serialize};

/// The job that changes the placement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlacementJob {
    /// To the target.
    Failover(Box<FailoverRecord>),
    /// Home.
    Failback(Box<FailbackRecord>),
}

impl PlacementJob {
    /// Which job it is.
    pub fn reference(&self) -> JobRef {
        match self {
            Self::Failover(job) => JobRef::Failover(job.id),
            Self::Failback(job) => JobRef::Failback(job.id),
        }
    }

    /// How far it is.
    pub fn progress(&self) -> &Progress {
        match self {
            Self::Failover(job) => &job.progress,
            Self::Failback(job) => &job.progress,
        }
    }

    pub(super) fn command(&self, authority: &Authority) -> Option<Command> {
        match self {
            Self::Failover(job) => job.command(authority),
            Self::Failback(job) => job.command(authority),
        }
    }

    pub(super) fn handle(&mut self, event: &Event, authority: &mut Authority, now: Timestamp) {
        match self {
            Self::Failover(job) => job.handle(event, authority, now),
            Self::Failback(job) => job.handle(event, authority, now),
        }
    }

    pub(super) fn hold_time(&mut self, now: Timestamp) {
        match self {
            Self::Failover(job) => job.hold_time(now),
            Self::Failback(job) => job.hold_time(now),
        }
    }

    pub(super) fn outlive(&mut self, authority: &mut Authority) {
        match self {
            Self::Failover(job) => job.outlive(authority),
            Self::Failback(job) => job.outlive(authority),
        }
    }

    pub(super) fn overrule(&mut self, now: Timestamp) {
        match self {
            Self::Failover(job) => job.overrule(now),
            Self::Failback(job) => job.overrule(now),
        }
    }

    pub(super) fn state(&self) -> PlacementState {
        match self {
            Self::Failover(job) if job.turned_back.is_some() => PlacementState::RollingBack,
            Self::Failover(job) if job.progress.step == Step::AwaitCommit => {
                PlacementState::TargetUncommitted
            }
            Self::Failover(_) => PlacementState::FailingOver,
            Self::Failback(job) if job.turned_back.is_some() => PlacementState::RollingBack,
            Self::Failback(job) => match job.progress.step {
                Step::ResumeForward | Step::StopInstance | Step::SealBranch => {
                    PlacementState::SourceActive
                }
                Step::AwaitCommit => PlacementState::SourceUncommitted,
                Step::QuiesceTarget
                | Step::FinalDelta
                | Step::CompareDigests
                | Step::FenceHome
                | Step::BootHome => PlacementState::FailingBack,
                _ if job.seeded => PlacementState::ReverseProtected,
                _ => PlacementState::Reversing,
            },
        }
    }
}

/// A job's kind and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobRef {
    /// A failover.
    Failover(FailoverId),
    /// A failback.
    Failback(FailbackId),
}
