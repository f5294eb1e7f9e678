//! The durable record of the instance that runs a group's production.

use crate::{
    catalog::Document,
    drill::RungResult,
    recovery::{BranchName, FormNumber, InstanceName},
    target::{InstanceRecord, LaunchSettings, NetworkCard},
};
use bcdr_format::{GroupId, Timestamp};
use serde::{Deserialize, Serialize};

/// An instance of a group, from before the first thing of it exists until it is proven gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RecoveredInstance {
    /// The form of this document.
    pub(crate) form: FormNumber,
    /// The group; it has one at most.
    pub(crate) group: GroupId,
    /// Its name.
    pub(crate) name: InstanceName,
    /// The branch that its disks are.
    pub(crate) branch: BranchName,
    /// All that the target made of it, or was about to make.
    pub(crate) record: InstanceRecord,
    /// How it was launched.
    pub(crate) settings: LaunchSettings,
    /// Its network cards.
    pub(crate) networks: Vec<NetworkCard>,
    /// When it was launched; none before.
    pub(crate) launched_at: Option<Timestamp>,
    /// What became of the rungs; empty before the ladder was climbed.
    pub(crate) rungs: Vec<RungResult>,
}

impl Document for RecoveredInstance {
    const COLLECTION: &'static str = "instances";

    fn key(&self) -> String {
        self.group.to_string()
    }
}
