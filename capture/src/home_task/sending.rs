//! Sending what the disks hold where it differs from what the cloud side has. Reads the disks only.
//!
//! The far side answers with digests of what it kept so far above the point, so an attempt after a
//! break sends only what is still missing. Invariants: it is called done only after all of it is
//! durable there and its digest is the disk's; what is on its way without an answer is bounded.

use std::collections::VecDeque;

use bcdr_disk::AlignedBuffer;
use bcdr_wire::{
    order::TaskOutcome,
    restore::{
        Answer, BLOCK_BYTES, ByteRange, Content, Digest, READ_BYTES_MAX, Request, VolumeHasher,
        block_digest,
    },
};

use super::{Attempt, disks::Disks, fault::Fault};
use crate::restore::{FencedVolume, PointSource, SourceError, describe, exchange};

/// Compared at a time, in bytes.
const STEP_BYTES: u64 = 64 << 20;
/// What is sent and not answered yet, in messages of a megabyte at most.
const UNANSWERED: usize = 8;

/// A request that has no answer yet.
enum Asked {
    Digests(ByteRange),
    Keep(ByteRange),
}

/// One disk under way.
struct Sending<'a> {
    source: &'a mut dyn PointSource,
    disk: &'a FencedVolume,
    /// In the order of their answers.
    asked: VecDeque<Asked>,
    /// Digests that came and were not compared yet.
    ready: VecDeque<(ByteRange, Vec<Digest>)>,
    hasher: VolumeHasher,
    /// From here on no digests were asked for.
    next: u64,
    /// Bytes that are kept.
    kept: u64,
}

impl Attempt<'_> {
    pub(super) fn send(&mut self, source: &mut dyn PointSource) -> Result<TaskOutcome, Fault> {
        // Lent for as long as they are read, so that the attempt can be told meanwhile.
        let mut held = std::mem::take(self.disks);
        let sent = self.send_from(&mut held, source);
        *self.disks = held;
        sent?;
        Ok(TaskOutcome::Sent {
            bytes: self.counted.sent,
        })
    }

    fn send_from(&mut self, held: &mut Disks, source: &mut dyn PointSource) -> Result<(), Fault> {
        let description = describe(self.parts.task.id, source)?;
        let (opener, volumes) = (&*self.parts.disks, &self.parts.volumes);
        let disks = held.of_point(opener, volumes, &description)?;
        let total = disks.iter().map(|disk| disk.size_bytes()).sum();
        let mut digests = Vec::new();
        let mut behind = 0;
        for disk in disks {
            let digest = Sending::new(source, disk).run(self, behind, total)?;
            digests.push((disk.id(), digest));
            behind += disk.size_bytes();
        }
        match exchange(source, &Request::Settle)? {
            Answer::Settled => {}
            _ => return Err(SourceError::nonsense("no word that all is kept").into()),
        }
        for (volume, digest) in digests {
            match exchange(source, &Request::Done { volume, digest })? {
                Answer::Done { digest: kept } if kept == digest => {}
                Answer::Done { digest: kept } => {
                    let found = digest;
                    return Err(Fault::NotKept {
                        volume,
                        kept,
                        found,
                    });
                }
                _ => return Err(SourceError::nonsense("no digest came").into()),
            }
        }
        Ok(())
    }
}

impl<'a> Sending<'a> {
    fn new(source: &'a mut dyn PointSource, disk: &'a FencedVolume) -> Self {
        Self {
            source,
            disk,
            asked: VecDeque::new(),
            ready: VecDeque::new(),
            hasher: VolumeHasher::new(disk.size_bytes()),
            next: 0,
            kept: 0,
        }
    }

