//! What a capture asks while it puts a volume back to a point or sends what its disk holds instead,
//! and what it is answered.
//!
//! The side with the disk asks: on a QUIC stream that it opens for this, it says whose disks it has
//! ([`ReturnHello`]), asks for the description of the restore it was told about, then for what it
//! needs. Answers come in the order of the requests, so several may be under way; a side that turns
//! the stream away answers the hello with a refusal, and says nothing to it otherwise. The gateway
//! reads the hello, relays the frames ([`crate::frame::FrameKind::Restore`]) and reads nothing in
//! them. The bytes are drawn in `docs/format/restore.md`.
//!
//! Owns the messages, their bytes and limits, and what a digest is. Every length is checked before
//! memory is taken for it, and compressed data is unpacked only into a buffer of the length that
//! was asked for. Knows nothing of devices, stamps or points beyond their names.

mod codec;
mod content;
mod digest;
mod hello;
mod message;

pub use content::{Content, UnpackError};
pub use digest::{DIGEST_BYTES, Digest, VolumeHasher, block_digest};
pub use hello::ReturnHello;
pub use message::{
    Answer, ByteRange, Description, PointName, Refusal, RefusalKind, Request, SeamHead,
    VolumeDescription,
};

/// The version of the restore messages; each message carries it.
pub const RESTORE_VERSION: u16 = 1;

/// The unit of digests, in bytes. Only the last block of a volume may be shorter.
pub const BLOCK_BYTES: u32 = 64 << 10;

/// The most bytes one read asks for.
pub const READ_BYTES_MAX: u32 = 1 << 20;

/// The most ranges in one answer.
pub const RANGES_MAX: u32 = 4096;

/// The most digests in one answer: those of 256 MiB.
pub const DIGESTS_MAX: u32 = 4096;

/// The most volumes in one description; a group has no more.
pub const VOLUMES_MAX: u32 = 1024;

/// The longest text in a message, in bytes.
pub const TEXT_BYTES_MAX: usize = 1024;

/// The most bytes of a message: data that does not compress, read or kept, and its head.
pub const MESSAGE_BYTES_MAX: usize = READ_BYTES_MAX as usize + 4096;

#[cfg(test)]
mod tests;
