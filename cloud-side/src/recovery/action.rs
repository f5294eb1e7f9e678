//! What goes in and out of the placement machine: events, commands and answers. Plain data.
//!
//! Every command that changes whether a site may write carries a generation higher than all that
//! site was told before; a site persists the highest it met and refuses anything older. So a command
//! that arrives late, or twice, never undoes a newer one. Writes ship under the generation under which
//! they were made, never under a newer one that the site only heard of: otherwise the tail of a source
//! that was cut would pass the fence.

use super::{
    authority::{Site, Ticket},
    record::{BranchName, ConfirmedDisk, HomeDisk, InstanceName, PointChoice, SeedMethod},
};
use crate::receive::PointId;
use bcdr_format::{Generation, Position, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What has to be carried out now, under this ticket.
///
/// Commands of a group are carried out one at a time: whoever is given a newer one first ends the
/// one before or waits for it. Each ends in [`Event::StepDone`] or [`Event::StepFailed`] with its
/// ticket, in limited time. Each may be repeated after a kill and has to find what it did before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The attempt it belongs to.
    pub ticket: Ticket,
    /// What to do.
    pub action: Action,
}

/// The work of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Look at settings, target and point. Answer: done.
    Precheck,
    /// Look whether the source is there and tracks every write, and choose the point that its disks
    /// are put back to. Answer: pinned.
    PrecheckRestore {
        /// What was asked for.
        choice: PointChoice,
    },
    /// Ask whether the source serves. Answer: probed.
    ProbeSource,
    /// Have the source stop writes, and remember the generation. Answer: done.
    QuiesceSource {
        /// It serves writable again only under a higher one.
        generation: Generation,
    },
    /// Wait until all that the source holds is durable here. Answer: drained.
    DrainSource,
    /// Bookmark all that the drained source wrote, under this label, unless that was done. Answer:
    /// pinned.
    PlaceBookmark {
        /// The label.
        label: String,
        /// The bookmark may not be before this.
        not_before: Position,
    },
    /// Make the generation durable; from then on refuse what is older, also in batches that were
    /// received before and are committed after. Answer: fenced, with what is durable.
    Fence {
        /// The new generation.
        generation: Generation,
        /// Whose it is.
        holder: Site,
    },
    /// Choose the point and hold it, for as long as the job and its branch exist. Answer: pinned.
    PinPoint {
        /// What was asked for.
        choice: PointChoice,
        /// After a drain: the point may not be before this.
        not_before: Option<Position>,
    },
    /// Make a writable branch at the point. Answer: branch created.
    CreateBranch {
        /// The pinned point.
        point: PointId,
    },
    /// Start the instance on the branch, by the launch settings of the record. Answer: booted.
    BootInstance {
        /// The branch takes writes under it, and no longer when a newer one is fenced.
        generation: Generation,
        /// The branch.
        branch: BranchName,
    },
    /// Climb the verification ladder. Answer: climbed.
    ClimbRungs {
        /// The instance.
        instance: InstanceName,
    },
    /// End the group's instance, whether or not it was ever started. Answer: done.
    StopInstance {
        /// It starts again only under this or a higher one.
        generation: Generation,
    },
    /// Keep the group's branch, if it was made, read-only as evidence. Answer: done.
    SealBranch,
    /// Let the source serve writable. Answer: done.
    ReleaseSource {
        /// Under this generation.
        generation: Generation,
    },
    /// Identify the disks at home. Answer: inspected.
    InspectHome,
    /// Keep home from serving its disks. Answer: done.
    HoldHome {
        /// The generation it has to know.
        generation: Generation,
    },
    /// Keep what home wrote after the point as a read-only branch. Answer: left behind.
    KeepLeftBehind {
        /// Where the two histories part.
        point: PointId,
    },
    /// Find out what has to be sent. Answer: seed planned.
    PlanSeed {
        /// The confirmed disks.
        disks: Vec<ConfirmedDisk>,
    },
    /// Bring the disks at home to the branch's present. Overwrites them. Home refuses it while it
    /// serves, when it knows a newer generation, and for a disk whose serial is not the confirmed
    /// one. Answer: copied.
    CopyRound {
        /// Whose copy it is.
        generation: Generation,
        /// The confirmed disks.
        disks: Vec<ConfirmedDisk>,
        /// How differences are found.
        method: SeedMethod,
    },
    /// Bring the disks of a held source to a point of its own history, proven by digest. Refused as a
    /// round is. Answer: restored.
    RestoreDisks {
        /// Whose work it is.
        generation: Generation,
        /// The point.
        point: PointId,
        /// The disks, as they were identified.
        disks: Vec<ConfirmedDisk>,
    },
    /// End the instance in order, so that its branch is complete. Answer: done.
    QuiesceTarget {
        /// It starts again only under a higher one.
        generation: Generation,
    },
    /// Send what changed since the last round; refused as a round is. Answer: copied.
    FinalDelta {
        /// That of the cutover: home refuses a round that comes after it.
        generation: Generation,
        /// The confirmed disks.
        disks: Vec<ConfirmedDisk>,
    },
    /// Compare the disks at home with the branch. Answer: compared.
    CompareDigests {
        /// The confirmed disks.
        disks: Vec<ConfirmedDisk>,
    },
    /// Let home serve its disks. Answer: done.
    BootHome {
        /// Under this generation.
        generation: Generation,
    },
    /// Go on with forward protection, from what is equal on both sides. Answer: done.
    ResumeForward {
        /// The generation of the stream.
        generation: Generation,
    },
    /// Have home stop serving. Answer: done.
    StopHome {
        /// It serves writable again only under a higher one.
        generation: Generation,
    },
    /// Keep what home wrote since the cutover as a read-only branch. Answer: left behind.
    KeepHomeWrites,
    /// Start the instance again on its branch. Answer: booted.
    RestartTarget {
        /// The branch takes writes under it.
        generation: Generation,
        /// The branch.
        branch: BranchName,
    },
    /// Cut the source: an operator decided that the target is kept. Answer: done.
    HoldSource {
        /// It serves writable again only under a higher one.
        generation: Generation,
    },
    /// Let branch and instance, if there are any, go on under a new generation. Answer: done.
    AdoptGeneration {
        /// The generation.
        generation: Generation,
    },
}

