//! The thread that owns one lineage's store.
//!
//! It takes what queued, judges and appends it in order, makes all of it durable with one sync, and
//! only then tells anybody. What arrives while it syncs waits in the queue and goes into the next
//! sync. When the store fails, the session is ended, and the store is opened again after a pause.

mod lineage;

use super::{slot::SessionNumber, writer::Outlet};
use crate::{
    catalog::{Catalog, GroupRecord},
    clock::RunClock,
    groups::{Group, Stored, damage::Damage},
    keys::Keys,
    replica::{LineageReader, StoreError, StoreOptions},
};
use bcdr_disk::Storage;
use bcdr_format::{
    DataKeyId, Generation, Timestamp,
    batch::{BatchLayout, MAC_BYTES},
    continuity::{Fork, Held},
};
use bcdr_wire::feed::Refusal;
use bytes::Bytes;
use std::{
    path::PathBuf,
    sync::{Arc, OnceLock, mpsc},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

/// Bytes of batches of one lineage that may be in memory, in KiB: the longest batch and more.
const ROOM_KIB: usize = 64 << 10;

/// What a lineage's owner needs.
#[derive(Debug, Clone)]
pub(crate) struct OwnerSettings {
    pub(crate) storage: Arc<dyn Storage>,
    /// The directory of all lineages.
    pub(crate) replicas: PathBuf,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) options: StoreOptions,
    pub(crate) keys: Arc<Keys>,
    pub(crate) clock: RunClock,
    /// Told after each commit that added batches, for the run builder.
    pub(crate) committed: mpsc::Sender<Arc<LineageReader>>,
    /// Told when only a new process can go on, with the reason.
    pub(crate) give_up: watch::Sender<Option<String>>,
}

/// The lineage's owner is gone: the process is stopping.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("this receiver is stopping")]
pub(crate) struct OwnerGone;

/// Why a fence is not known to stand.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FenceError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Gone(#[from] OwnerGone),
}

/// Where a session begins.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) held: Option<Held>,
    pub(super) fork: Option<Fork>,
    pub(super) chain: [u8; MAC_BYTES],
}

/// A batch on its way to the store.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) session: SessionNumber,
    /// The way to the session's gateway.
    pub(super) outlet: Outlet,
    pub(super) bytes: Bytes,
    pub(super) layout: BatchLayout,
    pub(super) receipt: Timestamp,
    pub(super) room: OwnedSemaphorePermit,
}

enum Work {
    Begin {
        session: SessionNumber,
        outlet: Outlet,
        peer: String,
        reply: oneshot::Sender<Result<Begun, Refusal>>,
    },
    Key {
        session: SessionNumber,
        id: DataKeyId,
        wrapped: Vec<u8>,
    },
    Offer(Box<Offer>),
    Fence {
        generation: Generation,
        reply: oneshot::Sender<Result<Generation, StoreError>>,
    },
    Stop {
        stopped: oneshot::Sender<()>,
    },
}

/// The way to a lineage's owner.
#[derive(Debug, Clone)]
pub(crate) struct OwnerHandle {
    work: mpsc::Sender<Work>,
    room: Arc<Semaphore>,
}

impl OwnerHandle {
    /// Begins a session: everything queued by earlier ones is settled first.
    pub(super) async fn begin(
        &self,
        session: SessionNumber,
        outlet: Outlet,
        peer: String,
    ) -> Result<Result<Begun, Refusal>, OwnerGone> {
        let (reply, answer) = oneshot::channel();
        self.send(Work::Begin {
            session,
            outlet,
            peer,
            reply,
        })?;
        answer.await.map_err(|_| OwnerGone)
    }

    /// A data key in its wrapped form, already opened once.
    pub(super) fn key(
        &self,
        session: SessionNumber,
        id: DataKeyId,
        wrapped: Vec<u8>,
    ) -> Result<(), OwnerGone> {
        self.send(Work::Key {
            session,
            id,
            wrapped,
        })
    }

    /// Waits until so many bytes more may be in memory.
    pub(super) async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, OwnerGone> {
        let kib = bytes.div_ceil(1024).clamp(1, ROOM_KIB);
        let kib = u32::try_from(kib).expect("it is clamped to far less");
        let room = Arc::clone(&self.room);
        room.acquire_many_owned(kib).await.map_err(|_| OwnerGone)
    }

    /// Offers a batch; the answer goes to the session's gateway.
    pub(super) fn offer(&self, offer: Offer) -> Result<(), OwnerGone> {
        self.send(Work::Offer(Box::new(offer)))
    }

    /// Makes a generation durable: batches of older ones, also those that wait here, are refused
    /// from then on, for ever. Returns the generation that is durable, which may be a newer one.
    ///
    /// # Errors
    /// When it is not known to be durable.
    pub(crate) async fn fence(&self, generation: Generation) -> Result<Generation, FenceError> {
        let (reply, answer) = oneshot::channel();
        self.send(Work::Fence { generation, reply })?;
        Ok(answer.await.map_err(|_| OwnerGone)??)
    }

    /// Makes everything durable and ends the thread.
    pub(crate) async fn stop(&self) {
        let (stopped, ended) = oneshot::channel();
        if self.send(Work::Stop { stopped }).is_ok() {
            // An owner that ends without an answer has ended, too.
            let _gone = ended.await;
        }
    }

    fn send(&self, work: Work) -> Result<(), OwnerGone> {
        self.work.send(work).map_err(|_| OwnerGone)
    }
}

/// Opens a group's lineage and starts its owner. Blocks.
///
/// A store that cannot be opened is no error here: the group is shown as stalled, with the reason,
/// and the owner goes on trying.
///
/// # Errors
/// When the thread cannot be started.
pub(crate) fn start(settings: OwnerSettings, record: GroupRecord) -> std::io::Result<Arc<Group>> {
    let (work, inbox) = mpsc::channel();
    let handle = OwnerHandle {
        work,
        room: Arc::new(Semaphore::new(ROOM_KIB)),
    };
    let (reader, told_reader) = watch::channel(None);
    let group = Arc::new(OnceLock::new());
    let name = format!("lineage {}", record.name);
    let name: String = name.chars().take(15).collect();
    let damage = Damage::load(Arc::clone(&settings.catalog), record.lineage());
    let mut owner = lineage::Owner::new(settings, record.clone(), reader, Arc::clone(&group));
    let stored = watch::Sender::new(owner.open());
    let made = Arc::new(Group::new(record, stored, handle, told_reader, damage));
    group.get_or_init(|| Arc::downgrade(&made));
    std::thread::Builder::new()
        .name(name)
        .spawn(move || owner.run(&inbox))?;
    Ok(made)
}

pub(crate) fn stored_empty(record: &GroupRecord, generation: Generation) -> Stored {
    Stored::of(&crate::receive::LineageState::new(
        record.lineage(),
        generation,
        record.created_at,
    ))
}

#[cfg(test)]
mod tests;
