//! How the backings looked while the process lived: what a killed one leaves as proof that nobody
//! else wrote to them after it.
//!
//! While no write is in flight, the ring holds the exact change stamp of the backings; anything
//! else found later is somebody's write. While writes are in flight their own traces cannot be told
//! in advance, so the ring holds a bound on them, renewed before each write is submitted and with
//! each tick: no file has a change time later than the last renewal plus [`SLACK`], and no more
//! sectors were written to block devices than were counted plus submitted. What remains unseen is
//! a write that somebody else begins and ends within [`SLACK`] of a kill that hit while writes were
//! in flight. Invariant: what cannot be proven is not taken as proven.
//!
//! Two places take turns, so a kill in the middle of a renewal leaves the one before.
//!
//! ```text
//! sighting, 64 bytes, at 128 and 192 of the header page
//!   0  u64  count; the valid one with the higher count holds
//!   8  u16  1 = quiet, 2 = writing
//!  10  6 bytes (zero)
//!  16  u64  change stamp, if quiet
//!  24  i64  alive at, microseconds since the Unix epoch, if writing
//!  32  i64  when the machine started, by the wall clock, likewise
//!  40  u64  sectors that block devices can have been given, since the machine's start
//!  48  12 bytes (zero)
//!  60  u32  crc of the 60 bytes before
//! ```

use super::BackingEvidence;
use bcdr_format::{
    Timestamp,
    codec::{self, Reader, Write as _},
};
use std::fmt;

/// Length of one sighting, in bytes.
pub(super) const SIGHTING_BYTES: usize = 64;
/// Where the two are in the header page.
pub(super) const SIGHTINGS_START: usize = 128;

/// How much later than the last sign of life a change time may be and still be our own write's:
/// the kernel may carry out a little later what was submitted before the kill. In microseconds.
const SLACK: i64 = 1_000_000;
/// How far the wall clock may seem to have been set back; reading two clocks takes a moment.
const CLOCK_JITTER: i64 = 100_000;
const WHAT: &str = "sighting of the backings";

/// What a running process notes of its backings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sighting {
    /// No write of ours is in flight, and the backings look like this.
    Quiet {
        /// As in [`BackingEvidence::change`].
        change: u64,
    },
    /// Writes of ours are in flight.
    Writing {
        /// The wall clock now.
        alive_at: Timestamp,
        /// As in [`BackingActivity::boot_at`], now.
        boot_at: Timestamp,
        /// The most that [`BackingActivity::sectors_written`] can become by our own writes.
        sectors_at_most: u64,
    },
}

/// What can be compared with a [`Sighting::Writing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackingActivity {
    /// The latest change time of any file among the backings; the epoch without files.
    pub changed_at: Timestamp,
    /// Sectors written and discarded on the block devices among them, since the machine's start.
    pub sectors_written: u64,
    /// When the machine started, by the wall clock as it is set now.
    pub boot_at: Timestamp,
    /// Whether this machine's clock makes the change times of the files.
    pub own_clock: bool,
    /// Whether every block device among them counts what is written.
    pub counted: bool,
}

/// Why the backings may hold writes that are not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The process left no sighting.
    NoSighting,
    /// They changed after the last write had ended.
    ChangedWhenQuiet,
    /// A file changed after the process was gone.
    ChangedLater,
    /// More was written to a device than the process had submitted.
    WrittenMore,
    /// The wall clock was set back since, so that change times say nothing.
    ClockSetBack,
    /// The change times are another machine's.
    ForeignClock,
    /// A device does not count its writes.
    NotCounted,
}

impl fmt::Display for Doubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoSighting => "the process that was killed left no note of how they looked",
            Self::ChangedWhenQuiet => "they changed after the last write of the capture",
            Self::ChangedLater => "a volume's file changed after the capture was gone",
            Self::WrittenMore => "more was written to a device than the capture had submitted",
            Self::ClockSetBack => "the clock was set back since the capture was killed",
            Self::ForeignClock => "a volume is on a network file system, whose clock is another's",
            Self::NotCounted => {
                "a device does not count its writes; write 1 to its queue/iostats in /sys/block"
            }
        })
    }
}

impl Sighting {
    /// What speaks against the backings, which look like this now, holding only our own writes.
    #[must_use]
    pub fn doubt(&self, evidence: BackingEvidence, activity: &BackingActivity) -> Option<Doubt> {
        if !activity.counted {
            return Some(Doubt::NotCounted);
        }
        let (alive_at, boot_at, sectors_at_most) = match *self {
            Self::Quiet { change } => {
                return (change != evidence.change).then_some(Doubt::ChangedWhenQuiet);
            }
            Self::Writing {
                alive_at,
                boot_at,
                sectors_at_most,
            } => (alive_at, boot_at, sectors_at_most),
        };
        if activity.sectors_written > sectors_at_most {
            return Some(Doubt::WrittenMore);
        }
        if !activity.own_clock {
            return Some(Doubt::ForeignClock);
        }
        if activity.boot_at < boot_at.shifted(-CLOCK_JITTER) {
            return Some(Doubt::ClockSetBack);
        }
        (activity.changed_at > alive_at.shifted(SLACK)).then_some(Doubt::ChangedLater)
    }

