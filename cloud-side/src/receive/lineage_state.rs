//! What one lineage holds, what it accepts next, and whether a batch end is a point.
//!
//! Owns acceptance, the open intervals and the publish rule; no I/O, and time comes as an argument.
//! Its invariants: a batch is applied at most once and never behind a gap; a batch end is published
//! only if no sync or fork interval is open there and the initial sync was done; point times never
//! go back and never lie after receipt. The state is a pure function of the log's entries, so that
//! replaying them gives it again.

use super::{
    BatchNumber, Lineage, PointId, PublishedPoint, RpoBasis, unknown_ranges::UnknownRanges,
};
use bcdr_format::{
    DataKeyId, Generation, IncarnationOrdinal, MarkerId, Position, Sequence, SyncId, Timestamp,
    VolumeNumber,
    batch::{BatchHeader, BatchLayout, MAC_BYTES},
    continuity::{Fork, Held, Verdict, judge},
    record::{Beat, Member},
    sync::{Heals, SyncEvent, SyncReason},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;

/// Whether an offered batch is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Append it. With a fork, no point is published until a sync-end that heals it.
    Append {
        /// The fork that accepting it opens.
        fork: Option<Fork>,
    },
    /// All of it is held already; the acknowledged position is the answer.
    Duplicate,
    /// It cannot be taken.
    Refuse(Refusal),
}

/// Why a batch is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It belongs to another history.
    #[error("the batch belongs to {found}, this session feeds {expected}: check the assignment")]
    WrongLineage {
        /// This lineage.
        expected: Lineage,
        /// The batch's.
        found: Lineage,
    },
    /// A newer generation has fenced its sender off, for ever.
    #[error(
        "the batch was shipped under generation {found}, generation {held} has taken over: the sender must take the new generation"
    )]
    Fenced {
        /// The generation held.
        held: Generation,
        /// The batch's.
        found: Generation,
    },
    /// Its generation is newer than this receiver knows: the fence must be made durable first.
    #[error(
        "the batch was shipped under generation {found}, this receiver knows only {held}: fence to the newer generation before taking data"
    )]
    GenerationAhead {
        /// The generation held.
        held: Generation,
        /// The batch's.
        found: Generation,
    },
    /// Records before it are missing.
    #[error("records from {next} on are missing before the batch: send from there")]
    Gap {
        /// The first missing record.
        next: Sequence,
    },
    /// It starts a new incarnation without its opening.
    #[error("the batch starts a new incarnation without its opening: send from the opening on")]
    OpeningMissing,
    /// A later life of the stream is held.
    #[error(
        "incarnation {highest} or another life with that number is held: the capture must open a new incarnation above it with a full compare"
    )]
    Superseded {
        /// The highest ordinal held.
        highest: IncarnationOrdinal,
    },
    /// An extent names a volume that no member record introduced.
    #[error("the batch changes volume number {volume}, which no member record introduced")]
    UnknownVolume {
        /// The number.
        volume: VolumeNumber,
    },
    /// An extent ends beyond its volume.
    #[error("the batch changes bytes up to {end} of volume number {volume}, which has {size}")]
    OutsideVolume {
        /// The volume.
        volume: VolumeNumber,
        /// The byte after the extent.
        end: u64,
        /// The volume's size in bytes.
        size: u64,
    },
    /// The wrapped form of a data key has not arrived.
    #[error("the batch holds chunks sealed under {key}, whose wrapped key has not arrived")]
    KeyMissing {
        /// The data key.
        key: DataKeyId,
    },
    /// The store is out of space.
    #[error(transparent)]
    SpaceFloor(#[from] crate::replica::space::SpaceFloorReached),
    /// The log is damaged: taking more data would build on a hole.
    #[error("the lineage's log is damaged ({0}): it takes no data until it is repaired")]
    Damaged(String),
    /// An earlier failure ended this store's life; it must be opened again.
    #[error("the lineage's store failed earlier and must be opened again")]
    Failed,
}

