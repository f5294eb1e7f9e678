//! The feed's way out: one task for each group that keeps a gateway fed, come what may.
//!
//! It owns the [`FeedSession`], takes what the tap hands out at once (so the ring thread never
//! waits), dials the gateways in turn, and gives the writer of the connection the next frame only
//! when the last one is gone; QUIC's flow control is the only throttle. When the peer lags, records
//! are read back from the journal on a blocking thread. It decides nothing about where to resume:
//! the session does. Orders are handed on; records go out only while the last order told by the
//! gateway is the one that is durable here, and lets them.

pub(crate) mod dial;
mod orders;
pub(crate) mod outgoing;
mod peer_status;
mod reading;

#[cfg(test)]
mod tests;

pub use peer_status::FeedStatus;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bcdr_disk::Storage;
use bcdr_format::{continuity::Held, incarnation::IncarnationOrdinal};
use bcdr_wire::{
    feed::{Acknowledged, Refusal, ToCapture},
    identity::IdentitySource,
    order::Serving,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock,
    feed::{FeedItem, FeedSession, FeedStep, Handshake, History, PeerStanding},
    group_thread::{GroupCommand, GroupHandle, GroupStatus},
    journal::ReadError,
    journal_thread::JournalHandle,
    metrics::GroupMetrics,
    standing::{HeardOrder, Stance},
    status::{GroupDescription, report, tracking},
};
use dial::{DialError, Dialed, Peer};
use outgoing::Outgoing;
use reading::{Reading, finished};

/// Bytes of records in one frame, unless a single record is longer.
const FRAME_BYTES: usize = 1 << 20;
/// Bytes read from the journal at a time.
const JOURNAL_READ_BYTES: usize = 8 << 20;
/// Bytes of the newest records kept in memory.
const TAIL_BYTES: usize = 16 << 20;
/// Between two reports when nothing changes.
pub(crate) const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// After the first failure; doubles with each further one.
pub(crate) const BACKOFF: Duration = Duration::from_millis(200);
/// The longest pause between two attempts.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// After a refusal that only people can lift.
pub(crate) const BACKOFF_REFUSED: Duration = Duration::from_secs(15);

/// What the task begins with.
pub struct FeedParts {
    /// The group.
    pub description: GroupDescription,
    /// Who we are.
    pub identity: IdentitySource,
    /// The gateways, tried in turn.
    pub gateways: Vec<SocketAddr>,
    /// The lives found in the journal.
    pub history: History,
    /// Items from the ring thread.
    pub items: mpsc::UnboundedReceiver<Vec<FeedItem>>,
    /// How many bytes the feed is behind, for the scan.
    pub backlog: Arc<AtomicU64>,
    /// The ring thread.
    pub group: GroupHandle,
    /// Its snapshots.
    pub status: watch::Receiver<Option<GroupStatus>>,
    /// The journal's thread.
    pub journal: JournalHandle,
    /// Where the journal's segments are read.
    pub storage: Arc<dyn Storage>,
    /// Whether they are read directly.
    pub direct: bool,
    /// Where the feed's own status is shown.
    pub shown: watch::Sender<FeedStatus>,
    /// What is counted on the way.
    pub metrics: GroupMetrics,
    /// Where the gateway's orders go.
    pub orders: mpsc::UnboundedSender<HeardOrder>,
    /// What came of them.
    pub stance: watch::Receiver<Stance>,
}

/// The task's state. See the module's description.
pub struct FeedClient {
    description: GroupDescription,
    identity: IdentitySource,
    gateways: Vec<SocketAddr>,
    next_gateway: usize,
    session: FeedSession,
    items: mpsc::UnboundedReceiver<Vec<FeedItem>>,
    backlog: Arc<AtomicU64>,
    group: GroupHandle,
    status: watch::Receiver<Option<GroupStatus>>,
    journal: JournalHandle,
    storage: Arc<dyn Storage>,
    direct: bool,
    shown: watch::Sender<FeedStatus>,
    metrics: GroupMetrics,
    orders: mpsc::UnboundedSender<HeardOrder>,
    stance: watch::Receiver<Stance>,

    link: Link,
    backoff: Duration,
    /// No hello before a life above this one has begun.
    above: Option<IncarnationOrdinal>,
    reading: Option<Reading>,
    /// Something may be there to send.
    eager: bool,
    report_due: bool,
    reported: Option<Gist>,
}

