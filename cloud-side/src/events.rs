//! Events: what changed about which object, so that whoever shows it reads it again.
//!
//! Owns the list of the newest events, in memory, and the places of those who follow it. Events come
//! from the documents of the catalog that were written ([`read`]) and from a look at every group each
//! second ([`look`]). Invariants: an event is there after what it tells of is durable; nobody who
//! follows holds up who makes them, since followers read the one list at their own pace; and where
//! events are missing, because a process ended or a follower was too slow, a `reset` stands in their
//! place ([`log`]). An event is no record of who did what: that is the audit log.

pub(crate) mod log;
pub(crate) mod look;
mod places;
mod read;

pub(crate) use places::{Place, PlaceRefused};

use crate::{
    catalog::{ChangedDocument, DocumentWatch},
    clock,
};
use bcdr_format::GroupId;
use bcdr_http::{Permission, Role};
use log::{Event, EventId, EventLog, Followed, Order};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

/// Longest sentence of an event, in characters.
const SUMMARY_MAX: usize = 300;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventKind {
    /// The object was made, or is not as it was before.
    Changed,
    /// The object is there no more.
    Removed,
    /// Events before this one are not known: everything that is shown has to be read again.
    Reset,
}

impl EventKind {
    /// The name in the API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Reset => "reset",
        }
    }
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventObject {
    /// A group: its replication, its health, its connections.
    Group,
    /// A job.
    Job,
    /// A drill.
    Drill,
    /// When a group is drilled; named by the group's id.
    DrillSchedule,
    /// Which site a group's production belongs to; named by the group's id.
    Placement,
    /// A failover.
    Failover,
    /// A failback.
    Failback,
    /// A restore in place.
    Restore,
    /// A recovery plan; named by its name.
    Plan,
    /// A run of a plan.
    PlanRun,
    /// A branch.
    Branch,
    /// A view.
    View,
    /// Whether a group's newest inspected point would boot; named by the group's id.
    Readiness,
    /// A report.
    Report,
    /// An alert.
    Alert,
    /// What of the alerts is not told for a while.
    AlertMutes,
    /// A user; told only to who may see users.
    User,
    /// A token; told only to who may see tokens.
    Token,
}

impl EventObject {
    /// What somebody needs to be told of it.
    pub(crate) fn permission(self) -> Permission {
        match self {
            Self::User | Self::Token => Permission::Audit,
            _ => Permission::Read,
        }
    }
}

/// What is to be told, before it has its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) kind: EventKind,
    pub(crate) object: EventObject,
    pub(crate) object_id: String,
    pub(crate) group: Option<GroupId>,
    pub(crate) summary: String,
}

/// Which events somebody wants, and may see.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) group: Option<GroupId>,
    pub(crate) object: Option<EventObject>,
    pub(crate) kind: Option<EventKind>,
    pub(crate) role: Role,
}

impl Wanted {
    /// A reset is for everybody: without it a filter would hide that something is missing.
    pub(crate) fn takes(&self, event: &Event) -> bool {
        let Some(object) = event.object else {
            return true;
        };
        self.role.allows(object.permission())
            && self.group.is_none_or(|group| event.group == Some(group))
            && self.object.is_none_or(|wanted| wanted == object)
            && self.kind.is_none_or(|wanted| wanted == event.kind)
    }
}

/// The newest events, and who follows them.
#[derive(Debug)]
pub(crate) struct Events {
    log: Mutex<EventLog>,
    newest: watch::Sender<u64>,
    places: places::Places,
    closing: CancellationToken,
}

impl Events {
    /// An empty list; at most `streams` follow it at once.
    ///
    /// # Errors
    /// When the system has no randomness for the name of the list.
    pub(crate) fn new(streams: usize) -> Result<Self, getrandom::Error> {
        let random = crate::record_id::random()?;
        Ok(Self {
            log: Mutex::new(EventLog::new(clock::wall(), random, log::KEPT_MAX)),
            newest: watch::Sender::new(0),
            places: places::Places::new(streams),
            closing: CancellationToken::new(),
        })
    }

    fn log(&self) -> MutexGuard<'_, EventLog> {
        // Each change of the list is one step that leaves it whole.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of something.
    pub(crate) fn tell(&self, mut news: News) {
        if let Some((end, _)) = news.summary.char_indices().nth(SUMMARY_MAX) {
            news.summary.truncate(end);
        }
        let number = self.log().push(news, clock::wall());
        self.newest.send_replace(number);
    }

    /// Some events, in an order, beyond one of them.
    pub(crate) fn page(
        &self,
        order: Order,
        beyond: Option<EventId>,
        limit: usize,
        wanted: &Wanted,
    ) -> Vec<Event> {
        self.log().page(order, beyond, limit, wanted)
    }

    /// What follows an event.
    pub(crate) fn follow(&self, after: EventId, limit: usize, wanted: &Wanted) -> Followed {
        self.log().follow(after, limit, wanted)
    }

    /// Where somebody begins who knows no event yet.
    pub(crate) fn begin(&self) -> Event {
        self.log().begin()
    }

    /// Changes whenever there is a further event.
    pub(crate) fn further(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// A place among those who follow, for a principal.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn take_place(self: &Arc<Self>, principal: &str) -> Result<Place, PlaceRefused> {
        Place::take(self, principal)
    }

    /// Ends when nobody is to follow any more.
    pub(crate) fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }

    /// Sends away who follows: the process ends.
    pub(crate) fn close(&self) {
        self.closing.cancel();
    }

    /// How many follow.
    pub(crate) fn followers(&self) -> usize {
        self.places.taken()
    }
}

impl DocumentWatch for Events {
    fn news(&self, document: &ChangedDocument<'_>) -> Option<News> {
        read::news(document)
    }

    fn tell(&self, news: News) {
        Self::tell(self, news);
    }
}
