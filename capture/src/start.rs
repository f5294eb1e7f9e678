//! How a life of the stream begins: what it continues and what it must read again.
//!
//! [`plan_start`] is a pure function of what the journal, the intent ring and the backings show.
//! Invariant: it leaves a range out of the opening sync interval only on proof that the range's
//! last write is settled in the recovered journal; where proof is missing, everything is read.

use crate::{
    intent::{BackingActivity, BackingEvidence, Doubt, IntentsFound, ProvenIntents},
    journal::Recovered,
};
use bcdr_format::{
    IncarnationId, Opening, Position, Sequence, SyncId,
    incarnation::IncarnationOrdinal,
    record::{Member, VolumeRange},
    sync::{Heals, SyncReason},
};

/// The sync interval that a life of the stream begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncStart {
    /// The interval. One that was open when the last life ended keeps its identity, so that its
    /// end closes it wherever its beginning arrived.
    pub sync: SyncId,
    /// Why it is open.
    pub reason: SyncReason,
    /// What its end will put right.
    pub heals: Heals,
}

/// How an incarnation begins; kept in the head of each of its journal segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IncarnationStart {
    /// Its place in the stream.
    pub opening: Opening,
    /// The interval it begins with; `None` if it continues without a doubt.
    pub sync: Option<SyncStart>,
}

impl IncarnationStart {
    /// Whether everything is read again in this life.
    #[must_use]
    pub fn reads_everything(&self) -> bool {
        self.sync
            .is_some_and(|sync| matches!(sync.heals, Heals::Everything { .. }))
    }
}

/// What a sync interval reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncScope {
    /// Every byte of every volume.
    Everything,
    /// These ranges.
    Ranges(Vec<VolumeRange>),
}

/// Where the stream goes on although no journal leads there: its disks were put back, and differ from
/// what its peers hold in known ranges only. See [`crate::restore::seam`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejoin {
    /// The end of the history that is continued.
    pub after: Position,
    /// The highest life and the highest sequence that are known on this host, of whatever is not part
    /// of that history; both zero if nothing is.
    pub known: Position,
    /// What may differ.
    pub ranges: Vec<VolumeRange>,
}

/// What a new life begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartPlan {
    /// Its opening and its interval.
    pub start: IncarnationStart,
    /// What the interval reads; nothing without one.
    pub scope: SyncScope,
}

/// What is known at start.
#[derive(Debug, Clone, Copy)]
pub struct StartInput<'a> {
    /// What the journal holds.
    pub recovered: &'a Recovered,
    /// What the intent ring holds.
    pub intents: &'a IntentsFound,
    /// The backings as they are now.
    pub evidence: BackingEvidence,
    /// What was done to them, as far as that shows.
    pub activity: BackingActivity,
    /// The volumes as configured now.
    pub members: &'a [Member],
    /// The new life's random identity.
    pub incarnation: IncarnationId,
    /// The identity of a new interval, should one be needed.
    pub sync: SyncId,
    /// Where the stream goes on if the journal holds nothing.
    pub rejoin: Option<&'a Rejoin>,
}

impl StartInput<'_> {
    /// What speaks for writes of somebody else after the old life was killed.
    #[must_use]
    pub fn doubt(&self) -> Option<Doubt> {
        let IntentsFound::Proven(found) = self.intents else {
            return None;
        };
        match found.sighting {
            Some(sighting) => sighting.doubt(self.evidence, &self.activity),
            None => Some(Doubt::NoSighting),
        }
    }
}

/// What the old life proves about the disk.
enum Proof {
    /// It ended cleanly and the backings are as it left them.
    Clean,
    /// It was killed and nobody else wrote since; only these ranges are in doubt, up to this
    /// sequence.
    Killed {
        doubtful: Vec<VolumeRange>,
        last: Sequence,
    },
    /// Nothing.
    None(SyncReason),
}

/// Decides how to begin.
#[must_use]
pub fn plan_start(input: &StartInput<'_>) -> StartPlan {
    let recovered = input.recovered;
    let Some(newest) = recovered.newest.as_ref() else {
        if let Some(rejoin) = input.rejoin {
            return rejoined(input, rejoin);
        }
        let opening = Opening {
            ordinal: IncarnationOrdinal::FIRST,
            id: input.incarnation,
            continues: None,
            first: Sequence::FIRST,
        };
        return everything(opening, input.sync, SyncReason::Initial);
    };
    let ordinal = newest.opening.ordinal.next();
    let proof = weigh(input);
    let last = match &proof {
        Proof::Killed { last, .. } => *last,
        _ => last_known(input),
    };
    let opening = Opening {
        ordinal,
        id: input.incarnation,
        continues: recovered.settled,
        first: last.next(),
    };
    match proof {
        Proof::Clean => StartPlan {
            start: IncarnationStart {
                opening,
                sync: None,
            },
            scope: SyncScope::Ranges(Vec::new()),
        },
        Proof::None(reason) => {
            let sync = recovered.open_sync.map_or(input.sync, |open| open.sync);
            everything(opening, sync, reason)
        }
        Proof::Killed { doubtful, last } => {
            let heals = Heals::Through {
                opening: ordinal,
                through: Position::new(newest.opening.ordinal, last),
            };
            let sync = SyncStart {
                sync: input.sync,
                reason: SyncReason::Killed,
                heals,
            };
            StartPlan {
                start: IncarnationStart {
                    opening,
                    sync: Some(sync),
                },
                scope: SyncScope::Ranges(doubtful),
            }
        }
    }
}

