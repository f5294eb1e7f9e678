//! The owner of one stream's state at the gateway, and the table of owners.
//!
//! A stream's owner is one task. It alone touches the stream's acceptance, batcher and window;
//! sessions with the capture and the receiver, the sealing workers and the spool thread all speak
//! to it through channels. Its loop is: take one event, then do everything that is due.

mod forks;
mod kept;
mod owner;
mod pack;
mod table;

use crate::{
    config::{BatchConfig, SpoolConfig},
    keys::Keys,
    spool::SpoolError,
};
use bcdr_disk::{DiskError, Storage};
use bcdr_format::{
    GroupId, InstallationId, Opening, Position, StreamId, position::Generation, record::Record,
};
use bcdr_wire::{
    feed::{CaptureReport, Refusal, ToCapture},
    identity::{IdentitySource, PeerIdentity},
    order::{Duty, OrderNumber, SourceOrder},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
};
pub use table::LeftOut;
use table::{Admitted, OwnerHandle, Table};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;

/// What a capture's session tells the stream's owner.
#[derive(Debug)]
pub enum FeedEvent {
    /// The records that follow belong to this incarnation.
    Incarnation(Opening),
    /// Records, in order.
    Records(Vec<Record<Bytes>>),
    /// How the capture is.
    Report(Box<CaptureReport>),
}

/// A capture's session, as its stream's owner sees it.
#[derive(Debug)]
pub struct FeedSession {
    /// Who it is.
    pub peer: PeerIdentity,
    /// The capture's current incarnation; none while it stands by and feeds nothing.
    pub opening: Option<Opening>,
    /// What to add to the capture's clock to get the gateway's, in microseconds: found when its hello
    /// came, before anything else took time. Too much by as long as the hello was on its way.
    pub clock_offset_microseconds: i64,
    /// Where messages to it go. A session that lets it fill up is ended.
    pub outbox: mpsc::Sender<ToCapture>,
    /// Where its events come from.
    pub inbox: mpsc::Receiver<FeedEvent>,
}

/// How a stream stands, for people and metrics.
#[derive(Debug, Clone, Default, Serialize)]
pub struct StreamStatus {
    /// The group.
    pub group: Option<GroupId>,
    /// The capture that feeds it now.
    pub capture: Option<String>,
    /// The certificate name of the only capture that may feed it; none before the first did.
    pub bound_to: Option<String>,
    /// Whether a receiver has ever said that it knows the stream.
    pub confirmed: bool,
    /// What the source was told last, as far as this gateway heard.
    pub order: Option<SourceOrder>,
    /// Whether a receiver has said, in this process's life, what it holds. Captures are let in then.
    pub receiver_known: bool,
    /// For how many seconds nothing was taken from the capture because the memory is full.
    pub stalled_seconds: u64,
    /// Whether a session with a receiver is up.
    pub receiver_connected: bool,
    /// The last reason for which the session with the receiver ended.
    pub receiver_reason: Option<String>,
    /// The last record taken.
    pub received: Option<Position>,
    /// L2.
    pub gateway_durable: Option<Position>,
    /// L3.
    pub durable: Option<Position>,
    /// L4.
    pub published: Option<Position>,
    /// Bytes of records and batches in memory.
    pub memory_bytes: u64,
    /// Encoded bytes that wait for the receiver.
    pub waiting_bytes: u64,
    /// Bytes of the spool.
    pub spool_bytes: u64,
    /// Why the spool refuses batches, while it does.
    pub spool_refuses: Option<String>,
    /// Bytes that captures wrote, before coalescing, since the process started.
    pub written_bytes: u64,
    /// Encoded bytes made from them.
    pub encoded_bytes: u64,
}

/// A memory that is full for so long is not on its way to the receiver or to the spool.
const STALLED_SECONDS: u64 = 10;

impl StreamStatus {
    /// Whether the stream's records can be taken in and kept, and why not.
    pub fn readiness(&self) -> Result<(), String> {
        if !self.receiver_known {
            let reason = self.receiver_reason.as_deref();
            return Err(format!(
                "no receiver has said yet what it holds, so no capture is let in: {}",
                reason.unwrap_or("none has been reached")
            ));
        }
        if let Some(reason) = &self.spool_refuses {
            return Err(reason.clone());
        }
        if self.stalled_seconds >= STALLED_SECONDS {
            return Err(format!(
                "nothing was taken in for {} s: memory is full, and neither the receiver nor the spool takes what is in it; check the link and the spool's disk",
                self.stalled_seconds
            ));
        }
        Ok(())
    }
}

