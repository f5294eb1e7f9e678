//! The stamp: which point a device holds, kept outside of the device.
//!
//! Invariant: a device is written only while its stamp on disk says so, and a device that is served
//! has no stamp. So a stamp that calls a device clean was written after the last byte of ours, and
//! its evidence shows whether somebody else wrote since. A stamp is replaced in one step; one that
//! is damaged, of another volume or of a newer version proves nothing, and says why.
//!
//! Its bytes are drawn in `docs/format/restore.md`. What it is worth is weighed in [`super::proof`].

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bcdr_disk::{DiskError, DiskErrorKind, Storage, read_whole, replace_atomically};
use bcdr_format::{
    DecodeError, Generation, IncarnationId, IncarnationOrdinal, Position, Sequence, StreamId,
    VolumeId, VolumeNumber,
    codec::{self, Reader, Write as _},
    continuity::Held,
};
use bcdr_wire::restore::{ByteRange, DIGEST_BYTES, Digest, PointName, SeamHead, VOLUMES_MAX};

use super::seam::{RANGES_KEPT, Seam, is_map};

const MAGIC: u32 = u32::from_le_bytes(*b"RST1");
const VERSION: u16 = 1;
/// The version of a stamp with a seam behind what the others have.
const SEAM_VERSION: u16 = 2;
const WHAT: &str = "restore stamp";
const STAMP_BYTES: usize = 160;
const SEAM_HEAD_BYTES: usize = 56;
const RANGE_BYTES: usize = 16;
const STAMP_BYTES_MAX: usize = STAMP_BYTES + SEAM_HEAD_BYTES + RANGES_KEPT * RANGE_BYTES;
const CLEAN: u16 = 1;
const WRITING: u16 = 2;
const HAS_BASE: u32 = 1;
const FAILED: u32 = 2;

/// What is known of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The volume that the device belongs to.
    pub volume: VolumeId,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Which device it is: the identity of [`crate::intent::BackingEvidence`].
    pub identity: u64,
    /// The highest generation under which the device was restored.
    pub generation: Generation,
    /// What it holds.
    pub state: StampState,
}

/// What a device holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StampState {
    /// Exactly this point, read back and compared, unless it was written to since.
    Clean {
        /// The point.
        point: PointName,
        /// The device's digest.
        digest: Digest,
        /// The change of [`crate::intent::BackingEvidence`] after the last byte of ours was written,
        /// and before the device was read back.
        change: u64,
        /// Where the stream can go on from here, if that was told.
        seam: Option<Seam>,
    },
    /// A mixture: it is being restored.
    Writing {
        /// To this point.
        target: PointName,
        /// From this one, if it was known to hold it.
        base: Option<PointName>,
        /// Everything before this byte is done and durable.
        cursor: u64,
        /// A sync of the device failed: what it gives back behind the cursor need not be what it
        /// keeps, so all of it is written again.
        failed: bool,
    },
}

/// What is found in a stamp's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StampFound {
    /// Nothing.
    None,
    /// A stamp.
    Stamp(Stamp),
    /// Something that is no stamp of this volume that this release reads.
    Unusable(DecodeError),
}

/// Why volumes must not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The device is half restored.
    #[error(
        "{volume} holds a mixture: its restore to point {target} was interrupted; run the restore \
         again to its end, or, to serve the device as it is, remove {}", path.display()
    )]
    Unfinished {
        /// The volume.
        volume: VolumeId,
        /// The point that it was being restored to.
        target: PointName,
        /// Its stamp.
        path: PathBuf,
    },
    /// Whether it is cannot be known.
    #[error(
        "{volume} may hold a mixture, because its stamp cannot be read ({source}); run its restore \
         again with the release that began it, or, to serve the device as it is, remove {}",
        path.display()
    )]
    Unusable {
        /// The volume.
        volume: VolumeId,
        /// Its stamp.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: DecodeError,
    },
    /// A stamp is there, and the storage does not give it.
    #[error(
        "{volume} may hold a mixture, because its stamp cannot be read ({source}); repair the state \
         directory, or, to serve the device as it is, remove {}", path.display()
    )]
    Unreadable {
        /// The volume.
        volume: VolumeId,
        /// Its stamp.
        path: PathBuf,
        /// What the storage said.
        #[source]
        source: DiskError,
    },
    /// Whether there is any stamp cannot be asked.
    #[error("whether a restore was interrupted cannot be asked: {0}")]
    Disk(#[from] DiskError),
}

/// The stamps of a group's devices, one small file each.
#[derive(Debug, Clone)]
pub struct StampBook {
    storage: Arc<dyn Storage>,
    directory: PathBuf,
}

impl StampBook {
    /// The stamps below a group's state directory, which must exist.
    #[must_use]
    pub fn of_group(storage: Arc<dyn Storage>, group_directory: &Path) -> Self {
        Self {
            storage,
            directory: group_directory.join("restore"),
        }
    }

    /// Where the stamp of a volume is.
    #[must_use]
    pub fn path(&self, volume: VolumeId) -> PathBuf {
        self.directory.join(format!("{volume}.stamp"))
    }

