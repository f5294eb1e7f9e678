//! The seam: where the stream goes on after its disks were put back, without comparing all of them.
//!
//! The side that has the point knows where the group's own history ends, and which ranges may differ
//! between there and the point. A life that continues exactly that end, and reads exactly those
//! ranges in its opening interval, makes the replica what the disks are. Invariants: a seam is kept
//! only in stamps of disks whose digest was proven; it counts only if **all** volumes of the group
//! have the same one, in the numbers that they have now, and nobody wrote to any of them since.
//! Without one everything is compared, which is never wrong, so nothing here is an error of a
//! restore or of a start. Why this is sound is argued in `docs/adr/0007-seams.md`.

use bcdr_disk::DiskError;
use bcdr_format::{
    Generation, SECTOR_BYTES, StreamId, VolumeId, VolumeNumber, continuity::Held,
    record::VolumeRange,
};
use bcdr_wire::restore::{Answer, ByteRange, PointName, RANGES_MAX, Request, SeamHead};

use super::{
    engine::exchange,
    source::{PointSource, SourceError},
    stamp::{Stamp, StampBook, StampFound, StampState},
};
use crate::evidence::Look;

/// What ranges are rounded out to at first, in bytes.
const GRAIN_BYTES: u64 = 64 << 10;
/// The most ranges that are kept of a volume. More of them are rounded out further: reading more is
/// never wrong.
pub(super) const RANGES_KEPT: usize = 65_536;
/// The longest range that one interval's scope names, in bytes.
const PIECE_BYTES: u64 = 1 << 30;

/// How one volume that was put back differs from the end of the group's own history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seam {
    /// The end of the history.
    pub head: SeamHead,
    /// The volume's number there.
    pub number: VolumeNumber,
    /// Sorted ranges that do not touch; outside of them nothing differs.
    pub ranges: Vec<ByteRange>,
}

/// A volume as a start finds it.
#[derive(Debug, Clone, Copy)]
pub struct FoundDisk {
    /// Its number in the stream from now on.
    pub number: VolumeNumber,
    /// The volume.
    pub id: VolumeId,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// How this one device looks from outside.
    pub look: Look,
}

/// Where a group whose disks were put back goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The end of the history that it continues.
    pub held: Held,
    /// What is to be read.
    pub ranges: Vec<VolumeRange>,
}

/// Why everything is compared instead.
#[derive(Debug, thiserror::Error)]
pub enum NoSeam {
    /// Nothing is known of a volume.
    #[error("{0} was not put back, or nobody knows how it differs from the end of the history")]
    Absent(VolumeId),
    /// It is another device, or somebody wrote to it.
    #[error("{0} may have been written to since it was put back")]
    Touched(VolumeId),
    /// Whether somebody did cannot be told.
    #[error(
        "nothing tells whether {0} was written to since it was put back: its device does not count \
         its writes, or its change times are another machine's"
    )]
    Unprovable(VolumeId),
    /// The volumes were put back beside different ends of the history, under different numbers, or
    /// to different points.
    #[error("the group's volumes were not put back together, or have other places in the stream")]
    NotTogether,
    /// A stamp cannot be read.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Asks where the group's history ends, and keeps it with the stamps of disks that all hold `point`.
/// Whatever is in the way, the disks are as they should be.
pub(super) fn keep(
    stamps: &StampBook,
    volumes: &[(VolumeId, u64)],
    point: PointName,
    source: &mut dyn PointSource,
) {
    if let Err(why) = try_keep(stamps, volumes, point, source) {
        tracing::info!(%point, why, "the next start compares everything into the stream");
    }
}

