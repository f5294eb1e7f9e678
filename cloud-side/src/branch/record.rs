//! The durable record of a branch: what it is made of and how far its making or removal got.

use crate::{
    catalog::Document,
    receive::{BatchNumber, Lineage, PointId},
    record_id::BranchId,
};
use bcdr_format::{Generation, GroupId, Timestamp};
use serde::{Deserialize, Serialize};

/// What a branch is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BranchReason {
    /// It carries the recovered machine in a failover.
    Failover,
    /// It keeps what the source wrote and had not replicated when it failed.
    LeftBehind,
    /// Somebody wanted a writable copy of a point.
    Copy,
}

/// How a branch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BranchState {
    /// It is being made; nobody was told of it yet.
    Making,
    /// It can be used.
    Ready,
    /// It is kept as evidence: it can be read, and is never served to be written to again.
    Sealed,
    /// It is being removed and is never used again.
    Removing,
}

/// The image a branch began as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchBase {
    /// The history that holds it: a group's own, or another branch's.
    pub lineage: Lineage,
    /// The batch it is the end of.
    pub batch: BatchNumber,
    /// The point it is.
    pub point: PointId,
}

/// A branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchRecord {
    /// Its id.
    pub id: BranchId,
    /// Its own history; the stream is the branch's alone.
    pub lineage: Lineage,
    /// What lies beneath it.
    pub base: BranchBase,
    /// What it is for.
    pub reason: BranchReason,
    /// Which failover, failback or restore it was made for; such a one makes each of its branches
    /// once, however often it asks.
    #[serde(default)]
    pub made_for: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// How it stands.
    pub state: BranchState,
    /// The group's generation when it was made.
    pub generation: Generation,
}

impl BranchRecord {
    /// The group it belongs to.
    pub fn group(&self) -> GroupId {
        self.lineage.group
    }
}

impl Document for BranchRecord {
    const COLLECTION: &'static str = "branches";

    fn key(&self) -> String {
        self.id.to_string()
    }
}
