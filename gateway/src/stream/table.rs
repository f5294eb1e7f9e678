//! Which streams are served, and which may be started.
//!
//! Decides without I/O. A stream that no receiver has confirmed may be anybody's invention: its
//! owner is one of few, and ends when every receiver has said that it does not know the stream. That
//! word is kept for the capture's next hello, which would otherwise never hear it.

use super::{Attach, StreamStatus};
use bcdr_format::{GroupId, StreamId};
use bcdr_wire::feed::Refusal;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, VecDeque};
use tokio::sync::{mpsc, watch};

/// Streams that no receiver has confirmed yet, in all.
const UNCONFIRMED_MAX: usize = 128;
/// Streams that no receiver has confirmed yet, of one capture's certificate.
const UNCONFIRMED_PER_CAPTURE_MAX: usize = 32;
/// Streams whose captures are still to be told that no receiver knows them.
const UNKNOWN_KEPT: usize = 256;

/// A stream's owner, from outside.
#[derive(Debug)]
pub(super) struct OwnerHandle {
    pub(super) attachments: mpsc::Sender<Attach>,
    pub(super) status: watch::Receiver<StreamStatus>,
}

#[derive(Debug)]
enum Standing {
    /// Its state and its spool are being read.
    Starting,
    Running(OwnerHandle),
}

#[derive(Debug)]
struct Entry {
    standing: Standing,
    /// The certificate name of the capture that asked for the stream; none when it was remembered.
    asked_by: Option<String>,
}

impl Entry {
    fn is_unconfirmed(&self) -> bool {
        match &self.standing {
            Standing::Starting => self.asked_by.is_some(),
            Standing::Running(owner) => !owner.status.borrow().confirmed,
        }
    }
}

/// A remembered stream that is not served.
#[derive(Debug, Clone, Serialize)]
pub struct LeftOut {
    /// The stream.
    pub stream: StreamId,
    /// Why, and what to do.
    pub reason: String,
}

/// What a session is to do for its stream.
#[derive(Debug)]
pub(super) enum Admitted {
    /// Its owner runs.
    Running(mpsc::Sender<Attach>),
    /// Its owner is to be started; the table holds its place.
    Start,
}

/// The streams this gateway serves.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: HashMap<StreamId, Entry>,
    unknown: VecDeque<(GroupId, StreamId)>,
    left_out: BTreeMap<StreamId, String>,
    stopping: bool,
}

fn not_ready(reason: impl Into<String>) -> Refusal {
    Refusal::NotReady {
        reason: reason.into(),
    }
}

impl Table {
    /// Whether a stream that a capture asks for is served. [`Admitted::Start`] is answered with
    /// [`Self::started`] or [`Self::not_started`].
    pub(super) fn admit(
        &mut self,
        group: GroupId,
        stream: StreamId,
        asked_by: &str,
    ) -> Result<Admitted, Refusal> {
        if self.stopping {
            return Err(not_ready("the gateway is stopping"));
        }
        match self.entries.get(&stream).map(|entry| &entry.standing) {
            Some(Standing::Running(owner)) if !owner.attachments.is_closed() => {
                return Ok(Admitted::Running(owner.attachments.clone()));
            }
            Some(Standing::Starting) => {
                return Err(not_ready("the stream's state is being read"));
            }
            Some(Standing::Running(_)) | None => {}
        }
        let told = self.unknown.iter().position(|it| *it == (group, stream));
        if let Some(told) = told {
            self.unknown.remove(told);
            return Err(Refusal::UnknownStream { group, stream });
        }
        self.check_unconfirmed(asked_by)?;
        self.hold(stream, Some(asked_by.to_owned()));
        Ok(Admitted::Start)
    }

    fn check_unconfirmed(&self, asked_by: &str) -> Result<(), Refusal> {
        let unconfirmed = || self.entries.values().filter(|entry| entry.is_unconfirmed());
        let all = unconfirmed().count();
        let of_it = unconfirmed()
            .filter(|entry| entry.asked_by.as_deref() == Some(asked_by))
            .count();
        if all >= UNCONFIRMED_MAX || of_it >= UNCONFIRMED_PER_CAPTURE_MAX {
            return Err(not_ready(format!(
                "{all} streams, {of_it} of them asked for by {asked_by:?}, wait for a receiver to confirm that it knows them (at most {UNCONFIRMED_MAX} and {UNCONFIRMED_PER_CAPTURE_MAX} may): restore the link to the receiver"
            )));
        }
        Ok(())
    }

