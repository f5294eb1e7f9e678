//! The intent ring: which writes were in flight, in a mapped file that outlives a kill.
//!
//! A fixed number of slots; the write with sequence *s* notes itself in slot *s* mod slots before
//! it is submitted. Invariant: a slot is overwritten only when the record it named is part of the
//! fed prefix, which the tap ensures by never running further than one ring beyond that prefix.
//! So after a kill within the same boot, every write beyond the recovered prefix is either in the
//! journal or in the ring. After a power cut the ring proves nothing, and says so; and so it does
//! from the moment the first write goes untracked until a life that reads everything has begun.
//!
//! ```text
//! header, 4096 bytes                       slot, 64 bytes
//!   0  u32  magic "INT1"                     0  u64  sequence
//!   4  u16  version (2)                      8  u64  offset
//!   6  u16  1 = closed, 2 = untracked        16  u64  fed prefix when it was written
//!   8  u64  slots                           24  u128 incarnation
//!  16  u128 boot                            40  u32  ordinal
//!  32  u128 incarnation at start            44  u32  length
//!  48  u32  its ordinal                     48  u16  volume
//!  52  u32  (zero)                          50  10 bytes (zero)
//!  56  u64  identity of the backings        60  u32  crc of the 60 bytes before
//!  64  u64  their change stamp, if closed
//!  72  u32  crc of the 72 bytes before
//! 128  two sightings of the backings, 64 bytes each (see [`sighting`])
//! ```
//!
//! It does not know what is settled or what to do about it: see [`crate::start`].

mod sighting;

pub use sighting::{BackingActivity, Doubt, Sighting};

use bcdr_disk::{DiskError, Mapping, Storage};
use bcdr_format::{
    IncarnationId, Sequence, VolumeNumber,
    codec::{self, Reader, Write as _},
    incarnation::IncarnationOrdinal,
    record::VolumeRange,
};
use std::{
    fmt,
    path::{Path, PathBuf},
};

use sighting::{SIGHTING_BYTES, SIGHTINGS_START};

const MAGIC: u32 = u32::from_le_bytes(*b"INT1");
const VERSION: u16 = 2;
const WHAT: &str = "intent ring";
const HEADER_BYTES: usize = 4096;
const HEADER_USED_BYTES: usize = 76;
const SLOT_BYTES: usize = 64;

/// The kernel's identity of one boot of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootId(pub u128);

/// What the backings of a group look like from outside, hashed by the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackingEvidence {
    /// Hash of what never changes while it is the same backing: device, inode, size.
    pub identity: u64,
    /// Hash of what changes with every write of anybody: change times, write counters.
    pub change: u64,
}

/// One write about to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intent {
    /// The life it belongs to.
    pub ordinal: IncarnationOrdinal,
    /// That life's identity.
    pub incarnation: IncarnationId,
    /// Its sequence.
    pub sequence: Sequence,
    /// Where it writes.
    pub range: VolumeRange,
    /// The last sequence of that life that was settled and written to the journal by then.
    pub fed: Sequence,
}

/// What a ring left by an earlier process proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntentsFound {
    /// Nothing, and why.
    Unproven(Unproven),
    /// The process died within this boot; this is every write that may have been in flight.
    Proven(ProvenIntents),
    /// The process ended in order, leaving the backings like this.
    Clean {
        /// The last life.
        incarnation: IncarnationId,
        /// The backings as it left them.
        evidence: BackingEvidence,
    },
}

/// The intents of a process that was killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenIntents {
    /// The life the process began with.
    pub begun: (IncarnationOrdinal, IncarnationId),
    /// The identity of the backings it wrote to.
    pub identity: u64,
    /// How it last saw them.
    pub sighting: Option<Sighting>,
    /// Every slot in use, in sequence order.
    pub intents: Vec<Intent>,
}

/// Why a ring proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unproven {
    /// There was no ring, or it had another size.
    Missing,
    /// The machine has been restarted since.
    OtherBoot,
    /// The ring is damaged, or was being set up.
    Damaged,
    /// The ring is of another release's format.
    OtherVersion,
    /// Writes went untracked.
    Untracked,
}

impl fmt::Display for Unproven {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Missing => "there is no intent ring of an earlier start",
            Self::OtherBoot => "the machine was restarted without an orderly stop",
            Self::Damaged => "the intent ring is damaged",
            Self::OtherVersion => "the intent ring is of another format version",
            Self::Untracked => "writes were not journaled when the capture ended",
        })
    }
}

/// The mapped ring.
#[derive(Debug)]
pub struct IntentRing {
    mapping: Box<dyn Mapping>,
    slots: u64,
    header: Option<Header>,
    distrusted: bool,
    /// The newest sighting, which a header that is yet to be written must not be without.
    sighting: Option<Sighting>,
    sightings: u64,
}

/// Stands in for a mapped file.
struct MemoryOnly(Vec<u8>);

impl fmt::Debug for MemoryOnly {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MemoryOnly")
    }
}

