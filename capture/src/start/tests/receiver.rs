//! A far side that keeps the rules: it judges continuity, opens intervals of its own at forks, and
//! publishes only while nothing is open.

use super::oracle::{BLANK, UNKNOWN};
use crate::{
    StreamBody, StreamRecord,
    feed::{FeedItem, PeerStanding},
};
use bcdr_format::{
    IncarnationId, Opening, Position, SyncId,
    continuity::{Arriving, Fork, Held, Verdict, judge},
    incarnation::IncarnationOrdinal,
    sync::{Heals, SyncEvent},
};
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
pub(super) struct Receiver {
    pub(super) held: Option<Held>,
    pub(super) highest: Option<(IncarnationOrdinal, IncarnationId)>,
    pub(super) image: Vec<u64>,
    opening: Option<Opening>,
    forks: Vec<Fork>,
    /// Open intervals, by the life each began in.
    open: BTreeMap<SyncId, IncarnationOrdinal>,
    pub(super) forks_met: u64,
}

impl Receiver {
    pub(super) fn new(sectors: usize) -> Self {
        Self {
            held: None,
            highest: None,
            image: vec![BLANK; sectors],
            opening: None,
            forks: Vec::new(),
            open: BTreeMap::new(),
            forks_met: 0,
        }
    }

    pub(super) fn standing(&self) -> PeerStanding {
        PeerStanding {
            held: self.held,
            highest: self.highest,
        }
    }

    pub(super) fn publishes(&self) -> bool {
        self.held.is_some() && self.forks.is_empty() && self.open.is_empty()
    }

    pub(super) fn take(&mut self, item: &FeedItem) -> Result<(), String> {
        match item {
            FeedItem::Opening(start) => {
                self.opening = Some(start.opening);
                Ok(())
            }
            FeedItem::Record { ordinal, record } => self.take_record(*ordinal, record),
        }
    }

    fn take_record(
        &mut self,
        ordinal: IncarnationOrdinal,
        record: &StreamRecord,
    ) -> Result<(), String> {
        let opening = self.opening.filter(|opening| opening.ordinal == ordinal);
        let known = self
            .held
            .filter(|held| held.position.ordinal == ordinal)
            .map(|held| held.id);
        let id = opening
            .map(|opening| opening.id)
            .or(known)
            .ok_or("an unopened life")?;
        let (first, last) = (record.sequence, record.sequence);
        let arriving = Arriving {
            ordinal,
            id,
            opening,
            first,
            last,
        };
        match judge(self.held.as_ref(), &arriving) {
            Verdict::Continues => {}
            Verdict::Forks(fork) => {
                self.forks_met += 1;
                self.forks.push(fork);
            }
            Verdict::Duplicate => return Ok(()),
            other => return Err(format!("{other:?} at {ordinal}-{first}")),
        }
        self.held = Some(Held {
            position: Position::new(ordinal, last),
            id,
        });
        self.highest = Some((ordinal, id));
        self.apply(ordinal, &record.body);
        Ok(())
    }

    fn apply(&mut self, ordinal: IncarnationOrdinal, body: &StreamBody) {
        if let StreamBody::Sync(event) = body {
            match event {
                SyncEvent::Begin { sync, .. } => {
                    self.open.entry(*sync).or_insert(ordinal);
                }
                SyncEvent::End { sync, heals } => {
                    self.open.remove(sync);
                    if let Heals::Everything { opening } = heals {
                        // Whatever an earlier life left open was read again since.
                        self.open.retain(|_, begun| *begun >= *opening);
                    }
                    self.forks.retain(|fork| !fork.closed_by(heals));
                }
            }
        }
        let Some(range) = body.range() else { return };
        let sectors = (range.offset / 512) as usize..(range.end() / 512) as usize;
        for (index, sector) in sectors.enumerate() {
            self.image[sector] = match (body, body.payload()) {
                (StreamBody::Void { .. }, _) => UNKNOWN,
                (_, Some(payload)) => stamp_of(&payload[index * 512..index * 512 + 512]),
                (_, None) => BLANK,
            };
        }
    }
}

pub(super) fn stamp_of(sector: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&sector[..8]);
    u64::from_le_bytes(bytes)
}