/// What a probe of the source found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Probe {
    /// Nobody answered.
    Unreachable,
    /// It answered.
    Seen {
        /// The highest generation it knows.
        generation: Generation,
        /// Whether it serves.
        serving: Serving,
    },
}

/// Whether a site serves its disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Serving {
    /// It takes writes.
    Writable,
    /// It serves reads only.
    ReadOnly,
    /// It does not serve.
    No,
}

/// What a step that was done has to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepResult {
    /// Nothing but that.
    Done,
    /// A probe's finding.
    Probed(Probe),
    /// The source holds nothing that is not published here.
    Drained {
        /// The point that holds all it wrote.
        position: Position,
    },
    /// A fence's outcome.
    Fenced {
        /// The generation that is durable now.
        generation: Generation,
    },
    /// The point is held.
    Pinned {
        /// Its id.
        point: PointId,
        /// Its time.
        time: Timestamp,
    },
    /// The branch exists.
    BranchCreated {
        /// Its name.
        branch: BranchName,
    },
    /// The instance runs.
    Booted {
        /// Its name.
        instance: InstanceName,
    },
    /// The ladder was climbed as far as it went.
    Climbed {
        /// Whether every awaited rung was passed.
        passed: bool,
        /// What was observed, in a sentence.
        detail: String,
    },
    /// The disks at home.
    Inspected {
        /// One per volume of the group.
        disks: Vec<HomeDisk>,
    },
    /// What was left behind is kept.
    LeftBehind {
        /// The read-only branch; none when nothing was written there.
        branch: Option<BranchName>,
    },
    /// It is known what has to be sent.
    SeedPlanned {
        /// How differences are found.
        method: SeedMethod,
        /// Bytes to send, as far as they are known.
        bytes: Option<u64>,
    },
    /// A round is over.
    Copied {
        /// Bytes sent.
        sent_bytes: u64,
        /// Bytes that changed meanwhile.
        remaining_bytes: u64,
    },
    /// The disks hold the point.
    Restored {
        /// Bytes of content that went to them.
        fetched_bytes: u64,
        /// Bytes written to them.
        written_bytes: u64,
    },
    /// A comparison's outcome.
    Compared {
        /// Whether all digests are equal.
        equal: bool,
        /// What was found, in a sentence.
        detail: String,
    },
}

/// What happens to a group's placement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A command did what it is for.
    StepDone {
        /// The command's ticket.
        ticket: Ticket,
        /// What it has to tell.
        result: StepResult,
    },
    /// A command did not, or it is not known whether it did.
    StepFailed {
        /// The command's ticket.
        ticket: Ticket,
        /// The stable code that programs match on.
        code: String,
        /// What happened.
        cause: String,
        /// What to do about it.
        remedy: String,
    },
    /// The source showed itself.
    SourceSeen {
        /// The highest generation it knows.
        generation: Generation,
        /// Whether it serves.
        serving: Serving,
    },
    /// Operator: make the failover or failback final.
    Commit,
    /// Operator: undo the failover, the cutover or the failback.
    Rollback,
    /// Operator: give up a job that did not change authority yet.
    Cancel,
    /// Operator: try the failed step again.
    Retry,
    /// Operator: this site's data is kept.
    Keep(Site),
    /// Operator: these disks may be overwritten. A failback begins to copy; a restore that is blocked
    /// tries its step again, on disks that took the place of others.
    ConfirmSeed {
        /// One per volume of a failback; of a restore those that were replaced.
        disks: Vec<ConfirmedDisk>,
    },
    /// Operator: bring production home now.
    Cutover,
    /// Time passed. To be given at least once a second while there is a job.
    Tick,
}
