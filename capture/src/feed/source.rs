//! The feed's tail: the newest items in memory, so that normally nothing is read from disk.
//!
//! Invariant: the items are contiguous in feed order up to the newest; the oldest are dropped when
//! there are too many bytes, whatever any peer still needs, because the journal has them.

use super::{FeedItem, Place};
use bcdr_format::{Position, Sequence, incarnation::IncarnationOrdinal};
use std::collections::VecDeque;

/// Where to go on sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedStart {
    /// With a life's opening.
    Opening(IncarnationOrdinal),
    /// With whatever follows this position in feed order: the life's next record, or the opening of
    /// the next life.
    After(Position),
}

impl FeedStart {
    /// Where to go on after `item`.
    #[must_use]
    pub fn after(item: &FeedItem) -> Self {
        match item {
            FeedItem::Opening(start) => {
                let opening = start.opening;
                Self::After(Position::new(opening.ordinal, opening.first.previous()))
            }
            FeedItem::Record { ordinal, record } => {
                Self::After(Position::new(*ordinal, record.sequence))
            }
        }
    }
}

/// The newest items of the feed.
#[derive(Debug)]
pub struct FeedTail {
    items: VecDeque<FeedItem>,
    bytes: usize,
    bytes_max: usize,
    /// The place of the last item before those here.
    before: Option<Place>,
}

impl FeedTail {
    /// An empty tail of at most `bytes_max` bytes, behind a journal whose newest life, if it has
    /// one, is `recovered`.
    #[must_use]
    pub fn new(bytes_max: usize, recovered: Option<IncarnationOrdinal>) -> Self {
        let before = recovered.map(|ordinal| Place {
            ordinal,
            sequence: Some(Sequence(u64::MAX)),
        });
        Self {
            items: VecDeque::new(),
            bytes: 0,
            bytes_max,
            before,
        }
    }

    /// Takes the next item in feed order.
    pub fn push(&mut self, item: FeedItem) {
        self.bytes += item.bytes();
        self.items.push_back(item);
        while self.bytes > self.bytes_max
            && let Some(oldest) = self.items.pop_front()
        {
            self.bytes -= oldest.bytes();
            self.before = Some(oldest.place());
        }
    }

    /// Whether everything from `start` on is here; if so, [`Self::read`] can be used.
    #[must_use]
    pub fn covers(&self, start: FeedStart) -> bool {
        match start {
            FeedStart::Opening(ordinal) => {
                self.before
                    < Some(Place {
                        ordinal,
                        sequence: None,
                    })
            }
            FeedStart::After(position) => self.before <= Some(place_of(position)),
        }
    }

    /// Items from `start` on, until they have `bytes_max` bytes or a little more. Nothing if the
    /// newest item was sent already.
    #[must_use]
    pub fn read(&self, start: FeedStart, bytes_max: usize) -> Vec<FeedItem> {
        let from = match start {
            FeedStart::Opening(ordinal) => {
                let place = Place {
                    ordinal,
                    sequence: None,
                };
                self.items.partition_point(|item| item.place() < place)
            }
            FeedStart::After(position) => {
                let place = place_of(position);
                self.items.partition_point(|item| item.place() <= place)
            }
        };
        let mut bytes = 0;
        let wanted = |item: &&FeedItem| {
            let wanted = bytes < bytes_max;
            bytes += item.bytes();
            wanted
        };
        self.items
            .range(from..)
            .take_while(wanted)
            .cloned()
            .collect()
    }
}

fn place_of(position: Position) -> Place {
    Place {
        ordinal: position.ordinal,
        sequence: Some(position.sequence),
    }
}