/// What applying a batch did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Where the batch ends.
    pub end: Position,
    /// Whether it became a numbered batch.
    pub applied: Applied,
    /// The point published at its end.
    pub published: Option<PublishedPoint>,
    /// The marker it carried.
    pub marker: Option<MarkerOutcome>,
    /// The fork interval it opened.
    pub forked: Option<Fork>,
    /// The fork intervals it closed.
    pub healed: Vec<Fork>,
    /// The instant up to which the newest batch's state is known to have been current.
    pub covers_until: Timestamp,
    /// Its time: captured, never after receipt, monotone.
    pub time: Timestamp,
    /// Whether the members changed with it.
    pub members_changed: bool,
    /// Whether the set of unknown ranges changed with it.
    pub unknown_changed: bool,
}

/// What a batch became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// The batch with this number.
    Batch(BatchNumber),
    /// A heartbeat: it extended the time that batch `extends` covers.
    Heartbeat {
        /// The batch before it.
        extends: BatchNumber,
    },
}

/// A marker that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkerOutcome {
    /// Its identity.
    pub id: MarkerId,
    /// Its label.
    pub label: String,
    /// The point it names; none while an interval is open, and then it never will be one.
    pub point: Option<PointId>,
}

/// A sync interval that has begun and not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenSync {
    /// The interval.
    pub sync: SyncId,
    /// Why it was opened.
    pub reason: SyncReason,
    /// The incarnation it was begun in.
    pub begun_in: IncarnationOrdinal,
}

/// The state of one lineage. Serialized in the catalog's checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineageState {
    lineage: Lineage,
    since: Timestamp,
    generation: Generation,
    held: Option<Held>,
    chain: [u8; MAC_BYTES],
    open_syncs: BTreeMap<SyncId, OpenSync>,
    forks: Vec<Fork>,
    initial_sync_done: bool,
    next_batch: BatchNumber,
    covers_until: Timestamp,
    published: Option<PublishedPoint>,
    latest_beat: Option<Beat>,
    published_beat: Option<Beat>,
    members: BTreeMap<VolumeNumber, Member>,
    unknown: UnknownRanges,
}

impl LineageState {
    /// An empty lineage, made at `since`.
    pub fn new(lineage: Lineage, generation: Generation, since: Timestamp) -> Self {
        Self {
            lineage,
            since,
            generation,
            held: None,
            chain: [0; MAC_BYTES],
            open_syncs: BTreeMap::new(),
            forks: Vec::new(),
            initial_sync_done: false,
            next_batch: BatchNumber(0),
            covers_until: Timestamp(i64::MIN),
            published: None,
            latest_beat: None,
            published_beat: None,
            members: BTreeMap::new(),
            unknown: UnknownRanges::default(),
        }
    }

    /// Decides on a batch. The state does not change; [`Self::applied`] does that.
    pub fn offer(&self, layout: &BatchLayout) -> Decision {
        self.judge_offer(layout).unwrap_or_else(Decision::Refuse)
    }

    /// Decides on a batch read back from the log: it was accepted under the generation of its time.
    pub(crate) fn offer_again(&self, layout: &BatchLayout) -> Decision {
        self.judge_content(layout).unwrap_or_else(Decision::Refuse)
    }

    fn judge_offer(&self, layout: &BatchLayout) -> Result<Decision, Refusal> {
        let header = &layout.header;
        let found = Lineage {
            group: header.group,
            stream: header.stream,
        };
        if found != self.lineage {
            return Err(Refusal::WrongLineage {
                expected: self.lineage,
                found,
            });
        }
        self.check_generation(header.generation)?;
        self.judge_content(layout)
    }

    fn judge_content(&self, layout: &BatchLayout) -> Result<Decision, Refusal> {
        let fork = match judge(self.held.as_ref(), &layout.header.arriving()) {
            Verdict::Continues => None,
            Verdict::Forks(fork) => Some(fork),
            Verdict::Duplicate => return Ok(Decision::Duplicate),
            Verdict::Gap { next } => return Err(Refusal::Gap { next }),
            Verdict::OpeningMissing => return Err(Refusal::OpeningMissing),
            Verdict::Superseded { highest } => return Err(Refusal::Superseded { highest }),
        };
        self.check_volumes(layout)?;
        Ok(Decision::Append { fork })
    }

