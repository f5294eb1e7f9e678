//! What the API, the receiver and the background work share.

use crate::{
    access::Access,
    alerts::Alerts,
    audit::Audit,
    branches::Branches,
    catalog::{Catalog, CreateGroupError, GroupRecord, NewVolume},
    clock::{self, RunClock},
    drills::Drills,
    events::{EventKind, EventObject, Events, News},
    groups::{Group, Groups},
    idempotency::Idempotency,
    jobs::Jobs,
    keys::Keys,
    offload::offload,
    placements::Placements,
    plans::Plans,
    readiness::Inspections,
    receiver::owner::{self, OwnerSettings},
    replica::SpaceFloor,
    reports::Reports,
    returns::Returns,
    rpo_history::RpoHistory,
    schedules::Schedules,
    screens::Screens,
    views::Views,
};
use bcdr_disk::{DiskError, Space};
use bcdr_format::InstallationId;
use std::{net::SocketAddr, sync::Arc};

/// Why a group was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum NewGroupError {
    /// The catalog refused it.
    #[error(transparent)]
    Create(#[from] CreateGroupError),
    /// Its placement cannot be read.
    #[error(transparent)]
    Placement(#[from] crate::catalog::CatalogError),
    /// Its owner's thread could not be started.
    #[error("the thread of the group's store cannot be started: {0}")]
    Thread(#[source] std::io::Error),
    /// The system gave no randomness.
    #[error("the system gives no randomness: {0}")]
    Random(#[from] getrandom::Error),
}

/// The cloud side's parts.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) installation: InstallationId,
    pub(crate) ship_address: SocketAddr,
    pub(crate) clock: RunClock,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) access: Arc<Access>,
    pub(crate) groups: Arc<Groups>,
    pub(crate) owner: OwnerSettings,
    pub(crate) views: Arc<Views>,
    pub(crate) branches: Arc<Branches>,
    pub(crate) returns: Arc<Returns>,
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) drills: Arc<Drills>,
    pub(crate) screens: Arc<Screens>,
    pub(crate) placements: Arc<Placements>,
    pub(crate) plans: Arc<Plans>,
    pub(crate) inspections: Arc<Inspections>,
    pub(crate) reports: Arc<Reports>,
    pub(crate) rpo: Arc<RpoHistory>,
    pub(crate) schedules: Arc<Schedules>,
    pub(crate) idempotency: Arc<Idempotency>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) alerts: Arc<Alerts>,
    pub(crate) events: Arc<Events>,
    /// Held by the one configuration that is being applied.
    pub(crate) applying: Arc<tokio::sync::Mutex<()>>,
}

impl Service {
    /// The free space where replicas are kept.
    pub(crate) async fn space(&self) -> Result<Space, DiskError> {
        let storage = Arc::clone(&self.owner.storage);
        let directory = self.owner.replicas.clone();
        offload(move || storage.space(&directory)).await
    }

    pub(crate) fn space_floor(&self) -> SpaceFloor {
        self.owner.options.space_floor
    }

    /// Makes a group, with its stream, and starts the owner of its store.
    pub(crate) async fn create_group(
        &self,
        name: String,
        volumes: Vec<NewVolume>,
    ) -> Result<Arc<Group>, NewGroupError> {
        let (catalog, settings) = (Arc::clone(&self.catalog), self.owner.clone());
        // One for the group, one for its stream, one for each volume.
        let mut random = Vec::new();
        for _ in 0..volumes.len() + 2 {
            random.push(crate::record_id::random()?);
        }
        let group = offload(move || -> Result<Arc<Group>, NewGroupError> {
            let mut ids = random.into_iter();
            let mut next = || ids.next().expect("there is one for each id");
            let record = catalog.create_group(&name, &volumes, clock::wall(), &mut next)?;
            start(settings, record)
        })
        .await?;
        self.groups.insert(Arc::clone(&group));
        self.placements.open(Arc::clone(&group)).await?;
        self.events.tell(News {
            kind: EventKind::Changed,
            object: EventObject::Group,
            object_id: group.id().to_string(),
            group: Some(group.id()),
            summary: format!("group {} was made", group.record().name),
        });
        Ok(group)
    }
}

/// Starts the owner of a group's store. Blocks.
pub(crate) fn start(
    settings: OwnerSettings,
    record: GroupRecord,
) -> Result<Arc<Group>, NewGroupError> {
    owner::start(settings, record).map_err(NewGroupError::Thread)
}