impl Mapping for MemoryOnly {
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    fn sync(&self) -> Result<(), DiskError> {
        let why = std::io::Error::other("it is kept in memory only");
        Err(DiskError::io("sync", Path::new("the intent ring"), why))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running = 0,
    Closed = 1,
    Untracked = 2,
}

#[derive(Debug, Clone, Copy)]
struct Header {
    state: State,
    slots: u64,
    boot: BootId,
    incarnation: IncarnationId,
    ordinal: IncarnationOrdinal,
    evidence: BackingEvidence,
}

impl IntentRing {
    /// Maps the ring at `path` and reads what an earlier process left in it. The ring holds
    /// `slots` intents; one of another size is replaced and proves nothing.
    ///
    /// # Errors
    /// When the file cannot be created or mapped.
    pub fn open(
        storage: &dyn Storage,
        path: &Path,
        slots: u64,
        boot: BootId,
    ) -> Result<(Self, IntentsFound), DiskError> {
        let length = HEADER_BYTES as u64 + slots * SLOT_BYTES as u64;
        if storage.exists(path)?
            && storage.open(path, bcdr_disk::Access::read())?.length()? != length
        {
            storage.remove(path)?;
        }
        let mapping = storage.map(path, length)?;
        storage.sync_directory(&directory_of(path))?;
        let found = examine(mapping.bytes(), slots, boot);
        Ok((
            Self {
                mapping,
                slots,
                header: None,
                distrusted: false,
                sighting: None,
                sightings: 0,
            },
            found,
        ))
    }

    /// A ring in memory, where no file can be had. It ends with the process, so after a kill there
    /// is no proof, and everything is compared.
    #[must_use]
    pub fn in_memory(slots: u64) -> Self {
        let length = HEADER_BYTES + slots as usize * SLOT_BYTES;
        Self {
            mapping: Box::new(MemoryOnly(vec![0; length])),
            slots,
            header: None,
            distrusted: false,
            sighting: None,
            sightings: 0,
        }
    }

    /// Starts over for a new life, on backings that looked like `evidence` before its first write.
    /// Until it returns, and if it is interrupted, the ring proves nothing: the header goes first
    /// and comes back last.
    pub fn begin(
        &mut self,
        boot: BootId,
        ordinal: IncarnationOrdinal,
        incarnation: IncarnationId,
        evidence: BackingEvidence,
    ) {
        let bytes = self.mapping.bytes_mut();
        bytes[..HEADER_USED_BYTES].fill(0);
        bytes[HEADER_USED_BYTES..].fill(0);
        let quiet = Sighting::Quiet {
            change: evidence.change,
        };
        self.put_sighting(self.sighting.unwrap_or(quiet));
        let evidence = BackingEvidence {
            change: 0,
            ..evidence
        };
        let slots = self.slots;
        let state = if self.distrusted {
            State::Untracked
        } else {
            State::Running
        };
        self.put_header(Header {
            state,
            slots,
            boot,
            incarnation,
            ordinal,
            evidence,
        });
    }

    /// Notes a write; call before it is submitted.
    pub fn write(&mut self, intent: &Intent) {
        let start = HEADER_BYTES + (intent.sequence.0 % self.slots) as usize * SLOT_BYTES;
        let slot = encode_slot(intent);
        self.mapping.bytes_mut()[start..start + SLOT_BYTES].copy_from_slice(&slot);
    }

    /// Notes how the backings look: before each write is submitted, whenever the last one has
    /// ended, and with each tick between the two.
    pub fn sight(&mut self, sighting: Sighting) {
        self.sighting = Some(sighting);
        if self.header.is_some() {
            self.put_sighting(sighting);
        }
    }

    /// Writes are about to go untracked: from here on the ring proves nothing.
    pub fn distrust(&mut self) {
        self.distrusted = true;
        match self.header {
            Some(header) => self.put_header(Header {
                state: State::Untracked,
                ..header
            }),
            // What an earlier process left in it must not count either.
            None => self.mapping.bytes_mut()[..HEADER_USED_BYTES].fill(0),
        }
    }

    /// The journal has taken a life that reads everything: what the ring says of it counts again.
    pub fn trust(&mut self, ordinal: IncarnationOrdinal, incarnation: IncarnationId) {
        self.distrusted = false;
        if let Some(header) = self.header {
            self.put_header(Header {
                state: State::Running,
                ordinal,
                incarnation,
                ..header
            });
        }
    }

    /// Notes an orderly end: nothing is in flight, life `incarnation` is closed in the journal, and
    /// the backings, synced, look like `evidence`. Durable on return.
    ///
    /// # Errors
    /// When the mapping cannot be synced; the next start then compares everything.
    pub fn close_clean(
        &mut self,
        ordinal: IncarnationOrdinal,
        incarnation: IncarnationId,
        evidence: BackingEvidence,
    ) -> Result<(), DiskError> {
        let Some(header) = self.header else {
            return Ok(());
        };
        self.put_header(Header {
            state: State::Closed,
            ordinal,
            incarnation,
            evidence,
            ..header
        });
        self.mapping.sync()
    }