    fn check_generation(&self, found: Generation) -> Result<(), Refusal> {
        let held = self.generation;
        match found.cmp(&held) {
            std::cmp::Ordering::Less => Err(Refusal::Fenced { held, found }),
            std::cmp::Ordering::Greater => Err(Refusal::GenerationAhead { held, found }),
            std::cmp::Ordering::Equal => Ok(()),
        }
    }

    fn check_volumes(&self, layout: &BatchLayout) -> Result<(), Refusal> {
        let told = &layout.header.members;
        for extent in &layout.extents {
            let volume = extent.volume;
            // An opening tells all volumes anew: numbers of an earlier life mean nothing any more.
            let before = || match layout.header.opening {
                Some(_) => None,
                None => self.members.get(&volume),
            };
            let member = told
                .iter()
                .rfind(|member| member.number == volume)
                .or_else(before)
                .ok_or(Refusal::UnknownVolume { volume })?;
            if extent.end() > member.size_bytes {
                return Err(Refusal::OutsideVolume {
                    volume,
                    end: extent.end(),
                    size: member.size_bytes,
                });
            }
        }
        Ok(())
    }

    /// Takes in a batch that [`Self::offer`] accepted, or one read back from the log.
    ///
    /// `mac` is the batch's MAC, the chain value of the next one; `receipt` is when it arrived.
    /// Nothing it says is durable or published before the log was synced: the caller keeps the
    /// outcome back until then.
    pub fn applied(
        &mut self,
        layout: &BatchLayout,
        mac: [u8; MAC_BYTES],
        receipt: Timestamp,
    ) -> Outcome {
        let header = &layout.header;
        let forked = self.open_fork(layout);
        let members_changed = self.learn_members(header);
        let unknown_changed = self.unknown.apply(&layout.extents);
        let healed = self.take_sync_events(header.ordinal, &header.sync_events);
        let time = header.captured_at.min(receipt).max(self.covers_until);
        self.covers_until = time;
        self.held = Some(Held {
            position: header.end(),
            id: header.incarnation,
        });
        self.chain = mac;
        if header.beat.is_some() {
            self.latest_beat = header.beat;
        }
        let heartbeat =
            layout.is_heartbeat() && !members_changed && self.next_batch > BatchNumber(0);
        let (applied, published) = if heartbeat {
            let extends = BatchNumber(self.next_batch.0 - 1);
            self.extend_published(extends);
            (Applied::Heartbeat { extends }, None)
        } else {
            let number = self.next_batch;
            self.next_batch = number.next();
            (Applied::Batch(number), self.publish(number, time))
        };
        Outcome {
            end: header.end(),
            applied,
            published,
            marker: header.marker.as_ref().map(|marker| MarkerOutcome {
                id: marker.id,
                label: marker.label.clone(),
                point: published.map(|point| point.id),
            }),
            forked,
            healed,
            covers_until: self.covers_until,
            time,
            members_changed,
            unknown_changed,
        }
    }

    fn open_fork(&mut self, layout: &BatchLayout) -> Option<Fork> {
        let Verdict::Forks(fork) = judge(self.held.as_ref(), &layout.header.arriving()) else {
            return None;
        };
        self.forks.push(fork);
        Some(fork)
    }

    fn learn_members(&mut self, header: &BatchHeader) -> bool {
        let members = self.members_with(header);
        let changed = members != self.members;
        self.members = members;
        changed
    }

    /// The volumes after a batch. One with an opening tells all of them anew: a volume that is gone
    /// from the source must not stay, nor a number that another volume has now.
    pub(crate) fn members_with(&self, header: &BatchHeader) -> BTreeMap<VolumeNumber, Member> {
        let mut members = match header.opening {
            Some(_) => BTreeMap::new(),
            None => self.members.clone(),
        };
        members.extend(header.members.iter().map(|member| (member.number, *member)));
        members
    }