/// What every stream's owner needs.
#[derive(Debug, Clone)]
pub struct StreamSettings {
    /// The durable files.
    pub storage: Arc<dyn Storage>,
    /// The gateway's state directory.
    pub state_directory: PathBuf,
    /// Who we are.
    pub identity: IdentitySource,
    /// The installation.
    pub installation: InstallationId,
    /// The receivers.
    pub receivers: Vec<SocketAddr>,
    /// The keys.
    pub keys: Keys,
    /// How batches are made.
    pub batch: BatchConfig,
    /// The spool's limits.
    pub spool: SpoolConfig,
}

/// Why a stream's owner could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// Its spool could not be opened.
    #[error("cannot open the spool: {0}")]
    Spool(#[from] SpoolError),
    /// Its state could not be read or written.
    #[error("cannot keep the stream's state: {0}")]
    Disk(#[from] DiskError),
    /// Its state file is not one.
    #[error(
        "the stream's state in {path} cannot be read: {source}; it was damaged or written by a newer release: upgrade, or move the file away, and the receiver tells the generation anew"
    )]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// Its state file is another stream's.
    #[error("the state in {path} is stream {found}'s: move the file to where it belongs")]
    Misplaced {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: StreamId,
    },
    /// Its thread could not be started.
    #[error("cannot start the spool's thread: {0}")]
    Thread(#[source] std::io::Error),
    /// The gateway stops.
    #[error("the gateway is stopping")]
    Stopping,
}

/// What a gateway remembers of a stream between starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    group: GroupId,
    stream: StreamId,
    /// The highest generation met; older ones are refused for ever.
    generation: Generation,
    /// The number of the order.
    #[serde(default)]
    number: OrderNumber,
    /// What the source was to do under it; an earlier release knew of one duty only.
    #[serde(default = "serve")]
    duty: Duty,
    /// The certificate name of the capture that was let in first, and the only one since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capture: Option<String>,
}

const fn serve() -> Duty {
    Duty::Serve
}

impl Remembered {
    fn order(&self) -> SourceOrder {
        SourceOrder {
            generation: self.generation,
            number: self.number,
            duty: self.duty.clone(),
        }
    }
}

/// A capture's session on its way to the stream's owner, and where the verdict goes.
#[derive(Debug)]
struct Attach {
    group: GroupId,
    session: FeedSession,
    verdict: oneshot::Sender<Result<(), Refusal>>,
}

/// Streams whose spools are read side by side when the gateway starts.
const RESTORED_AT_ONCE: usize = 8;

/// The streams this gateway serves.
#[derive(Debug)]
pub struct Streams {
    settings: StreamSettings,
    table: Mutex<Table>,
    tasks: TaskTracker,
}

impl Streams {
    /// Begins to start the owners of all streams that the state directory remembers, so that what is
    /// spooled ships although no capture is connected. Captures of streams whose turn has not come
    /// are told to wait; a stream that cannot be started is left out, and the others go on.
    pub async fn restore(settings: StreamSettings) -> Result<Arc<Self>, StreamError> {
        let streams = Arc::new(Self {
            settings,
            table: Mutex::default(),
            tasks: TaskTracker::new(),
        });
        let remembered = {
            let settings = streams.settings.clone();
            tokio::task::spawn_blocking(move || owner::remembered(&settings))
                .await
                .expect("listing the state directory does not panic")?
        };
        let turns = Arc::new(Semaphore::new(RESTORED_AT_ONCE));
        for stream in remembered {
            streams.table().hold(stream, None);
            let (streams, turns) = (Arc::clone(&streams), Arc::clone(&turns));
            streams.tasks.clone().spawn(async move {
                let _turn = turns.acquire_owned().await;
                streams.restore_one(stream).await;
            });
        }
        Ok(streams)
    }