fn try_keep(
    stamps: &StampBook,
    volumes: &[(VolumeId, u64)],
    point: PointName,
    source: &mut dyn PointSource,
) -> Result<(), String> {
    let mut found: Vec<Stamp> = Vec::with_capacity(volumes.len());
    let mut seams: Vec<Seam> = Vec::with_capacity(volumes.len());
    for (volume, size_bytes) in volumes {
        let stamp = stamps.read(*volume).map_err(|error| error.to_string())?;
        match stamp {
            StampFound::Stamp(stamp) if holds(&stamp, point) => found.push(stamp),
            other => return Err(format!("{volume} is not stamped as put back: {other:?}")),
        }
        seams.push(ask(*volume, *size_bytes, source)?);
    }
    if seams.iter().any(|seam| seam.head != seams[0].head) {
        return Err("the history went on meanwhile".to_owned());
    }
    for (mut stamp, told) in found.into_iter().zip(seams) {
        if let StampState::Clean { seam, .. } = &mut stamp.state {
            *seam = Some(told);
        }
        stamps.put(&stamp).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn holds(stamp: &Stamp, wanted: PointName) -> bool {
    matches!(stamp.state, StampState::Clean { point, .. } if point == wanted)
}

/// Asks for one volume's.
fn ask(volume: VolumeId, size_bytes: u64, source: &mut dyn PointSource) -> Result<Seam, String> {
    let mut map = RangeMap::new(size_bytes);
    let mut known: Option<(SeamHead, VolumeNumber)> = None;
    let mut from = 0;
    loop {
        let request = Request::Seam {
            volume,
            from,
            limit: RANGES_MAX,
        };
        let answer = exchange(source, &request).map_err(|error: SourceError| error.to_string())?;
        let (head, number, ranges, next) = match answer {
            Answer::Seam {
                head,
                number,
                ranges,
                next,
            } => (head, number, ranges, next),
            Answer::Unknown { reason } => return Err(reason),
            _ => return Err("no seam came where one was asked for".to_owned()),
        };
        if *known.get_or_insert((head, number)) != (head, number) {
            return Err("the history went on meanwhile".to_owned());
        }
        for range in ranges {
            if range.end() > size_bytes {
                return Err(format!("{volume} ends before {}", range.end()));
            }
            map.add(range);
        }
        match next {
            None => break,
            Some(next) if from < next && next < size_bytes => from = next,
            Some(next) => return Err(format!("asked from {from} on, told to go on at {next}")),
        }
    }
    let (head, number) = known.ok_or("nothing was told")?;
    Ok(Seam {
        head,
        number,
        ranges: map.ranges,
    })
}

/// Ranges in order, rounded out so that there are never too many of them.
struct RangeMap {
    size_bytes: u64,
    grain: u64,
    ranges: Vec<ByteRange>,
}

impl RangeMap {
    const fn new(size_bytes: u64) -> Self {
        Self {
            size_bytes,
            grain: GRAIN_BYTES,
            ranges: Vec::new(),
        }
    }

    /// Takes in a range that begins behind all before it.
    fn add(&mut self, range: ByteRange) {
        let offset = range.offset - range.offset % self.grain;
        let end = range
            .end()
            .next_multiple_of(self.grain)
            .min(self.size_bytes);
        match self.ranges.last_mut() {
            Some(last) if offset <= last.end() => last.length = end.max(last.end()) - last.offset,
            _ => self.ranges.push(ByteRange {
                offset,
                length: end - offset,
            }),
        }
        if self.ranges.len() > RANGES_KEPT {
            self.grain *= 2;
            let finer = std::mem::take(&mut self.ranges);
            finer.into_iter().for_each(|range| self.add(range));
        }
    }
}

/// Whether the ranges are as they are kept: sorted whole sectors within the volume that do not touch.
pub(super) fn is_map(ranges: &[ByteRange], size_bytes: u64) -> bool {
    let mut free_from = 0;
    ranges.iter().all(|range| {
        let whole = range.offset.is_multiple_of(SECTOR_BYTES)
            && range.length.is_multiple_of(SECTOR_BYTES)
            && range.length > 0;
        let end = range.offset.checked_add(range.length);
        let fits = range.offset >= free_from && end.is_some_and(|end| end <= size_bytes);
        free_from = end.map_or(u64::MAX, |end| end.saturating_add(SECTOR_BYTES));
        whole && fits
    })
}

/// What the stamps of a group's volumes say of where its stream goes on. The volumes' locks are held,
/// and the stamps are still there.
///
/// # Errors
/// Why nothing can be said.
pub fn joined(stamps: &StampBook, stream: StreamId, disks: &[FoundDisk]) -> Result<Joined, NoSeam> {
    let mut common: Option<(SeamHead, PointName, Generation)> = None;
    let mut ranges = Vec::new();
    for disk in disks {
        let StampFound::Stamp(stamp) = stamps.read(disk.id)? else {
            return Err(NoSeam::Absent(disk.id));
        };
        let StampState::Clean {
            point,
            change,
            seam: Some(seam),
            ..
        } = &stamp.state
        else {
            return Err(NoSeam::Absent(disk.id));
        };
        let Look { evidence, activity } = disk.look;
        if !(activity.counted && activity.own_clock) {
            return Err(NoSeam::Unprovable(disk.id));
        }
        let same = stamp.identity == evidence.identity && stamp.size_bytes == disk.size_bytes;
        if !same || *change != evidence.change {
            return Err(NoSeam::Touched(disk.id));
        }
        let told = (seam.head, *point, stamp.generation);
        if *common.get_or_insert(told) != told || seam.number != disk.number {
            return Err(NoSeam::NotTogether);
        }
        ranges.extend(pieces(disk.number, &seam.ranges));
    }
    let (head, ..) = common.ok_or(NoSeam::NotTogether)?;
    if head.stream != stream || head.volumes as usize != disks.len() {
        return Err(NoSeam::NotTogether);
    }
    Ok(Joined {
        held: head.held,
        ranges,
    })
}

/// The ranges in pieces that a record's range can name.
fn pieces(volume: VolumeNumber, ranges: &[ByteRange]) -> impl Iterator<Item = VolumeRange> {
    ranges.iter().flat_map(move |range| {
        let starts = (range.offset..range.end()).step_by(PIECE_BYTES as usize);
        let end = range.end();
        starts.map(move |offset| VolumeRange {
            volume,
            offset,
            length: u32::try_from(PIECE_BYTES.min(end - offset)).expect("a piece is bounded"),
        })
    })
}

#[cfg(test)]
mod tests;