    /// A batch's events are in order and complete up to its end, so taking them in again with an
    /// overlapping batch ends in the same state.
    fn take_sync_events(&mut self, ordinal: IncarnationOrdinal, events: &[SyncEvent]) -> Vec<Fork> {
        let mut healed = Vec::new();
        for event in events {
            match *event {
                SyncEvent::Begin { sync, reason } => {
                    self.open_syncs.entry(sync).or_insert(OpenSync {
                        sync,
                        reason,
                        begun_in: ordinal,
                    });
                }
                SyncEvent::End { sync, heals } => healed.extend(self.end_sync(sync, heals)),
            }
        }
        healed
    }

    fn end_sync(&mut self, sync: SyncId, heals: Heals) -> Vec<Fork> {
        let ended = self.open_syncs.remove(&sync);
        let initial = ended.is_some_and(|open| open.reason == SyncReason::Initial);
        if let Heals::Everything { opening } = heals {
            // Intervals that an earlier life left open were widened into this full compare.
            self.open_syncs.retain(|_, open| open.begun_in >= opening);
        }
        self.initial_sync_done |= initial || matches!(heals, Heals::Everything { .. });
        let (healed, open) = self.forks.iter().partition(|fork| fork.closed_by(&heals));
        self.forks = open;
        healed
    }

    /// Whether the state held now is an exact prefix of the source's history.
    pub fn is_publishable(&self) -> bool {
        self.initial_sync_done && self.open_syncs.is_empty() && self.forks.is_empty()
    }

    fn publish(&mut self, number: BatchNumber, time: Timestamp) -> Option<PublishedPoint> {
        if !self.is_publishable() {
            return None;
        }
        let held = self.held.as_ref()?;
        self.published = Some(PublishedPoint {
            id: PointId(held.position),
            batch: number,
            time,
        });
        self.published_beat = self.latest_beat;
        self.published
    }

    fn extend_published(&mut self, extends: BatchNumber) {
        let current = self.published.is_some_and(|point| point.batch == extends);
        if current && self.is_publishable() {
            self.published_beat = self.latest_beat;
        }
    }

    /// Takes in a fence. Older generations than the one held change nothing.
    pub fn fenced(&mut self, generation: Generation) {
        self.generation = self.generation.max(generation);
    }

    /// The lineage.
    pub fn lineage(&self) -> Lineage {
        self.lineage
    }
    /// When the lineage was made.
    pub fn since(&self) -> Timestamp {
        self.since
    }
    /// The generation it accepts.
    pub fn generation(&self) -> Generation {
        self.generation
    }
    /// The last position held; what a resume message names.
    pub fn held(&self) -> Option<Held> {
        self.held
    }
    /// The MAC that the next batch's MAC is chained to.
    pub fn chain(&self) -> [u8; MAC_BYTES] {
        self.chain
    }
    /// The number the next batch gets, which is how many there are.
    pub fn next_batch(&self) -> BatchNumber {
        self.next_batch
    }
    /// The newest published point.
    pub fn published(&self) -> Option<PublishedPoint> {
        self.published
    }
    /// The sync intervals open at the held position.
    pub fn open_syncs(&self) -> impl Iterator<Item = &OpenSync> {
        self.open_syncs.values()
    }
    /// The fork intervals open at the held position.
    pub fn open_forks(&self) -> &[Fork] {
        &self.forks
    }
    /// Whether the first copy of the volumes is complete.
    pub fn initial_sync_done(&self) -> bool {
        self.initial_sync_done
    }
    /// The volumes, by number.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }
    /// The ranges whose contents are unknown.
    pub fn unknown(&self) -> &UnknownRanges {
        &self.unknown
    }
    /// The newest beat held, published or not.
    pub fn latest_beat(&self) -> Option<Beat> {
        self.latest_beat
    }
    /// What the recovery point's age is computed from.
    pub fn rpo_basis(&self) -> RpoBasis {
        RpoBasis {
            published: self.published.is_some(),
            beat: self.published_beat,
            since: self.since,
        }
    }
}

#[cfg(test)]
mod tests;
