//! One group from configuration to running threads, and back.
//!
//! Owns the order of a start: backings locked, sockets bound (so that clients can already connect
//! and wait), what the last life left read, the tap planned, threads started. Nothing here reads a
//! volume or waits for the network, so a start takes as long as the journal's recovery. Only an
//! unusable backing or socket refuses a start: without its state, a group serves untracked.

mod state;

use std::{
    io,
    path::Path,
    sync::{Arc, atomic::AtomicU64, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use bcdr_disk::{DiskError, Storage};
use bcdr_format::{GroupId, IncarnationId, SyncId, VolumeId, VolumeNumber, record::Member};
use bcdr_nbd::{BindError, ExportInfo, PrivateSocket};
use tokio::sync::{mpsc as channel, oneshot, watch};

use crate::{
    clock::Clock,
    config::{BudgetConfig, CaptureConfig, GroupConfig},
    evidence,
    feed::{FeedItem, History},
    group_thread::{
        Closed, Export, GroupHandle, GroupParts, GroupStatus, GroupThread, GroupThreadError,
        export_info,
    },
    initial::NoPast,
    intent::{BootId, IntentsFound, Unproven},
    journal::{JournalIdentity, JournalSettings},
    journal_thread::{self, JournalHandle, JournalSupply},
    metrics::{CaptureMetrics, GroupMetrics},
    restore::{
        ServeError, StampBook,
        seam::{self, FoundDisk, Joined},
    },
    ring::{self, Engine, RingError, Waker, backing::Backing},
    standing::book::BookError,
    start::{Rejoin, StartInput, plan_start},
    status::{GroupDescription, VolumeDescription},
    tap::{TapCore, TapSettings, Volume},
    volume::{self, VolumeError},
};
use state::{GroupState, Places};

/// How long a start waits for a predecessor's I/O to end.
pub const LOCK_PATIENCE: Duration = Duration::from_secs(30);
/// The unit in which writes to one volume exclude each other, in bytes: no file system or device
/// works on larger ones that it would read and write for a smaller request.
const LOCK_UNIT_BYTES: u32 = 4096;
/// Bytes of records that may be on their way to the journal or the feed. They are memory that is
/// used only while a write on one of the disks hangs, and everybody else writes on beyond it.
const WINDOW_BYTES: usize = 256 << 20;
/// Bytes of records that may wait for the journal.
const JOURNAL_QUEUE_BYTES: usize = 32 << 20;

/// Why a group cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// A volume's backing is not usable.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// A volume's socket cannot be had.
    #[error("volume {volume}: {source}")]
    Socket {
        /// The volume.
        volume: String,
        /// Why.
        #[source]
        source: BindError,
    },
    /// A volume may hold a mixture, because its restore was interrupted.
    #[error("group {group}: {source}")]
    Restore {
        /// The group.
        group: String,
        /// Which volume, and what to do.
        #[source]
        source: Box<ServeError>,
    },
    /// What the source was ordered cannot be read, and may forbid to serve.
    #[error("group {group}: {source}")]
    Orders {
        /// The group.
        group: String,
        /// Why, and what to do.
        #[source]
        source: Box<BookError>,
    },
    /// Nothing says that it was ever served here, and nobody said that it is to be.
    #[error("group {group}: {source}")]
    NoPast {
        /// The group.
        group: String,
        /// Why, and what to do.
        #[source]
        source: NoPast,
    },
    /// What says that a volume was restored cannot be removed, and must not outlive its service.
    #[error(
        "group {group}: a volume was restored, and its stamp cannot be removed: {source}; repair the \
         state directory"
    )]
    Stamp {
        /// The group.
        group: String,
        /// Why.
        #[source]
        source: DiskError,
    },
    /// The ring thread could not begin.
    #[error(transparent)]
    Thread(#[from] GroupThreadError),
    /// The ring could not be made.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The system refused something that is always there.
    #[error(
        "group {group}: cannot {doing}: {source}; check the limits of this user and the kernel log"
    )]
    System {
        /// The group.
        group: String,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A group that serves.
pub struct RunningGroup {
    /// What never changes about it.
    pub description: GroupDescription,
    /// What clients are told of its volumes.
    pub exports: Vec<(VolumeNumber, ExportInfo)>,
    /// The way to its ring thread.
    pub handle: GroupHandle,
    /// Its ring thread's snapshots.
    pub status: watch::Receiver<Option<GroupStatus>>,
    /// Its metrics.
    pub metrics: GroupMetrics,
    /// What the feed begins with.
    pub feed: Option<FeedInput>,
    /// How its ring thread ended.
    pub ended: oneshot::Receiver<Result<Closed, GroupThreadError>>,
    threads: Vec<JoinHandle<()>>,
}

/// What the feed of a group begins with.
pub struct FeedInput {
    /// The lives found in the journal.
    pub history: History,
    /// What the tap feeds.
    pub items: channel::UnboundedReceiver<Vec<FeedItem>>,
    /// How many bytes the feed is behind.
    pub backlog: Arc<AtomicU64>,
    /// The journal's thread.
    pub journal: JournalHandle,
    /// Whether its segments are read directly.
    pub direct: bool,
}

/// What all groups of a process share.
#[derive(Clone)]
pub struct GroupContext {
    /// Where state is kept.
    pub storage: Arc<dyn Storage>,
    /// The clock that everybody reads.
    pub clock: Clock,
    /// The metrics of the process.
    pub metrics: CaptureMetrics,
    /// How long a volume that another process holds is waited for.
    pub lock_patience: Duration,
}

impl RunningGroup {
    /// Waits for the threads to end. Blocks; call after [`Self::ended`] resolved and the feed has
    /// ended.
    pub fn join(self) {
        drop(self.feed);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!(
                    group = self.description.name,
                    "a thread of the group panicked"
                );
            }
        }
    }
}

