//! The list of the newest events. Pure: no clock, no lock.
//!
//! Invariant: ids grow and are never given twice, also not by another process; the list never has more
//! than its bound; and whoever asks for what follows an event gets all that follows it, or a reset.

use super::{EventKind, EventObject, News, Wanted};
use bcdr_format::{GroupId, Timestamp};
use std::{collections::VecDeque, fmt, str::FromStr};

/// Events that are kept.
pub(crate) const KEPT_MAX: usize = 10_000;
/// Bits of an id's first part that make two processes of one millisecond differ.
const RANDOM_BITS: u32 = 16;

/// Names an event: when the list was begun, and the event's number in it. Later ones sort after
/// earlier ones, as text too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EventId {
    list: u64,
    number: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "evt-{:016x}-{:012x}", self.list, self.number)
    }
}

/// A text that is no event's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not an event id")]
pub(crate) struct ParseEventIdError;

impl FromStr for EventId {
    type Err = ParseEventIdError;

    fn from_str(text: &str) -> Result<Self, ParseEventIdError> {
        let parsed = || {
            let (list, number) = text.strip_prefix("evt-")?.split_once('-')?;
            let id = Self {
                list: u64::from_str_radix(list, 16).ok()?,
                number: u64::from_str_radix(number, 16).ok()?,
            };
            // One id has one text.
            (id.to_string() == text).then_some(id)
        };
        parsed().ok_or(ParseEventIdError)
    }
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: EventId,
    pub(crate) at: Timestamp,
    pub(crate) kind: EventKind,
    /// What it is about; none for a reset.
    pub(crate) object: Option<EventObject>,
    pub(crate) object_id: Option<String>,
    pub(crate) group: Option<GroupId>,
    pub(crate) summary: String,
}

/// In which direction a list goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    NewestFirst,
    OldestFirst,
}

/// What follows an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Followed {
    /// These, and everything up to the id was looked at.
    On(Vec<Event>, EventId),
    /// It is not known what follows. This stands for it, and events go on after it.
    Reset(Event),
}

/// The newest events.
#[derive(Debug)]
pub(crate) struct EventLog {
    list: u64,
    /// When the last one was told that is not kept, or the list was begun.
    begins_at: Timestamp,
    /// The number of the last one that is not kept; 0 while all are.
    dropped: u64,
    kept: VecDeque<Event>,
    kept_max: usize,
}

impl EventLog {
    pub(super) fn new(now: Timestamp, random: u128, kept_max: usize) -> Self {
        let milliseconds = u64::try_from(now.0 / 1000).unwrap_or(0);
        let random = (random as u64) & ((1 << RANDOM_BITS) - 1);
        Self {
            list: (milliseconds << RANDOM_BITS) | random,
            begins_at: now,
            dropped: 0,
            kept: VecDeque::new(),
            kept_max,
        }
    }

    fn newest(&self) -> u64 {
        self.dropped + self.kept.len() as u64
    }

    fn id(&self, number: u64) -> EventId {
        EventId {
            list: self.list,
            number,
        }
    }

    /// Adds an event, and gives its number.
    pub(super) fn push(&mut self, news: News, now: Timestamp) -> u64 {
        let id = self.id(self.newest() + 1);
        self.kept.push_back(Event {
            id,
            at: now,
            kind: news.kind,
            object: Some(news.object),
            object_id: Some(news.object_id),
            group: news.group,
            summary: news.summary,
        });
        if self.kept.len() > self.kept_max
            && let Some(oldest) = self.kept.pop_front()
        {
            self.dropped = oldest.id.number;
            self.begins_at = oldest.at;
        }
        id.number
    }

    fn reset(&self, number: u64, at: Timestamp, summary: &str) -> Event {
        Event {
            id: self.id(number),
            at,
            kind: EventKind::Reset,
            object: None,
            object_id: None,
            group: None,
            summary: summary.to_owned(),
        }
    }

    /// What stands for all that is not kept.
    fn beginning(&self) -> Event {
        let summary = if self.dropped == 0 {
            "the cloud side started; events before that are not known"
        } else {
            "events before this one are not kept any more"
        };
        self.reset(self.dropped, self.begins_at, summary)
    }

    /// Where somebody begins who knows no event.
    pub(super) fn begin(&self) -> Event {
        let at = self.kept.back().map_or(self.begins_at, |event| event.at);
        let summary = "events are told from here on; read what is shown after this";
        self.reset(self.newest(), at, summary)
    }

    /// Whether it is known what follows an event.
    fn knows(&self, id: EventId) -> bool {
        id.list == self.list && (self.dropped..=self.newest()).contains(&id.number)
    }

    /// Those that are kept and were told after this one, the oldest first.
    fn kept_after(&self, number: u64) -> impl DoubleEndedIterator<Item = &Event> {
        let passed = number.saturating_sub(self.dropped);
        self.kept
            .iter()
            .skip(usize::try_from(passed).unwrap_or(usize::MAX))
    }

    pub(super) fn page(
        &self,
        order: Order,
        beyond: Option<EventId>,
        limit: usize,
        wanted: &Wanted,
    ) -> Vec<Event> {
        let known = beyond.filter(|id| self.knows(*id));
        let is_lost = beyond.is_some() && known.is_none();
        let mut found: Vec<Event> = Vec::new();
        match order {
            Order::OldestFirst => {
                if known.is_none() {
                    found.push(self.beginning());
                }
                let after = known.map_or(self.dropped, |id| id.number);
                let rest = self.kept_after(after).filter(|event| wanted.takes(event));
                found.extend(rest.take(limit.saturating_sub(found.len())).cloned());
            }
            Order::NewestFirst => {
                let before = known.map_or(u64::MAX, |id| id.number);
                let rest = self.kept.iter().rev();
                let rest = rest.filter(|event| event.id.number < before && wanted.takes(event));
                if !is_lost {
                    found.extend(rest.take(limit).cloned());
                }
                if found.len() < limit && before > self.dropped {
                    found.push(self.beginning());
                }
            }
        }
        found.truncate(limit);
        found
    }

    pub(super) fn follow(&self, after: EventId, limit: usize, wanted: &Wanted) -> Followed {
        if !self.knows(after) {
            let begin = self.begin();
            let summary = if after.list == self.list {
                "more happened than is kept since the event that was named"
            } else {
                "the cloud side was started since the event that was named"
            };
            return Followed::Reset(self.reset(begin.id.number, begin.at, summary));
        }
        let mut looked_at = after.number;
        let mut found = Vec::new();
        for event in self.kept_after(after.number) {
            if found.len() == limit {
                break;
            }
            looked_at = event.id.number;
            if wanted.takes(event) {
                found.push(event.clone());
            }
        }
        Followed::On(found, self.id(looked_at))
    }
}

#[cfg(test)]
mod tests;