/// The way to the gateway.
enum Link {
    /// Nobody; try again then.
    Down { retry: Instant },
    /// Somebody is being called.
    Dialing(JoinHandle<Result<Dialed, DialError>>),
    /// The gateway takes records, or waits for a life that is about to begin.
    Up(Box<Peer>),
}

/// What is worth a report of its own when it changes.
type Gist = (std::mem::Discriminant<bcdr_wire::feed::Tracking>, Serving);

/// What woke the task.
enum Wake {
    Items(Option<Vec<FeedItem>>),
    Dialed(Result<Box<Dialed>, DialError>),
    Message(Option<ToCapture>),
    Room(mpsc::OwnedPermit<Outgoing>),
    WriterGone,
    Read(Result<Vec<FeedItem>, ReadError>),
    Status,
    Stance,
    Report,
    Retry,
    Stop,
}

impl FeedClient {
    /// A task for these parts.
    #[must_use]
    pub fn new(parts: FeedParts) -> Self {
        Self {
            description: parts.description,
            identity: parts.identity,
            gateways: parts.gateways,
            next_gateway: 0,
            session: FeedSession::new(parts.history, TAIL_BYTES),
            items: parts.items,
            backlog: parts.backlog,
            group: parts.group,
            status: parts.status,
            journal: parts.journal,
            storage: parts.storage,
            direct: parts.direct,
            shown: parts.shown,
            metrics: parts.metrics,
            orders: parts.orders,
            stance: parts.stance,
            link: Link::Down {
                retry: Instant::now(),
            },
            backoff: BACKOFF,
            above: None,
            reading: None,
            eager: false,
            report_due: false,
            reported: None,
        }
    }