    async fn restore_one(self: &Arc<Self>, stream: StreamId) {
        let settings = self.settings.clone();
        let read = tokio::task::spawn_blocking(move || owner::read_remembered(&settings, stream))
            .await
            .expect("reading a small file does not panic");
        let started = match read {
            Ok(None) => return self.table().not_started(stream),
            Ok(Some(remembered)) => self.start(remembered.group, stream).await,
            Err(error) => Err(error),
        };
        if let Err(error) = started
            && !matches!(error, StreamError::Stopping)
        {
            tracing::error!(%stream, %error, "the stream is left out; the others go on");
            self.table().leave_out(stream, error.to_string());
        }
    }

    /// Ends all owners, their sessions and their spools, and waits for them. What is in memory is
    /// let go of: captures still have it.
    pub async fn stop(&self) {
        self.table().stop();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Hands a capture's session to its stream's owner, which is started if need be.
    pub async fn attach(
        self: &Arc<Self>,
        group: GroupId,
        stream: StreamId,
        session: FeedSession,
    ) -> Result<(), Refusal> {
        let not_ready = |reason: String| Refusal::NotReady { reason };
        let admitted = self.table().admit(group, stream, &session.peer.name)?;
        let owner = match admitted {
            Admitted::Running(owner) => owner,
            Admitted::Start => {
                // In a task of its own: the place that the table holds must not stay held when the
                // capture hangs up meanwhile.
                let streams = Arc::clone(self);
                let starting = async move { streams.start(group, stream).await };
                self.tasks
                    .spawn(starting)
                    .await
                    .expect("starting an owner does not panic and is not cancelled")
                    .map_err(|error| not_ready(error.to_string()))?
            }
        };
        let (verdict, answer) = oneshot::channel();
        let gone = || not_ready("the stream's owner at the gateway is stopping".to_owned());
        owner
            .send(Attach {
                group,
                session,
                verdict,
            })
            .await
            .map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// How every stream stands.
    pub fn status(&self) -> Vec<(StreamId, StreamStatus)> {
        self.table().status()
    }

    /// The certificate name of the only capture that may feed a stream of a group; none while none
    /// has, or the stream is not served here.
    pub fn bound_capture(&self, group: GroupId, stream: StreamId) -> Option<String> {
        self.table().bound_capture(group, stream)
    }

    /// The remembered streams that cannot be served.
    pub fn left_out(&self) -> Vec<LeftOut> {
        self.table().left_out()
    }

    /// Whether each stream's records can be taken in and kept, and why not.
    pub fn readiness(&self) -> BTreeMap<StreamId, Result<(), String>> {
        self.table().readiness()
    }

    /// Starts the owner of a stream whose place in the table is held.
    async fn start(
        self: &Arc<Self>,
        group: GroupId,
        stream: StreamId,
    ) -> Result<mpsc::Sender<Attach>, StreamError> {
        let settings = self.settings.clone();
        let prepared =
            tokio::task::spawn_blocking(move || owner::Prepared::new(settings, group, stream))
                .await
                .expect("opening a spool does not panic");
        let mut table = self.table();
        let started = match prepared {
            // Under the lock: whatever starts now is ended by a stop that comes later.
            Ok(_) if table.is_stopping() => Err(StreamError::Stopping),
            Ok(prepared) => self.spawn(prepared),
            Err(error) => Err(error),
        };
        match started {
            Ok(owner) => {
                let attachments = owner.attachments.clone();
                table.started(stream, owner);
                Ok(attachments)
            }
            Err(error) => {
                table.not_started(stream);
                Err(error)
            }
        }
    }

    fn spawn(self: &Arc<Self>, prepared: owner::Prepared) -> Result<OwnerHandle, StreamError> {
        let (attachments, inbox) = mpsc::channel(4);
        let (publish, status) = watch::channel(StreamStatus::default());
        let (group, stream) = prepared.of();
        let running =
            owner::spawn(prepared, inbox, publish, &self.tasks).map_err(StreamError::Thread)?;
        let streams = Arc::clone(self);
        self.tasks.spawn(async move {
            let unknown = running.await;
            streams.table().ended(group, stream, unknown);
        });
        Ok(OwnerHandle {
            attachments,
            status,
        })
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.table
            .lock()
            .expect("the table is held only for look-ups and decisions")
    }
}