/// A life that continues a history from which its disks differ. It heals no fork: a peer that is
/// anywhere else, ahead or behind, gets a life that reads everything.
fn rejoined(input: &StartInput<'_>, rejoin: &Rejoin) -> StartPlan {
    let Rejoin {
        after,
        known,
        ranges,
    } = rejoin;
    StartPlan {
        start: IncarnationStart {
            opening: Opening {
                ordinal: after.ordinal.max(known.ordinal).next(),
                id: input.incarnation,
                continues: Some(*after),
                first: after.sequence.max(known.sequence).next(),
            },
            sync: Some(SyncStart {
                sync: input.sync,
                reason: SyncReason::Fork,
                heals: Heals::Nothing,
            }),
        },
        scope: SyncScope::Ranges(ranges.clone()),
    }
}

fn everything(opening: Opening, sync: SyncId, reason: SyncReason) -> StartPlan {
    let heals = Heals::Everything {
        opening: opening.ordinal,
    };
    StartPlan {
        start: IncarnationStart {
            opening,
            sync: Some(SyncStart {
                sync,
                reason,
                heals,
            }),
        },
        scope: SyncScope::Everything,
    }
}

fn weigh(input: &StartInput<'_>) -> Proof {
    let recovered = input.recovered;
    if let Some(open) = recovered.open_sync {
        return Proof::None(open.reason);
    }
    if recovered.members != input.members {
        // A volume that was not in the stream has no copy at all yet.
        return Proof::None(SyncReason::Initial);
    }
    match input.intents {
        IntentsFound::Unproven(_) => Proof::None(SyncReason::PowerLoss),
        IntentsFound::Clean {
            incarnation,
            evidence,
        } => {
            let same_life = recovered
                .newest
                .is_some_and(|newest| newest.opening.id == *incarnation);
            let untouched = *evidence == input.evidence && input.activity.counted;
            if recovered.clean && same_life && untouched {
                Proof::Clean
            } else {
                Proof::None(SyncReason::PowerLoss)
            }
        }
        IntentsFound::Proven(intents) => weigh_killed(input, intents),
    }
}

fn weigh_killed(input: &StartInput<'_>, intents: &ProvenIntents) -> Proof {
    let recovered = input.recovered;
    let unproven = Proof::None(SyncReason::PowerLoss);
    let Some(newest) = recovered.newest else {
        return unproven;
    };
    let opening = newest.opening;
    let known_life = match intents.begun.0.cmp(&opening.ordinal) {
        std::cmp::Ordering::Equal => intents.begun.1 == opening.id,
        // The process opened a later life without a restart; its intents name that life.
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Greater => false,
    };
    let foreign = intents.intents.iter().any(|intent| {
        intent.ordinal > opening.ordinal
            || (intent.ordinal == opening.ordinal && intent.incarnation != opening.id)
    });
    let untouched = intents.identity == input.evidence.identity && input.doubt().is_none();
    if !known_life || foreign || !untouched {
        return unproven;
    }
    let current = || {
        intents
            .intents
            .iter()
            .filter(|intent| intent.ordinal == opening.ordinal)
    };
    let fed = current().map(|intent| intent.fed).max().unwrap_or_default();
    let written = recovered.last_sequence;
    // Records that were fed had been written: a journal that ends before them was damaged.
    if fed > written {
        return unproven;
    }
    let settled = recovered.settled_sequence();
    let mut doubtful: Vec<VolumeRange> = recovered.unsettled.clone();
    doubtful.extend(
        current()
            .filter(|intent| intent.sequence > settled)
            .map(|intent| intent.range),
    );
    let last = current()
        .map(|intent| intent.sequence)
        .max()
        .unwrap_or_default()
        .max(written);
    Proof::Killed {
        doubtful: merged(doubtful),
        last,
    }
}

/// The last sequence that the old lives may have given to a write, as far as anything shows.
fn last_known(input: &StartInput<'_>) -> Sequence {
    let intended = match input.intents {
        IntentsFound::Proven(found) => found
            .intents
            .iter()
            .map(|intent| intent.sequence)
            .max()
            .unwrap_or_default(),
        _ => Sequence::default(),
    };
    input.recovered.last_sequence.max(intended)
}

/// Sorts ranges and joins those that touch, keeping each within the longest a range may be.
fn merged(mut ranges: Vec<VolumeRange>) -> Vec<VolumeRange> {
    ranges.sort_unstable();
    let mut out: Vec<VolumeRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        if let Some(last) = out.last_mut()
            && last.volume == range.volume
            && range.offset <= last.end()
        {
            let end = last.end().max(range.end());
            if let Ok(length) = u32::try_from(end - last.offset) {
                last.length = length;
                continue;
            }
        }
        out.push(range);
    }
    out
}

#[cfg(test)]
mod tests;