/// An opened volume, before it has a socket.
pub(crate) struct Opened {
    number: VolumeNumber,
    backing: Arc<Backing>,
}

/// Starts a group. Blocks until its ring thread serves.
///
/// # Errors
/// If something that the group needs is not usable; nothing keeps running then.
pub fn start(
    config: &CaptureConfig,
    group: &GroupConfig,
    context: &GroupContext,
) -> Result<RunningGroup, GroupError> {
    let opened = open_volumes(group, context.lock_patience)?;
    let directory = config.group_directory(group);
    // The locks are held, so no restore is under way; one that was interrupted shows here.
    let stamps = StampBook::of_group(Arc::clone(&context.storage), &directory);
    let ids: Vec<VolumeId> = group.volumes.iter().map(|volume| volume.id).collect();
    let (restored, asked) = match stamps.restored(&ids) {
        Ok(restored) => (restored, true),
        // A state directory that is not there to be asked keeps no volume from its clients. Nothing
        // of the life before counts, and stamps that nobody could see stay where they are.
        Err(error @ ServeError::Disk(_)) => {
            tracing::error!(group = group.name, %error, "the volumes are served all the same");
            (true, false)
        }
        Err(source) => {
            return Err(GroupError::Restore {
                group: group.name.clone(),
                source: Box::new(source),
            });
        }
    };
    let exports = bind_sockets(group, &opened)?;
    let infos = exports
        .iter()
        .map(|export| (export.number, export.info.clone()))
        .collect();
    let system = |doing| {
        let group = group.name.clone();
        move |source| GroupError::System {
            group,
            doing,
            source,
        }
    };
    let boot = evidence::boot_id().map_err(system("read the boot id"))?;
    let backings = || opened.iter().map(|one| &*one.backing);
    let look = evidence::gather(backings(), boot).map_err(system("look at the volumes"))?;
    let settings = tap_settings(&config.budget);
    let journal_settings = JournalSettings {
        segment_bytes: group.journal.segment_bytes,
        segments_max: group.journal.segments,
        ..JournalSettings::default()
    };
    let identity = JournalIdentity {
        group: group.id,
        stream: group.stream,
    };
    let members = members(group.id, group, &opened);
    let places = Places {
        storage: Arc::clone(&context.storage),
        directory: config.group_directory(group),
        journal: config.journal_directory(group),
        identity,
        settings: journal_settings,
        members: members.clone(),
    };
    // Looked at while the stamps are there.
    let seam = (restored && asked)
        .then(|| found_seam(group, &stamps, &opened, boot))
        .flatten();
    let GroupState {
        mut intents,
        mut found,
        journal,
        recovered,
        put_aside,
    } = state::open(places, settings.window_records, boot, restored && asked);
    if restored {
        // The restore's writes are in no journal, so what the last life left proves nothing. In
        // this order: after a kill in between, either the stamps or the ring still say so.
        intents.distrust();
        found = IntentsFound::Unproven(Unproven::Untracked);
    }
    if asked {
        match stamps.clear(&ids) {
            Err(source) if restored => {
                return Err(GroupError::Stamp {
                    group: group.name.clone(),
                    source,
                });
            }
            // There was no stamp, so nothing is left that could be believed later.
            Err(error) => tracing::error!(%error, "the directory of restores cannot be used"),
            Ok(()) => {}
        }
    }
    // A journal that comes later begins with a life that reads everything.
    let seam = seam.filter(|_| matches!(journal, JournalSupply::Ready(_)));
    let mut lives = recovered.lives.clone();
    let rejoin = seam.map(|seam| {
        lives.goes_on_from(seam.held);
        Rejoin {
            after: seam.held.position,
            known: put_aside,
            ranges: seam.ranges,
        }
    });
    let mut random = random();
    let input = StartInput {
        recovered: &recovered,
        intents: &found,
        evidence: look.evidence,
        activity: look.activity,
        members: &members,
        incarnation: IncarnationId::from_parts(milliseconds(), random()),
        sync: SyncId::from_parts(milliseconds(), random()),
        rejoin: rejoin.as_ref(),
    };
    if let Some(doubt) = input.doubt() {
        tracing::warn!(
            group = group.name,
            "the volumes may hold writes that did not pass here: {doubt}; everything is compared"
        );
    }
    let plan = plan_start(&input);
    tracing::info!(
        group = group.name,
        opening = ?plan.start.opening,
        sync = ?plan.start.sync,
        "a life of the stream begins"
    );
    let history = lives;
    let volumes = opened
        .iter()
        .zip(&group.volumes)
        .map(|(one, config)| Volume {
            number: one.number,
            id: config.id,
            size_bytes: one.backing.size_bytes(),
            io_unit_bytes: one.backing.unit().max(LOCK_UNIT_BYTES),
            trim_zeroes: one.backing.trims(),
        });
    let tap = TapCore::new(
        settings,
        group.id,
        volumes.collect(),
        plan,
        random,
        context.clock.now(),
    );

    let waker = Waker::new().map_err(system("make an event descriptor"))?;
    let (journal, journal_events, journal_thread) =
        journal_thread::spawn(&group.name, journal, waker.clone())
            .map_err(system("start the journal's thread"))?;
    let (handle, commands) = GroupHandle::new(waker.clone());
    let (feed, items) = channel::unbounded_channel();
    let backlog = Arc::new(AtomicU64::new(0));
    let (shown, status) = watch::channel(None);
    let description = describe(group, &opened);
    let sizes = description
        .volumes
        .iter()
        .map(|volume| (volume.number, volume.name.clone(), volume.size_bytes))
        .collect();
    let metrics = context.metrics.group(&group.name, sizes);
    let parts = GroupParts {
        tap,
        exports,
        intents,
        look,
        boot,
        journal: journal.clone(),
        journal_events,
        commands,
        feed,
        feed_backlog: Arc::clone(&backlog),
        status: shown,
        metrics: metrics.clone(),
        clock: context.clock,
    };
    let (ring_thread, ended) = spawn_ring_thread(&group.name, config.engine, waker, parts)?;
    let feed = FeedInput {
        history,
        items,
        backlog,
        journal,
        direct: journal_settings.direct,
    };
    Ok(RunningGroup {
        description,
        exports: infos,
        handle,
        status,
        metrics,
        feed: Some(feed),
        ended,
        threads: vec![ring_thread, journal_thread],
    })
}

