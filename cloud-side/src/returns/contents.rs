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
        let bytes = self.bytes(volume, range);
        let bytes = bytes.map_err(|refusal| self.named(volume, range, refusal))?;
        Ok(Content::pack(&bytes))
    }

    /// Says which blocks of a range cannot be read: whoever has the disk may know what they held.
    fn named(&self, volume: VolumeNumber, range: ByteRange, refused: Refusal) -> Refusal {
        if refused.kind != RefusalKind::Unreadable {
            return refused;
        }
        let mut lost: Vec<ByteRange> = Vec::new();
        let mut offset = range.offset;
        while offset < range.end() {
            let length = u64::from(BLOCK_BYTES).min(range.end() - offset);
            let block = ByteRange { offset, length };
            if self.bytes(volume, block).is_err() {
                match lost.last_mut().filter(|last| last.end() == offset) {
                    Some(last) => last.length += length,
                    None => lost.push(block),
                }
            }
            offset += length;
        }
        // Now it can be read.
        if lost.is_empty() {
            return refused;
        }
        let name = |range: &ByteRange| format!("{}+{}", range.offset, range.length);
        let names: Vec<_> = lost.iter().map(name).collect();
        let reason = format!(
            "bytes {} of the volume cannot be read: {}",
            names.join(", "),
            refused.reason
        );
        refusal(refused.kind, reason)
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
                let bytes = self.bytes(volume, step);
                let bytes = bytes.map_err(|refusal| self.named(volume, step, refusal))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        points::{Instant, resolve},
        replica::ChunkCache,
        testing::{gateway::Gateway, site::Site},
    };

    #[tokio::test]
    async fn what_is_damaged_is_named() {
        let site = Site::start().await;
        let mut source = site.group().await;
        let mut gateway = Gateway::connect(&site, &source).await;
        let batch = source.batch(0, 1);
        gateway.ship(&batch).await;
        gateway.durable(source.end()).await;
        let service = site.service();
        let group = service.groups.get(source.group).unwrap();
        let row = resolve(&service.catalog, group.lineage(), &Instant::Latest).unwrap();
        let number = row.unwrap().number;
        let open = || {
            let cache = Arc::new(ChunkCache::new(1 << 20));
            let reader = group.reader().unwrap();
            let view = reader.open_view(number, service.views.opener(), cache);
            Contents::Image(Arc::new(view.unwrap()))
        };
        let (volume, range) = (
            source.member.number,
            ByteRange {
                offset: 0,
                length: 4 * u64::from(BLOCK_BYTES),
            },
        );
        open().read(volume, range).unwrap();
        let repair = site.damage(&source, &batch);
        let damaged = open();
        let refused = damaged.read(volume, range).unwrap_err();
        assert_eq!(refused.kind, RefusalKind::Unreadable);
        let said = format!("bytes 0+{BLOCK_BYTES} of the volume cannot be read");
        assert!(refused.reason.starts_with(&said), "{}", refused.reason);
        let mut all = |_| ControlFlow::Continue(());
        let refused = damaged.digests(volume, range, &mut all).unwrap_err();
        assert!(refused.reason.starts_with(&said), "{}", refused.reason);
        repair();
    }
}
