//! The durable records of failovers, failbacks and restores, and the words in them. Plain data.

use super::{
    countdown::{CommitPolicy, Countdown},
    preview::LossWindow,
    step::{Failure, Progress},
};
use crate::{
    catalog::Document,
    receive::PointId,
    target::{LaunchSettings, NetworkCard},
};
use bcdr_format::{Generation, GroupId, Position, Timestamp, VolumeId};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

pub use crate::record_id::{FailbackId, FailoverId, ParseRecordIdError, RestoreJobId};

/// The form in which this release writes placements and their records.
const FORM: u32 = 1;

/// The number of a document's form. A form that this release does not know is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct FormNumber(u32);

impl FormNumber {
    /// The form of this release.
    pub const CURRENT: Self = Self(FORM);
}

impl<'de> Deserialize<'de> for FormNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = u32::deserialize(deserializer)?;
        if found != FORM {
            return Err(serde::de::Error::custom(format!(
                "it has form {found}, this release knows form {FORM}: start the release that wrote it"
            )));
        }
        Ok(Self(found))
    }
}

/// The name of a branch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BranchName(pub String);

/// The name of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceName(pub String);

/// Whether production is stopped in order first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailoverMode {
    /// The source stops writes and everything is received: nothing is lost.
    Planned,
    /// The source is not asked; what was not received is lost to the target.
    Emergency,
}

/// Which point is booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PointChoice {
    /// The newest when the point is pinned, which is after the fence.
    Latest,
    /// The greatest point that is not after this instant.
    NotAfter(Timestamp),
    /// This one.
    Point(PointId),
}

/// What an operator asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailoverRequest {
    /// Chosen by the client; a second request with it gets the first one's failover.
    pub request_id: String,
    /// Who asked.
    pub operator: String,
    /// Planned or emergency.
    pub mode: FailoverMode,
    /// The point.
    pub point: PointChoice,
    /// What happens when nobody decides.
    pub policy: CommitPolicy,
    /// The operator vouches that the source is isolated, although it was seen serving.
    pub isolation_confirmed: bool,
    /// When production stopped, as the operator knows it.
    pub interrupted_at: Option<Timestamp>,
    /// How the instance looks and how its boot is judged.
    pub launch: LaunchSettings,
    /// What its network cards are connected to.
    pub networks: Vec<NetworkCard>,
    /// The loss that was shown before the request.
    pub preview: Option<LossWindow>,
}

/// How a failover ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailoverEnd {
    /// The target is where production runs.
    Committed,
    /// It was undone; the source is the authority again, the branch is kept as evidence.
    RolledBack,
    /// It failed before authority moved for good; the source is the authority.
    Failed,
    /// It was given up before authority moved; the source is the authority.
    Cancelled,
    /// Two sites served, and an operator kept the source.
    SourceKept,
}

/// What became of the ladder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LadderOutcome {
    /// Whether every awaited rung was passed.
    pub passed: bool,
    /// What was observed, in a sentence.
    pub detail: String,
}

/// A failover: its durable record, which is also all that its machine remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailoverRecord {
    /// The form of this document.
    pub form: FormNumber,
    /// Its id.
    pub id: FailoverId,
    /// The group.
    pub group: GroupId,
    /// What was asked for.
    pub request: FailoverRequest,
    /// When.
    pub requested_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How it ended.
    pub end: Option<FailoverEnd>,
    /// How far it is.
    pub progress: Progress,
    /// The generation of the authority change it is in or made last.
    pub generation: Option<Generation>,
    /// How it will end, once it turned back.
    pub turned_back: Option<FailoverEnd>,
    /// The point that held all the source wrote, after a drain.
    pub drained: Option<Position>,
    /// The pinned point. It never changes.
    pub point: Option<PointId>,
    /// The time of that point.
    pub point_time: Option<Timestamp>,
    /// The branch.
    pub branch: Option<BranchName>,
    /// The instance.
    pub instance: Option<InstanceName>,
    /// What became of the ladder.
    pub ladder: Option<LadderOutcome>,
    /// The time left until the policy decides.
    pub countdown: Option<Countdown>,
    /// The source's disks belong to a restore that was set aside for this failover: the way back ends
    /// without letting the source serve.
    #[serde(default)]
    pub leaves_source_held: bool,
}

impl Document for FailoverRecord {
    const COLLECTION: &'static str = "failovers";

    /// Newer failovers come first.
    fn key(&self) -> String {
        self.id.newest_first_key()
    }
}

/// What is at home to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Seed {
    /// The disk that production ran on; what it wrote after the fork is kept first.
    OriginalDisk,
    /// A new disk.
    BlankDisk,
    /// A disk restored from an image that nothing was written to since.
    UnmodifiedImage,
}

/// How differences are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeedMethod {
    /// By the ranges changed on both sides since the fork; continuity is proven.
    ChangedRanges,
    /// By comparing hashes of everything.
    HashCompare,
    /// Not at all: everything is sent.
    FullCopy,
}

/// A disk found at home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HomeDisk {
    /// The volume it is for.
    pub volume: VolumeId,
    /// By which an operator recognises it.
    pub serial: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Whether it holds nothing but zeroes and holes.
    pub blank: bool,
}

/// A disk that an operator allowed to be overwritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmedDisk {
    /// The volume it is for.
    pub volume: VolumeId,
    /// Its serial, as the operator typed it.
    pub serial: String,
}

/// What an operator asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailbackRequest {
    /// Chosen by the client; a second request with it gets the first one's failback.
    pub request_id: String,
    /// Who asked.
    pub operator: String,
    /// What is at home to begin with.
    pub seed: Seed,
    /// The disks that may be overwritten, if the operator already knows them.
    pub confirmed: Vec<ConfirmedDisk>,
    /// What happens when nobody decides.
    pub policy: CommitPolicy,
    /// Seconds between two rounds.
    pub round_every_seconds: u32,
}