    /// Holds the place of a stream whose owner is about to be started.
    pub(super) fn hold(&mut self, stream: StreamId, asked_by: Option<String>) {
        let standing = Standing::Starting;
        self.entries.insert(stream, Entry { standing, asked_by });
    }

    /// The owner of a stream whose place is held runs.
    pub(super) fn started(&mut self, stream: StreamId, owner: OwnerHandle) {
        self.left_out.remove(&stream);
        if let Some(entry) = self.entries.get_mut(&stream) {
            entry.standing = Standing::Running(owner);
        }
    }

    /// The owner of a stream whose place was held could not be started.
    pub(super) fn not_started(&mut self, stream: StreamId) {
        self.entries.remove(&stream);
    }

    /// A remembered stream, whose place was held, cannot be served. It stays so until a capture asks
    /// for it and its owner starts.
    pub(super) fn leave_out(&mut self, stream: StreamId, reason: String) {
        self.entries.remove(&stream);
        self.left_out.insert(stream, reason);
    }

    /// The remembered streams that are not served.
    pub(super) fn left_out(&self) -> Vec<LeftOut> {
        let told = |(stream, reason): (&StreamId, &String)| LeftOut {
            stream: *stream,
            reason: reason.clone(),
        };
        self.left_out.iter().map(told).collect()
    }

    /// Whether each stream's records can be taken in and kept, and why not. Streams that no receiver
    /// has confirmed say nothing: anybody may have asked for them.
    pub(super) fn readiness(&self) -> BTreeMap<StreamId, Result<(), String>> {
        let left_out = self.left_out.iter();
        let mut all: BTreeMap<_, _> = left_out
            .map(|(stream, reason)| (*stream, Err(reason.clone())))
            .collect();
        for (stream, entry) in &self.entries {
            let outcome = match &entry.standing {
                Standing::Starting if entry.asked_by.is_some() => continue,
                Standing::Starting => Err("its state is being read".to_owned()),
                Standing::Running(owner) => {
                    let status = owner.status.borrow();
                    if !status.confirmed {
                        continue;
                    }
                    status.readiness()
                }
            };
            all.insert(*stream, outcome);
        }
        all
    }

    /// The only capture that may feed a stream, if the stream is of this group.
    pub(super) fn bound_capture(&self, group: GroupId, stream: StreamId) -> Option<String> {
        let Standing::Running(owner) = &self.entries.get(&stream)?.standing else {
            return None;
        };
        let status = owner.status.borrow();
        status
            .bound_to
            .clone()
            .filter(|_| status.group == Some(group))
    }

    /// The owner of a stream ended; `unknown` when it did because no receiver knows the stream.
    pub(super) fn ended(&mut self, group: GroupId, stream: StreamId, unknown: bool) {
        let ended = |entry: &Entry| match &entry.standing {
            Standing::Running(owner) => owner.attachments.is_closed(),
            Standing::Starting => false,
        };
        if self.entries.get(&stream).is_some_and(ended) {
            self.entries.remove(&stream);
        }
        if unknown {
            self.unknown.push_back((group, stream));
            if self.unknown.len() > UNKNOWN_KEPT {
                self.unknown.pop_front();
            }
        }
    }