    /// Runs until `shutdown`, or until the ring thread is gone.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut reports = interval(REPORT_INTERVAL);
        reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wake = tokio::select! {
                () = shutdown.cancelled() => Wake::Stop,
                items = self.items.recv() => Wake::Items(items),
                wake = self.link.wake(self.eager || self.report_due) => wake,
                read = finished(&mut self.reading) => Wake::Read(read),
                changed = self.status.changed() => {
                    if changed.is_err() { Wake::Stop } else { Wake::Status }
                }
                changed = self.stance.changed() => {
                    if changed.is_err() { Wake::Stop } else { Wake::Stance }
                }
                _ = reports.tick() => Wake::Report,
            };
            if !self.handle(wake) {
                break;
            }
        }
        if let Link::Up(peer) = &self.link {
            peer.close("the capture stops");
        }
    }

    /// `false`: the end.
    fn handle(&mut self, wake: Wake) -> bool {
        match wake {
            Wake::Stop | Wake::Items(None) => return false,
            Wake::Items(Some(items)) => self.push(items),
            Wake::Dialed(Ok(dialed)) => self.welcomed(*dialed),
            Wake::Dialed(Err(error)) => self.not_welcomed(&error),
            Wake::Message(Some(message)) => self.obey(message),
            Wake::Message(None) | Wake::WriterGone => self.hung_up(),
            Wake::Room(permit) => self.fill(permit),
            Wake::Read(result) => self.journal_was_read(result),
            Wake::Status => self.look_at_status(),
            Wake::Stance => self.stance_changed(),
            Wake::Report => self.second_passed(),
            Wake::Retry => self.dial(),
        }
        true
    }

    fn push(&mut self, items: Vec<FeedItem>) {
        let mut began = false;
        for item in items {
            began |= matches!(item, FeedItem::Opening(_));
            self.session.push(item);
        }
        self.show_backlog();
        self.eager = true;
        if began {
            self.life_began();
        }
    }

    fn show_backlog(&self) {
        self.backlog
            .store(self.session.backlog_bytes(), Ordering::Relaxed);
    }

    /// A new life: a peer that waited for it can be asked again where to resume.
    fn life_began(&mut self) {
        let newest = self
            .session
            .history()
            .lives()
            .last()
            .map(|one| one.start.opening.ordinal);
        if newest > self.above {
            self.above = None;
        }
        if let Link::Up(peer) = &self.link
            && let Some(standing) = peer.waiting
        {
            self.shake_hands(standing);
        }
    }

    fn second_passed(&mut self) {
        self.report_due = true;
        // A life that was asked for may have been given up for another one.
        if let Link::Up(peer) = &self.link
            && let Some(standing) = peer.waiting
        {
            self.shake_hands(standing);
        }
    }

    fn dial(&mut self) {
        let opening = self
            .status
            .borrow()
            .as_ref()
            .map(|status| status.start.opening);
        let (Some(opening), Some(address)) = (
            opening,
            self.gateways
                .get(self.next_gateway % self.gateways.len().max(1))
                .copied(),
        ) else {
            self.link = Link::Down {
                retry: Instant::now() + BACKOFF,
            };
            return;
        };
        if self.above.is_some_and(|above| opening.ordinal <= above) {
            // The life that the peer asked for has not begun; a hello would be refused again.
            self.link = Link::Down {
                retry: Instant::now() + BACKOFF,
            };
            return;
        }
        self.next_gateway = self.next_gateway.wrapping_add(1);
        let (group, stream) = (self.description.id, self.description.stream);
        let identity = self.identity.clone();
        let task = tokio::spawn(dial::dial(address, identity, group, stream, Some(opening)));
        self.link = Link::Dialing(task);
    }

    fn welcomed(&mut self, dialed: Dialed) {
        let Dialed {
            mut peer,
            held,
            fork,
        } = dialed;
        tracing::info!(group = self.description.name, gateway = %peer.name, ?held, "a gateway answers");
        self.backoff = BACKOFF;
        let standing = standing(held);
        let order = peer.order.clone();
        peer.waiting = Some(standing);
        self.shown
            .send_modify(|shown| shown.connected(&peer.name, peer.address));
        self.link = Link::Up(Box::new(peer));
        self.report_due = true;
        self.tell(HeardOrder::remembered(order.clone()));
        // Under another order it is told again once records are taken.
        if let Some(fork) = fork
            && order.takes_records()
        {
            self.ask(GroupCommand::ForkFound(fork));
        }
        self.shake_hands(standing);
    }

    fn shake_hands(&mut self, standing: PeerStanding) {
        if !self.may_feed() {
            return;
        }
        let handshake = self.session.connected(&standing);
        self.follow(handshake);
    }

    fn follow(&mut self, handshake: Handshake) {
        let waits = match handshake {
            Handshake::ResumeFrom(start) => {
                tracing::info!(group = self.description.name, ?start, "the feed resumes");
                self.eager = true;
                false
            }
            Handshake::OpenAbove { above, reason } => {
                self.open_above(above, reason);
                true
            }
            Handshake::NotYet => true,
        };
        if let Link::Up(peer) = &mut self.link
            && !waits
        {
            peer.waiting = None;
        }
    }

    fn open_above(&mut self, above: IncarnationOrdinal, reason: &str) {
        tracing::warn!(group = self.description.name, %above, reason, "everything is compared");
        self.above = self.above.max(Some(above));
        self.ask(GroupCommand::OpenAbove(above));
    }

    fn not_welcomed(&mut self, error: &DialError) {
        let patience = match error {
            DialError::Refused(Refusal::Superseded { highest }) => {
                self.open_above(*highest, "the gateway knows a later life of the stream");
                BACKOFF
            }
            DialError::Refused(
                Refusal::Version { .. }
                | Refusal::UnknownStream { .. }
                | Refusal::NotAllowed { .. }
                | Refusal::Fenced { .. },
            ) => BACKOFF_REFUSED,
            _ => self.next_backoff(),
        };
        self.go_down(error.to_string(), patience);
    }

    fn next_backoff(&mut self) -> Duration {
        let backoff = self.backoff;
        self.backoff = (backoff * 2).min(BACKOFF_MAX);
        backoff
    }

    fn hung_up(&mut self) {
        let why = match &self.link {
            Link::Up(peer) => peer.why_closed(),
            _ => "the connection ended".to_owned(),
        };
        let backoff = self.next_backoff();
        self.go_down(why, backoff);
    }

    fn go_down(&mut self, why: String, patience: Duration) {
        let before = self.shown.borrow().last_error.clone();
        if before.as_deref() != Some(why.as_str()) {
            tracing::warn!(
                group = self.description.name,
                why,
                "no gateway takes the records"
            );
        }
        self.session.disconnected();
        self.reading = None;
        self.link = Link::Down {
            retry: Instant::now() + patience,
        };
        self.metrics.show_feed(false, self.session.backlog_bytes());
        self.shown.send_modify(|shown| shown.disconnected(why));
    }

    fn obey(&mut self, message: ToCapture) {
        match message {
            ToCapture::Acknowledged(acknowledged) => self.acknowledged(acknowledged),
            ToCapture::PlaceMarker(marker) => self.ask(GroupCommand::PlaceMarker(marker)),
            ToCapture::Beat(beat) => self.ask(GroupCommand::PlaceBeat(beat)),
            ToCapture::Fork(fork) => self.ask(GroupCommand::ForkFound(fork)),
            ToCapture::Order(order) => self.ordered(order),
            ToCapture::Refused(refusal) => {
                if let Link::Up(peer) = &self.link {
                    peer.close("refused");
                }
                self.not_welcomed(&DialError::Refused(refusal));
            }
            ToCapture::Welcome { .. } => {
                if let Link::Up(peer) = &self.link {
                    peer.close("a second welcome");
                }
                self.not_welcomed(&DialError::Unexpected);
            }
        }
    }

    fn acknowledged(&mut self, acknowledged: Acknowledged) {
        if let Some(durable) = acknowledged.durable
            && let Some(through) = self.session.acknowledged(durable)
        {
            self.journal.trim(through);
            self.show_backlog();
        }
        self.shown
            .send_modify(|shown| shown.acknowledged = acknowledged);
    }

    fn ask(&self, command: GroupCommand) {
        if !self.group.send(command) {
            tracing::debug!("the ring thread has ended");
        }
    }

    /// The connection takes another message.
    fn fill(&mut self, permit: mpsc::OwnedPermit<Outgoing>) {
        if self.report_due {
            self.report_due = false;
            if let Some(status) = &*self.status.borrow() {
                let stance = self.stance.borrow();
                let report = report(&self.description, status, &stance, clock::wall());
                self.reported = Some((
                    std::mem::discriminant(&report.tracking),
                    report.standing.serving,
                ));
                permit.send(Outgoing::Report(Box::new(report)));
            }
            return;
        }
        if !self.may_feed() {
            self.eager = false;
            return;
        }
        match self.session.next(FRAME_BYTES) {
            FeedStep::Items(items) => {
                let bytes: usize = items.iter().map(FeedItem::bytes).sum();
                self.metrics.sent(bytes as u64);
                self.metrics.show_feed(true, self.session.backlog_bytes());
                let lives = self.session.history().lives();
                let first = items.first().map(FeedItem::ordinal);
                let opening = lives
                    .iter()
                    .map(|life| life.start.opening)
                    .find(|opening| Some(opening.ordinal) == first);
                permit.send(Outgoing::Items { opening, items });
                let sent = self.session.sent();
                self.shown.send_modify(|shown| shown.sent = sent);
            }
            FeedStep::ReadJournal { from, through, .. } => self.read_journal(from, through, false),
            FeedStep::Idle => self.eager = false,
        }
    }

    fn look_at_status(&mut self) {
        let status = self.status.borrow_and_update();
        let Some(status) = &*status else { return };
        self.metrics.show(status);
        if let Some(through) = status.tap.trimmed {
            self.session.trimmed(through);
        }
        let gist = (std::mem::discriminant(&tracking(status)), status.serving());
        if self.reported != Some(gist) {
            self.report_due = true;
        }
    }
}

impl Link {
    /// Waits for what this state waits for.
    async fn wake(&mut self, wants_to_send: bool) -> Wake {
        match self {
            Self::Down { retry } => {
                sleep_until(*retry).await;
                Wake::Retry
            }
            Self::Dialing(task) => match task.await {
                Ok(result) => Wake::Dialed(result.map(Box::new)),
                Err(_) => Wake::Dialed(Err(DialError::Unexpected)),
            },
            Self::Up(peer) => {
                let outgoing = peer.outgoing.clone();
                tokio::select! {
                    message = peer.incoming.recv() => Wake::Message(message),
                    permit = outgoing.reserve_owned(), if wants_to_send => {
                        permit.map_or(Wake::WriterGone, Wake::Room)
                    }
                }
            }
        }
    }
}

fn standing(held: Option<Held>) -> PeerStanding {
    PeerStanding {
        held,
        highest: held.map(|held| (held.position.ordinal, held.id)),
    }
}
