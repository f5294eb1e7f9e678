//! Between tap and ring: turns the tap's backing operations into ring operations and back.
//!
//! Owns what is in flight between the two. The tap speaks in sectors, a backing in units: a read is
//! rounded out and cut, a write that is not whole units reads the units around it, lays the bytes
//! over them and writes them whole. Zeroes that are not whole units are zeroed inside and written at the
//! edges, inside first, so that a backing that cannot zero has done nothing. That is safe because the tap's range locks are rounded out to
//! the unit, so nobody else writes there meanwhile. It decides no order.

use std::{collections::HashMap, io, sync::Arc};

use bcdr_disk::{ALIGNMENT, AlignedBuffer};
use bcdr_format::VolumeNumber;

use crate::{
    Payload,
    ring::{BackingSlot, Operation, Ring, Token, backing::Backing},
    tap::{BackingAction, BackingError, BackingId, BackingOperation, BackingResult},
};

#[cfg(test)]
mod tests;

/// Reads of at least this many bytes look for a hole first: scans of thin volumes then cost no I/O,
/// and short reads no extra call.
const HOLE_BYTES: u32 = 256 * 1024;

/// What is to be done when an operation of the ring is over.
enum Stage {
    /// A read: give the tap this part of the buffer.
    Read { skip: usize, length: usize },
    /// The units around a write were read: lay the payload over them from `skip` on.
    Surroundings {
        slot: BackingSlot,
        begin: u64,
        skip: usize,
        payload: Payload,
        edges: Edges,
    },
    /// A write or a sync: go on with the edges of a zeroing, or tell the tap how it ended.
    Plain { edges: Edges },
    /// A zeroing: the same, except that it may not be supported.
    Zero { edges: Edges },
}

/// Parts of units that are still to be written with zeroes: offset and length of each.
type Edges = Vec<(u64, usize)>;

struct InFlight {
    id: BackingId,
    volume: VolumeNumber,
    stage: Stage,
}

struct Registered {
    slot: BackingSlot,
    backing: Arc<Backing>,
}

/// The operations of a group's tap on their way through the ring.
#[derive(Default)]
pub struct BackingQueue {
    backings: HashMap<VolumeNumber, Registered>,
    in_flight: HashMap<Token, InFlight>,
    next: u64,
}

impl BackingQueue {
    /// Makes a volume's backing known to the ring.
    ///
    /// # Errors
    /// If the kernel refuses another file.
    pub fn add(
        &mut self,
        ring: &mut dyn Ring,
        volume: VolumeNumber,
        backing: Arc<Backing>,
    ) -> io::Result<()> {
        let slot = ring.register(Arc::clone(&backing))?;
        self.backings.insert(volume, Registered { slot, backing });
        Ok(())
    }

    /// Begins an operation of the tap. What needs no ring is answered at once.
    pub fn begin(
        &mut self,
        ring: &mut dyn Ring,
        operation: BackingOperation,
    ) -> Option<(BackingId, BackingResult)> {
        let BackingOperation { id, volume, action } = operation;
        let Some(Registered { slot, backing }) = self.backings.get(&volume) else {
            return Some((id, Err(BackingError::Io)));
        };
        if let BackingAction::Read { offset, length } = action
            && length >= HOLE_BYTES
            && backing.is_hole(offset, u64::from(length))
        {
            return Some((id, Ok(None)));
        }
        let (backing, unit) = (*slot, u64::from(backing.unit()));
        let (stage, operation) = match action {
            BackingAction::Read { offset, length } => {
                let (begin, wide) = rounded(offset, length as usize, unit);
                let skip = usize::try_from(offset - begin).expect("less than a unit");
                let buffer = AlignedBuffer::zeroed(wide);
                let stage = Stage::Read {
                    skip,
                    length: length as usize,
                };
                (
                    stage,
                    Operation::Read {
                        backing,
                        offset: begin,
                        buffer,
                    },
                )
            }
            BackingAction::Write { offset, payload } => {
                write_around(backing, unit, offset, payload, Edges::new())
            }
            BackingAction::Zero {
                offset,
                length,
                unmap,
            } => {
                let (begin, end, edges) = inside(offset, u64::from(length), unit);
                if begin < end {
                    (
                        Stage::Zero { edges },
                        Operation::Zero {
                            backing,
                            offset: begin,
                            length: end - begin,
                            unmap,
                        },
                    )
                } else {
                    write_edge(backing, unit, edges)
                }
            }
            BackingAction::Sync => {
                let edges = Edges::new();
                (Stage::Plain { edges }, Operation::Sync { backing })
            }
        };
        let token = self.note(InFlight { id, volume, stage });
        ring.submit(token, operation);
        None
    }