    /// Lets go of all owners, and of any that is still being started.
    pub(super) fn stop(&mut self) {
        self.stopping = true;
        self.entries.clear();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// How every stream with an owner stands.
    pub(super) fn status(&self) -> Vec<(StreamId, StreamStatus)> {
        let mut all: Vec<_> = self
            .entries
            .iter()
            .filter_map(|(stream, entry)| match &entry.standing {
                Standing::Running(owner) => Some((*stream, owner.status.borrow().clone())),
                Standing::Starting => None,
            })
            .collect();
        all.sort_by_key(|(stream, _)| *stream);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::STALLED_SECONDS;

    const GROUP: GroupId = GroupId::from_u128(1);

    fn stream(number: usize) -> StreamId {
        StreamId::from_u128(number as u128)
    }

    /// A running owner, and its other ends.
    fn owner(
        confirmed: bool,
    ) -> (
        OwnerHandle,
        mpsc::Receiver<Attach>,
        watch::Sender<StreamStatus>,
    ) {
        let (attachments, inbox) = mpsc::channel(1);
        let (publish, status) = watch::channel(StreamStatus {
            confirmed,
            ..StreamStatus::default()
        });
        let handle = OwnerHandle {
            attachments,
            status,
        };
        (handle, inbox, publish)
    }

    #[test]
    fn one_capture_invents_no_more_streams_than_its_share_and_leaves_room_for_others() {
        let mut table = Table::default();
        for number in 0..UNCONFIRMED_PER_CAPTURE_MAX {
            let admitted = table.admit(GROUP, stream(number), "a");
            assert!(matches!(admitted, Ok(Admitted::Start)), "{number}");
        }
        let over = table.admit(GROUP, stream(1000), "a").unwrap_err();
        assert!(matches!(over, Refusal::NotReady { .. }), "{over}");
        assert!(table.admit(GROUP, stream(1000), "b").is_ok());
        // One that a receiver confirms makes room, and so does one that does not start.
        let (handle, _inbox, publish) = owner(false);
        table.started(stream(0), handle);
        assert!(table.admit(GROUP, stream(1001), "a").is_err());
        publish.send_modify(|status| status.confirmed = true);
        assert!(table.admit(GROUP, stream(1001), "a").is_ok());
        assert!(table.admit(GROUP, stream(1002), "a").is_err());
        table.not_started(stream(1));
        assert!(table.admit(GROUP, stream(1002), "a").is_ok());
    }

    #[test]
    fn all_captures_together_invent_a_bounded_number() {
        let mut table = Table::default();
        for number in 0..UNCONFIRMED_MAX {
            let name = format!("capture-{}", number % 10);
            assert!(table.admit(GROUP, stream(number), &name).is_ok());
        }
        assert!(table.admit(GROUP, stream(1000), "another").is_err());
    }

    #[test]
    fn a_stream_that_no_receiver_knows_is_let_go_and_its_capture_told_once() {
        let mut table = Table::default();
        table.admit(GROUP, stream(1), "a").unwrap();
        let (handle, inbox, _publish) = owner(false);
        table.started(stream(1), handle);
        assert!(matches!(
            table.admit(GROUP, stream(1), "a"),
            Ok(Admitted::Running(_))
        ));
        drop(inbox);
        table.ended(GROUP, stream(1), true);
        assert!(table.status().is_empty());
        let told = table.admit(GROUP, stream(1), "a").unwrap_err();
        assert!(matches!(told, Refusal::UnknownStream { .. }), "{told}");
        // The next hello has the receivers asked again: the group may exist by then.
        assert!(matches!(
            table.admit(GROUP, stream(1), "a"),
            Ok(Admitted::Start)
        ));
    }

    #[test]
    fn another_group_is_not_told_what_was_said_of_the_first() {
        let mut table = Table::default();
        table.ended(GROUP, stream(1), true);
        let other = GroupId::from_u128(2);
        assert!(table.admit(other, stream(1), "a").is_ok());
    }

    #[test]
    fn readiness_is_told_of_each_stream_that_is_somebodys() {
        let mut table = Table::default();
        table.hold(stream(1), None);
        table.admit(GROUP, stream(2), "a").unwrap();
        table.hold(stream(3), None);
        table.leave_out(stream(3), "damaged".to_owned());
        table.hold(stream(4), None);
        let (handle, _inbox, publish) = owner(true);
        table.started(stream(4), handle);
        let says = |table: &Table, number| table.readiness().get(&stream(number)).cloned();
        assert!(matches!(says(&table, 1), Some(Err(_))));
        assert_eq!(says(&table, 2), None);
        assert_eq!(says(&table, 3), Some(Err("damaged".to_owned())));
        assert!(
            matches!(says(&table, 4), Some(Err(_))),
            "no receiver has spoken"
        );
        publish.send_modify(|status| status.receiver_known = true);
        assert_eq!(says(&table, 4), Some(Ok(())));
        publish.send_modify(|status| status.spool_refuses = Some("full".to_owned()));
        assert_eq!(says(&table, 4), Some(Err("full".to_owned())));
        publish.send_modify(|status| {
            status.spool_refuses = None;
            status.stalled_seconds = STALLED_SECONDS;
        });
        assert!(matches!(says(&table, 4), Some(Err(_))));
        // A left-out stream whose owner starts after all is served like any other.
        table.admit(GROUP, stream(3), "a").unwrap();
        let (handle, _inbox, _publish) = owner(true);
        table.started(stream(3), handle);
        assert!(table.left_out().is_empty());
    }

    #[test]
    fn what_is_being_started_is_not_started_twice_and_nothing_is_after_the_stop() {
        let mut table = Table::default();
        table.admit(GROUP, stream(1), "a").unwrap();
        assert!(table.admit(GROUP, stream(1), "a").is_err());
        table.stop();
        assert!(table.admit(GROUP, stream(2), "a").is_err());
    }
}
