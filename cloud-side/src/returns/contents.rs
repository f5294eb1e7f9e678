//! What is read of an offer: the point's image, or what was kept above it so far.
//!
//! Invariant: what is unknown or damaged is refused, never made up. Calls block.

use super::refusal;
use crate::{
    branch::{Branch, BranchError},
    replica::{Status, StatusKind, ViewError, ViewReader},
};
use bcdr_format::VolumeNumber;
use bcdr_wire::restore::{
    BLOCK_BYTES, ByteRange, Content, Digest, READ_BYTES_MAX, Refusal, RefusalKind, block_digest,
};
use std::{
    ops::ControlFlow,
    sync::{Arc, OnceLock},
};

/// The bytes of an offer's volumes.
#[derive(Debug, Clone)]
pub(super) enum Contents {
    Image(Arc<ViewReader>),
    Kept(Arc<Branch>),
}

impl Contents {
    fn status(&self, volume: VolumeNumber, range: ByteRange) -> Result<Vec<Status>, Refusal> {
        let ByteRange { offset, length } = range;
        match self {
            Self::Image(view) => view
                .block_status(volume, offset, length)
                .map_err(|error| view_refusal(&error)),
            Self::Kept(branch) => branch
                .block_status(volume, offset, length)
                .map_err(|error| branch_refusal(&error)),
        }
    }

    fn bytes(&self, volume: VolumeNumber, range: ByteRange) -> Result<Vec<u8>, Refusal> {
        let length = range.length as usize;
        match self {
            Self::Image(view) => view
                .read(volume, range.offset, length)
                .map_err(|error| view_refusal(&error)),
            Self::Kept(branch) => branch
                .read(volume, range.offset, length)
                .map_err(|error| branch_refusal(&error)),
        }
    }

    fn is_zero(&self, volume: VolumeNumber, range: ByteRange) -> Result<bool, Refusal> {
        let status = self.status(volume, range)?;
        Ok(status.iter().all(|part| part.kind == StatusKind::Zero))
    }

    /// A range as it travels; at most what one read asks for.
    pub(super) fn read(&self, volume: VolumeNumber, range: ByteRange) -> Result<Content, Refusal> {
        if self.is_zero(volume, range)? {
            let length = u32::try_from(range.length).expect("a read is bounded");
            return Ok(Content::Zero { length });
        }
        Ok(Content::pack(&self.bytes(volume, range)?))
    }

    /// Hands out the digests of a range's blocks in order, until `block` has enough.
    pub(super) fn digests(
        &self,
        volume: VolumeNumber,
        range: ByteRange,
        block: &mut dyn FnMut(Digest) -> ControlFlow<()>,
    ) -> Result<(), Refusal> {
        let mut offset = range.offset;
        while offset < range.end() {
            let length = u64::from(READ_BYTES_MAX).min(range.end() - offset);
            let step = ByteRange { offset, length };
            let digests: Vec<Digest> = if self.is_zero(volume, step)? {
                let lengths = (0..length).step_by(BLOCK_BYTES as usize);
                lengths
                    .map(|at| zero_digest((length - at).min(u64::from(BLOCK_BYTES)) as usize))
                    .collect()
            } else {
                let bytes = self.bytes(volume, step)?;
                bytes
                    .chunks(BLOCK_BYTES as usize)
                    .map(block_digest)
                    .collect()
            };
            for digest in digests {
                if block(digest).is_break() {
                    return Ok(());
                }
            }
            offset += length;
        }
        Ok(())
    }
}

fn zero_digest(length: usize) -> Digest {
    static WHOLE: OnceLock<Digest> = OnceLock::new();
    let make = || block_digest(&vec![0; length]);
    if length == BLOCK_BYTES as usize {
        *WHOLE.get_or_init(make)
    } else {
        make()
    }
}

fn view_refusal(error: &ViewError) -> Refusal {
    let kind = match error {
        ViewError::NoVolume { .. } => RefusalKind::UnknownVolume,
        ViewError::OutsideVolume { .. } => RefusalKind::OutOfRange,
        _ => RefusalKind::Unreadable,
    };
    refusal(kind, error.to_string())
}

/// What a branch's error is called on the wire.
pub(super) fn branch_refusal(error: &BranchError) -> Refusal {
    let kind = match error {
        BranchError::View(error) => return view_refusal(error),
        BranchError::NoVolume { .. } => RefusalKind::UnknownVolume,
        BranchError::OutsideVolume { .. } | BranchError::Unaligned { .. } => {
            RefusalKind::OutOfRange
        }
        BranchError::NoSpace(_) => RefusalKind::NoSpace,
        BranchError::Failed { .. } | BranchError::Closed { .. } => RefusalKind::NotKept,
    };
    refusal(kind, error.to_string())
}
