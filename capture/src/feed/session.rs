//! One peer's session: where it is, what to send it next, and what its acknowledgements free.
//!
//! It follows the peer through the tail in memory and, when the peer lags, through the journal.
//! Invariants: items go out in feed order without a gap; only what the peer's far side has made
//! durable is freed. It sends nothing itself, and how much may be under way is up to whoever asks
//! it for the next items.

use super::{
    FeedItem, FeedTail, History,
    history::{Handshake, PeerStanding},
    source::FeedStart,
};
use bcdr_format::{Position, incarnation::IncarnationOrdinal};
use std::collections::VecDeque;

/// The backlog is measured in steps of this many bytes.
const MEASURE_BYTES: u64 = 256 << 10;

/// What to do next for the peer.
#[derive(Debug, Clone, PartialEq)]
pub enum FeedStep {
    /// Send these.
    Items(Vec<FeedItem>),
    /// Read this part of the journal, with a fresh snapshot, and hand it to
    /// [`FeedSession::supply`].
    ReadJournal {
        /// From where.
        from: FeedStart,
        /// Up to which position.
        through: Position,
        /// How much.
        bytes_max: usize,
    },
    /// Nothing: wait for new items or for the peer.
    Idle,
}

/// The feed of one stream towards its one peer.
#[derive(Debug)]
pub struct FeedSession {
    history: History,
    tail: FeedTail,
    cursor: Option<FeedStart>,
    supplied: Option<Vec<FeedItem>>,
    reading: bool,
    sent: Option<Position>,
    acknowledged: Option<Position>,
    /// The newest life of the journal as it was recovered.
    recovered: Option<IncarnationOrdinal>,
    /// The peer's last position, when it connected, is in a life that this capture wrote.
    kindred: bool,
    /// The life whose opening the peer was resumed at: from there on what it holds is ours.
    resumed_at: Option<IncarnationOrdinal>,
    pushed_bytes: u64,
    acknowledged_bytes: u64,
    /// Positions and how many bytes had been pushed by then.
    measures: VecDeque<(Position, u64)>,
}

impl FeedSession {
    /// A feed that goes on from the lives recovered from the journal, keeping `tail_bytes_max`
    /// bytes of new items in memory.
    #[must_use]
    pub fn new(history: History, tail_bytes_max: usize) -> Self {
        let newest = history
            .lives()
            .last()
            .map(|life| life.start.opening.ordinal);
        Self {
            history,
            tail: FeedTail::new(tail_bytes_max, newest),
            cursor: None,
            supplied: None,
            reading: false,
            sent: None,
            acknowledged: None,
            recovered: newest,
            kindred: false,
            resumed_at: None,
            pushed_bytes: 0,
            acknowledged_bytes: 0,
            measures: VecDeque::new(),
        }
    }

    /// Takes the tap's next item.
    pub fn push(&mut self, item: FeedItem) {
        match &item {
            FeedItem::Opening(start) => self.history.opened(*start),
            FeedItem::Record { record, .. } => self.history.fed(record.sequence),
        }
        self.pushed_bytes += item.bytes() as u64;
        if let Some(position) = item.position() {
            let measured = self
                .measures
                .back()
                .map_or(self.acknowledged_bytes, |(_, bytes)| *bytes);
            if self.pushed_bytes >= measured + MEASURE_BYTES {
                self.measures.push_back((position, self.pushed_bytes));
            }
        }
        self.tail.push(item);
    }

    /// A peer connected and says where it is. On [`Handshake::ResumeFrom`] the session follows it.
    pub fn connected(&mut self, peer: &PeerStanding) -> Handshake {
        self.disconnected();
        self.kindred = peer.held.is_none_or(|held| self.history.wrote(&held));
        self.resumed_at = None;
        let handshake = self.history.handshake(peer);
        if let Handshake::ResumeFrom(start) = handshake {
            self.cursor = Some(start);
            self.sent = peer.held.map(|held| held.position);
            self.resumed_at = match start {
                FeedStart::Opening(ordinal) => Some(ordinal),
                FeedStart::After(_) => None,
            };
        }
        handshake
    }

    /// The peer is gone.
    pub fn disconnected(&mut self) {
        self.cursor = None;
        self.supplied = None;
        self.reading = false;
    }

    /// What to do next; about `bytes_max` bytes of it.
    pub fn next(&mut self, bytes_max: usize) -> FeedStep {
        let Some(cursor) = self.cursor else {
            return FeedStep::Idle;
        };
        if let Some(items) = self.supplied.take() {
            return self.send(items);
        }
        if self.reading {
            return FeedStep::Idle;
        }
        if self.tail.covers(cursor) {
            let items = self.tail.read(cursor, bytes_max);
            return if items.is_empty() {
                FeedStep::Idle
            } else {
                self.send(items)
            };
        }
        let Some(through) = self.history.fed_position() else {
            return FeedStep::Idle;
        };
        self.reading = true;
        FeedStep::ReadJournal {
            from: cursor,
            through,
            bytes_max,
        }
    }

    /// What a [`FeedStep::ReadJournal`] found. Ignored if the peer has gone since.
    pub fn supply(&mut self, items: Vec<FeedItem>) {
        if std::mem::take(&mut self.reading) && !items.is_empty() {
            self.supplied = Some(items);
        }
    }

    /// The journal could not be read for the peer: a full compare is due above the life it is in.
    #[must_use]
    pub fn cannot_read(&mut self) -> Handshake {
        self.disconnected();
        // Or the peer would be sent into the same damage by each new life.
        self.history.withdraw_all();
        match self.history.lives().last() {
            Some(newest) => Handshake::OpenAbove {
                above: newest.start.opening.ordinal,
                reason: "the journal is damaged where the peer must go on",
            },
            None => Handshake::NotYet,
        }
    }

    /// The far side of the peer that connected last has made everything up to `position` durable.
    /// Returns the position the journal may be trimmed to, if it moved.
    ///
    /// A position in a recovered life may lie beyond what the feed still vouches for: the peer got
    /// it before this capture was killed.
    pub fn acknowledged(&mut self, position: Position) -> Option<Position> {
        let fed = Some(position) <= self.history.fed_position();
        let known = fed || Some(position.ordinal) <= self.recovered;
        let ours = self.kindred
            || self
                .resumed_at
                .is_some_and(|resumed| position.ordinal >= resumed);
        if !ours || !known || Some(position) <= self.acknowledged {
            return None;
        }
        self.acknowledged = Some(position);
        while let Some((measured, bytes)) = self.measures.front()
            && *measured <= position
        {
            self.acknowledged_bytes = *bytes;
            self.measures.pop_front();
        }
        Some(position)
    }

    /// The journal freed everything up to here.
    pub fn trimmed(&mut self, through: Position) {
        self.history.trimmed(through);
    }

    /// Bytes the tap fed since this process started that the far side has not made durable, give or
    /// take 256 KiB.
    #[must_use]
    pub fn backlog_bytes(&self) -> u64 {
        self.pushed_bytes - self.acknowledged_bytes
    }

    /// The last position sent to this peer, or that it held when it connected.
    #[must_use]
    pub fn sent(&self) -> Option<Position> {
        self.sent
    }

    /// The lives this feed can offer.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    fn send(&mut self, items: Vec<FeedItem>) -> FeedStep {
        if let Some(last) = items.last() {
            self.cursor = Some(FeedStart::after(last));
        }
        self.sent = items
            .iter()
            .rev()
            .find_map(FeedItem::position)
            .or(self.sent);
        FeedStep::Items(items)
    }
}

#[cfg(test)]
mod tests;
