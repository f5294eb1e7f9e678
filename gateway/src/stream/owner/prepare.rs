//! What blocking work prepares before a stream's owner starts: its remembered state and its spool.

use super::{Inboxes, Known, Owner};
use crate::{
    ship::session::{self, EVENTS_WAITING, ShipSettings},
    spool::{
        Contents, Spool, SpoolLimits,
        thread::{self, SpoolWork},
    },
    stream::{Attach, Remembered, StreamError, StreamSettings, StreamStatus},
};
use bcdr_disk::{DiskErrorKind, Storage, read_whole};
use bcdr_format::{
    GroupId, StreamId,
    continuity::{Verdict, judge},
};
use bcdr_wire::order::{Duty, OrderNumber, SourceOrder};
use std::{path::PathBuf, time::Instant};
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

pub(super) const STATE_FILE: &str = "stream.json";
const STATE_BYTES_MAX: u64 = 64 << 10;

fn streams_directory(settings: &StreamSettings) -> PathBuf {
    settings.state_directory.join("streams")
}

/// The streams that the state directory has a directory for.
pub(in crate::stream) fn remembered(
    settings: &StreamSettings,
) -> Result<Vec<StreamId>, StreamError> {
    let directory = streams_directory(settings);
    settings.storage.create_directory_all(&directory)?;
    let names = settings.storage.list(&directory)?;
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}

/// What is remembered of a stream; none when a receiver never confirmed it.
pub(in crate::stream) fn read_remembered(
    settings: &StreamSettings,
    stream: StreamId,
) -> Result<Option<Remembered>, StreamError> {
    let directory = streams_directory(settings).join(stream.to_string());
    let path = directory.join(STATE_FILE);
    let state = read_state(settings.storage.as_ref(), path.clone())?;
    match state {
        Some(state) if state.stream != stream => Err(StreamError::Misplaced {
            path,
            found: state.stream,
        }),
        state => Ok(state),
    }
}

fn read_state(storage: &dyn Storage, path: PathBuf) -> Result<Option<Remembered>, StreamError> {
    match read_whole(storage, &path, STATE_BYTES_MAX) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| StreamError::State { path, source }),
        Err(error) if error.kind() == DiskErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// An owner that is ready to start.
pub(in crate::stream) struct Prepared {
    pub(super) settings: StreamSettings,
    pub(super) group: GroupId,
    pub(super) stream: StreamId,
    pub(super) directory: PathBuf,
    pub(super) order: Option<SourceOrder>,
    pub(super) bound_to: Option<String>,
    spool: Spool,
    contents: Contents,
}

impl Prepared {
    pub(in crate::stream) fn new(
        settings: StreamSettings,
        group: GroupId,
        stream: StreamId,
    ) -> Result<Self, StreamError> {
        let directory = streams_directory(&settings).join(stream.to_string());
        let state = read_remembered(&settings, stream)?;
        // What was confirmed counts, not what a capture says.
        let group = state.as_ref().map_or(group, |state| state.group);
        let limits = SpoolLimits {
            capacity_bytes: settings.spool.capacity_bytes,
            free_floor_bytes: settings.spool.free_floor_bytes,
            ..SpoolLimits::default()
        };
        let storage = settings.storage.clone();
        let (mut spool, contents) = Spool::open(storage, &directory.join("spool"), limits)?;
        spool.learn_key(
            settings.keys.data_key_id(),
            settings.keys.wrapped_data.clone(),
        );
        Ok(Self {
            settings,
            group,
            stream,
            directory,
            order: state.as_ref().map(Remembered::order),
            bound_to: state.and_then(|state| state.capture),
            spool,
            contents,
        })
    }

    /// Whose it is.
    pub(in crate::stream) fn of(&self) -> (GroupId, StreamId) {
        (self.group, self.stream)
    }
}

/// Starts the owner's session with the receiver and its spool thread, and returns the owner's work,
/// which ends with whether the stream is unknown to every receiver.
pub(in crate::stream) fn spawn(
    prepared: Prepared,
    attachments: mpsc::Receiver<Attach>,
    publish: watch::Sender<StreamStatus>,
    tasks: &TaskTracker,
) -> std::io::Result<impl Future<Output = bool> + Send + use<>> {
    let (done, spool_done) = mpsc::unbounded_channel();
    let (group, stream) = (prepared.group, prepared.stream);
    let name = stream.to_string();
    let random_part = &name[name.len().saturating_sub(8)..];
    let (used_bytes, contents) = (prepared.spool.used_bytes(), prepared.contents);
    let spool = thread::start(prepared.spool, random_part, done)?;
    let (events, ship_events) = mpsc::channel(EVENTS_WAITING);
    let settings = prepared.settings;
    let ship = ShipSettings {
        identity: settings.identity.clone(),
        receivers: settings.receivers.clone(),
        installation: settings.installation,
        group,
        stream,
        keys: settings.keys.clone(),
    };
    tasks.spawn(session::run(ship, events));
    let remembered = Known {
        directory: prepared.directory,
        order: prepared.order,
        bound_to: prepared.bound_to,
    };
    let mut owner = Owner::new(settings, group, stream, remembered, spool, publish);
    owner.status.spool_bytes = used_bytes;
    owner.restore(contents);
    owner.publish_status();
    Ok(owner.run(Inboxes {
        attachments,
        ship_events,
        spool_done,
    }))
}

impl Owner {
    /// Puts what the spool holds in the window, as far as it is contiguous, can be opened and was
    /// sealed under the newest generation: an older one is refused for ever, and a process that was
    /// killed after it had met a newer one may have left such batches. Captures still have them.
    fn restore(&mut self, contents: Contents) {
        for remark in &contents.remarks {
            tracing::warn!(stream = %self.stream, %remark, "spool");
        }
        self.met_in_spool(&contents);
        self.keys
            .extend(contents.keys.into_iter().map(|key| (key.id, key.wrapped)));
        let ships = self.takes_records();
        let generation = self.order.as_ref().map(|order| order.generation);
        let mut broken = false;
        for found in contents.batches {
            if !ships || generation.is_some_and(|newest| found.generation < newest) {
                self.spool_work(SpoolWork::Forget(found.location));
                continue;
            }
            let held = self.window.held();
            let verdict = held.map_or(Verdict::Continues, |held| {
                judge(Some(&held), &found.arriving)
            });
            let continues = matches!(verdict, Verdict::Continues | Verdict::Forks(_));
            let opens = found.keys.iter().all(|key| self.keys.contains_key(key));
            // A batch may stand twice after a failed append; behind a gap nothing is of use, since
            // the capture still has all of it.
            if broken || !continues || !opens {
                broken |= verdict != Verdict::Duplicate;
                self.spool_work(SpoolWork::Forget(found.location));
                continue;
            }
            self.forks.passed(found.sync_events);
            let bytes = u64::from(found.location.length());
            let id = self.window.restore(found.arriving, bytes, Instant::now());
            self.kept.in_spool(id, found.location, found.keys);
        }
    }
    /// Batches sealed under a newer generation than the one remembered show that it was met, and
    /// could not be kept.
    fn met_in_spool(&mut self, contents: &Contents) {
        let sealed = contents.batches.iter().map(|found| found.generation).max();
        let known = self.order.as_ref().map(|order| order.generation);
        if let Some(generation) = sealed.filter(|sealed| Some(*sealed) > known) {
            self.order_kept = false;
            self.order = Some(SourceOrder {
                generation,
                number: OrderNumber::ASSUMED,
                duty: Duty::Serve,
            });
        }
    }
}
