//! Comparing the disks with the point by digest. Reads only.

use bcdr_disk::AlignedBuffer;
use bcdr_wire::{
    order::TaskOutcome,
    restore::{Answer, BLOCK_BYTES, Digest, READ_BYTES_MAX, Request, VolumeHasher, block_digest},
};

use super::{Attempt, disks::Disks, fault::Fault};
use crate::restore::{FencedVolume, PointSource, SourceError, describe, exchange};

impl Attempt<'_> {
    pub(super) fn compare(&mut self, source: &mut dyn PointSource) -> Result<TaskOutcome, Fault> {
        // Lent for as long as they are read, so that the attempt can be told meanwhile.
        let mut held = std::mem::take(self.disks);
        let compared = self.compare_with(&mut held, source);
        *self.disks = held;
        compared
    }

    fn compare_with(
        &mut self,
        held: &mut Disks,
        source: &mut dyn PointSource,
    ) -> Result<TaskOutcome, Fault> {
        let description = describe(self.parts.task.id, source)?;
        let (opener, volumes) = (&*self.parts.disks, &self.parts.volumes);
        let disks = held.of_point(opener, volumes, &description)?;
        let total = disks.iter().map(|disk| disk.size_bytes()).sum();
        let mut behind = 0;
        let mut other = Vec::new();
        for disk in disks {
            let digest = self.digest(disk, behind, total)?;
            behind += disk.size_bytes();
            let volume = disk.id();
            match exchange(source, &Request::Done { volume, digest })? {
                Answer::Done { digest: wanted } if wanted == digest => {}
                Answer::Done { .. } => other.push(disk.name().to_owned()),
                _ => return Err(SourceError::nonsense("no digest came").into()),
            }
        }
        let point = description.point;
        let equal = other.is_empty();
        let detail = if equal {
            format!("every disk holds point {point}")
        } else {
            format!("what does not hold point {point}: {}", other.join(", "))
        };
        Ok(TaskOutcome::Compared { equal, detail })
    }

    fn digest(&self, disk: &FencedVolume, behind: u64, total: u64) -> Result<Digest, Fault> {
        let volume = disk.id();
        let mut buffer = AlignedBuffer::zeroed(READ_BYTES_MAX as usize);
        let mut hasher = VolumeHasher::new(disk.size_bytes());
        let mut offset = 0;
        while offset < disk.size_bytes() {
            self.check_cancelled()?;
            let length = u64::from(READ_BYTES_MAX).min(disk.size_bytes() - offset);
            let bytes = &mut buffer[..length as usize];
            disk.file()
                .read_exact_at(bytes, offset)
                .map_err(|source| Fault::Device { volume, source })?;
            for block in bytes.chunks(BLOCK_BYTES as usize) {
                hasher.push(block_digest(block));
            }
            offset += length;
            self.show(behind + offset, total);
        }
        Ok(hasher.finish())
    }
}