    /// Compares and sends; returns the disk's digest.
    fn run(mut self, attempt: &mut Attempt<'_>, behind: u64, total: u64) -> Result<Digest, Fault> {
        let before = attempt.counted.sent;
        let mut buffer = AlignedBuffer::zeroed(READ_BYTES_MAX as usize);
        self.ask_for_digests()?;
        while let Some((range, digests)) = self.compared_next()? {
            // Those of the next blocks are made there while these blocks are read here.
            self.ask_for_digests()?;
            let steps = (range.offset..range.end()).step_by(READ_BYTES_MAX as usize);
            let of_steps = digests.chunks((READ_BYTES_MAX / BLOCK_BYTES) as usize);
            for (offset, digests) in steps.zip(of_steps) {
                attempt.check_cancelled()?;
                let length = u64::from(READ_BYTES_MAX).min(range.end() - offset);
                let bytes = &mut buffer[..length as usize];
                let volume = self.disk.id();
                self.disk
                    .file()
                    .read_exact_at(bytes, offset)
                    .map_err(|source| Fault::Device { volume, source })?;
                self.send_differing(offset, bytes, digests)?;
                attempt.counted.sent = before + self.kept;
                attempt.show(behind + offset + length, total);
            }
        }
        while !self.asked.is_empty() {
            self.hear()?;
        }
        attempt.counted.sent = before + self.kept;
        Ok(self.hasher.finish())
    }

    fn ask_for_digests(&mut self) -> Result<(), Fault> {
        let size = self.disk.size_bytes();
        if self.next == size {
            return Ok(());
        }
        let range = ByteRange {
            offset: self.next,
            length: STEP_BYTES.min(size - self.next),
        };
        self.source.ask(&Request::Digests {
            volume: self.disk.id(),
            offset: range.offset,
            length: range.length,
            grain: BLOCK_BYTES,
        })?;
        self.next = range.end();
        self.asked.push_back(Asked::Digests(range));
        Ok(())
    }

    /// The next blocks to compare; none at the end of the disk.
    fn compared_next(&mut self) -> Result<Option<(ByteRange, Vec<Digest>)>, Fault> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Ok(Some(ready));
            }
            let digests = |asked: &Asked| matches!(asked, Asked::Digests(_));
            if !self.asked.iter().any(digests) {
                return Ok(None);
            }
            self.hear()?;
        }
    }

    /// Sends the blocks that differ, those that touch in one message.
    fn send_differing(&mut self, at: u64, bytes: &[u8], wanted: &[Digest]) -> Result<(), Fault> {
        let mut differing: Option<ByteRange> = None;
        let mut offset = at;
        for (block, wanted) in bytes.chunks(BLOCK_BYTES as usize).zip(wanted) {
            let digest = block_digest(block);
            self.hasher.push(digest);
            let length = block.len() as u64;
            if digest != *wanted {
                let range = differing.get_or_insert(ByteRange { offset, length: 0 });
                range.length += length;
            } else if let Some(range) = differing.take() {
                self.keep(range, &bytes[(range.offset - at) as usize..])?;
            }
            offset += length;
        }
        match differing {
            Some(range) => self.keep(range, &bytes[(range.offset - at) as usize..]),
            None => Ok(()),
        }
    }

    /// Sends a range, whose bytes `from` begins with.
    fn keep(&mut self, range: ByteRange, from: &[u8]) -> Result<(), Fault> {
        let keeps = |asked: &&Asked| matches!(asked, Asked::Keep(_));
        while self.asked.iter().filter(keeps).count() >= UNANSWERED {
            self.hear()?;
        }
        let bytes = &from[..range.length as usize];
        let content = if bytes.iter().all(|byte| *byte == 0) {
            Content::Zero {
                length: bytes.len() as u32,
            }
        } else {
            Content::pack(bytes)
        };
        self.source.ask(&Request::Keep {
            volume: self.disk.id(),
            offset: range.offset,
            content,
        })?;
        self.asked.push_back(Asked::Keep(range));
        Ok(())
    }

    /// The answer to the oldest request.
    fn hear(&mut self) -> Result<(), Fault> {
        let answer = self.source.answer()?;
        match (self.asked.pop_front(), answer) {
            (_, Answer::Refused(refusal)) => Err(SourceError::from(refusal).into()),
            (Some(Asked::Keep(range)), Answer::Kept { offset }) if offset == range.offset => {
                self.kept += range.length;
                Ok(())
            }
            (Some(Asked::Digests(range)), Answer::Digests { offset, digests })
                if offset == range.offset
                    && digests.len() as u64 == range.length.div_ceil(u64::from(BLOCK_BYTES)) =>
            {
                self.ready.push_back((range, digests));
                Ok(())
            }
            _ => Err(SourceError::nonsense("an answer to something else").into()),
        }
    }
}
