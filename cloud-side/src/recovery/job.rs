//! The job that changes a group's placement: a failover, a failback or a restore, whichever it is.

use super::{
    action::{Command, Event},
    authority::Authority,
    placement::PlacementState,
    record::{
        FailbackId, FailbackRecord, FailoverId, FailoverRecord, RestoreEnd, RestoreJobId,
        RestoreRecord,
    },
    step::{Progress, Step},
};
use crate::catalog::Document;
use bcdr_format::{GroupId, Timestamp};
use serde::{Deserialize, Serialize};
use std::{fmt::Display, str::FromStr};

/// The job that changes the placement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlacementJob {
    /// To the target.
    Failover(Box<FailoverRecord>),
    /// Home.
    Failback(Box<FailbackRecord>),
    /// The source's own disks to an earlier point.
    Restore(Box<RestoreRecord>),
}

impl PlacementJob {
    /// Which job it is.
    pub fn reference(&self) -> JobRef {
        match self {
            Self::Failover(job) => JobRef::Failover(job.id),
            Self::Failback(job) => JobRef::Failback(job.id),
            Self::Restore(job) => JobRef::Restore(job.id),
        }
    }

    /// How far it is.
    pub fn progress(&self) -> &Progress {
        match self {
            Self::Failover(job) => &job.progress,
            Self::Failback(job) => &job.progress,
            Self::Restore(job) => &job.progress,
        }
    }

    pub(super) fn command(&self, authority: &Authority) -> Option<Command> {
        match self {
            Self::Failover(job) => job.command(authority),
            Self::Failback(job) => job.command(authority),
            Self::Restore(job) => job.command(authority),
        }
    }

    pub(super) fn handle(&mut self, event: &Event, authority: &mut Authority, now: Timestamp) {
        match self {
            Self::Failover(job) => job.handle(event, authority, now),
            Self::Failback(job) => job.handle(event, authority, now),
            Self::Restore(job) => job.handle(event, authority, now),
        }
    }

    pub(super) fn hold_time(&mut self, now: Timestamp) {
        match self {
            Self::Failover(job) => job.hold_time(now),
            Self::Failback(job) => job.hold_time(now),
            // No time runs in it.
            Self::Restore(_) => {}
        }
    }

    pub(super) fn outlive(&mut self, authority: &mut Authority, now: Timestamp) {
        match self {
            Self::Failover(job) => job.outlive(authority),
            Self::Failback(job) => job.outlive(authority),
            Self::Restore(job) => job.outlive(authority, now),
        }
    }

    pub(super) fn overrule(&mut self, now: Timestamp) {
        match self {
            Self::Failover(job) => job.overrule(now),
            Self::Failback(job) => job.overrule(now),
            Self::Restore(job) => job.end_as(RestoreEnd::Cancelled, now),
        }
    }

    pub(super) fn state(&self) -> PlacementState {
        match self {
            Self::Failover(job) if job.turned_back.is_some() => PlacementState::RollingBack,
            Self::Failover(job) if job.progress.step == Step::AwaitCommit => {
                PlacementState::TargetUncommitted
            }
            Self::Failover(_) => PlacementState::FailingOver,
            Self::Restore(job) if !job.holds_source() => PlacementState::SourceActive,
            Self::Restore(job) if job.turned_back.is_some() => PlacementState::RollingBack,
            Self::Restore(_) => PlacementState::Restoring,
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

/// The durable record of one kind of placement job.
pub trait PlacementRecord: Document + Clone + Send + 'static {
    /// What names one.
    type Id: Copy + Eq + FromStr + Display + Send + 'static;

    /// Which one it is.
    fn id(&self) -> Self::Id;

    /// The group whose placement it changes.
    fn group(&self) -> GroupId;

    /// The key of the record with this id; newer ones come first.
    fn key_of(id: Self::Id) -> String;

    /// The job with this id.
    fn reference(id: Self::Id) -> JobRef;

    /// The job's record, if it is of this kind.
    fn of(job: &PlacementJob) -> Option<&Self>;

    /// The job of which this is the record.
    fn into_job(self) -> PlacementJob;
}

macro_rules! placement_record {
    ($record:ident, $id:ident, $kind:ident) => {
        impl PlacementRecord for $record {
            type Id = $id;

            fn id(&self) -> $id {
                self.id
            }

            fn group(&self) -> GroupId {
                self.group
            }

            fn key_of(id: $id) -> String {
                id.newest_first_key()
            }

            fn reference(id: $id) -> JobRef {
                JobRef::$kind(id)
            }

            fn of(job: &PlacementJob) -> Option<&Self> {
                match job {
                    PlacementJob::$kind(job) => Some(job),
                    _ => None,
                }
            }

            fn into_job(self) -> PlacementJob {
                PlacementJob::$kind(Box::new(self))
            }
        }
    };
}

placement_record!(FailoverRecord, FailoverId, Failover);
placement_record!(FailbackRecord, FailbackId, Failback);
placement_record!(RestoreRecord, RestoreJobId, Restore);

/// A job's kind and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobRef {
    /// A failover.
    Failover(FailoverId),
    /// A failback.
    Failback(FailbackId),
    /// A restore.
    Restore(RestoreJobId),
}
