//! Which ranges may differ between two points, from what the histories say was written between them.
//!
//! Every point lies in a chain of histories: a branch's own, that of the branch beneath it, and so on
//! down to the group's. Two points of one group meet in the newest history that both chains have;
//! what was written in either chain above it, and in it between the two places, is all that can
//! differ. The order of the two points does not matter. Invariant: a range that differs is always
//! named; what cannot be told is said to be unknown, and no error.

use super::seam::End;
use crate::{
    branches::Branches,
    receive::{BatchNumber, Lineage},
    replica::{LineageReader, RunError},
};
use bcdr_format::{SECTOR_BYTES, StreamId, VolumeId, VolumeNumber, record::Member};
use bcdr_wire::restore::{ByteRange, PointName};
use std::sync::Arc;

/// Looked at in one step, in bytes of the volume.
const WINDOW_BYTES: u64 = 1 << 30;
/// Steps in one answer, so that a vast volume in which little differs is not held up for long.
const WINDOWS_MAX: usize = 256;

/// A group's own history and the branches.
#[derive(Debug, Clone)]
pub struct Histories {
    replica: Arc<LineageReader>,
    branches: Arc<Branches>,
}

/// A place in one history, and which part of it is in question.
#[derive(Debug)]
struct Place {
    reader: Arc<LineageReader>,
    batch: BatchNumber,
}

impl Place {
    fn lineage(&self) -> Lineage {
        self.reader.lineage()
    }
}

/// Where a history left the one beneath it.
type Beneath = (Lineage, BatchNumber);

/// A point and the histories beneath it, its own first.
struct Chain {
    places: Vec<Place>,
    volumes: Vec<Member>,
}

/// Batches of one history, of which each may have made a difference.
#[derive(Debug)]
struct Span {
    reader: Arc<LineageReader>,
    first: BatchNumber,
    last: BatchNumber,
}

/// Everything that was written between two points.
#[derive(Debug)]
pub struct Between {
    spans: Vec<Span>,
    number: VolumeNumber,
    size_bytes: u64,
}

/// What may differ, from some byte on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Sorted ranges of whole sectors that do not touch.
    pub ranges: Vec<ByteRange>,
    /// Where to go on; `None`: nothing more up to the volume's end.
    pub next: Option<u64>,
}

impl Histories {
    /// The group's own history and all branches; those of other groups are not looked at.
    #[must_use]
    pub fn new(replica: Arc<LineageReader>, branches: Arc<Branches>) -> Self {
        Self { replica, branches }
    }

    /// What was written to a volume between two points. Blocks.
    ///
    /// # Errors
    /// In words, why that is not known: everything must be compared then.
    pub fn between(
        &self,
        one: PointName,
        other: PointName,
        volume: VolumeId,
    ) -> Result<Between, String> {
        let (one, other) = (self.chain(one)?, self.chain(other)?);
        between(&one, &other, volume)
    }

    /// What was written to a volume between the end of the group's own history, which need be no
    /// point, and a point. Blocks.
    ///
    /// # Errors
    /// In words, why that is not known: everything must be compared then.
    pub fn after_end(
        &self,
        end: &End,
        point: PointName,
        volume: VolumeId,
    ) -> Result<Between, String> {
        let one = Chain {
            places: vec![Place {
                reader: Arc::clone(&self.replica),
                batch: end.batch,
            }],
            volumes: end.members.clone(),
        };
        between(&one, &self.chain(point)?, volume)
    }

    /// The stream of the group's own history.
    pub(super) fn stream(&self) -> StreamId {
        self.replica.lineage().stream
    }

    fn chain(&self, point: PointName) -> Result<Chain, String> {
        let group = self.replica.lineage().group;
        let mut lineage = Lineage {
            group,
            stream: point.stream,
        };
        let mut places = Vec::new();
        let mut volumes = Vec::new();
        let mut at = None;
        loop {
            let (reader, base) = self.history(lineage)?;
            let batch = match at {
                Some(batch) => batch,
                None => {
                    let found = reader.point(point.position);
                    let found = found.map_err(|error| error.to_string())?;
                    let Some((batch, members)) = found else {
                        return Err(format!("{point} is no point that is kept"));
                    };
                    volumes = members;
                    batch
                }
            };
            places.push(Place { reader, batch });
            let Some((beneath, fork)) = base else {
                return Ok(Chain { places, volumes });
            };
            lineage = beneath;
            at = Some(fork);
        }
    }

