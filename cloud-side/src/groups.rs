//! The groups this process serves: what is known of each, and who feeds it now.
//!
//! Each group's stored state has one writer, the owner thread of its lineage; the link state has
//! one, the session that feeds it. Everybody else reads snapshots, so nobody waits for a disk or a
//! network to show how a group is.

pub(crate) mod damage;
pub(crate) mod status;

use crate::{
    catalog::GroupRecord,
    clock::{self, RunClock},
    receive::{
        Lineage, MarkerOutcome, PublishedPoint, ReceiverRun, RpoBasis,
        lineage_state::{LineageState, OpenSync},
        recovery_point_age,
    },
    receiver::{owner::OwnerHandle, slot::SessionSlot},
    replica::LineageReader,
};
use bcdr_format::{
    Generation, GroupId, IncarnationId, MarkerId, Position, Timestamp, VolumeId, continuity::Fork,
    record::Member,
};
use bcdr_wire::{
    feed::CaptureReport,
    order::{Duty, OrderNumber, SourceOrder},
};
use damage::Damage;
use status::Known;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};
use tokio::sync::{oneshot, watch};

/// What is durable of a lineage, as its owner last told.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) generation: Generation,
    pub(crate) held: Option<Position>,
    /// The life that the last position belongs to.
    pub(crate) held_in: Option<IncarnationId>,
    pub(crate) published: Option<PublishedPoint>,
    pub(crate) open_syncs: Vec<OpenSync>,
    pub(crate) forks: Vec<Fork>,
    pub(crate) initial_sync_done: bool,
    pub(crate) members: Vec<Member>,
    pub(crate) rpo: RpoBasis,
    /// The run that the newest published beat quotes.
    pub(crate) beat_run: Option<ReceiverRun>,
    /// Batches held.
    pub(crate) batches: u64,
    /// Points held, counted every second.
    pub(crate) points: u64,
    /// What keeps the store from taking data, if anything does.
    pub(crate) obstacle: Option<String>,
    /// Syncs of the log that failed since it was opened.
    pub(crate) failed_syncs: u64,
}

impl Stored {
    pub(crate) fn of(state: &LineageState) -> Self {
        Self {
            generation: state.generation(),
            held: state.held().map(|held| held.position),
            held_in: state.held().map(|held| held.id),
            published: state.published(),
            open_syncs: state.open_syncs().copied().collect(),
            forks: state.open_forks().to_vec(),
            initial_sync_done: state.initial_sync_done(),
            members: state.members().copied().collect(),
            rpo: state.rpo_basis(),
            beat_run: None,
            batches: state.next_batch().0,
            points: 0,
            obstacle: None,
            failed_syncs: 0,
        }
    }

    /// Whether the stream knows a volume.
    pub(crate) fn follows(&self, volume: VolumeId) -> bool {
        self.members.iter().any(|member| member.id == volume)
    }
}

/// Who feeds a group now, and what the feeder told.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    /// The gateway of the session that is up.
    pub(crate) gateway: Option<String>,
    /// Since when that is so, or since when there is none.
    pub(crate) gateway_since: Timestamp,
    /// What the gateway last told about the capture, in this session.
    pub(crate) capture: Option<CaptureTold>,
    /// The last position received, durable or not, in this session.
    pub(crate) received: Option<Position>,
}

/// What a gateway told about a capture.
#[derive(Debug, Clone)]
pub(crate) struct CaptureTold {
    /// The capture's own report; none while it is not connected to the gateway.
    pub(crate) report: Option<CaptureReport>,
    /// Since when it is connected or gone, on the gateway's clock.
    pub(crate) since: Timestamp,
    /// Bytes that wait in the gateway's spool.
    pub(crate) spooled_bytes: u64,
}

/// One group.
#[derive(Debug)]
pub(crate) struct Group {
    record: GroupRecord,
    pub(crate) stored: watch::Sender<Stored>,
    pub(crate) link: watch::Sender<Link>,
    /// The order its source has; derived from its placement, which alone changes it.
    pub(crate) order: watch::Sender<SourceOrder>,
    pub(crate) slot: SessionSlot,
    pub(crate) owner: OwnerHandle,
    reader: watch::Receiver<Option<Arc<LineageReader>>>,
    /// What could not be read of what is kept.
    pub(crate) damage: Damage,
    markers: Mutex<HashMap<MarkerId, oneshot::Sender<MarkerOutcome>>>,
}