/// Where the stream of a group that was put back goes on, if its stamps prove that.
fn found_seam(
    group: &GroupConfig,
    stamps: &StampBook,
    opened: &[Opened],
    boot: BootId,
) -> Option<Joined> {
    let look = |(one, config): (&Opened, &crate::config::VolumeConfig)| {
        let look = evidence::gather([&*one.backing], boot)?;
        Ok(FoundDisk {
            number: one.number,
            id: config.id,
            size_bytes: one.backing.size_bytes(),
            look,
        })
    };
    let disks: io::Result<Vec<FoundDisk>> = opened.iter().zip(&group.volumes).map(look).collect();
    let found = disks.map_err(|error| error.to_string()).and_then(|disks| {
        seam::joined(stamps, group.stream, &disks).map_err(|error| error.to_string())
    });
    match found {
        Ok(joined) => {
            tracing::info!(
                group = group.name,
                after = %joined.held.position,
                ranges = joined.ranges.len(),
                "the volumes were put back; only what differs from the history's end is read"
            );
            Some(joined)
        }
        Err(why) => {
            tracing::info!(
                group = group.name,
                why,
                "the volumes were put back; everything is compared"
            );
            None
        }
    }
}

type Ended = oneshot::Receiver<Result<Closed, GroupThreadError>>;