    /// A history and where it left the one beneath it.
    fn history(&self, lineage: Lineage) -> Result<(Arc<LineageReader>, Option<Beneath>), String> {
        if lineage == self.replica.lineage() {
            return Ok((Arc::clone(&self.replica), None));
        }
        let known = self.branches.all();
        let branch = known
            .iter()
            .find(|known| known.record.lineage == lineage)
            .ok_or_else(|| format!("history {lineage} is not kept"))?;
        let base = branch.record.base;
        let branch = branch.branch.as_ref().map_err(ToString::to_string)?;
        Ok((
            Arc::clone(branch.reader()),
            Some((base.lineage, base.batch)),
        ))
    }
}

fn between(one: &Chain, other: &Chain, volume: VolumeId) -> Result<Between, String> {
    let member = |chain: &Chain| chain.volumes.iter().find(|it| it.id == volume).copied();
    let (Some(before), Some(after)) = (member(one), member(other)) else {
        return Err(format!("{volume} is not in both points"));
    };
    if before != after {
        return Err(format!("{volume} had another size or place in the stream"));
    }
    let meet = |(above, place): (usize, &Place)| {
        let same = |it: &Place| it.lineage() == place.lineage();
        Some((above, other.places.iter().position(same)?))
    };
    let met = one.places.iter().enumerate().find_map(meet);
    let Some((above_one, above_other)) = met else {
        return Err("the two points have no history in common".to_owned());
    };
    let whole = |place: &Place| Span {
        reader: Arc::clone(&place.reader),
        first: BatchNumber(0),
        last: place.batch,
    };
    let mut spans: Vec<Span> = one.places[..above_one].iter().map(whole).collect();
    spans.extend(other.places[..above_other].iter().map(whole));
    let (a, b) = (&one.places[above_one], &other.places[above_other]);
    if a.batch != b.batch {
        spans.push(Span {
            reader: Arc::clone(&a.reader),
            first: a.batch.min(b.batch).next(),
            last: a.batch.max(b.batch),
        });
    }
    Ok(Between {
        spans,
        number: after.number,
        size_bytes: after.size_bytes,
    })
}

impl Between {
    /// At most `limit` ranges from byte `from` on. Blocks.
    ///
    /// # Errors
    /// If a history cannot be read.
    pub fn changed(&self, from: u64, limit: usize) -> Result<Changed, RunError> {
        let mut ranges: Vec<ByteRange> = Vec::new();
        let mut at = from.min(self.size_bytes);
        for _ in 0..WINDOWS_MAX {
            if at >= self.size_bytes {
                return Ok(Changed { ranges, next: None });
            }
            let end = self.size_bytes.min(at.saturating_add(WINDOW_BYTES));
            for range in self.named(at, end)? {
                let full = ranges.len() >= limit;
                match ranges.last_mut() {
                    Some(last) if last.end() == range.offset => last.length += range.length,
                    _ if full => {
                        let next = Some(range.offset);
                        return Ok(Changed { ranges, next });
                    }
                    _ => ranges.push(range),
                }
            }
            at = end;
        }
        let next = (at < self.size_bytes).then_some(at);
        Ok(Changed { ranges, next })
    }

    /// What any span names of a window: sorted, joined.
    fn named(&self, start: u64, end: u64) -> Result<Vec<ByteRange>, RunError> {
        let mut named: Vec<(u64, u64)> = Vec::new();
        for span in &self.spans {
            let mut found = |entry: bcdr_format::run::RunEntry| {
                let (from, until) = (entry.offset.max(start), entry.end().min(end));
                if from < until {
                    named.push((from, until));
                }
            };
            let runs = span.reader.runs();
            runs.named_between(span.first, span.last, self.number, start..end, &mut found)?;
        }
        named.sort_unstable();
        let mut joined: Vec<ByteRange> = Vec::new();
        for (from, until) in named {
            debug_assert!(from.is_multiple_of(SECTOR_BYTES) && until.is_multiple_of(SECTOR_BYTES));
            match joined.last_mut() {
                Some(last) if from <= last.end() => {
                    last.length = last.length.max(until - last.offset);
                }
                _ => joined.push(ByteRange {
                    offset: from,
                    length: until - from,
                }),
            }
        }
        Ok(joined)
    }
}
