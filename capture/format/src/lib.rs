//! The bytes of the replication stream: identifiers, positions, records, batches, chunks and runs.
//!
//! Everything here is pure: bytes in, values out, and back. There is no file, socket, clock or
//! randomness in this crate, so every role and every offline tool can read every format without
//! linking the role that wrote it. Formats are little-endian and written by hand; each has one
//! module that owns it, a drawing under `docs/format/` and a golden file under `tests/golden/`.
//!
//! What a newcomer should read first: [`record`] (what a write is), [`incarnation`] and
//! [`continuity`] (how lives of a capture follow each other), [`batch`] (how writes travel).

pub mod batch;
pub mod chunk;
pub mod codec;
pub mod continuity;
pub mod extent;
pub mod id;
pub mod incarnation;
pub mod position;
pub mod record;
pub mod run;
pub mod sync;
pub mod time;

pub use codec::DecodeError;
pub use id::{
    DataKeyId, GroupId, IncarnationId, InstallationId, MarkerId, ReceiverRunId, RestoreId,
    StreamId, SyncId, VolumeId,
};
pub use incarnation::{IncarnationOrdinal, Opening};
pub use position::{Generation, Position, Sequence, VolumeNumber};
pub use time::Timestamp;

/// Every offset and length in the stream is a multiple of this many bytes.
pub const SECTOR_BYTES: u64 = 512;

/// The longest range one data, zero or scan record covers, in bytes. Longer requests are split, so
/// that no range lock is held over a whole volume and no frame outgrows its limit.
pub const RECORD_LENGTH_MAX: u32 = 16 << 20;
