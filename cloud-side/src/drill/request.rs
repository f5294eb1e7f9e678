//! What goes into a drill and what comes out while it runs. Plain data.

use std::{future::Future, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use bcdr_disk::Storage;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Phase, RungResult, RungScripts};
use crate::target::{DiskSource, InstanceId, LaunchSettings};

/// Computes a digest of the replica at the drill's point, or says why it cannot.
pub type ReplicaDigest =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<String, String>> + Send>> + Send + Sync>;

/// The point a drill boots, as the engine shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PointDescription {
    /// The point's id.
    pub id: String,
    /// Its label, if it has one.
    pub label: Option<String>,
    /// Its time, if it is known.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub time: Option<Timestamp>,
}

/// What to drill.
#[derive(Clone, Debug)]
pub struct DrillRequest {
    /// The drill's id; the instance bears it too, so it must be unique for ever.
    pub drill: InstanceId,
    /// The protection group, as shown in the report.
    pub group: String,
    /// When it was asked for. All times of the drill count from here.
    pub requested_at: Timestamp,
    /// How long it waited since, by a clock that cannot be set: for a free place, for its view.
    pub waited: Duration,
    /// The point.
    pub point: PointDescription,
    /// Read-only exports of the point, in the group's order.
    pub disks: Vec<DiskSource>,
    /// How the machine looks and how it is judged.
    pub settings: LaunchSettings,
    /// Where evidence and report go; a directory of this drill alone.
    pub evidence_directory: PathBuf,
    /// Where throw-away files go; may be shared with other drills.
    pub runtime_directory: PathBuf,
    /// How long the machine is left running after the last rung, in seconds. A stop ends it early.
    pub hold_seconds: u32,
}

/// What the engine works with.
#[derive(Clone)]
pub struct DrillContext {
    /// Where evidence is kept.
    pub storage: Arc<dyn Storage>,
    /// Who wants to follow the drill.
    pub progress: Option<mpsc::Sender<DrillProgress>>,
    /// Asks the drill to stop. The clean-up follows at once.
    pub stop: CancellationToken,
    /// Runs the scripts that judge the machine.
    pub scripts: Arc<dyn RungScripts>,
    /// Compares the replica before and after, if set.
    pub replica_digest: Option<ReplicaDigest>,
}

/// A step of a running drill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DrillProgress {
    /// The drill's id.
    pub drill: String,
    /// The phase it is in.
    pub phase: Phase,
    /// All rungs so far, lowest first; empty before the boot.
    pub rungs: Vec<RungResult>,
    /// When this was so.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}