    pub(super) fn encode(&self, count: u64) -> Vec<u8> {
        let (kind, change, alive_at, boot_at, sectors) = match *self {
            Self::Quiet { change } => (1, change, 0, 0, 0),
            Self::Writing {
                alive_at,
                boot_at,
                sectors_at_most,
            } => (2, 0, alive_at.0, boot_at.0, sectors_at_most),
        };
        let mut out = Vec::with_capacity(SIGHTING_BYTES);
        out.put_u64(count);
        out.put_u16(kind);
        out.resize(16, 0);
        out.put_u64(change);
        out.put_i64(alive_at);
        out.put_i64(boot_at);
        out.put_u64(sectors);
        out.resize(SIGHTING_BYTES - 4, 0);
        codec::seal_checksum(&mut out, 0);
        out
    }

    /// The newest valid one of both places in a header page.
    pub(super) fn newest(header: &[u8]) -> Option<Self> {
        header[SIGHTINGS_START..]
            .chunks_exact(SIGHTING_BYTES)
            .take(2)
            .filter_map(|bytes| Self::decode(bytes).ok().flatten())
            .max_by_key(|(count, _)| *count)
            .map(|(_, sighting)| sighting)
    }

    fn decode(bytes: &[u8]) -> Result<Option<(u64, Self)>, codec::DecodeError> {
        let mut fields = Reader::new(WHAT, codec::checked(WHAT, bytes)?);
        let (count, kind) = (fields.u64()?, fields.u16()?);
        fields.take(6)?;
        let change = fields.u64()?;
        let (alive_at, boot_at) = (Timestamp(fields.i64()?), Timestamp(fields.i64()?));
        let sectors_at_most = fields.u64()?;
        Ok(match kind {
            1 => Some((count, Self::Quiet { change })),
            2 => {
                let writing = Self::Writing {
                    alive_at,
                    boot_at,
                    sectors_at_most,
                };
                Some((count, writing))
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIDENCE: BackingEvidence = BackingEvidence {
        identity: 1,
        change: 2,
    };
    const ACTIVITY: BackingActivity = BackingActivity {
        changed_at: Timestamp(10_000_000),
        sectors_written: 100,
        boot_at: Timestamp(5_000_000),
        own_clock: true,
        counted: true,
    };
    const WRITING: Sighting = Sighting::Writing {
        alive_at: Timestamp(10_000_000),
        boot_at: Timestamp(5_000_000),
        sectors_at_most: 100,
    };

    #[test]
    fn quiet_backings_must_look_exactly_the_same() {
        let quiet = Sighting::Quiet { change: 2 };
        assert_eq!(quiet.doubt(EVIDENCE, &ACTIVITY), None);
        let changed = BackingEvidence {
            change: 3,
            ..EVIDENCE
        };
        let doubt = quiet.doubt(changed, &ACTIVITY);
        assert_eq!(doubt, Some(Doubt::ChangedWhenQuiet));
    }

    #[test]
    fn our_own_last_writes_are_no_doubt_and_anything_beyond_them_is() {
        let with = |change: &dyn Fn(&mut BackingActivity)| {
            let mut activity = ACTIVITY;
            change(&mut activity);
            // While writing, the exact stamp means nothing.
            WRITING.doubt(
                BackingEvidence {
                    change: 9,
                    ..EVIDENCE
                },
                &activity,
            )
        };
        assert_eq!(with(&|_| {}), None);
        assert_eq!(with(&|it| it.changed_at = Timestamp(11_000_000)), None);
        assert_eq!(with(&|it| it.boot_at = Timestamp(9_000_000)), None);
        assert_eq!(with(&|it| it.sectors_written = 90), None);
        let later = with(&|it| it.changed_at = Timestamp(11_000_001));
        assert_eq!(later, Some(Doubt::ChangedLater));
        let set_back = with(&|it| it.boot_at = Timestamp(4_800_000));
        assert_eq!(set_back, Some(Doubt::ClockSetBack));
        let more = with(&|it| it.sectors_written = 101);
        assert_eq!(more, Some(Doubt::WrittenMore));
        let foreign = with(&|it| it.own_clock = false);
        assert_eq!(foreign, Some(Doubt::ForeignClock));
        let uncounted = with(&|it| it.counted = false);
        assert_eq!(uncounted, Some(Doubt::NotCounted));
    }

    #[test]
    fn a_torn_sighting_leaves_the_one_before() {
        let mut page = vec![0; 4096];
        assert_eq!(Sighting::newest(&page), None);
        let quiet = Sighting::Quiet { change: 7 };
        let place = |count: u64| SIGHTINGS_START + (count % 2) as usize * SIGHTING_BYTES;
        page[place(1)..][..SIGHTING_BYTES].copy_from_slice(&quiet.encode(1));
        page[place(2)..][..SIGHTING_BYTES].copy_from_slice(&WRITING.encode(2));
        assert_eq!(Sighting::newest(&page), Some(WRITING));
        page[place(2) + 30] ^= 1;
        assert_eq!(Sighting::newest(&page), Some(quiet));
    }
}