    /// Looks at a volume's stamp.
    ///
    /// # Errors
    /// If the storage fails. What is in the file is never an error.
    pub fn read(&self, volume: VolumeId) -> Result<StampFound, DiskError> {
        let bytes = match read_whole(&*self.storage, &self.path(volume), STAMP_BYTES_MAX as u64) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == DiskErrorKind::NotFound => return Ok(StampFound::None),
            Err(DiskError::TooLarge { length, .. }) => {
                let reason = format!("it holds {length} bytes, which is more than any stamp does");
                return Ok(StampFound::Unusable(DecodeError::invalid(WHAT, reason)));
            }
            Err(error) => return Err(error),
        };
        Ok(match decode(&bytes) {
            Ok(stamp) if stamp.volume == volume => StampFound::Stamp(stamp),
            Ok(stamp) => {
                let reason = format!("it is of {} and not of {volume}", stamp.volume);
                StampFound::Unusable(DecodeError::invalid(WHAT, reason))
            }
            Err(error) => StampFound::Unusable(error),
        })
    }

    /// Replaces a volume's stamp; durable on return.
    ///
    /// # Errors
    /// If the storage fails; the old stamp or the new one is there then.
    pub fn put(&self, stamp: &Stamp) -> Result<(), DiskError> {
        self.storage.create_directory_all(&self.directory)?;
        replace_atomically(&*self.storage, &self.path(stamp.volume), &encode(stamp))
    }

    /// Whether these volumes may be served, and if so, whether any of them was restored since it was
    /// last served: then nothing that an earlier life knew of the devices counts.
    ///
    /// # Errors
    /// If one of them may hold a mixture: its stamp is there and says so, or does not say. And if not
    /// even the presence of a stamp can be asked.
    pub fn restored(&self, volumes: &[VolumeId]) -> Result<bool, ServeError> {
        let mut restored = false;
        for volume in volumes.iter().copied() {
            let path = self.path(volume);
            if !self.storage.exists(&path)? {
                continue;
            }
            let found = match self.read(volume) {
                Ok(found) => found,
                Err(source) => {
                    return Err(ServeError::Unreadable {
                        volume,
                        path,
                        source,
                    });
                }
            };
            match found {
                StampFound::None => {}
                StampFound::Unusable(source) => {
                    return Err(ServeError::Unusable {
                        volume,
                        path,
                        source,
                    });
                }
                StampFound::Stamp(stamp) => match stamp.state {
                    StampState::Clean { .. } => restored = true,
                    StampState::Writing { target, .. } => {
                        return Err(ServeError::Unfinished {
                            volume,
                            target,
                            path,
                        });
                    }
                },
            }
        }
        Ok(restored)
    }

    /// Forgets what the devices hold, because they are about to be served; durable on return.
    ///
    /// # Errors
    /// If the storage fails; the volumes must not be served then.
    pub fn clear(&self, volumes: &[VolumeId]) -> Result<(), DiskError> {
        if !self.storage.exists(&self.directory)? {
            return Ok(());
        }
        for volume in volumes {
            match self.storage.remove(&self.path(*volume)) {
                Err(error) if error.kind() != DiskErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        // Also if nothing was there: who removed it may have been killed before its sync.
        self.storage.sync_directory(&self.directory)
    }
}

fn encode(stamp: &Stamp) -> Vec<u8> {
    let mut out = Vec::with_capacity(STAMP_BYTES);
    out.put_u32(MAGIC);
    let mut flags = 0;
    let mut seam_kept = None;
    let (state, point, base, cursor, change, digest) = match &stamp.state {
        StampState::Clean {
            point,
            digest,
            change,
            seam,
        } => {
            seam_kept = seam.as_ref();
            (CLEAN, point, None, 0, *change, *digest)
        }
        StampState::Writing {
            target,
            base,
            cursor,
            failed,
        } => {
            if base.is_some() {
                flags |= HAS_BASE;
            }
            if *failed {
                flags |= FAILED;
            }
            let digest = Digest([0; DIGEST_BYTES]);
            (WRITING, target, *base, *cursor, 0, digest)
        }
    };
    // What has no seam has the form that earlier releases read too.
    out.put_u16(if seam_kept.is_some() {
        SEAM_VERSION
    } else {
        VERSION
    });
    out.put_u16(state);
    out.put_u128(stamp.volume.to_u128());
    out.put_u64(stamp.size_bytes);
    out.put_u64(stamp.identity);
    out.put_u64(stamp.generation.0);
    put_point(&mut out, point);
    out.put_u32(flags);
    put_point(&mut out, &base.unwrap_or(NO_POINT));
    out.put_u64(cursor);
    out.put_u64(change);
    out.extend_from_slice(&digest.0);
    if let Some(seam) = seam_kept {
        put_seam(&mut out, seam);
    }
    codec::seal_checksum(&mut out, 0);
    out
}

fn put_seam(out: &mut Vec<u8>, seam: &Seam) {
    let SeamHead {
        stream,
        held: Held { position, id },
        volumes,
    } = seam.head;
    put_point(out, &PointName { stream, position });
    out.put_u128(id.to_u128());
    out.put_u32(volumes);
    out.put_u16(seam.number.0);
    out.put_u16(0);
    out.put_u32(u32::try_from(seam.ranges.len()).expect("so many are never kept"));
    for range in &seam.ranges {
        out.put_u64(range.offset);
        out.put_u64(range.length);
    }
}

fn read_seam(fields: &mut Reader<'_>, size_bytes: u64) -> Result<Seam, DecodeError> {
    let PointName { stream, position } = read_point(fields)?;
    let id = IncarnationId::from_u128(fields.u128()?);
    let volumes = fields.u32()?;
    let number = VolumeNumber(fields.u16()?);
    let reserved = fields.u16()?;
    let count = fields.u32()? as usize;
    let bytes = fields.rest().len();
    if reserved != 0 || !(1..=VOLUMES_MAX).contains(&volumes) {
        let reason = format!("a seam of {volumes} volumes, reserved {reserved:#06x}");
        return Err(DecodeError::invalid(WHAT, reason));
    }
    if count.checked_mul(RANGE_BYTES) != Some(bytes) {
        let reason = format!("a seam of {count} ranges in {bytes} bytes");
        return Err(DecodeError::invalid(WHAT, reason));
    }
    let range = |_| {
        Ok(ByteRange {
            offset: fields.u64()?,
            length: fields.u64()?,
        })
    };
    let ranges: Vec<ByteRange> = (0..count).map(range).collect::<Result<_, DecodeError>>()?;
    if !is_map(&ranges, size_bytes) {
        return Err(DecodeError::invalid(
            WHAT,
            "the ranges of its seam are out of order or not within the volume",
        ));
    }
    let held = Held { position, id };
    Ok(Seam {
        head: SeamHead {
            stream,
            held,
            volumes,
        },
        number,
        ranges,
    })
}

fn decode(bytes: &[u8]) -> Result<Stamp, DecodeError> {
    // Magic and version first: a newer release may check its stamps otherwise.
    let mut head = Reader::new(WHAT, bytes);
    head.magic(MAGIC)?;
    let version = head.u16()?;
    if version != VERSION && version != SEAM_VERSION {
        return Err(DecodeError::Version {
            what: WHAT,
            found: version,
            supported: SEAM_VERSION,
        });
    }
    let mut fields = Reader::new(WHAT, codec::checked(WHAT, bytes)?);
    fields.take(6)?;
    let state = fields.u16()?;
    let volume = VolumeId::from_u128(fields.u128()?);
    let size_bytes = fields.u64()?;
    let identity = fields.u64()?;
    let generation = Generation(fields.u64()?);
    let point = read_point(&mut fields)?;
    let flags = fields.u32()?;
    let base = read_point(&mut fields)?;
    let cursor = fields.u64()?;
    let change = fields.u64()?;
    let mut digest = [0; DIGEST_BYTES];
    digest.copy_from_slice(fields.take(DIGEST_BYTES)?);
    let seam = match version {
        SEAM_VERSION => Some(read_seam(&mut fields, size_bytes)?),
        _ => None,
    };
    fields.finish()?;
    let unused = |zero: bool| {
        if zero {
            return Ok(());
        }
        Err(DecodeError::invalid(
            WHAT,
            "a field that its state does not use is set",
        ))
    };
    if flags & !(HAS_BASE | FAILED) != 0 {
        return Err(DecodeError::invalid(WHAT, format!("flags {flags:#x}")));
    }
    let has_base = flags & HAS_BASE != 0;
    unused(has_base || base == NO_POINT)?;
    let base = has_base.then_some(base);
    let state = match state {
        CLEAN => {
            unused(flags == 0 && cursor == 0)?;
            StampState::Clean {
                point,
                digest: Digest(digest),
                change,
                seam,
            }
        }
        WRITING => {
            unused(change == 0 && digest == [0; DIGEST_BYTES] && seam.is_none())?;
            if cursor > size_bytes {
                let reason = format!("cursor {cursor} in a volume of {size_bytes} bytes");
                return Err(DecodeError::invalid(WHAT, reason));
            }
            StampState::Writing {
                target: point,
                base,
                cursor,
                failed: flags & FAILED != 0,
            }
        }
        other => return Err(DecodeError::invalid(WHAT, format!("state {other}"))),
    };
    Ok(Stamp {
        volume,
        size_bytes,
        identity,
        generation,
        state,
    })
}

/// Stands where there is no point.
const NO_POINT: PointName = PointName {
    stream: StreamId::from_u128(0),
    position: Position::new(IncarnationOrdinal(0), Sequence(0)),
};

fn put_point(out: &mut Vec<u8>, point: &PointName) {
    out.put_u128(point.stream.to_u128());
    out.put_u32(point.position.ordinal.0);
    out.put_u64(point.position.sequence.0);
}

fn read_point(fields: &mut Reader<'_>) -> Result<PointName, DecodeError> {
    Ok(PointName {
        stream: StreamId::from_u128(fields.u128()?),
        position: Position::new(IncarnationOrdinal(fields.u32()?), Sequence(fields.u64()?)),
    })
}

#[cfg(test)]
mod tests;