impl Group {
    pub(crate) fn new(
        record: GroupRecord,
        stored: watch::Sender<Stored>,
        owner: OwnerHandle,
        reader: watch::Receiver<Option<Arc<LineageReader>>>,
        damage: Damage,
    ) -> Self {
        let link = Link {
            gateway: None,
            gateway_since: clock::wall(),
            capture: None,
            received: None,
        };
        let order = SourceOrder {
            generation: stored.borrow().generation,
            number: OrderNumber::ASSUMED,
            duty: Duty::Serve,
        };
        Self {
            record,
            stored,
            link: watch::Sender::new(link),
            order: watch::Sender::new(order),
            slot: SessionSlot::default(),
            owner,
            reader,
            damage,
            markers: Mutex::new(HashMap::new()),
        }
    }

    pub(crate) fn record(&self) -> &GroupRecord {
        &self.record
    }

    pub(crate) fn id(&self) -> GroupId {
        self.record.id
    }

    pub(crate) fn lineage(&self) -> Lineage {
        self.record.lineage()
    }

    /// The name of one of its volumes.
    pub(crate) fn volume_name(&self, id: VolumeId) -> Option<&str> {
        let volume = self.record.volumes.iter().find(|volume| volume.id == id)?;
        Some(&volume.name)
    }

    /// The shared reading side of its store; none while the store cannot be opened.
    pub(crate) fn reader(&self) -> Option<Arc<LineageReader>> {
        self.reader.borrow().clone()
    }

    /// Has `outcome` sent what becomes of a marker.
    pub(crate) fn await_marker(&self, id: MarkerId, outcome: oneshot::Sender<MarkerOutcome>) {
        self.markers().insert(id, outcome);
    }

    /// Nobody waits for this marker any more.
    pub(crate) fn forget_marker(&self, id: MarkerId) {
        self.markers().remove(&id);
    }

    /// A marker's batch is durable.
    pub(crate) fn marker_arrived(&self, outcome: MarkerOutcome) {
        if let Some(waiting) = self.markers().remove(&outcome.id) {
            // Whoever asked may have given up; the point is there all the same.
            let _gone = waiting.send(outcome);
        }
    }

    fn markers(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<MarkerId, oneshot::Sender<MarkerOutcome>>> {
        self.markers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The age of the newest point; none before the first.
    pub(crate) fn age(&self, clock: &RunClock) -> Option<Duration> {
        let stored = self.stored.borrow();
        recovery_point_age(
            &stored.rpo,
            &clock.run(),
            clock.now_nanoseconds(),
            stored.beat_run.as_ref(),
        )
    }

    /// Gives `read` all that is known of the group now.
    pub(crate) fn with_known<Output>(
        &self,
        clock: &RunClock,
        cleanup_failed: bool,
        read: impl FnOnce(&Known<'_>, &Stored, &Link) -> Output,
    ) -> Output {
        let age = self.age(clock);
        let stored = self.stored.borrow().clone();
        let link = self.link.borrow().clone();
        let unreadable = self.damage.shown();
        // Before anything was received, nothing is known of any volume.
        let volumes = self.record.volumes.iter();
        let unfollowed: Vec<&str> = volumes
            .filter(|volume| stored.held.is_some() && !stored.follows(volume.id))
            .map(|volume| volume.name.as_str())
            .collect();
        let known = Known {
            received_anything: stored.held.is_some(),
            gateway_since: link.gateway.is_some().then_some(link.gateway_since),
            gateway_gone_since: link.gateway_since,
            capture_told: link.capture.is_some(),
            capture_since: link.capture.as_ref().map(|told| told.since),
            report: link.capture.as_ref().and_then(|told| told.report.as_ref()),
            open_syncs: &stored.open_syncs,
            forks: &stored.forks,
            initial_sync_done: stored.initial_sync_done,
            obstacle: stored.obstacle.as_deref(),
            age,
            unreadable: unreadable.as_deref(),
            cleanup_failed,
            unfollowed: &unfollowed,
        };
        read(&known, &stored, &link)
    }
}

/// All groups.
#[derive(Debug, Default)]
pub(crate) struct Groups(RwLock<BTreeMap<GroupId, Arc<Group>>>);

impl Groups {
    pub(crate) fn insert(&self, group: Arc<Group>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(group.id(), group);
    }

    /// All groups, oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Group>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.values().cloned().collect()
    }

    pub(crate) fn get(&self, id: GroupId) -> Option<Arc<Group>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(&id).cloned()
    }

    /// The group with this id or name.
    pub(crate) fn find(&self, id_or_name: &str) -> Option<Arc<Group>> {
        if let Some(group) = id_or_name.parse().ok().and_then(|id| self.get(id)) {
            return Some(group);
        }
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.values()
            .find(|group| group.record.name == id_or_name)
            .cloned()
    }
}
