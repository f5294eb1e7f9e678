//! Between tap and ring: turns the tap's backing operations into ring operations and back.
//!
//! Owns what is in flight between the two. The tap speaks in sectors, a backing in units: a read is
//! rounded out and cut, a write that is not whole units reads the units around it, lays the bytes
//! over them and writes them whole. That is safe because the tap's range locks are rounded out to
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
    },
    /// A write or a sync: tell the tap how it ended.
    Plain,
    /// A zeroing: the same, except that it may not be supported.
    Zero,
}

struct InFlight {
    id: BackingId,
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
                let (begin, wide) = rounded(offset, payload.len(), unit);
                if (begin, wide) == (offset, payload.len()) {
                    let stage = Stage::Plain;
                    let payload = in_aligned_memory(payload);
                    (
                        stage,
                        Operation::Write {
                            backing,
                            offset,
                            payload,
                        },
                    )
                } else {
                    let skip = usize::try_from(offset - begin).expect("less than a unit");
                    let buffer = AlignedBuffer::zeroed(wide);
                    let stage = Stage::Surroundings {
                        slot: backing,
                        begin,
                        skip,
                        payload,
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
            }
            BackingAction::Zero {
                offset,
                length,
                unmap,
            } => {
                let length = u64::from(length);
                if !offset.is_multiple_of(unit) || !length.is_multiple_of(unit) {
                    // The tap then writes zeroes, which are laid over whole units as above.
                    return Some((id, Err(BackingError::NotSupported)));
                }
                (
                    Stage::Zero,
                    Operation::Zero {
                        backing,
                        offset,
                        length,
                        unmap,
                    },
                )
            }
            BackingAction::Sync => (Stage::Plain, Operation::Sync { backing }),
        };
        let token = self.note(InFlight { id, stage });
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
        let InFlight { id, stage } = self.in_flight.remove(&token)?;
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
                },
                Ok(Some(mut buffer)),
            ) => {
                buffer[skip..skip + payload.len()].copy_from_slice(&payload);
                let token = self.note(InFlight {
                    id,
                    stage: Stage::Plain,
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
            (Stage::Plain | Stage::Zero, Ok(_)) => Ok(None),
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
        (Stage::Zero, io::ErrorKind::Unsupported) => BackingError::NotSupported,
        (_, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => BackingError::NoSpace,
        _ => BackingError::Io,
    }
}
