//! A volume of a point as a disk to inspect.

use crate::replica::ViewReader;
use bcdr_format::record::Member;
use bcdr_readiness::Disk;
use std::{io, sync::Arc};
use tokio_util::sync::CancellationToken;

/// A volume. Its reads fail once it is to stop, which ends an inspection soon.
pub(super) struct ViewDisk {
    reader: Arc<ViewReader>,
    member: Member,
    stop: CancellationToken,
}

impl ViewDisk {
    pub(super) fn new(reader: Arc<ViewReader>, member: Member, stop: CancellationToken) -> Self {
        Self {
            reader,
            member,
            stop,
        }
    }
}

impl Disk for ViewDisk {
    fn size_bytes(&self) -> u64 {
        self.member.size_bytes
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if self.stop.is_cancelled() {
            return Err(io::Error::other("the receiver is being stopped"));
        }
        self.reader
            .read_into(self.member.number, offset, buffer)
            .map_err(io::Error::other)
    }
}