    /// Takes a completion of the ring. `None` means that the tap's operation goes on.
    pub fn complete(
        &mut self,
        ring: &mut dyn Ring,
        token: Token,
        result: io::Result<Option<AlignedBuffer>>,
    ) -> Option<(BackingId, BackingResult)> {
        let InFlight { id, volume, stage } = self.in_flight.remove(&token)?;
        let result = match (stage, result) {
            (Stage::Read { skip, length }, Ok(Some(buffer))) => {
                let payload = Payload::from_buffer(buffer);
                let exact = skip == 0 && length == payload.len();
                Ok(Some(if exact {
                    payload
                } else {
                    payload.slice(skip..skip + length)
                }))
            }
            (
                Stage::Surroundings {
                    slot,
                    begin,
                    skip,
                    payload,
                    edges,
                },
                Ok(Some(mut buffer)),
            ) => {
                buffer[skip..skip + payload.len()].copy_from_slice(&payload);
                let token = self.note(InFlight {
                    id,
                    volume,
                    stage: Stage::Plain { edges },
                });
                let payload = Payload::from_buffer(buffer);
                ring.submit(
                    token,
                    Operation::Write {
                        backing: slot,
                        offset: begin,
                        payload,
                    },
                );
                return None;
            }
            (Stage::Plain { edges } | Stage::Zero { edges }, Ok(_)) if !edges.is_empty() => {
                let Registered { slot, backing } = &self.backings[&volume];
                let (stage, operation) = write_edge(*slot, u64::from(backing.unit()), edges);
                let token = self.note(InFlight { id, volume, stage });
                ring.submit(token, operation);
                return None;
            }
            (Stage::Plain { .. } | Stage::Zero { .. }, Ok(_)) => Ok(None),
            // A read always brings its buffer back.
            (Stage::Read { .. } | Stage::Surroundings { .. }, Ok(None)) => Err(BackingError::Io),
            (stage, Err(error)) => Err(classify(&stage, &error)),
        };
        Some((id, result))
    }

    /// Whether nothing is in flight.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    fn note(&mut self, in_flight: InFlight) -> Token {
        let token = Token(self.next);
        self.next += 1;
        self.in_flight.insert(token, in_flight);
        token
    }
}

/// How to write a payload: as it is if it is whole units, or over the units around it. `edges` are
/// to be written after it.
fn write_around(
    backing: BackingSlot,
    unit: u64,
    offset: u64,
    payload: Payload,
    edges: Edges,
) -> (Stage, Operation) {
    let (begin, wide) = rounded(offset, payload.len(), unit);
    if (begin, wide) == (offset, payload.len()) {
        let payload = in_aligned_memory(payload);
        let write = Operation::Write {
            backing,
            offset,
            payload,
        };
        return (Stage::Plain { edges }, write);
    }
    let stage = Stage::Surroundings {
        slot: backing,
        begin,
        skip: usize::try_from(offset - begin).expect("less than a unit"),
        payload,
        edges,
    };
    let read = Operation::Read {
        backing,
        offset: begin,
        buffer: AlignedBuffer::zeroed(wide),
    };
    (stage, read)
}

/// Writes zeroes over the first of some edges.
fn write_edge(backing: BackingSlot, unit: u64, mut edges: Edges) -> (Stage, Operation) {
    let (offset, length) = edges.remove(0);
    write_around(backing, unit, offset, Payload::zeroed(length), edges)
}

/// The whole units inside a range, which may be none, and what is left of it beside them.
fn inside(offset: u64, length: u64, unit: u64) -> (u64, u64, Edges) {
    let end = offset + length;
    let (first, last) = (offset.next_multiple_of(unit), end / unit * unit);
    let parts = if first <= last {
        vec![(offset, first), (last, end)]
    } else {
        vec![(offset, end)]
    };
    let edge = |(from, to): (u64, u64)| {
        let length = usize::try_from(to - from).expect("less than a unit");
        (length > 0).then_some((from, length))
    };
    (first, last, parts.into_iter().filter_map(edge).collect())
}

/// A range rounded out to whole units.
fn rounded(offset: u64, length: usize, unit: u64) -> (u64, usize) {
    let begin = offset / unit * unit;
    let end = (offset + length as u64).next_multiple_of(unit);
    (
        begin,
        usize::try_from(end - begin).expect("operations are far shorter than memory"),
    )
}

/// The payload, copied if direct I/O could not use it where it is.
fn in_aligned_memory(payload: Payload) -> Payload {
    if payload.as_ptr().addr().is_multiple_of(ALIGNMENT) {
        payload
    } else {
        Payload::copied_from(&payload)
    }
}

fn classify(stage: &Stage, error: &io::Error) -> BackingError {
    match (stage, error.kind()) {
        (Stage::Zero { .. }, io::ErrorKind::Unsupported) => BackingError::NotSupported,
        (_, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => BackingError::NoSpace,
        _ => BackingError::Io,
    }
}