/// Starts the ring thread, which makes its own ring, and waits until it serves or has failed.
fn spawn_ring_thread(
    name: &str,
    engine: Engine,
    waker: Waker,
    parts: GroupParts,
) -> Result<(JoinHandle<()>, Ended), GroupError> {
    let (started, ready) = mpsc::channel();
    let (end, ended) = oneshot::channel();
    let thread = thread::Builder::new()
        .name(format!("bcdr-ring-{name}"))
        .spawn(move || {
            let group = ring::open(engine, &waker)
                .map_err(GroupError::from)
                .and_then(|ring| Ok(GroupThread::new(ring, parts)?));
            match group {
                Ok(group) => {
                    if started.send(Ok(())).is_ok() {
                        // Nobody may be waiting any more, which is no reason to fail.
                        let _ = end.send(group.run());
                    }
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            }
        })
        .map_err(|source| GroupError::System {
            group: name.to_owned(),
            doing: "start the ring thread",
            source,
        })?;
    match ready.recv() {
        Ok(Ok(())) => Ok((thread, ended)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(GroupError::System {
            group: name.to_owned(),
            doing: "start the ring thread",
            source: io::Error::other("it ended at once"),
        }),
    }
}

pub(crate) fn open_volumes(
    group: &GroupConfig,
    patience: Duration,
) -> Result<Vec<Opened>, GroupError> {
    let mut opened = Vec::with_capacity(group.volumes.len());
    for (index, config) in group.volumes.iter().enumerate() {
        let backing = volume::open(&config.name, &config.path, patience)?;
        let number = u16::try_from(index).expect("the configuration bounds the volumes");
        opened.push(Opened {
            number: VolumeNumber(number),
            backing,
        });
    }
    Ok(opened)
}

pub(crate) fn bind_sockets(
    group: &GroupConfig,
    opened: &[Opened],
) -> Result<Vec<Export>, GroupError> {
    let bind = |(one, config): (&Opened, &crate::config::VolumeConfig)| {
        let socket =
            PrivateSocket::bind(&config.nbd_socket).map_err(|source| GroupError::Socket {
                volume: config.name.clone(),
                source,
            })?;
        Ok(Export {
            number: one.number,
            info: export_info(&config.name, &group.name, &one.backing),
            backing: Arc::clone(&one.backing),
            socket,
        })
    };
    opened.iter().zip(&group.volumes).map(bind).collect()
}

fn members(id: GroupId, group: &GroupConfig, opened: &[Opened]) -> Vec<Member> {
    let member = |(one, config): (&Opened, &crate::config::VolumeConfig)| Member {
        group: id,
        number: one.number,
        id: config.id,
        size_bytes: one.backing.size_bytes(),
    };
    opened.iter().zip(&group.volumes).map(member).collect()
}

pub(crate) fn describe(group: &GroupConfig, opened: &[Opened]) -> GroupDescription {
    let volume = |(one, config): (&Opened, &crate::config::VolumeConfig)| VolumeDescription {
        number: one.number,
        id: config.id,
        name: config.name.clone(),
        size_bytes: one.backing.size_bytes(),
        nbd_uri: nbd_uri(&config.name, &config.nbd_socket),
    };
    GroupDescription {
        id: group.id,
        stream: group.stream,
        name: group.name.clone(),
        volumes: opened.iter().zip(&group.volumes).map(volume).collect(),
    }
}

/// A group whose volumes nobody has looked at: their sizes are not known.
pub(crate) fn describe_unseen(group: &GroupConfig) -> GroupDescription {
    let volume = |(number, config): (u16, &crate::config::VolumeConfig)| VolumeDescription {
        number: VolumeNumber(number),
        id: config.id,
        name: config.name.clone(),
        size_bytes: 0,
        nbd_uri: nbd_uri(&config.name, &config.nbd_socket),
    };
    GroupDescription {
        id: group.id,
        stream: group.stream,
        name: group.name.clone(),
        volumes: (0..).zip(&group.volumes).map(volume).collect(),
    }
}

/// The URI by which clients on this host reach a volume.
fn nbd_uri(name: &str, socket: &Path) -> String {
    format!("nbd+unix:///{name}?socket={}", socket.display())
}

fn tap_settings(budget: &BudgetConfig) -> TapSettings {
    TapSettings {
        latency_budget: budget.write(),
        flush_budget: budget.flush(),
        window_bytes: WINDOW_BYTES,
        journal_queue_bytes: JOURNAL_QUEUE_BYTES,
        ..TapSettings::default()
    }
}

fn milliseconds() -> u64 {
    u64::try_from(crate::clock::wall().0 / 1000).unwrap_or_default()
}

/// Random numbers for identities.
fn random() -> Box<dyn FnMut() -> u128 + Send> {
    Box::new(|| {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the kernel's random numbers never run out");
        u128::from_le_bytes(bytes)
    })
}

#[cfg(test)]
mod tests;