/// How a failback ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailbackEnd {
    /// Production runs at home, protected forwards.
    Committed,
    /// It was undone after the cutover; the target is the authority again.
    RolledBack,
    /// It failed before anything at home was overwritten.
    Failed,
    /// It was given up before the cutover.
    Cancelled,
    /// Two sites served, and an operator kept the source.
    SourceKept,
}

/// A failback: its durable record, which is also all that its machine remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailbackRecord {
    /// The form of this document.
    pub form: FormNumber,
    /// Its id.
    pub id: FailbackId,
    /// The group.
    pub group: GroupId,
    /// What was asked for.
    pub request: FailbackRequest,
    /// When.
    pub requested_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How it ended.
    pub end: Option<FailbackEnd>,
    /// How far it is.
    pub progress: Progress,
    /// The generation of the authority change it is in or made last.
    pub generation: Option<Generation>,
    /// The point where the two histories part.
    pub fork: PointId,
    /// The branch that production runs on.
    pub branch: BranchName,
    /// The instance, after it was started again.
    pub instance: Option<InstanceName>,
    /// The disks found at home.
    pub inspected: Vec<HomeDisk>,
    /// The disks that may be overwritten; empty until an operator confirmed them.
    pub confirmed: Vec<ConfirmedDisk>,
    /// The read-only branch of what home wrote after the fork.
    pub left_behind: Option<BranchName>,
    /// The read-only branch of what home wrote after a cutover that was undone.
    pub home_writes: Option<BranchName>,
    /// How differences are found in the next round.
    pub method: Option<SeedMethod>,
    /// Whether home was brought to the branch's present at least once.
    pub seeded: bool,
    /// The time whose state of the branch home holds at least: when the last complete copy began; not
    /// known of records that an older release wrote.
    #[serde(default)]
    pub followed_at: Option<Timestamp>,
    /// Whether home was proven equal to the branch, at the cutover.
    pub proven_equal: bool,
    /// Bytes sent by all rounds.
    pub sent_bytes: u64,
    /// Bytes that changed during the last round.
    pub remaining_bytes: Option<u64>,
    /// How the job goes on after an undone cutover or authority change.
    pub turned_back: Option<TurnedBack>,
    /// The time left until the next round, or until the policy decides.
    pub countdown: Option<Countdown>,
}

/// Where a failback that turned back is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TurnedBack {
    /// To the rounds: the cutover did not get to its fence.
    ToRounds,
    /// To its end: production stays at the target.
    ToEnd,
}

impl Document for FailbackRecord {
    const COLLECTION: &'static str = "failbacks";

    /// Newer failbacks come first.
    fn key(&self) -> String {
        self.id.newest_first_key()
    }
}

/// What an operator asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreRequest {
    /// Chosen by the client; a second request with it gets the first one's restore.
    pub request_id: String,
    /// Who asked.
    pub operator: String,
    /// The point.
    pub point: PointChoice,
    /// The restore that it undoes, if it does.
    pub undoes: Option<RestoreJobId>,
    /// What was to be put back, as it was known before the request.
    pub preview: Option<LossWindow>,
}

/// How a restore ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RestoreEnd {
    /// The source serves the point, protected.
    Restored,
    /// The source serves the point; a failover began before it was protected again.
    Unprotected,
    /// It was given up while disks were written to: the source serves what it held before.
    PutBack,
    /// It failed before anything was written; the source serves what it has.
    Failed,
    /// It was given up before anything was written; the source serves what it has.
    Cancelled,
    /// Production was failed over for good before it was over.
    FailedOver,
}

/// A restore in place: its durable record, which is also all that its machine remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreRecord {
    /// The form of this document.
    pub form: FormNumber,
    /// Its id.
    pub id: RestoreJobId,
    /// The group.
    pub group: GroupId,
    /// What was asked for.
    pub request: RestoreRequest,
    /// When.
    pub requested_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How it ended.
    pub end: Option<RestoreEnd>,
    /// How far it is.
    pub progress: Progress,
    /// The generation that it took last.
    pub generation: Option<Generation>,
    /// How it will end, once it turned back.
    pub turned_back: Option<RestoreEnd>,
    /// The chosen point. It never changes.
    pub point: Option<PointId>,
    /// The time of that point.
    pub point_time: Option<Timestamp>,
    /// The point that held all the source wrote, after the drain.
    pub drained: Option<Position>,
    /// The bookmark of what the source held; with it the restore can be undone.
    pub undo: Option<PointId>,
    /// The time of the bookmark.
    pub undo_time: Option<Timestamp>,
    /// The disks of the source, as they were identified before the first write.
    pub disks: Vec<HomeDisk>,
    /// Bytes of content that went to the source.
    pub fetched_bytes: u64,
    /// Bytes written to its disks.
    pub written_bytes: u64,
}

impl Document for RestoreRecord {
    const COLLECTION: &'static str = "restores";

    /// Newer restores come first.
    fn key(&self) -> String {
        self.id.newest_first_key()
    }
}

/// Why an operator's wish is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, thiserror::Error)]
#[error("{cause}; {remedy}")]
pub struct Refused {
    /// The stable code that programs match on.
    pub code: String,
    /// What stands in the way.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}

impl Refused {
    pub(super) fn new(code: &str, cause: impl Into<String>, remedy: &str) -> Self {
        Self {
            code: code.to_owned(),
            cause: cause.into(),
            remedy: remedy.to_owned(),
        }
    }

    pub(super) fn into_failure(self, step: super::step::Step) -> Failure {
        Failure {
            step,
            code: self.code,
            cause: self.cause,
            remedy: self.remedy,
        }
    }
}