    fn put_sighting(&mut self, sighting: Sighting) {
        self.sightings += 1;
        let start = SIGHTINGS_START + (self.sightings % 2) as usize * SIGHTING_BYTES;
        let encoded = sighting.encode(self.sightings);
        self.mapping.bytes_mut()[start..start + SIGHTING_BYTES].copy_from_slice(&encoded);
    }

    fn put_header(&mut self, header: Header) {
        let encoded = header.encode();
        self.mapping.bytes_mut()[..encoded.len()].copy_from_slice(&encoded);
        self.header = Some(header);
    }
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_USED_BYTES);
        out.put_u32(MAGIC);
        out.put_u16(VERSION);
        out.put_u16(self.state as u16);
        out.put_u64(self.slots);
        out.put_u128(self.boot.0);
        out.put_u128(self.incarnation.to_u128());
        out.put_u32(self.ordinal.0);
        out.put_u32(0);
        out.put_u64(self.evidence.identity);
        out.put_u64(self.evidence.change);
        codec::seal_checksum(&mut out, 0);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, codec::DecodeError> {
        let body = codec::checked(WHAT, &bytes[..HEADER_USED_BYTES])?;
        let mut fields = Reader::new(WHAT, body);
        fields.magic(MAGIC)?;
        fields.version(VERSION)?;
        let state = match fields.u16()? {
            0 => State::Running,
            1 => State::Closed,
            _ => State::Untracked,
        };
        let slots = fields.u64()?;
        let boot = BootId(fields.u128()?);
        let incarnation = IncarnationId::from_u128(fields.u128()?);
        let ordinal = IncarnationOrdinal(fields.u32()?);
        fields.u32()?;
        let evidence = BackingEvidence {
            identity: fields.u64()?,
            change: fields.u64()?,
        };
        Ok(Self {
            state,
            slots,
            boot,
            incarnation,
            ordinal,
            evidence,
        })
    }
}

fn encode_slot(intent: &Intent) -> Vec<u8> {
    let mut out = Vec::with_capacity(SLOT_BYTES);
    out.put_u64(intent.sequence.0);
    out.put_u64(intent.range.offset);
    out.put_u64(intent.fed.0);
    out.put_u128(intent.incarnation.to_u128());
    out.put_u32(intent.ordinal.0);
    out.put_u32(intent.range.length);
    out.put_u16(intent.range.volume.0);
    out.resize(SLOT_BYTES - 4, 0);
    codec::seal_checksum(&mut out, 0);
    out
}

fn decode_slot(bytes: &[u8]) -> Result<Intent, codec::DecodeError> {
    let mut fields = Reader::new(WHAT, codec::checked(WHAT, bytes)?);
    let sequence = Sequence(fields.u64()?);
    let offset = fields.u64()?;
    let fed = Sequence(fields.u64()?);
    let incarnation = IncarnationId::from_u128(fields.u128()?);
    let ordinal = IncarnationOrdinal(fields.u32()?);
    let length = fields.u32()?;
    let range = VolumeRange {
        volume: VolumeNumber(fields.u16()?),
        offset,
        length,
    };
    Ok(Intent {
        ordinal,
        incarnation,
        sequence,
        range,
        fed,
    })
}

fn examine(bytes: &[u8], slots: u64, boot: BootId) -> IntentsFound {
    if bytes[..HEADER_USED_BYTES].iter().all(|byte| *byte == 0) {
        return IntentsFound::Unproven(Unproven::Missing);
    }
    let header = match Header::decode(bytes) {
        Ok(header) => header,
        Err(codec::DecodeError::Version { .. }) => {
            return IntentsFound::Unproven(Unproven::OtherVersion);
        }
        Err(_) => return IntentsFound::Unproven(Unproven::Damaged),
    };
    if header.slots != slots {
        return IntentsFound::Unproven(Unproven::Missing);
    }
    match header.state {
        State::Running => {}
        State::Untracked => return IntentsFound::Unproven(Unproven::Untracked),
        State::Closed => {
            let Header {
                incarnation,
                evidence,
                ..
            } = header;
            return IntentsFound::Clean {
                incarnation,
                evidence,
            };
        }
    }
    if header.boot != boot {
        return IntentsFound::Unproven(Unproven::OtherBoot);
    }
    let mut intents = Vec::new();
    for slot in bytes[HEADER_BYTES..].chunks_exact(SLOT_BYTES) {
        if slot.iter().all(|byte| *byte == 0) {
            continue;
        }
        let Ok(intent) = decode_slot(slot) else {
            return IntentsFound::Unproven(Unproven::Damaged);
        };
        intents.push(intent);
    }
    intents.sort_unstable_by_key(|intent| (intent.ordinal, intent.sequence));
    IntentsFound::Proven(ProvenIntents {
        begun: (header.ordinal, header.incarnation),
        identity: header.evidence.identity,
        sighting: Sighting::newest(bytes),
        intents,
    })
}

#[cfg(test)]
mod tests;
